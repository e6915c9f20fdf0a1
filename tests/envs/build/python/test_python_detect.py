from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from podgym.envs.build import BuildOptions
from podgym.envs.build.catalogue import Catalogue
from podgym.envs.build.ci import read_ci
from podgym.envs.build.languages.python.detect import detect, project_root
from podgym.envs.build.languages.python.facts import PythonFacts
from podgym.envs.build.languages.python.plan import plan_python
from podgym.envs.build.plan import WORKDIR, BuildPlan
from podgym.envs.build.tree import Tree

UNITTEST = "import unittest\n\nclass T(unittest.TestCase):\n    def test_x(self): pass\n"


def facts(files: Mapping[str, str], *, source: str = "calc.py", tests: tuple[str, ...] = ("tests/test_calc.py",)) -> PythonFacts:
    everything = {"calc.py": "", "tests/test_calc.py": UNITTEST, **files}
    ci = read_ci(Tree(everything, lambda path: everything[path].encode()))
    return detect(sorted(everything), everything.get, changed_source=[source], changed_tests=tests, ci=ci)


def plan(found: PythonFacts) -> BuildPlan:
    return plan_python(found, committed=datetime(2024, 7, 1, tzinfo=UTC), catalogue=Catalogue())


def test_plain_files_need_no_step() -> None:
    found = facts({})
    assert (found.framework, found.build_system, found.test_requirements, found.suite) == ("unittest", "none", (), ())
    made = plan(found)
    assert made.recipe.before == made.recipe.after == made.recipe.writable == ()
    assert made.tests[0].python == "python" and made.tests[0].cwd == "."


def test_a_src_layout_with_pyproject() -> None:
    pyproject = """
[build-system]
requires = ["setuptools>=61"]
build-backend = "setuptools.build_meta"
[project]
name = "Calc"
dependencies = ["six", "calc[extra]"]
requires-python = ">=3.9"
classifiers = ["Programming Language :: Python :: 3.9", "Programming Language :: Python :: 3.11"]
[project.optional-dependencies]
test = ["pytest", "hypothesis"]
docs = ["sphinx"]
[tool.pytest.ini_options]
addopts = ["--cov", "-n auto", "-ra"]
timeout = 5
"""
    found = facts({"pyproject.toml": pyproject, "src/calc/__init__.py": "", "tests/test_calc.py": "def test_x(): pass\n"})
    assert found.src_layout and found.installable
    assert (found.build_system, found.name, found.framework) == ("setuptools", "Calc", "pytest")
    assert found.dependencies == ("six",)
    assert found.extras == ("test",)
    assert found.test_requirements == ("pytest", "pytest-cov", "pytest-xdist", "pytest-timeout")
    assert found.test_args[-3:] == ("--no-cov", "-n", "0")
    made = plan(found)
    assert made.toolchain == "3.11"
    assert "install six\n" in made.recipe.before[0].run and "--exclude-newer" in made.recipe.before[0].run
    assert "install_project '.[test]'" in made.recipe.after[0].run
    assert made.recipe.writable == ("/opt/venv", "/opt/podgym")
    assert made.env["PATH"].startswith("/opt/venv/bin:")
    assert BuildPlan.model_validate_json(made.model_dump_json()) == made


def test_setup_py_alone_is_read_and_not_run() -> None:
    setup = """
import sys
from setuptools import setup
tests = ['mock>=1', 'pytest']
extras = {'test': tests}
extras['computed'] = open('/nowhere').read()
sys.exit(1)
setup(name='calc', tests_require=tests + ['six'], extras_require={'testing': ['x'], 'docs': []}, python_requires='>=3.8, <3.10',
      install_requires=open('req.txt').read(), setup_requires=['setuptools_scm'], use_scm_version=True,
      classifiers=['Programming Language :: Python :: 3.8'])
"""
    found = facts({"setup.py": setup})
    assert (found.build_system, found.name, found.requires_python) == ("setup.py", "calc", ">=3.8, <3.10")
    assert found.dependencies is None
    assert found.test_requirements == ("mock>=1", "pytest", "six")
    assert found.extras == ("testing",)
    assert found.version_from == "setuptools_scm"
    assert "SETUPTOOLS_SCM_PRETEND_VERSION" in plan(found).recipe.after[0].run


