"""Label and field selectors."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

__all__ = ["selects"]

_SETS = re.compile(r"\s*(!?)\s*([\w./-]+)\s*(?:(notin|in)\s*\(([^)]*)\)|(==|!=|=)\s*([\w./-]*))?\s*(?:,|$)")


def selects(labels: str, fields: str) -> Callable[[dict[str, Any]], bool]:
    """Whether an object is meant. Raises `ValueError` for what is no selector."""
    wanted = [*_labels(labels), *_fields(fields)]
    return lambda item: all(one(item) for one in wanted)


def _labels(text: str) -> list[Callable[[dict[str, Any]], bool]]:
    found: list[Callable[[dict[str, Any]], bool]] = []
    at = 0
    while at < len(text):
        match = _SETS.match(text, at)
        if match is None or match.end() == at:
            raise ValueError(f"unable to parse requirement: {text[at:]!r}")
        at = match.end()
        negated, key, word, inside, operator, value = match.groups()
        values = {one.strip() for one in (inside or "").split(",")} if word else {value or ""}
        if word or operator:
            found.append(_is(key, values, wanted=word != "notin" and operator != "!="))
        else:
            found.append(_has(key, wanted=not negated))
    return found


def _is(key: str, values: set[str], *, wanted: bool) -> Callable[[dict[str, Any]], bool]:
    return lambda item: ((item["metadata"].get("labels") or {}).get(key) in values) is wanted


def _has(key: str, *, wanted: bool) -> Callable[[dict[str, Any]], bool]:
    return lambda item: (key in (item["metadata"].get("labels") or {})) is wanted


def _fields(text: str) -> list[Callable[[dict[str, Any]], bool]]:
    found: list[Callable[[dict[str, Any]], bool]] = []
    for part in filter(None, text.split(",")):
        match = re.fullmatch(r"\s*([\w.]+)\s*(==|!=|=)\s*(.*?)\s*", part)
        if match is None:
            raise ValueError(f"invalid selector: {part!r}")
        found.append(_at(match[1].split("."), match[3], wanted=match[2] != "!="))
    return found


def _at(path: list[str], value: str, *, wanted: bool) -> Callable[[dict[str, Any]], bool]:
    def holds(item: dict[str, Any]) -> bool:
        found: Any = item
        for key in path:
            found = found.get(key) if isinstance(found, dict) else None
        return (str(found if found is not None else "") == value) is wanted

    return holds
