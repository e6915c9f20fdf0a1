from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

BROKEN = "def add(a, b):\n    return a - b\n\n\ndef double(a):\n    return a * 2\n"
FIXED = BROKEN.replace("a - b", "a + b")
TESTS = """import unittest
import calc

class CalcTest(unittest.TestCase):
    def test_double(self):
        self.assertEqual(calc.double(2), 4)
"""
MORE_TESTS = TESTS + "\n    def test_add(self):\n        self.assertEqual(calc.add(1, 2), 3)\n"


@pytest.fixture
def calc(history: Any) -> Any:
    """A project with a bug, and its fix as `calc.fix`."""
    history.commit("start", {"calc.py": BROKEN, "tests/__init__.py": "", "tests/test_calc.py": TESTS})
    history.fix = history.commit("Adding subtracts", {"calc.py": FIXED, "tests/test_calc.py": MORE_TESTS})
    return history


@pytest.fixture(scope="session")
def image_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("images")


@pytest.fixture
def local(image_cache: Path) -> tuple[str, dict[str, Any]]:
    return "local", {"cache": str(image_cache)}


@pytest.fixture
def odd(image_cache: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, dict[str, Any]]:
    """See the kit."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent / "kit"))
    return "podgym_funnel_kit:Odd", {"cache": str(image_cache)}


def write_lines(path: Path, *lines: Mapping[str, Any] | str) -> Path:
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return path


@pytest.fixture
def write() -> Any:
    return write_lines
