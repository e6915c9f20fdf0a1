"""What a project's tests need beside the project: looked for wherever projects keep it, in two tiers.

Places named for tests are taken whole, and so are files, extras and groups that CI installs in a job that runs tests. Places named for
development (linters, documentation) and single names that CI installs are taken whole only where the first tier is empty; otherwise single
entries of theirs are: those that a test imports, and those that are of use to tests alone.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Mapping, Sequence
from posixpath import relpath
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from podgym.envs.build.ci import CiStep
from podgym.envs.build.ci.shell import commands
from podgym.envs.build.languages.python.conda import ENVIRONMENT_FILE, add_environment
from podgym.envs.build.languages.python.installs import Installs
from podgym.envs.build.languages.python.plugins import is_test_tool
from podgym.envs.build.languages.python.project import Project
from podgym.envs.build.languages.python.pythons import for_old_python
from podgym.envs.build.languages.python.requirements import Requirements, add_group, add_poetry
from podgym.envs.build.languages.python.setupfile import session_commands
from podgym.envs.build.languages.python.tox import add_tox
from podgym.envs.build.languages.python.variables import runs_tests

__all__ = ["extra_requirements", "test_requirements", "wanted_extras"]

_TEST_NAMES = re.compile(r"(unit|hatch|py)?-?test(s|ing|-requirements|-deps)?")
_DEV_NAMES = re.compile(r"dev(el|elop|elopment)?(-dependencies)?|ci|qa|check")
_REQUIREMENTS_FILE = re.compile(r"(.*/)?[^/]*require[^/]*(/[^/]*)?\.(txt|in|pip)", re.IGNORECASE)
_DATA = re.compile(r"(^|/)(fixtures?|test[-_]?data|data|samples?|snapshots?|templates?)/", re.IGNORECASE)
_PLAIN_LISTS = (
    r"requirements\.txt",
    r"requirements/(base|common|main|core|default|run(time)?|install|requirements|prod(uction)?|app|all)\.txt",
    r"requirements\.in",
)
"""Best first."""
_INSTALLS = re.compile(r"install|sync|uv run|\b(?:conda|mamba|micromamba)\b[^;&|]{0,200}?\b(?:create|update)\b")
_MAX_LINE = 8000
_HATCH_TEST = ("pytest", "pytest-mock", "pytest-rerunfailures", "pytest-xdist")
"""What Hatch's own environment for tests has where nothing is said of it."""
_TOOLS = re.compile(
    r"pip|setuptools|wheel|build|twine|tox(-[\w-]+)?|nox|uv|poetry(-[\w-]+)?|hatch|pdm|pipenv|virtualenv|flake8|black|isort|mypy|ruff|pylint|"
    r"bandit|codecov|(python-)?coveralls|pre-commit|sphinx|codespell|pyright|interrogate|cibuildwheel"
)
"""What CI installs by name for other ends."""
_IMPORT_NAMES = {
    "attrs": "attr",
    "beautifulsoup4": "bs4",
    "pillow": "pil",
    "pyyaml": "yaml",
    "scikit-learn": "sklearn",
    "opencv-python": "cv2",
    "msgpack-python": "msgpack",
    "protobuf": "google",
    "djangorestframework": "rest_framework",
    "gitpython": "git",
    "grpcio": "grpc",
    "opencv-python-headless": "cv2",
    "psycopg2-binary": "psycopg2",
    "pycryptodome": "crypto",
    "pyhamcrest": "hamcrest",
    "pyjwt": "jwt",
    "pyopenssl": "openssl",
    "pyserial": "serial",
    "pyzmq": "zmq",
    "ruamel-yaml": "ruamel",
    "scikit-image": "skimage",
    "vcrpy": "vcr",
    "websocket-client": "websocket",
}


