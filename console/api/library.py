"""What the API reads from: the runs of one folder, their indexes kept open, the tokenizers that they used.

Read only. An index that is missing or broken does not hide the run: what needs it says so.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path
from typing import Protocol

from podgym.policy.errors import PolicyError
from podgym.policy.tokenizer import load_tokenizer
from podgym.traces.index import Index
from podgym.traces.store import RunDir, RunStore

__all__ = ["Decoder", "Library"]

MOST_OPEN = 32
TOKENIZER_FILE = "podgym_tokenizer.json"


class Decoder(Protocol):
    """The part of a tokenizer that pages need."""

    def decode(self, tokens: list[int]) -> str:
        """Special tokens included, undecodable bytes as U+FFFD."""
        ...


class Library:
    """Thread-safe."""

    def __init__(self, root: Path) -> None:
        self.store = RunStore(root)
        self._indexes: OrderedDict[str, tuple[int, Index]] = OrderedDict()
        self._tokenizers: dict[str, Decoder] = {}
        self._lock = threading.Lock()

    def run(self, run_id: str) -> RunDir:
        """Raises `RecordNotFound`."""
        return self.store.open(run_id)

    def index(self, run: RunDir) -> Index:
        """The run's index, kept open until it is replaced or others are used more. Raises `RecordNotFound`, `IndexUnusable`."""
        with self._lock:
            found = self._indexes.get(run.id)
            if found is not None:
                if found[0] == _inode(run.index_path):
                    self._indexes.move_to_end(run.id)
                    return found[1]
                self._indexes.pop(run.id)[1].close()
            index = Index(run.index_url, create=False)
            self._indexes[run.id] = (_inode(run.index_path), index)
            if len(self._indexes) > MOST_OPEN:
                self._indexes.popitem(last=False)[1][1].close()
            return index

    def tokenizer(self, run: RunDir) -> Decoder | None:
        """The first tokenizer found beside the run or its checkpoints; None where there is none that can be read."""
        found = self._tokenizers.get(run.id)
        if found is None:
            for path in (
                run.path / "tokenizer",
                *sorted(run.checkpoints_path.glob("*")),
                *sorted(run.checkpoints_path.glob("*/tokenizer")),
            ):
                if (path / TOKENIZER_FILE).is_file():
                    try:
                        found = load_tokenizer(path)
                    except (PolicyError, ImportError):  # a tokenizer may need a package that serving pages does not
                        continue
                    self._tokenizers[run.id] = found
                    break
        return found

    def close(self) -> None:
        """Close every index; idempotent."""
        with self._lock:
            while self._indexes:
                self._indexes.popitem()[1][1].close()


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return 0
