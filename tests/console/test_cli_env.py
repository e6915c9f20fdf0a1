"""`podgym env`: what it makes, what it finds, and what it says when it cannot."""

from __future__ import annotations

import json
import shutil
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest


def test_init_writes_a_package(cli: Any, tmp_path: Path):
    said = cli("env", "init", "file-puzzle")
    assert said.code == 0
    assert "file-puzzle/pyproject.toml" in said.out.splitlines()
    assert (tmp_path / "file-puzzle" / "src" / "file_puzzle" / "__init__.py").is_file()
    assert "pip install -e file-puzzle" in said.err
    again = cli("env", "init", "file-puzzle")
    assert (again.code, again.out) == (1, "")
    assert "is in use" in again.err
    assert "cannot name an environment type" in cli("env", "init", "File Puzzle").err


def test_build_reports_a_task(cli: Any, fix: Any, tmp_path: Path):
    issue = "10 % off 200 is 180"
    said = cli("env", "build", fix.project, "--commit", fix.commit, "--out", "tasks", "--issue", issue, "--json", "-o", "repeats=1")
    assert said.code == 0
    report = said.json
    assert report["status"] == "validated"
    assert report["fail_to_pass"] == ["test_shop.py::Prices::test_discount"]
    assert report["base"] == fix.base
    assert (Path(report["out"]) / "instruction.md").read_text().startswith("10 % off 200 is 180")
    assert "building the image" in said.err
    taken = cli("env", "build", fix.project, "--commit", fix.commit, "--out", "tasks")
    assert taken.code == 1
    assert taken.out == "failed in write: exists\n"
    assert "--overwrite" in taken.err


def test_build_in_words(cli: Any, fix: Any):
    said = cli("env", "build", fix.project, "--commit", fix.commit, "--no-validate", "--split", "test", "--name", "named")
    assert said.code == 0
    assert "named" in said.out
    assert "podgym rollout run tasks/named --gold" in said.err


def test_a_plan_is_shown_edited_and_used(cli: Any, fix: Any, tmp_path: Path):
    said = cli("env", "build", fix.project, "--commit", fix.commit, "--dry-run", "--out", "tasks")
    assert said.code == 0
    assert "unittest in the repository" in said.out
    assert "shop.py" in said.out
    assert "A discount of 10 took 10 off" in said.out
    assert not (tmp_path / "tasks").exists()
    plan = cli("env", "build", fix.project, "--commit", fix.commit, "--dry-run", "--json").json
    plan["notes"] = ["edited by hand"]
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    built = cli("env", "build", fix.project, "--commit", fix.commit, "--plan", "plan.json", "--json", "--no-validate")
    assert built.json["notes"] == ["edited by hand"]
    (tmp_path / "plan.json").write_text(json.dumps({**plan, "nonsense": 1}))
    wrong = cli("env", "build", fix.project, "--commit", fix.commit, "--plan", "plan.json")
    assert wrong.code == 2
    assert "nonsense" in wrong.err


@pytest.mark.parametrize(
    ("files", "reason", "say"),
    [
        ({"shop.py": "fixed"}, "no_test_change", "test"),
        ({"test_shop.py": "more_tests"}, "only_test_change", "source"),
        ({"shop.py": "fixed", "test_shop.py": "tests "}, "already_passing", "before"),
        ({"shop.py": "broken ", "test_shop.py": "more_tests"}, "failing_after", "fail"),
    ],
)
def test_commits_that_make_no_task(cli: Any, project: Any, shop: Mapping[str, str], *, files: Mapping[str, str], reason: str, say: str):
    project.commit("Begin", {"shop.py": shop["broken"], "test_shop.py": shop["tests"]})
    text = {name: shop[key.strip()] + ("# more\n" if key.endswith(" ") else "") for name, key in files.items()}
    sha = project.commit("Fix", text)
    said = cli("env", "build", project.path, "--commit", sha, "--json", "-o", "repeats=1")
    assert said.code == 1
    assert said.json["reason"] == reason
    assert say in said.json["message"]
    assert not list(Path("tasks").glob("*"))


