"""What stands around a project: others of its repository, a pinned Python, variables, plug-ins, compiled parts."""

from __future__ import annotations

import ast
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from podgym.envs.build.catalogue import Catalogue
from podgym.envs.build.languages.python.facts import PythonFacts
from podgym.envs.build.languages.python.pins import pinned_python
from podgym.envs.build.languages.python.plan import plan_python
from podgym.envs.build.languages.python.plugins import asked_by_settings, asked_by_tests
from podgym.envs.build.plan import WORKDIR, BuildPlan

Facts = Callable[..., PythonFacts]
Planner = Callable[[PythonFacts], BuildPlan]


def project(name: str, *dependencies: str, more: str = "") -> str:
    return (
        f"[project]\nname = '{name}'\nversion = '1'\ndependencies = {list(dependencies)}\n[build-system]\nrequires = ['hatchling']\n{more}"
    )


WORKSPACE = "[tool.uv.sources]\nbeside = { workspace = true }\nfar = { workspace = true }\n[tool.uv.workspace]\nmembers = ['libs/*']\n"
SIBLINGS = {
    "uv's workspace": ({"pyproject.toml": WORKSPACE}, project("calc", "beside", "six"), ("./libs/beside",)),
    "uv's path": ({}, project("calc", "beside", "six", more="[tool.uv.sources]\nbeside = {path = '../beside'}\n"), ("./libs/beside",)),
    "a direct URL": ({}, project("calc", "beside @ file:../beside", "six"), ("./libs/beside",)),
    "hatch's root": ({}, project("calc", "beside[x] @ {root:uri}/../beside", "six"), ("'./libs/beside[x]'",)),
    "Poetry's path": (
        {},
        "[tool.poetry]\nname = 'calc'\n[tool.poetry.dependencies]\nsix = '*'\nbeside = {path = '../beside', develop = true}\n",
        ("./libs/beside",),
    ),
    "a requirement": (
        {"libs/calc/requirements-test.txt": "-e ../beside[x]\n-e .[fast]\nbeside\n"},
        project("calc", "six"),
        ("'./libs/beside[x]'",),
    ),
}


@pytest.mark.parametrize("kind", SIBLINGS)
def test_another_project_of_the_repository_is_installed_from_there(kind: str, facts: Facts, plan: Planner) -> None:
    files, own, targets = SIBLINGS[kind]
    files = {**files, "libs/calc/pyproject.toml": own, "libs/beside/pyproject.toml": project("beside"), "libs/far/setup.py": ""}
    found = facts({**files, "libs/calc/calc.py": ""}, source="libs/calc/calc.py", tests=("libs/calc/test_calc.py",))
    assert found.root == "libs/calc"
    assert found.dependencies == ("six",)
    assert "beside" not in found.test_requirements
    assert found.extras == (("fast",) if kind == "a requirement" else ())
    (after,) = plan(found).install
    lines = after.run.splitlines()
    place = next(index for index, line in enumerate(lines) if line.startswith("install_project ./libs/calc") or "libs/calc[" in line)
    assert [f"install_project {one} || echo 'not installed: '{one} >> \"$log\"" for one in targets] == lines[place - 1 : place]
    assert lines[place + 1 :] == [f"install_alone {one} || true" for one in targets]


def test_tests_of_one_project_run_with_the_fixed_one_beside_it(facts: Facts) -> None:
    files = {"libs/beside/pyproject.toml": project("beside"), "libs/calc/pyproject.toml": project("calc", "beside", "six")}
    found = facts({**files, "libs/beside/b.py": ""}, source="libs/beside/b.py", tests=("libs/calc/tests/test_calc.py",))
    assert (found.root, found.siblings, found.dependencies) == ("libs/calc", ("libs/beside",), ("six",))


def test_plain_files_may_need_a_project_of_the_repository_too(facts: Facts, plan: Planner) -> None:
    files = {"libs/beside/pyproject.toml": project("beside"), "libs/far/setup.py": ""}
    found = facts({"requirements.txt": "-e ./libs/beside\n./libs/none\n", **files}, source="app.py")
    assert (found.root, found.installable, found.siblings) == ("", False, ("libs/beside",))
    assert "install_project ./libs/beside || echo" in plan(found).install[0].run


