"""What a build has on disk, and what is free there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

__all__ = ["free_bytes", "used_bytes"]


def used_bytes(places: Iterable[Path]) -> int:
    """Blocks that the files below `places` take, whatever appears or disappears meanwhile; links are not followed."""
    total = 0
    pending = [str(place) for place in places]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    try:
                        status = entry.stat(follow_symlinks=False)
                    except OSError:
                        continue
                    total += status.st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
        except OSError:
            continue
    return total


def free_bytes(places: Iterable[Path]) -> int:
    """The least that is free on the file systems of `places`, or of what holds those that are not there yet."""
    return min((shutil.disk_usage(_there(place)).free for place in places), default=0)


def _there(place: Path) -> Path:
    while not place.exists() and place != place.parent:
        place = place.parent
    return place
