"""One pod as a sandbox: commands through the mux, its end from the watch."""

from __future__ import annotations

import asyncio
import contextlib
import posixpath
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Final, TypeVar

from podgym.k8s.exec import Command, Mux, OneShot
from podgym.sandbox import OUTPUT_LIMIT_BYTES, CommandResult, SandboxError, SandboxLost, SandboxSpec, TransportError
from podgym.sandbox.arguments import check_arguments
from podgym.sandbox.shellfiles import read_file, write_file

__all__ = ["PodSandbox"]

T = TypeVar("T")
_FILE_TIMEOUT_S: Final = 300.0
_SETTLE_S: Final = 2.0
"""That the watch gets to tell why a stream has ended."""


class PodSandbox:
    """Made by `KubernetesProvider.create`. `lost` is told why the pod is gone; `remove` deletes it."""

    def __init__(
        self, pod: str, spec: SandboxSpec, mux: Mux | OneShot, *, lost: asyncio.Future[SandboxError], remove: Callable[[], Awaitable[None]]
    ) -> None:
        self._pod = pod
        self._spec = spec
        self._mux = mux
        self._lost = lost
        self._remove = remove
        self._closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._closing: asyncio.Task[None] | None = None

    @property
    def id(self) -> str:
        """`namespace/name` of the pod."""
        return self._pod

    async def run(
        self,
        script: str,
        *,
        timeout_s: float,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        output_limit: int = OUTPUT_LIMIT_BYTES,
    ) -> CommandResult:
        """See `Sandbox.run`."""
        place = posixpath.join(self._spec.workdir, cwd or "")
        variables = {**self._spec.env, **(env or {})}
        check_arguments(script, place, timeout_s=timeout_s, env=variables, output_limit=output_limit)
        command = Command(
            script=script.encode("utf-8", "surrogateescape"),
            timeout_s=timeout_s,
            cwd=place,
            env=variables,
            stdin=stdin,
            output_limit=output_limit,
            file_bytes=self._spec.limits.disk_bytes,
        )
        return await self._unless_lost(self._mux.run(command))

    async def read(self, path: str) -> bytes:
        """See `Sandbox.read`."""
        return await read_file(self, path, timeout_s=_FILE_TIMEOUT_S)

    async def write(self, path: str, data: bytes, *, mode: int = 0o644) -> None:
        """See `Sandbox.write`."""
        await write_file(self, path, data, mode=mode, timeout_s=_FILE_TIMEOUT_S)

    async def open(self) -> None:
        """Begin the stream. Raises `SandboxError`."""
        await self._unless_lost(self._mux.open())

    async def close(self) -> None:
        """Delete the pod. Where the API server fails at that, a later call tries again."""
        if not self._closed.done():
            self._closed.set_result(None)
        if self._closing is None or (self._closing.done() and (self._closing.cancelled() or self._closing.exception())):
            self._closing = asyncio.create_task(self._end())
        await asyncio.shield(self._closing)

    async def _end(self) -> None:
        await self._mux.close()
        await self._remove()

    async def _unless_lost(self, work: Coroutine[Any, Any, T]) -> T:
        """The result, unless the pod is lost first, or the sandbox closed. Raises `SandboxError`."""
        if self._closed.done() or self._lost.done():
            work.close()
            raise self._why()
        task = asyncio.create_task(work)
        try:
            await asyncio.wait((task, self._lost, self._closed), return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise self._why()
            try:
                return task.result()
            except TransportError:
                # The stream of a pod that dies breaks before the watch says so.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_SETTLE_S):
                        await asyncio.wait((self._lost, self._closed), return_when=asyncio.FIRST_COMPLETED)
                if self._closed.done() or self._lost.done():
                    raise self._why() from None
                raise
        finally:
            if not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    def _why(self) -> SandboxError:
        if self._closed.done():
            return SandboxLost("The sandbox is closed.", reason="closed", remedy="Create another one.")
        return self._lost.result()
