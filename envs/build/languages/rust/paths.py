"""Which files of a Rust repository are tests, and which of libtest's ids come from which of them.

Cargo compiles every file `tests/NAME.rs` and `tests/NAME/main.rs` to a test program of its own, whose other modules lie beside
its root. Inside `src`, modules named for tests are tests; those inside a source file are not told by a path, see `inline`.
"""

from __future__ import annotations

import re
from typing import Final

from podgym.envs.build.languages.rust.manifest import Cargo
from podgym.envs.build.languages.rust.modules import has_tests, modules_of
from podgym.envs.build.tree import Tree

__all__ = ["RustPaths", "owns"]

_DIRECTORIES: Final = frozenset(
    {
        "tests", "test", "benches", "snapshots", "__snapshots__", "testdata", "test-data", "test_data", "testutil", "testutils",
        "test-utils", "test_utils", "testhelper", "testhelpers", "test-helpers", "test_helpers", "testlib", "testsupport",
    }
)  # fmt: skip
_NAME: Final = re.compile(r"tests?\.rs|test_.*\.rs|.*_tests?\.rs|.*\.(?:snap|golden)", re.IGNORECASE)
_IDENTITY: Final = re.compile(r"(?P<binary>[^/:]+)/(?P<source>[^:]+?)(?:::(?P<name>.*))?", re.DOTALL)


class RustPaths:
    """See the module; `PathKinds` of the contract."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        packages = Cargo(tree).packages.values()
        self._roots = frozenset(target.path for package in packages for target in package.kind("test"))
        self._modules = frozenset().union(*(modules_of(tree, root) for root in self._roots))

    def is_test(self, path: str) -> bool:
        """True for what lies in a directory of tests or is named for them, whatever it is."""
        *directories, name = path.split("/")
        return path in self._modules or _NAME.fullmatch(name) is not None or any(part.lower() in _DIRECTORIES for part in directories)

    def is_runnable(self, path: str) -> bool:
        """True for the roots of test programs, their modules, and modules of tests inside `src`."""
        if not path.endswith(".rs") or not self.is_test(path):
            return False
        if path in self._roots:
            return True
        if path in self._modules:
            return has_tests(self._tree.read(path) or "")
        *directories, name = path.split("/")
        if "benches" in directories:
            return False
        if "src" not in directories:
            return True  # what test programs compile or read, whose outcome is theirs
        return _NAME.fullmatch(name) is not None or bool({"tests", "test"} & set(directories))

    def is_mixed(self, path: str) -> bool:
        """True for every source."""
        return path.endswith(".rs") and not self.is_test(path)


def owns(path: str, identity: str) -> bool:
    """Whether an id of libtest's report may come from a file; see `podgym.verifiers.reports.libtest` for how ids are formed."""
    match = _IDENTITY.fullmatch(identity)
    if match is None or not path.endswith(".rs"):
        return True
    source, name = match["source"], match["name"]
    if source.startswith("doc"):
        return name is None or name.partition(" - ")[0].endswith(path.rpartition("/src/")[2])
    if path == source or path.endswith(f"/{source}"):
        return True
    home, _, root = source.rpartition("/")
    if name is None:
        return home == "" or f"/{home}/" in f"/{path}"
    if home == "" or f"/{home}/" not in f"/{path}":
        return False
    # A module: its path below the program's root is the beginning of its tests' names.
    below = f"/{path}".rpartition(f"/{home}/")[2].removesuffix(".rs").split("/")
    if below[-1] == "mod":
        del below[-1]
    if root not in ("lib.rs", "main.rs", "mod.rs") and below[:1] == [root.removesuffix(".rs")]:
        del below[0]
    modules = name.split("::")
    return modules[: len(below)] == below or (bool(below) and below[-1] in modules[:-1])
