"""What tests need, from the commands that install it: CI's, tox's and nox's."""

from __future__ import annotations

import shlex
from collections.abc import Callable

import pytest

from podgym.envs.build.languages.python.facts import PythonFacts
from podgym.envs.build.languages.python.installs import Installs
from podgym.envs.build.languages.python.project import Project

Facts = Callable[..., PythonFacts]

PYPROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "calc"
dependencies = []
[project.optional-dependencies]
fast = ["six"]
docs = ["sphinx"]
[dependency-groups]
checks = ["attrs", "pytest-mock"]
[tool.poetry.group.more.dependencies]
toolz = "*"
[tool.pdm.dev-dependencies]
odd = ["pluggy"]
"""
FILES = {
    "pyproject.toml": PYPROJECT,
    "ci/all.txt": "inflection\n-c limits.txt\n",
    "ci/limits.txt": "six<2\n",
    "limits.txt": "attrs==23.1 # x\n",
}


@pytest.mark.parametrize(
    ("command", "whole", "extras", "named"),
    [
        ("python -m pip install -U pytest 'six>=1' -r ci/all.txt", ("inflection",), [], ("pytest", "six>=1")),
        ("pip3 install --upgrade pip -e .[fast,docs]", (), ["fast"], ("pip",)),
        ("pip install --editable=.[fast] --index-url https://example.org/simple requests", (), ["fast"], ("requests",)),
        ("uv pip install --system -rci/all.txt --group checks .", ("inflection", "attrs", "pytest-mock"), [], ()),
        ("uv sync --extra fast --group=checks --frozen", ("attrs", "pytest-mock"), ["fast"], ()),
        ("uv sync --all-extras --all-groups", ("attrs", "pytest-mock"), ["fast"], ()),
        ("uv run --with pytest-cov,six --extra fast pytest -x", (), ["fast"], ("pytest-cov", "six")),
        ("poetry install --with more -E fast -E 'docs'", ("toolz",), ["fast"], ()),
        ("poetry install --all-extras --without dev", (), ["fast"], ()),
        ("pdm install -G odd -Gfast", ("pluggy",), ["fast"], ()),
        ("sudo pip install https://example.org/a.whl git+https://example.org/b $NAME -r $FILE", (), [], ()),
        ("pip install", (), [], ()),
        ("npm install pytest", (), [], ()),
    ],
)
def test_a_command_says_what_it_installs(command: str, whole: tuple[str, ...], extras: list[str], named: tuple[str, ...]) -> None:
    installs = Installs(Project("", sorted(FILES), FILES.get))
    installs.command(shlex.split(command))
    assert (installs.whole.lines, installs.whole.own_extras, installs.named.lines) == (whole, extras, named)


def workflow(*runs: str, env: str = "") -> dict[str, str]:
    steps = "".join(f"      - run: {run}\n" for run in runs)
    return {".github/workflows/ci.yml": f"on: push\njobs:\n  test:\n    runs-on: ubuntu-latest\n{env}    steps:\n{steps}"}


def test_what_ci_installs_to_test_is_taken_whole_and_single_names_as_far_as_tests_need_them(facts: Facts) -> None:
    files = {**FILES, "tests/test_calc.py": "import six\ndef test_x(): pass\n"}
    found = facts({**files, **workflow("pip install -r ci/all.txt -c limits.txt .[fast] flake8 pytest-cov six", "pytest")})
    assert found.test_requirements == ("inflection", "pytest-cov", "six", "pytest")
    assert found.extras == ("fast",)
    assert set(found.constraints) == {"six<2", "attrs==23.1"}
    beside = facts({**files, **workflow("pip install -r ci/all.txt flake8", "flake8 .")})
    assert beside.test_requirements == ("pytest",)
    only_named = facts({**files, **workflow("pip install -r ci/all.txt tox pytest", "tox -e lint", "nox -s docs")})
    assert only_named.test_requirements == ("pytest",)
    nothing_else = facts({"tests/test_calc.py": "def test_x(): pass\n", **workflow("pip install pytest flake8 attrs", "pytest")})
    assert nothing_else.test_requirements == ("pytest", "attrs")


def test_a_project_below_the_root_is_told_apart_from_others_that_ci_installs(facts: Facts) -> None:
    files = {f"libs/calc/{path}": text for path, text in FILES.items()}
    found = facts(
        {**files, "libs/calc/calc.py": "", "all.txt": "attrs\n", **workflow("pip install -e libs/calc[fast] -r all.txt", "pytest libs")},
        source="libs/calc/calc.py",
    )
    assert (found.root, found.extras, found.siblings) == ("libs/calc", ("fast",), ())
    assert "attrs" in found.test_requirements


TOX = """
[tox]
envlist = py{38,310}-django{32,42}, lint
[base]
deps =
    inflection
    -c limits.txt
    {[base]deps}
[testenv:py{38,310}-unit]
deps =
    {[base]deps}
    -rci/all.txt
    .[fast]
    toolz; python_version < "4"
    django32: Django>=3.2,<4
    py310-django42: Django~=4.2
    !py38: attrs
    lint: flake8
