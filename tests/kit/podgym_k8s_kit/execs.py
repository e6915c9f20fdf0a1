"""Exec over a websocket, versions 4 and 5 of the protocol, to processes of this machine."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import WSMsgType, web

__all__ = ["Execs"]


@dataclass
class Execs:
    """`shell` goes before each command where a pod shall be more than this machine; `versions` are those offered."""

    shell: list[str] = field(default_factory=list)
    versions: tuple[str, ...] = ("v5.channel.k8s.io", "v4.channel.k8s.io")
    open: set[web.WebSocketResponse] = field(default_factory=set)
    lie: bool = False
    """When streams are cut, tell of success."""
    mounts: dict[str, Path] = field(default_factory=dict)
    """Directories that each pod has for itself, and where they are here: what is said to a pod is changed accordingly."""
    processes: set[asyncio.subprocess.Process] = field(default_factory=set)

    async def serve(self, request: web.Request, pod: str) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(protocols=self.versions, max_msg_size=0)
        await socket.prepare(request)
        self.open.add(socket)
        pipe = asyncio.subprocess.PIPE
        command = [*self.shell, *request.query.getall("command", [])]
        try:
            process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe)
        except OSError as error:
            await self._status(socket, {"status": "Failure", "reason": "InternalError", "message": f"exec failed: {error}"})
            return await self._closed(socket)
        self.processes.add(process)
        assert process.stdout is not None and process.stderr is not None
        pumps = [asyncio.create_task(_pump(socket, stream, number)) for number, stream in ((1, process.stdout), (2, process.stderr))]
        feeding = asyncio.create_task(self._feed(socket, process, pod))
        ended = asyncio.create_task(_end(process, pumps))
        done, _ = await asyncio.wait((feeding, ended), return_when=asyncio.FIRST_COMPLETED)
        if ended in done:
            with contextlib.suppress(ConnectionError):
                await self._status(socket, _outcome(process.returncode or 0))
        elif self.lie:
            with contextlib.suppress(ConnectionError):
                await self._status(socket, {"metadata": {}, "status": "Success"})
        for task in (*pumps, feeding, ended):
            task.cancel()
        # As behind a kubelet: a process whose stream is cut goes on, without an end of its own to write to.
        if process.stdin is not None:
            process.stdin.close()
        return await self._closed(socket)

    async def close(self) -> None:
        """End everything, processes too."""
        await self.cut()
        for process in self.processes:
            process._transport.close()  # type: ignore[attr-defined]
            await process.wait()

    async def cut(self) -> None:
        """Break every stream at once."""
        for socket in list(self.open):
            transport = socket._req.transport if socket._req is not None else None
            if transport is not None:
                transport.abort()

    async def _feed(self, socket: web.WebSocketResponse, process: asyncio.subprocess.Process, pod: str) -> None:
        assert process.stdin is not None
        async for message in socket:
            if message.type is WSMsgType.BINARY and message.data:
                if message.data[0] == 0:
                    with contextlib.suppress(ConnectionError):
                        data = message.data[1:]
                        for place, here in self.mounts.items():
                            data = data.replace(place.encode(), str(here / pod).encode())
                        process.stdin.write(data)
                        await process.stdin.drain()
                elif message.data[:2] == b"\xff\0":
                    process.stdin.close()

    async def _status(self, socket: web.WebSocketResponse, status: dict[str, object]) -> None:
        await socket.send_bytes(b"\3" + json.dumps(status).encode())

    async def _closed(self, socket: web.WebSocketResponse) -> web.WebSocketResponse:
        self.open.discard(socket)
        with contextlib.suppress(ConnectionError):
            await socket.close()
        return socket


async def _pump(socket: web.WebSocketResponse, stream: asyncio.StreamReader, number: int) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await stream.read(32 << 10):
            await socket.send_bytes(bytes([number]) + data)


async def _end(process: asyncio.subprocess.Process, pumps: list[asyncio.Task[None]]) -> None:
    await process.wait()
    await asyncio.wait(pumps)


def _outcome(code: int) -> dict[str, object]:
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    causes = [{"reason": "ExitCode", "message": str(code)}]
    message = f"command terminated with non-zero exit code: exit status {code}"
    return {"metadata": {}, "status": "Failure", "message": message, "reason": "NonZeroExitCode", "details": {"causes": causes}}
