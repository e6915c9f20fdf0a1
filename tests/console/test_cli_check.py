"""`podgym env check`: a task as it was built is certified; each thing that is changed by hand is one finding, of the rule that says so."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import shutil
import sys
import tarfile
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import tomli_w

from podgym.envs.audit import RULES
from podgym.envs.code import task_digest
from podgym.envs.harbor import read_task
from podgym.verifiers import GradingPlan

GOLD = "    return sum(prices) * (100 - discount) / 100\n"


@pytest.fixture
def task(built: Path, tmp_path: Path) -> Path:
    shutil.copytree(built, tmp_path / "copy")
    return tmp_path / "copy"


def repack(directory: Path, change: Callable[[Path], object]) -> None:
    """Change what is in the archive, and make the task's digest that of the result: what is wrong is then the content alone."""
    archive, unpacked = directory / "environment/repo.tar", directory / "unpacked"
    with tarfile.open(archive) as tar:
        tar.extractall(unpacked, filter="data")
    change(unpacked)
    with tarfile.open(archive, "w") as tar:
        for path in sorted(unpacked.iterdir()):
            tar.add(path, arcname=path.name)
    shutil.rmtree(unpacked)
    sign(directory)


def sign(directory: Path) -> None:
    found = read_task(directory)
    edit(directory, lambda table: table.update(digest=task_digest(GradingPlan.model_validate(found.grading), found.sandbox)))


def edit(directory: Path, change: Callable[[dict[str, Any]], object]) -> None:
    data = tomllib.loads((directory / "task.toml").read_text())
    change(data["metadata"]["podgym"])
    (directory / "task.toml").write_text(tomli_w.dumps(data))


def write(path: Path, data: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(data)


def broken_archive(directory: Path) -> None:
    (directory / "environment/repo.tar").write_bytes(b"no tar")
    sign(directory)


def fewer_tests(directory: Path) -> None:
    grading = json.loads((directory / "tests/grading.json").read_text())
    grading["pass_to_pass"], grading["fail_to_pass"] = [], grading["fail_to_pass"]
    (directory / "tests/grading.json").write_text(json.dumps(grading))


def other_certificate(directory: Path) -> None:
    path = directory / "tests/certificate.json"
    path.write_text(path.read_text().replace('"objects": ', '"objects": 1'))


CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a pseudo-ref": (lambda task: repack(task, lambda root: write(root / ".git/FETCH_HEAD", "")), "pseudo-ref"),
    "a stash": (lambda task: repack(task, lambda root: write(root / ".git/refs/stash", read_task(task).provenance["base"])), "stash"),
    "a line of the solution": (lambda task: repack(task, lambda root: write(root / "old.py", GOLD)), "gold-line"),
    "a patch": (lambda task: repack(task, lambda root: write(root / "shop.py.rej", "x")), "residue"),
    "no git directory": (lambda task: repack(task, lambda root: shutil.rmtree(root / ".git")), "git-directory"),
    "no archive at all": (broken_archive, "archive"),
    "a solution beside the archive": (lambda task: write(task / "environment/notes.txt", GOLD), "gold-line"),
    "a changed test": (lambda task: write(task / "tests/files/test_shop.py", "import unittest\n"), "hidden-file"),
    "a missing test": (lambda task: (task / "tests/files/test_shop.py").unlink(), "hidden-file"),
    "fewer required tests": (fewer_tests, "digest"),
    "another sandbox": (lambda task: edit(task, lambda table: table["sandbox"].update(network="full")), "digest"),
    "no grading data": (lambda task: write(task / "tests/grading.json", "{}"), "grading"),
    "no certificate": (lambda task: (task / "tests/certificate.json").unlink(), "certificate"),
    "another certificate": (other_certificate, "certificate"),
    "another digest of it": (lambda task: edit(task, lambda table: table["provenance"].update(certificate="0" * 64)), "provenance"),
    "no solution": (lambda task: (task / "solution/gold.patch").unlink(), "gold"),
    "an environment": (
        lambda task: (edit(task, lambda table: table["sandbox"]["env"].update(GIT_DIR="/srv/x")), sign(task)),
        "environment",
    ),
    "an id in the instruction": (
        lambda task: write(task / "instruction.md", f"See {read_task(task).provenance['commit']}.\n"),
        "prompt-commit",
    ),
    "a test in the instruction": (lambda task: write(task / "instruction.md", "Make test_discount pass.\n"), "prompt-test"),
}


@pytest.mark.parametrize("change", list(CHANGES))
def test_what_was_changed_is_found_alone(cli: Any, task: Path, change: str) -> None:
    make, rule = CHANGES[change]
    make(task)
    said = cli("env", "check", task, "--json")
    assert said.code == 1
    assert {finding["rule"] for finding in said.json["findings"]} == {rule}, said.out
    assert said.json["certificate"] is None and not said.json["ok"]
    words = cli("env", "check", task)
    assert words.code == 1
    assert rule in words.out and "what to do" in words.out and "findings of 1 rules" in words.err


