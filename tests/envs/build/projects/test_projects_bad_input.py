"""Repositories that no task can be made of, or that do harm while they are built: each has its stage and reason, and the next goes on."""

from __future__ import annotations

import asyncio
import json
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from podgym.envs.build.funnel import Bounds, HerePool, read_lines, run_funnel

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PYTHON = "def add(a, b):\n    return a - b\n"
UNITTEST = "import unittest\nimport calc\n\n\nclass T(unittest.TestCase):\n    def test_it(self):\n        {}\n"
C_TEST = "int add(int a, int b);\nint main(void) { return add(1, 2) != 3; }\n"
MAKE = "all: calc.o\n\t{}\ncalc.o: calc.c\n\t$(CC) -c -o $@ $<\ntest: calc.o\n\t$(CC) -o test_add test_add.c calc.o && ./test_add\n"
MARK = f"podgym-{uuid.uuid4().hex}"
"""What a build that does harm leaves, where it can."""

DAEMON = f"sh -c 'while :; do sleep 1; done' {MARK} >/dev/null 2>&1"


@dataclass(frozen=True)
class Case:
    """A base, a fix, and what is to come of it: status, stage, reason."""

    base: Mapping[str, str]
    fix: Mapping[str, str]
    ends: tuple[str, ...] = ("validated", "", "")
    says: str = ""
    """A part of the message."""
    options: Mapping[str, Any] | None = None
    needs: tuple[str, ...] = ()


def of_python(test: str, *ends: str, says: str = "") -> Case:
    fix = {"calc.py": PYTHON.replace("a - b", "a + b"), "tests/test_calc.py": test}
    return Case({"calc.py": PYTHON, "tests/__init__.py": ""}, fix, ends or ("validated", "", ""), says)


def of_c(files: Mapping[str, str], *ends: str, says: str = "", **options: Any) -> Case:
    source = "int add(int a, int b) { return a - b; }\n"
    base = {"calc.c": source, ".gitignore": "*.o\ntest_add\n", **files}
    fix = {"calc.c": source.replace("a - b", "a + b"), "test_add.c": C_TEST}
    return Case(base, fix, ends or ("validated", "", ""), says, options, ("cc", "make"))


def of_make(recipe: str, *ends: str, says: str = "", **options: Any) -> Case:
    return of_c({"Makefile": MAKE.format(recipe)}, *ends, says=says, **options)


RUST = {"Cargo.toml": '[package]\nname = "calc"\nversion = "0.1.0"\nedition = "2021"\n', "Cargo.lock": "version = 99\n"}
NODE = {
    "package.json": json.dumps({"name": "calc", "scripts": {"test": "node --test test/"}}),
    "package-lock.json": '{"lockfileVersion": 99}\n',
}
CI = {".github/workflows/ci.yml": "on: push\njobs:\n  test:\n    runs-on: ubuntu-latest\n    steps:\n      - run: npm ci\n"}
FAILS = ("failed", "validate", "failing_after")
CASES = {
    "the next one": of_python(UNITTEST.format("self.assertEqual(calc.add(1, 2), 3)")),
    "no build file": of_c({}, "failed", "plan", "no_build_file"),
    "a ninth language": Case({"a.rb": "1\n"}, {"a.rb": "2\n", "test/a_test.rb": "3\n"}, ("failed", "plan", "unsupported_language"), "Ruby"),
    "two build systems": of_c(
        {
            "Makefile": MAKE.format(":"),
            "CMakeLists.txt": "cmake_minimum_required(VERSION 3.10)\nproject(calc C)\nadd_library(calc gone.c)\n",
        }
    ),
    "two lock files": Case(
        {**NODE, "yarn.lock": "# yarn lockfile v1\n", "package-lock.json": '{"lockfileVersion": 3}\n', "calc.js": "exports.a = 1;\n", **CI},
        {"calc.js": "exports.a = 2;\n", "test/a.test.js": "require('node:assert').equal(require('../calc.js').a, 2);\n"},
        needs=("node", "npm"),
    ),
    "a lock file of a later cargo": Case(
        {**RUST, "src/lib.rs": "pub fn a() -> i32 {\n    1\n}\n"},
        {"src/lib.rs": "pub fn a() -> i32 {\n    2\n}\n", "tests/a.rs": "#[test]\nfn a() {\n    assert_eq!(calc::a(), 2);\n}\n"},
        ("failed", "image", "install_failed"),
        needs=("cargo", "cc"),
    ),
    "a lock file of a later npm": Case(
        {**NODE, "calc.js": "exports.a = 1;\n"},
        {"calc.js": "exports.a = 2;\n", "test/a.test.js": "require('node:assert').equal(require('../calc.js').a, 2);\n"},
        needs=("node", "npm"),
    ),
    "an empty suite": of_python("import unittest\n", "failed", "validate", "nothing_collected"),
    "a display": of_python(UNITTEST.format("__import__('tkinter').Tk()"), *FAILS),
    "a database": of_python(UNITTEST.format("__import__('socket').create_connection(('localhost', 5432), 5)"), *FAILS),
    "the internet": of_python(UNITTEST.format("__import__('urllib.request').request.urlopen('https://pypi.org/', timeout=5)"), *FAILS),
    "a test that fills the disk": of_python(
        UNITTEST.format("open('/tmp/x', 'wb').write(b'x' * (64 << 20)); open('/tmp/y', 'wb').truncate(1 << 50)"), *FAILS
    ),
    "a test that never ends": Case(
        {"calc.py": PYTHON},
        {"calc.py": PYTHON.replace("a - b", "a + b"), "tests/test_calc.py": UNITTEST.format("__import__('time').sleep(3600)")},
        ("failed", "validate", "timeout"),
        options={"suite_timeout_s": 2.0},
    ),
    "a build that writes elsewhere": of_make(f"-touch ../{MARK} /usr/{MARK} /etc/{MARK} /tmp/{MARK} $(HOME)/{MARK}"),
    "a build that leaves daemons": of_make(f"{DAEMON} & nohup {DAEMON} & setsid {DAEMON} &"),
    "a build that never ends": of_make("sleep 3600", "failed", "image", "install_failed", install_timeout_s=3.0),
    "a build that fills the disk": of_make("head -c 400M /dev/zero >zeros.o; sleep 60", "failed", "worker", "disk_full"),
}


