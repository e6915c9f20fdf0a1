"""Tests inside a source file, which a fix's tests and its code share: Rust's test modules, and examples in Python's docstrings.

Rust's are always tests. Examples are where the project's runner takes them for tests, which the language's module of the builder tells.
"""

from __future__ import annotations

from podgym.verifiers.protection.docstrings import with_examples_of
from podgym.verifiers.protection.testmodules import can_be_told, with_modules_of

__all__ = ["readable", "with_tests_of"]


def readable(path: str, data: bytes) -> bool:
    """Whether the tests of a source can be told from the rest."""
    return not path.endswith(".rs") or can_be_told(data)


def with_tests_of(path: str, data: bytes, reference: bytes) -> bytes:
    """`data` with the tests of `reference`; as it is in a language whose sources hold none. Raises `ValueError` for one that is not
    `readable`."""
    if path.endswith(".rs"):
        return with_modules_of(data, reference)
    return with_examples_of(data, reference) if path.endswith(".py") else data