@pytest.mark.parametrize(
    ("files", "pinned"),
    [
        ({"libs/a/.python-version": "3.9.1\n", ".python-version": "3.12"}, ("3.9", "libs/a/.python-version")),
        ({".python-version": "# mine\n2.7.18\n3.10\n3.11\n"}, ("3.10", ".python-version")),
        ({".python-version": "pypy3.10\n"}, ("", "")),
        ({".tool-versions": "nodejs 20\npython 3.8.18 2.7\n"}, ("3.8", ".tool-versions")),
        ({"mise.toml": "[tools]\npython = ['3.11', '3.12']\n"}, ("3.11", "mise.toml")),
        ({".mise.toml": "[tools]\npython = {version = '3.12.1'}\n"}, ("3.12", ".mise.toml")),
        ({"runtime.txt": "python-3.9.18\n"}, ("3.9", "runtime.txt")),
        ({"Pipfile": "[requires]\npython_version = '3.8'\n"}, ("3.8", "Pipfile")),
        ({"environment.yml": "dependencies:\n  - python=3.10\n  - pip\n"}, ("3.10", "environment.yml")),
        ({"environment.yml": "dependencies:\n  - python>=3.10\n"}, ("", "")),
        ({"mise.toml": "tools = 5\n", "Pipfile": "requires = [\n", "runtime.txt": "3.100000\n"}, ("", "")),
    ],
)
def test_a_pinned_python(files: dict[str, str], pinned: tuple[str, str]) -> None:
    assert pinned_python("libs/a", files.get, weakly=True) == pinned


def test_what_is_pinned_is_chosen_and_said(facts: Facts, plan: Planner) -> None:
    made = plan(facts({"pyproject.toml": project("calc"), ".tool-versions": "python 3.9.1\n"}))
    assert (made.toolchain, made.why_toolchain) == ("3.9", "pinned by .tool-versions")
    claims = "classifiers = ['Programming Language :: Python :: 3.8', 'Programming Language :: Python :: 3.11']\n"
    files = {"pyproject.toml": "[project]\nname = 'calc'\n" + claims, "environment.yml": "dependencies:\n  - python=3.10\n"}
    assert facts(files).pinned_python == ""
    matrix = "on: push\njobs:\n  a:\n    steps:\n      - uses: actions/setup-python@v5\n        with: {python-version: '3.8'}\n"
    assert facts({**files, ".github/workflows/a.yml": matrix}).claimed_pythons == ("3.8",)
    assert facts({**files, ".github/workflows/a.yml": matrix.replace("3.8", "3.12")}).claimed_pythons == ("3.8", "3.11")


@pytest.mark.parametrize("file", ["runtime.txt", "Pipfile", ".python-version"])
def test_a_pin_that_nobody_tests_any_more_is_not_heard(file: str, facts: Facts) -> None:
    pin = {file: "[requires]\npython_version = '3.8'\n" if file == "Pipfile" else "3.8\n"}
    assert facts(pin).pinned_python == "3.8"
    matrix = "on: push\njobs:\n  a:\n    steps:\n      - uses: actions/setup-python@v5\n        with: {python-version: '3.12'}\n"
    tested = facts({**pin, ".github/workflows/a.yml": matrix})
    assert (tested.pinned_python, tested.claimed_pythons) == ("", ("3.12",))
    metadata = project("calc", more="[tool.x]\n").replace("version =", "classifiers = ['Programming Language :: Python :: 3.8']\nversion =")
    claimed = facts({**pin, "pyproject.toml": metadata, ".github/workflows/a.yml": matrix})
    assert claimed.pinned_python == ("3.8" if file == ".python-version" else "")


