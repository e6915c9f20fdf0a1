"""Examples in the docstrings of a Python source, which some projects run as tests (`--doctest-modules`).

Examples and the code that they tell of share a file, so neither dropping it nor keeping it is right: the agent's file is graded
with the docstrings that hold examples replaced by those of the base, or of the hidden version where the fix changes them. A docstring
belongs to what it describes: the module, a class, or a function at the top of either, several of one name in their order. Examples of
what the agent's file does not have are left out, and are missing from the report. A source that is no Python fails its tests without any
help.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tree_sitter import Node

from podgym.verifiers.syntax import parse_source

__all__ = ["with_examples_of"]

_MARK: Final = b">>>"
_BLANK: Final = b" \t\f"
_DEFINITIONS: Final = frozenset({"class_definition", "function_definition"})
_AROUND: Final = frozenset(
    {
        "module", "block", "decorated_definition", "if_statement", "elif_clause", "else_clause", "try_statement", "except_clause",
        "except_group_clause", "finally_clause", "with_statement",
    }
)  # fmt: skip
"""What may be around a definition that is known by its name all the same."""
_STRINGS: Final = frozenset({"string", "concatenated_string"})


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a docstring is, or where one may be written; bytes of the source."""

    name: tuple[str, ...]
    """Of what it describes; empty for the module."""
    start: int
    end: int
    """Equal to `start` where there is none."""
    before: bytes = b""
    after: bytes = b""
    """What one would be written between."""


def with_examples_of(data: bytes, reference: bytes) -> bytes:
    """`data` with the docstrings of `reference` that hold examples. What it defines more often than `reference` has the last of them,
    because the last definition of a name is the one that counts."""
    wanted: dict[tuple[str, ...], deque[bytes]] = {}
    for place in _places(reference):
        wanted.setdefault(place.name, deque()).append(reference[place.start : place.end])
    if not any(_MARK in text for texts in wanted.values() for text in texts):
        return data
    parts: list[bytes] = []
    position = 0
    for place in _places(data):
        texts = wanted.get(place.name, deque((b"",)))
        text = texts.popleft() if len(texts) > 1 else texts[0]
        if _MARK in text:
            parts += [data[position : place.start], place.before, text, place.after]
            position = place.end
    return b"".join((*parts, data[position:]))


def _places(data: bytes) -> list[_Place]:
    """In the order of the source."""
    root = parse_source(data, "tree_sitter_python")
    return sorted(_found(data, root), key=lambda place: place.start) if root is not None else []


def _found(data: bytes, root: Node) -> Iterator[_Place]:
    waiting: list[tuple[Node, tuple[str, ...]]] = [(root, ())]
    yield _docstring(data, root, ())
    while waiting:
        node, name = waiting.pop()
        for child in node.children:
            if child.type in _DEFINITIONS:
                named, body = child.child_by_field_name("name"), child.child_by_field_name("body")
                if named is None or body is None:
                    continue
                own = (*name, data[named.start_byte : named.end_byte].decode("utf-8", "replace"))
                yield _docstring(data, body, own)
                if child.type == "class_definition":
                    waiting.append((body, own))
            elif child.type in _AROUND:
                waiting.append((child, name))


def _docstring(data: bytes, body: Node, name: tuple[str, ...]) -> _Place:
    """Of a body."""
    first = next((child for child in body.named_children if child.type != "comment"), None)
    if first is None:
        return _Place(name, body.start_byte, body.start_byte, after=b"\n")
    if first.type == "expression_statement" and len(first.named_children) == 1 and first.named_children[0].type in _STRINGS:
        return _Place(name, first.named_children[0].start_byte, first.named_children[0].end_byte)
    line = data[data.rfind(b"\n", 0, first.start_byte) + 1 : first.start_byte]
    if not line.strip(_BLANK):
        return _Place(name, first.start_byte, first.start_byte, after=b"\n" + line)
    # A body on the line of its head gets one of its own.
    indent = b"\n" + line[: len(line) - len(line.lstrip(_BLANK))] + b"    "
    return _Place(name, first.start_byte, first.start_byte, before=indent, after=indent)
