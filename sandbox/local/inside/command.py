"""One running command: its process group, its pipes, its deadline."""

from __future__ import annotations

import os
import time

from podgym.sandbox.local.inside.kernel import signal
from podgym.sandbox.local.inside.output import Capture

__all__ = ["Command", "start"]

ARGUMENT_LIMIT = 120_000
"""Linux refuses a single argument of 128 KiB; longer scripts are given to `sh` as a file."""
CHUNK = 65536
DRAIN_BYTES = 2 << 20
"""More than a pipe can hold: what a command wrote before it ended is read, what children still write is not waited for."""


class Command:
    """A started command. `pipes` maps each open read end to where its bytes go."""

    def __init__(self, ident: int, pid: int, *, out: int, err: int, limit: int, timeout_s: float) -> None:
        self.ident = ident
        self.ooms = 0
        """What the sandbox's counter of processes killed for memory said when this command began."""
        self.pid = pid
        self.pipes = {out: Capture(limit), err: Capture(limit)}
        self.streams = tuple(self.pipes.values())
        self.started = time.monotonic()
        self.deadline = self.started + timeout_s
        self.timed_out = False
        self.stdin: tuple[int, memoryview] | None = None

    def pull(self, fd: int) -> bool:
        """Read what is there; False when the stream has ended."""
        try:
            data = os.read(fd, CHUNK)
        except BlockingIOError:
            return True
        self.pipes[fd].add(data)
        return bool(data)

    def drain(self) -> list[int]:
        """After the end: read what the pipes hold; returns the read ends that children still keep open."""
        held = []
        for fd, capture in self.pipes.items():
            taken, closed = 0, False
            while taken < DRAIN_BYTES:
                try:
                    data = os.read(fd, CHUNK)
                except BlockingIOError:
                    break
                if not data:
                    closed = True
                    break
                capture.add(data)
                taken += len(data)
            if closed:
                os.close(fd)
            else:
                held.append(fd)
        return held

    def push(self) -> bool:
        """Feed stdin; False when all is written or nobody reads any more."""
        if self.stdin is None:
            return False
        fd, rest = self.stdin
        try:
            rest = rest[os.write(fd, rest[:CHUNK]) :]
        except BlockingIOError:
            return True
        except BrokenPipeError:
            rest = rest[:0]
        if rest:
            self.stdin = (fd, rest)
            return True
        os.close(fd)
        self.stdin = None
        return False

    def kill(self) -> None:
        """Kill the process group; at the deadline."""
        self.timed_out = True
        self.deadline = float("inf")
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def start(
    ident: int, script: bytes, *, env: dict[bytes, bytes], stdin: bytes, stdin_fd: int, null: int, limit: int, timeout_s: float
) -> Command:
    """Start `script` in the current directory, in a session of its own. Raises `OSError`."""
    owned: list[int] = []
    pid = 0
    feed = -1
    out, out_child = os.pipe()
    err, err_child = os.pipe()
    try:
        source = stdin_fd if stdin_fd >= 0 else null
        if stdin:
            source, feed = os.pipe()
            owned.append(source)
        argv: list[bytes] = [b"sh", b"-c", script]
        actions = [(os.POSIX_SPAWN_DUP2, source, 0), (os.POSIX_SPAWN_DUP2, out_child, 1), (os.POSIX_SPAWN_DUP2, err_child, 2)]
        if len(script) > ARGUMENT_LIMIT:
            body = os.memfd_create("script")
            owned.append(body)
            with open(body, "wb", closefd=False) as file:
                file.write(script)
            os.lseek(body, 0, os.SEEK_SET)
            argv = [b"sh", b"/dev/fd/9"]
            actions.append((os.POSIX_SPAWN_DUP2, body, 9))
        pid = os.posix_spawn(
            b"/bin/sh", argv, env, file_actions=actions, setsid=True, setsigdef=[signal.SIGPIPE, signal.SIGXFSZ], setsigmask=[]
        )
    finally:
        for fd in (out_child, err_child, *owned):
            os.close(fd)
        if not pid:
            for fd in (out, err, feed):
                if fd >= 0:
                    os.close(fd)
    os.set_blocking(out, False)
    os.set_blocking(err, False)
    command = Command(ident, pid, out=out, err=err, limit=limit, timeout_s=timeout_s)
    if feed >= 0:
        os.set_blocking(feed, False)
        command.stdin = (feed, memoryview(stdin))
    return command
