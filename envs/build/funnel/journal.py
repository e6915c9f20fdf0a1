"""`funnel.jsonl` in the folder of a funnel: a row a line, written as builds end, so that a funnel that was stopped goes on.

One funnel at a time owns the folder. A line that a killed process left half written is passed over.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from pydantic import ValidationError

from podgym.envs.build.funnel.errors import FunnelError
from podgym.envs.build.funnel.row import AGAIN, Row

__all__ = ["JOURNAL", "Journal"]

JOURNAL = "funnel.jsonl"
_LOCK = ".funnel.lock"


class Journal:
    """Raises `FunnelError` where another process has the folder, and where it cannot be written."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / JOURNAL
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = (folder / _LOCK).open("a")
            self._own(folder)
            self._rows = _read(self.path)
            self._file: IO[bytes] = self.path.open("ab")
        except OSError as error:
            raise _unwritable(error, folder) from error

    def _own(self, folder: Path) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._lock.close()
            raise FunnelError(f"Another funnel works in {folder}.", remedy="Wait for it to end, or choose another --out.") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()
        self._lock.close()

    def find(self, key: str) -> Row | None:
        """The row of an earlier run that need not be made again: its task, if it came to one, is still there."""
        row = self._rows.get(key)
        if row is None or row.reason in AGAIN:
            return None
        return row if row.status == "failed" or Path(row.out).is_dir() else None

    def add(self, row: Row) -> None:
        """Keep a row, on disk when this returns. Raises `FunnelError`."""
        try:
            if self._file.tell() and not _ends_whole(self.path):
                self._file.write(b"\n")
            self._file.write(row.model_dump_json().encode("utf-8", "surrogatepass") + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise _unwritable(error, self.path) from error


def _read(path: Path) -> dict[str, Row]:
    """The last row of each key."""
    rows: dict[str, Row] = {}
    if not path.exists():
        return rows
    with path.open("rb") as file:
        for line in file:
            try:
                row = Row.model_validate_json(line)
            except ValidationError:
                continue
            rows[row.key] = row
    return rows


def _ends_whole(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def _unwritable(error: OSError, place: Path) -> FunnelError:
    return FunnelError(f"{place} cannot be written: {error.strerror}.", remedy="Free space, check permissions, or choose another --out.")
