"""YAML of strangers, as strings, lists and mappings: nothing is constructed, and nothing is larger than its bounds.

Values are made from the parser's events, without recursion. Every scalar stays the text that it was (`3.10` is no number, `on`
no truth value; an empty one or `null` is None), tags are ignored but for GitLab's `!reference`, the last of two equal keys
counts, and an alias costs what it stands for, so that a bomb of aliases is refused before it is laid.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

__all__ = ["DocumentError", "Reference", "Value", "load_documents", "mapping", "sequence", "text_of", "words"]

Value = Any
"""`str`, None, `Reference`, a list of values, or a mapping from strings to values."""

_MAX_CHARACTERS: Final = 512 << 10
_MAX_NODES: Final = 60_000
_MAX_DEPTH: Final = 60
_NULLS: Final = frozenset(("", "~", "null", "Null", "NULL"))


class DocumentError(ValueError):
    """Not a document that is read; the message says why."""


@dataclass(frozen=True, slots=True)
class Reference:
    """GitLab's `!reference [job, key]`."""

    path: tuple[str, ...]


@dataclass(slots=True)
class _Open:
    """A sequence or mapping whose end has not come."""

    mapping: bool
    tag: str | None
    anchor: str | None
    items: list[Value] = field(default_factory=list)
    weight: int = 1


def load_documents(text: str) -> list[Value]:
    """All documents of a stream. Raises `DocumentError`."""
    if len(text) > _MAX_CHARACTERS:
        raise DocumentError(f"it has {len(text)} characters; at most {_MAX_CHARACTERS} are read")
    loader = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
    try:
        return list(_documents(yaml.parse(text, Loader=loader)))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark is not None else ""
        raise DocumentError(f"it is not YAML{where}: {getattr(error, 'problem', None) or 'unreadable characters'}") from error
    except (RecursionError, ValueError, OverflowError) as error:
        if isinstance(error, DocumentError):
            raise
        raise DocumentError(f"it is not YAML: {type(error).__name__}") from error


def _documents(events: Iterator[Any]) -> Iterator[Value]:
    stack: list[_Open] = []
    anchors: dict[str, tuple[Value, int]] = {}
    root: Value = None
    nodes = 0
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            anchors, root = {}, None
        elif isinstance(event, yaml.DocumentEndEvent):
            yield root
        elif isinstance(event, (yaml.SequenceStartEvent, yaml.MappingStartEvent)):
            if len(stack) >= _MAX_DEPTH:
                raise DocumentError(f"it is nested deeper than {_MAX_DEPTH}")
            stack.append(_Open(isinstance(event, yaml.MappingStartEvent), event.tag, event.anchor))
        elif isinstance(event, (yaml.ScalarEvent, yaml.AliasEvent, yaml.SequenceEndEvent, yaml.MappingEndEvent)):
            value, weight, anchor = _finished(event, stack, anchors)
            nodes += weight if isinstance(event, yaml.AliasEvent) else 1
            if nodes > _MAX_NODES:
                raise DocumentError(f"it holds more than {_MAX_NODES} values, counting what aliases stand for")
            if anchor:
                anchors[anchor] = (value, weight)
            if stack:
                stack[-1].items.append(value)
                stack[-1].weight += weight
            else:
                root = value


def _finished(event: Any, stack: list[_Open], anchors: dict[str, tuple[Value, int]]) -> tuple[Value, int, str | None]:
    """A value that is complete, how many values it holds, and its anchor."""
    if isinstance(event, yaml.ScalarEvent):
        plain = event.implicit[0] and event.value in _NULLS
        return (None if plain else event.value), 1, event.anchor
    if isinstance(event, yaml.AliasEvent):
        value, weight = anchors.get(event.anchor or "", (None, 1))  # one that is not known, or stands for what holds it
        return value, weight, None
    ended = stack.pop()
    if ended.mapping:
        return _mapping(ended.items), ended.weight, ended.anchor
    if ended.tag == "!reference":
        return Reference(tuple(item for item in ended.items if isinstance(item, str))), ended.weight, ended.anchor
    return ended.items, ended.weight, ended.anchor


def _mapping(items: list[Value]) -> dict[str, Value]:
    """Keys and values in turn; `<<` brings what is not set by the mapping itself."""
    own: dict[str, Value] = {}
    merged: dict[str, Value] = {}
    for key, value in zip(items[::2], items[1::2], strict=True):
        if key == "<<":
            for source in value if isinstance(value, list) else [value]:
                if isinstance(source, dict):
                    merged = {**source, **merged}
        elif isinstance(key, str):
            own[key] = value
    return {**merged, **own}


def mapping(value: Value) -> dict[str, Value]:
    """`value`, or an empty mapping where it is none."""
    return value if isinstance(value, dict) else {}


def sequence(value: Value) -> list[Value]:
    """`value` as a list: one value alone is a list of one, None is none."""
    if isinstance(value, list):
        return value
    return [] if value is None else [value]


def text_of(value: Value) -> str:
    """`value` where it is text, else the empty string."""
    return value if isinstance(value, str) else ""


def words(value: Value) -> list[str]:
    """The words of a text or of a list of texts."""
    return [word for item in sequence(value) if isinstance(item, str) for word in item.replace(",", " ").split()]
