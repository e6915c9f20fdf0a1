"""`benchmarks/real_projects.py`: what it builds is proven, and proven again from what was written."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from podgym.sandbox.local import LocalConfig, LocalProvider


@pytest.fixture(scope="module")
def real_projects() -> ModuleType:
    path = Path(__file__).parents[3] / "benchmarks" / "real_projects.py"
    spec = importlib.util.spec_from_file_location("real_projects_benchmark", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def test_a_project_is_proven_and_a_failure_is_a_row(history, real_projects: ModuleType, tmp_path: Path, capsys) -> None:
    test = "import unittest, calc\nclass T(unittest.TestCase):\n    def test_x(self): self.assertEqual(calc.x, 2)\n"
    history.commit("start", {"calc.py": "x = 1\n", "gone.py": "", "tests/__init__.py": ""})
    fix = history.commit("Mend x", {"calc.py": "x = 2\n", "gone.py": None, "new/data.bin": b"\xff\0", "tests/test_calc.py": test})
    provider = LocalProvider(LocalConfig(cache=tmp_path / "images", scratch=tmp_path / "scratch"))
    try:
        row = await real_projects.prove(str(history.path), fix, {"local": provider}, out=tmp_path / "out", repeats=1, rounds=1)
        bad = await real_projects.prove(str(history.path), "0" * 40, {"local": provider}, out=tmp_path / "out", repeats=1, rounds=1)
        again = await real_projects.proven(Path(tmp_path / "out" / row["task"]), {"local": provider}, rounds=2)
        gold = tmp_path / "out" / row["task"] / "solution" / "gold.patch"
        gold.write_bytes(gold.read_bytes().replace(b"+x = 2", b"+x = 3"))
        spoiled = await real_projects.proven(Path(tmp_path / "out" / row["task"]), {"local": provider}, rounds=1)
    finally:
        await provider.close()
    assert again["ok"] and again["rewards"]["local"]["rounds"] == 2 and again["certified"] == {"local": True}
    assert not spoiled["ok"] and spoiled["rewards"]["local"]["gold"] == 0.0
    assert row["ok"] and row["task"].startswith("project-"), row
    assert {name: row["rewards"]["local"][name] for name in ("gold", "none", "agent")} == {"gold": 1.0, "none": 0.0, "agent": 1.0}
    assert (bad["ok"], bad["stage"], bad["reason"]) == (False, "resolve", "commit_missing")
    real_projects.print_table([row, bad, again])
    out = capsys.readouterr().out
    assert "local: 1.0 / 0.0 / 1.0" in out and "failed in resolve: commit_missing" in out