@pytest.mark.parametrize(("python", "day"), [("3.8", "2020-04-11"), ("3.7", "2018-05-02")])
def test_packages_are_no_older_than_the_python_that_they_run_on(python: str, day: str, facts: Facts) -> None:
    found = facts({"requirements-test.txt": "pytest\n"})
    made = plan_python(found, committed=datetime(2018, 5, 1, tzinfo=UTC), catalogue=Catalogue(), python=python)
    assert f"cut={day}" in made.dependencies[0].run


CI = """
on: push
env: {TZ: Europe/Berlin, vmImage: ubuntu, NOXFORCEPYTHON: "3.9", PIP_NO_CACHE_DIR: '1', LANG: de_DE.UTF-8}
jobs:
  test:
    env: {APP_MODE: ci, DJANGO_SETTINGS_MODULE: "shop.ci"}
    steps:
      - run: pytest
        working-directory: sub
        env: {PYTHONPATH: "src:/abs", COVERAGE_FILE: x, KEY: "${{ secrets.KEY }}", PYTEST_ADDOPTS: "--color=yes"}
  docs:
    env: {DOCS_ONLY: '1'}
    steps:
      - run: make html
"""
TOX = (
    "[testenv]\nsetenv =\n    APP_MODE = tox\n    HERE = {toxinidir}/x\n    A = {envdir}\n    lint: B = c\n[testenv:docs]\nsetenv = C = d\n"
)


def test_tests_have_the_variables_that_ci_and_tox_set_for_them(facts: Facts, plan: Planner) -> None:
    found = facts({".github/workflows/a.yml": CI, "tox.ini": TOX})
    assert found.variables == {
        "TZ": "Europe/Berlin",
        "APP_MODE": "tox",
        "DJANGO_SETTINGS_MODULE": "shop.ci",
        "PYTHONPATH": f"{WORKDIR}/sub/src:/abs",
        "HERE": f"{WORKDIR}/x",
    }
    assert plan(found).tests[0].env == found.variables
    assert (
        plan(facts({".github/workflows/a.yml": CI, "src/calc.py": ""}))
        .tests[0]
        .env["PYTHONPATH"]
        .startswith(f"{WORKDIR}/src:{WORKDIR}/sub")
    )


SERVICES = """
on: push
env: {DATABASE_URL: "postgres://x", SQL_URL: "sqlite:///x", DB: pg, PGHOST: h, REDIS_PORT: '1', MONGODB_URI: x, API_URL: y, SUPPORT: z}
jobs:
  one: {steps: [{run: pytest}]}
  two: {steps: [{run: pytest -x}]}
  odd: {env: {ODD: '1'}, steps: [{run: pytest -v}]}
"""


def test_a_service_of_ci_and_what_one_job_of_many_sets_are_not_the_tests(facts: Facts) -> None:
    assert facts({".github/workflows/a.yml": SERVICES}).variables == {"SQL_URL": "sqlite:///x", "SUPPORT": "z"}


def test_settings_ask_for_plug_ins() -> None:
    settings = {
        "addopts": "--cov=calc -n auto --reruns 2 --strict-markers --disable-socket -p no:cacheprovider",
        "timeout": "3",
        "required_plugins": "pytest-sugar>=0.9 pytest-order",
    }
    assert asked_by_settings(settings) == [
        "pytest-sugar>=0.9", "pytest-order", "pytest-cov", "pytest-rerunfailures", "pytest-socket", "pytest-xdist", "pytest-timeout",
    ]  # fmt: skip
    assert asked_by_settings({"addopts": "-ra --tb=short --import-mode=importlib"}) == []


def test_an_option_that_the_project_has_made_is_no_plug_in_s(facts: Facts) -> None:
    conftest = "def pytest_addoption(parser):\n    parser.addoption('--profile', action='store_true')\n    parser.addini('timeout', 'x')\n"
    ini = "[pytest]\naddopts = --profile --cov=calc\ntimeout = 3\n"
    assert facts({"pytest.ini": ini, "conftest.py": conftest}).test_requirements == ("pytest", "pytest-cov")
    plain = facts({"pytest.ini": ini, "conftest.py": ""}).test_requirements
    assert set(plain) == {"pytest", "pytest-cov", "pytest-profiling", "pytest-timeout"}


