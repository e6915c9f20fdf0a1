"""The Data Scheduler: which task next, what to do with a result, and when a batch is ready to train on.

Pure logic. It does no I/O and has no clock, so the driver, a simulator and property tests run the same code, and its
whole state is one JSON value. The caller asks for assignments, reports exactly one outcome for each, takes batches and
says when a version was trained.

* Tasks are picked by stride scheduling: a task's turn comes back after `1 / weight` rounds, its weight being the
  chance that a group of it holds both a success and a failure, judged from its (fading) history and never below
  `min_share`. So a task that is always or never solved is seen seldom, and no task is starved.
* A group is complete when each member has a reward or is masked. A complete group whose rewards are all equal
  teaches nothing: it is dropped and a new prompt is started in its place.
* An infrastructure failure is retried up to `max_attempts` times, then the member is masked; it is never a reward of 0. A
  task whose groups end wholly masked `max_task_failures` times in a row is set aside.
* Groups that are too stale for the trainer's version are dropped (or kept, by configuration).
* An evaluation's groups go first, and no batch is taken until they are complete, so that it sees one version.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from pydantic import ValidationError

from podgym.rollout.groups import Evaluation, Group, Member, State
from podgym.rollout.schedule import Assignment, Batch, EvaluationReport, Fate, GroupReport, Outcome, ScheduleConfig, SchedulerError, Settled
from podgym.rollout.taskorder import TaskOrder

__all__ = ["Scheduler"]

TRAIN = "train"
EVALUATION = "evaluation"


class Scheduler:
    """See the module's text. `tasks` are the training tasks' ids; an evaluation brings its own."""

    def __init__(self, tasks: Sequence[str], config: ScheduleConfig, *, seed: int = 0) -> None:
        self._config = config
        self._state = State()
        self._order = TaskOrder(tasks, self._state.tasks, config, seed=seed)

    def _learn(self, group: Group, rewards: Sequence[float]) -> None:
        if group.task_id in self._state.tasks:
            self._order.learn(group.task_id, rewards)

    # -- assignments ---------------------------------------------------------------------------------------------

    def next_assignments(self, capacity: int) -> list[Assignment]:
        """At most `capacity` new assignments, retries first. Fewer where the bounds on groups in flight say so."""
        made: list[Assignment] = []
        while len(made) < capacity:
            if not self._state.queue and not self._open_group():
                break
            made.append(self._assign(*self._state.queue.pop(0)))
        return made

    def _open_group(self) -> bool:
        state = self._state
        unused = sum(1 for group in state.groups.values() if not group.evaluation and not group.abandoned)
        waits = state.training > 0 and not self._config.pipelined
        if state.draining or waits or unused >= self._config.open_limit:
            return False
        task_id = self._order.pick()
        if task_id is None:
            return False
        self._new_group(task_id, TRAIN, self._config.group_size, self._config.temperature, evaluation=False)
        return True

    def _new_group(self, task_id: str, split: str, size: int, temperature: float, *, evaluation: bool) -> None:
        state = self._state
        group_id = f"{'e' if evaluation else 'g'}{state.groups_made:06d}{self._lives}"
        state.groups_made += 1
        members = [Member() for _ in range(size)]
        state.groups[group_id] = Group(task_id=task_id, split=split, evaluation=evaluation, temperature=temperature, members=members)
        state.queue.extend((group_id, index) for index in range(size))

    @property
    def _lives(self) -> str:
        """In every id made after a resume: what ran after the last save used ids that the saved state does not know."""
        return f"r{self._state.life}" if self._state.life else ""

    def _assign(self, group_id: str, index: int) -> Assignment:
        group = self._state.groups[group_id]
        member = group.members[index]
        member.state = "running"
        again = f"-try{member.attempt}" if member.attempt else ""
        member.rollout_id = f"{group_id}-{index}{again}" + ("" if group_id.endswith(self._lives) else self._lives)
        self._state.running[member.rollout_id] = (group_id, index)
        return Assignment(
            rollout_id=member.rollout_id,
            group_id=group_id,
            task_id=group.task_id,
            index=index,
            attempt=member.attempt,
            split=group.split,
            step=None if group.evaluation else self._state.step,
            temperature=group.temperature,
            last=member.failures + 1 >= self._config.max_attempts,
            avoid=member.avoid,
        )

    # -- outcomes ------------------------------------------------------------------------------------------------

    def finished(self, outcome: Outcome) -> Settled:
        """Report how an assignment ended; exactly once for each. Raises `SchedulerError` for one not in flight."""
        place = self._state.running.pop(outcome.rollout_id, None)
        if place is None:
            raise SchedulerError(
                f"Rollout {outcome.rollout_id!r} ended, but no such assignment is in flight.",
                remedy="Report each assignment's outcome once.",
            )
        group_id, index = place
        group = self._state.groups[group_id]
        member = group.members[index]
        bound = self._state.suspects.pop(outcome.rollout_id, None)
        fate = self._settle(group, member, outcome, lost_weights=bound is not None and outcome.newest_version > bound)
        if fate == "retried":
            self._state.queue.insert(0, (group_id, index))
            return Settled("retried")
        return Settled(fate, self._close(group_id, group) if group.complete else None)

    def _settle(
        self, group: Group, member: Member, outcome: Outcome, *, lost_weights: bool
    ) -> Literal["kept", "retried", "masked", "dropped"]:
        if outcome.status == "scored" and outcome.reward is not None and not lost_weights:
            self._state.unscored_streak = 0
            self._state.ever_scored = True
            if not outcome.trainable and not group.evaluation:
                member.state = "masked"
                return "dropped" if group.abandoned else "masked"
            member.state, member.reward = "done", outcome.reward
            member.oldest, member.newest = outcome.oldest_version, outcome.newest_version
            return "dropped" if group.abandoned else "kept"
        if outcome.status == "unscored":
            self._state.unscored_streak += not outcome.lost
            member.failures += 1
        if group.abandoned:
            member.state = "masked"
            return "dropped"
        if outcome.status == "unscored" and member.failures >= self._config.max_attempts:
            member.state = "masked"
            return "masked"
        member.state, member.attempt, member.avoid = "waiting", member.attempt + 1, outcome.where
        return "retried"

    def _close(self, group_id: str, group: Group) -> GroupReport:
        state = self._state
        done = [member for member in group.members if member.state == "done"]
        rewards = [member.reward for member in done if member.reward is not None]
        fate: Fate = "ready"
        if group.abandoned:
            fate = "abandoned"
        elif group.evaluation:
            fate = "evaluated"
            if state.evaluation is not None:
                state.evaluation.pending -= 1
                state.evaluation.rewards.extend(rewards)
                state.evaluation.unscored += len(group.members) - len(rewards)
        else:
            state.looked_at += 1
            self._learn(group, rewards)
            if not rewards:
                fate = "unscored"
            elif self._config.drop_uninformative and max(rewards) - min(rewards) <= 1e-9:
                fate = "uninformative"
            elif self._stale(group):
                fate = "stale"
        if fate == "ready":
            state.ready.append(group_id)
        else:
            del state.groups[group_id]
        return group.report(group_id, fate)

    def _stale(self, group: Group) -> bool:
        drop = self._config.stale == "drop" or not self._config.pipelined
        return drop and self._state.version - group.oldest > self._config.staleness_limit

    # -- batches -------------------------------------------------------------------------------------------------

    def batch_ready(self) -> bool:
        """Whether `take_batch` would give a whole batch, or as much of one as this step may wait for."""
        if self._state.evaluation is not None:
            return False
        return len(self._state.ready) >= self._config.groups_per_step or self._state.looked_at >= self._config.look_limit

    def take_batch(self) -> Batch:
        """The oldest ready groups. They leave the scheduler; call `trained` once they were used."""
        state = self._state
        taken, state.ready = state.ready[: self._config.groups_per_step], state.ready[self._config.groups_per_step :]
        groups = tuple(state.groups.pop(group_id).report(group_id, "ready") for group_id in taken)
        looked_at, state.looked_at = state.looked_at, 0
        state.training = len(groups)
        state.step += 1
        return Batch(groups, looked_at)

    def trained(self, version: int) -> tuple[GroupReport, ...]:
        """The batch taken last was trained on and the policy now has `version`. Returns groups that became stale."""
        self._state.version, self._state.training = version, 0
        return self._state.drop_ready("stale", self._stale)

    def roll_back(self, version: int, step: int) -> tuple[str, ...]:
        """The policy lost everything after `version`: what newer weights sampled is dropped or sampled again.

        Returns the rollouts that are not trained on. Assignments in flight go on; those that turn out to have tokens of lost weights
        are sampled again. An evaluation of lost weights is given up; begin it again.
        """
        state = self._state
        if state.evaluation is not None and state.evaluation.version > version:
            self._state.abandon(lambda group: group.evaluation)
            state.evaluation = None
        state.version, state.step, state.training, state.draining = version, step, 0, False
        dropped = [rollout for group in self._state.drop_ready("stale", lambda group: group.newest > version) for rollout in group.rollouts]
        state.suspects |= {rollout_id: min(version, state.suspects.get(rollout_id, version)) for rollout_id in state.running}
        for group_id, group in state.groups.items():
            for index, member in enumerate(group.members):
                if member.state == "done" and member.newest > version and group_id not in state.ready:
                    dropped.append(member.rollout_id)
                    member.state, member.reward, member.attempt = "waiting", None, member.attempt + 1
                    state.queue.append((group_id, index))
        return tuple(dropped)

    # -- evaluation and the end ----------------------------------------------------------------------------------

    def begin_evaluation(self, name: str, tasks: Iterable[str], *, rollouts: int, temperature: float, split: str = EVALUATION) -> None:
        """Queue `rollouts` attempts at each task ahead of all training. One evaluation at a time."""
        if self._state.evaluation is not None:
            raise SchedulerError(f"Evaluation {self._state.evaluation.name!r} is not complete yet.", remedy="Wait for it before another.")
        waiting, self._state.queue = self._state.queue, []
        count = 0
        for task_id in tasks:
            self._new_group(task_id, split, rollouts, temperature, evaluation=True)
            count += 1
        self._state.queue.extend(waiting)
        self._state.evaluation = Evaluation(name=name, version=self._state.version, pending=count)

    @property
    def evaluating(self) -> bool:
        """Whether an evaluation was begun and not yet taken."""
        return self._state.evaluation is not None

    def evaluation_done(self) -> bool:
        """Whether the evaluation begun last is complete and not yet taken."""
        return self._state.evaluation is not None and self._state.evaluation.pending == 0

    def take_evaluation(self) -> EvaluationReport:
        """The complete evaluation; training may go on."""
        evaluation = self._state.evaluation
        if evaluation is None or evaluation.pending:
            raise SchedulerError("No evaluation is complete.", remedy="Ask `evaluation_done` first.")
        self._state.evaluation = None
        return EvaluationReport(evaluation.name, evaluation.version, tuple(evaluation.rewards), evaluation.unscored)

    def drain(self) -> tuple[str, ...]:
        """Start no more training groups and give up those that are open. Returns the rollouts to cancel."""
        state = self._state
        state.draining = True
        for group_id in state.ready:
            del state.groups[group_id]
        state.ready = []
        return self._state.abandon(lambda group: not group.evaluation)

    # -- state ---------------------------------------------------------------------------------------------------

    @property
    def step(self) -> int:
        """Batches taken so far."""
        return self._state.step

    @property
    def version(self) -> int:
        """Weight version that new rollouts start with."""
        return self._state.version

    @property
    def in_flight(self) -> int:
        """Assignments handed out and not ended."""
        return len(self._state.running)

    @property
    def unscored_streak(self) -> int:
        """Unscored outcomes since the last scored one."""
        return self._state.unscored_streak

    @property
    def set_aside(self) -> tuple[str, ...]:
        """Tasks that only ever failed for reasons of infrastructure."""
        return self._order.set_aside

    @property
    def exhausted(self) -> bool:
        """Whether every training task was set aside and nothing is left to wait for."""
        return not self._order.left and not self._state.queue and not self._state.running

    def kept_rollouts(self) -> tuple[str, ...]:
        """Scored rollouts of training groups that are open or ready: what a resumed driver needs the trajectories of."""
        return tuple(
            member.rollout_id
            for group in self._state.groups.values()
            if not group.evaluation
            for member in group.members
            if member.state == "done"
        )

    def snapshot(self) -> dict[str, Any]:
        """The whole state as a JSON value."""
        return self._state.model_dump(mode="json")

    @classmethod
    def restore(cls, tasks: Sequence[str], config: ScheduleConfig, snapshot: Mapping[str, Any], *, seed: int = 0) -> Scheduler:
        """A scheduler in the state of `snapshot`; tasks that are new are added, tasks that are gone are not picked again."""
        scheduler = cls((), config, seed=seed)
        try:
            scheduler._state = State.model_validate(snapshot)
        except ValidationError as error:
            raise SchedulerError(
                f"The saved scheduler state cannot be read: {error}", remedy="Start a new run instead of resuming this one."
            ) from error
        scheduler._order = TaskOrder(tasks, scheduler._state.tasks, config, seed=seed)
        return scheduler

    def requeue_running(self) -> tuple[str, ...]:
        """Forget what was in flight (its driver is gone) and queue it again as new tries. Returns the lost rollouts.

        Ids made from now on differ from all that the lost driver can have made.
        """
        return self._state.requeue_running()
