"""The installing script with a real npm, from what lies in the repository itself, so without a registry."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from podgym_test_kit.node import plan

TOOLS = Path(str(files("podgym.envs.build.languages.node") / "tools"))
pytestmark = [pytest.mark.slow, pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")]


class Workplace:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.top = path / "top"
        for tool in TOOLS.iterdir():
            (path / "node").mkdir(parents=True, exist_ok=True)
            (path / "node" / tool.name).write_text(tool.read_text().replace("/opt/podgym", str(path)))

    def lay(self, files: dict[str, Any]) -> None:
        for name, data in files.items():
            target = self.top / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(data if isinstance(data, str) else json.dumps(data))

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.path),
            "npm_config_registry": "http://127.0.0.1:9/",
            "npm_config_fetch_retries": "0",
        }
        return subprocess.run(command, cwd=self.top, env=env, capture_output=True, text=True, check=False, timeout=100)

    def install(self, manager: str, lock: str, *members: str) -> str:
        """What the installation says of itself."""
        script = str(self.path / "node" / "install.sh")
        done = self.run("sh", script, manager, lock, "2025-01-01T00:00:00Z", "1735689600", "", *members)
        assert done.returncode == 0, done.stderr
        return (self.path / "install.log").read_text()


@pytest.fixture
def workplace(tmp_path: Path) -> Workplace:
    return Workplace(tmp_path)


LOCAL = {"lib/package.json": {"name": "lib", "version": "1.0.0"}, "lib/index.js": "exports.x = 1;\n"}


def test_exactly_by_the_lock_file(workplace: Workplace) -> None:
    workplace.lay({"package.json": {"name": "p", "version": "1.0.0", "dependencies": {"lib": "file:lib"}}, **LOCAL})
    assert workplace.run("npm", "install", "--package-lock-only", "--offline").returncode == 0
    before = {path.name: path.read_bytes() for path in workplace.top.glob("*.json")}
    assert workplace.install("npm", "package-lock.json") == "npm, by package-lock.json: .\n"
    assert (workplace.top / "node_modules" / "lib" / "index.js").exists()
    assert {path.name: path.read_bytes() for path in workplace.top.glob("*.json")} == before


def test_a_lock_file_that_does_not_fit_is_mended_and_stays_as_it_was(workplace: Workplace) -> None:
    lock = {"name": "p", "version": "1.0.0", "lockfileVersion": 3, "packages": {"": {"name": "p", "version": "1.0.0"}}}
    workplace.lay(
        {"package.json": {"name": "p", "version": "1.0.0", "dependencies": {"lib": "file:lib"}}, "package-lock.json": lock, **LOCAL}
    )
    assert workplace.install("npm", "package-lock.json") == "npm, by package-lock.json, where it fits: .\n"
    assert (workplace.top / "node_modules" / "lib").exists()
    assert json.loads((workplace.top / "package-lock.json").read_text()) == lock


def test_what_cannot_be_fetched_is_left_out_and_said(workplace: Workplace) -> None:
    manifest = {"dependencies": {"lib": "file:lib"}, "devDependencies": {"far": "git+file:///nowhere/far.git"}}
    workplace.lay({"package.json": manifest, **LOCAL})
    said = workplace.install("npm", "-")
    assert said == "not installed: far@git+file:///nowhere/far.git\nnpm, as of 2025-01-01T00:00:00Z: .\n"
    assert json.loads((workplace.top / "package.json").read_text()) == manifest
    assert not (workplace.top / "package-lock.json").exists()


def test_packages_that_lerna_would_link_are_linked(workplace: Workplace) -> None:
    workplace.lay(
        {
            "package.json": {"name": "root", "devDependencies": {}},
            "packages/a/package.json": {"name": "a", "version": "1.0.0", "dependencies": {"b": "^1.0.0"}},
            "packages/b/package.json": {"name": "b", "version": "1.2.0"},
        }
    )
    workplace.install("siblings", "-", "packages/a", "packages/b")
    assert (workplace.top / "node_modules" / "b" / "package.json").samefile(workplace.top / "packages/b/package.json")
    assert json.loads((workplace.top / "package.json").read_text()) == {"name": "root", "devDependencies": {}}


def test_nothing_works_is_a_failure_that_is_said(workplace: Workplace) -> None:
    workplace.lay({"package.json": {"dependencies": {"gone": "file:gone.tgz", "ms": "^2.0.0"}}})
    script = str(workplace.path / "node" / "install.sh")
    done = workplace.run("sh", script, "npm", "-", "2025-01-01T00:00:00Z", "1735689600", "")
    assert done.returncode == 1
    assert "npm: the dependencies in . could not be installed" in (workplace.path / "install.log").read_text()


def test_packages_are_added_where_they_are_missing(workplace: Workplace) -> None:
    workplace.lay(
        {"package.json": {"name": "p"}, "node_modules/here/package.json": {"name": "here", "version": "0.0.1"}, "lib/a.diff": "-", **LOCAL}
    )
    assert workplace.run("npm", "pack", "--silent", "./lib").returncode == 0
    lib = workplace.top / "lib-1.0.0.tgz"
    done = workplace.run("sh", str(workplace.path / "node" / "add.sh"), "2025-01-01T00:00:00Z", "", "?here@*", f"lib@file:{lib}")
    assert done.returncode == 0
    assert (workplace.path / "install.log").read_text() == f"added in .: lib@file:{lib}\n"
    assert json.loads((workplace.top / "node_modules/here/package.json").read_text())["version"] == "0.0.1"
    assert [path.name for path in (workplace.top / "node_modules/lib").iterdir() if path.suffix in (".js", ".diff")] == ["index.js"]


@pytest.mark.parametrize("there", [True, False])
def test_settings_of_the_machine_count_below_another_prefix(tmp_path: Path, there: bool) -> None:
    (settings := tmp_path / "machine/etc/npmrc").parent.mkdir(parents=True)
    if there:
        settings.write_text("registry=http://127.0.0.1:9/ours/\n")
    step = plan({"package.json": {"scripts": {"test": "mocha"}, "devDependencies": {"mocha": "10"}}}, "test/a.js").dependencies[0].run
    prelude = step[: step.index("umask")]
    script = f"{prelude}npm config get registry --global --prefix {tmp_path}/other"
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PREFIX": str(tmp_path / "machine")}
    done = subprocess.run(["sh", "-c", script], cwd=tmp_path, env=env, capture_output=True, text=True, check=True, timeout=100)
    assert done.stdout.strip().endswith("/ours/") is there, done.stdout
