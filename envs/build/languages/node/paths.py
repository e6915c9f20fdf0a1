"""Tests of a JavaScript or TypeScript repository by path, and those among them that a runner reports on."""

from __future__ import annotations

import re
from typing import Final

from podgym.envs.build.tree import Tree
from podgym.verifiers.paths import PathGlobs
from podgym.verifiers.protection.languages import TESTS

__all__ = ["NodeTestPaths", "snapshot_of"]

_GENERAL: Final = (
    "tests/", "test/", "__snapshots__/", "*.snap", "__fixtures__/", "__testfixtures__/", "__mocks__/", "testdata/", "test-data/",
    "test_data/",
    "test-utils/", "test_utils/", "testutils/", "testutil/", "test-helpers/", "test-fixtures/", "test-support/", "/fixtures/", "*.snapshot",
    "mocha_test/", "mocha-test/", "unit_test/", "unit_tests/", "unit-test/", "unit-tests/", "node-tests/", "node_tests/", "jest-tests/",
    "integration-test/", "integration-tests/", "integration_test/", "integration_tests/",
    "test-d/", "dtslint/", "*.tst.ts", "*.tst.tsx", "typetest/", "type-tests/", "typetests/", "__typetests__/", "__type-tests__/",
)  # fmt: skip
_SCRIPT: Final = re.compile(r"\.(?:[cm]?[jt]sx?|coffee|ls|vue|svelte)$", re.IGNORECASE)
_NAMED: Final = re.compile(
    r"(?:^|/)(?:[^/]*[._-](?:test|spec|tests|e2e|unit|integration|cy)|(?:test|tests|spec)[._-][^/]*|tests?|specs?)\.[cm]?[jt]sx?$",
    re.IGNORECASE,
)
_HELPER: Final = re.compile(
    r"(?:^|/)(?:fixtures?|__fixtures__|__testfixtures__|__mocks__|mocks?|helpers?|_helpers?|support|utils?|_utils|data|resources|assets|samples|"
    r"snapshots|__snapshots__|stubs?|node_modules|common|shared|setup|lib|vendor|test-utils|testutils|templates?|cases?)(?:/|$)",
    re.IGNORECASE,
)
_SETUP: Final = re.compile(
    r"(?:^|/)(?:[^/]*[._-])?(?:setup|teardown|helpers?|utils?|config|global|bootstrap|mocks?|fixtures?|common)[^/]*$", re.IGNORECASE
)
_TAP_SNAPSHOT: Final = re.compile(r"^((?:[^/]+/)*)tap-snapshots/(.+)\.test\.cjs$")
_TYPES: Final = re.compile(r"\.(?:test-d|tst)\.[cm]?tsx?$|(?:^|/)(?:test-d|dtslint|type-?tests?|__type-?tests__)/.*(?<!\.d)\.[cm]?tsx?$")
_SETTINGS: Final = re.compile(r"(?i)(?:jest|vitest)\.setup|setup-?tests?\.|.*\.config\.")
_DATA_FOLDER: Final = re.compile(r"(?:^|/)(?:__snapshots__|__mocks__|__fixtures__|__testfixtures__|fixtures?|node_modules)(?:/|$)")
_NO_DATA: Final = frozenset({"package.json", "package-lock.json", "README", "LICENSE", "Makefile", "Dockerfile"})
_CASES: Final = re.compile(r"(?:^|[^\w.])(?:describe|it|test|suite|specify|context)(?:\.\w+){0,3}\(\s*['\"`]", re.MULTILINE)
_CALLS: Final = re.compile(
    r"(?:^|[^\w.])(?:describe|it|test|suite|specify|context|QUnit\.module|QUnit\.test|tape|tap\.test|t\.test|experiment|lab\.test|Deno\.test)"
    r"(?:\.\w+){0,3}\s*[(`<]|(?:require\(\s*|from\s+)['\"](?:node:)?(?:assert|test|tape|tap|ava|uvu)(?:/strict)?['\"]|"
    r"\bnew\s+[\w.]{0,40}RuleTester\s*\(|\b[Rr]uleTester\.run\(|^testRule\(",
    re.MULTILINE,
)


class NodeTestPaths:
    """Of one tree."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._globs = PathGlobs((*_GENERAL, *TESTS["javascript"]))

    def is_test(self, path: str) -> bool:
        """See `PathKinds`."""
        return path in self._globs

    def is_runnable(self, path: str) -> bool:
        """See `PathKinds`. Snapshots and other data decide outcomes too; helpers and settings do not by themselves."""
        if not self.is_test(path) or path.endswith((".d.ts", ".d.mts", ".d.cts")):
            return False
        folder, _, name = path.rpartition("/")
        if not _SCRIPT.search(path):
            return name not in _NO_DATA and not name.endswith((".md", ".lock")) and not name.startswith(("tsconfig", ".eslintrc", "."))
        if _DATA_FOLDER.search(folder):
            return False
        if _TYPES.search(path):
            return True
        if _NAMED.search(name):
            return not _SETTINGS.match(name)
        text = self._tree.read(path)
        if text is None:
            return not _HELPER.search(folder) and not _SETUP.search(name)
        if len(_CASES.findall(text[:500_000])) > 1:
            return True
        return _CALLS.search(text) is not None and not (_SETUP.search(name) and _HELPER.search(folder))

    def is_mixed(self, path: str) -> bool:
        """Never."""
        return False


def snapshot_of(path: str) -> str:
    """The test file that a snapshot belongs to; empty for another file."""
    folder, _, name = path.rpartition("/")
    if (match := _TAP_SNAPSHOT.search(path)) is not None:
        return f"{match[1]}{match[2]}"
    stem = name.removesuffix(".snap").removesuffix(".snapshot")
    if stem == name:
        return ""
    above, _, last = folder.rpartition("/")
    above = above if last in ("__snapshots__", "snapshots") else folder
    return f"{above}/{stem}" if above else stem
