"""Which of a repository's build systems is used, and in which directory.

Every directory above a changed file that has a build file is looked at. What declares tests goes first, then what CI uses, then what
is nearer to the top; tools that are not to be had are named in the refusal.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from typing import Final, Literal

from podgym.envs.build.ci import CiFacts, CiStep
from podgym.envs.build.errors import BuildError
from podgym.envs.build.languages.native.autotools import AutotoolsFacts, read_autotools
from podgym.envs.build.languages.native.cmakefacts import CMakeFacts, read_cmake
from podgym.envs.build.languages.native.make import makefile, test_command, test_targets
from podgym.envs.build.languages.native.meson import meson_texts
from podgym.envs.build.languages.native.paths import SOURCES, vendored
from podgym.envs.build.languages.native.shell import where
from podgym.envs.build.languages.native.testscript import find_script
from podgym.envs.build.tree import Tree

__all__ = ["Choice", "System", "choose"]

System = Literal["cmake", "meson", "autotools", "make"]

_PREFERENCE: Final[dict[System, float]] = {"cmake": 4, "meson": 3.5, "autotools": 3, "make": 1}
_USED: Final[dict[System, str]] = {
    "cmake": r"\b(?:cmake|ctest)\b",
    "meson": r"\bmeson\b",
    "autotools": r"(?:^|[\s/;&])(?:configure|autoreconf|autogen\.sh|bootstrap\.sh)\b",
    "make": r"\bmake\s+(?:-\S+\s+)*(?:\w*test\w*|check)\b",
}
_OTHERS: Final = {
    "MODULE.bazel": "Bazel", "WORKSPACE": "Bazel", "WORKSPACE.bazel": "Bazel", "BUILD.bazel": "Bazel", "xmake.lua": "xmake",
    "SConstruct": "SCons", "wscript": "waf", "premake5.lua": "Premake", "build.zig": "Zig", "Jamroot": "b2",
    "Jamfile.v2": "b2", "BUILD.gn": "GN",
    "build2.build": "build2", "buildfile": "build2", "tup.config": "tup", "Tupfile": "tup", "BUCK": "Buck",
}  # fmt: skip
_WITH_TESTS: Final = 100.0


@dataclass(slots=True)
class Choice:
    """A build system in one directory, and what its files say."""

    system: System
    root: str
    score: float = 0.0
    tests: int = 0
    cmake: CMakeFacts | None = None
    meson: dict[str, str] = field(default_factory=dict)
    autotools: AutotoolsFacts | None = None
    make: str = ""
    targets: tuple[str, ...] = ()
    command: str = ""
    """Runs the tests where no target does."""


def choose(
    tree: Tree, changed_tests: Sequence[str], changed: Sequence[str], ci: Sequence[str], *, without: Set[str] = frozenset()
) -> tuple[Choice, list[str]]:
    """The choice, and notes about what else is there; `without` names build systems that would not do. Raises `BuildError`."""
    every = [choice for directory in _directories(tree, [*changed_tests, *changed]) for choice in _at(tree, directory, ci, without)]
    every = every or _scripted(tree, ci)
    if not every:
        raise _refusal(tree)
    found = [choice for choice in every if choice.system not in without]
    if not found:
        raise BuildError(
            f"The project is built with {' or '.join(dict.fromkeys(choice.system for choice in every))} and nothing else.",
            stage="plan",
            reason="unsupported_build",
            remedy="Edit the plan that failed, and give it with --plan.",
        )
    for choice in found:
        choice.score += _PREFERENCE[choice.system]
        choice.score += _WITH_TESTS if choice.tests else 0.0
        choice.score += 2.0 if any(re.search(_USED[choice.system], command) for command in ci) else 0.0
        choice.score += 4.0 * _mentions(choice, changed_tests)
        choice.score -= 1.0 * (choice.root.count("/") + 1 if choice.root else 0)
        inside = [path for path in changed_tests if not choice.root or path.startswith(f"{choice.root}/")]
        choice.score -= 50.0 if changed_tests and not inside else 0.0
    best = max(found, key=lambda choice: choice.score)
    others = [f"{choice.system} in {choice.root or 'the top directory'}" for choice in found if choice is not best and choice.tests]
    notes = [f"built with {best.system}; there is also {', '.join(others[:5])}"] if others else []
    if not best.tests:
        notes.append(f"no test is declared in the files of {best.system}; a script or programs named after tests are run")
    return best, notes


def _scripted(tree: Tree, ci: Sequence[str]) -> list[Choice]:
    """A repository without a build file, whose tests a script compiles and runs."""
    script = find_script(tree, "", CiFacts(commands=tuple(ci), steps=tuple(CiStep(line=line) for line in ci)))
    sources = any(posixpath.splitext(path)[1].removeprefix(".") in SOURCES for path in tree.paths)
    if script is None or not sources or script.place is None or any(posixpath.basename(path) in _OTHERS for path in tree.paths):
        return []
    command = f"cd {shlex.quote(where(script.place))} && {shlex.join(script.words)}"
    return [Choice("make", "", tests=1, command=command)]


def _directories(tree: Tree, paths: Sequence[str]) -> list[str]:
    found = {""}
    for path in paths[:200]:
        directory = posixpath.dirname(path)
        while directory:
            found.add(directory)
            directory = posixpath.dirname(directory)
    names = {
        posixpath.dirname(path)
        for path in tree.paths
        if path.count("/") == 1 and posixpath.basename(path) in ("CMakeLists.txt", "meson.build")
    }
    found |= {name for name in names if not vendored(f"{name}/x")} if "CMakeLists.txt" not in tree and "meson.build" not in tree else set()
    return sorted(found, key=lambda name: (name.count("/") + bool(name), name))[:60]


def _at(tree: Tree, directory: str, ci: Sequence[str], without: Set[str]) -> list[Choice]:
    found: list[Choice] = []
    top = tree.read(posixpath.join(directory, "CMakeLists.txt"))
    if top is not None and (re.search(r"^[ \t]*project\s*\(", top, re.MULTILINE | re.IGNORECASE) or not directory):
        cmake = read_cmake(tree, directory)
        found.append(Choice("cmake", directory, tests=cmake.tests, cmake=cmake))
    top = tree.read(posixpath.join(directory, "meson.build"))
    if top is not None and re.search(r"^[ \t]*project\s*\(", top, re.MULTILINE):
        meson = meson_texts(tree, directory)
        tests = sum(len(re.findall(r"^[ \t]*(?:test|gtest)\s*\(|\btest\(", text, re.MULTILINE)) for text in meson.values())
        found.append(Choice("meson", directory, tests=tests, meson=meson))
    names = {name for name in ("configure.ac", "configure.in", "configure") if posixpath.join(directory, name) in tree}
    if names & {"configure.ac", "configure.in"} or ("configure" in names and posixpath.join(directory, "Makefile.in") in tree):
        autotools = read_autotools(tree, directory)
        found.append(Choice("autotools", directory, tests=autotools.tests, autotools=autotools))
    text = makefile(tree, directory)
    # A Makefile beside the files of Autotools is mostly what those made, or calls them.
    if text is not None and ("autotools" in without or not any(choice.system == "autotools" for choice in found)):
        targets = tuple(test_targets(text, ci))
        command = "" if targets or directory else test_command(tree, directory, ci)
        if targets or not directory:
            found.append(Choice("make", directory, tests=len(targets) or bool(command), make=text, targets=targets, command=command))
    return found


def _mentions(choice: Choice, changed_tests: Sequence[str]) -> bool:
    """Whether a build file names a changed test, by its name or its stem."""
    if choice.cmake is not None:
        text = "\n".join(choice.cmake.texts.values())
        if re.search(r"\bfile\s*\(\s*GLOB", text, re.IGNORECASE):
            return True
    elif choice.autotools is not None:
        text = choice.autotools.text
    else:
        text = choice.make or "\n".join(choice.meson.values())
    return any(posixpath.splitext(posixpath.basename(path))[0] in text for path in changed_tests)


def _refusal(tree: Tree) -> BuildError:
    other = next(
        (_OTHERS[name] for name in (posixpath.basename(path) for path in tree.paths if path.count("/") <= 1) if name in _OTHERS), None
    )
    if other is not None:
        return BuildError(
            f"The project is built with {other}, which is not supported.",
            stage="plan",
            reason="unsupported_build",
            remedy="Projects with CMake, Meson, Autotools or a Makefile can be built.",
        )
    return BuildError(
        "The repository has no build file: no CMakeLists.txt, meson.build, configure.ac or Makefile.",
        stage="plan",
        reason="no_build_file",
        remedy="Give a commit that has one.",
    )