async def test_two_gigabytes_of_history(build: Any, turned: Any) -> None:
    history = build.history
    (history.path / "data").mkdir()
    for number in range(8):
        with (history.path / f"data/{number}").open("wb") as file:
            file.write(b"%d" % number)
            file.truncate(256 << 20)
    history.git("config", "core.compression", "1")
    history.commit("Data", {})
    history.git("rm", "-q", "-r", "data")
    report = await build(CASES["the next one"].base, CASES["the next one"].fix)
    turned(report, {"tests/test_calc.py::T::test_it"}, set())
    assert Path(report.out, "environment/repo.tar").stat().st_size < 50 << 20


async def test_each_has_its_reason_and_the_next_goes_on(history: Any, images: Path, tmp_path: Path) -> None:
    wanted = {name: case for name, case in CASES.items() if all(map(shutil.which, case.needs))}
    lines = []
    for number, (name, case) in enumerate(wanted.items()):
        own = type(history)(tmp_path / f"project{number}")
        own.commit("start", case.base)
        commit = own.commit("Adding subtracts", case.fix)
        line = {"repo": str(own.path), "commit": commit, "name": name.replace(" ", "-"), "toolchain": None, **(case.options or {})}
        lines.append({key: value for key, value in line.items() if value is not None})
    # And the good one once more, after all others.
    (tmp_path / "lines.jsonl").write_text("".join(json.dumps(line) + "\n" for line in [*lines, {**lines[0], "name": "last"}]))
    sources = read_lines(tmp_path / "lines.jsonl", {"repeats": 1, "decoys": False, "repairs": 0})
    bounds = Bounds(timeout_s=90.0, disk_bytes=200 << 20, free_bytes=0, goodbye_s=2.0)
    rows = await run_funnel(
        sources, tmp_path / "tasks", pool=HerePool(), workers=2, provider=("local", {"cache": str(images)}), bounds=bounds
    )
    found = {name: (row.status, row.stage, row.reason) for name, row in zip([*wanted, "last"], rows, strict=True)}
    assert found == {**{name: case.ends for name, case in wanted.items()}, "last": ("validated", "", "")}, [
        (row.line, row.message, row.details[-500:]) for row in rows if row.status == "failed"
    ]
    assert [name for (name, case), row in zip(wanted.items(), rows, strict=False) if case.says not in row.message] == []
    # What the process of an ended build wrote is what went wrong, and nothing of how it was started.
    assert not any("Warning" in row.details for row in rows)
    assert not [place for place in ("/usr", "/etc", "/tmp", Path.home(), tmp_path) if Path(place, MARK).exists()]
    await asyncio.sleep(0.2)
    assert not [path for path in Path("/proc").glob("[0-9]*/cmdline") if MARK.encode() in _read(path)]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