def test_requirements(project: Project, tests: Mapping[str, ast.Module], steps: Sequence[CiStep] = ()) -> Requirements:
    """Requirements of the test files whose syntax trees are given; `own_extras` are the project's extras among them. `steps` are CI's.

    Where no metadata say what the project itself needs to run, what its files list for that is among them.
    """
    first = Requirements(project=project.name, root=project.root, notes=project.notes)
    needs_to_run = Requirements(project=project.name, root=project.root, notes=project.notes)
    if not project.lists_dependencies:
        _from_lists(project, needs_to_run)
    _from_tables(project, first, _TEST_NAMES)
    variants = add_tox(project, first)
    nox = Installs(project)
    for words in session_commands(project.read("noxfile.py") or ""):
        nox.command(words)
    first.take(nox.whole)
    first.take(nox.named)
    first.add_all(_lines(project.setup_py.get("tests_require")))
    first.add_all(_lines(project.setup_cfg.get("options", {}).get("tests_require")))
    first.own_extras += _extras(project, _TEST_NAMES)
    whole, named, aside = _from_ci(project, steps)
    if any("hatch test" in step.line for step in steps):
        first.add_all(one for one in _HATCH_TEST if one not in first.names)
    first.take(whole)
    second = Requirements(project=project.name, root=project.root, notes=[])
    _from_tables(project, second, _DEV_NAMES)
    if not _says_anything(project, first):
        first.take(second)
        first.own_extras += _extras(project, _DEV_NAMES)
        project.notes += second.notes
    if not _says_anything(project, first):
        first.add_all(line for line in named.lines if not _TOOLS.fullmatch(canonicalize_name(Requirement(line).name)))
    first.take_around(second)
    for more in (named, aside, variants):
        second.add_all(more.lines)
    # What the project itself runs on is there, in the versions that it says.
    missing = _imports(project, tests) - {_import_name(name) for name in (*first.names, *project.runs_on)}
    for line in second.lines:
        name = Requirement(line).name
        if _import_name(name) in missing or (is_test_tool(name) and canonicalize_name(name) not in first.names):
            first.add(line)
            missing.discard(_import_name(name))
    # Optional features that tests import: the smallest extra that brings them.
    for extra, lines in sorted(project.extras.items(), key=lambda item: len(item[1])):
        brought = {_import_name(match[0]) for line in lines if (match := re.match(r"[\w.-]+", line))} & missing
        if brought:
            first.own_extras.append(extra)
            missing -= brought
    known = frozenset(needs_to_run.names)  # Of before: one name may have a line for each of several Pythons, or bring extras.
    for line in first.lines:
        one = Requirement(line)
        if one.extras or canonicalize_name(one.name) not in known:
            needs_to_run.add(line)
    needs_to_run.own_extras += first.own_extras
    needs_to_run.take_around(first)
    return needs_to_run


def _says_anything(project: Project, found: Requirements) -> bool:
    """Whether there is more than tools that install, what the project needs to run, and extras of its features."""
    if any(_TEST_NAMES.fullmatch(canonicalize_name(extra)) or _DEV_NAMES.fullmatch(canonicalize_name(extra)) for extra in found.own_extras):
        return True
    to_run = Requirements(project=project.name, root=project.root)
    for path in _plain_lists(project):
        if not _is_for_development(path, project):
            to_run.add_file(path, project.read)
    for path in _environment_files(project):
        add_environment(to_run, project.read(path), path)
    brought = {canonicalize_name(Requirement(line).name) for line in extra_requirements(project, found.own_extras)}
    own = found.names - to_run.names
    return any(map(is_test_tool, found.names | brought)) or any(not _TOOLS.fullmatch(name) for name in own)


def _is_for_development(path: str, project: Project) -> bool:
    """Whether a file of requirements without a purpose in its name installs the project itself, or tools of tests."""
    listed = Requirements(project=project.name, root=project.root)
    listed.add_file(path, project.read)
    own = re.search(r"^[ \t]*(?:-e|--editable)?[ \t=]*\.(?:\[[\w\s,.-]*\])?[ \t]*(?:#.*)?$", project.read(path) or "", re.MULTILINE)
    return own is not None or any(map(is_test_tool, listed.names))


def _plain_lists(project: Project) -> list[str]:
    return [path for pattern in _PLAIN_LISTS for path in project.paths if re.fullmatch(pattern, path, re.IGNORECASE)]


def _from_lists(project: Project, into: Requirements) -> None:
    """A file of requirements without a purpose in its name, or Pipenv's, or Conda's."""
    found = next(iter(_plain_lists(project)), None)
    if found is not None:
        into.add_file(found, project.read)
    elif isinstance(packages := project.pipfile.get("packages"), dict):
        add_poetry(into, packages)
    elif (found := next(iter(_environment_files(project)), None)) is not None:
        add_environment(into, project.read(found), found)


def _environment_files(project: Project, names: re.Pattern[str] | None = None) -> list[str]:
    """Conda's: those with a word of `names` in their path, or without any purpose there; the shortest path first."""
    found = []
    for path in project.paths:
        if ENVIRONMENT_FILE.fullmatch(path) and path.count("/") <= 2:
            words = set(re.split(r"[^a-z]+", path.lower())) - {"", "conda", "env", "environment", "yml", "yaml", "requirements", "binder"}
            if not words if names is None else any(names.fullmatch(word) for word in words):
                found.append(path)
    return sorted(found, key=len)


def wanted_extras(project: Project, requirements: Requirements) -> tuple[str, ...]:
    """Extras of the project to install with it; none where it cannot be installed."""
    if not project.installable:
        return ()
    return tuple(extra for extra in dict.fromkeys(requirements.own_extras) if re.fullmatch(r"[\w.-]+", extra))


def extra_requirements(project: Project, extras: Sequence[str]) -> tuple[str, ...]:
    """What `extras` bring, and those that they name of the project's own."""
    found = Requirements(project=project.name, root=project.root, notes=[])
    tables = {canonicalize_name(extra): lines for extra, lines in project.extras.items()}
    asked = [canonicalize_name(extra) for extra in extras]
    for extra in asked:  # which grows
        before = len(found.own_extras)
        found.add_all(tables.get(extra, ()))
        asked += dict.fromkeys(one for one in map(canonicalize_name, found.own_extras[before:]) if one not in asked)
    return found.lines


