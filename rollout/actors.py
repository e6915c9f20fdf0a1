"""The run's processes as Ray actors: thin shells around `WorkerHost` and `PolicyHost`, made by the driver and by nothing else.

An actor's `start` does what may fail (imports, files, plug-ins), so that the reason comes back as a typed error and not as a
dead actor. Nothing here restarts by itself: the driver learns of each death and decides.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import ray
from ray.exceptions import (
    ActorUnavailableError,
    LocalRayletDiedError,
    NodeDiedError,
    ObjectLostError,
    OutOfMemoryError,
    RayActorError,
    RayTaskError,
    WorkerCrashedError,
)

from podgym.errors import PodgymError
from podgym.policy import PolicyUnavailable
from podgym.rollout.job import JobConfig
from podgym.rollout.learner import open_dialect, open_policy, open_tokenizer
from podgym.rollout.policyclient import BatchingPolicy, Exchange
from podgym.rollout.policyhost import PolicyHost
from podgym.rollout.result import RolloutResult
from podgym.rollout.runlog import start_log
from podgym.rollout.schedule import Assignment
from podgym.rollout.tasksource import open_sources
from podgym.rollout.watchdog import ProcessId, watch
from podgym.rollout.workerhost import WorkerHost
from podgym.sandbox.providers import open_provider
from podgym.traces.store import RunDir

__all__ = ["ActorFailed", "ActorLost", "PolicyActor", "RolloutWorker", "answer", "start_policy", "start_worker"]

_log = logging.getLogger(__name__)
T = TypeVar("T")
CALLS_AT_ONCE = 1000
GOODBYE_S = 5.0
_GONE = (
    RayActorError, ActorUnavailableError, OutOfMemoryError, WorkerCrashedError, NodeDiedError, LocalRayletDiedError, ObjectLostError,
)  # fmt: skip
"""How Ray says that a process, its node or an answer of it is no more: Ray's memory monitor and a lost node have words of their own."""


class ActorLost(PodgymError, ConnectionError):
    """A process of the run is gone, and what was in flight in it."""


class ActorFailed(PodgymError, RuntimeError):
    """Code of podgym or of a plug-in raised something in a process of the run."""


async def answer(call: Awaitable[T], who: str) -> T:
    """What an actor's method returned. Raises the `PodgymError` that it raised, `ActorFailed`, or `ActorLost`."""
    try:
        return await call
    except _GONE as error:
        why = " Ray's memory monitor ended it." if isinstance(error, OutOfMemoryError) else ""
        raise ActorLost(f"{who} is gone.{why}", remedy="What was in flight in it is tried again.") from error
    except RayTaskError as error:
        cause = error.cause
        if isinstance(cause, PodgymError):
            raise cause from error
        _log.error("%s failed\n%s", who, error.traceback_str)
        raise ActorFailed(f"{who} failed with {cause!r}.", remedy="The run's log has the traceback; correct it and resume.") from error


class PolicyActor:
    """The policy's process."""

    def __init__(self, job: JobConfig, run_path: str, checkpoint: Path | None, version: int, driver: ProcessId) -> None:
        _shared_folder(run_path)
        self._job, self._checkpoint, self._version = job, checkpoint, version
        self._host: PolicyHost | None = None
        watch(driver, lambda: None)

    async def start(self) -> ProcessId:
        """Load the policy; returns what this process is known by."""
        opened = open_policy(self._job, checkpoint=self._checkpoint, version=self._version)
        self._host = PolicyHost(opened.policy, opened.learner)
        return ProcessId.own()

    @property
    def _ready(self) -> PolicyHost:
        if self._host is None:
            raise PolicyUnavailable("The policy is not loaded yet.")
        return self._host

    async def exchange(self, client: str, payload: bytes, hold_s: float) -> bytes:
        """See `PolicyHost`."""
        return await self._ready.exchange(client, payload, hold_s)

    async def train(self, payload: bytes) -> dict[str, float]:
        """See `PolicyHost`."""
        return await self._ready.train(payload)

    async def save(self, directory: str) -> int:
        """See `PolicyHost`."""
        return await self._ready.save(directory)

    async def lifeline(self) -> None:
        """Never returns: fails for the driver when this process dies."""
        await asyncio.Event().wait()

    async def close(self) -> None:
        """See `PolicyHost`."""
        if self._host is not None:
            await self._host.close()


