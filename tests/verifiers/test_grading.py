from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from podgym.sandbox import SandboxLost, SandboxSpec, TransportError
from podgym.verifiers import (
    EMPTY_DIGEST,
    BaseTree,
    Change,
    GradingPlan,
    HiddenFile,
    PlanError,
    TestCommand,
    VerdictCache,
    grade,
    grading,
    run_plan,
    verify_change,
)

FIXED = b"def add(a, b):\n    return a + b\n\n\ndef double(a):\n    return 2 * a\n"
NEW = b"import unittest, calc\n\n\nclass Add(unittest.TestCase):\n    def test_add(self):\n        self.assertEqual(calc.add(1, 2), 3)\n"
OLD = b"import unittest, calc\n\n\nclass Old(unittest.TestCase):\n    def test_double(self):\n        self.assertEqual(calc.double(2), 4)\n"
FILES = {"tests/new": NEW, "tests/old": OLD}
F2P, P2P = "tests/test_new.py::Add::test_add", "tests/test_unit.py::Old::test_double"


def plan(**options: Any) -> GradingPlan:
    return GradingPlan(
        **{
            "tests": (TestCommand(framework="unittest", targets=("tests/test_new.py", "tests/test_unit.py"), timeout_s=20),),
            "fail_to_pass": (F2P,),
            "pass_to_pass": (P2P,),
            "hidden": (HiddenFile(path="tests/test_new.py", source="tests/new"), HiddenFile(path="tests/test_unit.py", source="tests/old")),
            **options,
        }
    )


@pytest.fixture
def base(image: Path) -> BaseTree:
    return BaseTree.from_directory(image)


async def judge(change: Change, spec: SandboxSpec, provider: Any, **options: Any) -> Any:
    return await grade(change, plan(**options), spec=spec, provider=provider, files=FILES.__getitem__)


async def test_the_fix_scores_one_and_nothing_scores_zero(base: BaseTree, spec: SandboxSpec, provider: Any) -> None:
    verdict = await judge(Change.of({"calc.py": FIXED}, base=base), spec, provider)
    assert (verdict.status, verdict.reward, verdict.message) == ("scored", 1.0, "")
    assert dict(verdict.tests) == {F2P: "passed", P2P: "passed"}
    assert dict(verdict.components) == {"fail_to_pass": 1.0, "pass_to_pass": 1.0}
    assert "+    return a + b" in verdict.diff
    assert verdict.seconds > 0
    verdict = await judge(Change(base=base), spec, provider)
    assert verdict.reward == 0.0
    assert dict(verdict.components) == {"fail_to_pass": 0.0, "pass_to_pass": 1.0}
    assert verdict.message == f"1 of 2 required tests did not pass: {F2P} failed"
    assert {made.network for made in provider.specs} == {"none"}
    assert [(box.commands, box.closed) for box in provider.made] == [(1, True), (1, True)]


async def test_a_regression_scores_zero(base: BaseTree, spec: SandboxSpec, provider: Any) -> None:
    verdict = await judge(Change.of({"calc.py": FIXED.replace(b"2 * a", b"3 * a")}, base=base), spec, provider)
    assert verdict.reward == 0.0
    assert dict(verdict.components) == {"fail_to_pass": 1.0, "pass_to_pass": 0.0}


async def test_a_refused_change_costs_no_sandbox(spec: SandboxSpec, provider: Any) -> None:
    verdict = await judge(Change(refused="The change is too large."), spec, provider)
    assert (verdict.reward, verdict.message) == (0.0, "The change is too large.")
    assert set(verdict.tests.values()) == {"missing"}
    assert not provider.made


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"import time\ntime.sleep(60)\n", "did not end within 1 s"),
        (b"import os\nos.kill(os.getpid(), 9)\n", "SIGKILL"),
        (b"import os\nos._exit(0)\n", "wrote no report"),
    ],
)
async def test_what_the_agent_causes_is_scored(base: BaseTree, spec: SandboxSpec, provider: Any, body: bytes, said: str) -> None:
    command = TestCommand(framework="unittest", targets=("tests",), timeout_s=1 if "1 s" in said else 60)
    verdict = await judge(Change.of({"calc.py": body}, base=base), spec, provider, tests=(command,))
    assert (verdict.status, verdict.reward) == ("scored", 0.0)
    assert said in verdict.message


