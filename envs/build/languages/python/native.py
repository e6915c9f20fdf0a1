"""Compiled parts of a Python project, where the fix changes them: built anew before the tests, by a stand-in for their interpreter."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import Final, Literal

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from podgym.envs.build.languages.python.project import Project
from podgym.envs.build.plan import TOOLS, WORKDIR

__all__ = ["Compiled", "build_needs", "compiled", "cython_call", "cythonized", "stand_in", "without_extensions"]

Compiled = Literal["", "setup.py", "backend"]
"""What builds them: a setup.py, or the backend that pyproject.toml names."""

_SOURCE: Final = re.compile(
    r".*\.(?:pyx|pxd|pxi|pyx\.in|c|cc|cpp|cxx|h|hh|hpp|hxx|inl|rs|f|f90|f95|for|cu)|"
    r"(?:.*/)?(?:meson\.build|CMakeLists\.txt|Cargo\.(?:toml|lock))"
)
_BACKENDS: Final = ("maturin", "scikit_build_core", "mesonpy", "py_build_cmake", "setuptools_rust")
_SETUP: Final = re.compile(r"\b(?:ext_modules|cythonize|Extension\s*\(|cffi_modules|rust_extensions|RustExtension|Pybind11Extension)")
_NAMED_C: Final = re.compile(r"['\"]([\w./-]{1,200}\.(?:c|cpp|cxx|cc))['\"]")
_PURE: Final = re.compile(
    r"environ(?:\.get\(|\[)\s*['\"](\w{0,60}(?:NO_EXT\w{0,20}|PURE_PYTHON|NO_CYTHON|WITHOUT_C\w{0,20}|(?:DISABLE|SKIP)_\w{0,20}EXT\w{0,20}))['\"]"
)
_PLACE: Final = f"{TOOLS}/rebuilt"
_STAND_IN: Final = """\
#!/bin/sh
# No tests: a package is installed, or somebody asks what the interpreter is.
case "${{1-}}" in -c | -m) exec {python} "$@" ;; esac
podgym_run= podgym_text=
case "${{2-}}" in .podgym-*/run.py | */.podgym-*/run.py) podgym_text=$(cat "$2") && podgym_run=$2 && rm -f "$2" ;; esac
{{ ( cd {own} && export CARGO_NET_OFFLINE=true PIP_NO_INDEX=1 && {build} ) </dev/null || exit 1; }} >&2
if [ -n "$podgym_run" ]; then
  rm -rf "${{podgym_run%/*}}" && mkdir "${{podgym_run%/*}}" && ( umask 077 && printf '%s\\n' "$podgym_text" > "$podgym_run" ) || exit 1
fi
exec {python} "$@"
"""


def compiled(project: Project, changed: Sequence[str]) -> Compiled:
    """Empty where the project has no compiled parts, or where none of the `changed` sources (of the repository) is one of theirs."""
    stems = {path.removesuffix(".pxd") for path in project.all_paths if path.endswith(".pxd")}
    if not any(_SOURCE.fullmatch(path) or path.removesuffix(".py") in stems for path in changed):
        return ""
    if str(project.table("build-system").get("build-backend", "")).startswith(_BACKENDS):
        return "backend"
    if "setup.py" in project.paths and _SETUP.search(project.read("setup.py") or ""):
        return "setup.py"
    return "backend" if project.table("tool", "setuptools").get("ext-modules") else ""


def cythonized(project: Project) -> tuple[str, ...]:
    """Sources in C that setup.py names, that are not in the repository, and that Cython makes of what is."""
    named = dict.fromkeys(_NAMED_C.findall(project.read("setup.py") or ""))
    return tuple(path for path in named if path not in project.paths and f"{path.rpartition('.')[0]}.pyx" in project.paths)


def without_extensions(project: Project) -> str:
    """The variable by which setup.py can be told to leave its compiled parts out; empty where there is none."""
    match = _PURE.search(project.read("setup.py") or "")
    return match[1] if match else ""


def cython_call(python: str, sources: Sequence[str]) -> str:
    """Shell that makes them, in the project's directory."""
    calls = []
    for path in sources:
        plus = "" if path.endswith(".c") else " --cplus"
        calls.append(f"{python} -m cython -3{plus} -o {shlex.quote(path)} {shlex.quote(path.rpartition('.')[0] + '.pyx')}")
    return " && ".join(calls)


def build_needs(requirements: Sequence[str], running: Sequence[str]) -> tuple[str, ...]:
    """What it is built with, but for what is there because it runs on it: that keeps its version, and so does the NumPy beside."""
    known = {canonicalize_name(Requirement(line).name) for line in running}
    found: dict[str, None] = {}
    for line in requirements:
        try:
            one = Requirement(line)
        except InvalidRequirement:
            continue
        name = canonicalize_name(one.name)
        pinned = name == "oldest-supported-numpy" or (name == "numpy" and any(part.operator.startswith("==") for part in one.specifier))
        if ("numpy" if pinned else name) not in known:
            found["numpy" if pinned else line] = None
    return tuple(found)


def stand_in(
    kind: Compiled, root: str, python: str, *, name: str = "", version_from: str = "", sources: Sequence[str] = ()
) -> tuple[str, str]:
    """Shell lines that build once and make the stand-in, and its path; it builds only where that went well. What is laid over the work
    tree is newer than what was built.

    The build runs files of the work tree, so podgym's runner is not there until it has ended. What it does to the environment itself it
    can do, as the code under test can.
    """
    place = f"{TOOLS}/wrap/python-rebuilt"
    build = f"{python} -m pip install -q --no-deps --no-build-isolation -e ."
    if kind == "setup.py":
        # Headers are seldom named as what an extension depends on.
        build = f"{python} setup.py -q build_ext --force --inplace --build-temp={_PLACE}"
    build = " && ".join(filter(None, (cython_call(python, sources), build)))
    version = ""
    if version_from:
        # The history that it is made from is not where the tests run.
        told = f"import importlib.metadata as m; print(m.version({name!r}))"
        version = f"{python} -c {shlex.quote(told)} > {_PLACE}/version 2>/dev/null || echo 0.0.0 > {_PLACE}/version\n"
        told = f'export SETUPTOOLS_SCM_PRETEND_VERSION="$(cat {_PLACE}/version)" PBR_VERSION="$(cat {_PLACE}/version)"'
        build = f"{told} && {build}"
    own = shlex.quote(f"{WORKDIR}/{root}".rstrip("/"))
    plain = f'#!/bin/sh\nexec {python} "$@"\n'
    body = _STAND_IN.format(own=own, build=build, python=python)
    return (
        f"mkdir -p {_PLACE} {TOOLS}/wrap\n{version}printf %s {shlex.quote(plain)} > {place}\n"
        f"if ( cd {own} && {build} ); then printf %s {shlex.quote(body)} > {place}\n"
        f"else echo 'not built: the compiled parts' >> \"$log\"; fi\nchmod 755 {place}\n"
    ), place