def test_a_plug_in_is_not_added_beside_its_like_or_without_what_it_needs(facts: Facts) -> None:
    assert asked_by_settings({"asyncio_mode": "auto"}, {"alt-pytest-asyncio"}) == []
    tornado = ast.parse("def test_x(io_loop): ...\n")
    assert asked_by_tests([tornado]) == ["pytest-tornado"]
    assert asked_by_tests([tornado], {"pytest-jupyter"}) == asked_by_tests([tornado], {"pytest-tornasync"}) == []
    assert asked_by_tests([tornado, ast.parse("def test_y(jp_fetch): ...\n")]) == ["pytest-jupyter"]
    tests = {"tests/test_calc.py": "def test_x(qtbot): ...\n"}
    assert facts(tests).test_requirements == ("pytest",)
    for files in ({"requirements.txt": "PyQt5\n"}, {"pyproject.toml": project("calc", "PySide6>=6")}):
        assert "pytest-qt" in facts({**tests, **files}).test_requirements


TESTS = """
import pytest

@pytest.fixture(name="benchmark")
def _benchmark(): ...

@pytest.fixture
def fake_fs(requests_mock, page): ...

@pytest.mark.parametrize(["httpserver", "b"], [(1, 2)])
@pytest.mark.asyncio
async def test_x(mocker, benchmark, httpserver, snapshot, tmp_path): ...

def helper(freezer): ...
"""


def test_fixtures_and_marks_ask_for_plug_ins(facts: Facts) -> None:
    assert asked_by_tests([ast.parse(TESTS)]) == ["pytest-mock", "requests-mock", "pytest-asyncio"]
    freezer = ast.parse("import pytest\n@pytest.mark.vcr\ndef test_x(freezer): ...\n")
    assert asked_by_tests([freezer]) == ["pytest-freezer", "pytest-recording"]
    assert asked_by_tests([freezer], {"pytest-vcr", "pytest-freezegun"}) == []
    found = facts({"tests/test_calc.py": TESTS, "requirements-test.txt": "pytest-mock<3\n"})
    assert found.test_requirements == ("pytest-mock<3", "pytest", "requests-mock", "pytest-asyncio")


CYTHON = """
from setuptools import setup
from Cython.Build import cythonize
setup(name='calc', ext_modules=cythonize('calc.pyx'), setup_requires=['numpy'])
"""


@pytest.mark.parametrize(
    ("files", "source", "built"),
    [
        ({"setup.py": CYTHON}, "calc.pyx", "setup.py -q build_ext --force"),
        ({"setup.py": CYTHON}, "src/fast.c", "setup.py -q build_ext --force"),
        ({"setup.py": CYTHON}, "calc.py", ""),
        ({"setup.py": CYTHON, "calc.pxd": ""}, "calc.py", "setup.py -q build_ext --force"),
        ({"setup.py": "from setuptools import setup\nsetup(name='calc')\n"}, "calc.c", ""),
        ({"pyproject.toml": "[build-system]\nrequires=['meson-python']\nbuild-backend='mesonpy'\n"}, "calc.c", "--no-build-isolation -e ."),
        ({"pyproject.toml": "[build-system]\nrequires=['maturin']\nbuild-backend='maturin'\n"}, "src/lib.rs", "--no-build-isolation -e ."),
    ],
)
def test_compiled_parts_that_the_fix_changes_are_built_before_the_tests(
    files: dict[str, str], source: str, built: str, facts: Facts, plan: Planner
) -> None:
    made = plan(facts({**files, source: ""}, source=source))
    assert (made.tests[0].python == "/opt/podgym/wrap/python-rebuilt") == bool(built)
    assert built in made.install[0].run
    needs = "install_any numpy ninja cmake" if "setup.py" in files else "ninja cmake"
    assert (needs in made.dependencies[0].run) == bool(built)
