"""Tasks built, validated and judged in containers."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from podgym.envs.build import BuildOptions, build_task
from podgym.envs.code import CodeEnvironment
from podgym.sandbox import SandboxProvider
from podgym.traces import Trace

pytest.importorskip("docker", reason="the Docker SDK is not installed (extra [docker])")

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(600)]

MODULE = "def add(a, b):\n    return a {} b\n"
TEST = "import unittest\nfrom calc import add\n\nclass T(unittest.TestCase):\n    def test_add(self): self.assertEqual(add(1, 2), 3)\n"
STEADY = "import unittest\n\nclass S(unittest.TestCase):\n    def test_steady(self): pass\n"
PROJECT = """
[build-system]
requires = ["setuptools>=64"]
build-backend = "setuptools.build_meta"
[project]
name = "calc"
version = "1"
dependencies = [{}]
"""


@pytest.fixture
def index(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(tmp_path / "d"), "iniconfig"]
    if subprocess.run(command, capture_output=True, timeout=120, check=False).returncode:
        pytest.skip("needs a package index that pip can reach")


async def rewards(provider: SandboxProvider, directory: str) -> list[float | None]:
    """What no change and the fix are worth, side by side."""
    environment = CodeEnvironment(directory, cache=False)
    (task,) = environment.tasks()

    async def worth(script: str) -> float | None:
        sandbox = await provider.create(task.sandbox)
        assert (await sandbox.run(script, timeout_s=30)).exit_code == 0
        verdict = await environment.verify(task, sandbox, Trace(), provider)
        await sandbox.close()
        return verdict.reward

    return list(await asyncio.gather(worth("true"), worth("sed -i 's/a - b/a + b/' calc.py")))


async def test_a_project_of_plain_files(history, tmp_path: Path, docker_provider, built_images) -> None:
    history.commit("start", {"calc.py": MODULE.format("-"), "tests/__init__.py": "", "tests/test_steady.py": STEADY})
    fix = history.commit("Mend add", {"calc.py": MODULE.format("+"), "tests/test_calc.py": TEST})
    options = BuildOptions(repeats=1, toolchain="3.11")
    report = await build_task(history.path, fix, tmp_path / "out", provider=docker_provider, options=options)
    assert report.status == "validated", (report.message, report.details)
    built_images.add(report.image)
    assert [len(report.fail_to_pass), len(report.pass_to_pass)] == [1, 1]
    assert await rewards(docker_provider, report.out) == [0.0, 1.0]


async def test_a_project_that_is_installed_with_what_it_needs(history, index, tmp_path: Path, docker_provider, built_images) -> None:
    needing = f"import iniconfig\n{TEST}"
    history.commit("start", {"calc.py": MODULE.format("-"), "pyproject.toml": PROJECT.format('"iniconfig"')})
    fix = history.commit("Mend add", {"calc.py": MODULE.format("+"), "tests/test_calc.py": needing})
    options = BuildOptions(repeats=1, toolchain="3.11")
    report = await build_task(history.path, fix, tmp_path / "out", provider=docker_provider, options=options)
    assert report.status == "validated", (report.message, report.details)
    built_images.add(report.image)
    assert report.image_bytes
    assert await rewards(docker_provider, report.out) == [0.0, 1.0]


async def test_what_cannot_be_installed_is_said(history, index, tmp_path: Path, docker_provider) -> None:
    history.commit("start", {"calc.py": MODULE.format("-"), "pyproject.toml": PROJECT.format('"iniconfig==999"')})
    fix = history.commit("Mend add", {"calc.py": MODULE.format("+"), "tests/test_calc.py": TEST})
    report = await build_task(history.path, fix, tmp_path / "out", provider=docker_provider, options=BuildOptions(toolchain="3.11"))
    assert (report.status, report.stage, report.reason) == ("failed", "image", "install_failed"), report
    assert "iniconfig" in report.details
    assert "set -eu" not in report.details
