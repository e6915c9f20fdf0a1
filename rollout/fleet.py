"""The run's processes as the driver sees them: workers that take assignments, one policy, and what to do when one dies.

Each worker has one long poll open. What ended comes back with it, and it carries what was placed meanwhile; assignments that
are placed while the poll waits go in a call of their own. A worker is given a few more rollouts than it runs at once, so that
it never waits for the driver. A dead worker is replaced and its rollouts are told as lost; a dead policy is told, and the driver
says which weights the next one starts from.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import ray

from podgym.rollout.actors import ActorFailed, ActorLost, answer, start_policy, start_worker
from podgym.rollout.job import JobConfig
from podgym.rollout.result import RolloutResult
from podgym.rollout.schedule import Assignment
from podgym.rollout.watchdog import ProcessId
from podgym.traces.store import RunDir

__all__ = ["Fleet", "Listener"]

HOLD_S = 20.0
START_S = 600.0
CLOSE_S = 30.0
MOST_DEATHS = 5
MOST_PAUSE_S = 30.0
_log = logging.getLogger(__name__)


class Listener(Protocol):
    """Told of everything that happens, on the driver's event loop."""

    def started(self, processes: Mapping[str, ProcessId]) -> None:
        """A process started; all there are, by name."""
        ...

    def ended(self, where: str, results: Sequence[RolloutResult]) -> None:
        """Rollouts ended; new ones may be placed at once."""
        ...

    def lost(self, where: str, rollouts: Sequence[str]) -> None:
        """A worker died with these in flight."""
        ...

    def policy_lost(self) -> None:
        """The policy's process died; call `Fleet.restart_policy`."""
        ...

    def failed(self, error: BaseException) -> None:
        """The run cannot go on."""
        ...