def test_setup_cfg_tox_and_requirement_files() -> None:
    files = {
        "setup.py": "from setuptools import setup\nsetup()\n",
        "setup.cfg": "[metadata]\nname = calc\n[options]\npython_requires = >=3.8\ntests_require =\n    flaky\n"
        "[options.extras_require]\ntests =\n    six\n",
        "tox.ini": """
[tox]
envlist = py{38,310}, lint
[testenv]
deps =
    -r{toxinidir}/requirements/testing.txt
    py310: pytest-mock
    lint: flake8
    .
    {env:SOMETHING}
extras = cli
""",
        "requirements/testing.txt": "attrs\n",
        "requirements/docs.txt": "sphinx\n",
        "dev-requirements.txt": "black\n",
    }
    found = facts(files)
    assert found.claimed_pythons == ("3.8", "3.10")
    assert found.test_requirements == ("attrs", "pytest-mock", "flaky")
    assert found.extras == ("cli", "tests")


def test_dependency_groups_and_tox_in_toml() -> None:
    pyproject = """
[build-system]
requires = ["hatchling", "hatch-vcs"]
build-backend = "hatchling.build"
[project]
name = "calc"
dynamic = ["version"]
[dependency-groups]
tests = ["pytest>=7", {include-group = "shared"}]
shared = ["six"]
typing = ["mypy"]
[tool.tox.env_run_base]
dependency_groups = ["shared"]
extras = ["fast"]
deps = ["pytest-mock"]
[tool.hatch.envs.test]
dependencies = ["pretend"]
"""
    found = facts({"pyproject.toml": pyproject})
    assert found.test_requirements == ("pytest>=7", "six", "pretend", "pytest-mock")
    assert (found.build_system, found.version_from, found.extras) == ("hatchling", "hatch-vcs", ("fast",))
    assert found.dependencies == ()


def test_poetry() -> None:
    pyproject = """
[build-system]
requires = ["poetry-core"]
build-backend = "poetry.core.masonry.api"
[tool.poetry]
name = "calc"
[tool.poetry.dependencies]
python = "^3.8"
six = "^1.16"
[tool.poetry.group.test.dependencies]
pytest = "^7"
[tool.poetry.group.docs.dependencies]
sphinx = "*"
"""
    found = facts({"pyproject.toml": pyproject})
    assert (found.build_system, found.requires_python, found.dependencies) == ("poetry", ">=3.8,<4", ("six<2,>=1.16",))
    assert found.test_requirements == ("pytest<8,>=7",)


def test_development_places_serve_where_no_test_place_does() -> None:
    found = facts({"requirements-dev.txt": "pytest\nblack\n", "tests/test_calc.py": "import pytest\n"})
    assert found.test_requirements == ("pytest", "black")
    files = {
        "requirements-test.txt": "pytest\n",
        "requirements-dev.txt": "black\npython-dateutil\nsphinx\n",
        ".github/workflows/ci.yml": "on: push\njobs:\n  test:\n    strategy:\n      matrix:\n        python-version:\n          - '3.9'\n"
        '          - "3.12"\n    steps:\n      - uses: actions/setup-python@v5\n'
        "        with:\n          python-version: ${{ matrix.python-version }}\n      - run: pip install -U freezegun 'lxml==4' coverage\n",
        "tests/test_calc.py": "import freezegun, calc\nfrom dateutil import tz\nimport json\ndef test_x(): pass\n",
    }
    found = facts(files)
    assert found.test_requirements == ("pytest", "python-dateutil", "freezegun")
    assert found.claimed_pythons == ("3.9", "3.12")


def test_an_extra_that_brings_what_a_test_imports() -> None:
    pyproject = """
[project]
name = "calc"
[project.optional-dependencies]
all = ["cryptography", "requests"]
crypto = ["cryptography>=3"]
test = ["pytest"]
"""
    found = facts({"pyproject.toml": pyproject, "tests/test_calc.py": "try:\n    import cryptography\nexcept ImportError: pass\n"})
    assert found.extras == ("test", "crypto")


def test_what_a_test_would_skip_without_is_installed() -> None:
    pyproject = "[project]\nname = 'calc'\ndependencies = ['numpy']\n[project.optional-dependencies]\ndraw = ['pydot']\ntest = ['pytest']\n"
    files = {"pyproject.toml": pyproject, "tests/test_calc.py": "import numpy, pytest\npydot = pytest.importorskip('pydot')\n"}
    assert facts(files).extras == ("test", "draw")
    ci = "on: push\njobs:\n  test:\n    steps:\n      - run: pip install numpy==1.10.1\n      - run: pytest\n"
    found = facts({**files, ".github/workflows/ci.yml": ci})
    assert not any("numpy" in line for line in found.test_requirements), "the project itself says in which version"


