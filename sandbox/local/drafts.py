"""Image layers in the making: `draft-<layer>-<pid>` beside the layers, belonging to whoever holds `<layer>.lock`.

A build that is killed leaves its draft and lets go of the lock; the next to take the lock removes it.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from pathlib import Path

__all__ = ["draft_name", "remove_drafts", "remove_tree", "sweep_drafts"]

_DRAFT = re.compile(r"draft-(?P<layer>[0-9a-f]+)-\d+")


def draft_name(layer: str) -> str:
    """This process's draft of a layer."""
    return f"draft-{layer}-{os.getpid()}"


def remove_drafts(root: Path, layer: str) -> list[str]:
    """Remove every draft of a layer whose lock the caller holds; returns those removed."""
    stale = list(root.glob(f"draft-{layer}-*"))
    for folder in stale:
        remove_tree(folder)
    return [str(folder) for folder in stale]


def sweep_drafts(root: Path) -> list[str]:
    """Remove the drafts of layers that nobody is making; returns those removed."""
    removed = []
    layers = {found["layer"] for path in root.glob("draft-*") if (found := _DRAFT.fullmatch(path.name))}
    for layer in sorted(layers):
        try:
            with (root / f"{layer}.lock").open("a") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                removed += remove_drafts(root, layer)
        except OSError:
            continue  # It is being made, or is another user's.
    return removed


def remove_tree(folder: Path) -> None:
    """Remove a tree, also directories that overlayfs leaves without permissions."""
    if not folder.exists():
        return
    folder.chmod(0o700)
    for path, folders, _ in os.walk(folder):
        for name in folders:
            below = Path(path, name)
            if not below.is_symlink():
                below.chmod(0o700)
    shutil.rmtree(folder)
