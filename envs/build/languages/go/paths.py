"""Which files of a Go repository are tests, and which ids come from which of them.

Tests are files `*_test.go` beside the code, whatever is in testdata, and what is expected by its name (`*.golden`). An id is the
path of a package and the test's name, and does not say in which of the package's files the test is.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["GoPaths", "owns"]

_DIRECTORIES: Final = frozenset(
    {
        "testdata", "tests", "test", "test-data", "test_data", "testutil", "testutils", "test-utils", "test_utils", "testhelper",
        "testhelpers", "test-helpers", "test_helpers", "testlib", "testsupport", "__snapshots__",
    }
)  # fmt: skip


class GoPaths:
    """See the module; `PathKinds` of the contract."""

    def is_test(self, path: str) -> bool:
        """True for test files, and whatever is in a directory named for tests."""
        *directories, name = path.split("/")
        return name.endswith(("_test.go", ".snap", ".golden")) or any(part.lower() in _DIRECTORIES for part in directories)

    def is_runnable(self, path: str) -> bool:
        """True for test files where the go command looks for packages."""
        *directories, name = path.split("/")
        if not name.endswith("_test.go") or name.startswith(("_", ".")):
            return False
        return not any(part in ("testdata", "vendor") or part.startswith(("_", ".")) for part in directories)

    def is_mixed(self, path: str) -> bool:
        """Never."""
        return False


def owns(path: str, identity: str) -> bool:
    """Whether an id may be of a test in this file: its package's path ends as the file's directory does."""
    package = identity.partition("::")[0].split("/")
    directory = path.split("/")[:-1]
    if not directory:
        return True
    if re.fullmatch(r"v\d+", package[-1]) and directory[-1] != package[-1]:
        package = package[:-1]
    return package[-1:] == directory[-1:]
