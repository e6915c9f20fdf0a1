"""One stream to a supervisor in a pod: requests go out in order, events and outputs find whoever waits for them.

A link that breaks stays broken. Everything that waits on it ends with `ChannelClosed`.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from podgym.k8s.exec.channel import STDERR, STDOUT, Channel, ChannelClosed
from podgym.k8s.exec.replies import Events, Output
from podgym.k8s.exec.requests import start

__all__ = ["Link", "Refused", "Turn"]

T = TypeVar("T")
_EVENT_WORDS: Final = 2


class Refused(Exception):
    """The supervisor cannot work in this container; the argument is what is missing: `state`, `setsid` or `head`."""


class Turn:
    """The right to the supervisor's stdout, until `release`."""

    def __init__(self, link: Link, streams: int) -> None:
        self._link = link
        self.expect(streams)

    def expect(self, streams: int, mark: bytes = b"") -> None:
        """What comes next has so many streams; `mark` ends each of them, and may be told later by `ends`."""
        self._output = Output(streams)
        self._link.output = self._output
        if mark:
            self.ends(mark)

    def ends(self, mark: bytes) -> None:
        """How each stream ends."""
        self._output.expect(mark)
        self._link.arrived.set()

    async def streams(self) -> list[bytes]:
        """All of them. Raises `ChannelClosed`."""
        while not self._output.whole:
            self._link.arrived.clear()
            await self._link.until(self._link.arrived.wait())
        return self._output.parts

    def release(self) -> None:
        """Idempotent."""
        if self._link.turn is self:
            self._link.turn = None
            self._link.output = None
            self._link.free.set()


class Link:
    """Made by `open`. `on_event` is called with the words of each event of a command."""

    def __init__(self, channel: Channel, on_event: Callable[[list[str]], None]) -> None:
        self._channel = channel
        self._on_event = on_event
        self._events = Events()
        self.turn: Turn | None = None
        self.output: Output | None = None
        self.free = asyncio.Event()
        self.arrived = asyncio.Event()
        self.ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        """Processes that the container had lost to its memory limit when the stream began."""
        self.broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def open(cls, channel: Channel, directory: str, on_event: Callable[[list[str]], None]) -> Link:
        """Send the supervisor and wait until it runs. Raises `Refused`, `ChannelClosed`."""
        link = cls(channel, on_event)
        try:
            await channel.send(start(directory, secrets.token_hex(8)))
            await link.until(link.ready)
        except BaseException:
            await link.close()
            raise
        return link

    async def send(self, data: bytes) -> None:
        """Raises `ChannelClosed`."""
        if self.broken.done():
            raise ChannelClosed
        try:
            await self._channel.send(data)
        except ChannelClosed:
            self._break()
            raise

    async def until(self, waited: Awaitable[T]) -> T:
        """The result, if it comes before the link breaks. Raises `ChannelClosed`."""
        waiting = asyncio.ensure_future(waited)
        try:
            await asyncio.wait((waiting, self.broken), return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                raise ChannelClosed
            return waiting.result()
        finally:
            if waiting is not waited:
                waiting.cancel()

    def take(self) -> Turn | None:
        """A turn, if nobody has one."""
        if self.turn is None:
            self.turn = Turn(self, 2)
            return self.turn
        return None

    async def wait_turn(self) -> Turn:
        """A turn, when it comes. Raises `ChannelClosed`."""
        while (turn := self.take()) is None:
            self.free.clear()
            await self.until(self.free.wait())
        return turn

    async def close(self) -> None:
        """Idempotent."""
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        self._break()
        await self._channel.close()

    def _break(self) -> None:
        if not self.broken.done():
            self.broken.set_result(None)

    async def _read(self) -> None:
        try:
            while True:
                stream, data = await self._channel.receive()
                if stream == STDERR:
                    for words in self._events.feed(data):
                        self._heard(words)
                elif stream == STDOUT and self.output is not None:
                    self.output.feed(data)
                    self.arrived.set()
        except ChannelClosed:
            return
        finally:
            self._break()

    def _heard(self, words: list[str]) -> None:
        if words[0] == "R" and not self.ready.done():
            self.ready.set_result(int(words[-1]) if words[-1].isdecimal() else 0)
        elif words[0] == "X" and not self.ready.done():
            self.ready.set_exception(Refused(words[-1]))
        elif len(words) >= _EVENT_WORDS:
            self._on_event(words)