def test_files_too_large_to_search(cli: Any, task: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repack(task, lambda root: write(root / "large.txt", "x" * 2000))
    assert cli("env", "check", task).code == 0
    monkeypatch.setattr("podgym.envs.repository.worktree._FILE_BYTES", 1000)
    assert [finding["rule"] for finding in cli("env", "check", task, "--json").json["findings"]] == ["too-large"]


def test_a_task_as_it_was_built_is_certified(cli: Any, built: Path, fix: Any, tmp_path: Path) -> None:
    report = cli("env", "check", built, "--json", "--certificate", "proof.json").json
    assert report["ok"] and report["findings"] == []
    proof = json.loads((tmp_path / "proof.json").read_text())
    assert proof == report["certificate"]
    assert proof["base"] == fix.base and proof["task_digest"] == read_task(built).digest and proof["gold_lines"] == 1
    inner = json.loads((built / "tests/certificate.json").read_text())
    assert (proof["objects"], proof["objects_digest"]) == (inner["objects"], inner["objects_digest"])
    assert len(proof["checked"]) >= 15 and set(proof["checked"]) <= set(RULES)
    words = cli("env", "check", built, built)
    assert words.code == 0
    assert words.out.count("shop-discount: nothing found.") == 2
    assert len(cli("env", "check", built, built, "--json").json) == 2


def test_no_certificate_of_a_task_that_leaks(cli: Any, task: Path, tmp_path: Path) -> None:
    write(task / "environment/notes.txt", GOLD)
    said = cli("env", "check", task, "--certificate", "proof.json")
    assert said.code == 1 and "No certificate was written" in said.err
    assert not (tmp_path / "proof.json").exists()


def test_names_that_are_no_text_are_written_as_escapes(cli: Any, task: Path) -> None:
    with tarfile.open(task / "environment/repo.tar", "a") as tar:
        member = tarfile.TarInfo("fix\udcff-é.patch")
        member.size = 2
        tar.addfile(member, io.BytesIO(b"x\n"))
    sign(task)
    found = cli("env", "check", task, "--json")
    assert found.code == 1
    assert any(finding["place"].endswith("/fix\udcff-é.patch") for finding in found.json["findings"])
    found.out.encode()
    assert "fix\\udcff-é.patch" in cli("env", "check", task).out


def test_rules_are_listed(cli: Any) -> None:
    listed = cli("env", "check", "--rules", "--json").json
    assert listed == dict(RULES) and len(listed) >= 15
    words = cli("env", "check", "--rules")
    assert words.code == 0 and all(rule in words.out for rule in RULES)


@pytest.mark.parametrize(
    ("arguments", "say"),
    [
        ((), "Give a task"),
        (("a", "b", "--image", "x"), "for one task"),
        (("a", "--base", "HEAD"), "not the full id"),
        (("a", "--workdir", "testbed"), "not an absolute directory"),
    ],
)
def test_usage(cli: Any, arguments: tuple[str, ...], say: str) -> None:
    said = cli("env", "check", *arguments)
    assert (said.code, said.out) == (2, "")
    assert say in " ".join(said.err.split())


@pytest.fixture(scope="session")
def leaks() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / "leaks.py"
    spec = importlib.util.spec_from_file_location("leaks_of_the_console", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def image_of(leaks: ModuleType, task: Path, target: Path, *, add: dict[str, str]) -> Path:
    """The task's archive at its place, and a layer with more."""
    files = []
    with tarfile.open(task / "environment/repo.tar") as tar:
        for member in tar:
            data = tar.extractfile(member).read() if member.isreg() else b""
            member.name = f"testbed/{member.name}"
            files.append((member, data))
    layers = []
    more = [(tarfile.TarInfo(name), text.encode()) for name, text in add.items()]
    for listed in (files, more):
        layer = io.BytesIO()
        with tarfile.open(fileobj=layer, mode="w") as tar:
            for info, data in listed:
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        layers.append(layer.getvalue())
    leaks.write_oci(target, layers, {"WorkingDir": "/testbed"})
    return target


def test_an_image_of_the_task(cli: Any, leaks: ModuleType, built: Path, fix: Any, tmp_path: Path) -> None:
    clean = image_of(leaks, built, tmp_path / "clean.tar", add={"etc/motd": "welcome\n"})
    report = cli("env", "check", built, "--image", clean, "--json").json
    assert report["ok"] and report["workdir"] == "/testbed"
    assert report["image"]["layers"] == report["certificate"]["image"]["layers"]
    leaky = image_of(leaks, built, tmp_path / "leaky.tar", add={"opt/\x1b[31mevil\n.py": GOLD})
    said = cli("env", "check", built, "--image", leaky)
    assert said.code == 1 and "gold-line" in said.out
    assert "\x1b" not in said.out and "\\x1b[31mevil\\n.py" in said.out.replace("\n", "").replace(" ", "")
    alone = cli("env", "check", "--image", leaky, "--base", fix.base, "--json").json
    assert alone["ok"] and any("No line of a solution" in note for note in alone["notes"])
    assert alone["task"] == "sha256:" + hashlib.sha256(_config(leaky)).hexdigest()
    missing = cli("env", "check", built, "--image", "nothing/like:that")
    assert (missing.code, missing.out) == (1, "") and missing.err.startswith("error: ")


def _config(image: Path) -> bytes:
    with tarfile.open(image) as tar:
        index = json.load(tar.extractfile("index.json"))
        manifest = json.load(tar.extractfile(f"blobs/sha256/{index['manifests'][0]['digest'][7:]}"))
        return tar.extractfile(f"blobs/sha256/{manifest['config']['digest'][7:]}").read()


def test_the_local_providers_layers_are_checked_where_there_are_any(cli: Any, fix: Any, tmp_path: Path) -> None:
    built = cli("env", "build", fix.project, "--commit", fix.commit, "--out", "tasks", "--name", "here", "--json", "-o", "repeats=1").json
    report = cli("env", "check", built["out"], "--json").json
    assert report["ok"] and report["image"]["id"] and report["image"]["files"] >= 3
    (layer,) = (tmp_path / "cache/podgym/images").glob(f"*/{report['image']['id']}")
    (layer / "0/shop.py.orig").write_text("x")
    found = cli("env", "check", built["out"], "--image", "local", "--json").json
    assert [(finding["rule"], finding["place"].partition(": ")[2]) for finding in found["findings"]] == [
        ("residue", "/testbed/shop.py.orig")
    ]
