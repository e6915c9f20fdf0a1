"""What is known of a build that failed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["LOG_CHARACTERS", "BuildFailure", "log_lines"]

LOG_CHARACTERS: Final = 64 << 10
_LINE: Final = 2000
_ESCAPES: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])|[\x00-\x08\x0b\x0c\x0e-\x1f]")

_QUOTES: Final = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"'})
"""GCC's and others' marks depend on the locale."""


@dataclass(frozen=True, slots=True)
class BuildFailure:
    """The end of a failed stage."""

    stage: Literal["image", "tests"]
    log: str
    """Its end, at most 64 KiB."""
    step: int | None = None
    """Number of the failing one of the plan's steps, from 0; None for the packages, the base image, or tests."""
    timed_out: bool = False
    out_of_memory: bool = False


def log_lines(log: str) -> list[str]:
    """Lines of a log's end without colours and what progress bars overwrote; the longest ones cut."""
    clean = _ESCAPES.sub("", log[-LOG_CHARACTERS:].replace("\r\n", "\n")).translate(_QUOTES)
    return [line.rpartition("\r")[2].rstrip()[:_LINE] for line in clean.split("\n")]
