from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from podgym.envs.build import BuildError, BuildOptions
from podgym.envs.build.scan import scan_history

CODE, TEST = (
    "def one():\n    return {}\n",
    "import unittest\nimport one\n\nclass T(unittest.TestCase):\n    def test(self):\n        one.one()  # {}\n",
)


def fixes(history: Any, count: int, **more: str) -> list[str]:
    return [history.commit(f"Mend number {at}", {"one.py": CODE.format(at), "test_one.py": TEST.format(at), **more}) for at in range(count)]


@pytest.fixture
def options(tmp_path: Path) -> BuildOptions:
    return BuildOptions(cache_dir=tmp_path / "cache")


def test_the_last_so_many_newest_first(history: Any, options: BuildOptions) -> None:
    made = fixes(history, 5)
    history.commit("Docs alone", {"README.md": "x", "docs.md": "y"})
    history.commit("Everything anew", {f"data/{at}.txt": "x" for at in range(401)})
    scan = scan_history(history.path, "HEAD", 3, options=options)
    assert [found.commit for found in scan.found] == made[:1:-1] and {found.language for found in scan.found} == {"python"}
    assert scan.passed_over == {"too_many_changes": 1, "no_test_change": 1} and scan.looked_at == 5
    assert scan.model_dump(mode="json")["epochs"] == scan.epochs == 1
    whole = scan_history(history.path, made[4], 50, options=options)
    assert [found.commit for found in whole.found] == made[:0:-1] and whole.passed_over == {"root_commit": 1}


def test_what_no_plan_can_be_made_for_is_for_the_build_to_say(history: Any, options: BuildOptions) -> None:
    history.commit("Start", {"README.md": "x"})
    fix = history.commit("Mend the reader", {"src/read.go": "package read\n", "src/read_test.go": "package read\n"})
    scan = scan_history(history.path, "HEAD", 5, options=options)
    assert [(found.commit, found.epoch) for found in scan.found] == [(fix, "")] and scan.epochs == 0


def test_a_history_that_was_cut_off(history: Any, options: BuildOptions, tmp_path: Path) -> None:
    made = fixes(history, 6)
    history.git("clone", "-q", "--depth", "3", f"file://{history.path}", str(tmp_path / "shallow"), at=tmp_path)
    scan = scan_history(tmp_path / "shallow", "HEAD", 50, options=options)
    assert [found.commit for found in scan.found] == made[:3:-1] and scan.passed_over == {"root_commit": 1}


def test_a_walk_has_an_end(history: Any, options: BuildOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podgym.envs.build.scan._LEAST_LOOKED_AT", 4)
    monkeypatch.setattr("podgym.envs.build.scan._LOOKED_AT_EACH", 2)
    for at in range(8):
        history.commit(f"Number {at}", {"notes.txt": str(at)})
    scan = scan_history(history.path, "HEAD", 1, options=options)
    assert scan.looked_at == 4 and scan.found == () and scan.passed_over == {"one_file": 4}


def test_what_is_not_there(history: Any, options: BuildOptions, tmp_path: Path) -> None:
    fixes(history, 1)
    for source, tip, reason in ((tmp_path / "none", "HEAD", "source"), (history.path, "nothing", "commit_missing")):
        with pytest.raises(BuildError) as raised:
            scan_history(source, tip, 1, options=options)
        assert raised.value.reason == reason
