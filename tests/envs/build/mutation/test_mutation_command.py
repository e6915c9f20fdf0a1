from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer

from podgym.console.cli.mutation import mutate_command, mutation_options
from podgym.envs.build import BuildOptions

SOURCE = "def add(a, b):\n    return a + b\n\n\ndef larger(a, b):\n    if a > b:\n        return a\n    return b\n"
TESTS = """import unittest
import calc

class CalcTest(unittest.TestCase):
    def test_add(self):
        self.assertEqual(calc.add(1, 2), 3)

    def test_larger(self):
        self.assertEqual(calc.larger(1, 2), 2)
        self.assertEqual(calc.larger(3, 2), 3)
"""


def test_the_command_prints_what_was_made(history, tmp_path: Path, capsys) -> None:
    commit = history.commit("start", {"calc.py": SOURCE, "tests/__init__.py": "", "tests/test_calc.py": TESTS})
    provider = ("local", {"cache": str(tmp_path / "cache"), "scratch": str(tmp_path / "scratch")})
    (tmp_path / "scratch").mkdir()
    told = {"provider": provider, "options": BuildOptions(decoys=False), "mutation": mutation_options({"count": 1, "baseline_runs": 2})}
    assert mutate_command(str(history.path), commit, tmp_path / "out", **told) == 0
    printed = capsys.readouterr()
    assert "must turn" in printed.out and "1 task(s)" in printed.err and "bug" in printed.err
    assert mutate_command(str(history.path), commit, tmp_path / "more", **told, as_json=True) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["tried"] >= 1 and found["outcomes"]["bug"] == 1 and found["tasks"][0]["status"] == "validated"
    assert mutate_command(str(history.path), "nowhere", tmp_path / "none", **told) == 1
    printed = capsys.readouterr()
    assert "failed in resolve" in printed.err


def test_options_that_are_none() -> None:
    with pytest.raises(typer.BadParameter, match="hide_tests"):
        mutation_options({"hide": 1})
