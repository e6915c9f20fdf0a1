"""The trace file of one rollout: a writer that appends, a reader that can open it at any moment.

The writer keeps records in memory and writes them in one `write` call when enough bytes or seconds have gathered, and at
`close`; it never waits for the disk itself (no fsync), so a killed process loses at most what had gathered, a killed machine
what the kernel still held. Inside a running event loop a timer writes what has waited for `flush_s`, so that a trace is
followed live even while one command runs for minutes; without a loop the next record does. Layout: `podgym.traces.frames`.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import time
from pathlib import Path
from types import TracebackType

import numpy as np
import orjson

from podgym.traces import frames
from podgym.traces.errors import TraceCorrupt, TraceStoreError
from podgym.traces.lines import dump_event
from podgym.traces.reader import Entry, TraceReader
from podgym.traces.trace import Array, Record, Trace

__all__ = ["Entry", "TraceReader", "TraceWriter", "read_trace"]

FRAME_LINES_BYTES = frames.MAX_LINES_BYTES // 2
"""Text and small arrays of the events of one frame; where the arrays lie comes on top."""
OWN_FRAME_BYTES = 1 << 14
"""Arrays from this size on get a frame of their own, so that fetching one does not unpack others."""


class TraceWriter:
    """Sink for `Trace(sink=...)`; one per file, used from one thread.

    Raises `TraceStoreError` where the file is already there or the disk refuses. A refused write leaves the file at its
    last whole frame and keeps the records, so that a later `flush` may succeed.
    """

    def __init__(self, path: Path | str, *, flush_s: float = 1.0, flush_bytes: int = 1 << 18) -> None:
        self.path = Path(path)
        self._flush_s = flush_s
        self._flush_bytes = flush_bytes
        self._pending: list[tuple[bytes, dict[str, Array]]] = []
        self._pending_bytes = 0
        self._since = 0.0
        self._turn = 0
        self._table: list[tuple[int, int, int]] = []
        self._size = 0
        self._timer: asyncio.TimerHandle | None = None
        self._failure: TraceStoreError | None = None
        self._fd: int | None = self._open()

    def _open(self) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            try:
                return os.open(self.path, flags, 0o644)
            except FileNotFoundError:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                return os.open(self.path, flags, 0o644)
        except OSError as error:
            raise _store_error(self.path, error) from error

    def __call__(self, record: Record) -> None:
        """Take one record. Raises `ValueError` after `close`, `TypeError` for arrays that are not plain numbers."""
        if self._fd is None:
            raise ValueError(f"{self.path} is closed.")
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        line = dump_event(record.event)
        if len(line) > FRAME_LINES_BYTES:
            raise TypeError(f"An event of {len(line)} bytes; a trace keeps at most {FRAME_LINES_BYTES} in one.")
        arrays = {name: _plain_array(name, array) for name, array in record.arrays.items()}
        turn = getattr(record.event, "turn", None)
        if isinstance(turn, int):
            self._turn = max(self._turn, turn)
        if not self._pending:
            self._arm()
        self._pending.append((line, arrays))
        self._pending_bytes += len(line) + sum(array.nbytes for array in arrays.values())
        if self._pending_bytes >= self._flush_bytes or (self._timer is None and time.monotonic() - self._since >= self._flush_s):
            self.flush()

    def _arm(self) -> None:
        self._since = time.monotonic()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        self._timer = loop.call_later(self._flush_s, self._due)

    def _due(self) -> None:
        self._timer = None
        try:
            self.flush()
        except TraceStoreError as error:
            self._failure = error

    def flush(self) -> None:
        """Hand everything taken so far to the operating system."""
        if self._fd is None:
            raise ValueError(f"{self.path} is closed.")
        while self._pending:
            together = self._next()
            data, row = self._assemble(together)
            self._write(data)
            self._table.append(row)
            del self._pending[: len(together)]
        self._pending_bytes = 0
        self._disarm()

    def close(self) -> None:
        """Flush, append the index of frames, close the file; idempotent. The file is closed even where this raises.

        The events are written before the index, which a reader can do without: a disk that has room for them alone keeps them.
        """
        if self._fd is None:
            return
        try:
            self.flush()
            start = b"" if self._size else frames.MAGIC
            index = frames.encode(frames.INDEX, orjson.dumps(self._table), turn=self._turn)
            trailer = frames.TRAILER.pack(self._size + len(start), frames.TRAILER_MAGIC)
            self._write(start + index + trailer)
        finally:
            self._disarm()
            os.close(self._fd)
            self._fd = None

    def _next(self) -> list[tuple[bytes, dict[str, Array]]]:
        """As many of the first pending records as one frame takes: all, unless the disk has refused for long."""
        size = 0
        for number, (line, arrays) in enumerate(self._pending):
            size += len(line) + sum(array.nbytes for array in arrays.values() if array.nbytes < OWN_FRAME_BYTES)
            if number == frames.MAX_EVENTS or (number and size > FRAME_LINES_BYTES):
                return self._pending[:number]
        return self._pending[:]

    def _assemble(self, records: list[tuple[bytes, dict[str, Array]]]) -> tuple[bytes, tuple[int, int, int]]:
        """The bytes of these records, and the row of their event frame in the index."""
        together: list[bytes] = []
        inner = 0
        apart: list[Array] = []
        for _, arrays in records:
            for array in arrays.values():
                if array.nbytes >= OWN_FRAME_BYTES:
                    apart.append(array)
                else:
                    padding = -array.nbytes % 8
                    together.append(array.tobytes() + b"\0" * padding)
        parts = [] if self._size else [frames.MAGIC]
        position = self._size + sum(map(len, parts))
        shared = position
        offsets: list[int] = []
        if together:
            parts.append(frames.encode(frames.ARRAYS, b"".join(together)))
            position += len(parts[-1])
        for array in apart:
            offsets.append(position)
            parts.append(frames.encode(frames.ARRAYS, array.tobytes()))
            position += len(parts[-1])
        lines: list[bytes] = []
        own = iter(offsets)
        for line, arrays in records:
            places: dict[str, tuple[str, tuple[int, ...], int, int]] = {}
            for name, array in arrays.items():
                if array.nbytes >= OWN_FRAME_BYTES:
                    places[name] = (array.dtype.str, array.shape, next(own), 0)
                else:
                    places[name] = (array.dtype.str, array.shape, shared, inner)
                    inner += array.nbytes + -array.nbytes % 8
            lines.append(b"[%b,%b]\n" % (line, orjson.dumps(places) if places else b"{}"))
        parts.append(frames.encode(frames.EVENTS, b"".join(lines), turn=self._turn, events=len(lines)))
        return b"".join(parts), (position, self._turn, len(lines))

    def _write(self, data: bytes) -> None:
        assert self._fd is not None
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError as error:
            with contextlib.suppress(OSError):  # a reader stops at the last whole frame in any case
                os.ftruncate(self._fd, self._size)
            os.lseek(self._fd, self._size, os.SEEK_SET)
            raise _store_error(self.path, error) from error
        self._size += len(data)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def __enter__(self) -> TraceWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _plain_array(name: str, array: Array) -> Array:
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        raise TypeError(f"Array {name!r} has dtype {array.dtype}; a trace keeps booleans, integers and floats up to 64 bits.")
    if array.nbytes > frames.MAX_RAW_BYTES:
        raise TypeError(f"Array {name!r} has {array.nbytes} bytes; a trace keeps at most {frames.MAX_RAW_BYTES} in one array.")
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))


def _store_error(path: Path, error: OSError) -> TraceStoreError:
    what = os.strerror(error.errno) if error.errno else str(error)
    remedy = {
        errno.ENOSPC: "Free space on that file system or choose another folder for the run; the run can then be resumed.",
        errno.EDQUOT: "Free space in your quota or choose another folder for the run; the run can then be resumed.",
        errno.EEXIST: "A trace is written once; give the new attempt its own rollout id.",
        errno.EACCES: "Make the folder writable or choose another one for the run.",
        errno.EROFS: "Choose a folder on a file system that can be written.",
    }.get(error.errno or 0, "Check the folder and its file system.")
    failure = TraceStoreError(f"The trace {path} cannot be written: {what}.", remedy=remedy)
    failure.errno = error.errno
    return failure


def read_trace(path: Path | str) -> Trace:
    """Everything that can be read, arrays included; `Trace.damage` says why records after the last one are missing.

    Raises `RecordNotFound` where there is no file, `TraceCorrupt` where it is no trace at all.
    """
    with TraceReader(path) as reader:
        trace = Trace(damage=reader.damage)
        try:
            for entry in reader.events():
                trace.keep(Record(entry.event, {name: reader.load(place) for name, place in entry.arrays.items()}))
        except TraceCorrupt as error:
            trace.damage = error.message
        return trace
