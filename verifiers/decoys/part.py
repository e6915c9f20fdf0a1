"""A piece of a source's syntax, with offsets in the whole file.

What a Rust macro is called with is no syntax to the grammar, only tokens. It is read once more, as the arguments of a call, and
`shift` moves what is found there to where it stands.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tree_sitter import Node

__all__ = ["Call", "Part", "unwrapped"]

_COMMENTS: Final = frozenset({"comment", "line_comment", "block_comment"})


@dataclass(frozen=True, slots=True)
class Part:
    """A node."""

    node: Node
    data: bytes
    shift: int = 0

    @property
    def kind(self) -> str:
        """The grammar's name for it."""
        return self.node.type

    @property
    def start(self) -> int:
        """Where it begins in the file."""
        return self.node.start_byte + self.shift

    @property
    def end(self) -> int:
        """Where it ends in the file."""
        return self.node.end_byte + self.shift

    @property
    def text(self) -> bytes:
        """What stands there."""
        return self.data[self.start : self.end]

    @property
    def parts(self) -> list[Part]:
        """What it is made of, less punctuation and comments."""
        return [Part(node, self.data, self.shift) for node in self.node.named_children if node.type not in _COMMENTS]

    @property
    def tokens(self) -> list[Part]:
        """What it is made of, with punctuation."""
        return [Part(node, self.data, self.shift) for node in self.node.children if node.type not in _COMMENTS]

    def field(self, *names: str) -> Part | None:
        """The first of these fields that it has."""
        for name in names:
            if (node := self.node.child_by_field_name(name)) is not None:
                return Part(node, self.data, self.shift)
        return None

    def walk(self, limit: int = 5000) -> Iterator[Part]:
        """It and all below it, the outer first, up to a number."""
        waiting = [self]
        while waiting and limit > 0:
            limit -= 1
            part = waiting.pop()
            yield part
            waiting += reversed(part.parts)


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a function, a method, a constructor or a macro."""

    part: Part
    name: Part
    """The last of the words that name it."""
    receiver: Part | None
    """What stands before that."""
    arguments: tuple[Part, ...]

    @property
    def word(self) -> str:
        """The name as text."""
        return self.name.text.decode("utf-8", "replace")

    @property
    def owner(self) -> str:
        """The last word of the receiver; empty where it is no plain name."""
        if self.receiver is None:
            return ""
        text = self.receiver.text.rpartition(b".")[2].rpartition(b"::")[2]
        return text.decode("utf-8", "replace") if text.replace(b"_", b"a").isalnum() else ""


_WRAPPERS: Final = frozenset(
    {
        "parenthesized_expression", "condition_clause", "literal_element", "expression_list", "await_expression", "non_null_expression",
        "expression_statement",
    }
)  # fmt: skip


def unwrapped(part: Part) -> Part:
    """Without parentheses and the like around it."""
    for _ in range(20):
        inner = part.parts
        if part.kind not in _WRAPPERS or len(inner) != 1:
            break
        part = inner[0]
    return part
