"""A remedy, and the case that it is for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from podgym.envs.build.catalogue import Catalogue, Tool
from podgym.envs.build.plan import BuildPlan
from podgym.envs.build.repair.causes import Cause
from podgym.envs.build.repair.failure import BuildFailure

__all__ = ["Case", "Remedy", "Table", "tool_of"]


@dataclass(frozen=True, slots=True)
class Remedy:
    """A changed plan."""

    name: str
    """The same for the same change: what was tried is not tried again."""
    because: str
    plan: BuildPlan
    toolchain: str = ""
    """The version that the plan was changed to, for whoever would rather plan anew with it; empty for other changes."""


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


def tool_of(plan: BuildPlan) -> Tool:
    """The catalogue's name for the toolchain of a plan's language."""
    match plan.language:
        case "javascript" | "typescript":
            return "node"
        case "c" | "cpp":
            return "native"
        case "python" | "java" | "go" | "rust":
            return plan.language
