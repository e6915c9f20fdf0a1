"""The work tree that an agent started from, as the driver knows it: what each file was, and where to read it.

It is loaded from the task's own archive (or a directory), never from a sandbox. A file is known by git's
blob id, so that a listing by `git ls-tree` serves as well.
"""

from __future__ import annotations

import hashlib
import mmap
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

from podgym.verifiers.archive import read_archive
from podgym.verifiers.errors import ArchiveError, PlanError

__all__ = ["BaseFile", "BaseTree", "BaseTrees", "blob_id"]

SYMLINK: Final = 0o120000


def blob_id(data: bytes | memoryview) -> str:
    """Git's id of a file's content."""
    sha = hashlib.sha1(b"blob %d\0" % len(data), usedforsecurity=False)
    sha.update(data)
    return sha.hexdigest()


@dataclass(frozen=True, slots=True)
class BaseFile:
    """One file or symbolic link: `mode` is 0o100644, 0o100755 or 0o120000."""

    mode: int
    blob: str
    size: int = -1
    """Bytes; -1 where the listing did not say."""


@dataclass(frozen=True)
class BaseTree:
    """Paths from the work tree's root to files. `reader` gives a file's bytes; it is only asked for paths in `files`."""

    files: Mapping[str, BaseFile]
    reader: Callable[[str], bytes] = field(compare=False)
    left_over: frozenset[str] = frozenset()
    """Paths of `files` that the image's build made: known by blob id, and not to be read."""

    @classmethod
    def from_tar(cls, archive: Path) -> BaseTree:
        """The members of an uncompressed tar, git's own directory left out. Raises `PlanError` for any other file."""
        files: dict[str, BaseFile] = {}
        offsets: dict[str, tuple[int, int]] = {}
        links: dict[str, bytes] = {}
        try:
            with archive.open("rb") as file:
                content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            for member in read_archive(memoryview(content)):
                path = member.path.removeprefix("./").rstrip("/")
                if ".git" in path.split("/"):
                    continue
                if member.kind == "file":
                    files[path] = BaseFile(_mode(member.mode), blob_id(member.data), len(member.data))
                    offsets[path] = (member.offset, len(member.data))
                elif member.kind == "symlink":
                    links[path] = member.link.encode("utf-8", "surrogateescape")
                    files[path] = BaseFile(SYMLINK, blob_id(links[path]), len(links[path]))
        except (OSError, ValueError) as error:
            raise PlanError(
                f"The base archive {archive} cannot be read: {error}.", remedy="It must be an uncompressed tar; rebuild the task."
            ) from error
        return cls(files, _TarReader(archive, offsets, links))

    @classmethod
    def from_directory(cls, root: Path) -> BaseTree:
        """Every file below `root`, git's own directory left out."""
        files: dict[str, BaseFile] = {}
        for folder, folders, names in os.walk(root):
            folders[:] = [name for name in folders if name != ".git"]
            links = [name for name in folders if (Path(folder) / name).is_symlink()]
            for name in sorted({*names, *links} - {".git"}):
                path = Path(folder) / name
                data = _read_entry(path)
                mode = SYMLINK if path.is_symlink() else _mode(path.stat().st_mode)
                files[path.relative_to(root).as_posix()] = BaseFile(mode, blob_id(data), len(data))
        return cls(files, _DirectoryReader(root))

    @classmethod
    def from_listing(cls, listing: bytes, reader: Callable[[str], bytes]) -> BaseTree:
        """From the output of `git ls-tree -r -z`, with or without `-l`."""
        files: dict[str, BaseFile] = {}
        for line in listing.split(b"\0"):
            head, tab, path = line.partition(b"\t")
            fields = head.split()
            if not tab or len(fields) < 3:
                if line.strip():
                    raise PlanError(
                        f"The listing has the line {line[:120]!r}, which `git ls-tree -r -z` does not write.",
                        remedy="List the tree with that command.",
                    )
                continue
            if fields[1] == b"blob":
                size = int(fields[3]) if len(fields) > 3 and fields[3].isdigit() else -1
                files[path.decode("utf-8", "surrogateescape")] = BaseFile(int(fields[0], 8), fields[2].decode(), size)
        return cls(files, reader)

    def read(self, path: str) -> bytes:
        """A file's bytes, a link's target. Raises `KeyError` for a path that is not in the tree or was left over."""
        if path not in self.files or path in self.left_over:
            raise KeyError(path)
        return self.reader(path)

    def with_left_over(self, left_over: Mapping[str, str]) -> BaseTree:
        """This tree and what the image's build left in it: path to `mode blob` (octal, hex). The tree's own files win."""
        if not left_over:
            return self
        added: dict[str, BaseFile] = {}
        for path, text in left_over.items():
            mode, _, blob = text.partition(" ")
            added[path] = BaseFile(int(mode, 8), blob)
        return BaseTree({**added, **self.files}, self.reader, frozenset(added.keys() - self.files.keys()))

    @cached_property
    def folders(self) -> frozenset[str]:
        """Every directory that holds a file."""
        found: set[str] = set()
        for path in self.files:
            end = path.rfind("/")
            while end > 0 and path[:end] not in found:
                found.add(path[:end])
                end = path.rfind("/", 0, end)
        return frozenset(found)

    @cached_property
    def names(self) -> frozenset[str]:
        """Every name of a file or directory."""
        return frozenset(part for path in self.files for part in path.split("/"))

    @cached_property
    def total_bytes(self) -> int:
        """Of all files whose size is known."""
        return sum(max(file.size, 0) for file in self.files.values())

    @cached_property
    def sha1_by_path(self) -> Mapping[str, str]:
        """Plain SHA-1 of each file that can be read, as `sha1sum` prints it; reads the whole tree once."""
        found: dict[str, str] = {}
        for path, file in self.files.items():
            if file.mode != SYMLINK and path not in self.left_over:
                found[path] = hashlib.sha1(self.reader(path), usedforsecurity=False).hexdigest()
        return found


