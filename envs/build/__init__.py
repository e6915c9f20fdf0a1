"""From a fix commit of a real repository to a task that is known to work, in eight languages."""

from podgym.envs.build.build import build_task
from podgym.envs.build.errors import BuildError
from podgym.envs.build.options import BuildOptions
from podgym.envs.build.plan import BuildPlan
from podgym.envs.build.prepare import Prepared, read_plan
from podgym.envs.build.report import BuildReport

__all__ = ["BuildError", "BuildOptions", "BuildPlan", "BuildReport", "Prepared", "build_task", "read_plan"]