commands_pre = python -m pip install pluggy
[testenv:lint]
deps = black
"""


def test_tox_s_lines_are_pip_s(facts: Facts) -> None:
    found = facts({**FILES, "tox.ini": TOX, "tests/test_calc.py": "import django\ndef test_x(): pass\n"})
    assert set(found.test_requirements) == {"inflection", 'toolz; python_version < "4"', "pluggy", "Django", "pytest"}
    assert found.extras == ("fast",)
    assert set(found.constraints) == {"six<2", "attrs==23.1"}


NOX = """
import nox
TOOLS = ["attrs", "toolz"]
@nox.session
def unit_tests(session):
    session.install("-r", "ci/all.txt", *TOOLS, unknown)
    session.install("-e", ".[fast]", "-c", "limits.txt")
    session.run_install("uv", "sync", "--group", "checks")
    session.run("pytest", "--cov")
@nox.session
def lint(session):
    session.install("flake8")
"""


def test_nox_s_sessions_say_what_they_install(facts: Facts) -> None:
    found = facts({**FILES, "noxfile.py": NOX, "tests/test_calc.py": "def test_x(): pass\n"})
    assert set(found.test_requirements) == {"inflection", "attrs", "pytest-mock", "toolz", "pytest"}
    assert (found.extras, set(found.constraints)) == (("fast",), {"six<2", "attrs==23.1"})


HATCH = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "calc"
[project.optional-dependencies]
fast = ["six"]
[dependency-groups]
more = ["attrs"]
[tool.hatch.envs.hatch-test]
extra-dependencies = ["inflection"]
features = ["fast"]
dependency-groups = ["more"]
"""


def test_hatch_s_own_environment_for_tests_has_its_tools(facts: Facts) -> None:
    found = facts({"pyproject.toml": HATCH})
    assert found.test_requirements == ("inflection", "attrs", "pytest", "pytest-mock", "pytest-rerunfailures", "pytest-xdist")
    assert found.extras == ("fast",)
    plain = facts({"pyproject.toml": HATCH.partition("[tool")[0], **workflow("hatch test")})
    assert plain.test_requirements == ("pytest", "pytest-mock", "pytest-rerunfailures", "pytest-xdist")
    elsewhere = facts({"pyproject.toml": HATCH.partition("[tool")[0], "hatch.toml": "[envs.test]\ndependencies = ['toolz']\n"})
    assert elsewhere.test_requirements[0] == "toolz"


def test_tools_of_tests_alone_are_taken_from_development_s_places(facts: Facts) -> None:
    files = {"requirements-test.txt": "pytest\n", "requirements-dev.txt": "pytest-mock\nhypothesis\nblack\npytest-black\npytest<9\n"}
    assert facts(files).test_requirements == ("pytest", "pytest-mock", "hypothesis")


def test_extras_that_do_not_go_together_are_installed_in_parts(facts: Facts, plan: Callable[[PythonFacts], object]) -> None:
    pyproject = PYPROJECT.replace("dependencies = []", "dependencies = ['attrs']").replace('["six"]', '["six", "calc[docs]"]')
    found = facts({"pyproject.toml": f"{pyproject}[tool.uv.sources]\nsix = {{ git = 'https://example.org/six' }}\n", **workflow(
        "pip install .[fast]", "pytest"
    )})  # fmt: skip
    assert found.extra_requirements == ("six", "sphinx")
    assert plan(found).install[0].run.splitlines()[-1] == (  # type: ignore[attr-defined]
        "install_project '.[fast]' || { install_project . && install_any six sphinx; } || "
        "( export UV_NO_SOURCES=1; install_project '.[fast]' ) || { install_alone . && install_any six sphinx; }"
    )


@pytest.mark.parametrize(
    "files",
    [
        {"tox.ini": "[a]\nd =\n" + "    {[a]d}\n" * 400 + "[testenv]\ndeps = {[a]d}\n"},
        {"tox.toml": "[env_run_base]\ndeps = 5\nset_env = [1]\nextras = {a = 1}\ncommands = [[1]]\n"},
        {"hatch.toml": "envs = 5\n"},
        {"hatch.toml": "[envs.test]\nfeatures = 5\ndependency-groups = [1]\nenv-vars = 3\n"},
        {"noxfile.py": "def tests(session):\n    session.install(*{}, **x)\n    session.install(-1, ['-r'])\n    session.run()\n"},
        {"pyproject.toml": "[project]\noptional-dependencies = {a = 5, b = [1]}\n[tool.uv]\nsources = {a = 5, b = [1], c = {path = 1}}\n"},
        workflow("pip install " + "a/" * 4000, "pip install -r", "uv sync --extra", "pip install '" + "[" * 5000 + "'", "pytest"),
    ],
)
def test_odd_files_say_nothing(files: dict[str, str], facts: Facts) -> None:
    assert facts(files).framework in ("unittest", "pytest")
