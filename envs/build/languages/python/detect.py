"""Files to facts: a Python project is read, never run."""

from __future__ import annotations

import ast
import fnmatch
import re
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from podgym.envs.build.ci import CiFacts
from podgym.envs.build.languages.python.django import django_settings
from podgym.envs.build.languages.python.facts import Framework, PythonFacts
from podgym.envs.build.languages.python.locks import read_lock
from podgym.envs.build.languages.python.native import compiled, cythonized, without_extensions
from podgym.envs.build.languages.python.needs import extra_requirements, test_requirements, wanted_extras
from podgym.envs.build.languages.python.paths import PythonTestPaths
from podgym.envs.build.languages.python.pins import pinned_python
from podgym.envs.build.languages.python.plugins import COVERAGE, PARALLEL, asked_by_settings, asked_by_tests, declared
from podgym.envs.build.languages.python.project import Project, Reader
from podgym.envs.build.languages.python.pythons import claimed_minors
from podgym.envs.build.languages.python.requirements import Requirements
from podgym.envs.build.languages.python.setupfile import parse
from podgym.envs.build.languages.python.siblings import find_siblings
from podgym.envs.build.languages.python.variables import test_variables

__all__ = ["detect", "project_root", "runs_examples", "test_file_patterns"]

_AMONG_TESTS = re.compile(r"(^|/)(tests?|testing|fixtures?|data|examples?)/")
"""Where a project with metadata is what tests work on."""
_MAX_TEST_FILES = 500
_MAX_HOMES = 20
_EXAMPLES = re.compile(r"(?<!\S)--(?:doctest-modules|doctest-plus|xdoctest(?:-modules)?)(?!\S)")
_SETTINGS_FILES = frozenset({"pytest.ini", ".pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg"})
_NO_CI = CiFacts()


def project_root(paths: Iterable[str], changed: Sequence[str], tests: Sequence[str] = ()) -> str:
    """Directory of the project that the changed source belongs to: the deepest one with metadata above all of it, or above most.

    One below the top that holds all changed tests goes before that: they run in what it needs.
    """
    homes = {path.rpartition("/")[0] for path in paths if path.rpartition("/")[2] in ("pyproject.toml", "setup.py")}
    if not homes - {""}:
        return ""
    tested = {next((home for home in _above(path) if home in homes and not _AMONG_TESTS.search(f"{home}/")), "") for path in tests}
    if len(tested) == 1 and "" not in tested:
        return tested.pop()
    sources = [path for path in changed if path.endswith((".py", ".pyx", ".pxd", ".pyi"))] or changed
    nearest = Counter(home for path in sources if (home := next((home for home in _above(path) if home in homes), None)) is not None)
    if not nearest:
        return next(iter(homes)) if len(homes) == 1 else ""
    shared = [home for home in homes if all(home in _above(f"{one}/x") for one in nearest)]
    if len(nearest) == 1 or not shared:
        return nearest.most_common(1)[0][0]
    return max(shared, key=len)


def _above(path: str) -> list[str]:
    parts = path.split("/")[:-1]
    return ["/".join(parts[:count]) for count in range(len(parts), -1, -1)]


