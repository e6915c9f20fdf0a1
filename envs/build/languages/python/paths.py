"""Which paths of a Python project are tests.

A path is a test where its name says so (`test_*.py`, `testX.py`, `*_test.py`, `conftest.py`, what pytest is told to look for), or where
it lies in a directory of tests, whatever it is (data, snapshots, helpers). A directory named `test` or `testing` may also be part of a
library, so inside a package it counts only if it holds files that are tests by name.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable
from pathlib import PurePosixPath

__all__ = ["PythonTestPaths"]

_RUNNABLE_NAME = re.compile(r"(test_.*|test[A-Z0-9].*|.*_tests?|tests?)\.py")
_LIBRARY_NAME = re.compile(r"test(ing|_?utils?|cases?|suites?|helpers?|tools?|data|base|lib)\.py")
"""A name that a wide pattern (`test*.py`) takes in, and that helpers have; one in a directory of tests belongs to them all the same."""
_RUNNABLE_AMONG_TESTS = re.compile(r"[A-Z]\w*Tests?\.py")
"""A name that is a test's only in a directory of tests."""
_SURE_DIRECTORIES = frozenset(
    ("tests", "unittests", "unit_tests", "functional_tests", "integration_tests", "test-data", "test_data", "testdata")
)
"""In small letters."""
_APART = _SURE_DIRECTORIES | {"test", "testing", "t"}
"""At the top, tests are kept apart from the packages there."""
_HELPERS = frozenset({"testing", "testlib", "testtools", "testutils", "test_tools", "test_utils"})
_LIKELY_DIRECTORIES = frozenset({"test", "testing"})


class PythonTestPaths:
    """Tells tests from source among the paths of one project; `patterns` are those that pytest is told to look for, `examples` tells
    whether it is told to run those in docstrings."""

    def __init__(self, paths: Iterable[str], patterns: Iterable[str] = (), *, examples: bool = False) -> None:
        self._examples = examples
        # A pattern of every file, or of every package, in a project whose tests have a directory of their own, tells nothing.
        self._patterns = tuple(pattern for pattern in patterns if pattern.rpartition("/")[2] not in ("*", "*.py", "__init__.py"))
        self._packages: set[str] = set()
        self._holding_tests: set[str] = set()
        self._apart = False
        for path in paths:
            directory, _, name = path.rpartition("/")
            self._apart = self._apart or (directory.partition("/")[0] in _APART and _RUNNABLE_NAME.fullmatch(name) is not None)
            if name == "__init__.py":
                self._packages.add(directory)
            elif self._is_named(path) or name == "conftest.py":
                self._holding_tests.update(_ancestors(directory))

    def is_test(self, path: str) -> bool:
        """True for a test and for whatever lies beside tests."""
        directory, _, name = path.rpartition("/")
        if any(self._is_test_directory(ancestor) for ancestor in _ancestors(directory)):
            return True
        if self._apart and directory in self._packages and self._is_for_others(directory, name):
            return False
        return self._is_named(path) or name == "conftest.py"

    def is_runnable(self, path: str) -> bool:
        """True for a test file that a runner can be pointed at (`conftest.py` and helpers are not)."""
        return self.is_test(path) and (self._is_named(path) or _RUNNABLE_AMONG_TESTS.fullmatch(PurePosixPath(path).name) is not None)

    def is_mixed(self, path: str) -> bool:
        """True for a module whose docstrings may hold examples that are run."""
        return self._examples and path.endswith(".py") and not self.is_test(path)

    def _is_named(self, path: str) -> bool:
        name = PurePosixPath(path).name
        told = _LIBRARY_NAME.fullmatch(name) is None and any(
            fnmatch.fnmatchcase(path if "/" in pattern else name, pattern) for pattern in self._patterns
        )
        return _RUNNABLE_NAME.fullmatch(name) is not None or (told and name.endswith(".py"))

    def _is_for_others(self, directory: str, name: str) -> bool:
        """Whether a module is what a library has for the tests of others; its own ones are kept apart."""
        helpers = any(one.rpartition("/")[2] in _HELPERS for one in _ancestors(directory))
        return name == "test.py" or (helpers and not name.startswith("test"))

    def _is_test_directory(self, directory: str) -> bool:
        parent, _, name = directory.rpartition("/")
        if name.lower() in _SURE_DIRECTORIES:
            return True
        if name not in _LIKELY_DIRECTORIES:
            return False
        return parent not in self._packages or directory in self._holding_tests


def _ancestors(directory: str) -> list[str]:
    """The directory and those above it, without the root."""
    parts = directory.split("/") if directory else []
    return ["/".join(parts[: count + 1]) for count in range(len(parts))]
