"""What a rollout was worth. An unscored verdict is not a reward of 0: it says why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["OF_THE_MOMENT", "DroppedChange", "Failure", "TestOutcome", "UnscoredReason", "Verdict"]

TestOutcome = Literal["passed", "failed", "error", "skipped", "missing"]

UnscoredReason = Literal["sandbox_lost", "transport", "image", "quota", "isolation", "grader", "cancelled"]
"""Infrastructure only. What the agent can cause (tests that hang or exhaust memory, a change too large) is scored."""

Failure = Literal[
    "failed", "refused", "timed_out", "out_of_memory", "killed", "no_report", "malformed_report", "nothing_ran", "disagrees", "bent"
]  # fmt: skip
"""Why a scored verdict is not full marks: tests that ran and did not pass (`failed`), a change that cannot be graded (`refused`),
a run that ended or reported in another way than by its tests, or code that passes tests which no solution passes (`bent`)."""

OF_THE_MOMENT: Final[frozenset[Failure]] = frozenset({"timed_out", "killed"})
"""Failures that a busy machine may be to blame for: such a run is repeated once, and a verdict by it is never remembered."""


class DroppedChange(BaseModel):
    """A part of the agent's change that was not graded, and why."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    reason: str


class Verdict(BaseModel):
    """`scored` with a reward, or `unscored` with a reason; never both."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: Literal["scored", "unscored"]
    reward: float | None = None
    components: Mapping[str, float] = Field(default_factory=dict)
    """Named parts that the reward was made from."""
    tests: Mapping[str, TestOutcome] = Field(default_factory=dict)
    """Outcome of every required test id."""
    reason: UnscoredReason | None = None
    failure: Failure | None = None
    """None where the reward is what it is by its tests or its program alone."""
    message: str = ""
    diff: str = ""
    """The change that was graded; bytes that are not UTF-8 become U+FFFD."""
    dropped: tuple[DroppedChange, ...] = ()
    cached: bool = False
    """Taken from an earlier grading of the same change to the same deterministic task."""
    seconds: float = 0.0

    @model_validator(mode="after")
    def _one_of_both(self) -> Verdict:
        if self.status == "scored" and (self.reward is None or self.reason is not None):
            raise ValueError("A scored verdict has a reward and no reason.")
        if self.status == "unscored" and (self.reward is not None or self.reason is None):
            raise ValueError("An unscored verdict has a reason and no reward.")
        if self.failure is not None and (self.status == "unscored" or self.reward == 1.0):
            raise ValueError("Only a scored verdict of less than 1 has a failure.")
        return self

    @classmethod
    def unscored(cls, reason: UnscoredReason, message: str, *, seconds: float = 0.0) -> Verdict:
        """A verdict for a failure of the infrastructure."""
        return cls(status="unscored", reason=reason, message=message, seconds=seconds)
