"""Which paths of a Python project are tests.

A path is a test where its name says so (`test_*.py`, `*_test.py`, `conftest.py`), or where it lies in a directory of
tests, whatever it is (data, snapshots, helpers). A directory named `test` or `testing` may also be part of a library,
so inside a package it counts only if it holds files that are tests by name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

__all__ = ["PythonTestPaths"]

_TEST_NAME = re.compile(r"(test_.*|.*_tests?|tests?|conftest)\.py")
_RUNNABLE_NAME = re.compile(r"(test_.*|.*_tests?|tests?)\.py")
_SURE_DIRECTORIES = frozenset({"tests", "unittests", "unit_tests", "functional_tests", "integration_tests"})
_LIKELY_DIRECTORIES = frozenset({"test", "testing"})


class PythonTestPaths:
    """Tells tests from source among the paths of one project."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._packages: set[str] = set()
        self._holding_tests: set[str] = set()
        for path in paths:
            directory, _, name = path.rpartition("/")
            if name == "__init__.py":
                self._packages.add(directory)
            elif _TEST_NAME.fullmatch(name):
                self._holding_tests.update(_ancestors(directory))

    def is_test(self, path: str) -> bool:
        """True for a test and for whatever lies beside tests."""
        directory, _, name = path.rpartition("/")
        if _TEST_NAME.fullmatch(name):
            return True
        return any(self._is_test_directory(ancestor) for ancestor in _ancestors(directory))

    def is_runnable(self, path: str) -> bool:
        """True for a test file that a runner can be pointed at (`conftest.py` and helpers are not)."""
        return _RUNNABLE_NAME.fullmatch(PurePosixPath(path).name) is not None and self.is_test(path)

    def _is_test_directory(self, directory: str) -> bool:
        parent, _, name = directory.rpartition("/")
        if name in _SURE_DIRECTORIES:
            return True
        if name not in _LIKELY_DIRECTORIES:
            return False
        return parent not in self._packages or directory in self._holding_tests


def _ancestors(directory: str) -> list[str]:
    """The directory and those above it, without the root."""
    parts = directory.split("/") if directory else []
    return ["/".join(parts[: count + 1]) for count in range(len(parts))]
