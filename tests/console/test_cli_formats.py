"""`podgym env import` and `podgym env export`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

QUICK = ("-o", "repeats=1", "-o", "decoys=false", "--provider", "local")


def test_a_task_goes_out_and_comes_back(cli: Any, built: Path, fix: Any, tmp_path: Path) -> None:
    said = cli("env", "export", built, "--format", "swe-bench", "--out", "rows.jsonl")
    assert (said.code, said.out, said.err) == (0, "rows.jsonl\n", "1 rows\n")
    (row,) = map(json.loads, Path("rows.jsonl").read_text().splitlines())
    assert row["base_commit"] == fix.base and json.loads(row["FAIL_TO_PASS"]) == ["test_shop.py::Prices::test_discount"]
    again = cli("env", "export", built, "--format", "swe-bench", "--out", "rows.jsonl")
    assert again.code == 1 and "--overwrite" in again.err
    back = cli("env", "import", "rows.jsonl", "--repo", fix.project.parent / "{name}", "--out", "back", *QUICK, "--json")
    assert back.code == 0, back.err
    (made,) = back.json["rows"]
    assert (made["status"], made["problems"], made["base"]) == ("validated", [], fix.base)
    assert back.json["problems"] == {} and back.json["summary"]["total"]["certified"] == 1
    for name in ("solution/gold.patch", "solution/tests.patch", "instruction.md"):
        assert (tmp_path / "back/shop-discount" / name).read_bytes() == (built / name).read_bytes()
    copied = cli("env", "export", "back", "--format", "harbor", "--out", "copies")
    assert copied.out == "copies/shop-discount\n" and cli("env", "show", "copies/shop-discount").code == 0


def test_what_is_wrong_is_a_table(cli: Any, built: Path, fix: Any, tmp_path: Path) -> None:
    cli("env", "export", built, "--format", "swe-bench", "--out", "rows.jsonl")
    row = json.loads(Path("rows.jsonl").read_text())
    wrong = {**row, "instance_id": "wrong", "FAIL_TO_PASS": json.dumps(["test_shop.py::Prices::test_nothing"])}
    Path("rows.jsonl").write_text(f"{json.dumps(wrong)}\n{json.dumps({**row, 'instance_id': 'other'})}\n{{\n")
    said = cli("env", "import", "rows.jsonl", "--repo", fix.project, "--out", "back", "--instance", "wrong", *QUICK)
    assert said.code == 0, said.err
    assert "absent" in said.out and "test_nothing" in said.out and "unlisted" in said.out and "other" not in said.out
    assert "0 of 1 rows have nothing wrong" in said.err
    said = cli("env", "import", "rows.jsonl", "--out", "back", "--json", *QUICK)
    assert said.code == 0 and said.json["problems"] == {"no_repository": 2, "broken_row": 1}


@pytest.mark.parametrize(
    ("arguments", "code", "say"),
    [
        (("import", "none.jsonl"), 1, "Cannot read"),
        (("import", "rows.jsonl", "--format", "cobol"), 2, "swe-rebench"),
        (("import", "rows.jsonl", "-o", "nonsense=1"), 2, "nonsense"),
        (("export", "rows.jsonl", "--format", "cobol", "--out", "x"), 1, "task"),
        (("export", ".", "--format", "harbor"), 2, "--out"),
    ],
)
def test_what_cannot_be(cli: Any, tmp_path: Path, arguments: tuple[str, ...], code: int, say: str) -> None:
    (tmp_path / "rows.jsonl").write_text("{}\n")
    said = cli("env", *arguments)
    assert said.code == code and say in said.err and said.out == "", said
