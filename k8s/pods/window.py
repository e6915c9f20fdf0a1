"""How many requests may be on their way to an API server at once: more while it answers quickly, half when it refuses.

The scheme is TCP's: the window doubles with each round of answers until the first sign of trouble, and grows by one a round afterwards
(additive increase, multiplicative decrease: Chiu and Jain 1989; slow start: Jacobson 1988). Signs are a refusal (429), an error of the
server (5xx), no answer, and answers that take several times as long as the quickest ones do, which only hold the growth. The rate follows
from the window and the server's own time, so nothing has to be guessed about either.
"""

from __future__ import annotations

from typing import Final

__all__ = ["Window"]

_SLOW: Final = 4.0
"""Times the quickest answer: no growth from here on."""
_SLACK_S: Final = 0.05
"""Beyond that: small times vary by their nature."""
_FORGET: Final = 0.01
"""How fast the quickest time seen is forgotten, each answer: servers and objects change."""
_HALF: Final = 0.5


class Window:
    """Pure: who uses it brings the clock."""

    def __init__(self, *, first: float = 8.0, least: float = 1.0, most: float = 256.0) -> None:
        self._least, self._most = least, most
        self._size = first
        self._starting = True
        self._quickest_s = float("inf")
        self._held_until = float("-inf")
        self._cut_at = float("-inf")

    @property
    def size(self) -> int:
        """Requests at once."""
        return max(1, int(self._size))

    def wait_s(self, now: float, on_the_way: int) -> float | None:
        """Seconds until another may be sent: 0 for now, None when an answer has to come first."""
        if now < self._held_until:
            return self._held_until - now
        return 0.0 if on_the_way < self.size else None

    def answered(self, now: float, took_s: float) -> None:
        """A request succeeded."""
        self._quickest_s = min(took_s, self._quickest_s * (1 + _FORGET) + 1e-6)
        if took_s > self._quickest_s * _SLOW + _SLACK_S:
            self._starting = False
            return
        self._size = min(self._most, self._size + (1.0 if self._starting else 1.0 / self._size))

    def refused(self, now: float, *, sent_at: float, retry_after_s: float | None = None) -> None:
        """A request was refused, or not answered. Requests that were on their way together count once."""
        self._starting = False
        if retry_after_s:
            self._held_until = max(self._held_until, now + retry_after_s)
        if sent_at >= self._cut_at:
            self._cut_at = now
            self._size = max(self._least, self._size * _HALF)
