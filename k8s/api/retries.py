"""When a request is made again: after pauses that grow and are drawn by lot, the longest ones where many had to be."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Final

__all__ = ["Budget", "pause_s"]

_FIRST_S: Final = 0.1
_LONGEST_S: Final = 10.0


def pause_s(attempt: int, retry_after_s: float | None, rng: random.Random) -> float:
    """Before the next attempt, `attempt` retries having been made: full jitter under a bound that doubles, no less than the server asks."""
    drawn = rng.uniform(0, min(_LONGEST_S, _FIRST_S * 2**attempt))
    return drawn if retry_after_s is None else max(drawn, retry_after_s * rng.uniform(1.0, 1.5))


@dataclass(slots=True)
class Budget:
    """Retries after short pauses that are allowed: a share of the requests made, and some to begin with."""

    share: float = 0.2
    most: float = 100.0
    left: float = field(default=20.0)

    def earn(self) -> None:
        """A request was made."""
        self.left = min(self.most, self.left + self.share)

    def spend(self) -> bool:
        """Take one; False where none is left."""
        if self.left < 1:
            return False
        self.left -= 1
        return True