def once(body: str, mark: Path) -> bytes:
    """Source that does `body` where `mark` is not there yet, and makes it."""
    return f"import os, time\nif not os.path.exists({str(mark)!r}):\n    open({str(mark)!r}, 'w').close()\n    {body}\n".encode()


KILL = "os.kill(os.getpid(), 9)"


@pytest.mark.parametrize(("body", "timeout_s", "said"), [("time.sleep(60)", 8, "did not end within 8 s"), (KILL, 60, "SIGKILL")])
async def test_what_a_busy_machine_may_cause_is_graded_once_more(
    base: BaseTree, image: Path, provider: Any, *, body: str, timeout_s: float, said: str
) -> None:
    command = plan().tests[0].model_copy(update={"timeout_s": timeout_s})
    change = Change.of({"calc.py": once(body, image.parent / "seen") + FIXED}, base=base)
    verdict = await judge(change, SandboxSpec(image="plain", workdir="/testbed"), provider, tests=(command,))
    assert (verdict.reward, len(provider.made)) == (1.0, 2)
    assert "second attempt" in verdict.message and said in verdict.message


@pytest.mark.parametrize(("lost", "reward", "runs"), [("in the first run", 1.0, 2), ("in every run", 0.0, 2), ("of the fix", 0.0, 1)])
async def test_results_that_are_lost_are_asked_for_once_more(
    base: BaseTree, image: Path, provider: Any, *, lost: str, reward: float, runs: int
) -> None:
    seen = image.parent / "seen"
    old, new = OLD.decode(), NEW.decode()
    if lost == "in the first run":
        old += f"import os\nif not os.path.exists({str(seen)!r}):\n    open({str(seen)!r}, 'w').close()\n    del Old.test_double\n"
    elif lost == "in every run":
        old += "del Old.test_double\n"
    else:
        new += "del Add.test_add\n"
    kept = "\n\nclass Kept(unittest.TestCase):\n    def test_kept(self): pass\n"
    content = {"tests/new": f"{new}{kept}".encode(), "tests/old": f"{old}{kept}".encode()}
    change = Change.of({"calc.py": FIXED}, base=base)
    spec = SandboxSpec(image="plain", workdir="/testbed")
    verdict = await grade(change, plan(), spec=spec, provider=provider, files=content.__getitem__)
    assert (verdict.reward, len(provider.made)) == (reward, runs)
    assert ("1 results of tests that the fix does not turn were lost" in verdict.message) is (runs == 2)


async def test_one_run_is_repeated_and_no_more(base: BaseTree, image: Path, spec: SandboxSpec, provider: Any) -> None:
    decoys = {"files": (HiddenFile(path="tests/test_new.py", source="tests/new"),), "fails": ("no such test",), "holds": (F2P,)}
    first, seen = image.parent / "first", image.parent / "seen"
    in_the_second_run = f"import os\nif os.path.exists({str(first)!r}) and not os.path.exists({str(seen)!r}):\n".encode()
    in_the_second_run += f"    open({str(seen)!r}, 'w').close()\n    {KILL}\nopen({str(first)!r}, 'w').close()\n".encode()
    verdict = await judge(Change.of({"calc.py": in_the_second_run + FIXED}, base=base), spec, provider, decoys=decoys)
    assert (verdict.reward, len(provider.made)) == (1.0, 3)
    verdict = await judge(Change.of({"calc.py": f"import os\n{KILL}\n".encode()}, base=base), spec, provider, decoys=decoys)
    assert (verdict.reward, verdict.failure, len(provider.made)) == (0.0, "killed", 5)
    assert verdict.message.count("SIGKILL") == 2


