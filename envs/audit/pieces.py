"""Takes files apart into pieces that can be compared with lines of a patch: lines of text, string constants of compiled code, members
of archives, and theirs.

A piece has no indentation and at least 16 bytes. A line of a patch or of a JSON string counts by what it adds or holds. Memory is
bounded by one chunk; archives by the bytes, members and depth that `Budget` allows, past which `unsearched` is told why.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO, Any

import zstandard

from podgym.envs.audit.layers import tar_members

__all__ = ["MIN_BYTES", "Budget", "Part", "parts", "pieces"]

MIN_BYTES = 16
_CHUNK_BYTES = 8 << 20
_LINE_BYTES = 1 << 20
_MEMBER_BYTES = 64 << 20
"""A member of an archive is held in memory up to this size, and in a temporary file past it."""
_LARGEST_BYTES = 2 << 30
"""Of one member."""
_LOCAL = b"PK\x03\x04"
_HEX = re.compile(rb"(?<![0-9A-Za-z])[0-9a-f]{40}(?![0-9A-Za-z])")
_PRINTABLE = re.compile(rb"[\t\x20-\x7e]{%d,}" % MIN_BYTES)
_SHORT = re.compile(rb"(?s)[\x7a\x5a\xfa\xda](?=(.))")
_LONG = re.compile(rb"(?s)[\x61\x41\x75\x73\xe1\xc1\xf5\xf3](?=(....))")
_CLASS = re.compile(rb"(?s)\x01(?=(..))")
_ESCAPED = (".map", ".json", ".jsonl", ".ipynb", ".lock")


@dataclass
class Budget:
    """What one audit spends on archives; shared by all of an image."""

    unsearched: Callable[[str, str], None]
    """Told place and reason where something was left out."""
    bytes_left: int = 16 << 30
    members_left: int = 2_000_000
    ratio: int = 500
    """Unpacked to packed bytes of one archive beyond 64 MiB."""
    depth: int = 4
    archives: int = field(default=0)
    """How many were opened."""


@dataclass(frozen=True, slots=True)
class Part:
    """A file, or a member of an archive (`place` has `!/` between the two)."""

    place: str
    file: IO[bytes]
    size: int

    def head(self, count: int) -> bytes:
        """The first bytes; the position is at the start again."""
        self.file.seek(0)
        data = self.file.read(count)
        self.file.seek(0)
        return data


def parts(place: str, file: IO[bytes], size: int, budget: Budget, *, depth: int = 0) -> Iterator[Part]:
    """The file itself and, where it is an archive, every member, recursively. Each part is read before the next is asked for."""
    part = Part(place, file, size)
    yield part
    head = part.head(512)
    opener = _opener(place, head)
    if opener is None:
        return
    if depth >= budget.depth:
        budget.unsearched(place, f"archives are nested more than {budget.depth} deep")
        return
    budget.archives += 1
    spent = 0
    limit = max(64 << 20, size * budget.ratio)
    try:
        file.seek(0)
        for name, member, length in opener(file):
            budget.members_left -= 1
            if budget.members_left < 0:
                budget.unsearched(place, "there are too many members in the image's archives")
                return
            room = min(_LARGEST_BYTES, limit - spent, budget.bytes_left)
            with tempfile.SpooledTemporaryFile(_MEMBER_BYTES) as inner:
                while len(data := member.read(min(_CHUNK_BYTES, room + 1 - inner.tell()))):
                    inner.write(data)
                    if inner.tell() > room:
                        break
                got = inner.tell()
                spent += got
                budget.bytes_left -= got
                if got > room:
                    told = f"{length} bytes" if length >= 0 else "unknown size"
                    budget.unsearched(f"{place}!/{name}", f"a member of {told} is too large or packed too well")
                inner.seek(0)
                yield from parts(f"{place}!/{name}", inner, got, budget, depth=depth + 1)
            if spent >= limit or budget.bytes_left <= 0:
                budget.unsearched(place, "its members are too large together")
                return
    except (tarfile.TarError, lzma.LZMAError, zstandard.ZstdError, zlib.error, EOFError, gzip.BadGzipFile):
        return  # It is damaged, or no archive at all; what came before the damage has been read, and nobody can read the rest.
    except (OSError, RuntimeError, NotImplementedError, ValueError) as error:
        budget.unsearched(place, f"it cannot be unpacked: {' '.join(str(error).split())[:120]}")


Members = Iterator[tuple[str, Any, int]]


def _opener(place: str, head: bytes) -> Callable[[IO[bytes]], Members] | None:
    if head[:4] == _LOCAL:
        return _zip
    if head[257:262] == b"ustar":
        return _tar
    name = place.rsplit("/", 1)[-1].lower()
    if head[:2] == b"\x1f\x8b":
        return _stream(lambda file: gzip.GzipFile(fileobj=file, mode="rb"))
    if head[:4] == b"\x28\xb5\x2f\xfd":
        return _stream(lambda file: zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(file, read_across_frames=True))
    if head[:6] == b"\xfd7zXZ\x00":
        return _stream(lzma.LZMAFile)
    if head[:3] == b"BZh" and name.endswith((".bz2", ".tbz", ".tbz2")):
        return _stream(bz2.BZ2File)
    if head[:8] == b"!<arch>\n" and name.endswith(".deb"):
        return _ar
    return None


def _zip(file: IO[bytes]) -> Members:
    """By the directory at its end; where that is damaged by what stands before each member, as repairing tools do."""
    try:
        with zipfile.ZipFile(file) as archive:
            for info in archive.infolist():
                if not info.is_dir() and not info.flag_bits & 1:
                    with archive.open(info) as member:
                        yield info.filename, member, info.file_size
    except (zipfile.BadZipFile, struct.error, UnicodeDecodeError):
        yield from _salvaged(file)


def _salvaged(file: IO[bytes]) -> Members:
    """Members of a zip without a directory: deflated or stored data after each local header."""
    file.seek(0)
    data = file.read(_MEMBER_BYTES)
    at = data.find(_LOCAL)
    while at >= 0:
        head = data[at : at + 30]
        if len(head) == 30:
            method, packed = int.from_bytes(head[8:10], "little"), int.from_bytes(head[18:22], "little")
            start = at + 30 + int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little")
            name = data[at + 30 : at + 30 + int.from_bytes(head[26:28], "little")].decode("utf-8", "replace")
            if method == 8:
                yield name, _Inflated(data, start), -1
            elif method == 0:
                yield name, io.BytesIO(data[start : start + packed]), packed
        at = data.find(_LOCAL, at + 4)


class _Inflated:
    """Raw deflated data as far as it goes."""

    def __init__(self, data: bytes, start: int) -> None:
        self._data, self._at = memoryview(data), start
        self._stream = zlib.decompressobj(-15)

    def read(self, size: int) -> bytes:
        while size > 0 and not self._stream.eof:
            packed = self._stream.unconsumed_tail
            if not packed:
                packed = bytes(self._data[self._at : self._at + 65536])
                self._at += len(packed)
            if not packed:
                break
            try:
                data = self._stream.decompress(packed, size)
            except zlib.error:
                break
            if data:
                return data
        return b""


def _tar(file: IO[bytes]) -> Members:
    with tarfile.open(fileobj=file, mode="r:", encoding="utf-8", errors="surrogateescape") as archive:
        for info in tar_members(archive):
            if info.isreg() and not info.issparse():
                member = archive.extractfile(info)
                if member is not None:
                    yield info.name, member, info.size


def _ar(file: IO[bytes]) -> Members:
    """A Debian package: members with 60 byte headers."""
    file.seek(8)
    while len(head := file.read(60)) == 60:
        length = int(head[48:58])
        start = file.tell()
        yield head[:16].decode("latin-1").strip().rstrip("/"), file, length
        file.seek(start + length + length % 2)


def _stream(open_it: Callable[[IO[bytes]], Any]) -> Callable[[IO[bytes]], Members]:
    """A compressed file is an archive with one member; a tar in it is read as it comes."""

    def members(file: IO[bytes]) -> Members:
        with open_it(file) as stream:
            peek = io.BufferedReader(_Readable(stream), 1 << 16)
            if peek.peek(512)[257:262] != b"ustar":
                yield "content", peek, -1
                return
            with tarfile.open(fileobj=peek, mode="r|", encoding="utf-8", errors="surrogateescape") as archive:
                for info in tar_members(archive):
                    if info.isreg() and not info.issparse():
                        member = archive.extractfile(info)
                        if member is not None:
                            yield info.name, member, info.size

    return members


class _Readable(io.RawIOBase):
    """Any object with `read` as a raw stream."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def pieces(part: Part) -> Iterator[set[bytes]]:
    """The pieces of a part, a set for each chunk of it. Archives have none of their own."""
    head = part.head(4096)
    if _opener(part.place, head[:512]) is not None:
        return
    name = part.place.rsplit("/", 1)[-1]
    if name.endswith((".pyc", ".pyo")):
        find: Callable[[bytes], set[bytes]] = _python
    elif head[:4] == b"\xca\xfe\xba\xbe" and name.endswith(".class"):
        find = _java
    elif b"\0" in head:
        find = _binary
    else:
        find = _text(escaped=name.endswith(_ESCAPED))
    rest = b""
    while data := part.file.read(_CHUNK_BYTES):
        data = rest + data
        # A line, or a constant, that the end of a chunk cuts is read again with the next one.
        cut = data.rfind(b"\n", max(0, len(data) - _LINE_BYTES)) + 1 if find is not _python and find is not _java else 0
        rest = data[cut:] if cut else data[-4096:]
        if len(rest) > _LINE_BYTES:
            rest = rest[-_LINE_BYTES:]
        yield find(data)
    if rest:
        yield find(rest)


