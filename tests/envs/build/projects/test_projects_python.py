"""Python: what the tests need is installed from wherever projects keep it; names that no second run repeats count for nothing."""

from __future__ import annotations

import sys
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

MODULE = "def add(a, b):\n    return a - b\n"
FIXED = MODULE.replace("a - b", "a + b")
OLD = "from calc import add\n\ndef test_nothing():\n    assert add(0, 0) == 0\n"
NEW = "import inflection\nfrom calc import add\n\ndef test_add():\n    assert add(1, 2) == 3\n"
PROJECT = '[project]\nname = "calc"\nversion = "1"\n{}'
EXTRA = '[project.optional-dependencies]\ntest = ["pytest", "inflection"]\n'


def backend(requires: str, name: str) -> str:
    return f'[build-system]\nrequires = ["{requires}"]\nbuild-backend = "{name}"\n'


KINDS: dict[str, tuple[str, dict[str, str]]] = {
    "hatch": (
        "hatchling",
        {
            "pyproject.toml": backend("hatchling", "hatchling.build")
            + PROJECT.format("")
            + '[tool.hatch.build.targets.wheel]\ninclude = ["calc.py"]\n[tool.hatch.envs.test]\ndependencies = ["pytest", "inflection"]\n'
        },
    ),
    "pdm": (
        "pdm",
        {
            "pyproject.toml": backend("pdm-backend", "pdm.backend")
            + PROJECT.format("")
            + '[tool.pdm.dev-dependencies]\ntest = ["pytest", "inflection"]\n'
        },
    ),
    "poetry": (
        "poetry",
        {
            "pyproject.toml": backend("poetry-core", "poetry.core.masonry.api")
            + '[tool.poetry]\nname = "calc"\nversion = "1"\ndescription = ""\nauthors = []\n'
            + '[tool.poetry.dependencies]\npython = ">=3.8"\n[tool.poetry.group.test.dependencies]\npytest = "*"\ninflection = "*"\n'
        },
    ),
    "extra": ("setuptools", {"pyproject.toml": backend("setuptools>=64", "setuptools.build_meta") + PROJECT.format(EXTRA)}),
    "tox": ("none", {"tox.ini": "[tox]\nenvlist = py311, lint\n[testenv]\ndeps =\n    pytest\n    inflection\n    lint: flake8\n"}),
    "nox": (
        "none",
        {"noxfile.py": "import nox\n\n@nox.session\ndef tests(session):\n    session.install('pytest', 'inflection')\n"},
    ),
    "test requirements": ("none", {"requirements-test.txt": "pytest\n-r more.txt\n", "more.txt": "inflection\n"}),
}


@pytest.mark.parametrize("kind", KINDS)
async def test_what_tests_need_is_installed(build: Any, machine: Any, turned: Any, kind: str) -> None:
    machine.reaches("PyPI")
    system, files = KINDS[kind]
    report = await build(
        {"calc.py": MODULE, "tests/test_old.py": OLD, **files}, {"calc.py": FIXED, "tests/test_new.py": NEW}, toolchain=python()
    )
    turned(report, {"tests/test_new.py::test_add"}, {"tests/test_old.py::test_nothing"})
    assert (report.build_system, report.framework) == (system, "pytest")


APPLICATIONS = {
    "requirements.txt": "inflection\n",
    "Pipfile": '[packages]\ninflection = "*"\n[dev-packages]\npytest = "*"\n',
    "environment.yml": "name: calc\ndependencies:\n  - python=3.11\n  - pip:\n      - inflection\n",
}


@pytest.mark.parametrize("file", APPLICATIONS)
async def test_what_an_application_lists_is_installed(build: Any, machine: Any, turned: Any, file: str) -> None:
    machine.reaches("PyPI")
    base = {"calc.py": f"import inflection\n\n\n{MODULE}", "tests/test_old.py": OLD, file: APPLICATIONS[file]}
    new = OLD.replace("test_nothing", "test_add").replace("add(0, 0) == 0", "add(1, 2) == 3")
    report = await build(base, {"calc.py": f"import inflection\n\n\n{FIXED}", "tests/test_new.py": new}, toolchain=python())
    turned(report, {"tests/test_new.py::test_add"}, {"tests/test_old.py::test_nothing"})


NAMED = """\
import pytest
from calc import add

@pytest.mark.parametrize("one", [object()], ids=repr)
def test_address(one):
    assert add(1, 2) == 3

@pytest.mark.parametrize("name", {"a", "b", "c"})
def test_set(name):
    assert add(1, 2) == 3
"""


async def test_names_that_change_from_run_to_run_count_for_nothing(build: Any, machine: Any, turned: Any) -> None:
    machine.reaches("PyPI")
    files = {"calc.py": MODULE, "tests/test_old.py": OLD, "requirements-test.txt": "pytest\ninflection\n"}
    report = await build(files, {"calc.py": FIXED, "tests/test_new.py": NAMED}, toolchain=python(), repeats=2)
    turned(report, {f"tests/test_new.py::test_set[{name}]" for name in "abc"}, {"tests/test_old.py::test_nothing"})
    assert len(report.flaky) == 2 and all("object at 0x" in name for name in report.flaky)


def python() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"