class RolloutWorker:
    """A worker's process."""

    def __init__(self, job: JobConfig, run_path: str, name: str, concurrency: int, driver: ProcessId) -> None:
        self._job, self._name, self._concurrency = job, name, concurrency
        self._client = f"{name}-{uuid.uuid4().hex}"  # a process that replaces this one must not get what this one asked for
        self._run = _shared_folder(run_path)
        self._host: WorkerHost | None = None
        self._policy: BatchingPolicy | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        watch(driver, self._driver_gone)

    async def start(self, policy: Any) -> ProcessId:
        """Load tasks, dialect and provider; returns what this process is known by.

        `policy` is the policy's actor, None where each worker has its own.
        """
        self._loop = asyncio.get_running_loop()
        run = self._run
        if run is None:
            raise ActorFailed(f"{self._name} does not see the run's folder.", remedy="Set run.directory to one that every node shares.")
        if policy is not None:
            self._policy = BatchingPolicy(_exchange_with(policy, self._client))
        self._host = WorkerHost(
            self._job,
            run,
            name=self._name,
            concurrency=self._concurrency,
            sources=open_sources(self._job, run_id=run.id),
            provider=open_provider(self._job.sandbox.provider, self._job.sandbox.options),
            policy=self._policy or open_policy(self._job, checkpoint=None, version=0).policy,
            dialect=open_dialect(self._job, open_tokenizer(self._job)),
        )
        return ProcessId.own()

    @property
    def _ready(self) -> WorkerHost:
        if self._host is None:
            raise ActorFailed(f"{self._name} was not started.", remedy="Report this as a defect.")
        return self._host

    async def connect(self, policy: Any) -> None:
        """The policy's process is another one from now on."""
        if self._policy is not None:
            await self._policy.connect(_exchange_with(policy, self._client))

    async def exchange(self, assignments: Sequence[Assignment], hold_s: float) -> list[RolloutResult]:
        """See `WorkerHost`."""
        return await self._ready.exchange(assignments, hold_s)

    async def cancel(self, rollouts: Sequence[str]) -> None:
        """See `WorkerHost`."""
        await self._ready.cancel(rollouts)

    async def close(self) -> list[RolloutResult]:
        """See `WorkerHost`; returns how its last rollouts ended."""
        if self._host is None:
            return []
        await self._host.close()
        return await self._host.exchange((), 0.0)

    def _driver_gone(self) -> None:
        """Close the sandboxes, within a bound: their processes would end with this one, their folders would not."""
        if self._loop is not None and self._host is not None:
            with suppress(Exception):
                asyncio.run_coroutine_threadsafe(self._host.close(), self._loop).result(GOODBYE_S)


def _shared_folder(run_path: str) -> RunDir | None:
    """The run's folder, its log begun in this process; None where this machine does not have it."""
    folder = Path(run_path)
    if not folder.is_dir():
        return None
    run = RunDir(folder)
    start_log(run.log_path)
    return run


def _exchange_with(policy: Any, client: str) -> Exchange:
    async def exchange(payload: bytes, hold_s: float) -> bytes:
        try:
            answered: bytes = await answer(policy.exchange.remote(client, payload, hold_s), "The policy's process")
        except ActorLost as error:
            raise PolicyUnavailable(str(error), remedy="The driver starts another.") from error
        return answered

    return exchange


def start_policy(job: JobConfig, *, run_path: Path, checkpoint: Path | None, version: int, driver: ProcessId) -> Any:
    """An actor handle; call `start` on it."""
    kind = ray.remote(PolicyActor)
    options = {"num_cpus": job.ray.policy_cpus, "num_gpus": job.ray.policy_gpus, "max_concurrency": CALLS_AT_ONCE}
    return kind.options(**options, max_restarts=0).remote(job, str(run_path.absolute()), checkpoint, version, driver)


def start_worker(job: JobConfig, *, run_path: Path, name: str, concurrency: int, driver: ProcessId) -> Any:
    """An actor handle; call `start` on it."""
    kind = ray.remote(RolloutWorker)
    options = {"num_cpus": job.ray.worker_cpus, "max_concurrency": CALLS_AT_ONCE, "max_restarts": 0}
    return kind.options(**options).remote(job, str(run_path.absolute()), name, concurrency, driver)
