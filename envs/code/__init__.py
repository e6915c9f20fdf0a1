"""The built-in environment type `code`: tasks made from a git repository and the commit that fixed it (`podgym.envs.build`)."""

from podgym.envs.code.digest import task_digest
from podgym.envs.code.environment import CodeEnvironment

__all__ = ["CodeEnvironment", "task_digest"]
