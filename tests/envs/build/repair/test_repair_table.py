"""Every log of `logs/*.toml`: what is read from it, and what the first remedy makes of the plan."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from podgym.envs.build.catalogue import Catalogue
from podgym.envs.build.plan import BuildPlan
from podgym.envs.build.repair import BuildFailure, classify, remedies
from podgym.envs.build.repair.edits import WRAP, with_interpreter

Planner = Callable[..., BuildPlan]

CASES: list[dict[str, Any]] = [
    case for path in sorted((Path(__file__).parent / "logs").glob("*.toml")) for case in tomllib.loads(path.read_text())["case"]
]


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_a_log_is_read_and_its_remedy_changes_the_plan(case: dict[str, Any], plan_of: Planner) -> None:
    plan = plan_of(case["language"], packages=tuple(case.get("packages", ())))
    plan = plan.model_copy(update={"build_system": case.get("build_system", plan.build_system)})
    if "script" in case:
        plan = plan.model_copy(update={"dependencies": (plan.dependencies[0].model_copy(update={"run": case["script"]}),)})
    # What fails before the first step is the base image or the packages.
    failure = BuildFailure(
        stage="tests" if case["stage"] == "tests" else "image",
        log=case["log"],
        step=0 if case["stage"] == "image" else None,
        timed_out=case.get("timed_out", False),
        out_of_memory=case.get("out_of_memory", False),
    )
    assert (case["kind"], case["subject"]) in {(cause.kind, cause.subject) for cause in classify(failure, plan)}
    offered = list(remedies(plan, failure, tried=frozenset(), catalogue=Catalogue()))
    assert offered[0].name == case["remedy"]
    assert offered[0].because.endswith(".")
    _check(offered[0].plan, case["plan"], plan)
    names = [remedy.name for remedy in offered]
    assert set(case.get("also", ())) <= set(names)
    assert len(names) == len(set(names))
    assert names[1:] == [one.name for one in remedies(plan, failure, tried=frozenset(names[:1]), catalogue=Catalogue())]


def _check(changed: BuildPlan, expected: dict[str, Any], before: BuildPlan) -> None:
    assert changed.packages == tuple(expected.get("packages", ()))
    assert (changed.base, changed.toolchain) == (expected.get("base", before.base), expected.get("toolchain", before.toolchain))
    commands = [command.model_dump_json() + command.script for command in (*changed.tests, *changed.changed)]
    for name, value in expected.get("exported", {}).items():
        assert all(f"export {name}=" in step.run and value in step.run for step in changed.steps)
        assert all(f'"{name}":' in command and value in command for command in commands)
    for text in expected.get("first_step", ()):
        assert text in changed.steps[0].run
    for text in expected.get("last_step", ()):
        assert text in changed.steps[-1].run
    for text in expected.get("steps", ()):
        assert any(text in step.run for step in changed.steps)
    for text in expected.get("tests", ()):
        assert all(text in command for command in commands)
    assert changed.limits.memory_bytes == expected.get("memory_bytes", before.limits.memory_bytes)
    assert changed.limits.disk_bytes == expected.get("disk_bytes", before.limits.disk_bytes)
    assert changed.steps[0].timeout_s == expected.get("step_timeout_s", changed.steps[0].timeout_s)
    assert changed.tests[0].timeout_s == expected.get("test_timeout_s", before.tests[0].timeout_s)
    assert len(changed.notes) == expected.get("notes", 0)


def test_the_table_is_broad() -> None:
    assert len({case["kind"] for case in CASES}) >= 40
    assert len({case["remedy"] for case in CASES}) >= 60


def test_what_a_remedy_installs_is_for_the_interpreter_itself_whatever_stands_in_for_it(plan_of: Planner) -> None:
    plan = plan_of("python", env={"VIRTUAL_ENV": "/opt/venv"})
    plan = plan.model_copy(update={"tests": (plan.tests[0].model_copy(update={"python": f"{WRAP}/python-rebuilt"}),)})
    nobody = with_interpreter(plan, "python-unprivileged")
    failure = BuildFailure(stage="tests", log="E   ModuleNotFoundError: No module named 'yaml'\n")
    for changed in (plan, nobody):
        script = next(remedies(changed, failure, tried=frozenset(), catalogue=Catalogue())).plan.install[-1].run
        assert "--python /opt/venv/bin/python " in script
        assert WRAP not in script
    assert f"command -v {WRAP}/python-rebuilt" in nobody.install[-1].run
    bare = nobody.model_copy(update={"env": {}})
    assert "\npython -m pip" in next(remedies(bare, failure, tried=frozenset(), catalogue=Catalogue())).plan.install[-1].run
