"""TypeScript: a workspace whose tests import what was built before the fix, sources that are tested as they are, a type error."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

CALC = "export function add(a: number, b: number): number {\n  return a - b;\n}\n"
FIXED = CALC.replace("a - b", "a + b") + "\nexport const zero = (): number => 0;\n"


def settings(**more: Any) -> str:
    own = {"target": "es2020", "module": "commonjs", "outDir": "dist", "declaration": True, "strict": True}
    return json.dumps({"compilerOptions": {**own, **more}})


async def test_what_was_built_before_the_fix_is_built_again(build: Any, machine: Any, turned: Any) -> None:
    machine.needs("node", "npm")
    machine.reaches("npm's registry")
    test = (
        "const test = require('node:test'), assert = require('node:assert'), calc = require('calc');\n"
        "test('%s', () => assert.equal(calc.add(%s), %d));\n"
    )
    calc = {"name": "calc", "version": "1.0.0", "main": "dist/index.js", "scripts": {"build": "tsc -p ."}}
    base = {
        ".gitignore": "node_modules\ndist\n",
        "package.json": json.dumps({"private": True, "workspaces": ["packages/*"], "devDependencies": {"typescript": "^5.2.0"}}),
        "packages/calc/package.json": json.dumps(calc),
        "packages/calc/tsconfig.json": settings(rootDir="src"),
        "packages/calc/src/index.ts": CALC,
        "packages/use/package.json": json.dumps(
            {"name": "use", "version": "1.0.0", "scripts": {"test": "node --test test/"}, "dependencies": {"calc": "^1.0.0"}}
        ),
        "packages/use/test/nothing.test.js": test % ("nothing", "0, 0", 0),
    }
    fix = {"packages/calc/src/index.ts": FIXED, "packages/use/test/adds.test.js": test % ("adds", "1, 2", 3)}
    report = await build(base, fix)
    turned(report, {"packages/use/test/adds.test.js::adds"}, {"packages/use/test/nothing.test.js::nothing"})


async def test_vitest_in_a_workspace_of_pnpm(build: Any, machine: Any, turned: Any) -> None:
    machine.needs("node", "npm")
    machine.reaches("npm's registry")
    test = "import { expect, test } from 'vitest';\nimport { add } from '../src/index';\ntest('%s', () => expect(add(%s)).toBe(%d));\n"
    base = {
        ".gitignore": "node_modules\n",
        "package.json": json.dumps({"private": True, "packageManager": "pnpm@8.10.0"}),
        "pnpm-workspace.yaml": "packages:\n  - packages/*\n",
        "packages/calc/package.json": json.dumps(
            {"name": "calc", "scripts": {"test": "vitest"}, "devDependencies": {"typescript": "^5.2.0", "vitest": "^0.34.0"}}
        ),
        "packages/calc/src/index.ts": CALC,
        "packages/calc/test/nothing.test.ts": test % ("nothing", "0, 0", 0),
    }
    # The hidden test does not load before the fix: it imports what only that has.
    new = (test % ("adds", "1, 2", 3)).replace("{ add }", "{ add, zero }") + "test('zero', () => expect(zero()).toBe(0));\n"
    report = await build(base, {"packages/calc/src/index.ts": FIXED, "packages/calc/test/adds.test.ts": new})
    turned(
        report,
        {f"packages/calc/test/adds.test.ts::{name}" for name in ("adds", "zero")},
        {"packages/calc/test/nothing.test.ts::nothing"},
    )
    assert report.build_system == "pnpm"


async def test_tests_that_are_compiled_and_a_type_error_before_the_fix(build: Any, machine: Any, turned: Any) -> None:
    machine.needs("node", "npm")
    machine.reaches("npm's registry")
    test = (
        "import test from 'node:test';\nimport assert from 'node:assert';\nimport { add%s } from '../src/index';\n"
        "test('%s', () => assert.equal(add(%s), %d));\n"
    )
    package = {
        "name": "calc",
        "scripts": {"build": "tsc -p .", "test": "npm run build && node --test dist/test/"},
        "devDependencies": {"typescript": "^5.2.0", "@types/node": "^20.8.0"},
    }
    base = {
        ".gitignore": "node_modules\ndist\n",
        "package.json": json.dumps(package),
        "tsconfig.json": settings(noEmitOnError=True, esModuleInterop=True),
        "src/index.ts": CALC,
        "test/nothing.test.ts": test % ("", "nothing", "0, 0", 0),
    }
    fix = {"src/index.ts": FIXED, "test/adds.test.ts": test % (", zero", "adds", "1 + zero(), 2", 3)}
    report = await build(base, fix)
    # Nothing compiles with the hidden test alone, and yet the old test was there before and passed.
    turned(report, {"dist/test/adds.test.js::adds"}, {"dist/test/nothing.test.js::nothing"})
