"""All commands of one pod through one stream, each run once or known not to have been.

A command that is in flight when the stream breaks goes on in the pod. The next stream asks for it by its id: its result is taken
where there is one, it is waited for where it runs, and it is sent anew only where the pod says that it never began. Where nothing of
that can be had the answer is an error, and never a guess.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shlex
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from podgym.k8s.exec import requests
from podgym.k8s.exec.channel import Channel, ChannelClosed
from podgym.k8s.exec.link import Link, Refused, Turn
from podgym.k8s.exec.replies import Ended
from podgym.sandbox import CommandResult, ImageError, QuotaError, SandboxLost, Stream, TransportError
from podgym.sandbox.capture import HeadTail

__all__ = ["Command", "Mux"]

_TICK_S: Final = (0.5, 1.0, 2.0)
_KILL_S: Final = 10.0
"""For a command to be gone after it was killed."""
_INLINE_BYTES: Final = 4096
"""A longer script is written to a file first: the supervisor reads its requests byte by byte."""
_DROPS: Final = 32
_PAUSES_S: Final = (0.0, 0.2, 0.5, 1.0, 2.0, 5.0)
_KILLED: Final = 137
_RAN_OUT: Final = b"\nsandbox: a process was killed because the sandbox's memory limit was reached\n"
_LEAST_BYTES: Final = 64
"""Of each stream that is asked for: the marks between streams are bounded with them."""
_MISSING: Final = {
    "state": "no directory that can be written to for what commands print",
    "setsid": "no `setsid` (util-linux or busybox)",
    "head": "no `head` (coreutils or busybox)",
}


@dataclass(frozen=True, slots=True)
class Command:
    """What to run, in bytes as a shell takes them."""

    script: bytes
    timeout_s: float
    cwd: str
    env: Mapping[str, str]
    stdin: bytes
    output_limit: int
    """Of each stream."""
    file_bytes: int = 0
    """Most that a file may grow to; 0 for any size."""


def _noted(stderr: Stream) -> Stream:
    if stderr.cut:
        return replace(stderr, tail=stderr.tail + _RAN_OUT, total=stderr.total + len(_RAN_OUT))
    return replace(stderr, head=stderr.head + _RAN_OUT, total=stderr.total + len(_RAN_OUT))


class _NotRun(Exception):
    """The pod never began the command."""


class _Lost(Exception):
    """The command was begun, and how it ended cannot be known."""


class _Full(Exception):
    """The pod could not write down what the command needs."""


class _Flight:
    """One command in flight."""

    def __init__(self, command: Command) -> None:
        self.command = command
        self.limit = max(command.output_limit, _LEAST_BYTES)
        self.id = secrets.token_hex(6)
        self.secret = secrets.token_hex(8)
        self.ended: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()
        self.total: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.turn: Turn | None = None
        """Its output comes without being asked for."""

    def hear(self, kind: str, words: list[str]) -> None:
        """An event of the supervisor's."""
        if kind == "T" and words and not self.total.done():
            self.total.set_result(int(words[0]))
        if self.ended.done():
            return
        if kind == "D":
            ended = Ended(int(words[0]), int(words[1]), words[2] == "1")
            if self.turn is not None:
                self.turn.ends(ended.mark(self.secret))
            self.ended.set_result(ended)
        elif kind in ("F", "L", "N"):
            self.ended.set_exception({"F": _Full, "L": _Lost, "N": _NotRun}[kind]())

    def release(self) -> None:
        """Let others have the supervisor's stdout; idempotent."""
        if self.turn is not None:
            self.turn.release()
            self.turn = None


