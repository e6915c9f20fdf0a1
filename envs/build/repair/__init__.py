"""What to do when a build or its tests fail: read the log, change the plan, and at last ask a model."""

from podgym.envs.build.repair.causes import Cause, Kind
from podgym.envs.build.repair.classify import classify, lacks_image
from podgym.envs.build.repair.failure import BuildFailure
from podgym.envs.build.repair.progress import further
from podgym.envs.build.repair.remedies import Remedy, remedies

__all__ = ["BuildFailure", "Cause", "Kind", "Remedy", "classify", "further", "lacks_image", "remedies"]
