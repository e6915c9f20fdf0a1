"""Verdicts that need not be found again: equal changes to equal, deterministic tasks.

In memory the most recently used are kept; where a file is given, every process of a run appends to it and reads what the
others appended, so each verdict is found once per run. One verdict is one line written by one `write` in append mode, which
Linux does not interleave on a local file system; a reader takes whole lines only, and skips one that it cannot read.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from pathlib import Path
from typing import Final

import orjson
from pydantic import ValidationError

from podgym.verifiers.verdict import OF_THE_MOMENT, Verdict

__all__ = ["VerdictCache"]

_MAX_LINE: Final = 1 << 20


class VerdictCache:
    """Keyed by task digest and change digest. Not thread-safe; one per process."""

    def __init__(self, *, file: Path | None = None, max_entries: int = 50_000, max_bytes: int = 64 << 20) -> None:
        self._known: OrderedDict[str, bytes] = OrderedDict()
        self._max_entries, self._max_bytes = max_entries, max_bytes
        self._bytes = 0
        self._file = file
        self._read_to = 0
        self.hits = 0
        self.misses = 0

    def __len__(self) -> int:
        return len(self._known)

    def get(self, task_digest: str, change_digest: str) -> Verdict | None:
        """The verdict, marked `cached`, or None. An empty task digest is never known."""
        key = _key(task_digest, change_digest)
        if key and key not in self._known:
            self._catch_up()
        verdict = self._load(key)
        if verdict is None:
            self.misses += 1
            return None
        self.hits += 1
        return verdict.model_copy(update={"cached": True, "seconds": 0.0})

    def put(self, task_digest: str, change_digest: str, verdict: Verdict) -> bool:
        """Keep a scored verdict; says whether it was kept. Raises `OSError` where the file cannot be written."""
        key = _key(task_digest, change_digest)
        if not key or verdict.status != "scored" or verdict.cached or verdict.failure in OF_THE_MOMENT:
            return False
        data = verdict.model_dump_json().encode()
        line = orjson.dumps([key, orjson.Fragment(data)]) + b"\n"
        if len(line) > _MAX_LINE:
            return False
        self._remember(key, data)
        if self._file is not None:
            descriptor = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                os.write(descriptor, line)
            finally:
                os.close(descriptor)
        return True

    def _load(self, key: str) -> Verdict | None:
        data = self._known.get(key)
        if data is None:
            return None
        self._known.move_to_end(key)
        try:
            return Verdict.model_validate_json(data)
        except ValidationError:
            self._bytes -= len(self._known.pop(key))  # written by another version of the program
            return None

    def _remember(self, key: str, data: bytes) -> None:
        self._bytes += len(data) - len(self._known.pop(key, b""))
        self._known[key] = data
        while len(self._known) > self._max_entries or (self._bytes > self._max_bytes and len(self._known) > 1):
            self._bytes -= len(self._known.popitem(last=False)[1])

    def _catch_up(self) -> None:
        """Take in the whole lines that were appended since the last look."""
        if self._file is None:
            return
        try:
            if self._file.stat().st_size <= self._read_to:
                return
            with self._file.open("rb") as file:
                file.seek(self._read_to)
                data = file.read()
        except FileNotFoundError:
            return
        whole = data.rfind(b"\n") + 1
        self._read_to += whole
        for line in data[:whole].splitlines():
            try:
                key, verdict = orjson.loads(line)
            except (TypeError, ValueError):
                continue  # a line torn by a crash costs one grading
            if isinstance(key, str) and key not in self._known:
                self._remember(key, orjson.dumps(verdict))


def _key(task_digest: str, change_digest: str) -> str:
    return f"{task_digest}:{change_digest}" if task_digest and change_digest else ""
