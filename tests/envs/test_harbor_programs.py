"""What plain Harbor makes of a task whose tests are a program: the exit code decides, or nothing does."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from podgym.envs.harbor.plain import test_files as plain_files
from podgym.verifiers import GradingPlan, HiddenFile, ReportSource, TestCommand

SCRIPT = 'sh check.sh "$GREETING" {targets} > {report}'


def plan(workdir: Path, **more: object) -> GradingPlan:
    command = TestCommand(
        framework="program",
        script=SCRIPT,
        targets=("a b",),
        env={"GREETING": "it's"},
        report=ReportSource(format="tap"),
        cwd="sub",
    )
    hidden = HiddenFile(path="sub/check.sh", source="tests/files/sub/check.sh")
    made = GradingPlan(workdir=str(workdir), tests=(command,), fail_to_pass=("t",), hidden=(hidden,), removed=("old",))
    return made.model_copy(update=more)


def graded(tmp_path: Path, made: GradingPlan, check: str) -> tuple[int, str | None, str]:
    """Exit code, what stands in reward.txt, and what was said."""
    tests, logs = tmp_path / "tests", tmp_path / "logs"
    (tests / "files/sub").mkdir(parents=True)
    (tests / "files/sub/check.sh").write_text(check)
    for name, data in plain_files(made).items():
        (tests / name).write_bytes(data)
    env = {"PATH": os.environ["PATH"], "HARBOR_VERIFIER_LOGS": str(logs)}
    done = subprocess.run(["sh", str(tests / "test.sh")], env=env, capture_output=True, text=True, check=False)
    reward = logs / "reward.txt"
    return done.returncode, reward.read_text().strip() if reward.exists() else None, done.stderr


@pytest.fixture
def workdir(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    (folder / "sub/check.sh").mkdir(parents=True)
    (folder / "old").write_text("x")
    return folder


@pytest.mark.parametrize(("check", "reward"), [('test "$1" = "it\'s" && test "$2" = "a b" && test ! -e ../old', "1"), ("exit 3", "0")])
def test_the_exit_code_decides(tmp_path: Path, workdir: Path, check: str, reward: str) -> None:
    assert graded(tmp_path, plan(workdir), check)[:2] == (0, reward)
    assert (workdir / "sub/check.sh").read_text() == check


@pytest.mark.parametrize("change", ["clean", "inline"])
def test_where_it_does_not_decide_nothing_is_said(tmp_path: Path, workdir: Path, change: str) -> None:
    made = plan(workdir)
    if change == "clean":
        made = made.model_copy(update={"clean": False})
    else:
        made = made.model_copy(update={"hidden": (made.hidden[0].model_copy(update={"inline": True}),)})
    code, reward, said = graded(tmp_path, made, "true")
    assert (code, reward) == (1, None) and "with podgym" in said


def test_nor_where_tests_of_pytest_share_a_file_with_the_source() -> None:
    commands = ({"framework": "pytest"},)
    hidden = (HiddenFile(path="calc.py", source="tests/files/calc.py", inline=True),)
    made = GradingPlan(tests=commands, fail_to_pass=("calc.py::calc.add",), hidden=hidden)
    assert list(plain_files(made)) == ["test.sh"] and b"with podgym" in plain_files(made)["test.sh"]
    assert "grade.py" in plain_files(made.model_copy(update={"hidden": ()}))
