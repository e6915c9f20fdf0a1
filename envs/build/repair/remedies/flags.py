"""Compilers and build tools made lenient, by variables first and by stand-ins where a makefile sets its own flags."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from podgym.envs.build.plan import WORKDIR, BuildPlan
from podgym.envs.build.repair.causes import Cause
from podgym.envs.build.repair.edits import WRAP, with_exports, with_first_step, with_packages, with_prefix
from podgym.envs.build.repair.remedies.remedy import Case, Remedy, Table

__all__ = ["FLAGS", "with_compiler_flags"]

_IMPLICIT: Final = (
    "-std=gnu17 -Wno-error=implicit-function-declaration -Wno-error=implicit-int -Wno-error=int-conversion"
    " -Wno-error=incompatible-pointer-types"
)
_FEWER_INCLUDES: Final = "Standard headers include fewer others than they did."
_LENIENT: Final[Mapping[str, tuple[Mapping[str, str], str]]] = {
    "common": ({"CFLAGS": "-fcommon"}, "Tentative definitions in several files are one, as they were before GCC 10."),
    "implicit": ({"CFLAGS": _IMPLICIT}, "What newer compilers refuse is a warning again."),
    "cstdint": ({"CXXFLAGS": "-include cstdint"}, _FEWER_INCLUDES),
    "limits": ({"CXXFLAGS": "-include limits"}, _FEWER_INCLUDES),
    "sigstack": (
        {"CXXFLAGS": "-DCATCH_CONFIG_NO_POSIX_SIGNALS -DDOCTEST_CONFIG_NO_POSIX_SIGNALS"},
        "MINSIGSTKSZ is no constant with newer C libraries.",
    ),
    "c++14": ({"CXXFLAGS": "-std=gnu++14"}, "The code is older than C++17."),
    "gnu17": ({"CFLAGS": "-std=gnu17"}, "The code is older than C23, which newer compilers take by default."),
}
_NO_ERROR: Final = "-Wno-error"
_STAND_IN: Final = """\
mkdir -p {wrap}
for name in {names}; do
  real=$(PATH=$(printf %s "$PATH" | sed 's#{wrap}:##g') command -v "$name") || continue
  cat > {wrap}/"$name" <<WRAPPER
#!/bin/sh
n=\\$#
while [ "\\$n" -gt 0 ]; do
  case "\\$1" in -Werror|-Werror=*|-pedantic-errors) ;; *) set -- "\\$@" "\\$1" ;; esac
  shift; n=\\$((n - 1))
done
exec $real "\\$@" {flags}
WRAPPER
  chmod 755 {wrap}/"$name"
