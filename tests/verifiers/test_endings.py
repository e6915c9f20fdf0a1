"""How a run of tests can end without its tests, each told from the others."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from podgym.sandbox import Limits, SandboxSpec
from podgym.verifiers import Change, GradingPlan, ReportSource, TestCommand, Verdict, grade
from podgym.verifiers.archive import Write
from podgym.verifiers.programs import ProgramCheck, run_program

HOG = "head -c 400m /dev/zero | tail -c 400m >/dev/null"
PASSING = "echo ok 1 - a >{report}; echo 1..1 >>{report}"


def need_bounded(provider: Any) -> None:
    """Skips the test where the kernel kills nothing of a sandbox for its memory."""
    if why := getattr(provider, "unbounded", ""):
        pytest.skip(f"no control groups can be made here: {why}")


def plan(script: str, *, timeout_s: float = 60) -> GradingPlan:
    command = TestCommand(framework="program", script=script, report=ReportSource(format="tap"), timeout_s=timeout_s)
    return GradingPlan(workdir="/work", tests=(command,), fail_to_pass=("a",))


@pytest.mark.parametrize(
    ("script", "failure", "said"),
    [
        (PASSING, None, ""),
        ("echo not ok 1 - a >{report}; echo 1..1 >>{report}; exit 1", "failed", "a failed"),
        (f"{PASSING}; sleep 60", "timed_out", "within 2 s"),
        (f"{PASSING}; {HOG}; exit $?", "out_of_memory", "memory limit"),
        (f"{PASSING}; {HOG}; exit 1", "out_of_memory", "memory limit"),
        (f"{PASSING}; kill -9 $$", "killed", "sent SIGKILL"),
        (f"{PASSING}; exit 3", "disagrees", "exit code 3"),
        ("echo ok 1 - a", "no_report", "wrote no report"),
        ("echo 1..0 >{report}", "nothing_ran", "holds no test"),
        ("echo hello >{report}", "malformed_report", "no plan"),
        ("ln -s /etc/passwd {report}", "malformed_report", "special file"),
        ("mkfifo {report}", "malformed_report", "special file"),
        ("truncate -s 1T {report} || truncate -s 64M {report}", "malformed_report", "larger than"),
    ],
)
async def test_each_is_told_from_the_others(real_provider: tuple[Any, str], script: str, failure: str | None, said: str) -> None:
    provider, image = real_provider
    if failure == "out_of_memory":
        need_bounded(provider)
    spec = SandboxSpec(image=image, workdir="/work", limits=Limits(memory_bytes=256 << 20))
    if script == "echo ok 1 - a":
        script += "; : {report}"
    timeout_s = 2 if failure == "timed_out" else 60
    verdict = await grade(Change(), plan(script, timeout_s=timeout_s), spec=spec, provider=provider, files={}.__getitem__)
    assert (verdict.status, verdict.failure) == ("scored", failure), verdict.message
    assert verdict.reward == float(failure is None)
    assert said in verdict.message


@pytest.mark.parametrize(("script", "failure"), [("exit 0", None), ("exit 1", "failed"), ("sleep 60", "timed_out"), (HOG, "out_of_memory")])
async def test_programs_that_judge(real_provider: tuple[Any, str], script: str, failure: str | None) -> None:
    provider, image = real_provider
    if failure == "out_of_memory":
        need_bounded(provider)
    spec = SandboxSpec(image=image, limits=Limits(memory_bytes=256 << 20))
    check = ProgramCheck(script=script, timeout_s=1 if failure == "timed_out" else 60)
    verdict = await run_program(check, Change(), spec=spec, provider=provider, files=(Write("x", b""),))
    assert (verdict.failure, verdict.reward) == (failure, float(failure is None))


def test_a_failure_is_of_a_score_below_one() -> None:
    with pytest.raises(ValidationError, match="less than 1"):
        Verdict(status="scored", reward=1.0, failure="failed")
    with pytest.raises(ValidationError, match="less than 1"):
        Verdict(status="unscored", reason="image", failure="failed")
