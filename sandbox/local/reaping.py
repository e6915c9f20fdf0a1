"""Removes what a provider that was killed left behind: scratch directories, found by run and owner, and half-made image layers.

Processes and mounts need no reaping: they end with their driver. A scratch directory is named
`<run>.<owner pid>.<owner start time>.<random>`, so that a new process with an old number is not taken for the owner.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from podgym.sandbox.local.config import LocalConfig
from podgym.sandbox.local.drafts import sweep_drafts
from podgym.sandbox.local.inside.bases import sweep_bases
from podgym.sandbox.owners import start_time

__all__ = ["PREFIX", "clean_up", "provider_name", "reap"]

PREFIX = "podgym"
_NAME = re.compile(r"podgym\.(?P<run>[^.]*)\.(?P<pid>\d+)\.(?P<start>\d+)\.[0-9a-f]+")


def provider_name(run: str) -> str:
    """A unique name for this process's provider."""
    label = re.sub(r"[^A-Za-z0-9_-]", "_", run)[:100]
    return f"{PREFIX}.{label}.{os.getpid()}.{start_time(os.getpid())}.{os.urandom(4).hex()}"


def _is_dead(name: str, run: str | None) -> bool:
    found = _NAME.fullmatch(name)
    if found is None or (run is not None and found["run"] != re.sub(r"[^A-Za-z0-9_-]", "_", run)[:100]):
        return False
    return start_time(int(found["pid"])) != int(found["start"])


def clean_up(scratch: Path) -> None:
    """Remove what a provider whose keeper was killed left, by the provider's scratch directory."""
    shutil.rmtree(scratch, ignore_errors=True)
    sweep_bases(lambda name: name == scratch.name)


def reap(run: str | None = None, *, config: LocalConfig | None = None) -> list[str]:
    """Remove leftovers of dead drivers, of one run or of all; returns what was removed. Image layers belong to no run."""
    config = config or LocalConfig()
    scratch = config.scratch
    removed = [path for root in config.cache.glob("*") for path in sweep_drafts(root)] if run is None else []
    for entry in sorted(scratch.iterdir()) if scratch.is_dir() else ():
        if _is_dead(entry.name, run):
            shutil.rmtree(entry, ignore_errors=True)
            removed.append(str(entry))
    return removed + sweep_bases(lambda name: _is_dead(name, run))
