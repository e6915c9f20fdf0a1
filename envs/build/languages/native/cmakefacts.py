"""What the CMake files of a project say: its version of CMake, its options, where its tests are declared, what it fetches."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, Literal

from podgym.envs.build.languages.native.cmakefile import Command, commands
from podgym.envs.build.languages.native.paths import vendored
from podgym.envs.build.tree import Tree

__all__ = ["CMakeFacts", "Fetched", "Option", "read_cmake"]

_MAX_FILES: Final = 400
_FETCHING: Final = frozenset({"fetchcontent_declare", "cpmaddpackage", "cpmfindpackage", "externalproject_add"})
_TEMPLATES: Final = (".cmake.in", "cmakelists.txt.in", "cmakelists.in")
_CASES: Final = frozenset({"gtest_discover_tests", "gtest_add_tests", "catch_discover_tests", "doctest_discover_tests", "parsecatchtests"})
_REMOTE: Final = re.compile(r"(?!file:)[a-z+]{2,20}://|git@", re.I)
_BUILDS_TESTS: Final = re.compile(r"(?:build[-_]?)?(?:all[-_]?)?(?:unit[-_]?)?tests?(?:[-_]?(?:build|all))?", re.I)
_MODULES: Final = frozenset({"ctest", "googletest", "catch", "catchaddtests", "parseandaddcatchtests", "doctest"})
"""What is known by these names declares no test until it is called."""
_VARIABLE: Final = re.compile(r"[A-Za-z_]\w{0,100}")
_STRUCTURE: Final = frozenset({"project", "add_library", "add_executable", "add_custom_target", "add_subdirectory"})
_FALSE: Final = frozenset({"", "off", "0", "false", "no", "n"})


@dataclass(frozen=True, slots=True)
class Option:
    """A switch of the project."""

    name: str
    on: bool
    """Its default, as far as it is a plain one."""
    depends: tuple[str, ...] = ()
    """Switches without which it is off."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A project that is downloaded while configuring."""

    name: str
    how: Literal["fetchcontent", "cpm", "external"]
    url: str = ""
    tag: str = ""


@dataclass(slots=True)
class CMakeFacts:
    """Of the files below one directory."""

    names: list[str] = field(default_factory=list)
    """Of projects, and then of libraries, that are made here."""
    projects: list[str] = field(default_factory=list)
    """Of those alone."""
    minimum: tuple[int, ...] = ()
    options: dict[str, Option] = field(default_factory=dict)
    settings: set[str] = field(default_factory=set)
    """Variables of the project that hold a word or a number."""
    places: set[str] = field(default_factory=set)
    """Variables of the project that hold a directory."""
    conditions: set[str] = field(default_factory=set)
    """Variables that stand in conditions."""
    tests: int = 0
    """How many commands declare tests."""
    by_case: bool = False
    """Test programs are asked for their cases."""
    judged_by_output: bool = False
    """A test's printed text decides about it."""
    fetched: list[Fetched] = field(default_factory=list)
    packages: dict[str, bool] = field(default_factory=dict)
    """Arguments of `find_package`, and whether one call requires it."""
    components: dict[str, set[str]] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    modules: set[str] = field(default_factory=set)
    """Of pkg-config."""
    libraries: set[str] = field(default_factory=set)
    programs: set[str] = field(default_factory=set)
    headers: set[str] = field(default_factory=set)
    """That are looked for, by `find_path` or a macro of the project's own."""
    standard: int = 0
    """Of C++: the newest that is asked for."""
    asked: list[str] = field(default_factory=list)
    """Where standards are asked for."""
    texts: dict[str, str] = field(default_factory=dict)
    included: set[str] = field(default_factory=set)
    """Names of modules, in lower case."""
    added: set[str] = field(default_factory=set)
    """Last parts of directories that are added to another's build."""
    aside: list[str] = field(default_factory=list)
    """Targets that build tests and are not of `all`."""


