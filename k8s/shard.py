"""One namespace's part of a provider: a mirror of its pods, who waits for which, and the Lease that owns them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final

from podgym.k8s.api import AlreadyExists, ApiClient, ApiError, NotFound, Throttled, Unreachable
from podgym.k8s.lease import OwnerLease
from podgym.k8s.pods import PodState, Problem, read_pod
from podgym.k8s.pods.spec import RUN, label_value
from podgym.k8s.pods.window import Window
from podgym.k8s.watch import Change, Reflector
from podgym.sandbox import SandboxError, SandboxLost

__all__ = ["Shard", "Waiting"]

_CREATE_S: Final = 120.0
_PATIENT: Final = frozenset({"ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", "ImageInspectError"})
"""What may get better by itself, for a while."""
_PATIENCE_S: Final = 45.0


@dataclass(slots=True)
class Waiting:
    """What is known of one of our pods."""

    name: str
    image: str
    running: asyncio.Future[PodState] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    lost: asyncio.Future[SandboxError] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    uid: str = ""
    state: PodState | None = None
    troubled_at: float = 0.0
    """When the watch first told of something that may get better."""


class Shard:
    """Made by `open`."""

    def __init__(self, client: ApiClient, namespace: str, run: str, lease: OwnerLease) -> None:
        self._client = client
        self.namespace = namespace
        self._run = run
        self.lease = lease
        self.pods: dict[str, Waiting] = {}
        self._window = Window()
        self._on_the_way = 0
        self._free = asyncio.Event()
        self.mirror: Reflector[PodState] = Reflector(
            client, self._path, read=read_pod, on_change=self._heard, labels=f"{RUN}={label_value(run)}"
        )
        self._mirroring = asyncio.create_task(self._follow())
        self.failed: asyncio.Future[ApiError] = asyncio.get_running_loop().create_future()
        """The mirror can no longer be kept: nothing is known of pods any more."""

    @property
    def _path(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/pods"

    async def create(self, waiting: Waiting, body: dict[str, object]) -> None:
        """Make the pod, when its turn comes. Raises `ApiError`."""
        self.pods[waiting.name] = waiting
        await self._turn()
        loop = asyncio.get_running_loop()
        sent_at = loop.time()
        self._on_the_way += 1
        try:
            made = await self._client.request("POST", self._path, body=body, deadline_s=_CREATE_S)
            self._window.answered(loop.time(), loop.time() - sent_at)
        except AlreadyExists:  # the answer to an attempt before was lost; the name is ours alone
            made = await self._client.request("GET", f"{self._path}/{waiting.name}")
        except (Throttled, Unreachable) as error:
            self._window.refused(loop.time(), sent_at=sent_at, retry_after_s=error.retry_after_s)
            raise
        finally:
            self._on_the_way -= 1
            self._free.set()
        waiting.uid = str(made["metadata"]["uid"])
        if (seen := self.mirror.get(self.namespace, waiting.name)) is not None:
            self._look(waiting, seen)

    async def remove(self, waiting: Waiting) -> None:
        """Raises `ApiError`; a pod that is gone is removed."""
        body: dict[str, object] = {"gracePeriodSeconds": 0}
        if waiting.uid:
            body["preconditions"] = {"uid": waiting.uid}
        try:
            await self._client.request("DELETE", f"{self._path}/{waiting.name}", body=body)
        except NotFound:
            pass
        except ApiError as error:
            if error.status != 409:  # another pod has the name
                raise
        self.pods.pop(waiting.name, None)

    async def close(self) -> None:
        """End the mirror, and remove the Lease and with it every pod that is left. Raises `ApiError`."""
        self._mirroring.cancel()
        await asyncio.gather(self._mirroring, return_exceptions=True)
        await self.lease.release()

    async def _turn(self) -> None:
        while (wait_s := self._window.wait_s(asyncio.get_running_loop().time(), self._on_the_way)) != 0.0:
            if wait_s is not None:
                await asyncio.sleep(wait_s)
            else:
                self._free.clear()
                await self._free.wait()

    async def _follow(self) -> None:
        try:
            await self.mirror.run()
        except ApiError as error:
            self.failed.set_result(error)
            for waiting in list(self.pods.values()):
                self._lose(waiting, error)

    def _heard(self, change: Change[PodState]) -> None:
        waiting = self.pods.get(change.key[1])
        if waiting is None or not waiting.uid:
            return  # not ours, or not answered for yet
        if change.now is None:
            if change.before is not None and change.before.uid == waiting.uid:
                before = change.before.problem
                problem = before if before is not None and before.kind == "lost" else Problem("lost", "Deleted", "it is no longer there")
                self._lose(waiting, problem.error(f"{self.namespace}/{waiting.name}", waiting.image))
        else:
            self._look(waiting, change.now)

    def _look(self, waiting: Waiting, state: PodState) -> None:
        waiting.state = state
        name = f"{self.namespace}/{waiting.name}"
        if state.uid != waiting.uid:
            self._lose(waiting, SandboxLost(f"Pod {name} was replaced by another one.", reason="replaced", remedy="Create a new one."))
            return
        if state.running:
            if not waiting.running.done():
                waiting.running.set_result(state)
            return
        problem = state.problem
        if problem is None or problem.kind == "unschedulable":
            return
        if problem.reason in _PATIENT:
            now = asyncio.get_running_loop().time()
            waiting.troubled_at = waiting.troubled_at or now
            if now - waiting.troubled_at < _PATIENCE_S:
                return
        self._lose(waiting, problem.error(name, waiting.image))

    def _lose(self, waiting: Waiting, error: SandboxError) -> None:
        if not waiting.lost.done():
            waiting.lost.set_result(error)
