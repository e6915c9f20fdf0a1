"""What tests need, from the commands that install it: CI's, tox's and nox's."""

from __future__ import annotations

import shlex
import time
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
        ("poetry install --with more -E fast -E 'docs'", ("toolz", "attrs", "pytest-mock"), ["fast"], ()),
        ("poetry install --all-extras --without checks,dev", ("toolz",), ["fast"], ()),
        ("poetry install --only more", ("toolz",), [], ()),
        ("poetry install --no-dev", (), [], ()),
        ("pdm install", ("attrs", "pytest-mock", "pluggy"), [], ()),
        ("pdm install --prod -Gfast", (), ["fast"], ()),
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


DEV = {
    "uv": ("uv sync --all-extras --dev", "[dependency-groups]\ndev = ['httpx', 'inflection']\n"),
    "uv of before": ("uv sync --all-extras", "[tool.uv]\ndev-dependencies = ['httpx', 'inflection']\n"),
    "uv's choice": ("uv run pytest", "[tool.uv]\ndefault-groups = ['all', 'more']\n[dependency-groups]\nmore = ['httpx', 'inflection']\n"),
    "Poetry": ("poetry install --all-extras", "[tool.poetry.group.dev.dependencies]\nhttpx = '*'\ninflection = '*'\n"),
    "PDM": ("pdm install -G fast", "[tool.pdm.dev-dependencies]\nmore = ['httpx', 'inflection']\n"),
    "pip": ("pip install -r requirements.txt", "[dependency-groups]\ndev = ['httpx', 'inflection']\n"),
    "pip by name": ("pip install -U poetry .[fast]", "[tool.poetry.group.dev.dependencies]\nhttpx = '*'\ninflection = '*'\n"),
}


@pytest.mark.parametrize("tool", DEV)
def test_the_group_that_a_tool_installs_by_itself_is_taken_whole(tool: str, facts: Facts) -> None:
    command, groups = DEV[tool]
    metadata = "[project]\nname = 'calc'\ndependencies = ['six']\n[project.optional-dependencies]\nfast = ['toolz']\n"
    files = {"pyproject.toml": metadata + groups, "requirements.txt": "six\n", "tests/test_calc.py": "def test_x(): pass\n"}
    assert {"httpx", "inflection"} <= set(facts({**files, **workflow(command, "pytest")}).test_requirements)


def test_a_noxfile_that_names_a_tool_alone_says_nothing(facts: Facts) -> None:
    nox = "def tests(session):\n    session.install('poetry')\n"
    found = facts({"noxfile.py": nox, "requirements-dev.txt": "inflection\n", "tests/test_calc.py": "def test_x(): pass\n"})
    assert "inflection" in found.test_requirements
    assert (
        "inflection" not in facts({"noxfile.py": nox.replace("poetry", "toolz"), "requirements-dev.txt": "inflection\n"}).test_requirements
    )


@pytest.mark.parametrize("command", ["conda env create -f ci/env-ci.yml", "mamba env update --file ci/env-ci.yml"])
def test_conda_s_environment_that_ci_tests_in_is_taken(command: str, facts: Facts) -> None:
    files = {"ci/env-ci.yml": "dependencies: [inflection]\n", "requirements-test.txt": "attrs\n"}
    assert set(facts({**files, **workflow(command, "pytest")}).test_requirements) == {"attrs", "inflection", "pytest"} - {"pytest"}


MONOREPO = """
on: push
jobs:
  a:
    defaults: {run: {working-directory: libs/a}}
    env: {OF_A: '1'}
    steps: [{run: pip install -r ci.txt}, {run: pytest}]
  b:
    defaults: {run: {working-directory: libs/b}}
    env: {OF_B: '1'}
    steps: [{run: "pip install -r ci.txt .[fast] -e ../common"}, {run: uv sync --group more}, {run: pytest}]
  all:
    steps: [{run: pip install -r all.txt}, {run: pip install -e ../common, working-directory: libs/b}, {run: pytest libs}]
"""


