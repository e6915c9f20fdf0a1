"""One container as a sandbox."""

from __future__ import annotations

import asyncio
import contextlib
import os
import posixpath
import secrets
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from podgym.sandbox.arguments import check_arguments
from podgym.sandbox.contract import OUTPUT_LIMIT_BYTES, CommandResult, SandboxSpec
from podgym.sandbox.docker.command import ARGUMENT_LIMIT_BYTES, KILLER, WRAPPER, Attached, End, Full, NoEnd
from podgym.sandbox.errors import ImageError, LostReason, QuotaError, SandboxError, SandboxLost, TransportError
from podgym.sandbox.shellfiles import read_file, write_file

if TYPE_CHECKING:
    from podgym.sandbox.docker.engine import Engine

__all__ = ["DockerSandbox"]

_START_TIMEOUT_S = 120.0
"""From the engine's word that a command is attached to the command's own first word."""
_KILL_TIMEOUT_S = 20.0
_DRAIN_TIMEOUT_S = 0.5
_FILE_TIMEOUT_S = 300.0
_SETTLE_S = (0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
"""Pauses between questions for an end that the engine may not have noticed yet."""
_HEARD_S = 0.03
"""What a container's first process gets to read which group it should kill, before it is told another one."""
_ROOT = "0"
_RAN_OUT = b"\nsandbox: a process was killed because the sandbox's memory limit was reached\n"


class DockerSandbox:
    """Made by `DockerProvider.create`. Runs every command as its own exec; holds no connection between commands."""

    def __init__(self, engine: Engine, container: str, spec: SandboxSpec, *, on_close: Callable[[str], object]) -> None:
        self._engine = engine
        self._container = container
        self._spec = spec
        self._user = _ROOT if spec.user == "root" else spec.user
        self._on_close = on_close
        self._closed = False
        self._removing: asyncio.Task[None] | None = None
        self._killings: set[asyncio.Task[None]] = set()
        self._telling = asyncio.Lock()

    @property
    def id(self) -> str:
        """The container's id."""
        return self._container

    async def prepare(self) -> None:
        """Give a working directory that is new to the user who works there. Raises `ImageError` for an unknown user."""
        if self._user == _ROOT:
            return
        place = self._spec.workdir
        usable = await self.run('[ -w . ] || [ -n "$(ls -A .)" ]', timeout_s=_KILL_TIMEOUT_S, cwd=place)
        if usable.exit_code:
            await self._as_root('chown -- "$PODGYM_USER" .', cwd=place, env={"PODGYM_USER": self._user})

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
        check_arguments(script, place, timeout_s=timeout_s, env=env or {}, output_limit=output_limit)
        if not all(_is_plain(text) for text in (place, *(env or {}), *(env or {}).values())):
            raise ValueError("The engine takes directories and environment variables in UTF-8 only; set others inside the script.")
        if not _is_plain(script) or len(script.encode()) > ARGUMENT_LIMIT_BYTES:
            script = await self._as_file(script)
        exec_id, attached = await self._start([place, script], env or {}, self._user, output_limit=output_limit)
        try:
            async with asyncio.timeout(timeout_s):
                end = await attached.finish(stdin)
            return attached.result(end, note=_RAN_OUT if end.ooms else b"")
        except TimeoutError:
            await self._kill(attached, exec_id)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_DRAIN_TIMEOUT_S):
                    await attached.drain()
            return attached.result(End(137, 0), timed_out=True)
        except Full as error:
            raise self._full("no process is left to run it") from error
        except (NoEnd, OSError) as error:
            exit_code = await self._exit_code(exec_id, error)
            return attached.result(End(exit_code, 0))
        except asyncio.CancelledError:
            await self._stop(attached, exec_id)
            raise
        finally:
            attached.close()

    async def read(self, path: str) -> bytes:
        """See `Sandbox.read`."""
        return await read_file(self, path, timeout_s=_FILE_TIMEOUT_S)

    async def write(self, path: str, data: bytes, *, mode: int = 0o644) -> None:
        """See `Sandbox.write`."""
        await write_file(self, path, data, mode=mode, timeout_s=_FILE_TIMEOUT_S)

    async def freeze(self) -> int:
        """See `Freezable.freeze`: nothing is run inside, so nothing inside can stand in its way."""
        self._check_open()
        before = await self._call(self._engine.processes, self._container)
        if not before:
            return 0
        left: list[int] = []
        for pause_s in _SETTLE_S:
            await self._call(self._engine.end_processes, self._container)
            await asyncio.sleep(pause_s)
            after = await self._call(self._engine.processes, self._container)
            # The first process starts its own `sleep` again; all else has no parent that could have started it.
            left = [pid for pid, name in after.items() if pid in before or name != "sleep"]
            if not left:
                break
        return len(left)

    async def close(self) -> None:
        """Remove the container with everything in it. Where the engine fails at that, a later call tries again."""
        self._closed = True
        if self._removing is None or (self._removing.done() and (self._removing.cancelled() or self._removing.exception())):
            self._removing = asyncio.create_task(self._remove())
        await asyncio.shield(self._removing)

    async def _remove(self) -> None:
        await self._engine.call(self._engine.remove, self._container)
        if self._killings:
            await asyncio.wait(self._killings)
        self._on_close(self._container)

    def _check_open(self) -> None:
        if self._closed:
            raise SandboxLost("The sandbox is closed.", reason="closed", remedy="Create another one.")

    async def _as_file(self, script: str) -> str:
        """A short script that runs a long one; the file removes itself, on the first line so that lines keep their numbers."""
        path = f"/tmp/.podgym-{secrets.token_hex(8)}"
        await self.write(path, f"rm -f {path}; ".encode() + os.fsencode(script), mode=0o600)
        return f"exec /bin/sh {path}"

    async def _start(self, arguments: list[str], env: Mapping[str, str], user: str, *, output_limit: int) -> tuple[str, Attached]:
        """A command that has begun."""
        self._check_open()
        try:
            wrapped = ["/bin/sh", "-c", WRAPPER, "sh", *arguments]
            exec_id, connection = await self._engine.attach(self._container, wrapped, env, user)
        except (SandboxLost, TransportError):
            self._check_open()
            await self._check_alive()
            raise
        attached = Attached(connection, output_limit=output_limit)
        try:
            async with asyncio.timeout(_START_TIMEOUT_S):
                await attached.start()
        except asyncio.CancelledError:
            await self._stop(attached, exec_id)
            attached.close()
            raise
        except (NoEnd, OSError) as error:
            attached.close()
            await self._never_started(exec_id, error)
        return exec_id, attached

    async def _never_started(self, exec_id: str, error: Exception) -> None:
        """Raises what fits: an exec that ended before the command's first word."""
        said = str(error)
        self._check_open()
        if "unable to find user" in said:
            raise ImageError(f"Image {self._spec.image!r} has no user {self._user!r}: {said}", remedy="Name one that it has.") from error
        if '"/bin/sh"' in said:
            raise ImageError(f"The sandbox has no /bin/sh (any more): {said}", remedy="Use an image with a POSIX shell.") from error
        await self._check_alive()
        if "OCI runtime exec failed" in said:
            # Whatever the runtime says then, its own first steps inside the container's limits have failed.
            raise self._full(said) from error
        if not isinstance(error, TimeoutError):
            await self._exit_code(exec_id, error)
        raise TransportError(
            f"A command in container {self._container[:12]} did not start: {said or 'the engine did not say why'}",
            remedy="See the engine's log.",
        ) from error

    def _full(self, said: str) -> QuotaError:
        return QuotaError(
            f"The sandbox could not start a command: {said}",
            remedy="Its process or memory limit is reached; raise `limits` of the task, or close the sandbox.",
        )

    async def _as_root(self, script: str, *, cwd: str, env: Mapping[str, str]) -> tuple[End, str]:
        """Run one of our own short scripts. Raises `NoEnd`, `Full`, `TimeoutError` besides sandbox errors."""
        _, attached = await self._start([cwd, script], env, _ROOT, output_limit=4096)
        try:
            async with asyncio.timeout(_KILL_TIMEOUT_S):
                end = await attached.finish(b"")
            return end, attached.result(end).stderr.text().strip()
        finally:
            attached.close()

    async def _stop(self, attached: Attached, exec_id: str) -> None:
        """Kill a command that nobody waits for, even if nobody waits for this either."""
        killing = asyncio.create_task(self._kill_unwatched(attached, exec_id))
        self._killings.add(killing)
        killing.add_done_callback(self._killings.discard)
        await asyncio.shield(killing)

    async def _kill_unwatched(self, attached: Attached, exec_id: str) -> None:
        with contextlib.suppress(SandboxError, NoEnd, OSError):
            async with asyncio.timeout(_KILL_TIMEOUT_S):
                await attached.started()
            await self._kill(attached, exec_id)

    async def _kill(self, attached: Attached, exec_id: str) -> None:
        """Kill the command's group and wait until no process of it is left.

        The engine reports ends late while another command's child holds a stream, so the killing is itself a marked command.
        """
        with contextlib.suppress(QuotaError, Full, NoEnd, TimeoutError):
            end, _ = await self._as_root(f"set -- {attached.group}\n{KILLER}", cwd="/", env={})
            if end.exit_code == 0:
                return
        # No process is left for it, or none for its pauses: the first one does it, when it is told one group at a time.
        for pause_s in _SETTLE_S:
            async with self._telling:
                await self._call(self._engine.kill_group, self._container, attached.group)
                await asyncio.sleep(_HEARD_S)
            await asyncio.sleep(pause_s)
            if await self._call(self._engine.exit_code, exec_id) is not None:
                return
        raise TransportError(
            f"A command in container {self._container[:12]} could not be killed at its time limit.",
            remedy="The sandbox should be thrown away.",
        )

    async def _exit_code(self, exec_id: str, error: Exception) -> int:
        """The exit code of a command whose stream broke off, if the engine is sure that it ended and the container did not."""
        for pause_s in _SETTLE_S:
            await asyncio.sleep(pause_s)
            code: int | None = await self._call(self._engine.exit_code, exec_id)
            if code is not None:
                # A dying container takes its commands along, and may be reported after them.
                await asyncio.sleep(0.2 if code == 137 else 0.0)
                await self._check_alive()
                return code
        await self._check_alive()
        raise TransportError(
            f"The stream of a command in container {self._container[:12]} broke off and the command may still run.",
            remedy="The sandbox should be thrown away.",
        ) from error

    async def _call(self, function: Any, *arguments: Any) -> Any:
        try:
            return await self._engine.call(function, *arguments)
        except (SandboxLost, TransportError):
            self._check_open()
            await self._check_alive()
            raise

    async def _check_alive(self) -> None:
        self._check_open()
        reason: LostReason | None = await self._engine.call(self._engine.death, self._container)
        self._check_open()
        if reason is not None:
            raise SandboxLost(f"Container {self._container[:12]} is gone: {self._why(reason)}.", reason=reason, remedy="Create a new one.")

    def _why(self, reason: LostReason) -> str:
        if reason == "oom":
            return f"it was killed at its memory limit of {self._spec.limits.memory_bytes} bytes"
        return f"its lifetime of {self._spec.lifetime_s:g} s has ended" if reason == "evicted" else "it was stopped or removed"


def _is_plain(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
