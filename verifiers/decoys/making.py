"""Decoys of any language, from files and ids."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Collection, Mapping
from typing import Final

from podgym.verifiers.decoys.comparisons import Site
from podgym.verifiers.decoys.edits import DecoyFile, Edit, edited
from podgym.verifiers.decoys.matching import Unit, matching
from podgym.verifiers.decoys.python import python_decoys
from podgym.verifiers.decoys.reading import read_sources
from podgym.verifiers.decoys.survey import Survey

__all__ = ["SUFFIXES", "decoy_files"]

SUFFIXES: Final = (
    ".py", ".go", ".rs", ".java", ".js", ".mjs", ".cjs", ".jsx", ".ts", ".mts", ".cts", ".tsx", ".c", ".cc", ".cpp", ".cxx", ".c++", ".C",
    ".h", ".hh", ".hpp",
)  # fmt: skip


def decoy_files(
    files: Mapping[str, bytes],
    tests: Collection[str],
    *,
    cwd: str = "",
    beside: Collection[str] = (),
    salt: bytes = b"",
    attempts: Mapping[str, int] | None = None,
) -> dict[str, DecoyFile]:
    """Decoys for the tests with the ids `tests` among `files`, by path; files without one are left out.

    Where a run has several such tests some are left as they are, so that code which lets everything or nothing pass at random is
    found out as well. Equal files give equal decoys. `beside` are more ids, which are named with the tests that were changed where
    they are theirs too. `salt` is something that the code under test cannot know: without it, a program that has the files could
    make decoys of what it guesses the true tests to be, and compare. `attempts` says by path how many choices were no good before;
    a file that it has at a negative number is left as it is. Neither plays a part in Python's, whose choice is always the best.
    """
    tried = attempts or {}
    open_files = {path: data for path, data in files.items() if tried.get(path, 0) >= 0}
    made = python_decoys(files, tests, cwd=cwd)
    made = {path: one for path, one in made.items() if path in open_files and not tried.get(path)}
    if any(".py::" in identity for identity in tests):
        return made
    sources = {path: data for path, data in sorted(files.items()) if path.endswith(SUFFIXES[1:])}
    surveys = read_sources(sources, salt)
    if not surveys:
        return made
    units = matching(surveys, tests)
    known = {(unit.path, unit.indices): unit.ids for unit in matching(surveys, {*tests, *beside})} if beside else {}
    rng = random.Random(hashlib.sha256(b"\0".join((salt, *(data for _, data in sorted(sources.items()))))).digest())
    able = [unit for unit in units if any(surveys[unit.path].tests[index].sites for index in unit.indices)]
    spared = rng.sample(range(len(able)), len(able) // 2)
    edits: dict[str, list[Edit]] = {}
    ids: dict[str, list[str]] = {}
    for index, unit in enumerate(able):
        # Drawn for all, so that what is done about one file changes nothing in the others.
        chosen = _chosen(surveys[unit.path], unit, random.Random(rng.randbytes(16)), tried.get(unit.path, 0))
        known_edits = edits.setdefault(unit.path, [])
        if index not in spared and unit.path in open_files and not any(_overlap(chosen, one) for one in known_edits):
            known_edits.append(chosen)
            ids.setdefault(unit.path, []).extend(dict.fromkeys((*unit.ids, *known.get((unit.path, unit.indices), ()))))
    changed = {path: edited(files[path], some) for path, some in edits.items() if some}
    after = read_sources(changed, salt)
    made |= {
        path: DecoyFile(data, tuple(ids.get(path, ())))
        for path, data in changed.items()
        if path in after and _same_tests(surveys[path], after[path]) and data != files[path]
    }
    return made


def _chosen(found: Survey, unit: Unit, rng: random.Random, tried: int) -> Edit:
    """One of the best kind that there is, if possible one that stands in the test once; of the next best where that was no good, and
    of the last kind another one each time."""
    sites = [site for index in unit.indices for site in found.tests[index].sites]
    kinds: dict[int, list[Site]] = {}
    for site in sorted(sites, key=lambda site: -site.worth):
        kinds.setdefault(site.worth, []).append(site)
    ranked = list(kinds.values())
    for group in ranked:
        rng.shuffle(group)
        group.sort(key=lambda site: site.repeated)
    kind = min(tried, len(ranked) - 1)
    return ranked[kind][(tried - kind) % len(ranked[kind])].edit


def _overlap(one: Edit, other: Edit) -> bool:
    return one.start <= other.end and other.start <= one.end


def _same_tests(before: Survey, after: Survey) -> bool:
    """What was changed reads as well as before, and its tests have their names."""
    return after.errors <= before.errors and [test.names for test in after.tests] == [test.names for test in before.tests]
