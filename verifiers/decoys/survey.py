"""The tests of one source, and everything in them that can be changed. Reads text from anywhere, and runs nothing.

A file that is too large, or whose text the parser needs too long for, is not surveyed.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from typing import Final

from podgym.verifiers.decoys.comparisons import Site, Worth
from podgym.verifiers.decoys.grammar import parse
from podgym.verifiers.decoys.languages import grammar_of
from podgym.verifiers.decoys.part import Part
from podgym.verifiers.decoys.sites import find_sites
from podgym.verifiers.decoys.tables import Names, declarations

__all__ = ["MAX_BYTES", "FoundTest", "Survey", "survey"]

MAX_BYTES: Final = 512 << 10
_MAX_NODES: Final = 400_000
_MAX_TESTS: Final = 2000


@dataclass(frozen=True, slots=True)
class FoundTest:
    """One test."""

    names: tuple[str, ...]
    """As its id may end; none for what only the file's name tells."""
    sites: tuple[Site, ...]


@dataclass(frozen=True, slots=True)
class Survey:
    """Of one file."""

    tests: tuple[FoundTest, ...]
    errors: int
    """Places that the grammar could not read; macros make some in C."""


def survey(path: str, data: bytes, salt: bytes = b"") -> Survey | None:
    """None for a file of a language without a table, and for one that cannot be read. Equal files give equal surveys."""
    grammar = grammar_of(path)
    if grammar is None or len(data) > MAX_BYTES:
        return None
    node = parse(grammar, data)
    if node is None or node.descendant_count > _MAX_NODES:
        return None
    root = Part(node, data)
    rng = random.Random(hashlib.sha256(b"\0".join((salt, path.encode("utf-8", "surrogateescape"), data))).digest())
    known = declarations(root)
    all_tests = grammar.tests(root)[:_MAX_TESTS]
    spans = [(test.body.start, test.body.end) for test in all_tests]
    tests = []
    for index, test in enumerate(all_tests):
        names = Names(grammar=grammar, body=test.body, root=root, declared=known, others=(*spans[:index], *spans[index + 1 :]))
        sites = find_sites(grammar, test, names, rng)
        if test.exits and len(all_tests) > 1:
            # Of a program that calls its tests, the exit code says least.
            sites = [Site(Worth.ADDED, site.edit) for site in sites]
        tests.append(FoundTest(test.names, tuple(sites)))
    return Survey(tuple(tests), _errors(root) if node.has_error else 0)


def _errors(root: Part) -> int:
    found, waiting = 0, [root.node]
    while waiting:
        node = waiting.pop()
        if node.is_error or node.is_missing:
            found += 1
        elif node.has_error:
            waiting += node.children
    return found
