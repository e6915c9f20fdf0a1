"""JavaScript: each package manager by its lock file, each kind of runner, names that occur twice and snapshots that nobody wrote."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

CALC = "exports.add = (a, b) => a - b;\n"
FIXED = CALC.replace("a - b", "a + b")
BY_NODE, BY_BUN = "const test = require('node:test'),", "const { test } = require('bun:test'),"
OLD = """\
const test = require('node:test'), assert = require('node:assert');
test('locked', () => assert.equal(require('ms/package.json').version, '2.0.0'));
"""
NEW = """\
const test = require('node:test'), assert = require('node:assert');
test('adds', () => assert.equal(require('../calc.js').add(1, 2), 3));
"""
NPM = """{
  "name": "calc", "lockfileVersion": 3, "requires": true,
  "packages": {
    "": {"name": "calc", "dependencies": {"ms": "^2.0.0"}},
    "node_modules/ms": {"version": "2.0.0", "resolved": "https://registry.npmjs.org/ms/-/ms-2.0.0.tgz", "integrity": "HASH"}
  }
}
"""
YARN = """\
# yarn lockfile v1


ms@^2.0.0:
  version "2.0.0"
  resolved "https://registry.yarnpkg.com/ms/-/ms-2.0.0.tgz"
  integrity HASH
"""
BERRY = """\
__metadata:
  version: 8
  cacheKey: 10c0

"calc@workspace:.":
  version: 0.0.0-use.local
  resolution: "calc@workspace:."
  dependencies:
    ms: "npm:^2.0.0"
  languageName: unknown
  linkType: soft

"ms@npm:^2.0.0":
  version: 2.0.0
  resolution: "ms@npm:2.0.0"
  languageName: node
  linkType: hard
"""
PNPM = """\
lockfileVersion: '9.0'

settings:
  autoInstallPeers: true
  excludeLinksFromLockfile: false

importers:

  .:
    dependencies:
      ms:
        specifier: ^2.0.0
        version: 2.0.0

packages:

  ms@2.0.0:
    resolution: {integrity: HASH}

snapshots:

  ms@2.0.0: {}
