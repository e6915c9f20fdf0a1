"""Starts the keeper and its spawner, and hands them requests."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import marshal
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from podgym.sandbox.errors import IsolationError, SandboxError, TransportError
from podgym.sandbox.local.config import LocalConfig
from podgym.sandbox.local.inside import wire
from podgym.sandbox.local.isolation import is_privileged, remedy_for
from podgym.sandbox.local.reaping import clean_up

__all__ = ["UNBOUNDED_REMEDY", "Spawner"]

UNBOUNDED_REMEDY = (
    "Run as root, or as a user in a scope of systemd's (systemd-run --user --scope -p Delegate=yes ...); "
    "in a container, with a control group tree of its own that can be written (--privileged --cgroupns=private)."
)

INSIDE = Path(__file__).with_name("inside")
_log = logging.getLogger("podgym.sandbox.local")
_warned: set[str] = set()


class Spawner:
    """A running keeper and spawner; `on_gone(ident, status, oom)` is called for every sandbox that has ended."""

    def __init__(self, process: subprocess.Popen[bytes], control: socket.socket, *, isolated: bool, scratch: Path, layers: Path) -> None:
        self.isolated = isolated
        self.unbounded = ""
        """Why no control group bounds a whole sandbox; empty where one does."""
        self.scratch = scratch
        self.layers = layers
        """Image layers, which belong to the user that sandboxes are to the machine."""
        self._process = process
        self._control = control
        self._pid_fd = os.pidfd_open(process.pid)

    @classmethod
    async def start(cls, config: LocalConfig, *, name: str, layout: dict[str, Any]) -> Spawner:
        """Start isolated, or without where `config.isolation` lets us.

        Raises `IsolationError`, or `TransportError` when the helper does not come up at all.
        """
        if config.isolation != "off":
            try:
                return await cls._launch(config, name=name, layout=layout, isolated=True)
            except IsolationError as error:
                if config.isolation == "require":
                    raise
                _warn_once(str(error), f"Sandboxes are NOT isolated from this machine: {error}")
        return await cls._launch(config, name=name, layout=layout, isolated=False)

    @classmethod
    async def _launch(cls, config: LocalConfig, *, name: str, layout: dict[str, Any], isolated: bool) -> Spawner:
        scratch = config.scratch / name
        privileged = isolated and is_privileged(config.host_uid)
        # What was made without isolation could have been changed by anything since, and is never part of an isolated sandbox.
        layers = config.cache / (str(config.host_uid) if privileged else "own" if isolated else "plain")
        _private_folder(layers, config.host_uid if privileged else None)
        message = {
            **layout,
            "layers": str(layers),
            "isolated": isolated,
            "privileged": privileged,
            "uid": config.host_uid,
            "owner": os.getpid(),
            "name": name,
            "scratch": str(scratch),
            "cgroups": config.cgroups,
        }
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            process = _start_keeper(theirs)
        ours.setblocking(False)
        spawner = cls(process, ours, isolated=isolated, scratch=scratch, layers=layers)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(config.start_timeout_s):
                await loop.sock_sendall(ours, marshal.dumps(message))
                answer = await loop.sock_recv(ours, 1 << 16)
        except (TimeoutError, ConnectionError):
            answer = b""
        except BaseException:
            await spawner.close(timeout_s=config.close_timeout_s)
            raise
        told: dict[str, Any] = marshal.loads(answer) if answer else {"problem": "the helper process ended or was silent", "errno": 0}
        if "problem" in told:
            await spawner.close(timeout_s=config.close_timeout_s)
            text = told["problem"]
            if isolated and told["errno"]:
                raise IsolationError(f"This machine does not let podgym isolate sandboxes: {text}.", remedy=remedy_for(told["errno"]))
            raise TransportError(
                f"The local sandbox helper did not start: {text}.",
                remedy=f"Check free memory, and that {config.scratch} is writable; its own messages are on stderr.",
            )
        spawner.unbounded = told["unbounded"]
        if spawner.unbounded and config.cgroups:
            _warn_once(
                "unbounded",
                f"No control groups can be made here ({spawner.unbounded}): memory is bounded for each process of a sandbox and not for "
                f"all together, and CPU is not bounded. {UNBOUNDED_REMEDY}",
            )
        return spawner

    def listen(self, on_gone: Callable[[int, int, bool], None], on_end: Callable[[], None]) -> None:
        """Deliver what the spawner reports to the running loop."""
        loop = asyncio.get_running_loop()

        def readable() -> None:
            try:
                message = self._control.recv(64)
            except BlockingIOError:
                return
            except OSError:
                message = b""
            if message:
                ident, status, oom = wire.GONE.unpack(message)
                on_gone(ident, status, bool(oom))
            else:
                loop.remove_reader(self._control)
                on_end()

        loop.add_reader(self._control, readable)

    async def request(self, channel: socket.socket, new: bytes) -> None:
        """Ask for a sandbox that is served on `channel`. Waits while the spawner's queue is full; the caller bounds it."""
        while True:
            try:
                socket.send_fds(self._control, [new], [channel.fileno()])
                return
            except BlockingIOError:
                await asyncio.sleep(0.002)  # The spawner has a full queue; it takes about a millisecond for each.
            except OSError as error:
                raise TransportError("The local sandbox helper has ended.", remedy="Try again; the provider starts another.") from error

    async def close(self, *, timeout_s: float) -> None:
        """End the spawner and with it every sandbox; returns when the keeper has cleaned up."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._control)
        # Closing alone would not end it while a process that the driver has forked still holds a copy.
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)
        self._control.close()
        ended = loop.create_future()
        loop.add_reader(self._pid_fd, lambda: None if ended.done() else ended.set_result(None))
        try:
            async with asyncio.timeout(timeout_s):
                await ended
        except TimeoutError:
            self._process.kill()
            raise SandboxError(
                f"The local sandbox helper (process {self._process.pid}) did not end within {timeout_s:g} s and was killed.",
                remedy=f"Look for leftovers in {self.scratch}; podgym.sandbox.local.reap() removes them.",
            ) from None
        finally:
            loop.remove_reader(self._pid_fd)
            os.close(self._pid_fd)
            if self._process.wait() != 0:
                await asyncio.to_thread(clean_up, self.scratch)


def _warn_once(what: str, text: str) -> None:
    if what not in _warned:
        _warned.add(what)
        _log.warning("%s", text)


def _private_folder(path: Path, uid: int | None) -> None:
    path.mkdir(parents=True, exist_ok=True)
    if uid is not None and path.stat().st_uid != uid:
        os.chown(path, uid, uid)
    path.chmod(0o700)


def _start_keeper(control: socket.socket) -> subprocess.Popen[bytes]:
    """Not through asyncio: its child watcher would tie the helper to a loop, and the helper must outlive any."""
    return subprocess.Popen(
        [sys.executable, "-I", "-S", str(INSIDE), str(control.fileno())],
        pass_fds=[control.fileno()],
        env={"LANG": "C.UTF-8"},
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