def detect(
    paths: Sequence[str], read: Reader, *, changed_source: Sequence[str], changed_tests: Sequence[str], ci: CiFacts = _NO_CI
) -> PythonFacts:
    """The project's facts. `paths` and `read` are the whole repository's, `changed_*` the fix's files, of the tests the runnable ones."""
    project = Project(project_root(paths, changed_source, changed_tests), paths, read)
    prefix = f"{project.root}/" if project.root else ""
    trees = _test_trees(paths, read, changed_tests)
    requirements = test_requirements(project, trees, ci.steps)
    settings = _pytest_settings(project)
    named = any(key.upper() == "DJANGO_SETTINGS_MODULE" for key in settings)
    django = "" if named else django_settings(project, trees.values(), ci.commands)
    if django:
        # Its runner finds more files than pytest does by itself.
        settings = {"python_files": "test*.py *_test.py", **settings}
    framework = _framework([trees.get(path) for path in changed_tests], project, settings, requirements)
    extras = wanted_extras(project, requirements)
    brought = extra_requirements(project, extras)
    if framework == "pytest":
        known = requirements.names | {canonicalize_name(Requirement(line).name) for line in brought}
        known |= project.runs_on
        by_settings = asked_by_settings(settings, known, declared(trees.values()))
        asked = (*by_settings, *asked_by_tests(trees.values(), {*known, *by_settings}))
        for plugin in ("pytest", *(["pytest-django"] if django else []), *asked):
            if canonicalize_name(Requirement(plugin).name) not in requirements.names:
                requirements.add(plugin)
    fixed_in = project_root(paths, changed_source)  # which an index may have too, without the fix
    beside = () if fixed_in == project.root else (fixed_in or ".",)
    siblings = find_siblings(project, paths, read, (*requirements.paths, *project.paths_needed, *beside))
    tested = claimed_minors(ci.versions.get("python", ()))
    supported = {*project.claimed_pythons, *tested}
    pinned, pinned_by = pinned_python(project.root, read, weakly=not (project.requires_python or supported))
    if supported and pinned not in supported:
        pinned, pinned_by = "", ""
    lock = read_lock(project.root, read, project=project.name, notes=project.notes)
    changed = tuple(path.removeprefix(prefix) if path.startswith(prefix) else "../" * prefix.count("/") + path for path in changed_tests)
    return PythonFacts(
        root=project.root,
        installable=project.installable,
        surely_built=project.surely_built,
        build_system=project.build_system,
        name=project.name,
        requires_python=project.requires_python,
        pinned_python=pinned,
        pinned_by=pinned_by,
        claimed_pythons=_claimed(project, tested),
        dependencies=None if project.dependencies is None else siblings.without(project.dependencies),
        version_from=project.version_from,
        extras=extras,
        extra_requirements=siblings.without(brought),
        uv_sources=bool(project.table("tool", "uv", "sources")),
        test_requirements=siblings.without(requirements.lines),
        siblings=siblings.targets,
        constraints=_constraints(lock.constraints if lock is not None else (), requirements.constraints),
        variables=test_variables(project, ci),
        compiled=(built := compiled(project, changed_source)),
        build_requirements=project.build_requirements if built else (),
        cythonized=cythonized(project),
        without_extensions=without_extensions(project),
        framework=framework,
        test_args=(*_pytest_args(settings), *(["-o", f"python_files={settings['python_files']}"] if django else []))
        if framework == "pytest"
        else (),
        django_settings=django,
        changed_tests=changed,
        suite=_suite(framework, settings, changed),
        src_layout=any(path.startswith("src/") and path.endswith(".py") for path in project.paths),
        notes=tuple(dict.fromkeys(project.notes)),
    )


def test_file_patterns(paths: Sequence[str], read: Reader) -> tuple[str, ...]:
    """`python_files` of pytest's settings, of the repository and of the projects in it."""
    found = (pattern for settings in _all_settings(paths, read) for pattern in settings.get("python_files", "").split())
    return tuple(dict.fromkeys(found))


def runs_examples(paths: Sequence[str], read: Reader) -> bool:
    """Whether pytest's settings, of the repository or of a project in it, have it run examples in docstrings."""
    return any(
        _EXAMPLES.search(settings.get("addopts", "")) or settings.get("doctest_plus", "").lower() in ("enabled", "true", "always")
        for settings in _all_settings(paths, read)
    )


def _all_settings(paths: Sequence[str], read: Reader) -> Iterator[dict[str, str]]:
    homes = {path.rpartition("/")[0] for path in paths if path.rpartition("/")[2] in _SETTINGS_FILES}
    for home in sorted(homes, key=lambda home: (home.count("/") + bool(home), home))[:_MAX_HOMES]:
        yield _pytest_settings(Project(home, paths, read))


def _test_trees(paths: Sequence[str], read: Reader, changed: Sequence[str]) -> dict[str, ast.Module]:
    """Syntax trees of the changed and then the other test files, as far as this Python can parse them."""
    kinds = PythonTestPaths(paths, test_file_patterns(paths, read))
    others = [path for path in paths if path.endswith(".py") and kinds.is_test(path)]
    others.sort(key=lambda path: path.rpartition("/")[2] != "conftest.py")
    trees = {}
    for path in dict.fromkeys((*changed, *others[:_MAX_TEST_FILES])):
        text = read(path)
        tree = parse(text) if text is not None else None
        if tree is not None:
            trees[path] = tree
    return trees


