from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import pytest

from podgym.envs.build.catalogue import Catalogue
from podgym.envs.build.ci import read_ci
from podgym.envs.build.languages.python.detect import detect
from podgym.envs.build.languages.python.facts import PythonFacts
from podgym.envs.build.languages.python.plan import plan_python
from podgym.envs.build.plan import BuildPlan
from podgym.envs.build.tree import Tree


@pytest.fixture(scope="session")
def index(tmp_path_factory: pytest.TempPathFactory) -> None:
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(tmp_path_factory.mktemp("d")), "iniconfig"]
    if subprocess.run(command, capture_output=True, timeout=120, check=False).returncode:
        pytest.skip("needs a package index that pip can reach")


UNITTEST = "import unittest\n\nclass T(unittest.TestCase):\n    def test_x(self): pass\n"


def _facts(files: Mapping[str, str], *, source: str = "calc.py", tests: tuple[str, ...] = ("tests/test_calc.py",)) -> PythonFacts:
    everything = {"calc.py": "", "tests/test_calc.py": UNITTEST, **files}
    ci = read_ci(Tree(everything, lambda path: everything[path].encode()))
    return detect(sorted(everything), everything.get, changed_source=[source], changed_tests=tests, ci=ci)


@pytest.fixture(scope="session")
def facts() -> Callable[..., PythonFacts]:
    """Of a project that has `files` beside a module and its test."""
    return _facts


@pytest.fixture(scope="session")
def plan() -> Callable[[PythonFacts], BuildPlan]:
    """Of facts, in the summer of 2024."""
    return lambda found: plan_python(found, committed=datetime(2024, 7, 1, tzinfo=UTC), catalogue=Catalogue())