done
"""


def with_compiler_flags(plan: BuildPlan, flags: str, *, only: str = "") -> BuildPlan:
    """Stand-ins for the compilers (of C or C++ `only`) that add flags, and leave out those that make warnings errors."""
    names = {"c": "gcc cc clang", "c++": "g++ c++ clang++"}.get(only, "gcc g++ cc c++ clang clang++")
    plan = with_prefix(plan, f'export PATH="{WRAP}:$PATH"\n')
    return with_first_step(plan, _STAND_IN.format(wrap=WRAP, flags=flags, names=names))


def _warnings(case: Case, cause: Cause) -> Iterator[Remedy]:
    if cause.subject == "rust" or case.tool == "rust":
        yield Remedy("env:cap-lints", "Lints are no errors.", with_exports(case.plan, {"RUSTFLAGS": "--cap-lints=warn"}))
        return
    # What a makefile, CMake's `add_compile_options` or `./configure CFLAGS=` sets comes after the environment's flags.
    yield Remedy("wrap:Wno-error", "Warnings are no errors, whatever the makefile says.", with_compiler_flags(case.plan, _NO_ERROR))
    exports = {"CFLAGS": _NO_ERROR, "CXXFLAGS": _NO_ERROR}
    yield Remedy("env:Wno-error", "Warnings of another compiler are no errors.", with_exports(case.plan, exports))


def _strictness(case: Case, cause: Cause) -> Iterator[Remedy]:
    known = _LENIENT.get(cause.subject)
    if known is None:
        header = cause.subject if cause.subject.isalpha() else ""
        known = ({"CXXFLAGS": f"-include {header}"}, _FEWER_INCLUDES) if header else None
    if known is not None:
        exports, because = known
        only = {"CFLAGS": "c", "CXXFLAGS": "c++"}[next(iter(exports))]
        yield Remedy(f"wrap:{' '.join(exports.values())}", because, with_compiler_flags(case.plan, " ".join(exports.values()), only=only))
        yield Remedy(f"env:{' '.join(exports.values())}", because, with_exports(case.plan, exports))


def _cmake_policy(case: Case, cause: Cause) -> Iterator[Remedy]:
    yield Remedy(
        "env:CMAKE_POLICY_VERSION_MINIMUM",
        "CMake 4 takes projects for CMake before 3.5 only when told so.",
        with_exports(case.plan, {"CMAKE_POLICY_VERSION_MINIMUM": "3.5"}),
    )


def _timestamps(case: Case, cause: Cause) -> Iterator[Remedy]:
    touch = (
        "find . -name .git -prune -o \\( -name aclocal.m4 \\) -exec touch {} + ; sleep 1\n"
        "find . -name .git -prune -o \\( -name Makefile.in -o -name configure -o -name config.h.in -o -name '*.info' \\) -exec touch {} +\n"
    )
    plan = with_first_step(case.plan, touch, files=True)
    yield Remedy("step:touch-generated", "Generated files of the build system are as new as their sources.", plan)
    regenerate = (
        "for f in config.guess config.sub; do p=$(ls /usr/share/misc/$f 2>/dev/null) || continue; "
        'find . -name "$f" -exec cp "$p" {} \\; ; done\n[ ! -f configure.ac ] && [ ! -f configure.in ] || autoreconf -fi\n'
    )
    plan = with_packages(case.plan, ("autoconf", "automake", "libtool", "autotools-dev", "gettext", "autopoint"))
    yield Remedy(
        "step:autoreconf", "The build system is made anew by the tools that are there.", with_first_step(plan, regenerate, files=True)
    )


def _unsafe_configure(case: Case, cause: Cause) -> Iterator[Remedy]:
    if cause.subject == "configure":
        yield Remedy("env:FORCE_UNSAFE_CONFIGURE", "configure runs as root.", with_exports(case.plan, {"FORCE_UNSAFE_CONFIGURE": "1"}))


def _version(case: Case, cause: Cause) -> Iterator[Remedy]:
    """The repository has neither tags nor, in some steps, a git directory."""
    if case.tool == "go":
        yield _ownership_of(case)
        yield Remedy("env:buildvcs", "The version is not taken from git.", with_exports(case.plan, {"GOFLAGS": "-buildvcs=false"}))
        return
    exports = {
        "SETUPTOOLS_SCM_PRETEND_VERSION": "0.0.0", "PBR_VERSION": "0.0.0", "POETRY_DYNAMIC_VERSIONING_BYPASS": "0.0.0",
        "PDM_BUILD_SCM_VERSION": "0.0.0", "HATCH_VCS_PRETEND_VERSION": "0.0.0", "VERSIONER_PRETEND_VERSION": "0.0.0",
    }  # fmt: skip
    if case.tool == "python":
        yield Remedy("env:pretend-version", "The version is made up, since no tag tells it.", with_exports(case.plan, exports, tests=False))
    yield _ownership_of(case)
    describe = (
        f"mkdir -p {WRAP} && real=$(command -v git)\ncat > {WRAP}/git <<WRAPPER\n#!/bin/sh\n"
        'case " \\$* " in *" describe "*) $real "\\$@" 2>/dev/null || echo v0.0.0-0-g0000000; exit 0;; esac\nexec $real "\\$@"\nWRAPPER\n'
        f"chmod 755 {WRAP}/git\n"
    )
    plan = with_first_step(with_prefix(case.plan, f'export PATH="{WRAP}:$PATH"\n'), describe)
    yield Remedy("wrap:git-describe", "`git describe` answers where there is no tag.", plan)


def _ownership_of(case: Case) -> Remedy:
    exports = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}
    plan = with_exports(case.plan, exports, steps=False)
    known = "git config --global --get-all safe.directory 2>/dev/null | grep -qxF '*'"
    lines = f"{known} || git config --global --add safe.directory '*' || true\n"
    return Remedy("env:safe.directory", f"git takes {WORKDIR} whoever owns it.", with_prefix(plan, lines, tests=False))


def _ownership(case: Case, cause: Cause) -> Iterator[Remedy]:
    yield _ownership_of(case)


FLAGS: Final[Table] = {
    "warnings_as_errors": _warnings,
    "compiler_strictness": _strictness,
    "cmake_policy": _cmake_policy,
    "autotools_timestamps": _timestamps,
    "refuses_root": _unsafe_configure,
    "version_from_git": _version,
    "git_ownership": _ownership,
}
