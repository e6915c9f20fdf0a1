"""The command of each test runner, run by the runner itself: its report is read, named by file, and agrees with the exit code."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest
from podgym_test_kit.node import plan

from podgym.envs.build.languages.node.suites import HOME
from podgym.verifiers import TestCommand
from podgym.verifiers.reports import ReportFile, parse_report

TOOLS = Path(str(files("podgym.envs.build.languages.node") / "tools"))
RUNNERS = "jest@29 vitest@3 mocha@11 ava@6 tap@21 tape@5 jasmine@5 @hapi/lab@26 @hapi/code@9 qunit@2 uvu@0.5 borp@0.20"
FETCH_S = 600.0


@pytest.fixture(scope="module")
def modules() -> Path:
    """A `node_modules` with all runners, fetched once a machine."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "podgym" / "tests" / "node-runners"
    done = cache / "done"
    if not done.exists():
        if shutil.which("npm") is None:
            pytest.skip("npm is not installed")
        cache.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--no-save", "--no-fund", "--no-audit", "--ignore-scripts", "--prefix", str(cache), *RUNNERS.split()]
        try:
            fetched = subprocess.run(command, capture_output=True, text=True, timeout=FETCH_S, check=False, stdin=subprocess.DEVNULL)
        except subprocess.TimeoutExpired:
            pytest.skip(f"the runners could not be fetched within {FETCH_S:g} s")
        if fetched.returncode:
            pytest.skip(f"the runners could not be fetched: {fetched.stderr.strip()[-300:]}")
        done.touch()
    return cache / "node_modules"


BDD = """
describe('outer', function () {{ it('ok', function () {{}}); it('also', function () {{ {check} }}); {skip} }});
"""
CALLS = "if ({good} !== 1) throw new Error('no');"
KINDS = {
    "jest": ("jest --coverage", "test/a.test.js", BDD, "it.skip('later', function () {});"),
    "vitest": ("vitest", "test/a.test.js", "import {{ describe, it }} from 'vitest';" + BDD, "it.skip('later', function () {});"),
    "mocha": ("nyc mocha 'test/*.js'", "test/a.test.js", BDD, "it.skip('later', function () {});"),
    "node:test": (
        "node --test 'test/**/*.test.js'",
        "test/a.test.js",
        "const {{ describe, it }} = require('node:test');" + BDD,
        "it.skip('later', function () {});",
    ),
    "borp": ("borp --coverage", "test/a.test.js", "const {{ describe, it }} = require('node:test');" + BDD, "it.skip('later', () => {});"),
    "ava": (
        "xo && ava",
        "test/a.test.js",
        "const test = require('ava'); test('ok', t => t.pass()); test('also', t => {{ {check} t.pass(); }}); {skip}",
        "test.skip('later', t => t.pass());",
    ),
    "tap": (
        "tap --100 test/*.js",
        "test/a.test.js",
        "const t = require('tap'); t.test('ok', async t => t.ok(1)); t.test('also', async t => {{ {check} t.ok(1); }}); {skip}",
        "t.test('later', {skip: true}, async t => t.ok(1));",
    ),
    "tape": (
        "tape test/*.js",
        "test/a.test.js",
        "const test = require('tape'); test('ok', t => {{ t.ok(1); t.end(); }});"
        "test('also', t => {{ try {{ {check} }} catch (e) {{ t.fail(e); }} t.end(); }}); {skip}",
        "test('later', {skip: true}, t => t.end());",
    ),
    "jasmine": ("jasmine 'test/*.js'", "test/a.test.js", BDD, "xit('later', function () {});"),
    "lab": (
        "lab -t 100 -L",
        "test/a.test.js",
        "const lab = exports.lab = require('@hapi/lab').script(); const {{ describe, it }} = lab;" + BDD,
        "it('later', { skip: true }, function () {});",
    ),
    "qunit": (
        "qunit",
        "test/a.test.js",
        "QUnit.module('outer'); QUnit.test('ok', a => a.ok(1)); QUnit.test('also', a => {{ {check} a.ok(1); }}); {skip}",
        "QUnit.skip('later');",
    ),
    "uvu": (
        "uvu test",
        "test/a.test.js",
        "const {{ test }} = require('uvu'); test('ok', () => {{}}); test('also', () => {{ {check} }}); {skip} test.run();",
        "test.skip('later');",
    ),
}
"""Script, test file, its text, and how one test of it is skipped."""


