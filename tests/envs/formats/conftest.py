from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from podgym_test_kit.history import History

from podgym.envs.build.funnel import Bounds, HerePool, run_funnel
from podgym.envs.formats.importing import Imported, finish, prepare_rows

BROKEN = "def add(a, b):\n    return a - b\n\n\ndef double(a):\n    return a * 2\n"
FIXED = BROKEN.replace("a - b", "a + b")
TESTS = """import unittest
import calc

class CalcTest(unittest.TestCase):
    def test_double(self):
        self.assertEqual(calc.double(2), 4)
"""
MORE_TESTS = TESTS + "\n    def test_add(self):\n        self.assertEqual(calc.add(1, 2), 3)\n"


class Project(History):
    """A repository `owner/calc` with a bug, its fix, and rows that tell of it."""

    base = ""
    fix = ""

    def diff(self, *paths: str, old: str = "", new: str = "") -> str:
        return self.raw("diff", "--no-color", old or self.base, new or self.fix, "--", *paths)

    def row(self, **changes: Any) -> dict[str, Any]:
        """As SWE-bench would have it."""
        made = {
            "repo": "owner/calc",
            "instance_id": "owner__calc-7",
            "base_commit": self.base,
            "patch": self.diff("calc.py"),
            "test_patch": self.diff("tests"),
            "problem_statement": "Adding subtracts",
            "hints_text": "",
            "created_at": "2023-11-14T22:30:00Z",
            "version": "1.0",
            "FAIL_TO_PASS": json.dumps(["tests/test_calc.py::CalcTest::test_add"]),
            "PASS_TO_PASS": json.dumps(["test_double (tests.test_calc.CalcTest)"]),
            "environment_setup_commit": self.base,
        }
        return {**made, **changes}


@pytest.fixture(scope="session")
def calc(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Not to be changed."""
    path = tmp_path_factory.mktemp("repositories") / "owner" / "calc"
    project = Project(path)
    project.commit("Start", {"calc.py": BROKEN, "tests/__init__.py": "", "README.md": "Adds.\n"})
    project.git("tag", "v1")
    project.base = project.commit("Tests", {"tests/test_calc.py": TESTS})
    project.fix = project.commit("Adding subtracts", {"calc.py": FIXED, "tests/test_calc.py": MORE_TESTS})
    project.git("tag", "v2")
    return project


@pytest.fixture
def write_rows(tmp_path: Path) -> Callable[..., Path]:
    def write(*rows: Any) -> Path:
        file = tmp_path / "rows.jsonl"
        file.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
        return file

    return write


@pytest.fixture(scope="session")
def image_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("images")


Import = Callable[..., Any]


@pytest.fixture
def import_rows(calc: Project, image_cache: Path, tmp_path: Path) -> Import:
    async def run(file: Path, *, out: Path | None = None, repo: str | None = "", kind: Any = None, **options: Any) -> tuple[Imported, ...]:
        folder = out or tmp_path / "tasks"
        given = {"repeats": 1, "decoys": False, "cache_dir": str(tmp_path / "mirrors"), **options}
        where = str(calc.path.parent.parent / "{repo}") if repo == "" else repo
        prepared = list(prepare_rows(file, kind=kind, repo=where, follow=False, folder=folder, given=given))
        rows = await run_funnel(
            [one.line for one in prepared],
            folder,
            pool=HerePool(),
            workers=2,
            provider=("local", {"cache": str(image_cache)}),
            bounds=Bounds(free_bytes=0, timeout_s=100),
        )
        return finish(prepared, rows, folder)

    return run
