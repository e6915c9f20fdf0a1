"""One local sandbox, seen from the driver."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from podgym.sandbox.arguments import check_arguments
from podgym.sandbox.contract import OUTPUT_LIMIT_BYTES, CommandResult, Stream
from podgym.sandbox.errors import ImageError, LostReason, QuotaError, SandboxLost, TransportError
from podgym.sandbox.local.inside import wire
from podgym.sandbox.local.link import Link, Reply, environment_blob

if TYPE_CHECKING:
    import socket

    from podgym.sandbox.local.starts import Starts
    from podgym.sandbox.local.toolchains import Toolchain

__all__ = ["LocalSandbox"]

GRACE_S = 30.0
"""What the answer to a command may take beyond the command's own time limit, on a machine that is overloaded."""
FILE_TIMEOUT_S = 300.0
_RAN_OUT = b"\nsandbox: a process was killed because the sandbox's memory limit was reached\n"


class LocalSandbox:
    """Made by `LocalProvider.create`."""

    def __init__(
        self,
        ident: int,
        channel: socket.socket,
        *,
        starts: Starts,
        end: Callable[[LocalSandbox], Awaitable[None]],
        toolchain: Toolchain | None = None,
    ) -> None:
        self.ident = ident
        self._starts = starts
        self._toolchain = toolchain
        self.gone: asyncio.Future[tuple[int, bool]] = asyncio.get_running_loop().create_future()
        """Wait status of the init and whether memory ran out, once nothing of the sandbox is left."""
        self.link = Link(channel, loop=asyncio.get_running_loop(), on_end=self._ended)
        self._end = end
        self._lost: tuple[LostReason, str] | None = None
        self._notes = b""
        self._closing = False

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
        check_arguments(script, cwd or "", timeout_s=timeout_s, env=env or {}, output_limit=output_limit)
        if env and "PATH" in env and self._toolchain is not None:
            env = {**env, "PATH": self._toolchain.on_path(env["PATH"])}
        blob = environment_blob(dict(env)) if env else b""
        payload = wire.pack_run(
            os.fsencode(script), cwd=os.fsencode(cwd or ""), env=blob, stdin=stdin, timeout_s=timeout_s, output_limit=output_limit
        )
        self._check_open()
        return await self._result(self.link.ask_in_turn(self._starts, wire.RUN, *payload), timeout_s)

    async def run_with(self, script: str, *, cwd: str, stdin_fd: int, timeout_s: float) -> CommandResult:
        """Run with an open file of the driver as stdin; used to lay files into images."""
        payload = wire.pack_run(
            os.fsencode(script), cwd=os.fsencode(cwd), env=b"", stdin=b"", timeout_s=timeout_s, output_limit=OUTPUT_LIMIT_BYTES
        )
        return await self._result(self._ask(wire.RUN_FD, *payload, fd=stdin_fd), timeout_s)

    async def _result(self, asked: asyncio.Future[Reply], timeout_s: float) -> CommandResult:
        kind, payload = await self._bounded(asked, timeout_s + GRACE_S)
        if kind == wire.ERROR:
            code, text = wire.ERROR_HEAD.unpack_from(payload)[0], payload[wire.ERROR_HEAD.size :].decode()
            error = OSError(code, text)
            if isinstance(error, BlockingIOError) or code in (12, 24):
                raise QuotaError(
                    f"The sandbox could not start a command: {text}.",
                    remedy="Its process or memory limit is reached; raise `limits` of the task, or close the sandbox.",
                )
            if code == 22:
                raise ValueError(f"The sandbox could not start a command: {text}.")
            if code == 7:
                raise ValueError("Environment and script are larger than the kernel passes to a program; use stdin or a file.")
            raise ImageError(
                f"The sandbox could not start /bin/sh: {text}.", remedy="Check that the local provider's `expose` includes /bin."
            )
        exit_code, flags, duration_s, out, err = wire.unpack_result(payload)
        if flags & 2:
            err = (err[0], err[1] + _RAN_OUT, err[2] + len(_RAN_OUT)) if err[1] else (err[0] + _RAN_OUT, b"", err[2] + len(_RAN_OUT))
        return CommandResult(
            exit_code=exit_code,
            stdout=Stream(*out),
            stderr=Stream(*err),
            timed_out=bool(flags & 1),
            duration_s=duration_s,
            out_of_memory=bool(flags & 2),
        )

    async def read(self, path: str) -> bytes:
        """See `Sandbox.read`; a file larger than `LocalConfig.read_limit_bytes` is an `OSError` (EFBIG)."""
        kind, payload = await self._bounded(self._ask(wire.READ, _path(path)), FILE_TIMEOUT_S)
        if kind == wire.ERROR:
            raise _file_error(payload, path)
        return payload

    async def write(self, path: str, data: bytes, *, mode: int = 0o644) -> None:
        """See `Sandbox.write`. Raises `OSError` as `open` would, also for a full disk."""
        name = _path(path)

        def head(more: bool) -> bytes:
            return wire.WRITE_HEAD.pack(mode, len(name), more) + name

        self._check_open()
        kind, payload = await self._bounded(self.link.ask_in_parts(wire.WRITE, head, data), FILE_TIMEOUT_S)
        if kind == wire.ERROR:
            raise _file_error(payload, path)

    async def processes(self) -> int:
        """How many processes run in the sandbox besides its init: what commands left behind, between commands."""
        _, payload = await self._bounded(self._ask(wire.PROCESSES), FILE_TIMEOUT_S)
        return int(payload)

    async def freeze(self) -> int:
        """See `Freezable.freeze`."""
        kind, payload = await self._bounded(self._ask(wire.FREEZE), FILE_TIMEOUT_S)
        if kind == wire.ERROR:
            raise TransportError(f"The sandbox's processes could not be ended: {_file_error(payload, '/proc').strerror}.")
        return int(payload)

    async def close(self) -> None:
        """See `Sandbox.close`."""
        self._closing = True
        self._lost = self._lost or ("closed", "was closed")
        self.link.close()
        self.link.fail(self._error)
        await self._end(self)

    def _ask(self, kind: int, *parts: bytes, fd: int = -1) -> asyncio.Future[Reply]:
        self._check_open()
        return self.link.ask(kind, *parts, fd=fd)

    def _check_open(self) -> None:
        if self._lost is not None or not self.link.open:
            raise self._error()

    async def _bounded(self, asked: asyncio.Future[Reply], timeout_s: float) -> Reply:
        try:
            async with asyncio.timeout(timeout_s):
                return await asked
        except TimeoutError:
            raise TransportError(
                f"Local sandbox {self.ident} has not answered for {timeout_s:g} s.",
                remedy="The machine is overloaded, or the sandbox's init was stopped; run fewer sandboxes at once.",
            ) from None

    def _error(self) -> SandboxLost:
        reason, text = self._lost or ("killed", "ended unexpectedly")
        remedy = "Create a new one." if reason != "oom" else "Raise `limits.memory_bytes` of the task."
        return SandboxLost(f"Local sandbox {self.ident} {text}.", reason=reason, remedy=remedy)

    def _ended(self, note: bytes) -> None:
        """The socket ended before `close`: why is known when the spawner has reaped the init."""
        if note == b"lifetime":
            self.lose("evicted", "has reached its lifetime")
        elif self.gone.done():
            self.explain(*self.gone.result())
        else:
            self.gone.add_done_callback(lambda gone: None if gone.cancelled() else self.explain(*gone.result()))

    def explain(self, status: int, oom: bool) -> None:
        """Fail what waits, for how the init ended."""
        if oom:
            self.lose("oom", "was killed because its memory limit was reached")
        else:
            self.lose("killed", f"was killed from outside ({os.waitstatus_to_exitcode(status)})")

    def lose(self, reason: LostReason, text: str) -> None:
        """Mark the sandbox lost and fail what waits."""
        self._lost = self._lost or (reason, text)
        self.link.close()
        self.link.fail(self._error)


def _path(path: str) -> bytes:
    if not path or "\0" in path:
        raise ValueError(f"Not a path: {path!r}.")
    return os.fsencode(path)


def _file_error(payload: bytes, path: str) -> OSError:
    code = wire.ERROR_HEAD.unpack_from(payload)[0]
    return OSError(code, payload[wire.ERROR_HEAD.size :].decode("utf-8", "replace"), path)
