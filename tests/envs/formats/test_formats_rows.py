"""Rows of each data set, read."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podgym.envs.formats import FORMATS, RowFile, TaskRow, format_of, read_items, read_mapping, read_mappings
from podgym.envs.formats.row import when
from podgym.envs.harbor import TaskError

SHA = "a" * 40
COMMON = {"repo": "owner/calc", "instance_id": "owner__calc-7", "base_commit": SHA, "patch": "P", "test_patch": "T"}


def test_swe_bench() -> None:
    row = {**COMMON, "problem_statement": "Broken", "created_at": "2023-01-02T03:04:05Z", "FAIL_TO_PASS": '["a", "b", "a"]'}
    read = read_mapping({**row, "PASS_TO_PASS": ["c"], "log_parser": "def parse(): pass", "image": "x/y:1"})
    assert (read.format, read.id, read.repo, read.base, read.pull) == ("swe-bench", "owner__calc-7", "owner/calc", SHA, 7)
    assert (read.fix_patch, read.test_patch, read.instruction, read.image) == (b"P", b"T", "Broken", "x/y:1")
    assert (read.fail_to_pass, read.pass_to_pass, read.unused) == (("a", "b"), ("c",), ("log_parser",))
    assert read.created == datetime(2023, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_swe_bench_live_and_rebench_and_pro() -> None:
    live = read_mapping({**COMMON, "test_cmds": ["pytest"], "docker_image": "i", "FAIL_TO_PASS": ["a"]})
    assert (live.format, live.image, live.unused) == ("swe-bench-live", "i", ("test_cmds",))
    rebench = read_mapping({**COMMON, "install_config": {"install": []}, "language": "TS", "image_name": "j"})
    assert (rebench.format, rebench.language, rebench.image) == ("swe-rebench", "typescript", "j")
    pro = read_mapping({**COMMON, "fail_to_pass": '["a"]', "pass_to_pass": '["b"]', "before_repo_set_cmd": "git checkout x"})
    assert (pro.fail_to_pass, pro.pass_to_pass, pro.unused) == (("a",), ("b",), ("before_repo_set_cmd",))


def test_multi_swe_bench() -> None:
    row = {"org": "owner", "repo": "calc", "number": 7, "base": {"label": "l", "ref": "main", "sha": SHA}, "lang": "golang"}
    row |= {"fix_patch": "P", "test_patch": "T", "resolved_issues": [{"number": 3, "title": "Title", "body": "Body"}, "odd"]}
    tests = {"f2p_tests": {"a": {"run": "FAIL"}}, "s2p_tests": {"b": {}}, "n2p_tests": {"c": {}}, "p2p_tests": {"d": {}}}
    read = read_mapping({**row, **tests})
    assert (read.format, read.id, read.repo, read.base, read.pull) == ("multi-swe-bench", "owner__calc-7", "owner/calc", SHA, 7)
    assert (read.fail_to_pass, read.pass_to_pass, read.language) == (("a", "b", "c"), ("d",), "go")
    assert read.instruction == "Title\nBody" and read.fix_patch == b"P"


def test_swe_smith_has_a_bug_for_a_patch() -> None:
    bug = "diff --git a/x.py b/x.py\n--- a/x.py\n+++ b/x.py\n@@ -1 +1 @@\n-good\n+bad\n"
    row = {"instance_id": "owner__calc.1234abcd.lm_rewrite__xyz", "patch": bug, "FAIL_TO_PASS": ["t.py::a"], "image_name": "swesmith.x"}
    for repo in ({"repo": "swesmith/owner__calc.1234abcd"}, {}):
        read = read_mapping({**row, **repo})
        assert (read.format, read.repo, read.base) == ("swe-smith", "owner/calc", "1234abcd")
        assert read.bug_patch == bug.encode() and b"+good\n-bad\n" in read.fix_patch


def test_r2e_gym() -> None:
    diff = {"header": {"file": {"path": "calc.py"}}, "minus_file": {"path": "a/calc.py"}, "plus_file": {"path": "b/calc.py"}}
    gone = {"header": {"file": {"path": "old.py"}}, "plus_file": {"path": "/dev/null"}, "old_file_content": "x\n", "new_file_content": ""}
    picture = {"header": {"file": {"path": "a.png"}}, "is_binary_file": True}
    diff |= {"old_file_content": "a\nb\n", "new_file_content": "a\nc\n"}
    commit = {"file_diffs": [diff, gone, picture, 7], "old_commit_hash": f"{SHA}^", "new_commit_hash": SHA}
    commit |= {"commit_date": "2021-05-06 07:08:09 +0200"}
    execution = {"test_file_codes": ["CODE", 7], "test_file_names": ["test_1.py", "b"]}
    expected = {"TestCalc.test_add": "PASSED", "TestCalc.test_x": "FAILED"}
    row = {"repo_name": "calc", "commit_hash": SHA, "docker_image": "x/calc_final:1", "problem_statement": "Broken"}
    row |= {"parsed_commit_content": json.dumps(commit), "execution_result_content": json.dumps(execution)}
    read = read_mapping({**row, "expected_output_json": json.dumps(expected)})
    assert (read.format, read.id, read.repo, read.base) == ("r2e-gym", f"calc__{SHA}", "calc", f"{SHA}^")
    assert read.fix_files == (RowFile("calc.py", b"a\nc\n"), RowFile("old.py", None))
    assert b"-b\n+c\n" in read.fix_patch and read.test_files == (RowFile("r2e_tests/test_1.py", b"CODE"),)
    assert read.passing == ("TestCalc.test_add",) and read.required == ("TestCalc.test_add",)
    assert read.created is not None and read.created.timestamp() == 1620277689


def test_a_row_that_says_nothing_is_empty() -> None:
    for kind in FORMATS:
        if kind != "harbor":
            assert read_mapping({}, kind) == TaskRow(format=kind)
    assert format_of({"a": 1}) is None and format_of({**COMMON}) == "swe-bench"


def test_times() -> None:
    moment = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert when(1_700_000_000) == when(1_700_000_000_000) == when("2023-11-14T22:13:20") == when("2023-11-14 22:13:20+00:00") == moment
    for odd in (None, "", "soon", True, 1e300, -1e30, float("nan"), [], {}):
        assert when(odd) is None


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(
    [
        "repo", "org", "number", "instance_id", "base", "base_commit", "patch", "fix_patch", "test_patch", "FAIL_TO_PASS", "f2p_tests",
        "resolved_issues", "created_at", "parsed_commit_content", "execution_result_content", "expected_output_json", "image_name",
        "language", "commit_hash", "docker_image",
    ]
)  # fmt: skip


@given(st.dictionaries(KEYS, VALUES | VALUES.map(lambda value: json.dumps(value, default=str)), max_size=12))
def test_no_row_makes_a_reader_fail(row: dict[str, Any]) -> None:
    for kind in (None, *(kind for kind in FORMATS if kind != "harbor")):
        assert isinstance(read_mapping(row, kind), TaskRow)


def test_files_of_rows(tmp_path: Path) -> None:
    lines = tmp_path / "a.jsonl"
    lines.write_text('{"a": 1}\n\n{broken\n[1]\n{"b": 2}')
    items = list(read_items(lines))
    assert [number for number, _ in items] == [1, 3, 4, 5] and items[0][1] == {"a": 1} and items[2][1] is None
    assert "not JSON" in str(items[1][1])
    with pytest.raises(TaskError, match="not JSON"):
        list(read_mappings(lines))
    whole = tmp_path / "a.json"
    whole.write_text('[{"a": 1}, "text", {"b": 2}]')
    assert list(read_mappings(whole)) == [{"a": 1}, {"b": 2}]
    with pytest.raises(TaskError, match="Cannot read"):
        list(read_items(tmp_path / "none.json"))