def _pytest_settings(project: Project) -> dict[str, str]:
    """pytest's settings, from the first file that it would take them from."""
    for path in ("pytest.ini", ".pytest.ini"):
        if path in project.paths:
            return project.ini(path).get("pytest", {}) or {"minversion": "0"}
    options = project.table("tool", "pytest", "ini_options") or {
        key: value for key, value in project.table("tool", "pytest").items() if key != "ini_options"
    }
    if options:
        return {key: " ".join(map(str, value)) if isinstance(value, list) else str(value) for key, value in options.items()}
    return project.tox.get("pytest") or project.setup_cfg.get("tool:pytest") or {}


def _claimed(project: Project, tested: tuple[str, ...]) -> tuple[str, ...]:
    """Those that both metadata and CI name, or else those of either: metadata go on naming what nobody tests any more."""
    both = tuple(minor for minor in project.claimed_pythons if minor in tested)
    return both or project.claimed_pythons or tested


def _constraints(locked: Sequence[str], others: Sequence[str]) -> tuple[str, ...]:
    """A lock file's, and of others what it does not name."""
    names = {canonicalize_name(Requirement(line).name) for line in locked}
    return (*locked, *(line for line in others if canonicalize_name(Requirement(line).name) not in names))


def _pytest_args(settings: Mapping[str, str]) -> tuple[str, ...]:
    """One broken file must not hide the others, and neither coverage's threshold nor a process pool may decide a result."""
    args = ["--continue-on-collection-errors", "--maxfail=0", "-p", "no:randomly"]
    options = settings.get("addopts", "")
    if re.search(COVERAGE, options):
        args.append("--no-cov")
    if re.search(PARALLEL, options):
        args += ["-n", "0"]
    return tuple(args)


def _suite(framework: Framework, settings: Mapping[str, str], changed: Sequence[str]) -> tuple[str, ...]:
    """Targets of the whole suite: none where the framework finds the changed tests by itself."""
    if framework == "unittest":
        own = all(re.fullmatch(r"test.*\.py", path.rpartition("/")[2]) for path in changed)
        return () if own else (".", *(path for path in changed if not path.rpartition("/")[2].startswith("test")))
    patterns = settings.get("python_files", "").split() or ["test_*.py", "*_test.py"]
    places = _split(settings.get("testpaths", ""))

    within = [place.removeprefix("./").rstrip("/") for place in places]

    def found(path: str) -> bool:
        inside = not within or any(place in ("", ".") or f"{path}/".startswith(f"{place}/") for place in within)
        name = path.rpartition("/")[2]
        matches = any(fnmatch.fnmatch(path if "/" in pattern else name, pattern) for pattern in patterns)
        return inside and matches and not path.startswith("../")

    missing = [path for path in changed if not found(path)]
    return (*(places or ["."]), *missing) if missing else ()


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def _framework(changed: Sequence[ast.Module | None], project: Project, settings: Mapping[str, str], needs: Requirements) -> Framework:
    """unittest where every changed test file can be run by it and nothing says that the project uses pytest."""
    if settings or "pytest" in needs.names or any(path.rpartition("/")[2] == "conftest.py" for path in project.paths):
        return "pytest"
    return "unittest" if changed and all(tree is not None and _runs_on_unittest(tree) for tree in changed) else "pytest"


def _runs_on_unittest(tree: ast.Module) -> bool:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test"):
            return False
        if isinstance(node, ast.ClassDef) and node.name.startswith("Test") and not node.bases:
            return False
    for inner in ast.walk(tree):
        names = [alias.name for alias in inner.names] if isinstance(inner, ast.Import) else []
        if isinstance(inner, ast.ImportFrom):
            names.append(inner.module or "")
        if any(name.split(".")[0] in ("pytest", "nose") for name in names):
            return False
    return True
