"""What can be wrong with a task of another origin, from a closed list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from podgym.errors import PodgymError

__all__ = ["Kind", "Problem", "RowError", "problem"]

Kind = Literal[
    "broken_row",
    "unknown_format",
    "no_repository",
    "repository",
    "base_missing",
    "empty_fix",
    "empty_tests",
    "fix_does_not_apply",
    "tests_do_not_apply",
    "not_validated",
    "passes_before",
    "absent",
    "fails_before",
    "flaky",
    "unlisted",
    "tests_in_fix",
    "source_in_tests",
    "unused",
]
"""The first eight keep a row from becoming a build. `passes_before`: listed as FAIL_TO_PASS and passes without the fix; `absent`: listed,
and not among the tests that pass with the fix; `fails_before`: listed as PASS_TO_PASS and fails without the fix; `unlisted`: turns, and is
not listed; `tests_in_fix`, `source_in_tests`: files that podgym counts to the other half; `unused`: things to run, which were not."""

_SHOWN: Final = 5


class Problem(BaseModel):
    """One kind of thing that is wrong with a row."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind
    count: int = 1
    message: str
    examples: tuple[str, ...] = ()
    """At most five."""


class RowError(PodgymError, ValueError):
    """A row from which nothing can be built."""

    def __init__(self, kind: Kind, message: str, *, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.kind: Kind = kind


def problem(kind: Kind, message: str, examples: Sequence[str]) -> list[Problem]:
    """One problem of as many things as there are examples; none where there are none."""
    return [Problem(kind=kind, count=len(examples), message=message, examples=tuple(examples[:_SHOWN]))] if examples else []
