"""The demonstration's generated projects: bugs that tests tell apart, histories that are what they say."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest

from podgym.console.demo.bugs import FAMILIES, Family, draw_function
from podgym.console.demo.demonstrations import draw_edit
from podgym.console.demo.projects import draw_project, write_history
from podgym.envs.audit import audit
from podgym.envs.build import build_task
from podgym.sandbox.local import LocalConfig, LocalProvider


def value(parameters: tuple[str, ...], body: str, arguments: str) -> str:
    return repr(eval(f"(lambda {', '.join(parameters)}: {body})({arguments})"))


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_only_the_right_body_passes_the_cases(family: Family) -> None:
    for seed in range(60):
        function = draw_function(random.Random(seed), family)
        for body in (function.broken, *function.others):
            results = [value(function.parameters, body, case) == expected for case, expected in function.cases]
            assert not all(results), (function, body)
        assert all(value(function.parameters, function.fixed, case) == expected for case, expected in function.cases)


def test_projects_depend_on_seed_and_index_alone() -> None:
    assert draw_project(3, 5) == draw_project(3, 5)
    assert draw_project(3, 5) != draw_project(3, 6)
    assert draw_project(4, 5) != draw_project(3, 5)


def test_what_an_edit_replaces_stands_once_in_the_file() -> None:
    for index in range(50):
        for fix in draw_project(1, index).fixes:
            assert fix.source_before.count(fix.function.broken) == 1


def test_demonstrated_edits_apply_and_are_right_as_often_as_asked() -> None:
    rng = random.Random(0)
    fixes = [fix for index in range(60) for fix in draw_project(1, index).fixes]
    edits = [(fix, draw_edit(rng, fix, right=0.4)) for fix in fixes]
    assert all(fix.source_before.count(old) == 1 and old != new for fix, (old, new) in edits)
    share = sum((old, new) == (f"return {fix.function.broken}", f"return {fix.function.fixed}") for fix, (old, new) in edits) / len(edits)
    assert 0.33 < share < 0.47


def test_history_holds_each_fix_with_its_tests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    project = write_history(draw_project(2, 0), Path("project.git"))

    def git(*arguments: str) -> str:
        return subprocess.run(["git", "-C", tmp_path / "project.git", *arguments], check=True, capture_output=True, text=True).stdout

    assert git("fsck", "--strict") == ""
    for fix in project.fixes:
        assert git("show", f"{fix.commit}^:{fix.module.path}") == fix.source_before
        assert fix.issue in git("show", "-s", "--format=%B", fix.commit)
        changed = git("show", "--format=", "--name-only", fix.commit).split()
        assert sorted(changed) == sorted([fix.module.path, f"tests/test_{fix.module.name}.py"])
    git("worktree", "add", "--quiet", str(tmp_path / "tree"), project.fixes[-1].commit)
    ran = subprocess.run(["python3", "-m", "unittest", "-q"], cwd=tmp_path / "tree", capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


async def test_a_task_is_built_into_a_relative_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    project = write_history(draw_project(2, 0), Path("project.git"))
    provider = LocalProvider(LocalConfig(cache=tmp_path / "cache"))
    try:
        report = await build_task("project.git", project.fixes[0].commit, "tasks", provider=provider, name="relative")
    finally:
        await provider.close()
    assert report.status == "validated", report
    assert (tmp_path / "tasks" / "relative" / "task.toml").is_file()
    checked = audit(tmp_path / "tasks" / "relative", local=LocalConfig(cache=tmp_path / "cache"))
    assert checked.ok and checked.image is not None, checked.findings
