"""One way in which a tool says what it lacks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from podgym.envs.build.repair.causes import Kind

__all__ = ["Pattern", "each", "pattern"]


@dataclass(frozen=True, slots=True)
class Pattern:
    """Matched line by line, so that no log takes long."""

    kind: Kind
    expression: re.Pattern[str]
    subject: str = ""
    """A template over the expression's groups, such as `java >={0}`; the first group alone where it is empty."""
    weight: int = 50
    """How surely a match is the cause: a missing header of the compiler is, a warning about a package may be."""

    def read(self, line: str) -> str | None:
        """The subject, or None where the line says nothing of the kind."""
        found = self.expression.search(line)
        if found is None:
            return None
        groups = [group or "" for group in found.groups()]
        if self.subject:
            return self.subject.format(*groups).strip()
        return next((group for group in groups if group), "").strip()


def pattern(kind: Kind, expression: str, subject: str = "", *, weight: int = 50) -> Pattern:
    """`expression` ignores no case; say `(?i)` where it should."""
    return Pattern(kind, re.compile(expression), subject, weight)


def each(kind: Kind, expression: str, subject: str, rows: Mapping[str, str], *, weight: int = 50) -> Iterator[Pattern]:
    """One pattern a row: its value stands for `<>` in the expression, its key for `<>` in the subject."""
    for name, words in rows.items():
        yield pattern(kind, expression.replace("<>", f"(?:{words})"), subject.replace("<>", name), weight=weight)
