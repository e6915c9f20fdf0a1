"""Shell text of CI steps: its logical lines, and the simple commands in them with the variables that are known expanded.

Not a shell: control flow is passed through (a guarded installation counts), here-documents are skipped, and a line that cannot be
split is left out.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, MutableMapping
from typing import Final

__all__ = ["commands", "expand", "logical_lines"]

_MAX_CHARACTERS: Final = 64 << 10
_MAX_LINES: Final = 2000
_MAX_VALUE: Final = 8 << 10
_HEREDOC: Final = re.compile(r"<<-?\s*(['\"]?)([A-Za-z_]\w*)\1")
_VARIABLE: Final = re.compile(r"\$(?:\{([A-Za-z_]\w*)(?:\[[@*]\])?(?:(:?[-=])([^{}$]*))?\}|([A-Za-z_]\w*))")
_ASSIGNMENT: Final = re.compile(r"([A-Za-z_]\w*)(\+?)=(.*)", re.DOTALL)
_SEPARATORS: Final = frozenset(";&|()\n")
_REDIRECT: Final = re.compile(r"[<>]+&?")


def logical_lines(script: str) -> list[str]:
    """Lines without comments and blank ones; those that end in a backslash, or inside quotes, joined with the next."""
    lines: list[str] = []
    pending, heredoc = "", ""
    for raw in script[:_MAX_CHARACTERS].splitlines()[:_MAX_LINES]:
        line = raw.rstrip()
        if heredoc:
            heredoc = "" if line.strip() == heredoc else heredoc
            continue
        if not pending and line.lstrip().startswith("#"):
            continue
        if line.endswith("\\") and not line.endswith("\\\\"):
            pending += line[:-1].strip() + " "
            continue
        whole = (pending + line.strip()).strip()
        if whole and _open(whole) and len(whole) < _MAX_VALUE:
            pending = whole + ("\n" if not whole.endswith("\n") else "")
            continue
        pending = ""
        if whole:
            lines.append(whole)
            if found := _HEREDOC.search(whole):
                heredoc = found[2]
    if pending.strip():
        lines += [line.strip() for line in pending.splitlines() if line.strip()]
    return lines


def _open(line: str) -> bool:
    """Whether a quotation, or an array, goes on in the next line."""
    try:
        shlex.split(line, comments=True)
    except ValueError as error:
        return "quotation" in str(error)
    return bool(re.search(r"(^|\s)\w+\+?=\([^()]*$", line))


def expand(text: str, variables: MutableMapping[str, str]) -> str:
    """`text` with the variables replaced that are known; `${NAME:-default}` by its default where not."""

    def value(found: re.Match[str]) -> str:
        known = variables.get(found[1] or found[4])
        if known is not None and (known or not found[2]):
            return known
        return found[3] if found[2] else found[0]

    return _VARIABLE.sub(value, text)[:_MAX_CHARACTERS] if "$" in text else text


def commands(script: str, variables: MutableMapping[str, str]) -> Iterator[list[str]]:
    """Words of each simple command; assignments on the way are kept in `variables`, redirections left out."""
    for line in logical_lines(script):
        yield from _commands_of(line, variables)


def _commands_of(line: str, variables: MutableMapping[str, str]) -> Iterator[list[str]]:
    if found := re.fullmatch(r"(?:export\s+|local\s+|readonly\s+|declare\s+(?:-\w+\s+)?)?(\w+)(\+?)=\((.*)\)\s*;?", line, re.DOTALL):
        _assign(variables, found[1], found[2], " ".join(re.sub(r"#.*", "", expand(found[3], variables)).split()).replace('"', ""))
        return
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|()<>\n")
    lexer.whitespace = " \t\r"
    lexer.whitespace_split = True
    lexer.commenters = ""
    words: list[str] = []
    skip = False
    try:
        tokens = list(lexer)
    except ValueError:
        return
    for token in [*tokens, ";"]:
        if token and set(token) <= _SEPARATORS:
            if words:
                yield from _command(words, variables)
            words, skip = [], False
        elif _REDIRECT.fullmatch(token):
            if words and words[-1].isdigit():
                words.pop()
            skip = True
        elif token.startswith("#") and not skip:
            skip = False
            if words:
                yield from _command(words, variables)
            return
        elif skip:
            skip = False
        else:
            words.append(token)


def _command(words: list[str], variables: MutableMapping[str, str]) -> Iterator[list[str]]:
    """The command with its variables expanded and split into words, unless it only assigns."""
    plain = words[1:] if words[0] in ("export", "local", "readonly", "declare") else words
    assignments = [_ASSIGNMENT.fullmatch(word) for word in plain]
    if all(assignments):
        for found in assignments:
            if found is not None:
                _assign(variables, found[1], found[2], expand(found[3], variables))
        return
    expanded: list[str] = []
    for word in words:
        whole = expand(word, variables)
        expanded += whole.split() if whole != word else [word]
    if expanded:
        yield expanded


def _assign(variables: MutableMapping[str, str], name: str, more: str, value: str) -> None:
    before = variables.get(name, "") if more else ""
    variables[name] = f"{before} {value}".strip()[:_MAX_VALUE] if before else value[:_MAX_VALUE]
