"""Finds the test ids of other builders among ours. Each harness spells them in its own way; what they share is the words.

An id is matched exactly, or where its words without the last lie all among ours (or ours among its) and the last word and parameters are
the same, such as `test_x (app.tests.Case)` and `tests/app/tests.py::Case::test_x`. Where several of ours fit, all of them are meant.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Final

__all__ = ["Ids"]

_DJANGO: Final = re.compile(r"(?P<name>\S+) \((?P<place>[\w.]+)\)")
_PARAMETERS: Final = re.compile(r"(?P<stem>.*?)(?P<parameters>\[.*\])", re.DOTALL)
_WORD: Final = re.compile(r"\w+")
_ANY: Final = 2000
"""Ids of one last word that are compared one by one."""


class Ids:
    """A set of ids of ours, to look others up in."""

    def __init__(self, ids: Iterable[str]) -> None:
        self._ids = frozenset(ids)
        self._by_last: dict[tuple[str, str], list[tuple[frozenset[str], str]]] = defaultdict(list)
        for one in self._ids:
            last, words = _taken_apart(one)
            self._by_last[last].append((words, one))

    def find(self, name: str) -> frozenset[str]:
        """Ours that `name` may mean; none where there is none."""
        if name in self._ids:
            return frozenset({name})
        last, words = _taken_apart(name)
        return frozenset(one for place, one in self._by_last.get(last, ())[:_ANY] if words <= place or place <= words)


def _taken_apart(name: str) -> tuple[tuple[str, str], frozenset[str]]:
    """The last word with the parameters, and the other words."""
    name = " ".join(name.split())
    if match := _DJANGO.fullmatch(name):
        name = f"{match['place']}.{match['name']}"
    match = _PARAMETERS.fullmatch(name)
    stem, parameters = (match["stem"], match["parameters"]) if match else (name, "")
    words = _WORD.findall(stem)
    return (words[-1] if words else stem, parameters), frozenset(words[:-1])
