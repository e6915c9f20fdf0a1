"""The language modules of C and C++, which are one: the build system makes the difference, not the language."""

from __future__ import annotations

import posixpath
import re
from typing import Final, Literal

from podgym.envs.build.catalogue import BaseImage
from podgym.envs.build.errors import BuildError
from podgym.envs.build.languages.contract import PathKinds, PlanRequest
from podgym.envs.build.languages.native import autotools, cmake, ctest, make, meson, needs
from podgym.envs.build.languages.native.checkers import checkers_off
from podgym.envs.build.languages.native.choice import Choice, choose
from podgym.envs.build.languages.native.paths import NativePaths, owns, vendored
from podgym.envs.build.languages.native.pythonneeds import python_needs
from podgym.envs.build.languages.native.pythonsteps import install_python
from podgym.envs.build.languages.native.shell import install_prelude
from podgym.envs.build.languages.native.sources import Submodule, fetch_sources, fill_submodules, read_submodules, wanted_sources
from podgym.envs.build.languages.native.standards import newer_compiler
from podgym.envs.build.languages.native.testscript import find_script, try_script
from podgym.envs.build.plan import BuildPlan
from podgym.envs.build.tree import Tree
from podgym.sandbox import Limits, Step
from podgym.verifiers import ReportSource, TestCommand

__all__ = ["C", "CPP", "NativeModule"]

_LIMITS: Final = Limits(cpus=2, memory_bytes=4 << 30, processes=1024, disk_bytes=8 << 30)
_DEFAULT: Final = "12"
"""The compiler of bookworm, that its libraries are built with."""
_MODERN: Final = "14"
_PACKAGE: Final = re.compile(r"[a-z0-9][a-z0-9.+-]{1,99}")
_COMPILER: Final = re.compile(r"(?:^|[^a-z])(?:clang|gcc|g\+\+|msvc|icc|mingw|qemu|valgrind|arm|aarch64|i[36]86|[atm]san)(?![a-z])", re.I)
"""What a variable means for one of CI's compilers, checkers or machines is nothing for others."""
_KEPT: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,60}")


class NativeModule:
    """See `LanguageModule`."""

    def __init__(self, name: Literal["c", "cpp"]) -> None:
        self._name = name

    @property
    def name(self) -> Literal["c", "cpp"]:
        """The language."""
        return self._name

    def test_paths(self, tree: Tree) -> PathKinds:
        """By names alone."""
        del tree
        return NativePaths()

    def owns(self, path: str, identity: str) -> bool:
        """By the source file that an id names; True where it names none."""
        return owns(path, identity)

    def plan(self, request: PlanRequest) -> BuildPlan:
        """Raises `BuildError`."""
        changed = (*request.changed_tests, *request.changed_source)
        choice, notes = choose(request.fixed, request.changed_tests, request.changed_source, request.ci.commands, without=request.without)
        image, why = _image(request, choice)
        packages, dependencies, install, test = _recipe(request, choice, changed)
        managed, unknown = needs.manager_needs(request.fixed, choice.root)
        packages += managed
        if unknown:
            notes.append(f"no package of Debian is known for what Conan or vcpkg would bring: {', '.join(unknown[:12])}")
        inner = [] if choice.cmake is not None else _submodules(request.fixed, choice)
        sources = wanted_sources(inner, _names(choice, request.fixed))
        if sources:
            dependencies = dependencies or install_prelude(request.exports, "")
            dependencies += fetch_sources(sources, committed=request.committed, catch=2, build_catch=False)
        command = TestCommand(
            framework="program",
            script=test,
            report=ReportSource(format="mixed", max_bytes=64 << 20),
            env=checkers_off(request.base, choice.root),
            timeout_s=request.suite_timeout_s,
        )
        fewer = _fewer(request, choice) if request.changed_tests else ""
        python = python_needs(request.fixed, request.ci.commands)
        scripts = [
            *([install_python(python, request.exports, request.committed)] if python else []),
            *([install_prelude(request.exports, "") + filled] if (filled := fill_submodules(inner, sources)) else []),
            install,
        ]
        packages += ["python3", "python3-pip"] if python else []
        before = (Step(run=dependencies, timeout_s=request.step_timeout_s),) if dependencies else ()
        return BuildPlan(
            language=self._name,
            build_system=choice.system,
            toolchain=image.version,
            why_toolchain=why,
            framework=_framework(choice),
            name=next(iter(choice.cmake.names), "") if choice.cmake is not None else "",
            root=choice.root,
            base=image.name,
            mirror=request.catalogue.mirror,
            packages=_packages(packages, choice, request.fixed),
            dependencies=before,
            install=tuple(Step(run=script, timeout_s=request.step_timeout_s) for script in scripts),
            env={"HOME": "/root"},
            tests=(command,),
            changed=(command.model_copy(update={"script": fewer}),) if fewer else (),
            limits=_LIMITS,
            notes=tuple(notes),
        )


