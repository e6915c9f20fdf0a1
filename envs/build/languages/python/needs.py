"""What a project's tests need beside the project: looked for wherever projects keep it, in two tiers.

Places named for tests are taken whole. Places named for development (linters, documentation) and what CI installs are
taken whole only where the first tier is empty; otherwise single entries of theirs are, those that a test imports.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from podgym.envs.build.languages.python.conda import ENVIRONMENT_FILE, add_environment
from podgym.envs.build.languages.python.project import Project
from podgym.envs.build.languages.python.requirements import Requirements, add_group, add_poetry
from podgym.envs.build.languages.python.setupfile import session_installs

__all__ = ["test_requirements", "wanted_extras"]

_TEST_NAMES = re.compile(r"(unit)?-?test(s|ing|-requirements|-deps)?")
_DEV_NAMES = re.compile(r"dev(el|elop|elopment)?(-dependencies)?|ci|qa|check")
_REQUIREMENTS_FILE = re.compile(r"(.*/)?[^/]*require[^/]*(/[^/]*)?\.(txt|in|pip)", re.IGNORECASE)
_PLAIN_LISTS = (
    r"requirements\.txt",
    r"requirements/(base|common|main|core|default|run(time)?|install|requirements|prod(uction)?|app|all)\.txt",
    r"requirements\.in",
)
"""Best first."""
_TEST_FACTOR = re.compile(r"(^|[-,{])(tests?|py3?|py3\d+|py3\.\d+)([-,}]|$)|py3\{")
_IMPORT_NAMES = {
    "attrs": "attr",
    "beautifulsoup4": "bs4",
    "pillow": "pil",
    "pyyaml": "yaml",
    "scikit-learn": "sklearn",
    "opencv-python": "cv2",
    "msgpack-python": "msgpack",
    "protobuf": "google",
}


def test_requirements(project: Project, tests: Mapping[str, ast.Module], commands: Sequence[str] = ()) -> Requirements:
    """Requirements of the test files whose syntax trees are given; `own_extras` are the project's extras among them. `commands` are CI's.

    Where no metadata say what the project itself needs to run, what its files list for that is among them.
    """
    first = Requirements(project=project.name, notes=project.notes)
    needs_to_run = Requirements(project=project.name, notes=project.notes)
    if not project.lists_dependencies:
        _from_lists(project, needs_to_run)
    _from_tables(project, first, _TEST_NAMES)
    _from_tox(project, first)
    first.add_all(session_installs(project.read("noxfile.py") or ""))
    first.add_all(_lines(project.setup_py.get("tests_require")))
    first.add_all(_lines(project.setup_cfg.get("options", {}).get("tests_require")))
    first.own_extras += _extras(project, _TEST_NAMES)
    second = Requirements(project=project.name, notes=[])
    _from_tables(project, second, _DEV_NAMES)
    if not first.lines and not first.own_extras:
        first.add_all(second.lines)
        first.own_extras += [*second.own_extras, *_extras(project, _DEV_NAMES)]
        project.notes += second.notes
    second.add_all(_from_ci(commands))
    missing = _imports(project, tests) - {_import_name(name) for name in first.names}
    for line in second.lines:
        if _import_name(Requirement(line).name) in missing:
            first.add(line)
            missing.discard(_import_name(Requirement(line).name))
    # Optional features that tests import: the smallest extra that brings them.
    for extra, lines in sorted(_extra_tables(project).items(), key=lambda item: len(item[1])):
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
    return needs_to_run


def _from_lists(project: Project, into: Requirements) -> None:
    """A file of requirements without a purpose in its name, or Pipenv's, or Conda's."""
    found = next((path for pattern in _PLAIN_LISTS for path in project.paths if re.fullmatch(pattern, path, re.IGNORECASE)), None)
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
    environments = project.table("tool", "hatch", "envs")
    for environment, table in environments.items():
        wanted = names.fullmatch(canonicalize_name(environment)) or (environment == "default" and names is _TEST_NAMES)
        if isinstance(table, dict) and wanted:
            into.add_all([*_lines(table.get("dependencies")), *_lines(table.get("extra-dependencies"))])
    if names is _DEV_NAMES:
        if isinstance(project.poetry.get("dev-dependencies"), dict):
            add_poetry(into, project.poetry["dev-dependencies"])
        into.add_all(_lines(project.table("tool", "uv").get("dev-dependencies")))
        if isinstance(project.pipfile.get("dev-packages"), dict):
            add_poetry(into, project.pipfile["dev-packages"])
    _from_files(project, into, names)


def _from_files(project: Project, into: Requirements, names: re.Pattern[str]) -> None:
    for path in project.paths:
        if _REQUIREMENTS_FILE.fullmatch(path) and path.count("/") <= 2:
            words = re.split(r"[^a-z]+", path.lower())
            if any(names.fullmatch(word) for word in words):
                into.add_file(path, project.read)
    for path in (*_environment_files(project, names), *(_environment_files(project) if names is _DEV_NAMES else ())):
        add_environment(into, project.read(path), path)


def _from_tox(project: Project, into: Requirements) -> None:
    sections: list[Mapping[str, Any]] = [
        section for name, section in project.tox.items() if name == "testenv" or re.fullmatch(r"testenv:(tests?|py3?\d*)", name)
    ]
    tables = project.tox_tables("env_run_base", "env.test", "env.tests")
    for section in (*sections, *tables):
        for line in _for_tests(_lines(section.get("deps"))):
            include = re.match(r"(?:-r|--requirement)[\s=]*(\S+)", line)
            if include:
                path = re.sub(r"^\{tox(inidir|_root)\}/?|^\./", "", include[1])
                if "{" not in path:
                    into.add_file(path, project.read)
            elif "{" not in line and not line.startswith((".", "-", "#")):
                into.add(re.sub(r"\s+#.*$", "", line))
        for group in _words(section.get("dependency_groups")):
            add_group(into, project.table("dependency-groups"), group)
        into.own_extras += [extra for extra in _words(section.get("extras")) if "{" not in extra]


def _for_tests(lines: list[str]) -> list[str]:
    """The lines of a tox setting that hold for test environments, without their factors (`py311: name`)."""
    kept = []
    for line in lines:
        factor = re.match(r"([\w!,{}.-]+):\s+(.*)", line)
        if factor is None:
            kept.append(line)
        elif _TEST_FACTOR.search(factor[1]) and not factor[1].startswith("!"):
            kept.append(factor[2].strip())
    return kept


def _words(value: object) -> list[str]:
    return [word for line in _for_tests(_lines(value)) for word in re.split(r"[\s,]+", line) if word]


def _from_ci(commands: Sequence[str]) -> list[str]:
    found: list[str] = []
    for command in commands:
        for match in re.finditer(r"pip3? install ([^\n|&;#]+)", command):
            found += re.findall(r"(?:^|\s)['\"]?([A-Za-z][\w.-]*)(?=['\"\s\[<>=~]|$)", match[1])
    return found


def _extras(project: Project, names: re.Pattern[str]) -> list[str]:
    return [extra for extra in _extra_tables(project) if names.fullmatch(canonicalize_name(extra))]


def _extra_tables(project: Project) -> dict[str, list[str]]:
    """The project's extras and what they bring, as far as that can be read."""
    found: dict[str, list[str]] = {}
    for table in (
        project.project.get("optional-dependencies"),
        project.setup_py.get("extras_require"),
        project.setup_cfg.get("options.extras_require"),
        project.poetry.get("extras"),
        project.flit.get("requires-extra"),
    ):
        for extra, lines in table.items() if isinstance(table, dict) else ():
            found.setdefault(extra, _lines(lines))
    return found


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
    return {name.lower() for name in found - own - sys.stdlib_module_names}


def _import_name(requirement: str) -> str:
    """The name that a distribution is most likely imported by."""
    name = canonicalize_name(requirement)
    return _IMPORT_NAMES.get(name, name.removeprefix("python-")).replace("-", "_")


def _lines(value: object) -> list[str]:
    if isinstance(value, str):
        return [line.strip() for line in value.splitlines() if line.strip()]
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