async def test_a_test_that_has_nothing_to_do_with_the_fix_and_fails_once_beside_decoys_does_not_bend_it(
    base: BaseTree, image: Path, spec: SandboxSpec, provider: Any
) -> None:
    """A test of the clock, on a busy machine; what the fix turns gets no second chance."""
    decoys = {"files": (HiddenFile(path="tests/test_new.py", source="tests/new"),), "fails": ("no such test",), "holds": (F2P, P2P)}
    first, seen = image.parent / "first", image.parent / "seen"
    once_more = (
        f"import os\nfirst, seen = {str(first)!r}, {str(seen)!r}\nfails = os.path.exists(first) and not os.path.exists(seen)\n"
        "if fails:\n    open(seen, 'w').close()\nopen(first, 'w').close()\n"
    ).encode()
    unrelated = once_more + FIXED.replace(b"2 * a", b"(3 if fails else 2) * a")
    verdict = await judge(Change.of({"calc.py": unrelated}, base=base), spec, provider, decoys=decoys)
    assert (verdict.reward, len(provider.made)) == (1.0, 3), verdict.message
    for mark in (first, seen):
        mark.unlink()
    turned = once_more + FIXED.replace(b"a + b", b"a + b - fails")
    verdict = await judge(Change.of({"calc.py": turned}, base=base), spec, provider, decoys=decoys)
    assert (verdict.reward, verdict.failure, len(provider.made)) == (0.0, "bent", 5)


async def test_where_every_turned_test_was_changed_the_true_ones_run_again(base: BaseTree, spec: SandboxSpec, provider: Any) -> None:
    decoys = {"files": (HiddenFile(path="tests/test_new.py", source="tests/new"),), "fails": ("no such test",), "holds": (P2P,)}
    verdict = await judge(Change.of({"calc.py": FIXED}, base=base), spec, provider, decoys=decoys)
    assert (verdict.reward, len(provider.made)) == (1.0, 3)
    assert all(box.closed for box in provider.made)
    verdict = await judge(Change.of({"calc.py": FIXED}, base=base), spec, provider, decoys={**decoys, "holds": (F2P, P2P)})
    assert (verdict.reward, len(provider.made)) == (1.0, 5), "one that was spared already shows the same"


def test_a_plan_says_how_long_a_verdict_may_take() -> None:
    command = TestCommand(framework="unittest", timeout_s=100)
    assert plan(tests=(command, command)).bound_s == 580
    decoys = {"files": (HiddenFile(path="tests/test_new.py", source="tests/new"),), "fails": (F2P,)}
    assert plan(tests=(command,), decoys=decoys).bound_s == 480


class Losing:
    """A provider whose sandboxes are lost, slow to make, or slow to close."""

    def __init__(self, reason: Any = None, *, create_s: float = 0.0, close_s: float = 0.0) -> None:
        self._reason, self._create_s, self._close_s = reason, create_s, close_s

    async def create(self, spec: SandboxSpec) -> Losing:
        await asyncio.sleep(self._create_s)
        return self

    async def run(self, script: str, **_: Any) -> Any:
        raise SandboxLost("gone", reason=self._reason)

    async def close(self) -> None:
        await asyncio.sleep(self._close_s)


