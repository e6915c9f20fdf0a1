"""One driver to a run: an exclusive lock on a file in the run's folder, held for as long as the driver lives.

The kernel lets go of it with the process, however that ends, so nothing has to be cleaned up after a crash. What the run's state says
cannot do this: two drivers that begin at once both find a run that has ended.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import socket
from collections.abc import Iterator

from podgym.rollout.progress import ResumeError
from podgym.traces.errors import TraceStoreError
from podgym.traces.locking import NO_LOCKS
from podgym.traces.store import RunDir

__all__ = ["holding"]

FILE = "driver.lock"
_log = logging.getLogger(__name__)


@contextlib.contextmanager
def holding(run: RunDir) -> Iterator[None]:
    """For the block no other process drives `run`. Raises `ResumeError` where one does, `TraceStoreError` where the folder refuses.

    A file system that has no locks gives no protection; the log then says so.
    """
    path = run.path / FILE
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise TraceStoreError(f"{path} cannot be opened: {error.strerror}.", remedy="Make the run's folder writable.") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)
        except BlockingIOError as error:
            who = os.pread(descriptor, 200, 0).decode("utf-8", "replace") or "another process"
            raise ResumeError(f"Run {run.id} is driven by {who}.", remedy=f"Stop it first: podgym job stop {run.id}") from error
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise TraceStoreError(f"{path} cannot be locked: {error.strerror}.", remedy="Free space there and try again.") from error
            _log.warning("The file system of %s has no locks: see to it that one driver at a time takes up the run.", run.path)
        yield
    finally:
        os.close(descriptor)
