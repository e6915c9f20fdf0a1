"""The states of a project that its tests are run in, and what is laid over the base for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from podgym.verifiers.archive import Write

__all__ = ["Overlay", "State"]

State = Literal["base", "base+tests", "base+tests+fix"]


@dataclass(frozen=True, slots=True)
class Overlay:
    """Files to write whole and paths to remove, relative to the work tree."""

    writes: tuple[Write, ...] = ()
    removals: tuple[str, ...] = ()

    def then(self, other: Overlay) -> Overlay:
        """Both, the later one winning."""
        later = {write.path for write in other.writes} | set(other.removals)
        kept = tuple(write for write in self.writes if write.path not in later)
        gone = tuple(path for path in self.removals if path not in later)
        return Overlay((*kept, *other.writes), (*gone, *other.removals))
