from __future__ import annotations

import pytest
from podgym_test_kit.node import tree

from podgym.envs.build.languages.node import JAVASCRIPT, TYPESCRIPT
from podgym.envs.build.languages.node.paths import snapshot_of


@pytest.mark.parametrize(
    ("path", "text", "test", "runnable"),
    [
        ("src/a.test.ts", "", True, True),
        ("src/a.ts", "", False, False),
        ("src/__tests__/a.js", "it('x', f)", True, True),
        ("test/a.js", "const t = require('tape')", True, True),
        ("test/helpers/server.js", "module.exports = 1", True, False),
        ("test/setup.js", "global.x = 1", True, False),
        ("test/fixtures/a.test.js", "it('x', f)", True, False),
        ("test/data/in.html", "", True, True),
        ("src/__snapshots__/a.test.ts.snap", "", True, True),
        ("test/package.json", "", True, False),
        ("test/types.d.ts", "", True, False),
        ("test-d/index.test-d.ts", "expectType<string>(f())", True, True),
        ("test-d/rename.ts", "expectType<string>(f())", True, True),
        ("packages/a/dtslint/array.ts", "", True, True),
        ("src/array.tst.ts", "", True, True),
        ("jest.setup.js", "", True, False),
        ("src/testing.ts", "", False, False),
        ("mocha_test/concat.js", "describe('x', f)", True, True),
        ("packages/unit-test/a.ts", "it('x', f)", True, True),
        ("src/latest.js", "", False, False),
        ("spec/a.js", "describe('x', f)", True, True),
        ("tests/lib/rules/no-x.js", "const tester = new TSESLint.RuleTester();\ntester.run('no-x', rule, {})", True, True),
        ("lib/rules/no-x/__tests__/index.js", "testRule({ ruleName, config: true })", True, True),
        ("tests/lib/rules/utils/tester.js", "module.exports = class RuleTester {}", True, False),
    ],
)
def test_tests_by_path(path: str, text: str, test: bool, runnable: bool) -> None:
    paths = JAVASCRIPT.test_paths(tree({path: text}))
    assert (paths.is_test(path), paths.is_runnable(path)) == (test, runnable)


@pytest.mark.parametrize(
    ("path", "identity", "owned"),
    [
        ("packages/a/test/x.test.ts", "packages/a/test/x.test.ts::a > b", True),
        ("packages/a/test/x.test.ts", "test/x.test.ts::a > b", True),
        ("test/x.test.ts", "test/y.test.ts::a", False),
        ("test/x.test.ts", "dist/test/x.test.js::a", True),
        ("test/x.test.js", "other/x.test.js::a", False),
        ("test/x.js", "a title without a file", True),
        ("src/__snapshots__/a.test.ts.snap", "src/a.test.ts::x", True),
        ("src/__snapshots__/a.test.ts.snap", "src/b.test.ts::x", False),
        ("test/data/in.html", "test/b.test.ts::x", True),
    ],
)
def test_whose_an_id_is(path: str, identity: str, owned: bool) -> None:
    assert TYPESCRIPT.owns(path, identity) is owned


@pytest.mark.parametrize(
    ("path", "test"),
    [
        ("src/__snapshots__/a.test.ts.snap", "src/a.test.ts"),
        ("test/snapshots/a.js.snap", "test/a.js"),
        ("test/a.test.js.snapshot", "test/a.test.js"),
        ("tap-snapshots/test/bin/a.js.test.cjs", "test/bin/a.js"),
        ("packages/x/tap-snapshots/test/a.ts.test.cjs", "packages/x/test/a.ts"),
        ("a.snap", "a"),
        ("test/a.test.cjs", ""),
    ],
)
def test_whose_a_snapshot_is(path: str, test: str) -> None:
    assert snapshot_of(path) == test