async def test_memory_is_the_agents_and_everything_else_is_not(base: BaseTree, spec: SandboxSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    verdict = await judge(Change(base=base), spec, Losing("oom"))
    assert (verdict.reward, verdict.message) == (0.0, "The tests exceeded the sandbox's memory.")
    with pytest.raises(SandboxLost):
        await judge(Change(base=base), spec, Losing("evicted"))
    with pytest.raises(TransportError, match="No grading sandbox"):
        await judge(Change(base=base), spec, Losing("oom", create_s=5), create_timeout_s=0.05)
    monkeypatch.setattr(grading, "_CLOSE_S", 0.05)
    with pytest.raises(TransportError, match="did not close"):
        await judge(Change(base=base), spec, Losing("oom", close_s=5))


async def test_several_commands_stop_at_the_first_problem(base: BaseTree, spec: SandboxSpec, provider: Any) -> None:
    new, old = (TestCommand(framework="unittest", targets=(f"tests/test_{name}.py",), timeout_s=20) for name in ("new", "unit"))
    verdict = await judge(Change.of({"calc.py": FIXED}, base=base), spec, provider, tests=(new, old, new))
    assert verdict.reward == 1.0
    assert provider.made[-1].commands == 3
    verdict = await judge(Change.of({"calc.py": b"import os\nos._exit(0)\n"}, base=base), spec, provider, tests=(new, old))
    assert verdict.reward == 0.0
    assert provider.made[-1].commands == 1


async def test_hidden_files_that_are_missing_or_changed_break_the_task_not_the_agent(
    base: BaseTree, spec: SandboxSpec, provider: Any
) -> None:
    for hidden in (HiddenFile(path="t.py", source="no/such"), HiddenFile(path="t.py", source="tests/new", sha256="0" * 64)):
        with pytest.raises(PlanError, match="Restore or rebuild"):
            await judge(Change(base=base), spec, provider, hidden=(hidden,))
    assert not provider.made


async def test_tests_that_the_fix_removed_are_removed(base: BaseTree, spec: SandboxSpec, provider: Any) -> None:
    options: Any = {"removed": ("tests/test_old.py",), "tests": (TestCommand(framework="unittest", targets=("tests",)),)}
    verdict = await judge(Change.of({"calc.py": FIXED, "tests/test_old.py": b"raise SystemExit"}, base=base), spec, provider, **options)
    assert verdict.reward == 1.0
    assert [entry.path for entry in verdict.dropped] == ["tests/test_old.py"]


async def test_the_plan_runs_the_base_alone(spec: SandboxSpec, provider: Any) -> None:
    (report,) = await run_plan(
        plan(tests=(TestCommand(framework="unittest", targets=("tests",)),)),
        spec=spec,
        provider=provider,
        files=FILES.__getitem__,
        hidden=False,
    )
    assert report.problem == "nothing_ran"


def test_plans_are_json_and_refuse_contradictions() -> None:
    made = plan(removed=("a/b.py",), editable=("calc.py",), left_over={"x": "100644 00"})
    assert GradingPlan.model_validate_json(made.model_dump_json()) == made
    assert made.required == (F2P, P2P)
    for options in (
        {"fail_to_pass": (), "pass_to_pass": ()},
        {"pass_to_pass": (F2P,)},
        {"hidden": (HiddenFile(path="../x", source="y"),)},
        {"removed": ("/etc/passwd",)},
        {"tests": ()},
        {"unknown": 1},
    ):
        with pytest.raises(ValidationError):
            plan(**options)


async def test_verifying_takes_looks_up_grades_and_remembers(base: BaseTree, spec: SandboxSpec, provider: Any) -> None:
    cache = VerdictCache()
    cache.put("task", EMPTY_DIGEST, await judge(Change(base=base), spec, provider))

    async def verify(made: GradingPlan, digest: str = "task") -> Any:
        return await verify_change(
            sandbox, made, base=base, spec=spec, provider=provider, files=FILES.__getitem__, task_digest=digest, cache=cache
        )

    sandbox = await provider.create(spec)
    before = len(provider.made)
    verdict = await verify(plan())
    assert (verdict.reward, verdict.cached, len(provider.made), sandbox.commands) == (0.0, True, before, 1)
    await sandbox.write("calc.py", FIXED)
    verdict = await verify(plan())
    assert (verdict.reward, verdict.cached, len(provider.made)) == (1.0, False, before + 1)
    verdict = await verify(plan())
    assert (verdict.reward, verdict.cached, len(provider.made)) == (1.0, True, before + 1)
    assert "+    return a + b" in verdict.diff
    assert not (await verify(plan(deterministic=False))).cached
    assert not (await verify(plan(), digest="")).cached


async def test_a_known_verdict_tells_what_was_left_out_of_this_change(base: BaseTree, spec: SandboxSpec, provider: Any) -> None:
    cache = VerdictCache()
    told = []
    for name in ("first.log", "second.log"):
        sandbox = await provider.create(spec)
        await sandbox.write("calc.py", FIXED)
        await sandbox.write(name, b"")
        await sandbox.write("tests/test_old.py", b"")
        verdict = await verify_change(
            sandbox, plan(), base=base, spec=spec, provider=provider, files=FILES.__getitem__, task_digest="task", cache=cache
        )
        told.append((verdict.cached, sorted(entry.path for entry in verdict.dropped)))
    assert told == [(False, ["first.log", "tests/test_old.py"]), (True, ["second.log", "tests/test_old.py"])]
