"""An exec for each command, where streams may not stay open. What the mux promises holds for each of them."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable

from podgym.k8s.exec.channel import Channel
from podgym.k8s.exec.mux import Command, Mux
from podgym.sandbox import CommandResult, SandboxLost

__all__ = ["OneShot"]


class OneShot:
    """As `Mux`, which it takes one of for each command, with a directory of its own: streams with one directory displace each other."""

    def __init__(self, connect: Callable[[], Awaitable[Channel]], *, directory: str, reconnect_s: float = 60.0) -> None:
        self._connect = connect
        self._directory = directory
        self._reconnect_s = reconnect_s
        self._open: set[Mux] = set()
        self._closed = False

    async def open(self) -> None:
        """Prove that a supervisor can work in the container. Raises `SandboxError`."""
        await self.run(Command(b"", 60.0, "/", {}, b"", 64))

    async def run(self, command: Command) -> CommandResult:
        """Raises `SandboxError`."""
        if self._closed:
            raise SandboxLost("The sandbox is closed.", reason="closed", remedy="Create another one.")
        mux = Mux(self._connect, directory=f"{self._directory}/{secrets.token_hex(6)}", reconnect_s=self._reconnect_s)
        self._open.add(mux)
        try:
            return await mux.run(command)
        finally:
            self._open.discard(mux)
            await mux.close(leave=True)

    async def close(self) -> None:
        """Idempotent; commands in flight fail."""
        self._closed = True
        for mux in list(self._open):
            await mux.close()