@pytest.mark.parametrize(
    ("files", "extras", "needed"),
    [
        ({"requirements.txt": "-e .[cli] # here\ntrio==0.31\n"}, ("cli",), ("trio==0.31", "pytest")),
        ({"requirements.txt": "pytest==8.3\ntrustme\n"}, (), ("pytest==8.3", "trustme")),
        ({"requirements.txt": "six==1.16\n"}, (), ("pytest",)),
        ({"requirements-test.txt": "-r tests/data/x.txt\npytest\n", "requirements.txt": "-e .[cli]\nmypy\n"}, (), ("pytest",)),
        ({"requirements-dev-py27.txt": "pytest<5\n", "requirements-dev.txt": "pytest\n"}, (), ("pytest",)),
        ({"requirements-test-py27.txt": "pytest<5\n"}, (), ("pytest<5",)),
        ({"tests/fixtures/requirements.txt": "werkzeug==0.16\n"}, (), ("pytest",)),
    ],
)
def test_which_lists_are_for_tests(files: dict[str, str], extras: tuple[str, ...], needed: tuple[str, ...]) -> None:
    own = "[project]\nname = 'calc'\ndependencies = ['six']\n[project.optional-dependencies]\ncli = ['click']\n"
    found = facts({"pyproject.toml": own, "tests/test_calc.py": "import pytest\n", **files})
    assert (found.extras, found.test_requirements) == (extras, needed)


def test_damaged_files_are_noted() -> None:
    found = facts({"pyproject.toml": "[project\n", "setup.cfg": "name = x\n", "setup.py": "print 'python 2'\n"})
    assert found.build_system == "setup.py" and found.dependencies is None
    assert len([note for note in found.notes if "cannot be read" in note]) == 2


@pytest.mark.parametrize(
    "files",
    [
        {"setup.cfg": "[metadata]\nname\n   x\n"},
        {"pyproject.toml": "x = " + "[" * 3000},
        {"pyproject.toml": "x = " + "9" * 5000},
        {"pyproject.toml": "[project]\nname = 'x'\ndynamic = true\ndependencies = 5\n[build-system]\nrequires = 5\n"},
        {"Pipfile": "[dev-packages]\npytest = {version = '*', extras = true}\nsix = {version = '*', extras = [1]}\n"},
        {"environment.yml": "dependencies: !!bool abc\n"},
        {"environment.yml": "dependencies: !!timestamp foo\n"},
        {"environment.yml": "dependencies: !!int ''\n"},
        {"tests/data/broken/pytest.ini": "[pytest]\npython_files\n   x\n"},
    ],
)
def test_files_that_cannot_be_right_say_nothing(files: dict[str, str]) -> None:
    assert facts(files).framework in ("unittest", "pytest")


def test_every_line_of_a_name_counts() -> None:
    tox = "[testenv]\ndeps =\n    pytest<7; python_version<'3.7'\n    pytest>=7; python_version>='3.7'\n"
    assert len([line for line in facts({"tox.ini": tox}).test_requirements if line.startswith("pytest")]) == 2
    found = facts({"requirements.txt": "requests\n", "requirements-test.txt": "requests[socks]\nrequests\n"})
    assert "requests[socks]" in found.test_requirements


@pytest.mark.parametrize(
    ("settings", "changed", "suite"),
    [
        ("", ("tests/test_calc.py",), ()),
        ("", ("calc/tests/tests.py",), (".", "calc/tests/tests.py")),
        ("testpaths = tests", ("tests/test_calc.py",), ()),
        ("testpaths = tests docs", ("unit/test_a.py",), ("tests", "docs", "unit/test_a.py")),
        ("python_files = tests.py", ("calc/tests/tests.py",), ()),
    ],
)
def test_the_whole_suite_always_holds_the_changed_tests(settings: str, changed: tuple[str, ...], suite: tuple[str, ...]) -> None:
    files = {"pytest.ini": f"[pytest]\n{settings}\n", **dict.fromkeys(changed, "def test_x(): pass\n")}
    assert facts(files, tests=changed).suite == suite


def test_unittest_and_pytest_are_told_apart() -> None:
    assert facts({"tests/test_calc.py": "def test_x(): pass\n"}).framework == "pytest"
    assert facts({"tests/test_calc.py": "class TestX:\n    def test_x(self): pass\n"}).framework == "pytest"
    assert facts({"tests/test_calc.py": "from pytest import raises\n" + UNITTEST}).framework == "pytest"
    assert facts({"tests/conftest.py": ""}).framework == "pytest"
    found = facts({"tests/calc_test.py": UNITTEST}, tests=("tests/calc_test.py",))
    assert (found.framework, found.suite) == ("unittest", (".", "tests/calc_test.py"))


