"""PID 1 of a sandbox: runs commands and moves files for the driver, one frame each way, over one socket.

One thread, one poll loop. Commands are started without forking this process's memory (`posix_spawn`); the end of the
socket, the lifetime, or the death of the spawner ends this process, and the kernel then ends everything in its PID
namespace. Paths are resolved here, inside, so no link can lead out of the sandbox's root.
"""

from __future__ import annotations

import errno
import os
import resource
import select
import stat
import time

from podgym.sandbox.local.inside import wire
from podgym.sandbox.local.inside.cgroups import count_ooms
from podgym.sandbox.local.inside.command import Command, start
from podgym.sandbox.local.inside.kernel import signal
from podgym.sandbox.local.inside.plain import count_descendants, kill_descendants, stop_descendants

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Callable
    from typing import Any

__all__ = ["CLOSE_ON_EXEC", "RESERVE", "Init"]

RECEIVE = 1 << 18
CLOSE_ON_EXEC = 0x40000000
"""MSG_CMSG_CLOEXEC: a command must not inherit what is received here, least of all this socket."""
RESERVE = 8
"""Processes beyond the limit that this init may start, so that a full sandbox still answers."""

FREEZE_S = 5.0
"""How long the end of processes is waited for: one in the kernel dies when it comes out of it."""


