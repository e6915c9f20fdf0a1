"""The shell lines of package scripts as simple commands, with every word as it was written.

Words keep their quotes and expansions, because they go into another shell line. What is more than lists of simple
commands (loops, functions, here-documents) is not read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

__all__ = ["Simple", "Word", "read_line", "word"]

_MAX_CHARACTERS: Final = 20_000
_OPERATORS: Final = ("&&", "||", ";;", ";", "|", "&", "\n")
_ASSIGNMENT: Final = re.compile(r"[A-Za-z_]\w*=", re.ASCII)
_KEYWORDS: Final = frozenset(
    {"if", "then", "else", "elif", "fi", "for", "do", "done", "while", "until", "case", "esac", "function", "{", "}", "!"}
)
_PLAIN: Final = re.compile(r"[\w@%+=:,./^~*?\[\]{}!#-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Word:
    """One word."""

    raw: str
    """As it was written."""
    text: str
    """Without quotes; expansions stay as they are."""

    @property
    def plain(self) -> bool:
        """Means what it says: no expansion of variables or commands."""
        return "$" not in self.raw and "`" not in self.raw


@dataclass(frozen=True, slots=True)
class Simple:
    """A simple command, and what stands between it and the one before."""

    before: str
    """`&&`, `||`, `;`, `|` or `&`; empty for the first."""
    assignments: tuple[tuple[str, Word], ...]
    words: tuple[Word, ...]


def word(text: str) -> Word:
    """A word that means `text`."""
    return Word(text if _PLAIN.fullmatch(text) and not re.search(r"[*?\[~{!#]", text) else "'" + text.replace("'", "'\"'\"'") + "'", text)


def read_line(line: str) -> list[Simple] | None:
    """The commands of a line; None where it is not a list of simple commands."""
    if len(line) > _MAX_CHARACTERS or "\0" in line:
        return None
    reader = _Reader(line.strip())
    return reader.commands() if reader.read() else None


class _Reader:
    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0
        self._found: list[tuple[str, list[Word]]] = [("", [])]

    def read(self) -> bool:
        depth = 0
        while self._at < len(self._text):
            rest = self._text[self._at :]
            if rest[0] in " \t\r" or rest.startswith("\\\n"):
                self._at += 2 if rest[0] == "\\" else 1
            elif rest[0] == "#":
                self._at = (self._text.find("\n", self._at) + 1 or len(self._text) + 1) - 1
            elif (redirection := re.match(r"(\d*|&)(>>|>&|<<|>|<)", rest)) is not None:
                if redirection[2] == "<<":
                    return False
                self._at += redirection.end()
                while self._text[self._at : self._at + 1] in (" ", "\t") and self._at < len(self._text):
                    self._at += 1
                if self._word() is None:
                    return False
            elif (operator := next((one for one in _OPERATORS if rest.startswith(one)), None)) is not None:
                self._at += len(operator)
                self._found.append((";" if operator == "\n" else operator, []))
            elif rest[0] in "()":
                depth += 1 if rest[0] == "(" else -1
                if depth < 0 or (rest[0] == "(" and self._found[-1][1]):
                    return False
                self._at += 1
            else:
                found = self._word()
                if found is None:
                    return False
                self._found[-1][1].append(found)
        return depth == 0

    def _word(self) -> Word | None:
        start, text = self._at, ""
        while self._at < len(self._text):
            character = self._text[self._at]
            if character in " \t\r\n;&|()<>":
                break
            if character == "\\":
                text += self._text[self._at + 1 : self._at + 2]
                self._at += 2
            elif character == "'":
                end = self._text.find("'", self._at + 1)
                if end < 0:
                    return None
                text += self._text[self._at + 1 : end]
                self._at = end + 1
            elif character == '"':
                inner = self._double()
                if inner is None:
                    return None
                text += inner
            elif character == "`" or self._text.startswith("$(", self._at):
                end = self._substitution()
                if end < 0:
                    return None
                text += self._text[self._at : end]
                self._at = end
            else:
                text += character
                self._at += 1
        return Word(self._text[start : self._at], text)

    def _double(self) -> str | None:
        """What a double-quoted part means; moves past it."""
        text, at = "", self._at + 1
        while at < len(self._text):
            character = self._text[at]
            if character == '"':
                self._at = at + 1
                return text
            if character == "\\" and self._text[at + 1 : at + 2] in ('"', "\\", "$", "`"):
                text += self._text[at + 1]
                at += 2
            else:
                text += character
                at += 1
        return None

    def _substitution(self) -> int:
        """The end of a command substitution; -1 where there is none."""
        if self._text[self._at] == "`":
            return self._text.find("`", self._at + 1) + 1 or -1
        depth = 0
        for at in range(self._at + 1, len(self._text)):
            depth += {"(": 1, ")": -1}.get(self._text[at], 0)
            if depth == 0:
                return at + 1
        return -1

    def commands(self) -> list[Simple] | None:
        found: list[Simple] = []
        for before, words in self._found:
            if not words:
                continue
            if words[0].text in _KEYWORDS or words[0].raw.endswith("()"):
                return None
            count = 0
            while count < len(words) and _ASSIGNMENT.match(words[count].raw):
                count += 1
            assignments = tuple(
                (one.text.partition("=")[0], Word(one.raw.partition("=")[2], one.text.partition("=")[2])) for one in words[:count]
            )
            found.append(Simple(before, assignments, tuple(words[count:])))
        return found