def _fewer(request: PlanRequest, choice: Choice) -> str:
    """The script for the changed tests alone, as far as they can be told; empty where they cannot."""
    if choice.cmake is not None:
        return ctest.cmake_test(choice.cmake, choice.root, timeout_s=request.suite_timeout_s, only=request.changed_tests)
    units = make.unit_command(request.fixed, choice.root, choice.command, request.changed_tests) if choice.system == "make" else ""
    return make.make_test(choice.make, "", units, choice.root, _environment(request, choice)) if units else ""


def _environment(request: PlanRequest, choice: Choice) -> dict[str, str]:
    """Variables of CI that tests may need."""
    off = checkers_off(request.base, choice.root)
    kept = {name: value for name, value in request.ci.env.items() if _KEPT.fullmatch(name) and _harmless(name, value)}
    return {name: value for name, value in kept.items() if name not in off}


def _submodules(tree: Tree, choice: Choice) -> list[Submodule]:
    wraps = meson.meson_wraps(tree, choice.root) if choice.system == "meson" else []
    return [*read_submodules(tree.read(".gitmodules") or ""), *wraps]


def _packages(found: list[str], choice: Choice, tree: Tree) -> tuple[str, ...]:
    names = _names(choice, tree)
    project = next(iter(choice.cmake.projects), "") if choice.cmake is not None else ""
    return tuple(dict.fromkeys(name for name in needs.without_published(found, names, project) if _PACKAGE.fullmatch(name)))


def _names(choice: Choice, tree: Tree) -> list[str]:
    """What the project makes is called by these."""
    pcs = [path for path in tree.paths if path.endswith((".pc.in", ".pc.cmake", ".pc")) and not vendored(path)]
    names = [posixpath.basename(path).split(".pc", maxsplit=1)[0] for path in pcs]
    if choice.cmake is not None:
        names += choice.cmake.names
    text = "\n".join((*choice.meson.values(), choice.make, choice.autotools.text if choice.autotools is not None else ""))
    names += re.findall(r"\b(?:project|library|shared_library|static_library|both_libraries)\s*\(\s*'([^']{1,80})'", text)
    names += re.findall(r"AC_INIT\(\s*\[?([\w.+-]{1,80})", text)
    names += re.findall(r"^(?:lib_LTLIBRARIES|lib_LIBRARIES)\s*\+?=\s*lib([\w.+-]{1,60}?)\.l?a", text, re.MULTILINE)
    names += re.findall(r"^(?:\$\(\w+\)/)?lib([\w+-]{1,60})\.(?:a|so)\b[^:=\n]*:", text, re.MULTILINE)
    return names


def _text(choice: Choice) -> str:
    """Of its build files."""
    if choice.cmake is not None:
        return "\n".join(choice.cmake.asked)
    if choice.autotools is not None:
        return choice.autotools.text
    return choice.make or "\n".join(choice.meson.values())


