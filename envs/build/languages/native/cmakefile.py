"""The commands of a CMake file, without running any: `name(arguments)`, comments left out, variables as they stand."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

__all__ = ["Command", "commands"]

_TOKEN: Final = re.compile(
    r"""\#\[(=*)\[.{0,4000}?\]\1\]      # a comment in brackets
    |\#[^\n]*                   # a comment
    |\[(=*)\[(.{0,4000}?)\]\2\]        # an argument in brackets
    |"((?:\\.|[^"\\])*)"        # a quoted argument
    |[()]
    |(?:\\.|[^\s()"#\\])+       # an argument, or a command's name
    """,
    re.DOTALL | re.VERBOSE,
)
_MAX_COMMANDS: Final = 20_000


@dataclass(frozen=True, slots=True)
class Command:
    """One call. `name` is in lower case; inner parentheses are arguments of their own."""

    name: str
    arguments: tuple[str, ...]


def commands(text: str) -> list[Command]:
    """All calls of a file in order; what is not closed ends with the file."""
    found: list[Command] = []
    name = ""
    arguments: list[str] = []
    depth = 0
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token.startswith("#"):
            continue
        if token == "(":
            depth += 1
            if depth > 1:
                arguments.append(token)
        elif token == ")":
            depth -= 1
            if depth > 0:
                arguments.append(token)
            elif depth == 0 and name and len(found) < _MAX_COMMANDS:
                found.append(Command(name.lower(), tuple(arguments)))
            if depth <= 0:
                name, arguments, depth = "", [], 0
        elif depth == 0:
            name, arguments = token, []
        else:
            arguments.append(next((inner for inner in (match[3], match[4]) if inner is not None), token))
    return found
