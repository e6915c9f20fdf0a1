"""Sandboxes as pods of a cluster."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
from typing import Final

from podgym.k8s.api import ApiClient, ApiError, Credentials
from podgym.k8s.config import KubernetesConfig
from podgym.k8s.exec import BOOTSTRAP, Mux, OneShot
from podgym.k8s.exec.websocket import WebsocketChannel
from podgym.k8s.lease import OwnerLease
from podgym.k8s.pods import pod_object
from podgym.k8s.pods.spec import label_value
from podgym.k8s.pods.state import MAIN
from podgym.k8s.reaper import reap
from podgym.k8s.sandbox import PodSandbox
from podgym.k8s.shard import Shard, Waiting
from podgym.sandbox import QuotaError, SandboxError, SandboxSpec, TransportError

__all__ = ["KubernetesProvider"]

_SYNC_S: Final = 120.0


class KubernetesProvider:
    """Raises `ApiError` at once where no cluster can be told; speaks to it when the first sandbox is asked for."""

    def __init__(self, config: KubernetesConfig | None = None) -> None:
        self._config = config or KubernetesConfig()
        self._credentials = Credentials.load(self._config.kubeconfig, self._config.context)
        self._client: ApiClient | None = None
        self._shards: dict[tuple[str, str], asyncio.Task[Shard]] = {}
        """By run and namespace."""
        self._reaping: set[asyncio.Task[None]] = set()
        self._open: set[PodSandbox] = set()
        self._closed = False

    async def create(self, spec: SandboxSpec) -> PodSandbox:
        """See `SandboxProvider.create`."""
        if self._closed:
            raise TransportError("The Kubernetes provider is closed.", remedy="Create a new provider.")
        run = spec.labels.get("run", "none")
        shard = await self._shard(run)
        waiting = Waiting(f"podgym-{secrets.token_hex(6)}", spec.image)
        body = pod_object(waiting.name, spec, self._config, run=run, owner=shard.lease.owner)
        try:
            await shard.create(waiting, body)
            await self._running(waiting, shard)
            sandbox = self._sandbox(spec, shard, waiting)
            await sandbox.open()
        except BaseException:
            removing = asyncio.ensure_future(shard.remove(waiting))
            with contextlib.suppress(ApiError):
                await asyncio.shield(removing)
            raise
        self._open.add(sandbox)
        return sandbox

    async def close(self) -> None:
        """See `SandboxProvider.close`."""
        self._closed = True
        ends: list[object] = list(await asyncio.gather(*(sandbox.close() for sandbox in list(self._open)), return_exceptions=True))
        for task in list(self._reaping):
            task.cancel()
        await asyncio.gather(*self._reaping, return_exceptions=True)
        shards = await asyncio.gather(*self._shards.values(), return_exceptions=True)
        ends += await asyncio.gather(*(shard.close() for shard in shards if isinstance(shard, Shard)), return_exceptions=True)
        self._shards.clear()
        if self._client is not None:
            await self._client.close()
        for end in ends:
            if isinstance(end, BaseException):
                raise end

    def _sandbox(self, spec: SandboxSpec, shard: Shard, waiting: Waiting) -> PodSandbox:
        client = self._api()

        async def connect() -> WebsocketChannel:
            command = ["/bin/sh", "-c", BOOTSTRAP]
            return await WebsocketChannel.open(client, waiting.name, command, namespace=shard.namespace, container=MAIN)

        async def remove() -> None:
            await shard.remove(waiting)
            self._open.discard(sandbox)

        kind = Mux if self._config.commands == "mux" else OneShot
        mux = kind(connect, directory=self._config.state_directory)
        sandbox = PodSandbox(f"{shard.namespace}/{waiting.name}", spec, mux, lost=waiting.lost, remove=remove)
        return sandbox

    async def _running(self, waiting: Waiting, shard: Shard) -> None:
        done, _ = await asyncio.wait(
            (waiting.running, waiting.lost), timeout=self._config.start_timeout_s, return_when=asyncio.FIRST_COMPLETED
        )
        if waiting.lost in done:
            raise waiting.lost.result()
        if not done:
            problem = waiting.state.problem if waiting.state is not None else None
            if problem is not None:
                raise problem.error(f"{shard.namespace}/{waiting.name}", waiting.image)
            raise QuotaError(
                f"Pod {shard.namespace}/{waiting.name} did not start within {self._config.start_timeout_s:g} s.",
                remedy="Look at its events, or raise `start_timeout_s`.",
            )

    async def _shard(self, run: str) -> Shard:
        """The one with the fewest pods. Raises `SandboxError`."""
        base = self._config.namespace or self._credentials.namespace
        names = [base] if self._config.shards == 1 else [f"{base}-{number}" for number in range(self._config.shards)]
        for name in names:
            if (run, name) not in self._shards:
                self._shards[run, name] = asyncio.create_task(self._opened(run, name))
        try:
            shards = await asyncio.gather(*(asyncio.shield(self._shards[run, name]) for name in names))
        except SandboxError:
            for name in names:  # the next sandbox tries again
                task = self._shards.get((run, name))
                if task is not None and task.done() and (task.cancelled() or task.exception() is not None):
                    del self._shards[run, name]
            raise
        for shard in shards:
            if shard.failed.done():
                raise shard.failed.result()
        return min(shards, key=lambda shard: len(shard.pods))

    async def _opened(self, run: str, namespace: str) -> Shard:
        name = f"podgym-{label_value(run).lower().replace('_', '-')[:40].strip('-.')}-{secrets.token_hex(4)}"
        holder = f"{socket.gethostname()}/{os.getpid()}"
        lease = await OwnerLease.take(self._api(), namespace, name, run=run, holder=holder)
        shard = Shard(self._api(), namespace, run, lease)
        synced = asyncio.ensure_future(shard.mirror.synced.wait())
        try:
            await asyncio.wait((synced, shard.failed), timeout=_SYNC_S, return_when=asyncio.FIRST_COMPLETED)
            if shard.failed.done():
                raise shard.failed.result()
            if not synced.done():
                raise TransportError(
                    f"The pods of namespace {namespace} could not be listed within {_SYNC_S:g} s.", remedy="Is the API server well?"
                )
        except BaseException:
            with contextlib.suppress(ApiError):
                await shard.close()
            raise
        finally:
            synced.cancel()
        # What dead owners left here takes room that ours need; a worker that replaces a killed one cleans up after it.
        task = asyncio.create_task(self._reap(namespace))
        self._reaping.add(task)
        task.add_done_callback(self._reaping.discard)
        return shard

    async def _reap(self, namespace: str) -> None:
        with contextlib.suppress(ApiError):  # it may not be allowed; the reaper of the cluster is
            await reap(self._api(), namespace)

    def _api(self) -> ApiClient:
        if self._client is None:
            self._client = ApiClient(self._credentials, servers=self._config.servers)
        return self._client
