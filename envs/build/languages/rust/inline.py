"""Tests inside a Rust source file: whether a fix changes them, and the file without them.

`podgym.verifiers.protection.inline` tells them from the rest; grading restores them by the same rules.
"""

from __future__ import annotations

import re

from podgym.verifiers.protection import readable, with_tests_of

__all__ = ["inline_tests_differ", "without_tests"]


def inline_tests_differ(before: bytes, after: bytes) -> bool:
    """Whether the test modules of two versions of a source differ in more than blank space around them; False where either cannot
    be read, because then no grading can tell them from the rest."""
    if not readable(before) or not readable(after):
        return False
    return _tests(before) != _tests(after)


def without_tests(data: bytes) -> bytes:
    """The source without its test modules; unchanged where it cannot be read."""
    return with_tests_of(data, b"") if readable(data) else data


def _tests(data: bytes) -> list[bytes]:
    """The test modules, in order."""
    return re.split(rb"\s*\n\s*", with_tests_of(b"", data).strip())