class Init:
    """Serves one sandbox; never returns from `serve`."""

    def __init__(self, channel: socket, spec: dict[str, Any], *, root: str, events: int) -> None:
        self._channel = channel
        self._root = root
        self._events = events
        self._workdir = spec["workdir"]
        self._env = {os.fsencode(key): os.fsencode(value) for key, value in spec["env"].items()}
        self._read_limit: int = spec["read_limit"]
        self._processes: int = spec["processes"]
        self._deadline = time.monotonic() + float(spec["lifetime_s"])
        self._frames = wire.FrameReader()
        self._passed: list[int] = []
        self._commands: dict[int, Command] = {}
        self._by_fd: dict[int, Command] = {}
        self._held: set[int] = set()
        self._writes: dict[int, tuple[int, str]] = {}
        self._poll = select.poll()
        self._null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)

    def serve(self) -> None:
        """The loop."""
        wake, wake_write = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(wake_write, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        channel = self._channel.fileno()
        self._poll.register(channel, select.POLLIN)
        self._poll.register(wake, select.POLLIN)
        self._send(wire.READY, 0)
        while True:
            for fd, event in self._poll.poll(self._wait_ms()):
                if fd == channel:
                    self._receive()
                elif fd == wake:
                    os.read(wake, 4096)
                    self._reap()
                elif fd in self._held:
                    self._discard(fd)
                elif fd in self._by_fd:
                    self._move(fd, event)
            self._expire()

    def _wait_ms(self) -> float:
        deadline = min((command.deadline for command in self._commands.values()), default=self._deadline)
        return max(0.0, min(deadline, self._deadline) - time.monotonic()) * 1000 + 1

    def _expire(self) -> None:
        now = time.monotonic()
        for command in self._commands.values():
            if command.deadline <= now:
                command.kill()
        if now >= self._deadline:
            self._send(wire.LOST, 0, b"lifetime")
            self._leave()

    def _leave(self) -> None:
        if self._root:
            kill_descendants()
        os._exit(0)

    def _send(self, kind: int, ident: int, *parts: bytes) -> None:
        try:
            self._channel.sendall(wire.frame(kind, ident, *parts))
        except ConnectionError:
            self._leave()

    def _receive(self) -> None:
        try:
            data, ancillary, _, _ = self._channel.recvmsg(RECEIVE, 64, CLOSE_ON_EXEC)
        except ConnectionError:
            data, ancillary = b"", []
        if not data:
            self._leave()
        for _, _, blob in ancillary:
            self._passed += [int.from_bytes(blob[at : at + 4], "little") for at in range(0, len(blob), 4)]
        for kind, ident, payload in self._frames.feed(data):
            try:
                self._handle(kind, ident, payload)
            except OSError as error:
                text = (error.strerror or str(error)).encode()
                self._send(wire.ERROR, ident, wire.ERROR_HEAD.pack(error.errno or errno.EIO), text)
            except ValueError as error:  # An environment that no program takes is this request's end, not the sandbox's.
                self._send(wire.ERROR, ident, wire.ERROR_HEAD.pack(errno.EINVAL), str(error).encode("utf-8", "replace"))

    def _handle(self, kind: int, ident: int, payload: bytes) -> None:
        if kind in (wire.RUN, wire.RUN_FD):
            self._run(ident, payload, self._passed.pop(0) if kind == wire.RUN_FD else -1)
        elif kind == wire.READ:
            self._read(ident, self._path(payload))
        elif kind == wire.WRITE:
            self._write(ident, payload)
        elif kind == wire.PROCESSES:
            count = 0 if self._root else sum(name.isdigit() for name in os.listdir("/proc")) - 1
            self._send(wire.DATA, ident, str(count).encode())
        elif kind == wire.FREEZE:
            self._send(wire.DATA, ident, str(self._freeze()).encode())

    def _freeze(self) -> int:
        """End everything that runs here; returns how many processes are left after `FREEZE_S`."""
        deadline = time.monotonic() + FREEZE_S
        while True:
            if self._root:
                stop_descendants(deadline)
            else:
                # The kernel signals all of the namespace at once, and a fork that meets the signal does not happen.
                try:
                    os.kill(-1, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            self._reap()
            left = count_descendants()
            if not left or time.monotonic() >= deadline:
                return left
            time.sleep(0.002)

    def _path(self, raw: bytes) -> str:
        path = os.path.join(self._workdir, os.fsdecode(raw))
        return self._root + path if self._root else path

    def _run(self, ident: int, payload: bytes, stdin_fd: int) -> None:
        timeout_s, limit, script, cwd, env, stdin = wire.unpack_run(payload)
        variables = self._env
        if env:
            variables = {**variables, **dict(entry.split(b"=", 1) for entry in env.split(b"\0"))}
        place = self._path(cwd)
        ooms = self._count_ooms()
        try:
            os.chdir(place)
        except OSError as error:
            text = b"sh: cannot start in %s: %s\n" % (cwd or self._workdir.encode(), (error.strerror or "").encode())
            self._send(wire.RESULT, ident, *wire.pack_result(126, 0, 0.0, (b"", b"", 0), (text, b"", len(text))))
            return

        def attempt() -> Command:
            return start(ident, script, env=variables, stdin=stdin, stdin_fd=stdin_fd, null=self._null, limit=limit, timeout_s=timeout_s)

        try:
            try:
                command = attempt()
            except BlockingIOError:
                if not self._processes:
                    raise
                command = self._from_reserve(attempt)
        finally:
            os.chdir("/")
            if stdin_fd >= 0:
                os.close(stdin_fd)
        command.ooms = ooms
        self._commands[command.pid] = command
        for fd in command.pipes:
            self._by_fd[fd] = command
            self._poll.register(fd, select.POLLIN)
        if command.stdin is not None:
            self._by_fd[command.stdin[0]] = command
            self._poll.register(command.stdin[0], select.POLLOUT)

    def _from_reserve(self, attempt: Callable[[], Command]) -> Command:
        """In a sandbox that is full of processes, a command may still start; what it starts in turn fails."""
        limit, full = resource.getrlimit(resource.RLIMIT_NPROC)
        resource.setrlimit(resource.RLIMIT_NPROC, (full, full))
        try:
            command = attempt()
        finally:
            resource.setrlimit(resource.RLIMIT_NPROC, (limit, full))
        try:
            resource.prlimit(command.pid, resource.RLIMIT_NPROC, (limit, limit))
        except ProcessLookupError:
            pass
        return command

    def _move(self, fd: int, event: int) -> None:
        command = self._by_fd[fd]
        if fd in command.pipes:
            if not command.pull(fd):
                self._forget(fd)
                del command.pipes[fd]
                os.close(fd)
        elif not command.push() or event & (select.POLLERR | select.POLLNVAL):
            self._forget(fd)
            if command.stdin is not None:
                os.close(fd)
                command.stdin = None

    def _forget(self, fd: int) -> None:
        del self._by_fd[fd]
        self._poll.unregister(fd)

    def _discard(self, fd: int) -> None:
        """What children write after their command has ended is read, so that they live, and dropped."""
        try:
            if os.read(fd, 65536):
                return
        except BlockingIOError:
            return
        self._held.discard(fd)
        self._poll.unregister(fd)
        os.close(fd)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            command = self._commands.pop(pid, None)
            if command is not None:
                self._finish(command, os.waitstatus_to_exitcode(status))

    def _finish(self, command: Command, code: int) -> None:
        duration = time.monotonic() - command.started
        for fd in command.pipes:
            self._forget(fd)
        if command.stdin is not None:
            self._forget(command.stdin[0])
            os.close(command.stdin[0])
        for fd in command.drain():
            self._held.add(fd)
            self._poll.register(fd, select.POLLIN)
        flags = int(command.timed_out)
        if code and self._events >= 0 and not command.timed_out:
            flags |= 2 * (self._count_ooms() > command.ooms)
        code = 137 if command.timed_out else code if code >= 0 else 128 - code
        out, err = command.streams
        self._send(wire.RESULT, command.ident, *wire.pack_result(code, flags, duration, out.result(), err.result()))

    def _count_ooms(self) -> int:
        return count_ooms(self._events) if self._events >= 0 else 0

    def _read(self, ident: int, path: str) -> None:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            status = os.fstat(fd)
            if stat.S_ISDIR(status.st_mode):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            if not stat.S_ISREG(status.st_mode):
                raise OSError(errno.EINVAL, "Not a regular file")
            if status.st_size > self._read_limit:
                raise OSError(errno.EFBIG, f"File has {status.st_size} bytes, at most {self._read_limit} can be read")
            sent = 0
            while data := os.read(fd, wire.PART_BYTES):
                sent += len(data)
                if len(data) < wire.PART_BYTES and sent == status.st_size:
                    break
                if sent > self._read_limit:
                    raise OSError(errno.EFBIG, f"File has more than {self._read_limit} bytes")
                self._send(wire.PART, ident, data)
            self._send(wire.DATA, ident, data)
        finally:
            os.close(fd)

    def _write(self, ident: int, payload: bytes) -> None:
        mode, length, more = wire.WRITE_HEAD.unpack_from(payload)
        body = wire.WRITE_HEAD.size + length
        path = self._path(payload[wire.WRITE_HEAD.size : body])
        if ident in self._writes:
            fd, temporary = self._writes.pop(ident)
            if fd < 0:  # An earlier part failed and was answered.
                if more:
                    self._writes[ident] = (fd, temporary)
                return
        else:
            try:
                fd, temporary = self._open_beside(path)
            except OSError:
                if more:
                    self._writes[ident] = (-1, "")
                raise
        try:
            view = memoryview(payload)[body:]
            while view:
                view = view[os.write(fd, view) :]
            if more:
                self._writes[ident] = (fd, temporary)
                return
            os.fchmod(fd, mode)
            os.rename(temporary, path)
        except OSError:
            os.close(fd)
            os.unlink(temporary)
            if more:
                self._writes[ident] = (-1, "")
            raise
        os.close(fd)
        self._send(wire.DATA, ident)

    def _open_beside(self, path: str) -> tuple[int, str]:
        folder, name = os.path.split(path)
        if not name:
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW
        temporary = os.path.join(folder, f".{name[:200]}.{os.urandom(6).hex()}")
        try:
            return os.open(temporary, flags, 0o600), temporary
        except FileNotFoundError:
            os.makedirs(folder, exist_ok=True)
            return os.open(temporary, flags, 0o600), temporary