def test_a_project_below_the_root() -> None:
    paths = ["pyproject.toml", "libs/a/pyproject.toml", "libs/b/setup.py", "libs/a/src/a.py"]
    assert project_root(paths, ["libs/a/src/a.py", "README.md"]) == "libs/a"
    assert project_root(paths, ["libs/a/src/a.py", "libs/b/b.py"]) == ""
    assert project_root(paths[1:], ["libs/b/b.py", "libs/a/src/a.py", "libs/a/src/b.py"]) == "libs/a"
    assert project_root(["a/setup.py", "a/sub/setup.py"], ["a/x.py", "a/sub/y.py"]) == "a"
    assert project_root(paths, ["libs/a/src/a.py"], ["libs/b/tests/test_b.py"]) == "libs/b"
    assert project_root(paths, ["libs/a/src/a.py"], ["tests/test_a.py"]) == "libs/a"
    assert project_root([*paths, "libs/a/tests/x/setup.py"], ["libs/a/src/a.py"], ["libs/a/tests/x/test_x.py"]) == "libs/a"
    assert project_root(["src/x.cpp", "python/setup.py"], ["src/x.cpp"]) == "python"
    assert project_root(["src/x.cpp", "a/setup.py", "b/setup.py"], ["src/x.cpp"]) == ""
    files = {"libs/a/pyproject.toml": '[project]\nname = "a"\n', "libs/a/src/a.py": "", "libs/a/tests/test_a.py": UNITTEST}
    found = facts(files, source="libs/a/src/a.py", tests=("libs/a/tests/test_a.py", "tests/test_calc.py"))
    assert found.root == "libs/a"
    assert found.changed_tests == ("tests/test_a.py", "../../tests/test_calc.py")
    assert (plan(found).root, plan(found).tests[0].cwd) == ("libs/a", "libs/a")
    assert "install_project ./libs/a" in plan(found).recipe.after[0].run


def test_src_without_metadata_is_put_on_the_path() -> None:
    assert plan(facts({"src/calc.py": ""})).tests[0].env == {"PYTHONPATH": f"{WORKDIR}/src"}


LISTS = {"requirements.txt": "six\n-r base.txt\n", "base.txt": "attrs\n", "requirements-test.txt": "pytest\nsix\n"}
NO_LISTS = "from setuptools import setup\nsetup(name='calc')\n"


@pytest.mark.parametrize(
    ("files", "needed"),
    [
        (LISTS, ("six", "attrs", "pytest")),
        ({**LISTS, "setup.py": NO_LISTS}, ("six", "attrs", "pytest")),
        ({**LISTS, "setup.py": NO_LISTS.replace("name='calc'", "install_requires=open('requirements.txt').read()")}, ("pytest", "six")),
        ({**LISTS, "pyproject.toml": "[project]\nname = 'calc'\ndynamic = ['dependencies']\n"}, ("pytest", "six")),
        ({**LISTS, "pyproject.toml": "[tool.black]\n"}, ("six", "attrs", "pytest")),
        ({"requirements/prod.txt": "six\n", "requirements/base.txt": "attrs\n"}, ("attrs",)),
        ({"Pipfile": "[packages]\nsix = '*'\n[dev-packages]\npytest = {version = '>=7', markers = 'python_version > \"3\"'}\n"},
         ("six", 'pytest>=7; python_version > "3"')),
    ],
)  # fmt: skip
def test_what_no_metadata_list_is_taken_from_where_installers_are_pointed_at(files: dict[str, str], needed: tuple[str, ...]) -> None:
    assert facts(files).test_requirements == needed


@pytest.mark.parametrize("said", ["[tool.poetry]\npackage-mode = false\n[tool.poetry.dependencies]\nsix = '*'\n",
                                  "[project]\nname = 'calc'\ndependencies = ['six']\n[tool.uv]\npackage = false\n"])  # fmt: skip
def test_what_says_that_it_is_no_package_is_not_installed_but_what_it_needs_is(said: str) -> None:
    found = facts({"pyproject.toml": said})
    made = plan(found)
    assert not found.installable and made.install == ()
    assert made.dependencies[0].run.endswith("install six\n")


def test_metadata_of_which_nothing_says_what_builds_them_need_not_be_installed() -> None:
    said = "[project]\nname = 'calc'\ndependencies = []\n"
    made = plan(facts({"pyproject.toml": said, "src/calc.py": ""}))
    assert made.install[0].run.splitlines()[-1].startswith("install_project . || echo 'not installed: ")
    assert made.tests[0].env == {"PYTHONPATH": f"{WORKDIR}/src"}
    for more in ("[tool.uv]\npackage = true\n", "[build-system]\nrequires = ['setuptools']\n"):
        assert plan(facts({"pyproject.toml": said + more})).install[0].run.splitlines()[-1] == "install_project ."
    assert not facts({"setup.cfg": "[metadata]\nname = calc\n"}).installable