def _text(*, escaped: bool) -> Callable[[bytes], set[bytes]]:
    def find(data: bytes) -> set[bytes]:
        if escaped:
            data = data.replace(b"\\n", b"\n").replace(b'\\"', b'"')
        lines = data.split(b"\n")
        found = {line for line in map(bytes.strip, lines) if len(line) >= MIN_BYTES}
        if data.startswith((b"+", b"-")) or b"\n+" in data or b"\n-" in data:
            found.update(text for line in lines if line[:1] in (b"+", b"-") and len(text := line[1:].strip()) >= MIN_BYTES)
        found.update(_HEX.findall(data))
        return found

    return find


def _python(data: bytes) -> set[bytes]:
    """Constants of marshalled code: a type byte, a length, the bytes."""
    found = set()
    for match in _SHORT.finditer(data):
        length = match[1][0]
        if length >= MIN_BYTES:
            found.add(data[match.end() + 1 : match.end() + 1 + length].strip())
    for match in _LONG.finditer(data):
        length = int.from_bytes(match[1], "little")
        if MIN_BYTES <= length <= len(data):
            found.update(map(bytes.strip, data[match.end() + 4 : match.end() + 4 + length].split(b"\n")))
    return {text for text in found if len(text) >= MIN_BYTES}


def _java(data: bytes) -> set[bytes]:
    """Constants of a class: tag 1, two bytes of length, the bytes."""
    found = set()
    for match in _CLASS.finditer(data):
        length = int.from_bytes(match[1], "big")
        if length >= MIN_BYTES:
            found.add(data[match.end() + 2 : match.end() + 2 + length].strip())
    return {text for text in found if len(text) >= MIN_BYTES}


def _binary(data: bytes) -> set[bytes]:
    """Runs of printable bytes between others, and their lines."""
    return {text for run in _PRINTABLE.findall(data) if len(text := run.strip()) >= MIN_BYTES}
