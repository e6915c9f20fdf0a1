"""Which commands start first, where more are asked for at once than a machine can run at once."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable
from typing import Any

__all__ = ["Starts"]

PER_CPU = 2
HOLD_S = 0.004
"""A few times what a shell takes to start and end."""


class Starts:
    """Lets few commands be in their first moments at once; the others wait, first come, first served.

    Short commands that share the CPUs all end late; one after another they end sooner in the mean, and the last of them about as soon.
    A command that runs on leaves its place after `HOLD_S`, so that long ones, and those that sleep, hold up nobody. A driver that has
    been busy elsewhere lets in as many as would have had their turn meanwhile.
    """

    def __init__(self, at_once: int | None = None) -> None:
        self._free = at_once or PER_CPU * len(os.sched_getaffinity(0))
        self._queue: deque[tuple[asyncio.Future[Any], Callable[[], None]]] = deque()

    def enter(self, answer: asyncio.Future[Any], send: Callable[[], None]) -> None:
        """Call `send` when it is its turn, unless `answer`, which it asks for, is done before: by loss or by cancelling."""
        self._queue.append((answer, send))
        self._admit()

    def _admit(self) -> None:
        while self._free and (waiting := self._next()) is not None:
            answer, send = waiting
            self._free -= 1
            place = _Place(answer.get_loop(), self._leave)
            answer.add_done_callback(place.leave)
            send()

    def _next(self) -> tuple[asyncio.Future[Any], Callable[[], None]] | None:
        while self._queue:
            waiting = self._queue.popleft()
            if not waiting[0].done():
                return waiting
        return None

    def _leave(self, held_s: float) -> None:
        self._free += 1
        for _ in range(int(held_s / HOLD_S) - 1):
            if (waiting := self._next()) is None:
                return
            waiting[1]()
        self._admit()


class _Place:
    """Left once: at the answer, or when its time is over."""

    __slots__ = ("_loop", "_on_leave", "_over", "_since")

    def __init__(self, loop: asyncio.AbstractEventLoop, on_leave: Callable[[float], None]) -> None:
        self._loop = loop
        self._on_leave: Callable[[float], None] | None = on_leave
        self._since = loop.time()
        self._over = loop.call_later(HOLD_S, self.leave)

    def leave(self, _: object = None) -> None:
        """Let the next one in."""
        if self._on_leave is not None:
            on_leave, self._on_leave = self._on_leave, None
            self._over.cancel()
            on_leave(self._loop.time() - self._since)