def _every(choice: Choice) -> str:
    """The text of all of its build files."""
    return "\n".join(choice.cmake.texts.values()) if choice.cmake is not None else _text(choice)


def _image(request: PlanRequest, choice: Choice) -> tuple[BaseImage, str]:
    asked = request.toolchain
    modern = newer_compiler(_text(choice))
    wanted = asked or (_MODERN if modern else _DEFAULT)
    image = request.catalogue.choose("native", lambda _: True, prefer=wanted)
    if image is None:
        raise BuildError(
            "The catalogue has no image with a compiler for C and C++.",
            stage="plan",
            reason="no_toolchain",
            remedy="Add one to the catalogue.",
        )
    why = "asked for" if asked else f"{modern} is asked for" if modern else "the distribution's own"
    return image, why if image.version.split(".")[0] == wanted.split(".")[0] else f"the nearest to {wanted}"


def _recipe(request: PlanRequest, choice: Choice, changed: tuple[str, ...]) -> tuple[list[str], str, str, str]:
    """Packages, the step before the repository is there, the one after, and the test script."""
    tree, ci, root = request.fixed, request.ci, choice.root
    variables = dict(request.exports)
    environment = _environment(request, choice)
    found = [
        *needs.ci_needs(ci, _every(choice)),
        *needs.header_needs(tree, root, tests_only=choice.system in ("cmake", "meson")),
    ]
    script = None if choice.tests else find_script(tree, root, ci)
    if choice.cmake is not None:
        facts = choice.cmake
        return (
            [*cmake.cmake_packages(facts), *needs.cmake_needs(facts), *found],
            cmake.cmake_dependencies(facts, tree, root, variables, request.committed),
            cmake.cmake_install(facts, tree, root, changed=changed, ci=ci.commands, exports=variables) + try_script(script),
            ctest.cmake_test(facts, root, timeout_s=request.suite_timeout_s, script=script),
        )
    if choice.system == "meson":
        return (
            [*meson.meson_packages(choice.meson), *needs.meson_needs([*choice.meson.values(), meson.wrapped(tree, root)]), *found],
            meson.meson_dependencies(choice.meson, variables),
            meson.meson_install(meson.meson_options(tree, root), root, variables=variables) + try_script(script),
            meson.meson_test(root, environment, declared=bool(choice.tests), script=script),
        )
    if choice.autotools is not None:
        return (
            [*autotools.autotools_packages(), *needs.autotools_needs(choice.autotools.text), *found],
            "",
            autotools.autotools_install(choice.autotools, root, ci=ci.commands, variables={**environment, **variables}),
            autotools.autotools_test(choice.autotools, root, environment),
        )
    target = choice.targets[0] if choice.targets else ""
    configure = posixpath.join(root, "configure") in tree
    return (
        ["make", "pkg-config", *needs.make_needs(choice.make), *found],
        "",
        make.make_install(choice.make, root, {**environment, **variables}, configure=configure),
        make.make_test(choice.make, target, choice.command, root, environment),
    )


def _harmless(name: str, value: str) -> bool:
    """Variables of CI that tests may need: none that build tools or this module use themselves."""
    kept = not re.match(
        r"(CC|CXX|LD|AR|CPP|\w*FLAGS|PATH|HOME|LD_\w+|PWD|SHELL|MAKE\w*|CMAKE_\w*|CTEST_\w*|DEBIAN_\w*|GITHUB_\w*|CI|\w*TOKEN\w*)$", name
    )
    return kept and len(value) < 1000 and "\n" not in value and "$" not in value and _COMPILER.search(value) is None


def _framework(choice: Choice) -> str:
    by_make = f"make {choice.targets[0]}" if choice.targets else choice.command[:80] or "test programs"
    return {"cmake": "ctest", "meson": "meson test", "autotools": "make check", "make": by_make}[choice.system]


C: Final = NativeModule("c")
CPP: Final = NativeModule("cpp")
