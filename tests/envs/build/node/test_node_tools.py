"""The tools that are laid into the image, run by a real Node and a real shell."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from importlib.resources import files
from pathlib import Path

import pytest

from podgym.verifiers.reports import ReportFile, ReportFormat, parse_report

TOOLS = Path(str(files("podgym.envs.build.languages.node") / "tools"))
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="node is not installed")


def node_major() -> int:
    if NODE is None:
        return 0
    done = subprocess.run([NODE, "--version"], capture_output=True, text=True, check=True)
    return int(done.stdout.strip().lstrip("v").split(".", maxsplit=1)[0])


def run(*command: str, at: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=at, env={"PATH": os.environ["PATH"], **env}, capture_output=True, text=True, check=False, timeout=60)


def outcomes(format: ReportFormat, report: Path, root: Path) -> dict[str, str]:
    parsed = parse_report(format, [ReportFile(report.read_bytes())], root=str(root))
    assert parsed.disagreement == ""
    return dict(parsed.outcomes)


@needs_node
@pytest.mark.skipif(node_major() < 20, reason="node is older than 20")
def test_results_of_node_are_named_by_file(tmp_path: Path) -> None:
    (tmp_path / "a.test.mjs").write_text(
        "import { describe, it, test } from 'node:test'; import assert from 'node:assert';\n"
        "describe('outer', () => { it('ok', () => {}); it('bad', () => assert.equal(1, 2)); it.skip('later', () => {}); });\n"
        "test('whole', async (t) => { await t.test('part', () => {}); });\n"
        "test.todo('some day');\n"
    )
    (tmp_path / "b.test.mjs").write_text("throw new Error('no');\n")
    (tmp_path / "c.test.mjs").write_text("// no test\n")
    report = tmp_path / "report"
    done = run("node", "--test", f"--test-reporter={TOOLS}/nodetest.mjs", f"--test-reporter-destination={report}", at=tmp_path)
    assert done.returncode != 0
    found = outcomes("jest-json", report, tmp_path)
    assert found == {
        "a.test.mjs::outer > ok": "passed",
        "a.test.mjs::outer > bad": "failed",
        "a.test.mjs::outer > later": "skipped",
        "a.test.mjs::whole > part": "passed",
        "a.test.mjs::whole": "passed",
        "a.test.mjs::some day": "skipped",
        "b.test.mjs::runs": "failed",
        "c.test.mjs::runs": "passed",
    }


@needs_node
def test_results_of_mocha_carry_their_file(tmp_path: Path) -> None:
    (tmp_path / "use.js").write_text(
        f"""
const Report = require({json.dumps(str(TOOLS / "mocha.js"))});
const runner = new (require('events').EventEmitter)();
new Report(runner, {{}});
const suite = {{ file: '/project/test/a.js' }};
const make = (title) => ({{ title, fullTitle: () => 'outer ' + title, parent: suite }});
for (const [event, title] of [['pass', 'ok'], ['fail', 'bad'], ['pending', 'later']]) {{
  runner.emit(event, make(title), new Error('no'));
  runner.emit('test end', make(title));
}}
runner.emit('test end', make('hook failed'));
runner.emit('end');
"""
    )
    report = tmp_path / "report"
    assert run("node", "use.js", at=tmp_path, PODGYM_REPORT=str(report)).returncode == 0
    assert outcomes("mocha-json", report, Path("/project")) == {
        "test/a.js::outer ok": "passed",
        "test/a.js::outer bad": "failed",
        "test/a.js::outer later": "skipped",
        "test/a.js::outer hook failed": "error",
    }


TAPE = """\
TAP version 13
# adds
ok 1 one
ok 2 two
# SKIP later
# fails
not ok 3 no
  ---
    at: x
  ...
# empty

