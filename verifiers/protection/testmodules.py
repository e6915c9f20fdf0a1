"""Tests inside a Rust source file: the modules at its top level that are `#[cfg(test)]`, or `#[cfg(all(test, …))]`.

They share the file with what the agent may change, so neither dropping the file nor keeping it is right: the agent's file
is graded with its test modules replaced by those of the base, or of the hidden version where the fix changes them. A lexer
finds them (comments, strings, raw strings, characters and lifetimes); nothing else of the language is read. Modules nested in
others and `mod tests;` (whose file is protected by its name) stay as they are.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from typing import Final

__all__ = ["can_be_told", "with_modules_of"]

_TOKEN: Final = re.compile(
    r"""//[^\n]*|/\*|(?<!\w)[bc]?r(?P<hashes>\#{0,255})"|[bc]?"|b?'(?:\\[^\n][^'\n]{0,10}?|[^\\'\n])'|[{}]|"""
    r"""(?P<cfg>\#\[\s*cfg\s*\(\s*(?:test\s*|all\s*\((?:\s*test\s*[,)][^\]]{0,300}|[^\]]{0,300},\s*test\s*,?\s*\)\s*))\)\s*\])""",
)
_COMMENT: Final = re.compile(r"/\*|\*/")
_STRING: Final = re.compile(r'\\.|"', re.DOTALL)
_HEAD: Final = re.compile(
    r"(?:\s+|//[^\n]*\n|\#\[[^\]\n]{0,400}\])*(?:pub(?:\([\w\s:]{0,40}\))?\s+)?mod\s+(?P<name>[A-Za-z_]\w{0,200})\s*\{"
)


@dataclass(frozen=True, slots=True)
class _Module:
    name: str
    start: int
    end: int


def can_be_told(data: bytes) -> bool:
    """Whether the test modules of a Rust source can be told from the rest."""
    try:
        _modules(_text(data))
    except ValueError:
        return False
    return True


def with_modules_of(data: bytes, reference: bytes) -> bytes:
    """`data` with the test modules of `reference` and none of its own. Raises `ValueError` where either cannot be told."""
    text, other = _text(data), _text(reference)
    own, wanted = _modules(text), _modules(other)
    remaining: dict[str, deque[str]] = {}
    for module in wanted:
        remaining.setdefault(module.name, deque()).append(other[module.start : module.end])
    parts: list[str] = []
    position = 0
    for module in own:
        # Several of one name are for different features.
        bodies = remaining.get(module.name)
        parts += [text[position : module.start], bodies.popleft() if bodies else ""]
        position = module.end
    parts.append(text[position:])
    parts += [f"\n{body}\n" for bodies in remaining.values() for body in bodies]
    return "".join(parts).encode("utf-8", "surrogateescape")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _modules(text: str) -> list[_Module]:
    """Test modules at the top level, in order. Raises `ValueError` where braces, strings or comments do not end."""
    found: list[_Module] = []
    depth = position = 0
    open_module: tuple[str, int] | None = None
    while (match := _TOKEN.search(text, position)) is not None:
        position = match.end()
        token = match[0]
        if token == "/*":
            position = _after_comment(text, position)
        elif match["hashes"] is not None:
            position = _index(text, '"' + match["hashes"], position) + 1 + len(match["hashes"])
        elif token.endswith('"') and not token.startswith("//"):
            position = _after_string(text, position)
        elif match["cfg"] is not None:
            head = _HEAD.match(text, position) if depth == 0 else None
            if head is not None:
                open_module = (head["name"], match.start())
                position, depth = head.end(), 1
        elif token == "{":
            depth += 1
        elif token == "}":
            depth -= 1
            if depth < 0:
                raise ValueError("a brace closes nothing")
            if depth == 0 and open_module is not None:
                found.append(_Module(*open_module, position))
                open_module = None
    if depth:
        raise ValueError("a brace is not closed")
    return found


def _after_comment(text: str, position: int) -> int:
    depth = 1
    while depth:
        match = _COMMENT.search(text, position)
        if match is None:
            raise ValueError("a comment is not closed")
        depth += 1 if match[0] == "/*" else -1
        position = match.end()
    return position


def _after_string(text: str, position: int) -> int:
    while (match := _STRING.search(text, position)) is not None:
        position = match.end()
        if match[0] == '"':
            return position
    raise ValueError("a string is not closed")


def _index(text: str, wanted: str, position: int) -> int:
    found = text.find(wanted, position)
    if found < 0:
        raise ValueError("a string is not closed")
    return found
