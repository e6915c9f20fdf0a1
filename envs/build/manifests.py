"""The files that dependencies are installed from, packed so that equal files are equal archives: the layer that tasks share."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable
from pathlib import Path

from podgym.envs.build.tree import Tree

__all__ = ["write_manifests"]


def write_manifests(archive: Path, tree: Tree, paths: Iterable[str]) -> None:
    """Write those of `paths` that are text in `tree`, with no owner and no time."""
    with tarfile.open(archive, "w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(set(paths)):
            text = tree.read(path)
            if text is None:
                continue
            data = text.encode("utf-8", "surrogateescape")
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(data), 0o644
            tar.addfile(entry, io.BytesIO(data))
