"""The files that a program is made of: those that its root names by `mod`, and so on. Read by pattern, without macros but `automod`."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from podgym.envs.build.tree import Tree

__all__ = ["Module", "has_tests", "modules_of", "module_graph"]

_ITEM: Final = re.compile(
    r"(?:^|(?<=[;}]))[ \t]*(?P<attributes>(?:#\[[^\]]{0,400}\]\s*){0,20})(?:pub(?:\([\w\s:]{1,40}\))?\s+)?mod\s+(?P<name>\w{1,200})\s*;",
    re.MULTILINE,
)
_PATH: Final = re.compile(r'#\[\s*path\s*=\s*"([^"\n]{1,300})"\s*\]')
_DIRECTORY: Final = re.compile(r'\bautomod::dir!\s*[({\[]\s*(?:pub(?:\([\w\s:]{1,40}\))?\s+)?"([^"\n]{1,300})"')
_TEST: Final = re.compile(r"#\[(?:[\w:]+::)?(?:\w*test\w*|case|bench)\b|\b\w*(?:test|proptest|quickcheck)\w*!\s*[({\[]|\bfn\s+main\b")
_MAX_FILES: Final = 2000


@dataclass(frozen=True, slots=True)
class Module:
    """How a file becomes part of a program."""

    parent: str = ""
    """The file that names it; empty for the root."""
    attributes: str = ""
    """Of the item that names it."""


def module_graph(tree: Tree, root: str) -> dict[str, Module]:
    """The root, and those of its modules that are in the tree."""
    found: dict[str, Module] = {}
    waiting = [(root, True, Module())]
    while waiting and len(found) < _MAX_FILES:
        path, owner, module = waiting.pop()
        if path not in found:
            found[path] = module
            waiting += _named(tree, path, owner=owner)
    return found


def modules_of(tree: Tree, root: str) -> frozenset[str]:
    """The root's own path, and those of its modules that are in the tree."""
    return frozenset(module_graph(tree, root))


def _named(tree: Tree, path: str, *, owner: bool) -> Iterator[tuple[str, bool, Module]]:
    directory, _, name = path.rpartition("/")
    # A root, and a mod.rs, have their modules beside them; any other file has them in a directory of its own name.
    home = directory if owner else posixpath.join(directory, name.removesuffix(".rs"))
    text = tree.read(path) or ""
    for match in _ITEM.finditer(text):
        if (placed := _PATH.search(match["attributes"])) is not None:
            guesses = [posixpath.normpath(posixpath.join(directory, placed[1]))]
        else:
            guesses = [posixpath.join(home, f"{match['name']}.rs"), posixpath.join(home, match["name"], "mod.rs")]
        guess = next((one for one in guesses if one in tree), None)
        if guess is not None:
            yield guess, guess.endswith("/mod.rs") or placed is not None, Module(path, match["attributes"])
    for match in _DIRECTORY.finditer(text):
        place = posixpath.normpath(posixpath.join(tree.nearest(path, "Cargo.toml") or "", match[1]))
        for below in tree.below(place):
            if re.fullmatch(r"[^/]+\.rs", below) and below not in ("lib.rs", "main.rs", "mod.rs"):
                yield f"{place}/{below}", False, Module(path)


def has_tests(text: str) -> bool:
    """Whether a source holds tests of its own, as far as a glance can tell."""
    return _TEST.search(text) is not None
