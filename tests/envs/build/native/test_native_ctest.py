"""Tests of some files alone are told by what CTest lists."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from podgym.envs.build.languages.native.cmakefacts import CMakeFacts
from podgym.envs.build.languages.native.ctest import cmake_test

LISTED = """\
3: Test command: /opt/podgym/bin/cases "/b/tests/test_parser"
  Test #3: parsing
7: Test command: /b/tests/run "all"
  Test #7: Writer.all
9: Test command: /b/tests/other
  Test #9: other

Total Tests: 3
"""


@pytest.mark.parametrize(
    ("changed", "chosen"),
    [
        (["tests/test_parser.c"], "-j 2 -I 3,3,,3"),
        (["tests/test_parser.c", "tests/writer_test.cpp"], "-j 2 -I 3,3,,3,7"),
        # One of them has no test of its own.
        (["tests/test_parser.c", "tests/data/input.json"], "-j 2"),
        (["tests/test_parser.c", "tests/main.c"], "-j 2"),
        (["tests/test_nothing.c"], "-j 2"),
        ([f"tests/test_parser{number}.c" for number in range(50)], "-j 2"),
    ],
)
def test_tests_are_chosen_where_each_file_has_one(tmp_path: Path, changed: list[str], chosen: str) -> None:
    (tmp_path / "listed").write_text(LISTED)
    script = cmake_test(CMakeFacts(), "", timeout_s=100, only=changed)
    start = script.index('if [ -n "${tests:-}" ]; then\n') + len('if [ -n "${tests:-}" ]; then\n')
    part = script[start : script.index('  ctest --test-dir "$tests" --output-junit')]
    done = subprocess.run(
        ["sh", "-euc", f'ctest() {{ cat listed; }}\ntests=x\n{part}echo "$chosen"'],
        capture_output=True, text=True, check=True, cwd=tmp_path, timeout=20,
    )  # fmt: skip
    assert done.stdout == f"{chosen}\n"
