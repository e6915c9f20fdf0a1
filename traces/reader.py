"""Reading a trace file by cursor: any event, turn or array without unpacking the rest, while the file grows."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any

import numpy as np
import orjson

from podgym.traces import frames
from podgym.traces.errors import RecordNotFound, TraceCorrupt, TraceStoreError
from podgym.traces.events import BaseEvent
from podgym.traces.lines import load_event, load_line
from podgym.traces.trace import Array

__all__ = ["Entry", "Place", "TraceReader"]

MAX_DIMENSIONS = 8
MAX_TURN = 1 << 31
MOST_EVENTS = 1 << 20
"""Of one trace; thousands of times what a long rollout has, and what a file of kilobytes could otherwise unpack to without end."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an array lies, and what it is."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    frame: int
    """Offset of its frame in the file."""
    offset: int
    """Of its first byte inside the unpacked frame."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One event and where its arrays are."""

    index: int
    """Place in the trace, from 0; `index + 1` is the cursor after it."""
    event: BaseEvent
    arrays: MappingProxyType[str, Place]


@dataclass(frozen=True, slots=True)
class _Block:
    """An EVENTS frame."""

    offset: int
    turn: int
    first: int
    events: int


class TraceReader:
    """Opens the file as it is now; `refresh` takes in what has been appended since.

    `complete` is true after a clean close. `damage` is empty, or says where the file stops being a trace; a last frame that
    is not whole yet is no damage. Memory holds one small row per frame and the frame read last.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.complete = False
        self.damage = ""
        self._blocks: list[_Block] = []
        self._end = 0
        self._cached: tuple[int, bytes] | None = None
        try:
            self._fd: int | None = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise RecordNotFound(f"There is no trace {self.path}.", remedy="It may have been moved or deleted.") from error
        except OSError as error:
            raise TraceStoreError(f"The trace {self.path} cannot be opened: {error.strerror}.") from error
        try:
            self.refresh()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Idempotent."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def __enter__(self) -> TraceReader:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __len__(self) -> int:
        return self._blocks[-1].first + self._blocks[-1].events if self._blocks else 0

    @property
    def turns(self) -> int:
        """The last turn that the file has reached."""
        return self._blocks[-1].turn if self._blocks else 0

    def refresh(self) -> None:
        """Find frames appended since the last look."""
        size = os.fstat(self._file).st_size
        if not self._end:
            start = self._pread(len(frames.MAGIC), 0)
            if start != frames.MAGIC[: len(start)]:
                raise TraceCorrupt(
                    f"{self.path} is not a trace of this version.", remedy="Traces are written by `podgym` and end in .trace."
                )
            if len(start) < len(frames.MAGIC):
                return
            self._end = len(frames.MAGIC)
            if self._from_index(size):
                return
        if not self.complete and not self.damage:
            self._walk(size)

    def _from_index(self, size: int) -> bool:
        """Take the table at the end of a closed file; false where there is none that can be believed."""
        tail = size - frames.TRAILER.size
        if tail < self._end:
            return False
        offset, magic = frames.TRAILER.unpack(self._pread(frames.TRAILER.size, tail))
        if magic != frames.TRAILER_MAGIC or not self._end <= offset <= tail - frames.HEADER_BYTES:
            return False
        try:
            frame = self._header(offset)
            # A row has at most 40 characters, and describes a frame that takes more than 20 bytes of the file.
            if frame.kind != frames.INDEX or frame.end != tail or frame.raw > 2 * offset + 2:
                return False
            rows = orjson.loads(self._payload(frame))
        except (TraceCorrupt, ValueError):
            return False
        first, last, blocks = 0, self._end - 1, []
        for row in rows if isinstance(rows, list) else [None]:
            if not (isinstance(row, list) and len(row) == 3 and all(type(value) is int and value >= 0 for value in row)):
                return False
            if not last < row[0] < offset or row[1] > MAX_TURN or first + row[2] > MOST_EVENTS:
                return False
            blocks.append(_Block(offset=row[0], turn=row[1], first=first, events=row[2]))
            first, last = first + row[2], row[0]
        self._blocks, self._end, self.complete = blocks, size, True
        return True

    def _walk(self, size: int) -> None:
        while self._end + frames.HEADER_BYTES <= size:
            try:
                frame = self._header(self._end)
            except TraceCorrupt as error:
                self.damage = error.message
                return
            if frame.end > size:
                return
            if frame.kind == frames.INDEX:
                self.complete = True
                return
            if frame.kind == frames.EVENTS:
                if len(self) + frame.events > MOST_EVENTS:
                    self.damage = f"{self.path} has more than {MOST_EVENTS} events."
                    return
                self._blocks.append(_Block(offset=frame.offset, turn=frame.turn, first=len(self), events=frame.events))
            self._end = frame.end

    def events(self, *, after: int = 0, limit: int | None = None) -> Iterator[Entry]:
        """Events from cursor `after` on (the number of events already seen), at most `limit`. Raises `TraceCorrupt`."""
        stop = len(self) if limit is None else min(len(self), after + limit)
        for block in self._blocks:
            if block.first + block.events > after and block.first < stop:
                yield from self._entries(block, max(after - block.first, 0), stop - block.first)

    def turn(self, turn: int) -> list[Entry]:
        """The events of one turn, in order. Raises `TraceCorrupt`."""
        return list(self.between(turn, turn + 1))

    def between(self, first: int, stop: int) -> Iterator[Entry]:
        """The events of the turns from `first` to before `stop`, in order. Raises `TraceCorrupt`."""
        reached = 0
        for block in self._blocks:
            if reached >= stop:
                return
            if block.turn >= first:
                for entry in self._entries(block):
                    turn = getattr(entry.event, "turn", None)
                    if isinstance(turn, int) and first <= turn < stop:
                        yield entry
            reached = block.turn

    def entry(self, index: int) -> Entry:
        """One event. Raises `RecordNotFound`."""
        for entry in self.events(after=index, limit=1) if index >= 0 else ():
            return entry
        raise RecordNotFound(f"{self.path} has no event {index}; it has {len(self)}.")

    def array(self, name: str, event_index: int) -> Array:
        """One array of one event, read-only. Raises `RecordNotFound` or `TraceCorrupt`."""
        places = self.entry(event_index).arrays
        if name not in places:
            raise RecordNotFound(f"Event {event_index} of {self.path} has no array {name!r}; it has {sorted(places)}.")
        return self.load(places[name])

    def load(self, place: Place) -> Array:
        """The array at `place`, read-only. Raises `TraceCorrupt`."""
        if self._cached is None or self._cached[0] != place.frame:
            frame = self._header(place.frame)
            if frame.kind != frames.ARRAYS:
                raise TraceCorrupt(f"{self.path} has no arrays at offset {place.frame}.")
            self._cached = (place.frame, self._payload(frame))
        raw = self._cached[1]
        count = math.prod(place.shape)
        if place.offset + count * place.dtype.itemsize > len(raw):
            raise TraceCorrupt(f"An array of {self.path} is larger than its frame at offset {place.frame}.")
        return np.frombuffer(raw, dtype=place.dtype, count=count, offset=place.offset).reshape(place.shape)

    def _entries(self, block: _Block, start: int = 0, stop: int = frames.MAX_EVENTS) -> Iterator[Entry]:
        """Those events of a frame, each parsed when it is asked for."""
        frame = self._header(block.offset)
        if frame.kind != frames.EVENTS:
            raise TraceCorrupt(f"{self.path} has no events at offset {block.offset}.")
        lines = self._payload(frame)
        if lines[-1:] not in (b"", b"\n") or lines.count(b"\n") != block.events:
            raise TraceCorrupt(f"The events at offset {block.offset} of {self.path} are not as many as they should be.")
        at = 0
        for number in range(min(block.events, stop)):
            end = lines.index(b"\n", at)
            if number >= start:
                event, places = load_line(lines[at:end])
                arrays = MappingProxyType({name: _place(value) for name, value in places.items()})
                yield Entry(index=block.first + number, event=load_event(event), arrays=arrays)
            at = end + 1

    @property
    def _file(self) -> int:
        if self._fd is None:
            raise ValueError(f"{self.path} is closed.")
        return self._fd

    def _pread(self, length: int, offset: int) -> bytes:
        try:
            return os.pread(self._file, length, offset)
        except OSError as error:
            raise TraceStoreError(f"The trace {self.path} cannot be read: {error.strerror}.") from error

    def _header(self, offset: int) -> frames.Frame:
        header = self._pread(frames.HEADER_BYTES, offset)
        if len(header) < frames.HEADER_BYTES:
            raise TraceCorrupt(f"{self.path} ends inside the frame at offset {offset}.")
        return frames.parse(header, offset=offset)

    def _payload(self, frame: frames.Frame) -> bytes:
        if frame.end > os.fstat(self._file).st_size:
            raise TraceCorrupt(f"{self.path} ends inside the frame at offset {frame.offset}.")
        return frames.unpack(frame, self._pread(frame.stored, frame.offset + frames.HEADER_BYTES))


def _place(value: object) -> Place:
    """Checks what a line says about an array before anything is read or allocated for it."""
    match value:
        case [str(dtype), list(shape), int(frame), int(offset)] if _sane(dtype, shape, frame, offset):
            # Numpy minds the other sizes even where one is 0.
            if math.prod(max(size, 1) for size in shape) <= frames.MAX_RAW_BYTES:
                return Place(np.dtype(dtype), tuple(shape), frame, offset)
    raise TraceCorrupt(f"A line of a trace describes an array that cannot be: {str(value)[:200]}.")


def _sane(dtype: str, shape: Sequence[object], frame: int, offset: int) -> bool:
    plain = dtype[:1] in "<|" and dtype[1:] in {"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"}
    sized = len(shape) <= MAX_DIMENSIONS and all(type(size) is int and 0 <= size < 1 << 40 for size in shape)
    return plain and sized and 0 <= offset < 1 << 40 and 0 < frame < 1 << 60