1..3
# tests 3
# fail  1
"""


@needs_node
@pytest.mark.parametrize(
    ("kind", "text", "status", "expected"),
    [
        ("tape", TAPE, 1, {"adds": "passed", "later": "skipped", "fails": "failed", "empty": "passed"}),
        ("tape", "TAP version 13\n# adds\nok 1 one\n\n1..1\n# tests 1\n", 0, {"adds": "passed"}),
        ("tape", "# adds\nok 1 one\n# dies\n", 1, {"adds": "passed", "dies": "failed"}),
        ("tape", "# adds\nok 1 one\n1..1\n", 1, {"adds": "passed", "(run)": "failed"}),
        (
            "ava",
            "TAP version 13\nnot ok 1 - b.js exited with a non-zero exit code: 1\n"
            "ok 2 - a \u203a one # 1\nok 3 - a \u203a two # SKIP\n\n1..2\n# tests 2\n",
            1,
            {"b.js exited with a non-zero exit code: 1": "failed", "a \u203a one # 1": "passed", "a \u203a two": "skipped"},
        ),
        (
            "uvu",
            "a.js  one\n• •   (2 / 2)\nb.js\n• ✘   (1 / 2)\n\n  Total:     4\n  Passed:    3\n",
            1,
            {"a.js": "passed", "b.js": "failed"},
        ),
    ],
)
def test_printed_results_become_a_report_that_agrees_with_the_status(
    tmp_path: Path, kind: str, text: str, status: int, expected: dict[str, str]
) -> None:
    (tmp_path / "out").write_text(text)
    report = tmp_path / "report"
    done = run("node", f"{TOOLS}/printed.js", kind, "sh", "-c", f"cat out; exit {status}", at=tmp_path, PODGYM_REPORT=str(report))
    assert outcomes("jest-json", report, tmp_path) == expected
    assert (done.returncode != 0) == ("failed" in expected.values())


@needs_node
def test_a_program_without_any_result_leaves_no_report(tmp_path: Path) -> None:
    done = run("node", f"{TOOLS}/printed.js", "tape", "sh", "-c", "exit 3", at=tmp_path, PODGYM_REPORT=str(tmp_path / "report"))
    assert done.returncode == 3
    assert not (tmp_path / "report").exists()


@needs_node
def test_a_lock_file_asks_the_registry_that_is_set(tmp_path: Path) -> None:
    lock = tmp_path / "yarn.lock"
    lock.write_text(
        'resolved "https://one.example/@babel/core/-/core-7.1.0.tgz#abc"\n'
        '"resolved": "https://two.example/npm/a/-/a-1.0.0.tgz"\n'
        '"resolved": "https://codeload.example/a/b/tar.gz/1"\n'
    )
    assert run("node", f"{TOOLS}/registry.js", "https://mirror.example/npm/", "yarn.lock", at=tmp_path).returncode == 0
    assert lock.read_text() == (
        'resolved "https://mirror.example/npm/@babel/core/-/core-7.1.0.tgz#abc"\n'
        '"resolved": "https://mirror.example/npm/a/-/a-1.0.0.tgz"\n'
        '"resolved": "https://codeload.example/a/b/tar.gz/1"\n'
    )


@needs_node
def test_dependencies_that_no_registry_has_are_asked_by_version_or_left_out(tmp_path: Path) -> None:
    (tmp_path / "package.json").write_text(
        json.dumps(
            {
                "dependencies": {"a": "github:x/a#v1.2.3", "b": "x/b", "plain": "^1.0.0", "local": "file:lib"},
                "devDependencies": {"c": "git+ssh://git@example.org/x/c.git", "gone": "file:missing", "d": "https://e.org/d/d-2.0.1.tgz"},
            }
        )
    )
    (tmp_path / "lib").mkdir()
    done = run("node", f"{TOOLS}/loosen.js", "remote", ".", at=tmp_path)
    assert json.loads((tmp_path / "package.json").read_text()) == {
        "dependencies": {"a": "1.2.3", "b": "*", "plain": "^1.0.0", "local": "file:lib"},
        "devDependencies": {"d": "2.0.1"},
    }
    assert "not installed: c@git+ssh" in done.stdout and "in place of github:x/a#v1.2.3: a@1.2.3" in done.stdout


@needs_node
def test_named_packages_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "package.json").write_text(json.dumps({"devDependencies": {"evalmd": "^1", "tape": "^5"}}))
    done = run("node", f"{TOOLS}/loosen.js", "without", ".", "gone", "--", "evalmd", "aud", at=tmp_path)
    assert done.stdout == "not installed: evalmd\n"
    assert json.loads((tmp_path / "package.json").read_text()) == {"devDependencies": {"tape": "^5"}}


def test_a_build_runs_where_something_changed_and_after_one_that_ran(tmp_path: Path) -> None:
    script = (TOOLS / "build.sh").read_text().replace("/opt/podgym/node/stamps", str(tmp_path / "stamps"))
    (tmp_path / "build.sh").write_text(script)
    for name in ("one", "two"):
        (tmp_path / "top" / name / "node_modules").mkdir(parents=True)
        (tmp_path / "top" / name / "source").write_text("a")
    log = tmp_path / "log"

    def build() -> list[str]:
        log.write_text("")
        pairs = ["one", f"echo one >>{log}; cp source out", "two", f"echo two >>{log}; false"]
        assert run("sh", "build.sh", str(tmp_path / "top"), *pairs, at=tmp_path).returncode == 0
        return log.read_text().split()

    assert build() == ["one", "two"]
    assert build() == []
    later = time.time() + 5
    os.utime(tmp_path / "top/two/node_modules", (later, later))
    assert build() == []
    os.utime(tmp_path / "top/two/source", (later, later))
    assert build() == ["two"]
    os.utime(tmp_path / "top/one/source", (later, later))
    assert build() == ["one", "two"]


@pytest.mark.parametrize(
    ("command", "there"),
    [
        ("rm -rf dist; false", {"a.js": "old", "b.js": "old"}),
        ("rm -rf dist", {"a.js": "old", "b.js": "old"}),
        ("rm -rf dist; mkdir dist; cp source dist/a.js", {"a.js": "new"}),
        ("cp source dist/a.js; rm dist/b.js; false", {"a.js": "new", "b.js": "old"}),
    ],
)
def test_what_was_committed_stays_where_its_build_fails(tmp_path: Path, command: str, there: dict[str, str]) -> None:
    (tmp_path / "build.sh").write_text((TOOLS / "build.sh").read_text().replace("/opt/podgym/node/stamps", str(tmp_path / "stamps")))
    (dist := tmp_path / "top" / "one" / "dist").mkdir(parents=True)
    (dist.parent / "source").write_text("new")
    for name in ("a.js", "b.js"):
        (dist / name).write_text("old")
    words = ["-k", "dist gone", "one", command, "", "touch after"]
    assert run("sh", "build.sh", str(tmp_path / "top"), *words, at=tmp_path).returncode == 0
    assert {path.name: path.read_text() for path in dist.iterdir()} == there
    assert (tmp_path / "top" / "after").exists() and not (dist.parent / "gone").exists()


@needs_node
def test_native_modules_and_install_scripts_are_built_and_downloads_are_not(tmp_path: Path) -> None:
    def package(name: str, **scripts: str) -> None:
        home = tmp_path / "node_modules" / name
        home.mkdir(parents=True)
        (home / "package.json").write_text(json.dumps({"name": name, "scripts": scripts}))

    package("needs", install="touch built")
    package("@scope/needs", postinstall="touch built")
    package("puppeteer", install="touch built")
    package("broken", install="exit 1")
    package("plain", test="touch built")
    done = run("node", f"{TOOLS}/rebuild.js", ".", at=tmp_path)
    assert done.stdout == "its install script failed: broken\n"
    assert sorted(str(path.parent.relative_to(tmp_path / "node_modules")) for path in tmp_path.rglob("built")) == ["@scope/needs", "needs"]


@needs_node
def test_globs_are_expanded_for_a_program_that_knows_none(tmp_path: Path) -> None:
    for name in ("test/a.test.js", "test/deep/b.test.mjs", "test/c.js", "node_modules/x/d.test.js", "e.spec.ts"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()

    def expanded(*patterns: str) -> list[str]:
        return run("node", f"{TOOLS}/glob.js", "echo", "x", "--", *patterns, at=tmp_path).stdout.split()[1:]

    assert expanded("test/**/*.test.js", "plain") == ["test/a.test.js", "plain"]
    assert expanded("./test/**/*.test.{js,mjs}") == ["test/a.test.js", "test/deep/b.test.mjs"]
    assert expanded("**/*.@(test|spec).?(c|m)[jt]s") == ["e.spec.ts", "test/a.test.js", "test/deep/b.test.mjs"]
    assert expanded("nothing/*") == ["nothing/*"]
    assert run("node", f"{TOOLS}/glob.js", "sh", "-c", "exit 3", "--", "x", at=tmp_path).returncode == 3
