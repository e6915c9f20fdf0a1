"""One command through an exec, its end told by a mark that only the driver and a waiting shell know.

The engine keeps an exec's stream open while any child holds it, and its exit code is asked for by another call. So the
script runs under a small shell which reads a random mark from stdin first (it is in no argument and no environment that
the script could read), says its process group at the start, and prints the mark and the exit code at the end. The
engine makes each exec the leader of a new session, which makes the shell's pid the group to kill at the time limit.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import struct
import time
from dataclasses import dataclass, field, replace
from typing import Final

from podgym.sandbox.capture import HeadTail
from podgym.sandbox.contract import CommandResult, Stream
from podgym.sandbox.docker.connection import Connection

__all__ = ["ARGUMENT_LIMIT_BYTES", "KILLER", "WRAPPER", "Attached", "End", "Full", "NoEnd"]

ARGUMENT_LIMIT_BYTES: Final = 100_000
"""Linux takes at most 128 KiB in one argument; longer scripts go through a file."""

WRAPPER: Final = """IFS= read -r _podgym_m || exit 125
printf '%s %s\\n' "$_podgym_m" "$$" >&2
exec 3>&2 2>/dev/null
_podgym_e=full _podgym_n=0 _podgym_b=0
_podgym_o() {
  for _podgym_f in /sys/fs/cgroup/memory.events /sys/fs/cgroup/memory/memory.oom_control; do
    [ ! -r "$_podgym_f" ] || while read -r _podgym_k _podgym_v; do
      [ "$_podgym_k" != oom_kill ] || _podgym_n=$(( _podgym_v - _podgym_b ))
    done < "$_podgym_f"
  done
}
_podgym_o; _podgym_b=$_podgym_n _podgym_n=0
trap 'printf "%s %s %s\\n" "$_podgym_m" "$_podgym_e" "$_podgym_n"; printf "%s\\n" "$_podgym_m" >&3' EXIT
trap : HUP INT QUIT PIPE ALRM TERM USR1 USR2
if cd -- "$1"; then ( exec /bin/sh -c "$2" sh 2>&3 3>&- ); _podgym_e=$?
else printf 'podgym: %s is not a directory that can be entered\\n' "$1" >&3; _podgym_e=126; fi
[ "$_podgym_e" -eq 0 ] || _podgym_o
"""
"""Builtins alone. Its own stderr is shut, because shells report there how their children died. A shell that cannot fork exits
at once, hence the trap of its exit; a script may signal its whole group, hence the others."""

KILLER: Final = """kill -9 "-$1" || exit 0
for n in 01 02 04 08 1 2 4 8 8 8 8 8; do
  kill -0 "-$1" || exit 0; sleep 0.$n || sleep 1
done
exit 1
"""


class NoEnd(Exception):
    """The stream ended and no mark had come: the shell was killed, the container died, or the engine went away."""


class Full(Exception):
    """The waiting shell could not start the script's."""


@dataclass(frozen=True, slots=True)
class End:
    """What the waiting shell said."""

    exit_code: int
    ooms: int
    """Processes that the container has lost to its memory limit since the command began; known only of commands that failed."""


@dataclass(slots=True)
class _Channel:
    """Bytes of one stream, split at the mark."""

    mark: bytes
    kept: HeadTail
    pending: bytearray = field(default_factory=bytearray)
    ended: bool = False
    rest: bytearray = field(default_factory=bytearray)

    def feed(self, data: bytes) -> None:
        if self.ended:
            self.rest += data[: 64 - len(self.rest)]
            return
        self.pending += data
        at = self.pending.find(self.mark)
        if at >= 0:
            self.kept.feed(bytes(self.pending[:at]))
            self.rest += self.pending[at + len(self.mark) : at + len(self.mark) + 64]
            self.ended = True
            self.pending.clear()
            return
        safe = len(self.pending) - len(self.mark)
        if safe > 0:
            self.kept.feed(bytes(self.pending[:safe]))
            del self.pending[:safe]

    def stream(self) -> Stream:
        self.kept.feed(bytes(self.pending))
        self.pending.clear()
        return self.kept.stream()


class Attached:
    """The open connection of one exec."""

    def __init__(self, connection: Connection, *, output_limit: int) -> None:
        self._connection = connection
        self._mark = secrets.token_hex(16).encode()
        self._stdout = _Channel(self._mark + b" ", HeadTail(output_limit))
        self._stderr = _Channel(self._mark + b"\n", HeadTail(output_limit))
        self._opening = bytearray()
        self._frames = bytearray()
        self._started_s = 0.0
        self.group: int | None = None
        """Process group of the command, once it is known to have started."""

    async def start(self) -> None:
        """Let the command go and wait until it runs. Raises `NoEnd`, with what the engine said instead, or `OSError`."""
        await self._connection.send(self._mark + b"\n")
        await self.started()

    async def started(self) -> None:
        """The waiting part of `start`."""
        while self.group is None:
            try:
                await self._receive()
            except NoEnd:
                raise NoEnd((self._stdout.stream().bytes + bytes(self._opening)).decode("utf-8", "replace").strip()) from None
        self._started_s = time.monotonic()

    async def finish(self, stdin: bytes) -> End:
        """Feed stdin, read until both streams are marked. Raises `NoEnd`, `Full` or `OSError`."""
        feeding = asyncio.create_task(self._feed(stdin))
        try:
            while not (self._stdout.ended and self._stderr.ended and b"\n" in self._stdout.rest):
                await self._receive()
        finally:
            feeding.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await feeding
        exit_code, ooms = self._stdout.rest.split(b"\n")[0].split()
        if exit_code == b"full":
            raise Full
        return End(int(exit_code), int(ooms))

    async def drain(self) -> None:
        """Take what a killed command had written, to the end of its streams."""
        with contextlib.suppress(NoEnd, OSError):
            while True:
                await self._receive()

    def result(self, end: End, *, timed_out: bool = False, note: bytes = b"") -> CommandResult:
        """What came so far, as a result, with a note below stderr."""
        stderr = self._stderr.stream()
        if note:
            noted = {"tail": stderr.tail + note} if stderr.cut else {"head": stderr.head + note}
            stderr = replace(stderr, total=stderr.total + len(note), **noted)
        return CommandResult(
            exit_code=end.exit_code,
            stdout=self._stdout.stream(),
            stderr=stderr,
            timed_out=timed_out,
            duration_s=time.monotonic() - self._started_s,
            out_of_memory=bool(note),
        )

    def close(self) -> None:
        """Let go of the connection; idempotent."""
        self._connection.close()

    async def _feed(self, stdin: bytes) -> None:
        with contextlib.suppress(OSError):  # a command need not read its stdin; the reading side sees a lost engine too
            if stdin:
                await self._connection.send(stdin)
            self._connection.end()

    async def _receive(self) -> None:
        data = await self._connection.receive()
        if not data:
            raise NoEnd
        self._frames += data
        at = 0
        while len(self._frames) - at >= 8:
            kind, length = struct.unpack_from(">BxxxL", self._frames, at)
            if len(self._frames) - at - 8 < length:
                break
            piece = bytes(self._frames[at + 8 : at + 8 + length])
            at += 8 + length
            if kind == 2:
                self._feed_stderr(piece)
            else:
                self._stdout.feed(piece)
        del self._frames[:at]

    def _feed_stderr(self, data: bytes) -> None:
        if self.group is None:
            self._opening += data
            line, newline, rest = bytes(self._opening).partition(b"\n")
            mark, _, group = line.partition(b" ")
            if not newline or mark != self._mark:
                return
            self.group = int(group)
            data = rest
        self._stderr.feed(data)
