"""What a run of the tests says of a mutation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from podgym.verifiers import TestOutcome, TestReport

__all__ = ["Baseline", "Judgement", "Outcome", "baseline_of", "judge"]

Outcome = Literal["bug", "survived", "broken", "hung", "everything", "repeated", "unsteady", "unfit"]
"""`bug`: some tests fail, and that is what is wanted. `broken`: no whole report, or nothing that was collected fails by itself, which is
what a build or an import that fails looks like. `everything`: too many fail. `repeated`: another mutation of the place fails the same
tests. `unsteady`: the second run did not agree. `unfit`: no task could be made of it."""

_FEW = 3
"""So many tests may all fail: a suite of so few says one thing in each about the whole project."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """The unchanged project."""

    stable: tuple[str, ...]
    """Ids that passed in every run, in the order of the report."""
    flaky: tuple[str, ...]
    total: int
    duration_s: float
    """Of the slowest run."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """Of one run."""

    outcome: Outcome
    failing: tuple[str, ...] = ()
    """Stable ids that did not pass."""
    why: str = ""


def baseline_of(reports: Sequence[TestReport]) -> Baseline:
    """What several whole runs agree on."""
    seen: dict[str, None] = {identity: None for report in reports for identity in report.outcomes}
    steady = {identity: {report.outcomes.get(identity) == "passed" for report in reports} for identity in seen}
    return Baseline(
        stable=tuple(identity for identity, passed in steady.items() if passed == {True}),
        flaky=tuple(sorted(identity for identity, passed in steady.items() if len(passed) > 1)),
        total=len(seen),
        duration_s=max((report.duration_s for report in reports), default=0.0),
    )


def judge(report: TestReport, stable: Sequence[str], *, share: float) -> Judgement:
    """Whether a mutation is a bug that tests find, and some tests do not mind."""
    if report.problem == "timed_out":
        return Judgement("hung", why=report.message)
    if report.problem is not None:
        return Judgement("broken", why=report.message)
    failing = failing_of(report.outcomes, stable)
    if not failing:
        return Judgement("survived")
    if not any(report.outcomes.get(identity) in ("failed", "error") for identity in failing):
        return Judgement("broken", failing, "tests are missing from the report, and none of the others fails")
    if len(failing) > max(_FEW, share * len(stable)):
        return Judgement("everything", failing, f"{len(failing)} of {len(stable)} tests fail")
    return Judgement("bug", failing)


def failing_of(outcomes: Mapping[str, TestOutcome], stable: Sequence[str]) -> tuple[str, ...]:
    """Those of `stable` that did not pass."""
    return tuple(identity for identity in stable if outcomes.get(identity) != "passed")
