"""The temporary directory of one build, below the system's. Its owner holds a lock in it, so what a killed owner left can be told."""

from __future__ import annotations

import contextlib
import fcntl
import tempfile
import time
from pathlib import Path
from typing import IO, Final

from podgym.sandbox.local.drafts import remove_tree

__all__ = ["Scratch", "sweep_scratch"]

_PREFIX: Final = "podgym-funnel-"
_LOCK: Final = "lock"
_YOUNG_S: Final = 60.0
"""A directory that is younger may have an owner who has not taken the lock yet."""


class Scratch:
    """Raises `OSError` where none can be made."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        self.path.chmod(0o711)  # sandboxes are other users, and their files lie below
        self._lock: IO[bytes] = (self.path / _LOCK).open("wb")
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def close(self) -> None:
        """Remove it; idempotent."""
        with contextlib.suppress(OSError):
            remove_tree(self.path)
        self._lock.close()


def sweep_scratch() -> list[str]:
    """Remove the directories whose owners are gone; returns those removed."""
    removed = []
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        try:
            if time.time() - path.stat().st_mtime < _YOUNG_S:
                continue
            with (path / _LOCK).open("ab") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                remove_tree(path)
                removed.append(str(path))
        except OSError:
            continue  # It is in use, or another user's.
    return removed
