"""CI files: the best evidence of how a project is built."""

from podgym.envs.build.ci.facts import CiFacts, CiStep
from podgym.envs.build.ci.reading import read_ci

__all__ = ["CiFacts", "CiStep", "read_ci"]
