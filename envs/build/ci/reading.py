"""All CI files of a repository to one set of facts, the best evidence first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from podgym.envs.build.ci.azure import read_azure
from podgym.envs.build.ci.circleci import read_circleci
from podgym.envs.build.ci.dockerfiles import read_devcontainers, read_dockerfiles
from podgym.envs.build.ci.facts import CiFacts
from podgym.envs.build.ci.gathering import Gathering
from podgym.envs.build.ci.github import read_github
from podgym.envs.build.ci.gitlab import read_gitlab
from podgym.envs.build.ci.others import read_appveyor, read_bitbucket, read_cirrus, read_drone, read_sourcehut
from podgym.envs.build.ci.travis import read_travis
from podgym.envs.build.tree import Tree

__all__ = ["read_ci"]

_READERS: Final[tuple[tuple[str, Callable[[Gathering], None]], ...]] = (
    ("GitHub Actions", read_github),
    ("GitLab CI", read_gitlab),
    ("CircleCI", read_circleci),
    ("Azure Pipelines", read_azure),
    ("Cirrus CI", read_cirrus),
    ("Travis CI", read_travis),
    ("Bitbucket", read_bitbucket),
    ("Drone", read_drone),
    ("sourcehut", read_sourcehut),
    ("AppVeyor", read_appveyor),
    ("development containers", read_devcontainers),
    ("Dockerfiles", read_dockerfiles),
)
"""An old `.travis.yml` often lies beside what is used now, so it comes late."""


def read_ci(tree: Tree) -> CiFacts:
    """What the CI files of a tree say. Whatever they hold, this returns; files that could not be read are notes."""
    gathering = Gathering(tree)
    for name, read in _READERS:
        try:
            read(gathering)
        except (AttributeError, IndexError, KeyError, RecursionError, TypeError, ValueError) as error:
            # A reader that a file of strangers leads astray costs its own facts, not the build.
            gathering.note(f"The files of {name} were read in part: {type(error).__name__}.")
    return gathering.facts()
