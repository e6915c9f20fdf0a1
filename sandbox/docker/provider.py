"""Sandboxes as containers of one Docker engine, labelled by run and by owner so that what a dead process left can be found and removed.

A provider begins by removing what dead owners on its host left, so a worker that replaces a killed one cleans up after it. What owners
on other hosts left goes with their run.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets

from podgym.sandbox.contract import SandboxSpec
from podgym.sandbox.docker.config import DockerConfig
from podgym.sandbox.docker.engine import Engine, Missing
from podgym.sandbox.docker.images import Images
from podgym.sandbox.docker.sandbox import DockerSandbox
from podgym.sandbox.errors import ImageError, SandboxError, TransportError

__all__ = ["DockerProvider"]


class DockerProvider:
    """Raises `TransportError` at once where no engine answers."""

    def __init__(self, config: DockerConfig | None = None) -> None:
        self._config = config or DockerConfig()
        self._engine = Engine(self._config)
        self._images = Images(self._engine, self._config)
        self._open: dict[str, DockerSandbox] = {}
        self._tasks: set[asyncio.Task[object]] = set()
        self._doubtful: set[str] = set()
        """Names of containers whose creation was not answered: they may appear later."""
        self._closed = False
        self._cleaning: asyncio.Task[None] | None = None

    async def create(self, spec: SandboxSpec) -> DockerSandbox:
        """See `SandboxProvider.create`."""
        self._check_open()
        if self._cleaning is None:
            self._cleaning = asyncio.create_task(self._remove_orphans())
            self._keep(self._cleaning)
        image = await self._images.ensure(spec)
        self._check_open()
        creating = asyncio.create_task(self._create(spec, image))
        self._keep(creating)
        try:
            return await asyncio.shield(creating)
        except asyncio.CancelledError:
            # The engine goes on creating it regardless.
            discarding = asyncio.create_task(_discard(creating))
            self._keep(discarding)
            await asyncio.shield(discarding)
            raise

    async def bases(self) -> frozenset[str]:
        """See `KnowsBases.bases`: names of all images that the engine holds."""
        self._check_open()
        return await self._engine.call(self._engine.tags)

    async def reap(self, run: str) -> int:
        """Remove every container that carries the run's label; returns how many there were."""
        containers = await self._engine.call(self._engine.labelled, run)
        await self._remove(containers)
        return len(containers)

    async def close(self) -> None:
        """Remove what is still open; idempotent. What the engine does not remove is left to `reap`, after an error."""
        self._closed = True
        while self._tasks:
            await asyncio.wait(self._tasks)
        await self._remove_doubtful()
        ends = await asyncio.gather(*(sandbox.close() for sandbox in list(self._open.values())), return_exceptions=True)
        self._open.clear()
        await self._engine.close()
        for end in ends:
            if isinstance(end, BaseException):
                raise end

    def _check_open(self) -> None:
        if self._closed:
            raise TransportError("The Docker provider is closed.", remedy="Create a new provider.")

    def _forget(self, container: str) -> None:
        self._open.pop(container, None)

    def _keep(self, task: asyncio.Task[object] | asyncio.Task[DockerSandbox] | asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _create(self, spec: SandboxSpec, image: str) -> DockerSandbox:
        name = f"podgym-{secrets.token_hex(8)}"
        try:
            container = await self._start(name, spec, image)
        except TransportError:
            self._doubtful.add(name)
            await self._remove_doubtful()
            raise
        sandbox = DockerSandbox(self._engine, container, spec, on_close=self._forget)
        self._open[container] = sandbox
        try:
            await sandbox.prepare()
        except BaseException:
            await sandbox.close()
            raise
        return sandbox

    async def _remove_orphans(self) -> None:
        with contextlib.suppress(SandboxError):  # theirs to fail at `create`, which asks the same engine
            await self._remove(await self._engine.call(self._engine.orphans))

    async def _remove(self, containers: list[str]) -> None:
        await asyncio.gather(*(self._engine.call(self._engine.remove, container) for container in containers))

    async def _remove_doubtful(self) -> None:
        for name in list(self._doubtful):
            with contextlib.suppress(SandboxError):
                if await self._engine.call(self._engine.remove, name):
                    self._doubtful.discard(name)

    async def _start(self, name: str, spec: SandboxSpec, image: str) -> str:
        try:
            return await self._engine.call(self._engine.create, name, spec, image)
        except Missing:
            self._images.forget(image)
        try:
            return await self._engine.call(self._engine.create, name, spec, await self._images.ensure(spec))
        except Missing as error:
            raise ImageError(f"Image {image!r} is not here: {error}", remedy="Does something remove images while they are used?") from error


async def _discard(creating: asyncio.Task[DockerSandbox]) -> None:
    with contextlib.suppress(SandboxError, asyncio.CancelledError):
        sandbox = await asyncio.shield(creating)
        await sandbox.close()
