"""Remembers what large layers hold, by digest, so that the base image of a thousand tasks is read once.

Beside the facts stands a fingerprint: a sorted checksum for every piece of text in the layer, with the number of files that have it. A
task's pieces are looked up there; a piece that may be in the layer, and is not in so many files that it says nothing, has the layer
read again in full. So a remembered layer answers like a read one. Layers with git files or the task's work tree are always read.
"""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from podgym.envs.audit.layers import Entry
from podgym.envs.audit.packages import Package
from podgym.envs.audit.scanning import LayerFacts, Scan

__all__ = ["COMMON", "MADE_HERE", "LayerCache", "Remembered"]

MADE_HERE = "local:"
"""Begins the digest of a layer that this machine made and nobody writes again."""
COMMON = 8
"""A line in more different files than this is nobody's own."""
_VERSION = 2
"""Raised with every change of what is gathered."""
_LEAST_BYTES = 8 << 20
_FILE_BYTES = 1 << 30


class Remembered:
    """What is known of one layer."""

    def __init__(self, facts: LayerFacts, prints: NDArray[np.uint32], counts: NDArray[np.uint8]) -> None:
        self.facts = facts
        self._prints, self._counts = prints, counts

    def deletions(self) -> list[Entry]:
        """What of the layer concerns others."""
        return [Entry(path, "opaque" if content else "whiteout") for path, content in self.facts.deleted]

    def may_have(self, pieces: Iterable[bytes]) -> bool:
        """Whether the layer has to be read for any of these."""
        counts = self._counted(list(pieces))
        return bool(np.any((counts > 0) & (counts <= COMMON)))

    def common(self, pieces: Iterable[bytes]) -> frozenset[bytes]:
        """Those that are in so many files of the layer that they say nothing."""
        listed = list(pieces)
        return frozenset(piece for piece, count in zip(listed, self._counted(listed), strict=True) if count > COMMON)

    def _counted(self, pieces: list[bytes]) -> NDArray[np.uint8]:
        sought = np.array([zlib.crc32(piece) for piece in pieces], dtype=np.uint32)
        if not len(sought) or not len(self._prints):
            return np.zeros(len(sought), dtype=np.uint8)
        at = np.minimum(np.searchsorted(self._prints, sought), len(self._prints) - 1)
        return np.where(self._prints[at] == sought, self._counts[at], 0).astype(np.uint8)

    def touches(self, directory: str) -> bool:
        """Whether anything of the layer is in `directory`, as far as three names tell."""
        top = "/".join(directory.split("/")[:3])
        return any(area == top or area.startswith(f"{top}/") for area in self.facts.areas)


class LayerCache:
    """One file of facts and one of fingerprints for each layer below `root`."""

    def __init__(self, root: Path | None = None) -> None:
        self._root = root or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "podgym" / "layers"

    @staticmethod
    def keeps(digest: str) -> bool:
        """Whether a layer of such a digest can be remembered: one that stands for its content."""
        return digest.startswith(("sha256:", MADE_HERE))

    def get(self, digest: str) -> Remembered | None:
        """What is remembered; None for a layer that is not, or whose files are damaged."""
        stem = self._stem(digest)
        try:
            if stem.with_suffix(".json").stat().st_size > _FILE_BYTES or stem.with_suffix(".npz").stat().st_size > _FILE_BYTES:
                return None
            data = json.loads(stem.with_suffix(".json").read_bytes())
            with stem.with_suffix(".npz").open("rb") as file, np.load(file, allow_pickle=False) as stored:
                prints, counts = stored["prints"], stored["counts"]
            if data.pop("digest") != digest or prints.dtype != np.uint32 or counts.dtype != np.uint8 or len(prints) != len(counts):
                return None
            data["packages"] = [Package(**package) for package in data["packages"]]
            data["packs"] = [(str(place), str(what)) for place, what in data["packs"]]
            data["unsearched"] = [(str(place), str(why)) for place, why in data["unsearched"]]
            data["deleted"] = [(str(path), bool(content)) for path, content in data["deleted"]]
            data["areas"] = set(data["areas"])
            return Remembered(LayerFacts(**data), prints, counts)
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
            return None

    def put(self, digest: str, scan: Scan) -> bool:
        """Remember a layer that is worth it and the same for every task; whether it was."""
        facts, prints, counts = scan.facts, scan.prints, scan.counts
        if prints is None or counts is None or facts.git or scan.in_tree or facts.bytes < _LEAST_BYTES:
            return False
        data = json.dumps({**asdict(facts), "areas": sorted(facts.areas), "digest": digest}, ensure_ascii=True).encode("ascii")
        stem = self._stem(digest)
        try:
            stem.parent.mkdir(parents=True, exist_ok=True)
            _write(stem.with_suffix(".npz"), lambda file: np.savez(file, prints=prints, counts=counts))
            _write(stem.with_suffix(".json"), lambda file: file.write(data))
        except OSError:
            return False  # A full or read-only cache costs time and nothing else.
        return True

    def _stem(self, digest: str) -> Path:
        name = "".join(char if char.isalnum() else "-" for char in digest)[:100]
        return self._root / f"{name}-v{_VERSION}"


def _write(path: Path, fill: Callable[[IO[bytes]], object]) -> None:
    """Whole or not at all."""
    handle, staging = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            fill(file)
        Path(staging).replace(path)
    except BaseException:
        Path(staging).unlink(missing_ok=True)
        raise
