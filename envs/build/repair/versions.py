"""Ranges of versions as error messages name them, as predicates over a catalogue's versions."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from podgym.envs.build.catalogue import Tool, version_key

__all__ = ["Accepts", "wanted"]

Accepts = Callable[[str], bool]

_CLASS_FILES: Final = 44
"""Java 1.0's class files have version 45, Java 17's 61."""
_COMPARATOR: Final = re.compile(r"(>=|<=|>|<|==|=|\^|~>?|!=)?\s*v?(\d+(?:\.\d+|\.[xX*])*|[xX*])(?:-[\w.]+)?")
_PARTS: Final = 3


def wanted(subject: str) -> tuple[Tool, Accepts] | None:
    """Which tool a cause's subject is about and which of its versions it accepts; None where it says neither."""
    tool, _, text = subject.partition(" ")
    text = text.strip()
    if not text:
        return None
    accepts: Accepts | None
    if tool == "class":
        tool, text = "java", re.sub(r"\d+", lambda found: str(int(found[0]) - _CLASS_FILES), text)
    if tool == "source":
        tool, text = "java", "<9" if text == "5" else "<12"
    if tool == "python":
        accepts = _python(text)
    elif text.startswith(("[", "(")):
        accepts = _maven(text)
    elif tool in ("java", "go", "rust", "native", "node"):
        accepts = _semver(text)
    else:
        return None
    return None if accepts is None else (_TOOLS[tool], accepts)


_TOOLS: Final[dict[str, Tool]] = {"python": "python", "java": "java", "go": "go", "rust": "rust", "node": "node", "native": "native"}


def _python(text: str) -> Accepts | None:
    """PEP 440, and Poetry's `^3.8`."""
    if "^" in text or "||" in text:
        return _semver(text)
    try:
        specifiers = SpecifierSet(text.replace(" ", "").strip(",").replace(",,", ","))
    except InvalidSpecifier:
        return None
    # A catalogue's `3.11` stands for its newest patch release, and for any that is asked for.
    return lambda version: (
        any(specifiers.contains(f"{version}.{patch}") for patch in (99, *range(20))) if version.count(".") == 1 else False
    )


def _maven(text: str) -> Accepts | None:
    found = re.fullmatch(r"([\[(])\s*([\d.]*)\s*(,?)\s*([\d.]*)\s*([\])])", text.strip())
    if found is None:
        return None
    opening, low, comma, high, closing = found.groups()
    lowest, highest = version_key(_java(low)), version_key(_java(high))
    if not comma:
        return lambda version: version_key(version) == lowest[: len(version_key(version))]

    def accepts(version: str) -> bool:
        key = version_key(version)
        above = not lowest or (key >= lowest[: len(key)] if opening == "[" else key > lowest)
        below = not highest or (key <= highest[: len(key)] if closing == "]" else key < highest)
        return above and below

    return accepts


def _java(version: str) -> str:
    """`1.8` is 8."""
    return re.sub(r"^1\.(\d)", r"\1", version)


def _semver(text: str) -> Accepts | None:
    """npm's ranges: comparators that hold together, alternatives between `||`; `<16` of a catalogue's `16` is false, `>16.2` true."""
    alternatives: list[list[tuple[tuple[int, ...], tuple[int, ...] | None]]] = []
    for part in text.split("||"):
        spans: list[tuple[tuple[int, ...], tuple[int, ...] | None]] = []
        dashed = re.fullmatch(r"\s*v?([\d.]+)\s+-\s+v?([\d.]+)\s*", part)
        pieces = [(">=", dashed[1]), ("<=", dashed[2])] if dashed else [(sign or "", number) for sign, number in _COMPARATOR.findall(part)]
        for sign, number in pieces:
            if number in ("x", "X", "*"):
                spans.append(((0,), None))
            elif sign != "!=":
                spans.append(_span(sign, tuple(int(piece) for piece in re.findall(r"\d+", number))))
        if spans:
            alternatives.append(spans)
    if not alternatives:
        return None
    return lambda version: any(all(_meets(version_key(version), *span) for span in spans) for spans in alternatives)


def _span(sign: str, key: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...] | None]:
    """The lowest version, and the first one above."""
    if sign == ">=":
        return key, None
    if sign == ">":
        return _next(key, len(key)) if len(key) < _PARTS else key, None
    if sign == "<":
        return (0,), key
    if sign == "<=":
        return (0,), _next(key, len(key))
    if sign == "^":
        first = next((index for index, part in enumerate(key) if part), len(key) - 1)
        return key, _next(key, first + 1)
    if sign in ("~", "~>"):
        return key, _next(key, min(2, len(key)))
    return key, _next(key, len(key))


def _next(key: tuple[int, ...], length: int) -> tuple[int, ...]:
    return (*key[: length - 1], key[length - 1] + 1)


def _meets(version: tuple[int, ...], low: tuple[int, ...], high: tuple[int, ...] | None) -> bool:
    """A catalogue's `18` is its newest release: any lower bound inside 18 holds, and so does any upper bound above its beginning."""
    if version < low[: len(version)]:
        return False
    if high is None:
        return True
    padded, above = (*version, *(0,) * (len(high) - len(version))), (*high, *(0,) * (len(version) - len(high)))
    return padded < above
