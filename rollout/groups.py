"""The scheduler's whole state: groups with their members, what waits, what runs, the evaluation, the tasks' histories.

One JSON value; what belongs to the state alone is done here, what follows from the configuration in the scheduler.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from pydantic import BaseModel, Field

from podgym.rollout.schedule import Fate, GroupReport
from podgym.rollout.taskorder import TaskHistory

__all__ = ["Evaluation", "Group", "Member", "State"]


class Member(BaseModel):
    """One attempt of a group, through all its tries."""

    state: Literal["waiting", "running", "done", "masked"] = "waiting"
    attempt: int = 0
    failures: int = 0
    reward: float | None = None
    rollout_id: str = ""
    oldest: int = 0
    newest: int = 0
    avoid: str = ""


class Group(BaseModel):
    """Attempts at one task."""

    task_id: str
    split: str
    evaluation: bool
    temperature: float
    members: list[Member]
    abandoned: bool = False

    @property
    def complete(self) -> bool:
        """Each member has a reward or is masked."""
        return all(member.state in {"done", "masked"} for member in self.members)

    @property
    def oldest(self) -> int:
        """Weight version of the oldest token."""
        return min((member.oldest for member in self.members if member.state == "done"), default=0)

    @property
    def newest(self) -> int:
        """Weight version of the newest token."""
        return max((member.newest for member in self.members if member.state == "done"), default=0)

    def report(self, group_id: str, fate: Fate) -> GroupReport:
        """What there is to tell of it."""
        done = [member for member in self.members if member.state == "done" and member.reward is not None]
        return GroupReport(
            group_id=group_id,
            task_id=self.task_id,
            split=self.split,
            fate=fate,
            rollouts=tuple(member.rollout_id for member in done),
            rewards=tuple(member.reward for member in done if member.reward is not None),
            oldest_version=self.oldest,
        )


class Evaluation(BaseModel):
    """The one that runs."""

    name: str
    version: int
    pending: int
    rewards: list[float] = Field(default_factory=list)
    unscored: int = 0


class State(BaseModel):
    """See the module's text."""

    version: int = 0
    step: int = 0
    life: int = 0
    groups_made: int = 0
    groups: dict[str, Group] = Field(default_factory=dict)
    ready: list[str] = Field(default_factory=list)
    queue: list[tuple[str, int]] = Field(default_factory=list)
    running: dict[str, tuple[str, int]] = Field(default_factory=dict)
    suspects: dict[str, int] = Field(default_factory=dict)
    """In flight when the policy went back to a version: what newer weights sampled in them is lost weights' work."""
    tasks: dict[str, TaskHistory] = Field(default_factory=dict)
    evaluation: Evaluation | None = None
    looked_at: int = 0
    training: int = 0
    draining: bool = False
    unscored_streak: int = 0
    ever_scored: bool = False

    def drop_ready(self, fate: Fate, test: Callable[[Group], bool]) -> tuple[GroupReport, ...]:
        """Let go of the complete groups that `test` says."""
        dropped = [group_id for group_id in self.ready if test(self.groups[group_id])]
        self.ready = [group_id for group_id in self.ready if group_id not in dropped]
        return tuple(self.groups.pop(group_id).report(group_id, fate) for group_id in dropped)

    def abandon(self, test: Callable[[Group], bool]) -> tuple[str, ...]:
        """Give up the groups that `test` says; those in flight stay until they end. Returns the rollouts in flight."""
        running: list[str] = []
        for group_id, group in list(self.groups.items()):
            if not test(group):
                continue
            group.abandoned = True
            for member in group.members:
                if member.state == "waiting":
                    member.state = "masked"
                elif member.state == "running":
                    running.append(member.rollout_id)
            if group.complete:
                del self.groups[group_id]
        self.queue = [place for place in self.queue if place[0] in self.groups and not self.groups[place[0]].abandoned]
        return tuple(running)

    def requeue_running(self) -> tuple[str, ...]:
        """Forget what was in flight and queue it again as new tries, in a new life. Returns the lost rollouts."""
        self.life += 1
        lost = tuple(self.running)
        for group_id, index in self.running.values():
            group = self.groups[group_id]
            member = group.members[index]
            if group.abandoned:
                member.state = "masked"
                continue
            member.state, member.attempt = "waiting", member.attempt + 1
            self.queue.insert(0, (group_id, index))
        self.running, self.suspects = {}, {}
        for group_id in [known for known, group in self.groups.items() if group.abandoned and group.complete]:
            del self.groups[group_id]
        return lost
