"""What has to hold for a piece of Rust to be compiled, as its `cfg` attributes say it: which features, and which not.

Only features are to choose. What the machine decides (`unix`, `target_os`) is known, and any other name of a project's own is supposed to
hold where nothing else tells.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

__all__ = ["Needs", "conditions", "needs"]

_CFG: Final = re.compile(r"#(!?)\[\s*cfg\s*\(")
_TOKEN: Final = re.compile(r'\s*(?:(\w{1,100})|"([^"\n]{0,200})"|([(),=]))')
_TRUE: Final = frozenset({"test", "unix", "debug_assertions"})
_FALSE: Final = frozenset({"windows", "miri", "loom", "docsrs", "doc", "doctest", "fuzzing", "kani", "tarpaulin", "wasm"})
_MACHINE: Final = {
    "target_os": "linux", "target_family": "unix", "target_pointer_width": "64", "target_endian": "little", "target_env": "gnu",
    "panic": "unwind", "target_vendor": "unknown",
}  # fmt: skip
_MAX_CHARACTERS: Final = 4000
_MAX_DEPTH: Final = 20


@dataclass(frozen=True, slots=True)
class Needs:
    """Features that have to be on, and that have to be off."""

    wanted: tuple[str, ...] = ()
    unwanted: tuple[str, ...] = ()

    def __or__(self, other: Needs) -> Needs:
        return Needs(tuple(dict.fromkeys((*self.wanted, *other.wanted))), tuple(dict.fromkeys((*self.unwanted, *other.unwanted))))


@dataclass(frozen=True, slots=True)
class _Found:
    """How a predicate may come to hold."""

    sure: bool
    needs: Needs = Needs()


def conditions(text: str, *, inner: bool = False) -> Iterator[str]:
    """The predicates of the `#[cfg(…)]` of a text, or of its `#![cfg(…)]`."""
    for match in _CFG.finditer(text):
        if bool(match[1]) is inner:
            depth, start = 1, match.end()
            for place in range(start, min(len(text), start + _MAX_CHARACTERS)):
                depth += {"(": 1, ")": -1}.get(text[place], 0)
                if depth == 0:
                    yield text[start:place]
                    break


def needs(predicates: Iterable[str]) -> Needs:
    """For all of these to hold; nothing for one that can never hold here, or is no predicate."""
    found = Needs()
    for predicate in predicates:
        parsed = _parse(_TOKEN.findall(predicate[:_MAX_CHARACTERS]))
        way = _way(parsed, positive=True) if parsed is not None else None
        found |= way.needs if way is not None else Needs()
    return found


_Predicate = tuple[str, str, tuple["_Predicate", ...]]
"""A name, its value, and what is in its parentheses."""


def _parse(tokens: list[tuple[str, str, str]]) -> _Predicate | None:
    found, rest = _parsed(tokens, 0)
    return found if not rest else None


def _parsed(tokens: list[tuple[str, str, str]], depth: int) -> tuple[_Predicate | None, list[tuple[str, str, str]]]:
    if not tokens or not tokens[0][0] or depth > _MAX_DEPTH:
        return None, tokens
    name, rest = tokens[0][0], tokens[1:]
    if len(rest) > 1 and rest[0][2] == "=":
        return (name, rest[1][1], ()), rest[2:]
    inside: list[_Predicate] = []
    if rest and rest[0][2] == "(":
        rest = rest[1:]
        while rest and rest[0][2] != ")":
            one, after = _parsed(rest, depth + 1)
            if one is None:
                return None, tokens
            inside.append(one)
            rest = after[1:] if after and after[0][2] == "," else after
        return (name, "", tuple(inside)), rest[1:]
    return (name, "", ()), rest


def _way(predicate: _Predicate, *, positive: bool) -> _Found | None:
    """The plainest way in which it holds (or does not, where `positive` is false); None where there is none."""
    name, value, inside = predicate
    if name == "not" and len(inside) == 1:
        return _way(inside[0], positive=not positive)
    if name in ("all", "any"):
        ways = [_way(one, positive=positive) for one in inside]
        if (name == "all") is positive:
            known = [way for way in ways if way is not None]
            whole = Needs()
            for way in known:
                whole |= way.needs
            return _Found(all(way.sure for way in known), whole) if len(known) == len(ways) else None
        return min((way for way in ways if way is not None), key=_rank, default=None)
    if name == "feature":
        return _Found(False, Needs((value,)) if positive else Needs((), (value,))) if value else None
    truth = _truth(name, value)
    if truth is None:
        return _Found(False)
    return _Found(True) if truth is positive else None


def _rank(way: _Found) -> tuple[int, int]:
    asked = len(way.needs.wanted) + len(way.needs.unwanted)
    return (0 if way.sure else 1 if asked else 2, asked)


def _truth(name: str, value: str) -> bool | None:
    if name == "target_arch":
        return value == {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine().lower())
    if name in _MACHINE:
        return value == _MACHINE[name]
    return True if name in _TRUE else False if name in _FALSE else None
