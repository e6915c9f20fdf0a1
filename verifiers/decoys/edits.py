"""Changes of a file's bytes, and the file that they make."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["DecoyFile", "Edit", "edited"]


@dataclass(frozen=True, slots=True)
class Edit:
    """Bytes from `start` to `end` become `text`."""

    start: int
    end: int
    text: bytes


@dataclass(frozen=True, slots=True)
class DecoyFile:
    """A test file with changed expectations."""

    data: bytes
    tests: tuple[str, ...]
    """Ids of the tests that were changed, without parameters where the ids are pytest's; empty where no id could be told."""


def edited(data: bytes, edits: Iterable[Edit]) -> bytes:
    """`data` with all `edits`, which do not overlap."""
    for edit in sorted(edits, key=lambda edit: edit.start, reverse=True):
        data = data[: edit.start] + edit.text + data[edit.end :]
    return data
