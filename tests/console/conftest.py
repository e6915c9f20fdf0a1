"""A command line in this process, a project with a fix, a task that was built from it, jobs that cost nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from podgym_test_kit.history import History

from podgym.console.cli import run

KIT = Path(__file__).parent / "kit"


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class CommandLine:
    """`cli("job", "list")` runs a command as the shell would; nothing that a user did wrong may end in a traceback."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: object) -> Said:
        self._capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        captured = self._capsys.readouterr()
        assert "Traceback" not in captured.err
        return Said(code, captured.out, captured.err)


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("PODGYM_PROVIDER", "local")
    return CommandLine(capsys)


BROKEN = '''"""Prices."""


def total(prices, discount=0):
    """Sum of prices less a discount in percent."""
    return sum(prices) - discount


def shown(price):
    return f"{price:.2f}"
'''
FIXED = BROKEN.replace("sum(prices) - discount", "sum(prices) * (100 - discount) / 100")
TESTS = """import unittest

from shop import shown, total


class Prices(unittest.TestCase):
    def test_shown(self):
        self.assertEqual(shown(2), "2.00")
"""
MORE_TESTS = (
    TESTS
    + """
    def test_discount(self):
        self.assertEqual(total([100, 100], discount=10), 180)
"""
)


MESSAGE = "Discounts are in percent\n\nA discount of 10 took 10 off whatever the price."


@pytest.fixture
def project(tmp_path: Path) -> History:
    return History(tmp_path / "shop")


@dataclass(frozen=True)
class Fix:
    project: Path
    commit: str
    base: str


@pytest.fixture
def shop() -> Mapping[str, str]:
    """The files of the fix, before and after."""
    return {"broken": BROKEN, "fixed": FIXED, "tests": TESTS, "more_tests": MORE_TESTS}


@pytest.fixture(scope="session")
def fix(tmp_path_factory: pytest.TempPathFactory) -> Fix:
    """A discount in percent that was subtracted, and the commit that mends it."""
    made = History(tmp_path_factory.mktemp("fix") / "shop")
    base = made.commit("Begin", {"shop.py": BROKEN, "test_shop.py": TESTS, "notes.bin": b"\xff\xfe\0"})
    sha = made.commit(MESSAGE, {"shop.py": FIXED, "test_shop.py": MORE_TESTS})
    return Fix(made.path, sha, base)


@pytest.fixture(scope="session")
def built(fix: Fix, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A task directory; not to be changed."""
    out = tmp_path_factory.mktemp("tasks")
    assert (
        run(["env", "build", str(fix.project), "--commit", fix.commit, "--out", str(out), "--name", "shop-discount", "--provider", "local"])
        == 0
    )
    return out / "shop-discount"


@pytest.fixture
def kit(monkeypatch: pytest.MonkeyPatch) -> Path:
    """What jobs of tests import, here and in the processes of a run."""
    monkeypatch.syspath_prepend(str(KIT))
    monkeypatch.setenv("PYTHONPATH", str(KIT))
    return KIT


def _write_job(path: Path, **sections: Any) -> Path:
    whole: dict[str, Any] = {
        "run": {"name": "quick", "checkpoint_every_steps": 1},
        "environment": {"type": "podgym_console_kit:Echo"},
        "policy": {"kind": "podgym_console_kit:Learner"},
        "sandbox": {"provider": "local", "concurrency": 4},
        "train": {"steps": 2, "group_size": 2, "groups_per_step": 2},
    }
    path.write_text(tomli_w.dumps({key: value for key, value in {**whole, **sections}.items() if value is not None}))
    return path


@pytest.fixture
def write_job(kit: Path) -> Callable[..., Path]:
    """Writes a job of the kit that ends in a second, with sections replaced; None leaves one out."""
    return _write_job


@pytest.fixture
def job(tmp_path: Path, kit: Path) -> Path:
    return _write_job(tmp_path / "job.toml")
