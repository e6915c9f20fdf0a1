"""Compiled parts of a Python project, where the fix changes them: built anew before the tests, by a stand-in for their interpreter."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import Final, Literal

from podgym.envs.build.languages.python.project import Project
from podgym.envs.build.plan import TOOLS, WORKDIR

__all__ = ["Compiled", "compiled", "stand_in"]

Compiled = Literal["", "setup.py", "backend"]
"""What builds them: a setup.py, or the backend that pyproject.toml names."""

_SOURCE: Final = re.compile(
    r".*\.(?:pyx|pxd|pxi|pyx\.in|c|cc|cpp|cxx|h|hh|hpp|hxx|inl|rs|f|f90|f95|for|cu)|"
    r"(?:.*/)?(?:meson\.build|CMakeLists\.txt|Cargo\.(?:toml|lock))"
)
_BACKENDS: Final = ("maturin", "scikit_build_core", "mesonpy", "py_build_cmake", "setuptools_rust")
_SETUP: Final = re.compile(r"\b(?:ext_modules|cythonize|Extension\s*\(|cffi_modules|rust_extensions|RustExtension|Pybind11Extension)")
_PLACE: Final = f"{TOOLS}/rebuilt"


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


def stand_in(kind: Compiled, root: str, python: str) -> tuple[str, str]:
    """Shell lines that build once and make the stand-in, and its path. What is laid over the work tree is newer than what was built."""
    place = f"{TOOLS}/wrap/python-rebuilt"
    online = f"{python} -m pip install -q --no-deps --no-build-isolation -e ."
    if kind == "setup.py":
        # Headers are seldom named as what an extension depends on.
        online = f"{python} setup.py -q build_ext --force --inplace --build-temp={_PLACE}"
    own = shlex.quote(f"{WORKDIR}/{root}".rstrip("/"))
    body = f'#!/bin/sh\n{{ ( cd {own} && CARGO_NET_OFFLINE=true PIP_NO_INDEX=1 {online} ) || exit 1; }} >&2\nexec {python} "$@"\n'
    return (
        f"mkdir -p {_PLACE} {TOOLS}/wrap\n( cd {own} && {online} ) || echo 'not built: the compiled parts' >> \"$log\"\n"
        f"printf %s {shlex.quote(body)} > {place}\nchmod 755 {place}\n"
    ), place
