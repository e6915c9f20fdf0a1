"""Which features a fix's files are compiled with: those of the files themselves, of the `mod` items that lead to them, of the program that
they belong to, and of the test functions that the fix adds or changes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from podgym.envs.build.languages.rust.conditions import Needs, conditions, needs
from podgym.envs.build.languages.rust.manifest import Package
from podgym.envs.build.languages.rust.modules import Module, module_graph
from podgym.envs.build.tree import Tree

__all__ = ["needs_of"]

_ATTRIBUTES: Final = r"((?:^[ \t]*#\[[^\]]{1,400}\][ \t]*\n){1,20})[ \t]*"
_FUNCTION: Final = re.compile(rf"{_ATTRIBUTES}(?:pub(?:\([\w\s:]{{1,40}}\))?[ \t]+)?(?:async[ \t]+)?fn[ \t]+\w", re.MULTILINE)
_INLINE: Final = re.compile(rf"{_ATTRIBUTES}(?:pub(?:\([\w\s:]{{1,40}}\))?[ \t]+)?mod[ \t]+\w+\s*\{{", re.MULTILINE)
_HEAD: Final = 5000
_MAX_DEPTH: Final = 20


def needs_of(packages: Sequence[Package], trees: tuple[Tree, Tree], paths: Sequence[str]) -> Needs:
    """For all of these files to be compiled, of the trees of base and fix."""
    base, fixed = trees
    found = Needs()
    wanted = [path for path in paths if path.endswith(".rs")]
    for package in packages:
        inside = {path for path in wanted if not package.directory or path.startswith(f"{package.directory}/")}
        for target in package.targets if inside else ():
            if target.kind in ("lib", "bin", "test"):
                graph = module_graph(fixed, target.path)
                for path in sorted(inside & graph.keys()):
                    found |= Needs(target.required) | _chain(fixed, graph, path)
    for path in wanted:
        text = fixed.read(path) or ""
        found |= needs(conditions(text[:_HEAD], inner=True))
        for attributes in _tests(text, base.read(path) or ""):
            found |= needs(conditions(attributes))
    return found


def _chain(tree: Tree, graph: Mapping[str, Module], path: str) -> Needs:
    """For a file, and the `mod` items and files that lead to it."""
    found = Needs()
    for _ in range(_MAX_DEPTH):
        found |= needs(conditions((tree.read(path) or "")[:_HEAD], inner=True)) | needs(conditions(graph[path].attributes))
        path = graph[path].parent
        if path not in graph:
            break
    return found


def _tests(text: str, before: str) -> Iterator[str]:
    """Attributes of the test modules of a source, and of its test functions that were not there before."""
    for match in _INLINE.finditer(text):
        if any(re.search(r"\btest\b", one) for one in conditions(match[1])):
            yield match[1]
    starts = list(_FUNCTION.finditer(text))
    for match, end in zip(starts, [*(after.start() for after in starts[1:]), len(text)], strict=False):
        if "test" in match[1] and text[match.start() : end].strip() not in before:
            yield match[1]
