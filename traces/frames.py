"""The byte layout of a trace file: a magic, frames, and after a clean close an index of the frames.

    file    = MAGIC frame* [index-frame trailer]
    frame   = header payload                       payload is stored as it is, or as one zstd frame
    header  = kind u8 | codec u8 | turn u16 | events u32 | stored u32 | raw u32 | crc32 u32     little-endian, 20 bytes
    trailer = offset of the index frame u64 | TRAILER_MAGIC

A frame of kind EVENTS holds `events` lines, each `[event, {array name: [dtype, shape, frame offset, byte offset]}]`; a frame
of kind ARRAYS holds the raw bytes of the arrays that later lines point to. Arrays come before the events that name them,
so that every whole event has its arrays. `turn` is the last turn that the file has reached at the end of the frame. The
checksum covers header and payload. The index frame repeats the headers of the EVENTS frames and can always be rebuilt
by walking from header to header.

Every declared size is checked against the bytes that are there and against a limit before anything is allocated.
"""

from __future__ import annotations

import struct
import threading
import zlib
from dataclasses import dataclass

import zstandard

from podgym.traces.errors import TraceCorrupt

__all__ = [
    "ARRAYS",
    "EVENTS",
    "HEADER_BYTES",
    "INDEX",
    "MAGIC",
    "MAX_EVENTS",
    "MAX_LINES_BYTES",
    "MAX_RAW_BYTES",
    "TRAILER",
    "TRAILER_MAGIC",
    "Frame",
    "encode",
    "parse",
    "unpack",
]

MAGIC = b"PODGYMT\x01"
TRAILER_MAGIC = b"PODGYMI\x01"
TRAILER = struct.Struct("<Q8s")
HEADER = struct.Struct("<BBHIII")
CRC = struct.Struct("<I")
HEADER_BYTES = HEADER.size + CRC.size
EVENTS, ARRAYS, INDEX = 1, 2, 3
STORED, ZSTD = 0, 1
MAX_RAW_BYTES = 1 << 29
"""No frame holds more than this once unpacked."""
MAX_LINES_BYTES = 1 << 26
"""Nor one of EVENTS more than this, because parsed JSON is many times its text."""
MAX_EVENTS = 1 << 16
"""Lines of one frame."""
MIN_PACKED_BYTES = 96
"""Below this zstd's own header eats what it saves."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame's header, and where in the file it begins."""

    offset: int
    kind: int
    codec: int
    turn: int
    events: int
    stored: int
    raw: int
    crc: int

    @property
    def end(self) -> int:
        """Offset of the byte after the frame."""
        return self.offset + HEADER_BYTES + self.stored


class _Codecs(threading.local):
    """zstd contexts are not thread-safe, and one per open file would hold memory for each rollout."""

    compressor: zstandard.ZstdCompressor | None = None
    decompressor: zstandard.ZstdDecompressor | None = None


_codecs = _Codecs()


def encode(kind: int, payload: bytes, *, turn: int = 0, events: int = 0) -> bytes:
    """One whole frame. `payload` is at most `MAX_RAW_BYTES`; raises `ValueError` otherwise."""
    if len(payload) > MAX_RAW_BYTES:
        raise ValueError(f"A frame of {len(payload)} bytes; at most {MAX_RAW_BYTES} fit.")
    stored, codec = payload, STORED
    if len(payload) >= MIN_PACKED_BYTES:
        if _codecs.compressor is None:
            _codecs.compressor = zstandard.ZstdCompressor(level=1)
        packed = _codecs.compressor.compress(payload)
        if len(packed) < len(payload):
            stored, codec = packed, ZSTD
    header = HEADER.pack(kind, codec, min(turn, 0xFFFF), events, len(stored), len(payload))
    return b"".join((header, CRC.pack(zlib.crc32(stored, zlib.crc32(header))), stored))


def parse(header: bytes, *, offset: int) -> Frame:
    """A header of `HEADER_BYTES` bytes. Raises `TraceCorrupt` for values that no writer makes."""
    kind, codec, turn, events, stored, raw = HEADER.unpack_from(header)
    (crc,) = CRC.unpack_from(header, HEADER.size)
    possible = kind in (EVENTS, ARRAYS, INDEX) and codec in (STORED, ZSTD) and stored <= raw <= MAX_RAW_BYTES and events <= raw
    if not possible or (kind == EVENTS and (raw > MAX_LINES_BYTES or events > MAX_EVENTS)):
        raise TraceCorrupt(f"The bytes at offset {offset} are no frame of a trace.", remedy="What comes before them can still be read.")
    return Frame(offset, kind, codec, turn, events, stored, raw, crc)


def unpack(frame: Frame, stored: bytes) -> bytes:
    """The payload of `frame`, whose bytes after the header are `stored`. Raises `TraceCorrupt`."""
    header = HEADER.pack(frame.kind, frame.codec, frame.turn, frame.events, frame.stored, frame.raw)
    if len(stored) != frame.stored or zlib.crc32(stored, zlib.crc32(header)) != frame.crc:
        raise TraceCorrupt(
            f"The frame at offset {frame.offset} does not match its checksum.", remedy="What comes before it can still be read."
        )
    if frame.codec == STORED:
        return stored
    try:
        if zstandard.frame_content_size(stored) != frame.raw:
            raise TraceCorrupt(f"The frame at offset {frame.offset} declares two different sizes.")
        if _codecs.decompressor is None:
            _codecs.decompressor = zstandard.ZstdDecompressor()
        return _codecs.decompressor.decompress(stored, max_output_size=frame.raw)
    except zstandard.ZstdError as error:
        raise TraceCorrupt(f"The frame at offset {frame.offset} cannot be unpacked: {error}.") from error