def test_jobs_of_other_projects_say_nothing_of_this_one(facts: Facts) -> None:
    own = PYPROJECT.replace("checks", "more")
    files = {f"libs/{name}/pyproject.toml": own.replace("calc", name) for name in ("a", "b", "common")}
    files |= {"libs/a/calc.py": "", "libs/a/ci.txt": "inflection\n", "libs/b/ci.txt": "faker\n", "all.txt": "attrs\n"}
    files[".github/workflows/ci.yml"] = MONOREPO
    found = facts(files, source="libs/a/calc.py", tests=())
    assert set(found.test_requirements) == {"inflection", "attrs", "pytest"}
    assert (found.extras, found.siblings, dict(found.variables)) == ((), ("libs/common",), {"OF_A": "1"})


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
    py27,py36: mock
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


@pytest.mark.parametrize("name", ["py39-oldest", "py310-sphinx5", "mypy-py310", "docs-test", "py27-foo", "{py38,py39}-{x,y}"])
def test_a_section_of_one_variant_names_what_tests_may_need(name: str, facts: Facts) -> None:
    tox = f"[testenv]\ndeps = pytest\n[testenv:{name}]\nsetenv = OLD = 1\ndeps =\n    django<3\n    toolz==0.1\n    pytest-mock==1\n"
    found = facts({"tox.ini": tox, "tests/test_calc.py": "import django\ndef test_x(): pass\n"})
    assert (found.test_requirements, dict(found.variables)) == (("pytest", "django", "pytest-mock"), {})


def test_what_tox_does_for_pythons_that_no_image_has_is_left_out(facts: Facts) -> None:
    tox = "[testenv]\ndeps = pytest\nsetenv = PLACE = x # why\n[testenv:py33]\nsetenv = OLD = 1\ndeps =\n    pytest<3.3\n    toolz==0.1\n"
    found = facts({"tox.ini": tox})
    assert (found.test_requirements, dict(found.variables)) == (("pytest",), {"PLACE": "x"})


@pytest.mark.parametrize("name", ["py39", "py{38,310}-unit", "{py27,py38}-{lint,test}", "docs,tests", "py3-cov", "pytest"])
def test_a_section_of_tests_is_taken_whole(name: str, facts: Facts) -> None:
    found = facts({"tox.ini": f"[testenv:{name}]\nsetenv = MODE = 1\ndeps = toolz==0.1\n"})
    assert (found.test_requirements, dict(found.variables)) == (("toolz==0.1",), {"MODE": "1"})


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
    assert plan(found).install[0].run.splitlines()[-1] == (
        "install_project '.[fast]' || { install_project . && install_any six sphinx; } || "
        "( export UV_NO_SOURCES=1; install_project '.[fast]' ) || { install_alone . && install_any six sphinx; }"
    )


@pytest.mark.parametrize(
    "files",
    [
        {"tox.ini": "[a]\nd =\n" + "    {[a]d}\n" * 400 + "[testenv]\ndeps = {[a]d}\n"},
        {"tox.ini": f"[testenv:{'py-' * 40}x{{]\ndeps = a\n"},
        {"tox.ini": f"[testenv:{'py3{8,9}-' * 20}]\ndeps = a\n[testenv:{'{a,b' * 40}-py3]\ndeps = b\n"},
        {"tox.toml": "[env_run_base]\ndeps = 5\nset_env = [1]\nextras = {a = 1}\ncommands = [[1]]\n"},
        {"hatch.toml": "envs = 5\n"},
        {"hatch.toml": "[envs.test]\nfeatures = 5\ndependency-groups = [1]\nenv-vars = 3\n"},
        {"noxfile.py": "def tests(session):\n    session.install(*{}, **x)\n    session.install(-1, ['-r'])\n    session.run()\n"},
        {"pyproject.toml": "[project]\noptional-dependencies = {a = 5, b = [1]}\n[tool.uv]\nsources = {a = 5, b = [1], c = {path = 1}}\n"},
        workflow("a" * 200_000 + " install x", "a" * 200_000 + "! install x", "pytest"),
        workflow("pip install " + "a/" * 4000, "pip install -r", "uv sync --extra", "pip install '" + "[" * 5000 + "'", "pytest"),
    ],
)
def test_odd_files_say_nothing(files: dict[str, str], facts: Facts) -> None:
    assert facts(files).framework in ("unittest", "pytest")


def test_words_made_to_be_slow_cost_little() -> None:
    installs = Installs(Project("", sorted(FILES), FILES.get))
    begun = time.monotonic()
    for word in ("1" * 100_000 + "!", "a/" * 50_000 + "!", "a1" * 50_000 + "!"):
        installs.command([word, "install", "x"])
    assert (installs.named.lines, time.monotonic() - begun < 2) == ((), True)
