"""Version ranges as npm reads them: `^1.2`, `~1`, `>=10 <13 || 14.x`, `1 - 3`, `*`.

Only what choosing a version of Node needs: pre-releases count as their release, and what cannot be read accepts nothing.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["Version", "accepts", "accepts_major", "parse_version"]

Version = tuple[int, int, int]

_PARTIAL: Final = re.compile(r"[v=\s]*(\d{1,9}|[xX*])(?:\.(\d{1,9}|[xX*]))?(?:\.(\d{1,9}|[xX*]))?(?:[-+].*)?", re.ASCII)
_COMPARATOR: Final = re.compile(r"(<=|>=|<|>|=|\^|~>?)?\s*(.*)", re.DOTALL)
_TOP: Final[Version] = (1 << 30, 0, 0)
_MAX_CHARACTERS: Final = 2000
_LAST: Final = 999
"""Stands for the newest minor and patch of a major version."""

_Interval = tuple[Version, Version]
"""From the first, up to but without the second."""


def parse_version(text: str) -> Version | None:
    """`v16`, `16.4` or `16.4.1-rc` as three numbers; None for anything else."""
    match = _PARTIAL.fullmatch(text.strip())
    if match is None or not match[1].isdigit():
        return None
    major, minor, patch = (int(part) if part and part.isdigit() else 0 for part in match.groups())
    return major, minor, patch


def accepts(expression: str, version: Version) -> bool:
    """Whether a range holds a version."""
    return any(low <= version < high for low, high in _intervals(expression))


def accepts_major(expression: str, major: int) -> bool:
    """Whether a range holds any version of a major one."""
    return any(low < (major + 1, 0, 0) and high > (major, 0, 0) and low < high for low, high in _intervals(expression))


def _intervals(expression: str) -> list[_Interval]:
    if len(expression) > _MAX_CHARACTERS:
        return []
    found = [_alternative(part.strip()) for part in expression.split("||")]
    return [interval for interval in found if interval is not None]


def _alternative(text: str) -> _Interval | None:
    hyphen = re.fullmatch(r"(\S+)\s+-\s+(\S+)", text)
    parts = [f">={hyphen[1]}", f"<={hyphen[2]}"] if hyphen else re.sub(r"(<=|>=|<|>|=|\^|~>?)\s+", r"\1", text).replace(",", " ").split()
    low, high = (0, 0, 0), _TOP
    for part in parts:
        interval = _comparator(part)
        if interval is None:
            return None
        low, high = max(low, interval[0]), min(high, interval[1])
    return low, high


def _comparator(text: str) -> _Interval | None:
    match = _COMPARATOR.fullmatch(text)
    operator, rest = (match[1] or "", match[2]) if match else ("", text)
    if rest in ("", "*", "x", "X", "latest", "node", "current", "lts"):
        return (0, 0, 0), _TOP
    partial = _PARTIAL.fullmatch(rest)
    if partial is None:
        return None
    numbers = [int(part) for part in partial.groups() if part is not None and part.isdigit()]
    if not partial[1].isdigit():
        return (0, 0, 0), _TOP
    major, minor, patch = (*numbers, 0, 0)[:3]
    start: Version = (major, minor, patch)
    past = _past(numbers)
    match operator:
        case ">=":
            return start, _TOP
        case ">":
            return past, _TOP
        case "<":
            return (0, 0, 0), start
        case "<=":
            return (0, 0, 0), past
        case "^":
            return start, _past(numbers[: 1 + (major == 0 and len(numbers) > 1) + (major == minor == 0 and len(numbers) > 2)])
        case "~" | "~>":
            return start, _past(numbers[:2])
        case _:
            return start, past


def _past(numbers: list[int]) -> Version:
    """The first version that no longer begins with `numbers`."""
    if len(numbers) == 1:
        return numbers[0] + 1, 0, 0
    if len(numbers) == 2:
        return numbers[0], numbers[1] + 1, 0
    return numbers[0], numbers[1], numbers[2] + 1