class Mux:
    """`connect` starts a shell in the pod that evaluates `requests.BOOTSTRAP`. It raises `SandboxError` where the pod is gone or refuses,
    and `ChannelClosed` where another attempt may do better, which is made for `reconnect_s`."""

    def __init__(self, connect: Callable[[], Awaitable[Channel]], *, directory: str, reconnect_s: float = 60.0) -> None:
        self._connect = connect
        self._directory = directory
        self._reconnect_s = reconnect_s
        self._link: Link | None = None
        self._opening = asyncio.Lock()
        self._flights: dict[str, _Flight] = {}
        self._done: list[str] = []
        self._ooms = 0
        self._closed = False
        self._abandoning: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Begin the stream. Raises `SandboxError`."""
        await self._linked()

    async def run(self, command: Command) -> CommandResult:
        """Raises `SandboxError`."""
        started = time.monotonic()
        ends = started + command.timeout_s
        while True:
            flight = _Flight(command)
            self._flights[flight.id] = flight
            try:
                link = await self._submit(flight, max(0.001, ends - time.monotonic()))
                ended, timed_out = await self._end(flight, link, ends)
                duration_s = time.monotonic() - started
                stdout, stderr = await self._outputs(flight, ended)
            except _NotRun:
                continue
            except _Full as error:
                raise QuotaError("The sandbox has no room for a command's input.", remedy="Raise `disk_bytes` of the task.") from error
            except _Lost as error:
                raise TransportError(
                    "A command was begun, and how it ended is not known: the shell that waited for it is gone.",
                    remedy="Did it kill processes that are not its own? The sandbox should be thrown away.",
                ) from error
            except asyncio.CancelledError:
                self._abandon(flight)
                raise
            finally:
                flight.release()
                self._flights.pop(flight.id, None)
            before, self._ooms = self._ooms, max(self._ooms, ended.ooms)
            await self._forget(flight)
            ran_out = ended.ooms > before
            if ran_out:
                stderr = _noted(stderr)
            return CommandResult(ended.exit_code, stdout, stderr, timed_out, duration_s, out_of_memory=ran_out)

    async def close(self, *, leave: bool = False) -> None:
        """End the supervisor; idempotent. Commands in flight fail, and go on in the pod to their time limits. `leave` removes the
        directory as well."""
        self._closed = True
        if self._link is not None:
            with contextlib.suppress(ChannelClosed):
                await self._link.send(requests.LEAVE if leave else requests.QUIT)
            await self._link.close()
        for task in list(self._abandoning):
            task.cancel()

    async def _submit(self, flight: _Flight, timeout_s: float) -> Link:
        link = await self._linked()
        command, script, data = flight.command, flight.command.script, b""
        if command.stdin:
            data += requests.put(flight.id, command.stdin)
        if len(script) > _INLINE_BYTES or not script.isascii():
            data += requests.put(f"{flight.id}.s", script)
            script = f"exec /bin/sh {shlex.quote(self._directory)}/i.{flight.id}.s".encode()
        flight.turn = link.take()
        data += requests.run(
            flight.id,
            flight.secret,
            script=script,
            cwd=command.cwd,
            env=command.env,
            stdin=bool(command.stdin),
            limit=flight.limit,
            file_bytes=command.file_bytes,
            push=flight.turn is not None,
            timeout_s=timeout_s,
        )
        with contextlib.suppress(ChannelClosed):  # whether it arrived is what the next stream asks
            await link.send(data)
        return link

    async def _end(self, flight: _Flight, link: Link, ends: float) -> tuple[Ended, bool]:
        """How a command ended, and whether that was at its time limit."""
        ticks, killed = 0, 0.0
        while True:
            now = time.monotonic()
            if killed and now > killed + _KILL_S:
                raise TransportError("A command could not be killed at its time limit.", remedy="The sandbox should be thrown away.")
            pause_s = _TICK_S[min(ticks, len(_TICK_S) - 1)]
            await asyncio.wait(
                (flight.ended, link.broken),
                timeout=pause_s if killed else min(pause_s, max(0.0, ends - now)),
                return_when=asyncio.FIRST_COMPLETED,
            )
            if flight.ended.done():
                ended = flight.ended.result()
                return ended, bool(killed) and ended.exit_code == _KILLED
            with contextlib.suppress(ChannelClosed):
                if link.broken.done():
                    flight.release()
                    link = await self._linked()
                    killed = 0.0
                    await link.send(requests.query(flight.id))
                elif not killed and time.monotonic() >= ends:
                    killed = time.monotonic()
                    await link.send(requests.kill(flight.id))
                else:
                    ticks += 1
                    await link.send(requests.tick(flight.id))

    async def _outputs(self, flight: _Flight, ended: Ended) -> tuple[Stream, Stream]:
        if ended.empty:
            return Stream(b""), Stream(b"")
        mark = ended.mark(flight.secret)
        while True:
            link = await self._linked()
            try:
                if flight.turn is None:
                    flight.turn = await link.wait_turn()
                    flight.turn.ends(mark)
                    await link.send(requests.get(flight.id, flight.limit))
                out, err = await flight.turn.streams()
                return (
                    await self._stream(flight, link, "o", out, mark=mark),
                    await self._stream(flight, link, "e", err, mark=mark),
                )
            except ChannelClosed:
                flight.release()

    async def _stream(self, flight: _Flight, link: Link, name: str, head: bytes, *, mark: bytes) -> Stream:
        """What there is of one stream. Where all that was asked for has come there may be more: then its end, too."""
        kept = HeadTail(limit := flight.command.output_limit)
        kept.feed(head)
        if len(head) < flight.limit or flight.turn is None:
            return kept.stream()
        flight.turn.expect(1, mark)
        flight.total = asyncio.get_running_loop().create_future()
        await link.send(requests.tail(flight.id, name, limit // 2))
        total = await link.until(flight.total)
        (tail,) = await flight.turn.streams()
        return kept.stream() if total <= len(head) else Stream(head[: limit - limit // 2], tail, total)

    async def _linked(self) -> Link:
        """A stream that works. Raises `SandboxError`."""
        async with self._opening:
            self._check_open()
            if self._link is not None and not self._link.broken.done():
                return self._link
            if self._link is not None:
                await self._link.close()
            started, attempt = time.monotonic(), 0
            while True:
                try:
                    self._link = await Link.open(await self._connect(), self._directory, self._hear)
                    self._ooms = max(self._ooms, self._link.ready.result())
                    return self._link
                except Refused as error:
                    missing = _MISSING.get(str(error), str(error))
                    raise ImageError(f"The sandbox has {missing}.", remedy="Use an image with a POSIX shell and coreutils.") from error
                except ChannelClosed as error:
                    if time.monotonic() - started > self._reconnect_s:
                        raise TransportError(
                            f"No stream to the pod could be opened for {self._reconnect_s:g} s: {error or 'it closed at once'}.",
                            remedy="Is the API server there, and the pod's node?",
                        ) from error
                    await asyncio.sleep(_PAUSES_S[min(attempt, len(_PAUSES_S) - 1)])
                    self._check_open()
                    attempt += 1

    def _check_open(self) -> None:
        if self._closed:
            raise SandboxLost("The sandbox is closed.", reason="closed", remedy="Create another one.")

    def _hear(self, words: list[str]) -> None:
        kind, command, *rest = words
        if (flight := self._flights.get(command)) is not None:
            flight.hear(kind, rest)

    async def _forget(self, flight: _Flight) -> None:
        """The pod need not keep its files; told for several at once."""
        self._done.append(flight.id)
        if len(self._done) >= _DROPS and self._link is not None:
            done, self._done = self._done, []
            with contextlib.suppress(ChannelClosed):
                await self._link.send(requests.drop(done))

    def _abandon(self, flight: _Flight) -> None:
        """Kill a command that nobody waits for."""

        async def kill() -> None:
            if self._link is not None:
                with contextlib.suppress(ChannelClosed):
                    await self._link.send(requests.kill(flight.id))

        task = asyncio.create_task(kill())
        self._abandoning.add(task)
        task.add_done_callback(self._abandoning.discard)