MANAGE = "import os, sys\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')\n"
DJANGO_TEST = "from django.test import TestCase\nclass T(TestCase):\n    def test_x(self): pass\n"


@pytest.mark.parametrize(
    ("files", "settings"),
    [
        ({"manage.py": MANAGE}, "shop.settings"),
        ({"manage.py": MANAGE, "tox.ini": "[testenv]\nsetenv =\n    DJANGO_SETTINGS_MODULE = tests.settings\n"}, "tests.settings"),
        ({"tests/runtests.py": MANAGE.replace(".setdefault(", "[").replace(", 'shop", "] = 'shop").replace(")", "")}, "shop.settings"),
        ({".travis.yml": "script: django-admin test --settings=tests.settings\n"}, "tests.settings"),
        ({"manage.py": MANAGE, "pytest.ini": "[pytest]\nDJANGO_SETTINGS_MODULE = a.b\n"}, ""),
        ({"setup.py": NO_LISTS}, ""),
        ({"manage.py": "os.environ['DJANGO_SETTINGS_MODULE'] = settings_module\n"}, ""),
        ({"Makefile": "check:\n\tmypy --settings pyproject.toml\n"}, ""),
        ({"Makefile": "check:\n\tDJANGO_SETTINGS_MODULE=conf pytest\n"}, "conf"),
        ({"manage.py": "DJANGO_SETTINGS_MODULE: str\n"}, ""),
        ({"manage.py": "run('manage.py', args.settings)\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', args.settings)\n"}, ""),
    ],
)
def test_django_s_tests_have_the_settings_that_they_are_started_with(files: dict[str, str], settings: str) -> None:
    found = facts({**files, "shop/tests.py": DJANGO_TEST}, source="shop/models.py", tests=("shop/tests.py",))
    assert found.django_settings == settings
    if settings:
        assert "pytest-django" in found.test_requirements and found.framework == "pytest" and found.suite == ()
        made = plan(found)
        assert made.tests[0].env == {"DJANGO_SETTINGS_MODULE": settings}
        assert "python_files=test*.py *_test.py" in made.tests[0].args
    else:
        assert found.framework == "unittest" or "pytest-django" in found.test_requirements
    without = facts({**files, "tests/test_calc.py": UNITTEST})
    assert without.django_settings == ""


@pytest.mark.parametrize(
    ("present", "absent", "asked", "image"),
    [
        ({"3.11", "3.12"}, (), "", "python:3.9-bookworm"),
        ({"3.9", "3.12"}, (), "", "python:3.9-bookworm"),
        ({"3.8", "3.12"}, (), "", "python:3.8-bookworm"),
        (None, ("3.9",), "", "python:3.8-bookworm"),
        (None, (), "3.7", "python:3.7-bookworm"),
        (None, ("3.7",), "3.7", "python:3.8-bookworm"),
        ({"3.12"}, ("3.10",), "3.10", "python:3.12-bookworm"),
    ],
)
def test_the_image_is_one_that_can_be_had(present: set[str] | None, absent: tuple[str, ...], asked: str, image: str) -> None:
    found = facts({"setup.py": "from setuptools import setup\nsetup(python_requires='>=3.8,<3.10')\n"})
    named = "python:{}-bookworm".format
    catalogue = Catalogue(present=None if present is None else frozenset(map(named, present)), absent=frozenset(map(named, absent)))
    made = plan_python(found, committed=datetime(2024, 7, 1, tzinfo=UTC), catalogue=catalogue, python=asked)
    assert made.base == image and made.toolchain in image


def test_a_closed_network_is_told_to_installers() -> None:
    found = facts({"setup.py": "from setuptools import setup\nsetup(name='calc')\n"})
    env = {"PIP_INDEX_URL": "https://mirror.example.org/simple/", "HTTPS_PROXY": "http://it's"}
    made = plan_python(found, committed=datetime(2024, 7, 1, tzinfo=UTC), catalogue=Catalogue(), exports=env)
    made = made.model_copy(update={"ca_bundle": True})
    for step in (*made.recipe.before, *made.recipe.after):
        assert "export PIP_INDEX_URL=https://mirror.example.org/simple/\n" in step.run
        assert "export HTTPS_PROXY='http://it'\"'\"'s'\n" in step.run
    assert [(copy.source, copy.target) for copy in made.recipe.before_copies] == [("ca.crt", "/opt/podgym/ca.crt")]
    with pytest.raises(ValidationError, match="not the name"):
        BuildOptions(install_env={"A B": "x"})
