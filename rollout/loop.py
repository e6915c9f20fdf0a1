"""The driver: runs a job from its first rollout to its summary.

One event loop. Results come in from the fleet and go to the scheduler, which says what to start next; the main coroutine looks
at the scheduler after each change and does the one thing that is due: take an evaluation, train on a batch, or finish. While
it waits for the trainer, rollouts of the next step run.

Everything that is needed to go on is in the run's folder after each step. SIGINT or SIGTERM ends the run in order: rollouts are given up,
sandboxes closed, traces and index written, weights saved, processes ended; a second one skips what takes time.
"""

from __future__ import annotations

import asyncio
import logging
import pickle
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from podgym.errors import PodgymError
from podgym.rollout.actors import ActorLost
from podgym.rollout.checkpoints import Checkpoints, sweep_unfinished
from podgym.rollout.ending import Ending, RunFailed, RunStopped
from podgym.rollout.evaluations import AFTER, ROLLOUTS, Evaluations
from podgym.rollout.fleet import MOST_DEATHS, Fleet
from podgym.rollout.goal import steps_needed
from podgym.rollout.intake import Intake
from podgym.rollout.job import JobConfig
from podgym.rollout.progress import Progress, save_progress
from podgym.rollout.report import GAP_WITH_REPLAY, GAP_WITHOUT_REPLAY, RunSummary, StepReport
from podgym.rollout.result import RolloutResult
from podgym.rollout.schedule import Batch, ScheduleConfig
from podgym.rollout.scheduler import TRAIN, Scheduler
from podgym.rollout.shelf import Shelf
from podgym.rollout.tally import Tally, Totals
from podgym.rollout.tasksource import TaskSource
from podgym.rollout.watchdog import ProcessId
from podgym.traces.index import IndexWriter
from podgym.traces.store import RunDir

__all__ = ["Driver"]

SAVE_EVERY_S = 10.0
STOP_TRAINING_S = 15.0
_log = logging.getLogger(__name__)