def read_cmake(tree: Tree, root: str) -> CMakeFacts:
    """Facts of the project at `root`."""
    facts = CMakeFacts()
    seen = 0
    apart: dict[str, tuple[int, list[str]]] = {}
    for path in sorted(tree.below(root), key=lambda path: "/" in path):
        name = posixpath.basename(path).lower()
        if vendored(path) or not (name == "cmakelists.txt" or name.endswith((".cmake", *_TEMPLATES))):
            continue
        text = tree.read(posixpath.join(root, path))
        seen += 1
        if text is None:
            continue
        if seen > _MAX_FILES:
            break
        if name.endswith(_TEMPLATES):
            # A project of its own that is filled in and built while configuring.
            facts.fetched += [
                entry for command in commands(text) if command.name in _FETCHING for entry in _fetched(command.name, command.arguments)
            ]
            continue
        facts.texts[path] = text
        before, projects = facts.tests, len(facts.names)
        for command in commands(text):
            _note(facts, command, top=path == "CMakeLists.txt", build_file=name == "cmakelists.txt")
        if "/" in path and name == "cmakelists.txt" and re.search(r"^[ \t]*project\s*\(", text, re.MULTILINE | re.IGNORECASE):
            apart[posixpath.dirname(path)] = (facts.tests - before, facts.names[projects:])
    for directory, (tests, names) in apart.items():
        # A project that no other adds is built by itself, if at all.
        if not any(part in facts.added for part in directory.split("/")) and "$" not in "".join(facts.added):
            facts.tests -= tests
            facts.names = [name for name in facts.names if name not in names]
    for path, text in facts.texts.items():
        if (name := posixpath.basename(path).lower().removesuffix(".cmake")) in facts.included and name not in _MODULES:
            facts.tests += sum(command.name == "add_test" or command.name in _CASES for command in commands(text))
    return facts


def _note(facts: CMakeFacts, command: Command, *, top: bool, build_file: bool) -> None:
    name, arguments = command.name, command.arguments
    if name in _STRUCTURE:
        _target(facts, name, arguments, build_file=build_file)
    elif name == "cmake_minimum_required" and len(arguments) > 1 and top:
        facts.minimum = tuple(int(part) for part in re.findall(r"\d{1,4}", arguments[1].split("...", maxsplit=1)[0])[:3])
    elif name in ("option", "cmake_dependent_option") and _VARIABLE.fullmatch(arguments[0] if arguments else ""):
        facts.options.setdefault(arguments[0], _option(name, arguments))
    elif name == "set" and "CACHE" in arguments and "BOOL" in arguments and _VARIABLE.fullmatch(arguments[0]):
        facts.options.setdefault(arguments[0], Option(arguments[0], arguments[1].lower() not in _FALSE))
    elif name == "set" and "CACHE" in arguments and "STRING" in arguments:
        facts.settings.add(arguments[0])
    elif name == "set" and "CACHE" in arguments and "PATH" in arguments and _VARIABLE.fullmatch(arguments[0]):
        facts.places.add(arguments[0])
    elif name in ("if", "elseif"):
        facts.conditions.update(word for word in arguments if re.fullmatch(r"[A-Za-z_]\w+", word))
    elif name == "include" and arguments and arguments[0] != "CTest":
        facts.included.add(posixpath.basename(arguments[0]).lower().removesuffix(".cmake"))
    elif name in ("enable_testing", "add_test") or name in _CASES or (name == "include" and arguments[:1] == ("CTest",)):
        facts.tests += build_file
        facts.by_case = facts.by_case or name in _CASES
    elif name in ("set_tests_properties", "set_property"):
        facts.judged_by_output = facts.judged_by_output or bool({"PASS_REGULAR_EXPRESSION", "FAIL_REGULAR_EXPRESSION"} & set(arguments))
    elif name in _FETCHING and arguments:
        facts.fetched += _fetched(name, arguments)
    else:
        _needs(facts, name, arguments)


def _option(command: str, arguments: Sequence[str]) -> Option:
    if command == "option" or len(arguments) < 4:
        return Option(arguments[0], len(arguments) > 2 and arguments[-1 if command == "option" else 2].lower() not in _FALSE)
    depends = re.sub(r"\bNOT\s+\w+", "", arguments[3])
    return Option(arguments[0], arguments[2].lower() not in _FALSE, tuple(re.findall(r"[A-Za-z_]\w+", depends)))


