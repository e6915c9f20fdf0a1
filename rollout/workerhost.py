"""A worker's process: runs many rollouts at once on one event loop.

It holds the sandbox provider, the environments with their tasks, the dialect and a connection to the policy; it writes each
rollout's trace file itself and tells the driver, by long poll, how rollouts ended. A failure of the infrastructure is a
result; anything else that goes wrong is `fatal`, which ends the run.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
import zlib
from collections.abc import Sequence

from podgym.envs import Task
from podgym.policy import Policy
from podgym.rollout.attempt import AttemptLost, AttemptResult, run_attempt
from podgym.rollout.dialects import Dialect
from podgym.rollout.job import JobConfig
from podgym.rollout.result import RolloutResult, pack_trajectories
from podgym.rollout.schedule import Assignment
from podgym.rollout.tasksource import TaskSource
from podgym.sandbox import SandboxProvider
from podgym.traces import Trace
from podgym.traces.events import Created
from podgym.traces.file import TraceWriter
from podgym.traces.store import RunDir
from podgym.traces.summary import summarise
from podgym.traces.trajectory import trajectories

__all__ = ["WorkerHost"]


class WorkerHost:
    """Used from one event loop; `close` ends everything."""

    def __init__(
        self,
        job: JobConfig,
        run: RunDir,
        *,
        name: str,
        concurrency: int,
        sources: dict[str, TaskSource],
        provider: SandboxProvider,
        policy: Policy,
        dialect: Dialect,
        gather_s: float = 0.05,
    ) -> None:
        """`sources` are by split, as assignments name it. `gather_s`: results that end within it travel together."""
        self._job, self._run, self.name = job, run, name
        self._sources, self._provider, self._policy, self._dialect = sources, provider, policy, dialect
        self._gather_s = gather_s
        self._slots = asyncio.Semaphore(concurrency)
        self._running: dict[str, asyncio.Task[RolloutResult]] = {}
        self._results: list[RolloutResult] = []
        self._ended = asyncio.Event()

    async def exchange(self, assignments: Sequence[Assignment], hold_s: float) -> list[RolloutResult]:
        """Start `assignments`; return what has ended, waiting at most `hold_s` for the first."""
        arrived = time.monotonic()
        for assignment in assignments:
            task = self._running[assignment.rollout_id] = asyncio.create_task(self._play(assignment))
            task.add_done_callback(functools.partial(self._done, assignment.rollout_id))
        if hold_s > 0:
            if not self._results:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._ended.wait(), hold_s)
            early = self._gather_s - (time.monotonic() - arrived)
            if early > 0 and self._results:
                await asyncio.sleep(early)
        results, self._results = self._results, []
        self._ended.clear()
        return results

    async def cancel(self, rollouts: Sequence[str]) -> None:
        """Give these up; each still ends with a result. Unknown ones have ended already."""
        for rollout_id in rollouts:
            if (task := self._running.get(rollout_id)) is not None:
                task.cancel()

    async def close(self) -> None:
        """Give everything up, close every sandbox, write every trace's end; idempotent."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._policy.close()
        await self._provider.close()

    def _done(self, rollout_id: str, task: asyncio.Task[RolloutResult]) -> None:
        """Its result, whatever became of it: a task that is cancelled before it begins has run nothing that could tell."""
        error = None if task.cancelled() else task.exception()
        ended = task.cancelled() or error is not None
        self._running.pop(rollout_id, None)
        self._results.append(RolloutResult(rollout_id, "cancelled", fatal=error) if ended else task.result())
        self._ended.set()

    async def _play(self, assignment: Assignment) -> RolloutResult:
        async with self._slots:
            return await self._attempt(assignment)

    async def _attempt(self, assignment: Assignment) -> RolloutResult:
        source = self._sources[assignment.split]
        task = source.tasks[assignment.task_id]
        created = self._created(assignment, source.name, task)
        writer = TraceWriter(self._run.trace_path(assignment.rollout_id))
        try:
            trace = Trace(sink=writer)
            lost: AttemptLost | None = None
            ended: AttemptResult | None = None
            try:
                ended = await run_attempt(
                    task=task,
                    environment=source.environment,
                    provider=self._provider,
                    policy=self._policy,
                    dialect=self._dialect,
                    limits=self._job.rollout.limits,
                    created=created,
                    trace=trace,
                    last=assignment.last,
                    shell=self._job.rollout.shell,
                    hacks=self._job.rollout.hacks,
                    seed=zlib.crc32(f"{self._job.run.seed}/{assignment.rollout_id}".encode()),
                )
            except AttemptLost as error:
                lost = error
            except asyncio.CancelledError:
                return RolloutResult(assignment.rollout_id, "cancelled", summary=summarise(trace))
        finally:
            writer.close()
        if lost is not None:
            return RolloutResult(assignment.rollout_id, "unscored", reason=lost.reason, message=str(lost), summary=summarise(trace))
        assert ended is not None
        return self._ended_as(assignment, trace, ended)

    def _ended_as(self, assignment: Assignment, trace: Trace, ended: AttemptResult) -> RolloutResult:
        verdict = ended.verdict
        packed, oldest, newest = b"", 0, 0
        trainable = True
        if assignment.step is not None and verdict.status == "scored":
            parts = [] if ended.masked else trajectories(trace)
            sampled = [part.versions[part.loss_mask] for part in parts if part.loss_mask.any()]
            if trainable := bool(sampled):
                oldest, newest = int(min(versions.min() for versions in sampled)), int(max(versions.max() for versions in sampled))
                packed = pack_trajectories(parts)
        return RolloutResult(
            assignment.rollout_id,
            verdict.status,
            reward=verdict.reward,
            reason=verdict.reason or "",
            message=verdict.message,
            tokens=ended.tokens,
            oldest_version=oldest,
            newest_version=newest,
            trajectories=packed,
            trainable=trainable,
            summary=summarise(trace),
        )

    def _created(self, assignment: Assignment, environment: str, task: Task) -> Created:
        return Created(
            at_s=time.time(),
            rollout_id=assignment.rollout_id,
            run_id=self._run.id,
            group_id=assignment.group_id,
            task_id=assignment.task_id,
            environment=environment,
            attempt=assignment.attempt,
            index=assignment.index,
            step=assignment.step,
            split=assignment.split,
            policy=self._job.policy.kind,
            temperature=assignment.temperature,
            instruction=task.instruction,
        )