class Driver:
    """One life of one run. Implements `Listener`."""

    def __init__(
        self,
        job: JobConfig,
        run: RunDir,
        *,
        sources: dict[str, TaskSource],
        index: IndexWriter,
        driver: ProcessId,
        progress: Progress | None = None,
        on_processes: Callable[[Mapping[str, ProcessId]], None] | None = None,
        on_step: Callable[[StepReport], None] | None = None,
    ) -> None:
        self._job, self._run, self._index = job, run, index
        self._on_step, self._on_processes = on_step, on_processes
        self._config: ScheduleConfig = job.train or ScheduleConfig(group_size=1, drop_uninformative=False)
        self._fleet = Fleet(job, run, driver, self)
        self._shelf = Shelf()
        self._evaluations = Evaluations(job, sources)
        self._checkpoints = Checkpoints(job, run, self._fleet, progress.checkpoint if progress is not None else None)
        self._changed = asyncio.Event()
        self._ending = Ending()
        self._policy_down = self._untrained = False
        self._policy_deaths = 0
        """Since the last step that was trained or, where nothing is, since the last rollout that ended."""
        self._began = self._step_began = self._saved = self._moved = time.monotonic()
        tasks = list(sources[TRAIN].tasks)
        if progress is None:
            self._tally = Tally()
            self._scheduler = Scheduler(tasks, self._config, seed=job.run.seed)
        else:
            self._tally = Tally(progress.totals)
            self._scheduler = Scheduler.restore(tasks, self._config, progress.scheduler, seed=job.run.seed)
            self._take_up()
        self._intake = Intake(scheduler=self._scheduler, tally=self._tally, shelf=self._shelf, index=index)
        self._steps = self._steps_needed()
        if job.train is None:
            self._scheduler.drain()
        self._earlier_s = self._tally.totals.seconds

    def _take_up(self) -> None:
        sweep_unfinished(self._run)
        lost = self._scheduler.requeue_running()
        self._tally.totals.resumed += 1
        self._tally.lost(lost)
        self._roll_back()
        self._shelf.reload(self._run, self._scheduler.kept_rollouts())
        _log.info(
            "Resumed at step %d, version %d; %d tries were lost: %s",
            self._scheduler.step, self._scheduler.version, len(lost), ", ".join(lost[:20]) or "none",
        )  # fmt: skip

    # -- the main line -------------------------------------------------------------------------------------------

    async def play(self) -> None:
        """Until the job is done. Raises `RunStopped`, `RunFailed`, or what made the run fail."""
        starting = asyncio.create_task(self._fleet.start(checkpoint=self._checkpoints.path, version=self._checkpoints.version))
        await self._ending.interrupting(starting)
        self._step_began = self._moved = time.monotonic()
        self.save()
        while not await self._advance():
            pass
        if self._job.train is not None:
            await self._save_weights()
        self.save()

    async def _advance(self) -> bool:
        """Do the one thing that is due; true when nothing is left to do."""
        scheduler = self._scheduler
        if scheduler.evaluation_done():
            report = scheduler.take_evaluation()
            evaluated = self._tally.evaluated(report)
            if evaluated.solve_rate is not None:
                self._index.metrics(scheduler.step, {"evaluation.solve_rate": evaluated.solve_rate})
            self._step_began = time.monotonic()
            self.save()
        elif (
            not scheduler.evaluating
            and (due := self._evaluations.due(scheduler.step, self._steps, done=self._tally.totals.evaluations)) is not None
        ):
            if due == AFTER:
                await self._save_weights()
            self._evaluations.begin(due, scheduler)
        elif scheduler.step >= self._steps and not scheduler.evaluating:
            return True
        elif scheduler.batch_ready():
            await self._train(scheduler.take_batch())
        else:
            await self._wait()
        self._pump()
        return False

    async def _train(self, batch: Batch) -> None:
        began_with = self._scheduler.version
        self._untrained = True
        groups = self._shelf.take(batch)
        if self._scheduler.step >= self._steps:
            await self._fleet.cancel(self._scheduler.drain())
        self._pump()
        metrics: dict[str, Any] = {}
        if groups:
            stall_s = self._job.run.stall_s
            training = asyncio.create_task(asyncio.wait_for(self._fleet.train(pickle.dumps(groups, protocol=5)), stall_s))
            try:
                metrics = await self._ending.interrupting(training, patience_s=STOP_TRAINING_S)
            except ActorLost:
                self._policy_down = True
                await self._wait()
                return
            except TimeoutError:
                raise RunFailed(
                    f"Training step {self._scheduler.step} took more than {stall_s:g} s.",
                    remedy="Raise run.stall_s, or train on less a step.",
                ) from None
        self._untrained, self._policy_deaths = False, 0
        version = int(metrics.pop("version", began_with))
        for group in self._scheduler.trained(version):
            self._tally.group(group)
            self._shelf.forget(group.rollouts)
        now = time.monotonic()
        report = self._tally.step(
            step=self._scheduler.step,
            steps=self._steps,
            version=version,
            seconds=now - self._step_began,
            groups=batch.groups,
            trainer=metrics,
            trained_version=began_with,
        )
        self._step_began = now
        self._index.metrics(report.step, report.metrics())
        self._steps = self._steps_needed()
        if report.step >= self._steps:
            await self._fleet.cancel(self._scheduler.drain())
        if report.step % self._job.run.checkpoint_every_steps == 0:
            await self._save_weights()
        self.save()
        if self._on_step is not None:
            self._on_step(report)

    def _steps_needed(self) -> int:
        return 0 if self._job.train is None else steps_needed(self._job.train, self._tally.totals.solve_rates)

    # -- waiting and starting ------------------------------------------------------------------------------------

    async def _wait(self) -> None:
        """Until something changed. Raises what ended the run."""
        while self._policy_down and self.over is None:
            await self._recover_policy()
        stall_s = self._job.run.stall_s
        if not self._changed.is_set() and self.over is None:
            try:
                await asyncio.wait_for(self._changed.wait(), 1.0)
            except TimeoutError:
                if time.monotonic() - self._moved > stall_s:
                    raise RunFailed(
                        f"No rollout ended for {stall_s:g} s; {self._scheduler.in_flight} are in flight.",
                        remedy="See the log and the newest traces, lower rollout.limits, or raise run.stall_s; then resume.",
                    ) from None
        self._changed.clear()
        self._ending.check()
        if time.monotonic() - self._saved > SAVE_EVERY_S:
            self.save()

    def _pump(self) -> None:
        if self.over is None and not self._policy_down and (room := self._fleet.room):
            self._fleet.place(self._scheduler.next_assignments(room))

    @property
    def over(self) -> BaseException | None:
        """Why the run ends, as soon as it does."""
        return self._ending.reason

    def stop(self, error: BaseException) -> None:
        """End the run at the next moment; the first reason stands."""
        self._ending.stop(error)
        self._changed.set()

    # -- Listener ------------------------------------------------------------------------------------------------

    def started(self, processes: Mapping[str, ProcessId]) -> None:
        """See `Listener`."""
        if self._on_processes is not None:
            self._on_processes(processes)

    def ended(self, where: str, results: Sequence[RolloutResult]) -> None:
        """See `Listener`."""
        for result in results:
            if (fatal := self._intake.take(where, result)) is not None:
                self.stop(fatal)
        if results:
            self._moved = time.monotonic()
            if self._job.train is None:
                self._policy_deaths = 0
        self._check()
        self._pump()
        self._changed.set()

    def _check(self) -> None:
        steps_left = self._job.train is not None and self._scheduler.step < self._steps
        hopeless = self._intake.hopeless(unscored_bound=self._job.run.stop_after_unscored, steps_left=steps_left)
        if hopeless is not None:
            self.stop(hopeless)

    def lost(self, where: str, rollouts: Sequence[str]) -> None:
        """See `Listener`."""
        self._intake.lose(where, rollouts)
        self._check()
        self._pump()
        self._changed.set()

    def policy_lost(self) -> None:
        """See `Listener`."""
        self._policy_down = True
        self._changed.set()

    def failed(self, error: BaseException) -> None:
        """See `Listener`."""
        self.stop(error)

    # -- weights and state ---------------------------------------------------------------------------------------

    def _roll_back(self) -> None:
        """The scheduler goes back to the weights that there are."""
        version, step = self._checkpoints.version, self._checkpoints.step
        if self._scheduler.version != version or self._scheduler.step != step:
            self._shelf.forget(self._scheduler.roll_back(version, step))
            self._tally.forget_after(version, step)
            self._steps = self._steps_needed()

    async def _recover_policy(self) -> None:
        self._policy_down = False
        self._policy_deaths += 1
        if self._policy_deaths >= MOST_DEATHS:
            raise RunFailed(
                f"The policy's process died {self._policy_deaths} times and nothing came of it.",
                remedy="Check memory (dmesg names processes that the kernel killed) and the log; then resume.",
            )
        path, version = self._checkpoints.path, self._checkpoints.version
        lost = self._scheduler.step - self._checkpoints.step
        _log.warning("The policy starts again from version %d; %d steps of training are repeated.", version, lost)
        self._roll_back()
        self._untrained = False
        restart = asyncio.create_task(self._fleet.restart_policy(checkpoint=path, version=version))
        try:
            await self._ending.interrupting(restart)
        except ActorLost as error:
            raise RunFailed("The policy's process died again while it started.", remedy="Check memory and the log; then resume.") from error
        self._moved = time.monotonic()
        self._pump()

    async def _save_weights(self) -> None:
        """A checkpoint of the present step, unless there is one."""
        try:
            await self._checkpoints.save(self._scheduler.step)
        except ActorLost:
            self._policy_down = True

    def save(self) -> None:
        """Write the progress. Raises `TraceStoreError`."""
        self._saved = time.monotonic()
        totals = self._tally.totals
        totals.seconds = self._earlier_s + self._saved - self._began
        save_progress(self._run, Progress(checkpoint=self._checkpoints.latest, scheduler=self._scheduler.snapshot(), totals=totals))

    # -- the end -------------------------------------------------------------------------------------------------

    async def close(self) -> None:
        """Give up what runs, keep the weights, end the processes.

        Where the run ends in the middle of a training step, the weights are neither that step's nor the one's before: the newest
        checkpoint stands, and a resumed run goes back to it.
        """
        if self._job.train is not None and isinstance(self.over, RunStopped) and not self._policy_down and not self._untrained:
            try:
                await asyncio.wait_for(self._save_weights(), STOP_TRAINING_S)
            except (PodgymError, TimeoutError, OSError) as error:
                _log.warning("The weights of step %d are not saved: %s", self._scheduler.step, error)
        await self._fleet.close()
        self.save()

    async def kill(self) -> None:
        """End the processes as they are."""
        await self._fleet.kill()

    @property
    def clean(self) -> bool:
        """Whether no process of the run died, so that nothing of it can be left behind."""
        return self._fleet.deaths == 0

    def summary(self, status: str, error: str = "") -> RunSummary:
        """What there is to tell so far."""
        totals: Totals = self._tally.totals
        rates = {name: item.solve_rate for name, item in totals.evaluations.items() if item.solve_rate is not None}
        whole = rates.pop(ROLLOUTS, None)
        return RunSummary(
            run_id=self._run.id,
            status=status,
            steps=self._scheduler.step - self._untrained,
            rollouts=totals.rollouts,
            unscored=sum(totals.unscored.values()),
            unscored_by_reason=dict(totals.unscored),
            masked=totals.masked,
            lost=totals.lost,
            seconds=round(self._earlier_s + time.monotonic() - self._began, 3),
            solve_rate=whole if self._job.train is None else totals.last_solve_rate,
            solve_rate_before=rates.get("before"),
            solve_rate_after=rates.get("after"),
            evaluations=rates,
            gap_with_replay=totals.gap(GAP_WITH_REPLAY),
            gap_without_replay=totals.gap(GAP_WITHOUT_REPLAY),
            sampled_tokens=totals.sampled_tokens,
            cached_verdicts=totals.cached,
            hacks=totals.hacks,
            alerts=tuple(totals.alerts),
            resumed=totals.resumed,
            lost_rollouts=tuple(totals.lost_rollouts),
            error=error,
        )