class Ran:
    """One command of a plan, in a directory in the place of the work tree."""

    def __init__(self, command: TestCommand, path: Path) -> None:
        top, home, report = path / "top", path / "home", path / "report"
        if not home.exists():
            shutil.copytree(TOOLS, home)
        shutil.rmtree(report, ignore_errors=True)
        report.unlink(missing_ok=True)
        line = command.script.replace("{report}", str(report)).replace("{targets}", shlex.join(command.targets)).replace(HOME, str(home))
        env = {"PATH": os.environ["PATH"], "HOME": str(path), "NO_COLOR": "1", **command.env}
        done = subprocess.run(["sh", "-c", line], cwd=top, env=env, capture_output=True, text=True, timeout=300, check=False)
        self.said = done.stdout + done.stderr
        self.exit_code = done.returncode
        assert command.report is not None
        if report.is_dir():
            found = [ReportFile(file.read_bytes(), str(file.relative_to(report))) for file in report.rglob("*") if file.is_file()]
        else:
            found = [ReportFile(report.read_bytes() if report.exists() else done.stdout.encode())]
        parsed = parse_report(command.report.format, found, root=str(top))
        assert parsed.disagreement == "", (parsed, self.said)
        self.outcomes = dict(parsed.outcomes)
        self.failed = any(outcome in ("failed", "error") for outcome in self.outcomes.values())


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", KINDS)
def test_the_report_of_each_runner_is_read(modules: Path, tmp_path: Path, name: str) -> None:
    script, path, text, skip = KINDS[name]
    top = tmp_path / "top"
    (top / "test").mkdir(parents=True)
    (top / "node_modules").symlink_to(modules)
    (top / "package.json").write_text('{"name": "p", "version": "1.0.0"}')
    package = {"name": "p", "version": "1.0.0", "scripts": {"test": script}, "engines": {"node": "20"}}
    seen: list[dict[str, str]] = []
    for good in (1, 2):
        body = text.format(check=CALLS.format(good=good), skip=skip)
        made = plan({"package.json": package, path: body}, path)
        (top / path).write_text(body)
        for command in (*made.tests, *made.changed):
            ran = Ran(command, tmp_path)
            assert ran.failed is (good == 2), (ran.outcomes, ran.said)
            assert (ran.exit_code != 0) is ran.failed, ran.said
            seen.append(ran.outcomes)
    for outcomes in seen[: len(seen) // 2]:
        turned = [id_ for id_, outcome in outcomes.items() if (outcome == "passed" and "also" in id_) or name == "uvu"]
        assert turned
        assert name == "uvu" or any(outcome == "skipped" for outcome in outcomes.values()), outcomes


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_of_several_runners_each_that_reports_counts(modules: Path, tmp_path: Path) -> None:
    top = tmp_path / "top"
    (top / "test").mkdir(parents=True)
    (top / "node_modules").symlink_to(modules)
    files = {
        "package.json": '{"scripts": {"test": "mocha test/a.js && ava test/b.js && node test/c.js"}, "engines": {"node": "20"}}',
        "test/a.js": "it('one', () => {});",
        "test/b.js": "require('ava')('two', t => t.pass());",
        "test/c.js": "require('assert');",
    }
    made = plan(files, "test/a.js", "test/b.js")
    for name, text in files.items():
        (top / name).write_text(text)
    ran = Ran(made.tests[0], tmp_path)
    assert (ran.outcomes, ran.exit_code) == ({"test/a.js::one": "passed", "two": "passed"}, 0), ran.said
    (top / "test/b.js").write_text("process.exit(1);")
    ran = Ran(made.tests[0], tmp_path)
    assert "test/a.js::one" in ran.outcomes
    (top / "test/b.js").write_text(files["test/b.js"])
    (top / "test/a.js").write_text("it('one', () => { throw new Error('no'); });")
    ran = Ran(made.changed[0], tmp_path)
    assert ran.outcomes["test/a.js::one"] == "failed" and ran.exit_code == 1