def test_a_test_run_that_prints_but_reports_nothing(cli: Any, project: Any, shop: Mapping[str, str]):
    project.commit("Begin", {"shop.py": shop["broken"], "test_shop.py": shop["tests"]})
    silent = "import os\nprint('all tests passed', flush=True)\nos._exit(0)\n"
    sha = project.commit("Silent", {"shop.py": shop["fixed"], "test_shop.py": silent})
    said = cli("env", "build", project.path, "--commit", sha, "--json", "-o", "repeats=1")
    assert said.code == 1
    assert said.json["reason"] in ("no_report", "nothing_collected")
    assert "all tests passed" in said.json["message"] + said.json["details"]


def test_sources_that_are_not_there(cli: Any, fix: Any, project: Any, shop: Mapping[str, str], tmp_path: Path):
    for place in ("https://127.0.0.1:9/nothing.git", tmp_path / "nothing"):
        said = cli("env", "build", place, "--commit", "HEAD", "--json")
        assert (said.code, said.json["reason"]) == (1, "source")
        assert said.json["message"]
    missing = cli("env", "build", fix.project, "--commit", "f" * 40)
    assert missing.code == 1
    assert "failed in resolve: commit_missing" in missing.out
    project.commit("Begin", {"shop.py": shop["broken"]})
    project.git("checkout", "-q", "-b", "side")
    project.commit("Side", {"side.py": "1"})
    project.git("checkout", "-q", "main")
    project.commit("Main", {"main.py": "1"})
    project.git("merge", "-q", "--no-ff", "-m", "Merge", "side")
    merged = cli("env", "build", project.path, "--commit", "main", "--parent", "3", "--json")
    assert (merged.code, merged.json["reason"]) == (1, "merge_commit")
    assert "--parent" in merged.json["message"]


@pytest.mark.parametrize(
    ("arguments", "say"),
    [
        (("--issue", "a", "--issue-file", "b"), "once"),
        (("--issue-file", "nothing.md"), "cannot be read"),
        (("--issue-file", "latin.md"), "not UTF-8"),
        (("-o", "nonsense"), "name=value"),
        (("-o", "nonsense=1"), "Options of a build: parent"),
        (("--toolchain", "two"), "toolchain"),
        (("--parent", "zero"), "valid integer"),
    ],
)
def test_usage(cli: Any, fix: Any, tmp_path: Path, arguments: tuple[str, ...], say: str):
    (tmp_path / "latin.md").write_bytes(b"\xe9")
    said = cli("env", "build", fix.project, "--commit", fix.commit, *arguments)
    assert (said.code, said.out) == (2, "")
    assert say in " ".join(said.err.split())


def test_a_provider_that_is_not_there(cli: Any, fix: Any):
    said = cli("env", "build", fix.project, "--commit", fix.commit, "--provider", "nonsense")
    assert said.code == 1
    assert "No sandbox provider is called 'nonsense'" in said.err
    assert (
        "Options of sandbox provider 'local' are wrong"
        in cli("env", "build", fix.project, "--commit", fix.commit, "--provider-option", "x=1").err
    )
    assert (
        "'auto' takes no options"
        in cli("env", "build", fix.project, "--commit", fix.commit, "--provider", "auto", "--provider-option", "x=1").err
    )


def test_list_and_show(cli: Any, built: Path, kit: Path):
    said = cli("env", "list", built.parent)
    assert said.code == 0
    assert "shop-discount" in said.out
    assert "1 + 1" in said.out
    (brief,) = cli("env", "list", built.parent, "--json").json
    assert (brief["id"], brief["instruction"]) == ("shop-discount", "Discounts are in percent")
    some = cli("env", "list", "podgym_console_kit:Echo", "-o", "tasks=3", "--limit", "2")
    assert "echo-1" in some.out
    assert "echo-2" not in some.out
    assert "more than 2" in some.err
    shown = cli("env", "show", built)
    assert "test_shop.py::Prices::test_discount" in shown.out
    assert "python:3." in shown.out
    assert cli("env", "show", built, "--json").json["id"] == "shop-discount"
    assert "Say right." in cli("env", "show", "echo-1", "--type", "podgym_console_kit:Echo").out
    assert cli("env", "show", "echo-9", "--type", "podgym_console_kit:Echo").code == 2
    for wrong in (
        ("list", "nothing/here"),
        ("show", "nothing"),
        ("list", "nonsense"),
        ("list", "podgym_console_kit:Nothing"),
        ("check", "nothing"),
    ):
        failed = cli("env", *wrong)
        assert (failed.code, failed.out) == (1, "")
        assert failed.err.startswith("error: ")


