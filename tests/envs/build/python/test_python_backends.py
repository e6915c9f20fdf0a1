"""Small projects of each kind of build system, installed for real from a package index."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from podgym.envs.audit import audit
from podgym.envs.build import BuildOptions, build_task
from podgym.envs.code import CodeEnvironment
from podgym.envs.harbor import read_task
from podgym.sandbox import SandboxProvider
from podgym.sandbox.local import LocalConfig, LocalProvider
from podgym.traces import Trace

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

MODULE = "def add(a, b):\n    return a {} b\n"
TEST = "import unittest\nfrom calc import add\n\nclass T(unittest.TestCase):\n    def test_add(self): self.assertEqual(add(1, 2), 3)\n"
VERSION_TEST = f"""{TEST}
    def test_version(self):
        from importlib.metadata import version
        self.assertIn('1.3', version('calc'))
"""
GROUP_TEST = "import iniconfig\nfrom calc import add\n\ndef test_add():\n    assert add(1, 2) == 3\n"
SETUP_PY = "from setuptools import setup\nsetup(name='calc', version='1', py_modules=['calc'])\n"
SETUPTOOLS = '[build-system]\nrequires = ["setuptools>=64"]\nbuild-backend = "setuptools.build_meta"\n'

PROJECTS = {
    "src layout": (
        "src/calc/__init__.py",
        TEST,
        {"pyproject.toml": SETUPTOOLS + '[project]\nname = "calc"\nversion = "1"\nrequires-python = ">=3.8"\n'},
    ),
    "setup.py only": (
        "calc.py",
        TEST,
        {"setup.py": SETUP_PY},
    ),
    "version from tags": (
        "src/calc/__init__.py",
        VERSION_TEST,
        {
            "pyproject.toml": SETUPTOOLS.replace('64"', '64", "setuptools_scm>=8"')
            + '[project]\nname = "calc"\ndynamic = ["version"]\n[tool.setuptools_scm]\nversion_file = "src/calc/_version.py"\n',
        },
    ),
    "dependency group": (
        "calc/__init__.py",
        GROUP_TEST,
        {
            "pyproject.toml": '[build-system]\nrequires = ["flit_core>=3"]\nbuild-backend = "flit_core.buildapi"\n'
            '[project]\nname = "calc"\nversion = "1"\ndescription = "x"\n[dependency-groups]\ntest = ["pytest", "iniconfig"]\n'
        },
    ),
}


@pytest.fixture(scope="module")
def image_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("images")


@pytest.fixture
async def provider(image_cache: Path, tmp_path: Path) -> AsyncIterator[SandboxProvider]:
    opened = LocalProvider(LocalConfig(cache=image_cache, scratch=tmp_path / "scratch"))
    yield opened
    await opened.close()


@pytest.mark.parametrize("kind", PROJECTS)
async def test_a_project_is_installed_tested_and_judged(kind: str, history, index, tmp_path: Path, provider) -> None:
    path, test, files = PROJECTS[kind]
    history.commit("start", {path: MODULE.format("-"), "tests/test_old.py": TEST.replace("3)", "-1)"), **files})
    history.git("tag", "v1.2")
    history.commit("more", {"README.md": "x\n"})
    fix = history.commit("Mend add", {path: MODULE.format("+"), "tests/test_calc.py": test, "tests/test_old.py": None})
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    report = await build_task(history.path, fix, tmp_path / "out", provider=provider, options=BuildOptions(repeats=1, toolchain=python))
    assert report.status == "validated", (report.message, report.details)
    assert any("test_add" in id_ for id_ in report.fail_to_pass)
    assert report.image_bytes
    checked = audit(Path(report.out), local=provider.config)
    assert checked.ok and len(checked.image.layers) == 2, checked.findings
    log = (await _in_sandbox(provider, report.out, "cat /opt/podgym/install.log; git status --short"))[0]
    assert "uv, as of 2023-11-1" in log and not log.rstrip().endswith("??")
    environment = CodeEnvironment(report.out, cache=False)
    (task,) = environment.tasks()
    rewards = []
    for script in ("true", f"sed -i 's/a - b/a + b/' {path}"):
        sandbox = await provider.create(task.sandbox)
        assert (await sandbox.run(script, timeout_s=10)).exit_code == 0
        verdict = await environment.verify(task, sandbox, Trace(), provider)
        await sandbox.close()
        rewards.append(verdict.reward)
        assert not verdict.dropped, verdict.dropped
    assert rewards == [0.0, 1.0]
    assert f"{path}" in verdict.diff and "_version" not in verdict.diff


async def test_what_cannot_be_installed_is_said(history, index, tmp_path: Path, provider) -> None:
    pyproject = SETUPTOOLS + '[project]\nname = "calc"\nversion = "1"\ndependencies = ["iniconfig==999"]\n'
    history.commit("start", {"calc.py": MODULE.format("-"), "pyproject.toml": pyproject})
    fix = history.commit("Mend add", {"calc.py": MODULE.format("+"), "tests/test_calc.py": TEST})
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    report = await build_task(history.path, fix, tmp_path / "out", provider=provider, options=BuildOptions(toolchain=python))
    assert (report.status, report.stage, report.reason) == ("failed", "image", "install_failed"), report
    assert "iniconfig" in report.details and "set -eu" not in report.details


async def _in_sandbox(provider: SandboxProvider, directory: str, script: str) -> tuple[str, int]:
    sandbox = await provider.create(read_task(Path(directory)).sandbox)
    result = await sandbox.run(script, timeout_s=30)
    await sandbox.close()
    return result.stdout.text(), result.exit_code
