"""The files that a program is made of: those that its root names by `mod`, and so on. Read by pattern, without macros."""

from __future__ import annotations

import posixpath
import re
from typing import Final

from podgym.envs.build.tree import Tree

__all__ = ["has_tests", "modules_of"]

_ITEM: Final = re.compile(
    r'(?:^|(?<=[;}]))\s*(?:#\[path\s*=\s*"(?P<path>[^"\n]{1,300})"\]\s*)?(?:#\[[^\]\n]{0,300}\]\s*)*(?:pub(?:\([\w\s:]{1,40}\))?\s+)?mod\s+(?P<name>\w{1,200})\s*;',
    re.MULTILINE,
)
_TEST: Final = re.compile(r"#\[(?:[\w:]+::)?(?:\w*test\w*|case|bench)\b|\b\w*(?:test|proptest|quickcheck)\w*!\s*[({\[]|\bfn\s+main\b")
_MAX_FILES: Final = 2000


def modules_of(tree: Tree, root: str) -> frozenset[str]:
    """The root's own path, and those of its modules that are in the tree."""
    found: set[str] = set()
    waiting = [(root, True)]
    while waiting and len(found) < _MAX_FILES:
        path, owner = waiting.pop()
        if path in found:
            continue
        found.add(path)
        directory, _, name = path.rpartition("/")
        # A root, and a mod.rs, have their modules beside them; any other file has them in a directory of its own name.
        home = directory if owner else posixpath.join(directory, name.removesuffix(".rs"))
        for match in _ITEM.finditer(tree.read(path) or ""):
            if match["path"] is not None:
                guesses = [posixpath.normpath(posixpath.join(directory, match["path"]))]
            else:
                guesses = [posixpath.join(home, f"{match['name']}.rs"), posixpath.join(home, match["name"], "mod.rs")]
            for guess in guesses:
                if guess in tree:
                    waiting.append((guess, guess.endswith("/mod.rs") or match["path"] is not None))
                    break
    return frozenset(found)


def has_tests(text: str) -> bool:
    """Whether a source holds tests of its own, as far as a glance can tell."""
    return _TEST.search(text) is not None
