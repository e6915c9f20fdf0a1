"""Locks of the kernel's on a folder, which end with whoever holds them, however that ends."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from podgym.traces.errors import IndexUnusable

__all__ = ["NO_LOCKS", "folder_lock"]

NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)
"""What a file system without locks says; it gives no protection."""
_AGAIN_S = 0.01


@contextmanager
def folder_lock(folder: Path, *, timeout_s: float) -> Iterator[None]:
    """For the block nobody else holds the lock of `folder`. Raises `IndexUnusable` after `timeout_s`, `OSError` as `open` would."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    until = time.monotonic() + timeout_s
    try:
        while not _try(descriptor):
            if time.monotonic() > until:
                raise IndexUnusable(
                    f"Another process has held the lock of {folder} for {timeout_s:g} s.",
                    remedy="It makes or migrates an index there: wait for it, or end it where it was stopped.",
                )
            time.sleep(_AGAIN_S)
        yield
    finally:
        os.close(descriptor)


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
    return True
