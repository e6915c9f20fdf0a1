"""Whether a changed plan came further than the one that it was made from, and so is the one to go on with."""

from __future__ import annotations

from podgym.envs.build.plan import BuildPlan
from podgym.envs.build.repair.classify import classify
from podgym.envs.build.repair.failure import BuildFailure

__all__ = ["further"]


def further(plan: BuildPlan, before: BuildFailure, changed: BuildPlan, after: BuildFailure) -> bool:
    """`plan` failed with `before`, and `changed`, made from it, with `after`.

    Tests come after the image, a later step after an earlier one, counted from the end because a remedy may put steps before others.
    At the same place it came further where the surest cause of before is no longer among the causes. Otherwise the change
    helped nothing: the next remedy starts from `plan` again.
    """
    place, reached = _place(plan, before), _place(changed, after)
    if place != reached:
        return reached > place
    causes = [(cause.kind, cause.subject) for cause in classify(before, plan)]
    left = {(cause.kind, cause.subject) for cause in classify(after, changed)}
    return bool(causes) and causes[0] not in left


def _place(plan: BuildPlan, failure: BuildFailure) -> tuple[int, int]:
    if failure.stage == "tests":
        return 2, 0
    return (0, 0) if failure.step is None else (1, failure.step - len(plan.steps))