def _target(facts: CMakeFacts, name: str, arguments: Sequence[str], *, build_file: bool) -> None:
    if not arguments:
        return
    if name in ("project", "add_library"):
        facts.projects += arguments[:1] if build_file and name == "project" else ()
        facts.names += arguments[:1] if build_file and not {"IMPORTED", "ALIAS"} & set(arguments) else ()
    elif name == "add_subdirectory":
        facts.added.add(posixpath.basename(arguments[0].rstrip("/")))
    elif name == "add_custom_target":
        if "DEPENDS" in arguments and "ALL" not in arguments and _BUILDS_TESTS.fullmatch(arguments[0]):
            facts.aside.append(arguments[0])
    elif "EXCLUDE_FROM_ALL" in arguments and re.fullmatch(r"[\w.+-]*test[\w.+-]*", arguments[0], re.IGNORECASE):
        facts.aside.append(arguments[0])


def _fetched(command: str, arguments: Sequence[str]) -> list[Fetched]:
    if not arguments:
        return []

    def after(*words: str) -> str:
        return next((value for word, value in pairwise(arguments) if word in words), "")

    url, tag = after("GIT_REPOSITORY", "URL"), after("GIT_TAG")
    if command == "fetchcontent_declare":
        return [Fetched(arguments[0], "fetchcontent", url, tag)]
    if command == "externalproject_add":
        # What has no address, or one of the repository, is no download; a variable's value is only known to CMake.
        far = _REMOTE.match(url) is not None or (url.startswith("$") and "SOURCE_DIR" not in url)
        return [Fetched(arguments[0], "external", url, tag)] if far else []
    short = re.match(r"(\w+):([\w.-]{1,60}/[\w.-]{1,80})(?:[#@](\S*))?", after("URI") or arguments[0])
    host, where = {"gl": "gitlab"}.get(short[1], "github") if short is not None else "github", short[2] if short is not None else ""
    where = where or after("GITHUB_REPOSITORY") or after("GITLAB_REPOSITORY")
    url = f"https://{'gitlab' if after('GITLAB_REPOSITORY') else host}.com/{where}" if where else url
    name = after("NAME") or posixpath.basename(url.removesuffix(".git"))
    return [Fetched(name, "cpm", url, tag or (short[3] or "" if short is not None else ""))] if name else []


def _needs(facts: CMakeFacts, name: str, arguments: Sequence[str]) -> None:
    if not arguments:
        return
    if name == "find_package":
        package = arguments[0]
        facts.packages[package] = facts.packages.get(package, False) or "REQUIRED" in arguments
        if len(arguments) > 1 and re.fullmatch(r"\d[\d.]*", arguments[1]):
            facts.versions[package] = arguments[1]
        facts.components.setdefault(package, set()).update(word for word in arguments[1:] if re.fullmatch(r"[a-z_]\w*", word))
    elif name in ("pkg_check_modules", "pkg_search_module"):
        words = {"REQUIRED", "QUIET", "IMPORTED_TARGET", "GLOBAL", "NO_CMAKE_PATH", "NO_CMAKE_ENVIRONMENT_PATH"}
        facts.modules.update(word for word in arguments[1:] if word not in words and "$" not in word)
    elif name in ("find_library", "find_program"):
        names = facts.libraries if name == "find_library" else facts.programs
        rest = [word for word in arguments[1:] if word not in ("NAMES", "NAMES_PER_DIR")]
        stop = next((n for n, word in enumerate(rest) if word.isupper() and len(word) > 1), len(rest))
        names.update(word for word in rest[:stop] if "$" not in word and "/" not in word)
    elif name == "find_path" or (name.startswith("find_") and "header" in name):
        facts.headers.update(word for word in arguments[1:] if re.fullmatch(r"[\w./+-]{1,80}\.h(?:h|pp|xx)?", word))
    elif name == "target_link_libraries":
        facts.libraries.update(word for word in arguments[1:] if re.fullmatch(r"[a-z][\w+-]*", word))
    else:
        text = " ".join(arguments) if name in ("set", "target_compile_features", "set_target_properties", "set_property") else ""
        if re.search(r"std|STANDARD", text):
            facts.asked.append(text[:1000])
        for standard in re.findall(r"cxx_std_(\d\d)|CXX_STANDARD (\d\d)\b|-std=(?:c|gnu)\+\+(\d[\da-z])", text):
            year = {"2a": 20, "2b": 23, "2c": 26, "1z": 17, "1y": 14, "0x": 11}.get("".join(standard), 0) or int(
                re.sub(r"\D", "", "".join(standard)) or 0
            )
            facts.standard = max(facts.standard, year if year < 90 else 0)