class BaseTrees:
    """Trees by archive, the least recently used forgotten once they hold more than `max_files` files together."""

    def __init__(self, *, max_files: int = 500_000) -> None:
        self._max_files = max_files
        self._trees: dict[tuple[str, int, int], BaseTree] = {}

    def open(self, archive: Path) -> BaseTree:
        """The tree of an archive as it is now. Raises `PlanError`."""
        try:
            stat = archive.stat()
        except OSError as error:
            raise PlanError(f"The base archive {archive} cannot be read: {error}.", remedy="Restore or rebuild the task.") from error
        key = (str(archive), stat.st_mtime_ns, stat.st_size)
        tree = self._trees.pop(key, None) or BaseTree.from_tar(archive)
        self._trees[key] = tree
        while len(self._trees) > 1 and sum(len(known.files) for known in self._trees.values()) > self._max_files:
            del self._trees[next(iter(self._trees))]
        return tree


@dataclass(frozen=True, slots=True)
class _TarReader:
    archive: Path
    offsets: Mapping[str, tuple[int, int]]
    links: Mapping[str, bytes]

    def __call__(self, path: str) -> bytes:
        if path in self.links:
            return self.links[path]
        offset, size = self.offsets[path]
        with self.archive.open("rb") as file:
            file.seek(offset)
            data = file.read(size)
        if len(data) != size:
            raise ArchiveError(f"The base archive {self.archive} is shorter than it was.", remedy="Restore or rebuild the task.")
        return data


@dataclass(frozen=True, slots=True)
class _DirectoryReader:
    root: Path

    def __call__(self, path: str) -> bytes:
        return _read_entry(self.root / path)


def _read_entry(path: Path) -> bytes:
    return str(path.readlink()).encode("utf-8", "surrogateescape") if path.is_symlink() else path.read_bytes()


def _mode(mode: int) -> int:
    return 0o100755 if mode & 0o100 else 0o100644