def _from_tables(project: Project, into: Requirements, names: re.Pattern[str]) -> None:
    """Groups, environments and files whose name matches."""

    def named(table: Mapping[str, Any]) -> list[tuple[str, Any]]:
        return [(key, value) for key, value in table.items() if names.fullmatch(canonicalize_name(key))]

    groups = project.table("dependency-groups")
    for group, _ in named(groups):
        add_group(into, groups, group)
    for _, table in named(project.table("tool", "poetry", "group")):
        if isinstance(table, dict) and isinstance(table.get("dependencies"), dict):
            add_poetry(into, table["dependencies"])
    for _, lines in named(project.table("tool", "pdm", "dev-dependencies")):
        into.add_all(_lines(lines))
    for environment, table in project.hatch_environments.items():
        if names.fullmatch(canonicalize_name(environment)) or (environment == "default" and names is _TEST_NAMES):
            into.add_all([*_lines(table.get("dependencies")), *_lines(table.get("extra-dependencies"))])
            into.own_extras += _lines(table.get("features"))
            for group in _lines(table.get("dependency-groups")):
                add_group(into, groups, group)
            if environment == "hatch-test":
                into.add_all(one for one in _HATCH_TEST if one not in into.names)
    if names is _DEV_NAMES:
        if isinstance(project.poetry.get("dev-dependencies"), dict):
            add_poetry(into, project.poetry["dev-dependencies"])
        into.add_all(_lines(project.table("tool", "uv").get("dev-dependencies")))
        if isinstance(project.pipfile.get("dev-packages"), dict):
            add_poetry(into, project.pipfile["dev-packages"])
    _from_files(project, into, names)


def _from_files(project: Project, into: Requirements, names: re.Pattern[str]) -> None:
    found = []
    for path in project.paths:
        if _REQUIREMENTS_FILE.fullmatch(path) and path.count("/") <= 2 and not _DATA.search(path):
            words = re.split(r"[^a-z]+", path.lower())
            if any(names.fullmatch(word) for word in words):
                found.append(path)
    if names is _DEV_NAMES and project.lists_dependencies:
        found += [path for path in _plain_lists(project) if _is_for_development(path, project)]
    for path in [path for path in found if not for_old_python(path)] or found:
        into.add_file(path, project.read)
    for path in (*_environment_files(project, names), *(_environment_files(project) if names is _DEV_NAMES else ())):
        add_environment(into, project.read(path), path)


def _from_ci(project: Project, steps: Sequence[CiStep]) -> tuple[Requirements, Requirements, Requirements]:
    """What jobs that run the project's tests install as a whole and by name, and what others install by name."""
    tests = [step for step in steps if runs_tests(step.line)]
    testing, ours = {step.job for step in tests}, {step.job for step in tests if project.has(step.directory)}
    here, others, beside = Installs(project), Installs(project), Installs(project)
    for step in steps:
        if _INSTALLS.search(step.line[:_MAX_LINE]) and (step.job in ours or step.job not in testing):
            directory = _from_root(project, step.directory)
            into = beside if not project.has(step.directory) else here if step.job in testing else others
            for words in commands(step.line, dict(step.env)):
                into.command(words, directory)
    # Another project of the repository says what that needs; that it is installed with this one is all that is ours.
    here.whole.paths += beside.whole.paths
    return here.whole, here.named, others.named


def _from_root(project: Project, directory: str) -> str:
    """A directory of the repository as seen from the project's."""
    return relpath(f"/{directory}", f"/{project.root}")


def _extras(project: Project, names: re.Pattern[str]) -> list[str]:
    return [extra for extra in project.extras if names.fullmatch(canonicalize_name(extra))]


def _imports(project: Project, tests: Mapping[str, ast.Module]) -> set[str]:
    """Lower-case top-level names that the tests import and that are neither standard library nor the repository's own."""
    own = {part for path in project.all_paths if path.endswith(".py") for part in path.removesuffix(".py").split("/")}
    found = set()
    for tree in tests.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.split(".")[0])
            elif isinstance(node, ast.Call) and (named := _imported_or_skipped(node)):
                found.add(named.split(".")[0])
    return {name.lower() for name in found - own - sys.stdlib_module_names}


def _imported_or_skipped(call: ast.Call) -> str:
    """The module of `pytest.importorskip("module")`; empty for another call."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else call.func.id if isinstance(call.func, ast.Name) else ""
    first = call.args[0] if call.args else None
    told = isinstance(first, ast.Constant) and isinstance(first.value, str) and name == "importorskip"
    return first.value if told and isinstance(first, ast.Constant) and isinstance(first.value, str) else ""


def _import_name(requirement: str) -> str:
    """The name that a distribution is most likely imported by."""
    name = canonicalize_name(requirement)
    return _IMPORT_NAMES.get(name, name.removeprefix("python-")).replace("-", "_")


def _lines(value: object) -> list[str]:
    if isinstance(value, str):
        return [line.strip() for line in value.splitlines() if line.strip()]
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
