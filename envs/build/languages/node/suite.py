"""Which commands run the tests of a package, and what has to run before them.

The `test` script says it, or another one by its name; where none starts a runner that is known, the runner is told from
the dependencies and from what the changed tests import.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from podgym.envs.build.languages.node.browsers import MODE, browser_of, in_browser
from podgym.envs.build.languages.node.builds import Build, builds_before
from podgym.envs.build.languages.node.checks import is_check
from podgym.envs.build.languages.node.command import Command, delegated
from podgym.envs.build.languages.node.covering import MAYBE_TYPES, SCRIPT, TYPES, checks_types, covers, expanded, is_compiled
from podgym.envs.build.languages.node.harness import exact, is_held
from podgym.envs.build.languages.node.makefile import recipe
from podgym.envs.build.languages.node.manifest import Manifest, join, normal
from podgym.envs.build.languages.node.mocha import reads_typescript
from podgym.envs.build.languages.node.runners import Framework, Run, bare, recognise, sniff
from podgym.envs.build.languages.node.scripts import Scripts
from podgym.envs.build.languages.node.shell import word
from podgym.envs.build.tree import Tree
from podgym.verifiers.paths import PathGlobs

__all__ = ["Suite", "find_suite", "whole_script"]

_PREFERRED: Final = (
    "test", "test:unit", "unit", "test-unit", "unit-test", "test:node", "test-node", "test:ci", "ci:test", "tests", "test:js",
    "test:all", "test:run", "test:jest", "test:vitest", "test:mocha", "jest", "vitest", "mocha", "ava", "tap", "tape", "test:src",
    "test:lib", "test-only", "tests-only", "test:once", "testonly", "test:coverage", "coverage", "cover", "test:cov", "test-cov",
    "test:main", "test:packages", "ci", "check",
)  # fmt: skip
_ASIDE: Final = re.compile(
    r"watch|debug|update|bench|perf|browser|e2e|cypress|playwright|mutation|stryker|deploy|release|smoke|inspect|size|types?$|tdd"
)
_NEVER: Final = re.compile(r"watch|debug|update|bench|browser|mutation|stryker|deploy|inspect|tdd")
_INFERRED: Final[tuple[tuple[str, Framework, str], ...]] = (
    ("vitest", "vitest", "vitest"), ("jest", "jest", "jest"), ("mocha", "mocha", "mocha"), ("ava", "ava", "ava"), ("tap", "tap", "tap"),
    ("jasmine", "jasmine", "jasmine"), ("@hapi/lab", "lab", "lab"), ("lab", "lab", "lab"), ("qunit", "qunit", "qunit"),
    ("uvu", "uvu", "uvu"), ("tape", "tape", "tape"), ("karma", "karma", "karma"), ("react-scripts", "jest", "react-scripts test"),
    ("grunt-mocha-test", "mocha", "mocha"), ("gulp-mocha", "mocha", "mocha"), ("grunt-contrib-jasmine", "jasmine", "jasmine"),
    ("gulp-jasmine", "jasmine", "jasmine"), ("gulp-jest", "jest", "jest"), ("grunt-jest", "jest", "jest"),
    ("vite-plus", "vitest", "vitest"),
)  # fmt: skip
_TYPESCRIPT: Final = re.compile(r"\.[cm]?tsx?$")
_QUOTED_SCRIPTS: Final = re.compile(r"['\"`]([\w@./{},*-]{1,200}\.[cm]?[jt]sx?)['\"`]")
_MAX_SETTINGS: Final = 100_000
_MAX_PATTERNS: Final = 200
_CONFIGS: Final = {
    "vitest": re.compile(r"vite(st)?\.([\w-]+\.)?(config|workspace)\.|vitest\."), "mocha": re.compile(r"\.mocharc"),
    "jest": re.compile(r"jest\.([\w-]+\.)?config\.|jest\.json$"), "ava": re.compile(r"ava\.config\."), "tap": re.compile(r"\.taprc"),
    "jasmine": re.compile(r"\.?jasmine\.(json|m?js)$"), "karma": re.compile(r"karma\.conf"),
}  # fmt: skip
"""Settings beside a package that say which runner is meant for it."""
_ANGULAR: Final = frozenset({"@angular/cli", "@angular-devkit/build-angular", "@angular/build"})
_MAX_RUNS: Final = 4
_MAX_PROGRAMS: Final = 20
_NO_PROGRAMS: Final = frozenset({"cd", "set", "export", "source", ".", "cp", "mkdir", "rm", "rimraf", "shx", "cross-env", "kill", "wait"})


@dataclass(frozen=True, slots=True)
class Suite:
    """How the tests of one package are run."""

    package: Manifest
    runs: tuple[Run, ...] = ()
    before: Mapping[int, tuple[Build, ...]] = field(default_factory=dict)
    """What a run's script does first, by the run's place."""
    script: str = ""
    """Name of the script that says so; empty where it was inferred."""
    browsers: tuple[str, ...] = ()
    """Programs of its scripts that need a browser."""
    scope: tuple[str, ...] = ()
    """Directories of packages without a runner of their own, for which this one stands in."""


def find_suite(
    package: Manifest,
    root: Manifest,
    changed: Sequence[str],
    *,
    tree: Tree,
    tests: Tree,
    manifests: Mapping[str, Manifest],
    notes: list[str],
) -> Suite:
    """The suite of a package, as far as the changed tests are concerned; these are read in `tests`, which has those that are new."""
    scripts = Scripts(tree, manifests)
    if (types := _of_types(package, scripts, changed, tree)) is not None:
        return types
    browsers: list[str] = []
    coarse: Suite | None = None
    other: Suite | None = None
    names: list[str] = [name for name in _PREFERRED if name in package.scripts]
    names += [name for name in package.scripts if name not in names and re.search(r"test|unit|spec", name) and not _ASIDE.search(name)]
    said = [kind for path in changed if SCRIPT.search(path) and (kind := sniff(tests, path)) != "exit"]
    kinds = frozenset(kind for kind in said if kind is not None)
    suites = [_of_commands(package, name, scripts.expand(package, name), changed, tree, kinds=kinds) for name in names]
    if None not in said and (own := _of_kind(suites, kinds, changed, tree)) is not None:
        return own
    for suite in suites:
        browsers += suite.browsers
        if any(run.framework != "exit" for run in suite.runs):
            if not changed or any(covers(run, path, tree) for run in suite.runs for path in changed):
                return suite
            other = other or suite
        elif suite.runs and coarse is None:
            coarse = suite
    if other is not None:
        rest = [name for name in package.scripts if name not in names and not _NEVER.search(name)]
        asides = (_of_commands(package, name, scripts.expand(package, name), changed, tree, kinds=kinds) for name in rest)
        return next((one for one in asides if _names_any(one, changed, tree)), other)
    if (makefile := tree.read(join(package.directory, "Makefile"))) is not None and coarse is None:
        commands = [one for line in recipe(makefile, "test") for one in scripts.line(package, line)]
        suite = _of_commands(package, "make test", commands, changed, tree, kinds=kinds)
        if suite.runs:
            return suite
    notes += list(dict.fromkeys(scripts.notes))[:5]
    inferred = _inferred(package, root, changed, tree, tests, certain=coarse is not None)
    if inferred is not None and in_browser(inferred, tree):
        browsers.append(MODE)
    elif inferred is not None:
        return Suite(package, tuple(_by_settings(inferred, changed, tree))[:_MAX_RUNS])
    # Programs of its scripts are not what changed tests are for that import a runner.
    return (coarse if not kinds or None in said else None) or Suite(package, browsers=tuple(dict.fromkeys(browsers)))


def _of_kind(suites: Sequence[Suite], kinds: frozenset[Framework], changed: Sequence[str], tree: Tree) -> Suite | None:
    """The first suite of a runner that the changed tests import, where others may take them for theirs."""
    alike = [suite for suite in suites if any(run.framework in kinds for run in suite.runs)]
    if not any(run.framework not in kinds for suite in suites for run in suite.runs if run.framework != "exit"):
        return None
    covering = (one for one in alike if any(covers(run, path, tree) for run in one.runs if run.framework in kinds for path in changed))
    # What is started by files that load the others names none of those.
    chosen = next(covering, next(iter(alike), None) if kinds <= {"tape", "tap"} else None)
    if chosen is None:
        return None
    kept = [place for place, run in enumerate(chosen.runs) if run.framework in kinds]
    before = {at: chosen.before.get(place, ()) for at, place in enumerate(kept)}
    return replace(chosen, runs=tuple(chosen.runs[place] for place in kept), before=before)


def _names_any(suite: Suite, changed: Sequence[str], tree: Tree) -> bool:
    """Whether a run is told by name of files that a changed test is among."""
    named = [run for run in suite.runs if run.framework != "exit" and run.files and not is_compiled(run, tree)]
    return any(covers(run, path, tree) for run in named for path in changed)


def _of_types(package: Manifest, scripts: Scripts, changed: Sequence[str], tree: Tree) -> Suite | None:
    """What checks the types of a package, where all changed tests are of types: a program for that, Vitest where it is told to, or else
    the compiler; each is one test."""
    if not changed or not (all(map(MAYBE_TYPES.search, changed)) or all(map(TYPES.search, changed))):
        return None
    if any(
        _CONFIGS["vitest"].match(path) and "typecheck" in (tree.read(join(package.directory, path)) or "")
        for path in _beside(package, tree)
    ):
        return None  # its own tests tell
    compiler: Suite | None = None
    for name in dict.fromkeys([*(one for one in _PREFERRED if one in package.scripts), *package.scripts]):
        commands = scripts.expand(package, name)
        for index, one in enumerate(commands):
            before = {0: tuple(builds_before(commands, index, tree))}
            run = recognise(one, tree)
            if checks_types(one) or (run is not None and any(flag.text.startswith("--typecheck") for flag in run.flags)):
                return Suite(package, (run or Run("exit", one, one.words),), before, name)
            if compiler is None and one.program in ("tsc", "vue-tsc", "tsgo") and is_check(one, tree):
                compiler = Suite(package, (Run("exit", one, one.words),), before, name)
    return compiler if all(map(TYPES.search, changed)) else None


def _beside(package: Manifest, tree: Tree) -> list[str]:
    return [path for path in tree.below(package.directory) if "/" not in path]


def whole_script(package: Manifest, *, tree: Tree, manifests: Mapping[str, Manifest], changed_source: Collection[str] = ()) -> Suite | None:
    """The programs of a package's `test` script by their exit status, whatever they are; None where it has none but checks, or one
    that needs a browser or that a solution may change. What runs the scripts of all packages is no program of this one."""
    if "test" not in package.scripts:
        return None
    commands = Scripts(tree, manifests).expand(package, "test")
    own = [exact(one, tree) for one in dict.fromkeys(commands) if not is_check(one, tree) and one.program not in _NO_PROGRAMS]
    if not own or len(own) > _MAX_PROGRAMS or any(browser_of(one) or delegated(one) for one in own):
        return None
    if not all(is_held(one, tree, changed_source) for one in own):
        return None
    return Suite(package, tuple(Run("exit", one, one.words) for one in own), script="test")


def _of_commands(
    package: Manifest, name: str, commands: Sequence[Command], changed: Sequence[str], tree: Tree, *, kinds: frozenset[Framework]
) -> Suite:
    """The runs of a script that concern the changed tests; `kinds` are runners that some of these import."""
    found: list[tuple[int, Run]] = []
    browsers: list[str] = []
    for index, one in enumerate(commands):
        run = recognise(one, tree)
        if run is not None and in_browser(run, tree):
            browsers.append(MODE)
        elif run is not None and run not in [other for _, other in found]:
            found.append((index, run))
    browsers += [name for one in commands if (name := browser_of(one))]
    concerned = [(index, run) for index, run in found if run.framework in kinds or any(covers(run, path, tree) for path in changed)]
    known = [[pair for pair in pairs if pair[1].framework != "exit"] for pairs in (concerned, found)]
    types = bool(changed) and all(TYPES.search(path) for path in changed)
    chosen = next(filter(None, (concerned if types else [], *known, concerned)), found)
    beside = [pair for pair in chosen if pair[1].framework != "karma"]
    chosen = (beside or chosen)[: _MAX_RUNS if known[1] else 20]
    before = {place: tuple(builds_before(commands, index, tree)) for place, (index, _) in enumerate(chosen)}
    return Suite(package, tuple(run for _, run in chosen), before, name, tuple(browsers))


def _inferred(package: Manifest, root: Manifest, changed: Sequence[str], tree: Tree, tests: Tree, *, certain: bool) -> Run | None:
    """With `certain`, only what a changed test says itself."""
    imported = [kind for path in changed if (kind := sniff(tests, path)) is not None]
    own = package.dependencies()
    dependencies = {**root.dependencies(), **own}
    for kind in dict.fromkeys(imported):
        if kind == "node:test":
            typescript = any(path.endswith(("ts", "tsx")) for path in changed)
            loader = next((name for name in ("tsx", "ts-node") if name in dependencies), "") if typescript else ""
            options = {"tsx": "--import tsx ", "ts-node": "--require ts-node/register "}.get(loader, "")
            return recognise(_command(package, f"node {options}--test"), tree)
        for name, framework, program in _INFERRED:
            if framework == kind and name in own:
                return bare(framework, program, _command(package, program))
    if certain:
        return None
    beside = _beside(package, tree)
    if "karma" in own and "karma-mocha" not in own and not _ANGULAR & dependencies.keys() and _of_karma(changed, package, tree):
        return bare("karma", "karma", _command(package, "karma"))
    for name, framework, program in _INFERRED:
        if framework == "karma" and _ANGULAR & dependencies.keys():
            continue  # whose settings are for `ng test` alone
        settings = _CONFIGS.get(framework)
        meant = settings is not None and any(settings.match(path) for path in beside)
        if (name in own and not _for_browsers(name, own, meant=meant)) or (name in dependencies and meant):
            command = _command(package, program)
            if framework == "mocha" and changed and not reads_typescript(package, tree) and all(_TYPESCRIPT.search(one) for one in changed):
                command = replace(command, requires=("ts-node/register/transpile-only",))
            return recognise(command, tree) or bare(framework, program, command)
    return None


def _of_karma(changed: Sequence[str], package: Manifest, tree: Tree) -> bool:
    """Whether Karma's settings name all changed tests, by a pattern or their path."""
    texts = [tree.read(join(package.directory, path)) or "" for path in _beside(package, tree) if _CONFIGS["karma"].match(path)]
    quoted = dict.fromkeys(_QUOTED_SCRIPTS.findall(" ".join(texts)[:_MAX_SETTINGS]))
    named = [path for one in quoted if (path := normal(one, package.directory))][:_MAX_PATTERNS]
    globs = PathGlobs([f"/{glob}" for one in named for glob in expanded(one)])
    return bool(changed) and all(path in globs for path in changed)


def _by_settings(run: Run, changed: Iterable[str], tree: Tree) -> list[Run]:
    """A runner started where the settings nearest to each changed test are, as nx and Angular lay them out."""
    settings = _CONFIGS.get(run.framework)
    if settings is None or run.framework not in ("jest", "vitest"):
        return [run]
    top = run.command.directory
    found: dict[str, None] = {}
    for path in changed:
        directory = path.rpartition("/")[0]
        while directory and directory != top and not any("/" not in name and settings.match(name) for name in tree.below(directory)):
            directory = directory.rpartition("/")[0]
        found[directory if directory.startswith(top) else top] = None
    return [replace(run, command=replace(run.command, directory=directory)) for directory in found] or [run]


def _for_browsers(name: str, own: Mapping[str, str], *, meant: bool) -> bool:
    """Whether a runner is there for Karma alone. Coverage of what runs in a browser is none of these tools'."""
    if {"nyc", "istanbul", "c8"} & own.keys():
        return False
    return "karma" in own and name != "karma" and not meant and (f"karma-{name}" in own or f"karma-{name}js" in own)


def _command(package: Manifest, line: str) -> Command:
    return Command(package.directory, tuple(word(one) for one in line.split()))
