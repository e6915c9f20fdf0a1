"""Rows made into tasks in real repositories, and what is said of rows that are wrong."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from podgym.envs.audit import audit
from podgym.envs.formats import read_mapping
from podgym.envs.formats.exporting import export_harbor, export_rows, swe_bench_row
from podgym.envs.formats.problem import RowError
from podgym.envs.formats.scratch import make_commits
from podgym.envs.harbor import TaskError, TaskFiles, read_task
from podgym.envs.repository import open_source

TURNS = ("tests/test_calc.py::CalcTest::test_add",)
KEEPS = ("tests/test_calc.py::CalcTest::test_double",)


def kinds(row: Any) -> list[str]:
    return [problem.kind for problem in row.problems]


async def test_a_row_becomes_a_task(calc: Any, write_rows: Any, import_rows: Any, tmp_path: Path) -> None:
    (done,) = await import_rows(write_rows(calc.row()))
    assert (done.status, done.problems, done.format, done.instance) == ("validated", (), "swe-bench", "owner__calc-7")
    assert (done.fail_to_pass, done.pass_to_pass, done.base) == (TURNS, KEEPS, calc.base)
    assert done.source == str(calc.path)
    task = read_task(Path(done.out))
    assert task.id == "owner__calc-7" and task.instruction == "Adding subtracts\n"
    assert task.provenance["source"] == str(calc.path) and task.provenance["repo"] == "owner/calc"
    assert task.provenance["committed"] == "2023-11-14T22:30:00+00:00" and task.provenance["instance"] == "owner__calc-7"
    assert audit(Path(done.out)).findings == ()
    assert sorted(path.name for path in (tmp_path / "tasks").iterdir()) == [".funnel.lock", "funnel.jsonl", "owner__calc-7"]
    again = await import_rows(write_rows(calc.row()))
    assert again[0].model_dump() == done.model_dump()


async def test_what_is_wrong_with_rows(calc: Any, write_rows: Any, import_rows: Any) -> None:
    lie = json.dumps([*TURNS, *KEEPS, "tests/test_calc.py::CalcTest::test_nothing"])
    half = calc.row(instance_id="half", patch=calc.diff(), test_patch="")
    broken_patch = calc.row()["patch"].replace("return a - b", "return a / b")
    rows = await import_rows(
        write_rows(
            calc.row(instance_id="lies", FAIL_TO_PASS=lie, PASS_TO_PASS=list(TURNS), log_parser="import os"),
            calc.row(instance_id="lists-too-few", FAIL_TO_PASS="[]"),
            half,
            calc.row(instance_id="bad-patch", patch=broken_patch),
            calc.row(instance_id="no-patch", patch=""),
            calc.row(instance_id="bad-tests", test_patch="diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n"),
            calc.row(instance_id="no-base", base_commit="f" * 40),
            calc.row(instance_id="elsewhere", repo="owner/other"),
            calc.row(instance_id="outside", repo="owner/.."),
            calc.row(instance_id="", base_commit=calc.base),
            {"question": 1},
            "{broken",
            calc.row(instance_id="no-tests", test_patch=calc.diff("nothing") or calc.row()["patch"].replace("calc.py", "tests/none.py")),
        )
    )
    said = {row.instance or str(row.line): row for row in rows}
    lies = {problem.kind: problem for problem in said["lies"].problems}
    assert said["lies"].status == "validated" and set(lies) == {"passes_before", "absent", "fails_before", "unused"}
    assert lies["passes_before"].examples == KEEPS and lies["absent"].examples == ("tests/test_calc.py::CalcTest::test_nothing",)
    assert lies["unused"].examples == ("log_parser",)
    assert kinds(said["lists-too-few"]) == ["unlisted"] and said["lists-too-few"].problems[0].examples == TURNS
    assert said["half"].status == "validated" and kinds(said["half"]) == ["tests_in_fix"]
    assert kinds(said["bad-patch"]) == ["fix_does_not_apply"] and "calc.py" in said["bad-patch"].message
    assert kinds(said["no-patch"]) == ["empty_fix"] and kinds(said["bad-tests"]) == ["tests_do_not_apply"]
    assert kinds(said["no-base"]) == ["base_missing"] and kinds(said["elsewhere"]) == ["repository"]
    assert kinds(said["outside"]) == ["no_repository"]
    assert kinds(said["10"]) == ["broken_row"] and kinds(said["11"]) == ["unknown_format"] and kinds(said["12"]) == ["broken_row"]
    assert kinds(said["no-tests"]) == ["tests_do_not_apply"]
    assert [row.line for row in rows] == list(range(1, 14)) and all(row.stage == "line" for row in rows[3:])


async def test_a_row_whose_tests_prove_nothing(calc: Any, write_rows: Any, import_rows: Any) -> None:
    unrelated = calc.diff("tests").replace("calc.add(1, 2), 3", "calc.double(3), 6")
    (row,) = await import_rows(write_rows(calc.row(test_patch=unrelated)))
    assert (row.status, row.reason, kinds(row)) == ("failed", "already_passing", ["not_validated"])


async def test_rows_of_the_other_data_sets(calc: Any, write_rows: Any, import_rows: Any) -> None:
    plain = calc.row()
    multi = {"org": "owner", "repo": "calc", "number": 8, "base": {"sha": calc.base}, "fix_patch": plain["patch"], "lang": "python"}
    multi |= {"test_patch": plain["test_patch"], "resolved_issues": [{"title": "Adding", "body": "subtracts"}]}
    multi |= {"f2p_tests": {TURNS[0]: {}}, "p2p_tests": {KEEPS[0]: {}}}
    bug = calc.diff("calc.py", old=calc.fix, new=calc.base)
    smith = {"instance_id": f"owner__calc.{calc.fix[:8]}.func_pm__x1", "repo": f"swesmith/owner__calc.{calc.fix[:8]}", "patch": bug}
    smith |= {"FAIL_TO_PASS": list(TURNS), "PASS_TO_PASS": list(KEEPS), "problem_statement": "Adding subtracts", "image_name": "x"}
    before, after = ((calc.git("show", f"{commit}:calc.py")) for commit in (calc.base, calc.fix))
    diff = {
        "header": {"file": {"path": "calc.py"}},
        "plus_file": {"path": "b/calc.py"},
        "old_file_content": before,
        "new_file_content": after,
    }
    tests = calc.git("show", f"{calc.fix}:tests/test_calc.py")
    r2e = {"repo_name": "owner/calc", "commit_hash": calc.fix, "docker_image": "x", "problem_statement": "Adding subtracts"}
    r2e |= {"parsed_commit_content": json.dumps({"file_diffs": [diff], "old_commit_hash": f"{calc.fix}^", "new_commit_hash": calc.fix})}
    r2e |= {"execution_result_content": json.dumps({"test_file_codes": [tests], "test_file_names": ["test_1.py"]})}
    r2e |= {"expected_output_json": json.dumps({"CalcTest.test_add": "PASSED", "CalcTest.test_double": "PASSED"})}
    made = await import_rows(write_rows(multi, smith, r2e))
    assert [(row.format, row.status, kinds(row)) for row in made] == [
        ("multi-swe-bench", "validated", []),
        ("swe-smith", "validated", []),
        ("r2e-gym", "validated", []),
    ], made
    assert made[0].instance == "owner__calc-8" and made[0].fail_to_pass == TURNS and made[0].base == calc.base
    broken = read_task(Path(made[1].out))
    assert made[1].fail_to_pass == TURNS and set(made[1].pass_to_pass) >= set(KEEPS)
    assert TaskFiles(Path(made[1].out))("solution/gold.patch").count(b"\n+    return a + b") == 1
    assert {file["path"] for file in broken.grading["hidden"]} == {"tests/test_calc.py"}
    assert made[2].fail_to_pass == ("r2e_tests/test_1.py::CalcTest::test_add",) and made[2].base == calc.base


def test_a_bug_has_no_history_and_no_tests(calc: Any, tmp_path: Path) -> None:
    bug = calc.diff("calc.py", old=calc.fix, new=calc.base)
    row = read_mapping({"instance_id": f"owner__calc.{calc.fix[:8]}.x", "patch": bug, "FAIL_TO_PASS": ["test_add (test_calc.CalcTest)"]})
    with open_source(calc.path, tmp_path / "cache") as source:
        commits = make_commits(row, source, tmp_path / "scratch")
        again = make_commits(row, source, tmp_path / "again")
        assert commits == again and commits.test_paths == {"tests/test_calc.py"} and commits.fix_paths == {"calc.py"}
        for ids, kind in ((["test_not_there"], "empty_tests"), ([], "empty_tests")):
            other = read_mapping({"instance_id": f"owner__calc.{calc.fix[:8]}.x", "patch": bug, "FAIL_TO_PASS": ids})
            with pytest.raises(RowError) as raised:
                make_commits(other, source, tmp_path / f"scratch-{len(ids)}")
            assert raised.value.kind == kind
    with open_source(tmp_path / "scratch", tmp_path / "cache") as made:
        assert made.parents(commits.base) == () and made.parents(commits.fix) == (commits.base,)
        assert {entry.path for entry in made.list_tree(commits.base)} == {"README.md", "calc.py", "tests/__init__.py"}
        assert b"a - b" in made.read(commits.base, "calc.py") and b"a + b" in made.read(commits.fix, "calc.py")


@pytest.mark.parametrize("path", ["../outside.py", ".git/config", "a/.git/hooks/x", "/etc/passwd"])
def test_patches_that_lead_elsewhere_do_not_apply(calc: Any, tmp_path: Path, path: str) -> None:
    patch = f"diff --git a/{path} b/{path}\nnew file mode 100644\n--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+x\n"
    row = read_mapping(calc.row(patch=patch))
    with open_source(calc.path, tmp_path / "cache") as source, pytest.raises(RowError) as raised:
        make_commits(row, source, tmp_path / "scratch")
    assert raised.value.kind == "fix_does_not_apply"


def parts(directory: Path) -> tuple[Any, ...]:
    """What a round trip must keep."""
    task, files = read_task(directory), TaskFiles(directory)
    grading = task.grading
    return (
        task.provenance["base"],
        task.provenance["committed"],
        task.instruction,
        files("solution/gold.patch"),
        files("solution/tests.patch"),
        tuple(grading["fail_to_pass"]),
        tuple(grading["pass_to_pass"]),
    )


async def test_round_trips(calc: Any, write_rows: Any, import_rows: Any, tmp_path: Path) -> None:
    (first,) = await import_rows(write_rows(calc.row()), out=tmp_path / "first")
    exported = tmp_path / "exported.jsonl"
    assert export_rows([Path(first.out)], exported) == 1
    row = json.loads(exported.read_text())
    same = ("repo", "instance_id", "base_commit", "FAIL_TO_PASS")
    assert {key: row[key] for key in same} == {key: calc.row()[key] for key in same}
    (second,) = await import_rows(exported, out=tmp_path / "second")
    assert second.problems == () and parts(Path(second.out)) == parts(Path(first.out))
    (copied,) = export_harbor([Path(second.out)], tmp_path / "harbor")
    shutil.rmtree(tmp_path / "first")
    # podgym's own directory carries its repository: no other is needed.
    (third,) = await import_rows(tmp_path / "harbor", out=tmp_path / "third", repo=None)
    assert (third.format, third.problems) == ("harbor", ()) and parts(Path(third.out)) == parts(copied)
    assert swe_bench_row(Path(third.out)) == row


async def test_a_harbor_task_of_another_builder(calc: Any, import_rows: Any, tmp_path: Path) -> None:
    directory = tmp_path / "foreign" / "calc-7"
    for name, text in {
        "task.toml": f'version = "1.0"\n[metadata.other]\nbase_commit = "{calc.base}"\n',
        "instruction.md": "Adding subtracts",
        "environment/Dockerfile": "FROM debian\nRUN git clone https://example.org/owner/calc.git /app\nWORKDIR /app\n",
        "solution/solve.sh": f"#!/bin/sh\ngit apply <<'EOF'\n{calc.row()['patch']}EOF\n",
        "tests/test.sh": "pytest\n",
        "tests/tests/test_calc.py": calc.git("show", f"{calc.fix}:tests/test_calc.py"),
    }.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)
    (row,) = await import_rows(directory)
    assert (row.status, row.format, row.fail_to_pass, kinds(row)) == ("validated", "harbor", TURNS, []), row
    (row,) = await import_rows(directory, repo=None, out=tmp_path / "other")
    assert kinds(row) == ["no_repository"] and "--follow" in row.message


def test_what_cannot_be_exported(calc: Any, tmp_path: Path) -> None:
    with pytest.raises(TaskError):
        export_rows([tmp_path], tmp_path / "rows.jsonl")
    assert not (tmp_path / "rows.jsonl").exists() and list(tmp_path.iterdir()) == []
