"""The values that the Data Scheduler and its caller exchange, and how groups are made, retried and judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from podgym.errors import PodgymError

__all__ = ["Assignment", "Batch", "EvaluationReport", "Fate", "GroupReport", "Outcome", "ScheduleConfig", "SchedulerError", "Settled"]

Fate = Literal["ready", "uninformative", "unscored", "stale", "evaluated", "abandoned"]
"""What becomes of a complete group."""


class SchedulerError(PodgymError, ValueError):
    """A result that belongs to no assignment in flight, or a saved state that cannot be read."""


class ScheduleConfig(BaseModel):
    """How groups are made, retried and judged."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    group_size: int = Field(default=8, ge=1)
    """Attempts at one task that are compared with each other."""
    groups_per_step: int = Field(default=16, ge=1)
    """Groups with signal in one training batch."""
    max_in_flight_groups: int = Field(default=0, ge=0)
    """Groups started and not yet trained on, at least `groups_per_step`; 0: twice `groups_per_step`, which lets the next step's
    rollouts run while one trains, or just `groups_per_step` where that is not wanted (`pipelined`)."""
    max_groups_per_step: int = Field(default=0, ge=0)
    """Complete groups looked at before a batch goes out with fewer than `groups_per_step`; 0: four times
    `groups_per_step`."""
    pipelined: bool = True
    """Start rollouts of the next step while one trains. False: strictly on policy, and slower; groups of older weights are dropped."""
    max_attempts: int = Field(default=3, ge=1)
    """Tries of one rollout that infrastructure failures end, before it is masked."""
    max_task_failures: int = Field(default=2, ge=1)
    """Groups of one task in a row without a single reward, before the task is set aside."""
    max_staleness: int = Field(default=4, ge=0)
    """Weight versions that the oldest token of a group may be behind the trainer."""
    stale: Literal["drop", "keep"] = "drop"
    """What happens to a group that is staler than that."""
    drop_uninformative: bool = True
    """Leave out groups whose rewards are all equal."""
    min_share: float = Field(default=0.1, gt=0, le=1)
    """Least weight of a task, however well or badly it is solved."""
    temperature: float = Field(default=1.0, gt=0)
    """Sampling temperature of training rollouts."""

    @model_validator(mode="after")
    def _comparable(self) -> ScheduleConfig:
        if self.drop_uninformative and self.group_size < 2:
            raise ValueError("group_size must be at least 2 where drop_uninformative is true: one reward has nothing to differ from.")
        if 0 < self.max_in_flight_groups < self.groups_per_step:
            raise ValueError(
                f"max_in_flight_groups is {self.max_in_flight_groups}, but a step needs groups_per_step = {self.groups_per_step} at once."
            )
        return self

    @property
    def open_limit(self) -> int:
        """`max_in_flight_groups`, resolved."""
        return self.max_in_flight_groups or (2 if self.pipelined else 1) * self.groups_per_step

    @property
    def staleness_limit(self) -> int:
        """Versions that a group may be behind; unlimited ones are kept by `stale`."""
        return self.max_staleness if self.pipelined else 0

    @property
    def look_limit(self) -> int:
        """`max_groups_per_step`, resolved."""
        return max(self.max_groups_per_step or 4 * self.groups_per_step, self.groups_per_step)


@dataclass(frozen=True, slots=True)
class Assignment:
    """One try of one rollout."""

    rollout_id: str
    group_id: str
    task_id: str
    index: int
    attempt: int
    split: str
    step: int | None
    temperature: float
    last: bool = False
    """No other try follows an infrastructure failure of this one."""
    avoid: str = ""
    """Where the try before this one failed; another place is better."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one assignment ended."""

    rollout_id: str
    status: Literal["scored", "unscored", "cancelled"]
    reward: float | None = None
    reason: str = ""
    oldest_version: int = 0
    newest_version: int = 0
    where: str = ""
    trainable: bool = True
    """A reward that takes no part in training masks its member."""
    lost: bool = False
    """Its process died with others in flight: a failed try, but no sign that nothing can be judged."""


@dataclass(frozen=True, slots=True)
class GroupReport:
    """A complete group and what became of it."""

    group_id: str
    task_id: str
    split: str
    fate: Fate
    rollouts: tuple[str, ...]
    """Ids of the scored members' rollouts, by index."""
    rewards: tuple[float, ...]
    oldest_version: int


@dataclass(frozen=True, slots=True)
class Settled:
    """What one outcome led to."""

    fate: Literal["kept", "retried", "masked", "dropped"]
    group: GroupReport | None = None
    """The group, where this outcome completed it."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Groups to train on; possibly fewer than asked for, possibly none."""

    groups: tuple[GroupReport, ...]
    looked_at: int
    """Groups completed since the batch before."""


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """A complete evaluation."""

    name: str
    version: int
    rewards: tuple[float, ...]
    unscored: int
