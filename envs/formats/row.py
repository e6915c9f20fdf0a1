"""One task of another origin, whatever data set it comes from: its repository, base, patches and test ids, as far as its row says.

Reading is lenient: what is missing or of the wrong kind is empty, and whoever needs it says so. Nothing of a row is ever run: log parsers
that come as source, install scripts and images are named in `unused` and left alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal

__all__ = ["FORMATS", "Format", "RowFile", "TaskRow", "issue_text", "names", "text", "when"]

Format = Literal["swe-bench", "swe-bench-live", "swe-rebench", "multi-swe-bench", "swe-smith", "r2e-gym", "harbor"]
FORMATS: Final[tuple[Format, ...]] = ("swe-bench", "swe-bench-live", "swe-rebench", "multi-swe-bench", "swe-smith", "r2e-gym", "harbor")


@dataclass(frozen=True, slots=True)
class RowFile:
    """A whole file, as a row carries it."""

    path: str
    """In the repository."""
    data: bytes | None
    """None: removed."""


@dataclass(frozen=True, slots=True)
class TaskRow:
    """See the module; empty values are what nobody said."""

    format: Format
    id: str = ""
    repo: str = ""
    """`owner/name`, a URL or a path."""
    base: str = ""
    """The commit that is to be mended; for a row with `bug` the sound one."""
    fix: str = ""
    """The commit that mended it."""
    fix_patch: bytes = b""
    test_patch: bytes = b""
    bug_patch: bytes = b""
    """Breaks `base`: the solution is its reverse."""
    fix_files: tuple[RowFile, ...] = ()
    """In place of `fix_patch`."""
    test_files: tuple[RowFile, ...] = ()
    """Besides `test_patch`."""
    instruction: str = ""
    created: datetime | None = None
    language: str = ""
    fail_to_pass: tuple[str, ...] = ()
    pass_to_pass: tuple[str, ...] = ()
    passing: tuple[str, ...] = ()
    """Said to pass with the fix, and nothing of the state before."""
    pull: int = 0
    image: str = ""
    workdir: str = ""
    unused: tuple[str, ...] = field(default=())
    """Keys that hold something to run, which is never run."""

    @property
    def required(self) -> tuple[str, ...]:
        """All ids that must pass with the fix."""
        return (*self.fail_to_pass, *self.pass_to_pass, *self.passing)


def text(value: Any) -> str:
    """A string, or nothing."""
    return value if isinstance(value, str) else ""


def names(value: Any) -> tuple[str, ...]:
    """Test ids as a list, as the keys of an object, or either of them as JSON in a string."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return ()
    return tuple(dict.fromkeys(str(name) for name in value)) if isinstance(value, (list, dict)) else ()


def when(value: Any) -> datetime | None:
    """A time in ISO format, with or without a zone, or seconds since 1970."""
    try:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            # Data sets that went through tables have milliseconds.
            return datetime.fromtimestamp(value / 1000 if value > 1e11 else value, UTC)
        found = datetime.fromisoformat(text(value))
    except (ValueError, OverflowError, OSError):
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def issue_text(issues: Any) -> str:
    """Titles and bodies of a list of issues."""
    if not isinstance(issues, list):
        return ""
    return "\n".join(f"{text(one.get('title'))}\n{text(one.get('body'))}" for one in issues if isinstance(one, Mapping))
