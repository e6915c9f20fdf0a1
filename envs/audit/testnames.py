"""Names of tests that only the hidden tests have, as far as their ids and their text show, and as far as nobody else would say them.

A function's name counts where it is no word (`test_heavier_last`, never `throws`), stands in the hidden tests where it is declared and
nowhere else, and not in the solution: a test in Rust often has the name of what it tests. A title, as of JavaScript's tests, counts as
a whole and with several words. Where the difference to base is known, what base has already counts for nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Final

__all__ = ["hidden_names", "said"]

_WORD: Final = re.compile(r"\w+")
_DECLARED: Final = re.compile(r"(?:\b(?:def|fn|func(?:\s*\([^()\n]{0,200}\))?|fun|function|void|class)\s+|\bTEST\w*\(\s*\w+\s*,\s*)(\w+)")
_OF_TESTS: Final = re.compile(r"(?:[Tt]est|\w*_test|\w*[a-z0-9]Test)\w*")
_PARTS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_]+")
_ARGUMENTS: Final = re.compile(r"(?:\[.*\]|\(.*\))$", re.DOTALL)
_LEAST: Final = 8
"""Characters of a function's name."""
_PARTS_OF_A_NAME: Final = 2
_WORDS_OF_A_TITLE: Final = 4
_MAX_TITLE: Final = 400


def hidden_names(ids: Iterable[str], tests: bytes, *, difference: bool, solution: bytes) -> frozenset[str]:
    """`ids` are those of tests that decide; `tests` the text of the hidden ones, as a git patch where it is a `difference` to base;
    `solution` the patch that nothing of a test is in. Without any text, the ids have to do."""
    added, before = _sides(tests) if difference else (tests.decode("utf-8", "replace"), "")
    others = set(_WORD.findall(before)) | set(_WORD.findall(solution.decode("utf-8", "replace")))
    said_by_tests, declared = Counter(_WORD.findall(added)), Counter(_DECLARED.findall(added))
    known = bool(added.strip())
    names, titles = set(), set()
    for one in ids:
        leaf = _ARGUMENTS.sub("", one.rsplit("::", 1)[-1]).strip()
        if " " in leaf:
            titles.add(leaf.rsplit(" > ", 1)[-1].strip())
        else:
            names.add(max(re.split(r"[/#.]", leaf), key=len))
    if not names and not titles:
        names = set(filter(_OF_TESTS.fullmatch, declared))
    own = {
        name
        for name in names
        if name not in others and (said_by_tests[name] == declared[name] > 0 if known else _OF_TESTS.fullmatch(name) is not None)
    }
    spoken = {title for title in titles if len(title) <= _MAX_TITLE and len(title.split()) >= _WORDS_OF_A_TITLE}
    return frozenset(filter(_is_function, own)) | {title for title in spoken if not known or (title in added and title not in before)}


def said(name: str, text: str) -> re.Match[str] | None:
    """Where a text says a name; a title in any case, and over any ends of lines."""
    if " " not in name:
        return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text)
    words = r"\s+".join(map(re.escape, name.split()))
    return re.search(rf"(?<!\w){words}(?!\w)", text, re.IGNORECASE)


def _is_function(name: str) -> bool:
    return len(name) >= _LEAST and len(_PARTS.findall(name)) >= _PARTS_OF_A_NAME


def _sides(patch: bytes) -> tuple[str, str]:
    """The added lines of a patch, and what else it shows of the files."""
    added, rest = [], []
    for line in patch.decode("utf-8", "replace").split("\n"):
        if line.startswith("+") and not line.startswith("+++ "):
            added.append(line[1:])
        elif line.startswith(("-", " ", "@@")) and not line.startswith("--- "):
            rest.append(line[1:])
    return "\n".join(added), "\n".join(rest)
