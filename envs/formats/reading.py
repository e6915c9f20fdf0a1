"""Reads files of rows: a JSON object, a list of them, or one a line. They may come from anyone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from podgym.envs.harbor import TaskError

__all__ = ["is_row_file", "read_items", "read_mappings"]

_ROWS_BYTES: Final = 8 << 30
_WHOLE_BYTES: Final = 1 << 30
"""Of a file that is one JSON document."""
_LINE_BYTES: Final = 64 << 20
_REMEDY: Final = "Give rows as a data set publishes them, as JSON."


def is_row_file(path: Path) -> bool:
    """Whether a path is to be read as rows of a data set."""
    return path.is_file() and path.suffix.lower() in (".json", ".jsonl", ".ndjson")


def read_mappings(path: Path) -> Iterator[Mapping[str, Any]]:
    """The rows of a file; what is no object is passed over. Raises `TaskError` for a file that is no JSON, or too large."""
    for _, item in read_items(path):
        if isinstance(item, str):
            raise TaskError(item, file=path, remedy=_REMEDY)
        if isinstance(item, Mapping):
            yield item


def read_items(path: Path) -> Iterator[tuple[int, Mapping[str, Any] | str | None]]:
    """Number of each row from 1, and the row: what is wrong with it where it is no JSON, None where it is no object.

    Raises `TaskError` for a file that cannot be read.
    """
    whole = path.suffix.lower() == ".json"
    limit = _WHOLE_BYTES if whole else _ROWS_BYTES
    try:
        if path.stat().st_size > limit:
            raise TaskError(f"It has more than {limit} bytes.", file=path, remedy="Give the one row.")
        if whole:
            data = _parsed(path.read_bytes())
            yield from enumerate(map(_object, data if isinstance(data, list) else [data]), 1)
            return
        with path.open("rb") as file:
            number = 0
            while line := file.readline(_LINE_BYTES + 1):
                number += 1
                if len(line) > _LINE_BYTES:
                    yield number, f"Line {number} has more than {_LINE_BYTES} bytes."
                    while line and not line.endswith(b"\n"):
                        line = file.readline(_LINE_BYTES)
                elif line.strip():
                    yield number, _object(_parsed(line))
    except OSError as error:
        raise TaskError(f"Cannot read it: {error.strerror}.", file=path, remedy=_REMEDY) from error


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        return _Broken(f"It is not JSON: {error}.")


def _object(value: Any) -> Mapping[str, Any] | str | None:
    if isinstance(value, _Broken):
        return str(value)
    return value if isinstance(value, dict) else None


class _Broken(str):
    """What is wrong, told from a string that is a row's content."""
