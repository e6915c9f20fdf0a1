"""A remedy, and the case that it is for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from podgym.envs.build.catalogue import BaseImage, Catalogue, Tool
from podgym.envs.build.plan import BuildPlan
from podgym.envs.build.repair.causes import Cause
from podgym.envs.build.repair.edits import with_base
from podgym.envs.build.repair.failure import BuildFailure

__all__ = ["Case", "Remedy", "Table", "another_system", "another_toolchain", "tool_of"]


@dataclass(frozen=True, slots=True)
class Remedy:
    """A changed plan, or what a plan is to be made anew with, because its steps hang on it."""

    name: str
    """The same for the same change: what was tried is not tried again."""
    because: str
    plan: BuildPlan
    """Where a plan is to be made anew: the failed one on another image, with the steps that were planned for its own."""
    toolchain: str = ""
    """Make the plan anew for this version of the tools."""
    absent: str = ""
    """Make the plan anew without this base image, which cannot be had."""
    without: str = ""
    """Make the plan anew without this build system. No change to the failed plan comes to the same, so `plan` is that."""

    @property
    def anew(self) -> bool:
        """Whether a plan is to be made anew."""
        return bool(self.toolchain or self.absent or self.without)


@dataclass(frozen=True, slots=True)
class Case:
    """One failure of one plan."""

    plan: BuildPlan
    failure: BuildFailure
    causes: tuple[Cause, ...]
    catalogue: Catalogue

    @property
    def tool(self) -> Tool:
        """Of the plan's language."""
        return tool_of(self.plan)

    def subjects(self, kind: str) -> list[str]:
        """Of all causes of a kind."""
        return [cause.subject for cause in self.causes if cause.kind == kind]


Table = dict[str, Callable[[Case, Cause], Iterator[Remedy]]]
"""By the kind of a cause: remedies for it, best first."""


def another_toolchain(case: Case, image: BaseImage, why: str) -> Remedy:
    """`why` is a sentence."""
    return Remedy(f"toolchain:{case.tool} {image.version}", f"{why} So {image.name}.", with_base(case.plan, image, why), image.version)


def another_system(case: Case, why: str) -> Remedy:
    """Whatever else builds the project. `why` is a sentence."""
    return Remedy(f"without:{case.plan.build_system}", why, case.plan, without=case.plan.build_system)


def tool_of(plan: BuildPlan) -> Tool:
    """The catalogue's name for the toolchain of a plan's language."""
    match plan.language:
        case "javascript" | "typescript":
            return "node"
        case "c" | "cpp":
            return "native"
        case "python" | "java" | "go" | "rust":
            return plan.language
