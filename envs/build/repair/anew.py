"""A plan made anew: for another toolchain, without an image that cannot be had, or by another build system.

The steps of a plan hang on all three, so they are planned again from the same files. What the plan's maker added to the language
module's own plan (a mirror, limits) is added again, and so are the remedies that had helped, by their names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from podgym.envs.build.errors import BuildError
from podgym.envs.build.languages.contract import LanguageModule, PlanRequest
from podgym.envs.build.plan import BuildPlan
from podgym.envs.build.repair.failure import BuildFailure
from podgym.envs.build.repair.remedies import Remedy, remedies
from podgym.envs.repository import RepositoryError

__all__ = ["Helped", "Replanned", "Replanner"]

_MAKERS: Final = frozenset({"mirror", "ca_bundle", "limits", "changed", "notes"})
"""What a plan's maker may set in the language module's plan."""


@dataclass(frozen=True, slots=True)
class Helped:
    """A remedy that a plan already has, and the failure that it was for."""

    failure: BuildFailure
    name: str


@dataclass(frozen=True, slots=True)
class Replanned:
    """A plan, and what it was made from."""

    request: PlanRequest
    plan: BuildPlan
    helped: tuple[Helped, ...]
    """Remedies that were added to it again."""


@dataclass(frozen=True, slots=True)
class Replanner:
    """Of one project at one commit. Reads its files and blocks."""

    module: LanguageModule
    request: PlanRequest
    _added: Mapping[str, Any]
    _notes: tuple[str, ...]

    @classmethod
    def of(cls, module: LanguageModule, request: PlanRequest, plan: BuildPlan) -> Replanner | None:
        """None where `plan` is not what `request` comes to: it was edited, or the files that it was made from are no longer there."""
        own = _planned(module, request)
        if own is None:
            return None
        added = {name: getattr(plan, name) for name in BuildPlan.model_fields if getattr(plan, name) != getattr(own, name)}
        if added.keys() - _MAKERS or added.get("changed"):
            return None
        notes = tuple(note for note in plan.notes if note not in own.notes)
        return cls(module, request, {name: value for name, value in added.items() if name != "notes"}, notes)

    def plan(self, remedy: Remedy, request: PlanRequest, helped: Sequence[Helped]) -> Replanned | None:
        """What the remedy asks for in place of the plan of `request`, which has what `helped`; None where that cannot be had."""
        wanted = self._wanted(remedy, request)
        own = _planned(self.module, wanted)
        if own is None or not _is(own, remedy, wanted):
            return None
        plan = own.model_copy(update={**self._added, "notes": (*own.notes, *self._notes)})
        if remedy.toolchain:
            plan = plan.model_copy(update={"why_toolchain": remedy.plan.why_toolchain})
        again = []
        for one in helped:
            offered = remedies(plan, one.failure, tried=frozenset(), catalogue=wanted.catalogue)
            found = next((other for other in offered if other.name == one.name and not other.anew), None)
            if found is not None:
                plan = found.plan
                again.append(one)
        return Replanned(wanted, plan, tuple(again))

    def _wanted(self, remedy: Remedy, request: PlanRequest) -> PlanRequest:
        if remedy.without:
            # A version that was chosen for the one build system says nothing of the other.
            return replace(request, toolchain=self.request.toolchain, without=request.without | {remedy.without})
        if remedy.absent:
            toolchain = remedy.plan.toolchain if request.toolchain else ""
            return replace(request, toolchain=toolchain, catalogue=request.catalogue.without(remedy.absent))
        return replace(request, toolchain=remedy.toolchain)


def _planned(module: LanguageModule, request: PlanRequest) -> BuildPlan | None:
    try:
        return module.plan(request)
    except (BuildError, RepositoryError):
        return None


def _is(plan: BuildPlan, remedy: Remedy, request: PlanRequest) -> bool:
    """Whether a plan is what was asked for: a module may know of nothing else to take."""
    if remedy.without:
        return plan.build_system not in request.without
    if remedy.absent:
        return plan.base not in request.catalogue.absent
    return plan.toolchain == remedy.toolchain or plan.base == remedy.plan.base
