"""Which tests of which sources an id means. Runners name tests in their own ways, so it is told loosely, by how an id ends."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final

from podgym.verifiers.decoys.survey import Survey

__all__ = ["Unit", "matching"]

_PARAMETERS: Final = re.compile(r"(?:\([^()]*\)|\[[^\[\]]*\]|\{[^{}]*\}|\s*#\d+)+$")
_BEFORE: Final = (" > ", " ", ".", "/", "::", ": ")
_PARTS: Final = re.compile(r"::| > |[/.\s]")


@dataclass(slots=True)
class Unit:
    """Tests that are changed or left alone together: one, or all of a file whose ids are those of a program."""

    path: str
    indices: tuple[int, ...]
    ids: list[str] = field(default_factory=list)


def matching(surveys: Mapping[str, Survey], ids: Collection[str]) -> list[Unit]:
    """Units in the order of their places, for those ids that mean any; each test of all files, without an id, where none does."""
    units: dict[tuple[str, int], Unit] = {}
    for identity in sorted(ids):
        for path, index in _named(surveys, identity):
            units.setdefault((path, index), Unit(path, (index,))).ids.append(identity)
    if not any(unit.ids for unit in units.values()):
        for path, found in surveys.items():
            for index, _ in enumerate(found.tests):
                units[path, index] = Unit(path, (index,))
    # A test that belongs to a whole program's unit is not one by itself.
    whole = {path for path, index in units if index < 0}
    kept = {key: unit for key, unit in units.items() if key[1] < 0 or key[0] not in whole}
    for (path, index), unit in kept.items():
        if index < 0:
            unit.indices = tuple(range(len(surveys[path].tests)))
    return [kept[key] for key in sorted(kept)]


def _named(surveys: Mapping[str, Survey], identity: str) -> list[tuple[str, int]]:
    tail = identity.rpartition("::")[2]
    bare = _PARAMETERS.sub("", tail).rstrip()
    parts = set(_PARTS.split(identity)) | {_PARAMETERS.sub("", part) for part in _PARTS.split(identity)}
    hits: list[tuple[int, str, int]] = []
    programs: list[tuple[int, str, int]] = []
    for path, found in surveys.items():
        stem = PurePosixPath(path).name.partition(".")[0]
        near = 2 * (path in identity or path.rpartition(".")[0] in identity) + (stem in parts)
        for index, test in enumerate(found.tests):
            if any(_ends(identity, tail, bare, name) for name in test.names):
                hits.append((near, path, index))
        if near and found.tests:
            programs.append((near, path, -1))
    best = hits or programs
    return [(path, index) for near, path, index in best if near == max(one[0] for one in best)]


def _ends(identity: str, tail: str, bare: str, name: str) -> bool:
    if name in (tail, bare, identity) or name in tail.split("/"):
        return True
    return any(whole.endswith(before + name) for before in _BEFORE for whole in (identity, bare))
