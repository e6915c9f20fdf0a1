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

    Short commands that share the CPUs all end late; one after another they end sooner in the mean, and the last of them no later.
    A command that runs on leaves its place after `HOLD_S`, so that long ones, and those that sleep, hold up nobody.
    """

    def __init__(self, at_once: int | None = None) -> None:
        self._free = at_once or PER_CPU * len(os.sched_getaffinity(0))
        self._queue: deque[tuple[asyncio.Future[Any], Callable[[], None]]] = deque()

    def enter(self, answer: asyncio.Future[Any], send: Callable[[], None]) -> None:
        """Call `send` when it is its turn, unless `answer`, which it asks for, is done before: by loss or by cancelling."""
        if self._free:
            self._send(answer, send)
        else:
            self._queue.append((answer, send))

    def _send(self, answer: asyncio.Future[Any], send: Callable[[], None]) -> None:
        self._free -= 1
        place = _Place(self._leave)
        place.over = answer.get_loop().call_later(HOLD_S, place.leave)
        answer.add_done_callback(place.leave)
        send()

    def _leave(self) -> None:
        self._free += 1
        while self._free and self._queue:
            answer, send = self._queue.popleft()
            if not answer.done():
                self._send(answer, send)


class _Place:
    """Left once: at the answer, or when its time is over."""

    __slots__ = ("_on_leave", "over")
    over: asyncio.TimerHandle

    def __init__(self, on_leave: Callable[[], None]) -> None:
        self._on_leave: Callable[[], None] | None = on_leave

    def leave(self, _: object = None) -> None:
        """Let the next one in."""
        if self._on_leave is not None:
            on_leave, self._on_leave = self._on_leave, None
            self.over.cancel()
            on_leave()