def test_a_plugin_that_raises_when_it_is_imported(cli: Any, tmp_path: Path):
    (tmp_path / "broken_plugin.py").write_text("raise RuntimeError('its licence server is down')\n")
    said = cli("env", "list", "broken_plugin:Kind")
    assert said.code == 1
    assert "its licence server is down" in said.err


def test_check_finds_nothing_in_a_task_as_it_was_built(cli: Any, built: Path):
    said = cli("env", "check", built)
    assert said.code == 0
    assert "shop-discount: nothing found." in said.out
    report = cli("env", "check", built, "--json").json
    assert report["ok"]
    assert report["objects"] >= 3
    assert report["gold_lines"] == 1


def repack(directory: Path, change: Callable[[Path], None]) -> None:
    archive = directory / "environment" / "repo.tar"
    unpacked = directory / "unpacked"
    with tarfile.open(archive) as tar:
        tar.extractall(unpacked, filter="data")
    change(unpacked)
    with tarfile.open(archive, "w") as tar:
        for path in sorted(unpacked.iterdir()):
            tar.add(path, arcname=path.name)
    shutil.rmtree(unpacked)


def leak(root: Path) -> None:
    (root / ".git" / "ORIG_HEAD").write_text("f" * 40 + "\n")
    (root / "fixed.py").write_text("    return sum(prices) * (100 - discount) / 100\n")


def replaced(directory: Path) -> None:
    (directory / "tests" / "files" / "test_shop.py").write_text("import unittest\n")


def eased(directory: Path) -> None:
    grading = json.loads((directory / "tests" / "grading.json").read_text())
    grading["fail_to_pass"], grading["pass_to_pass"] = [], [*grading["pass_to_pass"]]
    (directory / "tests" / "grading.json").write_text(json.dumps(grading))


@pytest.mark.parametrize(
    ("change", "rules"),
    [
        (lambda directory: repack(directory, leak), {"pseudo-ref", "gold-line"}),
        (lambda directory: repack(directory, lambda root: (root / "shop.py").write_text("")), {"digest"}),
        (lambda directory: repack(directory, lambda root: shutil.rmtree(root / ".git")), {"git-directory", "digest"}),
        (lambda directory: (directory / "environment" / "repo.tar").write_bytes(b"no tar"), {"archive", "digest"}),
        (lambda directory: (directory / "environment" / "repo.tar").unlink(), {"archive"}),
        (replaced, {"hidden-file"}),
        (lambda directory: (directory / "tests" / "files" / "test_shop.py").unlink(), {"hidden-file"}),
        (eased, {"digest"}),
        (lambda directory: (directory / "tests" / "grading.json").write_text("{}"), {"grading"}),
        (lambda directory: (directory / "tests" / "certificate.json").unlink(), {"certificate"}),
        (lambda directory: (directory / "solution" / "gold.patch").unlink(), {"gold"}),
    ],
)
def test_check_finds_what_was_changed(cli: Any, built: Path, tmp_path: Path, change: Callable[[Path], None], rules: set[str]):
    directory = tmp_path / "copy"
    shutil.copytree(built, directory)
    change(directory)
    said = cli("env", "check", directory, "--json")
    assert said.code == 1
    found = {finding["rule"] for finding in said.json["findings"]}
    assert rules <= found
    assert all(finding["remedy"] for finding in said.json["findings"])
    words = cli("env", "check", directory)
    assert words.code == 1
    assert "what to do" in words.out
