"""The scripted agent of `benchmarks/real_projects.py` turns any change into turns that make exactly this change."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podgym.sandbox.local import LocalConfig, LocalProvider

LINES = st.lists(st.sampled_from(["a", "b", "", "  c", "=>", "def x():", "    return 1"]), max_size=30)


@pytest.fixture(scope="module")
def real_projects() -> ModuleType:
    path = Path(__file__).parents[3] / "benchmarks" / "real_projects.py"
    spec = importlib.util.spec_from_file_location("real_projects_benchmark", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@given(LINES, LINES)
def test_replacements_make_the_change_or_are_none(real_projects: ModuleType, before: list[str], after: list[str]) -> None:
    old, new = "\n".join(before), "\n".join(after)
    edits = real_projects.replacements(old.encode(), new.encode())
    for one, other in edits or []:
        assert old.count(one) == 1
        old = old.replace(one, other)
    assert edits is None or old == new


def test_what_cannot_be_replaced_is_written_whole(real_projects: ModuleType) -> None:
    assert real_projects.replacements(b"\xff", b"a") is None
    assert real_projects.replacements(b"a\r\nb", b"a\r\nc") is None
    turns = real_projects.whole("a b/c.py", b"x" * 50_000, executable=True)
    assert len(turns) == 4 and turns[-1].endswith("chmod +x 'a b/c.py'")


async def test_a_project_is_proven_and_a_failure_is_a_row(history, real_projects: ModuleType, tmp_path: Path, capsys) -> None:
    test = "import unittest, calc\nclass T(unittest.TestCase):\n    def test_x(self): self.assertEqual(calc.x, 2)\n"
    history.commit("start", {"calc.py": "x = 1\n", "gone.py": "", "tests/__init__.py": ""})
    fix = history.commit("Mend x", {"calc.py": "x = 2\n", "gone.py": None, "new/data.bin": b"\xff\0", "tests/test_calc.py": test})
    provider = LocalProvider(LocalConfig(cache=tmp_path / "images", scratch=tmp_path / "scratch"))
    try:
        row = await real_projects.prove(str(history.path), fix, {"local": provider}, out=tmp_path / "out", repeats=1)
        bad = await real_projects.prove(str(history.path), "0" * 40, {"local": provider}, out=tmp_path / "out", repeats=1)
    finally:
        await provider.close()
    assert row["ok"] and row["project"] == "project", row
    assert {name: row["rewards"]["local"][name] for name in ("gold", "none", "agent")} == {"gold": 1.0, "none": 0.0, "agent": 1.0}
    assert (bad["ok"], bad["stage"], bad["reason"]) == (False, "resolve", "commit_missing")
    real_projects.print_table([row, bad])
    out = capsys.readouterr().out
    assert "local: 1.0 / 0.0 / 1.0" in out and "failed in resolve: commit_missing" in out
