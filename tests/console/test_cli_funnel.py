"""`podgym env build --from` and `--scan`: many builds from one command."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

QUICK = ("-o", "repeats=1", "-o", "decoys=false", "--provider", "local")


def lines(path: Path, *values: Any) -> Path:
    path.write_text("".join((value if isinstance(value, str) else json.dumps(value)) + "\n" for value in values))
    return path


def test_many_lines_end_in_a_table(cli: Any, fix: Any, tmp_path: Path) -> None:
    file = lines(
        tmp_path / "many.jsonl",
        {"repo": str(fix.project), "commit": fix.commit, "name": "shop"},
        "{broken",
        {"repo": "nothing", "commit": "x"},
    )
    said = cli("env", "build", "--from", file, "--out", "tasks", *QUICK)
    assert said.code == 0, said.err
    head, python, unknown, every, *reasons = said.out.splitlines()
    assert head.split("  ")[0] == "language" and "tests run" in head and "90 % s" in head
    assert {python.split()[0], unknown.split()[0]} == {"python", "unknown"} and every.split()[:7] == ["all", "3", "1", "1", "1", "1", "1"]
    assert any("bad_line" in line for line in reasons) and any("source" in line for line in reasons)
    assert "[3/3] line 3" in said.err and "shop (python) validated" in said.err
    again = cli("env", "build", "--from", file, "--out", "tasks", *QUICK, "--json").json
    assert [row["status"] for row in again["rows"]] == ["validated", "failed", "failed"]
    assert again["rows"][0]["fail_to_pass"] == ["test_shop.py::Prices::test_discount"]
    assert again["summary"]["total"]["certified"] == 1 and again["summary"]["total"]["attempted"] == 3
    assert {reason["reason"] for reason in again["summary"]["reasons"]} == {"bad_line", "source"}
    assert json.loads((tmp_path / "tasks/funnel.jsonl").read_text().splitlines()[0])["task"] == "shop"


@pytest.mark.slow
def test_several_workers_are_ray_tasks(cli: Any, fix: Any, tmp_path: Path) -> None:
    values = [{"repo": str(fix.project), "commit": fix.commit, "name": f"shop-{number}"} for number in range(3)]
    file = lines(tmp_path / "many.jsonl", *values, {"repo": str(fix.project), "commit": "f" * 40})
    said = cli("env", "build", "--from", file, "--workers", 2, *QUICK, "--json")
    assert said.code == 0, said.err
    rows = said.json["rows"]
    assert [row["status"] for row in rows] == ["validated"] * 3 + ["failed"] and rows[3]["reason"] == "commit_missing"
    assert sorted(path.name for path in (tmp_path / "tasks").iterdir() if path.is_dir()) == ["shop-0", "shop-1", "shop-2"]


def test_a_history_is_scanned(cli: Any, project: Any, shop: Mapping[str, str], tmp_path: Path) -> None:
    project.commit("Begin", {"shop.py": shop["broken"], "test_shop.py": shop["tests"]})
    project.commit("Say more", {"README.md": "Prices", "notes.txt": "x"})
    project.git("checkout", "-q", "-b", "side")
    project.commit("Half of it", {"shop.py": shop["fixed"]})
    project.commit("The other half", {"test_shop.py": shop["more_tests"]})
    project.git("checkout", "-q", "main")
    project.commit("Elsewhere", {"other.py": "1\n"})
    project.git("merge", "-q", "--no-ff", "-m", "Discounts are in percent", "side")
    merge = project.git("rev-parse", "HEAD")
    more = shop["more_tests"] + "\n    def test_two(self):\n        self.assertEqual(shown(1.005), '1.00')\n"
    weak = project.commit("Round prices", {"shop.py": shop["fixed"] + "\n\nROUND = 2\n", "test_shop.py": more})
    said = cli("env", "build", project.path, "--scan", 5, *QUICK, "--json")
    assert said.code == 0, said.err
    result = said.json
    assert [found["commit"] for found in result["scan"]["found"]] == [weak, merge]
    assert result["scan"]["passed_over"] == {"one_file": 1, "no_test_change": 1, "root_commit": 1}
    assert (result["scan"]["looked_at"], result["scan"]["epochs"]) == (5, 1)
    assert [(row["status"], row["reason"]) for row in result["rows"]] == [("failed", "already_passing"), ("validated", "")]
    assert "2 of 5 commits" in said.err
    only = cli("env", "build", project.path, "--scan", 1, "--commit", f"{weak}~1", *QUICK, "--json").json
    assert [(row["commit"], row["line"]) for row in only["rows"]] == [(merge, 1)]


@pytest.mark.parametrize(
    ("arguments", "say"),
    [
        (("--from", "many.jsonl", "--issue", "x"), "--issue"),
        (("--from", "many.jsonl", "--dry-run"), "--dry-run"),
        (("--from", "many.jsonl", "--commit", "x"), "give no other"),
        (("a", "--from", "many.jsonl"), "give no other"),
        (("--scan", "3"), "history"),
        (("a", "--scan", "0"), "--scan"),
        (("a",), "--from FILE"),
        (("--from", "many.jsonl", "--workers", "0"), "--workers"),
    ],
)
def test_what_does_not_go_together(cli: Any, tmp_path: Path, arguments: tuple[str, ...], say: str) -> None:
    lines(tmp_path / "many.jsonl", {"repo": "a", "commit": "b"})
    said = cli("env", "build", *arguments)
    assert said.code == 2 and say in said.err and said.out == ""


def test_what_is_not_there(cli: Any, tmp_path: Path) -> None:
    said = cli("env", "build", "--from", "none.jsonl")
    assert (said.code, said.out) == (1, "") and "cannot be read" in said.err
    said = cli("env", "build", tmp_path / "none", "--scan", 3)
    assert said.code == 1 and "nothing at" in said.err
    lines(tmp_path / "many.jsonl", {"repo": "a", "commit": "b"})
    said = cli("env", "build", "--from", "many.jsonl", "--provider", "none")
    assert said.code == 1 and "No sandbox provider" in said.err
    lines(tmp_path / "empty.jsonl")
    said = cli("env", "build", "--from", "empty.jsonl", "--json")
    assert said.code == 0 and said.json["rows"] == [] and said.json["summary"]["total"]["attempted"] == 0