class _Worker:
    def __init__(self, name: str, slots: int) -> None:
        self.name = name
        self.slots = slots
        self.handle: Any = None
        self.up = False
        self.polling = False
        self.assigned: set[str] = set()
        self.outbox: list[Assignment] = []
        self.deaths = 0
        self.generation = 0

    @property
    def room(self) -> int:
        return self.slots + max(2, self.slots // 4) - len(self.assigned) if self.up else 0


async def _started(call: Awaitable[ProcessId], who: str, wanted: str) -> ProcessId:
    try:
        return await asyncio.wait_for(call, START_S)
    except TimeoutError:
        raise ActorFailed(
            f"{who} did not start within {START_S:g} s. It asks Ray for {wanted}.",
            remedy="Compare with `ray status`: the job's [ray] section must ask for what a node of the cluster has free.",
        ) from None


class Fleet:
    """Made, used and closed on one event loop."""

    def __init__(self, job: JobConfig, run: RunDir, driver: ProcessId, listener: Listener) -> None:
        self._job, self._run, self._driver, self._listener = job, run, driver, listener
        self._shared_policy = job.policy.kind != "scripted"
        self._policy: Any = None
        count = min(job.sandbox.workers, job.sandbox.concurrency)
        share, more = divmod(job.sandbox.concurrency, count)
        self._workers = [_Worker(f"worker-{place}", share + (place < more)) for place in range(count)]
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False
        self.processes: dict[str, ProcessId] = {}
        """By name."""
        self.deaths = 0
        """Processes that died so far."""

    async def start(self, *, checkpoint: Path | None, version: int) -> None:
        """Start all processes. Raises what their `start` raises."""
        if self._shared_policy:
            await self._start_policy(checkpoint, version)
        await asyncio.gather(*(self._bring_up(worker) for worker in self._workers))
        for worker in self._workers:
            self._spawn(self._serve(worker))

    @property
    def room(self) -> int:
        """How many assignments may be placed now."""
        return 0 if self._closing else sum(max(0, worker.room) for worker in self._workers)

    def place(self, assignments: Sequence[Assignment]) -> None:
        """Give each to the worker with most room, avoiding where its last try failed if there is a choice."""
        for assignment in assignments:
            choice = max(self._workers, key=lambda worker: (worker.room > 0, worker.name != assignment.avoid, worker.room))
            choice.assigned.add(assignment.rollout_id)
            choice.outbox.append(assignment)
        for worker in self._workers:
            if worker.outbox and worker.polling:
                batch, worker.outbox = worker.outbox, []
                self._spawn(self._exchange(worker, batch, hold_s=0.0))

    async def cancel(self, rollouts: Sequence[str]) -> None:
        """Give these up; each still ends with a result."""
        wanted = set(rollouts)
        for worker in self._workers:
            if unsent := [assignment.rollout_id for assignment in worker.outbox if assignment.rollout_id in wanted]:
                worker.outbox = [assignment for assignment in worker.outbox if assignment.rollout_id not in wanted]
                self._take(worker, [RolloutResult(rollout_id, "cancelled") for rollout_id in unsent])
        calls = [worker.handle.cancel.remote(sorted(worker.assigned & wanted)) for worker in self._workers if worker.assigned & wanted]
        for call in calls:
            with contextlib.suppress(ActorLost, TimeoutError):
                await asyncio.wait_for(answer(call, "A worker"), CLOSE_S)

    async def train(self, payload: bytes) -> dict[str, float]:
        """See `PolicyHost.train`. Raises `ActorLost` where the process died; `policy_lost` is told too."""
        metrics: dict[str, float] = await answer(self._policy.train.remote(payload), "The policy's process")
        return metrics

    async def save(self, directory: str) -> int:
        """See `PolicyHost.save`."""
        version: int = await answer(self._policy.save.remote(directory), "The policy's process")
        return version

    async def restart_policy(self, *, checkpoint: Path | None, version: int) -> None:
        """Start another policy and point all workers at it; they ask it again what the dead one has not answered."""
        await self._start_policy(checkpoint, version)
        for worker in self._workers:
            with contextlib.suppress(ActorLost, TimeoutError):
                await asyncio.wait_for(answer(worker.handle.connect.remote(self._policy), worker.name), CLOSE_S)

    async def close(self) -> None:
        """End all rollouts, close all sandboxes, write all traces' ends, then end the processes."""
        self._closing = True
        await asyncio.gather(*(self._close_worker(worker) for worker in self._workers))
        if self._policy is not None:
            with contextlib.suppress(ActorLost, ActorFailed, TimeoutError):
                await asyncio.wait_for(answer(self._policy.close.remote(), "The policy's process"), CLOSE_S)
        await self.kill()

    async def kill(self) -> None:
        """End the processes as they are; idempotent."""
        self._closing = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for handle in (self._policy, *(worker.handle for worker in self._workers)):
            if handle is not None and ray.is_initialized():
                ray.kill(handle, no_restart=True)
        self._policy = None
        for worker in self._workers:
            worker.handle = None

    async def _close_worker(self, worker: _Worker) -> None:
        if worker.handle is None:
            return
        try:
            results = await asyncio.wait_for(answer(worker.handle.close.remote(), worker.name), CLOSE_S)
        except (ActorLost, ActorFailed, TimeoutError) as error:
            _log.warning("%s did not close: %s", worker.name, error or f"no answer within {CLOSE_S:g} s")
            return
        self._take(worker, results)

    async def _start_policy(self, checkpoint: Path | None, version: int) -> None:
        self._policy = start_policy(self._job, run_path=self._run.path, checkpoint=checkpoint, version=version, driver=self._driver)
        wanted = f"{self._job.ray.policy_cpus:g} CPUs and {self._job.ray.policy_gpus:g} GPUs"
        self.processes["policy"] = await _started(answer(self._policy.start.remote(), "The policy's process"), "The policy", wanted)
        self._listener.started(self.processes)
        self._spawn(self._watch_policy(self._policy))

    async def _watch_policy(self, policy: Any) -> None:
        try:
            await answer(policy.lifeline.remote(), "The policy's process")
        except ActorLost:
            if self._closing or policy is not self._policy:
                return
            self.deaths += 1
            _log.warning("The policy's process died.")
            self._listener.policy_lost()

    async def _start_worker(self, worker: _Worker) -> None:
        worker.handle = start_worker(self._job, run_path=self._run.path, name=worker.name, concurrency=worker.slots, driver=self._driver)
        call = answer(worker.handle.start.remote(self._policy), worker.name)
        self.processes[worker.name] = await _started(call, worker.name, f"{self._job.ray.worker_cpus:g} CPUs")
        worker.up = True
        self._listener.started(self.processes)

    async def _serve(self, worker: _Worker) -> None:
        while not self._closing:
            batch, worker.outbox = worker.outbox, []
            generation = worker.generation
            worker.polling = True
            try:
                await self._exchange(worker, batch, hold_s=HOLD_S)
            finally:
                worker.polling = False
            if worker.generation != generation:
                await self._bring_up(worker)
                self._listener.ended(worker.name, ())

    async def _bring_up(self, worker: _Worker) -> None:
        """Start the worker's process; one that dies while it starts is a death like others. Raises `ActorLost` after too many."""
        while not self._closing:
            try:
                await self._start_worker(worker)
                return
            except ActorLost:
                self._bury(worker)
                await asyncio.sleep(min(2.0**worker.deaths, MOST_PAUSE_S))

    async def _exchange(self, worker: _Worker, batch: Sequence[Assignment], *, hold_s: float) -> None:
        generation = worker.generation
        try:
            results = await answer(worker.handle.exchange.remote(batch, hold_s), worker.name)
        except ActorLost:
            if not self._closing and worker.generation == generation:
                self._bury(worker)
            return
        if worker.generation == generation:
            if hold_s:
                worker.polling = False  # what `ended` places goes with the next poll
            self._take(worker, results)

    def _take(self, worker: _Worker, results: Sequence[RolloutResult]) -> None:
        if results:
            worker.deaths = 0
            worker.assigned.difference_update(result.rollout_id for result in results)
            self._listener.ended(worker.name, results)

    def _bury(self, worker: _Worker) -> None:
        worker.generation += 1
        worker.deaths += 1
        self.deaths += 1
        lost = sorted(worker.assigned)
        worker.up = worker.polling = False
        worker.assigned, worker.outbox = set(), []
        _log.warning("%s died with %d rollouts in flight.", worker.name, len(lost))
        if worker.deaths >= MOST_DEATHS:
            raise ActorLost(
                f"{worker.name} died {worker.deaths} times without ending a single rollout.",
                remedy="Check memory (dmesg names processes that the kernel killed), or lower sandbox.concurrency.",
            )
        self._listener.lost(worker.name, lost)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._listener.failed(error)