"""
BUN = """{
  "lockfileVersion": 1,
  "workspaces": {"": {"name": "calc", "dependencies": {"ms": "^2.0.0"}}},
  "packages": {"ms": ["ms@2.0.0", "", {}, "HASH"]}
}
"""
LOCKS = {
    "npm": ("npm", "package-lock.json", NPM),
    "yarn": ("yarn", "yarn.lock", YARN),
    "berry": ("yarn", "yarn.lock", BERRY),
    "pnpm": ("pnpm", "pnpm-lock.yaml", PNPM),
    "bun": ("bun", "bun.lock", BUN),
}


@pytest.mark.parametrize("kind", LOCKS)
async def test_a_lock_file_is_obeyed(build: Any, machine: Any, turned: Any, kind: str) -> None:
    machine.needs("node", "npm")
    integrity = machine.reaches("npm's registry")
    manager, name, lock = LOCKS[kind]
    bun = manager == "bun"
    package = {"name": "calc", "scripts": {"test": "bun test" if bun else "node --test test/"}, "dependencies": {"ms": "^2.0.0"}}
    old, new = (text.replace(BY_NODE, BY_BUN) if bun else text for text in (OLD, NEW))
    files = {".gitignore": "node_modules\n", "package.json": json.dumps(package), name: lock.replace("HASH", integrity), "calc.js": CALC}
    report = await build({**files, "test/old.test.js": old}, {"calc.js": FIXED, "test/new.test.js": new})
    turned(report, {"test/new.test.js::adds"}, {"test/old.test.js::locked"})
    assert report.build_system == manager
    # The locks are written by hand: Yarn 4 misses sums, and adds them where it may.
    assert any(note.startswith(f"{'berry' if kind == 'berry' else manager}, by {name}") for note in report.notes), report.notes


MOCHA = """\
const assert = require('assert');
describe('calc', () => { it('%s', () => assert.equal(require('../../calc.js').add(%s), %s)); });
"""
QUNIT = "QUnit.module('calc', () => { QUnit.test('%s', (assert) => assert.equal(require('../../calc.js').add(%s), %s)); });\n"


async def test_runners_one_after_another_each_with_a_report_of_its_own(build: Any, machine: Any, turned: Any) -> None:
    machine.needs("node", "npm")
    machine.reaches("npm's registry")
    scripts = {
        "test": "npm run lint && npm run test:mocha && npm run test:qunit",
        "lint": "eslint .",
        "test:mocha": "mocha test/mocha",
        "test:qunit": "qunit test/qunit",
    }
    package = {"name": "calc", "scripts": scripts, "devDependencies": {"mocha": "^10.2.0", "qunit": "^2.20.0"}}
    base = {
        ".gitignore": "node_modules\n",
        "package.json": json.dumps(package),
        "calc.js": CALC,
        "test/mocha/old.js": MOCHA % ("nothing", "0, 0", 0),
        "test/qunit/old.js": QUNIT % ("nothing", "0, 0", 0),
    }
    fix = {
        "calc.js": FIXED,
        "test/mocha/new.js": MOCHA % ("adds", "1, 2", 3),
        "test/qunit/new.js": QUNIT % ("adds", "1, 2", 3),
    }
    report = await build(base, fix)
    # TAP names no files: its names stand behind the place of their run among the others.
    turned(
        report,
        {"test/mocha/new.js::calc adds", "1::calc > adds"},
        {"test/mocha/old.js::calc nothing", "1::calc > nothing"},
    )


async def test_a_program_that_reports_by_its_exit_status_alone(build: Any, machine: Any, turned: Any) -> None:
    machine.needs("node", "npm")
    test = "const assert = require('assert');\nassert.equal(require('../calc.js').add(%s), %d);\nconsole.log('ok 1 - all is well');\n"
    package = {"name": "calc", "scripts": {"test": "node test/nothing.js && node test/all.js"}}
    base = {"package.json": json.dumps(package), "calc.js": CALC, "test/nothing.js": test % ("0, 0", 0), "test/all.js": test % ("0, 0", 0)}
    report = await build(base, {"calc.js": FIXED, "test/all.js": test % ("1, 2", 3)})
    turned(report, {"test/all.js [exit status]"}, {"test/nothing.js [exit status]"})


JEST = """\
const { add } = require('../calc.js');
test('stored', () => expect({ sum: add(1, 2) }).toMatchSnapshot());
test('of nobody', () => expect(add(0, 0)).toMatchSnapshot());
test('twice', () => expect(add(0, 0)).toBe(0));
test('twice', () => expect(add(1, 2)).toBe(3));
test('nothing', () => expect(add(0, 0)).toBe(0));
"""
SNAPSHOT = '// Jest Snapshot v1, https://goo.gl/fbAQLP\n\nexports[`stored 1`] = `\n{\n  "sum": 3,\n}\n`;\n'


async def test_names_that_occur_twice_and_a_snapshot_that_is_not_there(build: Any, machine: Any, turned: Any) -> None:
    machine.needs("node", "npm")
    machine.reaches("npm's registry")
    package = {"name": "calc", "scripts": {"test": "jest --watch"}, "devDependencies": {"jest": "^29.7.0"}}
    base = {".gitignore": "node_modules\n", "package.json": json.dumps(package), "calc.js": CALC}
    fix = {"calc.js": FIXED, "test/calc.test.js": JEST, "test/__snapshots__/calc.test.js.snap": SNAPSHOT}
    report = await build(base, fix)
    # Of a name that occurs twice the worse result counts; a snapshot that is not there is written by no run, and so never passes.
    turned(report, {f"test/calc.test.js::{name}" for name in ("stored", "twice")}, {"test/calc.test.js::nothing"})


async def test_a_committed_build_is_made_anew_before_tests(build: Any, machine: Any, turned: Any) -> None:
    machine.needs("node", "npm")
    package = {"name": "calc", "main": "dist/calc.js", "scripts": {"build": "rm -rf dist && cp -r src dist", "test": "node --test test/"}}
    test = "const test = require('node:test'), assert = require('node:assert');\n"
    test += "test('%s', () => assert.equal(require('..').add(%s), %d));\n"
    base = {
        "package.json": json.dumps(package),
        "src/calc.js": CALC,
        "dist/calc.js": CALC,
        "test/old.test.js": test % ("nothing", "0, 0", 0),
    }
    report = await build(base, {"src/calc.js": FIXED, "test/new.test.js": test % ("adds", "1, 2", 3)})
    turned(report, {"test/new.test.js::adds"}, {"test/old.test.js::nothing"})
    assert not any("tracked file" in note for note in report.notes), report.notes
