"""A process in a pod with its three streams, as an exec gives it."""

from __future__ import annotations

from typing import Final, Protocol

__all__ = ["STDERR", "STDOUT", "Channel", "ChannelClosed"]

STDOUT: Final = 1
STDERR: Final = 2


class ChannelClosed(Exception):
    """The connection is gone, or the process ended; what was in flight may have arrived or not."""


class Channel(Protocol):
    """One process. `receive` has one caller at a time; `send` may be called beside it."""

    async def send(self, data: bytes) -> None:
        """To its stdin. Raises `ChannelClosed`."""
        ...

    async def receive(self) -> tuple[int, bytes]:
        """What it wrote next, and to which stream. Raises `ChannelClosed`."""
        ...

    async def close(self) -> None:
        """Idempotent; the process sees the end of its stdin."""
        ...
