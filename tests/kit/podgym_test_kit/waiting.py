"""Waiting for what happens elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

__all__ = ["until"]


async def until(condition: Callable[[], bool], *, timeout_s: float = 10.0) -> None:
    """Raises `AssertionError` where it does not come true in time."""
    ends = asyncio.get_running_loop().time() + timeout_s
    while not condition():
        assert asyncio.get_running_loop().time() < ends, f"it did not happen within {timeout_s:g} s"
        await asyncio.sleep(0.025)
