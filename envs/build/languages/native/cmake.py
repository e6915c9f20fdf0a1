"""CMake: configured out of the work tree with the tests switched on, built with Ninja where it is there, tested with CTest.

Configuring is tried from the most to the least specific: with the project's test options, CI's switches and packaged copies of what
would be downloaded; without CI's; with nothing but the tests; with real downloads, which are also tried where those copies do not build;
without what cannot be had; as the project is. CTest's report has an id for each test that the project declares; programs that are one
such test report their cases beside it (`launcher`).
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from podgym.envs.build.languages.native.cmakefacts import CMakeFacts
from podgym.envs.build.languages.native.ctest import build_aside
from podgym.envs.build.languages.native.launcher import BIN, install_launchers
from podgym.envs.build.languages.native.presets import read_presets
from podgym.envs.build.languages.native.shell import BUILD, PARTIAL, STAMP, install_prelude, where
from podgym.envs.build.languages.native.sources import (
    CATCH3,
    PREFIX,
    Source,
    cmake_arguments,
    fetch_sources,
    fill_submodules,
    read_submodules,
    source_of,
    wanted_sources,
)
from podgym.envs.build.languages.native.standins import GIT_ENVIRONMENT, git_mirrors, stand_ins
from podgym.envs.build.plan import TOOLS
from podgym.envs.build.tree import Tree

__all__ = ["DEBIAN_CMAKE", "cmake_dependencies", "cmake_install", "cmake_packages", "switches"]

DEBIAN_CMAKE: Final = (3, 25)
_TEST: Final = re.compile(
    r"(?:^|_)(?:UNIT|BUILD|ENABLE|WITH)?_?(?:UNIT)?_?(?:TESTS?|TESTING|UNITTESTS?|TESTSUITE|GTEST|CATCH2?|DOCTEST)(?:_|$)", re.I
)
_NO_TEST: Final = re.compile(
    r"INSTALL|COVERAGE|FUZZ|BENCH|SANIT|VALGRIND|DOWNLOAD|ONLINE|NETWORK|STRESS|EXTERNAL|SYSTEM|STATIC|SHARED|WERROR|PACKAGE|REMOTE|MODULE"
    r"|SINGLE|ASSEMBLY|DOCKER|CONTAINER|FORTRAN|PYTHON|ANDROID|MEMCHECK|HELPER_LIB|EXPORT|CMAKE_|(?:DIR|PATH|LIB|ARGS|FLAGS|NAME)$|TIMEOUT"
    r"|(?:^|_)(?:PERF|CUDA|LARGE|SLOW|FLAKY|QT\d?|GUI|WASM|IOS|MSVC|LTO|LEAKS?|[AMTL]SAN|UBSAN)(?:_|$)",
    re.I,
)
_NEGATIVE: Final = re.compile(r"(?:^|_)(?:DISABLE|NO|SKIP|WITHOUT|EXCLUDE|OMIT)(?:_|$)", re.I)
_IDLE: Final = re.compile(
    r"(?:^|_)(?:EXAMPLES?|SAMPLES?|DEMOS?|BENCHMARKS?|BENCH|BENCHES|DOCS?|DOCUMENTATION|DOXYGEN|MANPAGES?|MAN|FUZZ(?:ERS?|ING|_TARGETS?)?|COVERAGE"
    r"|WERROR|WARNINGS_AS_ERRORS?|CLANG_TIDY|CPPCHECK|IWYU|LTO|IPO|SANITIZERS?|ASAN|UBSAN|PRECOMPILED_HEADERS?)(?:_|$)", re.I
)  # fmt: skip
_SYSTEM: Final = re.compile(r"(?:SYSTEM|EXTERNAL|INSTALLED)_?(?:GTEST|GOOGLETEST|GMOCK|CATCH2?|DOCTEST|CMOCKA|UNITTEST)", re.I)
_OF_A_JOB: Final = re.compile(
    r"LIBCXX|CLANG|MODULE|SINGLE|HEADER_ONLY|CROSS|ARM|32|NO_EXCEPTIONS|NO_RTTI|MINIMAL|AMALGAM|QEMU|EMULAT|CCACHE|GCOV|ASSERT"
    r"|(?:^|_)(?:CI|COV|AVX\w*|SSE\w*|NEON|ALTIVEC|RVV)(?:_|$)", re.I
)  # fmt: skip
_CONDITIONAL: Final = re.compile(r"(?:^|_)(EXTRA|CONFIGURE)(?:_|$)", re.I)
"""Tests that take long and are built only where they are what changes."""
_NO_PREFIX: Final = re.compile(r"(?:UNIT_?)?TEST(?:S|ING)?|BUILD|ENABLE|WITH|USE", re.I)
_AT_ONCE: Final = re.compile(r"POST_?BUILD|RUN_(?:UNIT_?)?TESTS?|TESTS?_(?:ON|AT|DURING)_BUILD", re.I)
"""Tests that are run by the build itself, which fails with them."""
_FLAG: Final = re.compile(r"-D\s?([A-Za-z_]\w{0,80})(?::BOOL|:STRING)?=[\"']?([\w.+-]{1,60})(?=[\"'\s;&|)]|$)")
_PRESET: Final = re.compile(r"--preset[=\s]+[\"']?([\w.+-]{1,80})")
_WORDS: Final = {"on": "ON", "true": "ON", "yes": "ON", "1": "ON", "off": "OFF", "false": "OFF", "no": "OFF", "0": "OFF"}
_DEFAULT_STANDARD: Final = 17
"""What the compiler takes where nothing is said."""


def switches(facts: CMakeFacts, changed: Sequence[str]) -> dict[str, str]:
    """Options that turn tests on, and what nothing but time depends on off."""
    parts = {part.upper() for path in changed for part in path.split("/")[:-1]}
    found: dict[str, str] = {"BUILD_TESTING": "ON"}
    for whole in sorted({*facts.options, *(word for word in facts.conditions if word.isupper() or word in facts.options)}):
        option, name = facts.options.get(whole), _bare(facts, whole)
        if _AT_ONCE.search(name):
            found[whole] = "OFF"
        elif _SYSTEM.search(name) and option is not None:
            found[whole] = "ON"
        elif _TEST.search(name) and not _NO_TEST.search(name):
            aside = _CONDITIONAL.search(name)
            if option is None and not re.search(r"BUILD|ENABLE|WITH|TESTS$|TESTING$", name):
                continue
            if aside is not None and not any(aside[1].upper() in part for part in parts):
                continue
            found[whole] = "OFF" if _NEGATIVE.search(name) else "ON"
            found |= {other: "ON" for other in (option.depends if option is not None else ()) if other in facts.options}
        elif option is not None and option.on and _IDLE.search(name) and not _NEGATIVE.search(name):
            words = {word for word in re.split(r"_", name.upper()) if len(word) > 3}
            if not any(word.rstrip("S") in part for word in words for part in parts):
                found[whole] = "OFF"
    return found


def _bare(facts: CMakeFacts, name: str) -> str:
    """A variable without the project's own name before it, which may be a word that means something: `BENCHMARK_ENABLE_TESTING`."""
    for project in facts.projects:
        plain = re.sub(r"\W", "_", project).upper()
        for prefix in (plain, plain.rstrip("0123456789"), plain.removeprefix("LIB")):
            if len(prefix) > 1 and name.upper().startswith(f"{prefix}_") and not _NO_PREFIX.fullmatch(prefix):
                return name[len(prefix) + 1 :]
    return name


def ci_switches(facts: CMakeFacts, commands: Sequence[str], presets: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Switches of the project that CI sets in one of its calls of CMake, or by the preset that the call names: the first call that
    speaks of tests, or the first. Where CI calls none, the first preset that speaks of tests."""

    def speaks(call: Mapping[str, str]) -> bool:
        return any(_TEST.search(_bare(facts, name)) for name in call)

    calls: list[dict[str, str]] = []
    standards: list[int] = []
    for command in commands:
        if "cmake" not in command:
            continue
        named = _PRESET.search(command)
        given = {**(presets.get(named[1], {}) if named is not None else {}), **dict(_FLAG.findall(command))}
        standards += [int(year) for year in (given.get("CMAKE_CXX_STANDARD", ""),) if re.fullmatch(r"\d\d", year)]
        if call := _known(facts, given):
            calls.append(call)
    if not calls:
        calls = [call for given in presets.values() if speaks(call := _known(facts, given))]
    found = next((call for call in calls if speaks(call)), calls[0] if calls else {})
    if standards and not facts.standard and min(standards) > _DEFAULT_STANDARD:
        found["CMAKE_CXX_STANDARD"] = str(min(standards))
    return found


def _known(facts: CMakeFacts, given: Mapping[str, str]) -> dict[str, str]:
    """Of these variables those that the project declares, and that are not for one job of CI."""
    found: dict[str, str] = {}
    for name, value in given.items():
        if _TEST.search(_bare(facts, name)) and _CONDITIONAL.search(_bare(facts, name)):
            continue
        if name.startswith("CMAKE_") or any(pattern.search(_bare(facts, name)) for pattern in (_IDLE, _NO_TEST, _OF_A_JOB)):
            continue
        if name in facts.options and value.lower() in _WORDS:
            found[name] = _WORDS[value.lower()]
        elif name in facts.settings and re.fullmatch(r"[\w.+-]{1,60}", value):
            found[name] = value
    return found


def cmake_packages(facts: CMakeFacts) -> list[str]:
    """What building with CMake itself needs."""
    return ["cmake", "ninja-build", "pkg-config", *(["python3-pip"] if facts.minimum[:2] > DEBIAN_CMAKE else [])]


def _sources(facts: CMakeFacts, tree: Tree) -> list[Source]:
    found = wanted_sources([*facts.fetched, *read_submodules(tree.read(".gitmodules") or "")], facts.projects)
    catch = any(source.key == CATCH3 for source in found) or CATCH3 in (name.lower() for name in facts.projects)
    return [*found, *([Source(CATCH3, CATCH3)] if _needs_catch3(facts) and not catch else [])]


def _needs_catch3(facts: CMakeFacts) -> bool:
    return facts.versions.get("Catch2", "").startswith("3") or any("Catch2::Catch2WithMain" in text for text in facts.texts.values())


def _catch(facts: CMakeFacts, tree: Tree, root: str) -> int:
    """The major version of Catch2 that the tests are written for."""
    for path in tree.below(root):
        if path.endswith((".cpp", ".cc", ".cxx", ".hpp", ".h")) and re.search(r"test", path, re.I):
            text = (tree.read(posixpath.join(root, path)) or "")[: 1 << 16]
            if re.search(r"catch2/catch_\w+\.hpp", text):
                return 3
            if "catch2/catch.hpp" in text:
                return 2
    return 3 if _needs_catch3(facts) else 2


def cmake_dependencies(facts: CMakeFacts, tree: Tree, root: str, exports: dict[str, str], committed: datetime) -> str:
    """A step before the repository is there: a newer CMake, and sources in place of downloads."""
    script = ""
    if facts.minimum[:2] > DEBIAN_CMAKE:
        wanted = ".".join(map(str, facts.minimum))
        below = "" if facts.minimum[0] > 3 else ",<4"
        script += f"""
mkdir -p {BIN}
if python3 -m pip install -q --no-cache-dir --target {TOOLS}/python 'cmake>={wanted}{below}'; then
  for name in cmake ctest; do ln -sf {TOOLS}/python/cmake/data/bin/$name {BIN}/$name; done
  say "cmake {wanted} or newer: $(cmake --version | head -n 1)"
else say "not installed: cmake {wanted}"; fi
"""
    sources = _sources(facts, tree)
    catch = _catch(facts, tree, root)
    script += fetch_sources(sources, committed=committed, catch=catch, build_catch=_needs_catch3(facts) and catch > 2)
    outside = {entry.key for one in facts.fetched if one.how == "external" and (entry := source_of(one)) is not None}
    script += git_mirrors([source for source in sources if source.key in outside])
    return install_prelude(exports, "") + script if script else ""


def cmake_install(facts: CMakeFacts, tree: Tree, root: str, *, changed: Sequence[str], ci: Sequence[str], exports: dict[str, str]) -> str:
    """The step that configures and builds."""
    own = switches(facts, changed)
    theirs = ci_switches(facts, ci, read_presets(tree, root))
    # What CI leaves out of the tests is nothing that can be had everywhere.
    own |= {name: value for name, value in theirs.items() if name in own and value == "ON" and _NEGATIVE.search(_bare(facts, name))}
    theirs = {name: value for name, value in theirs.items() if name not in own}
    first = _arguments({**own, **theirs})
    second = _arguments(own)
    sources = _sources(facts, tree)
    filled = fill_submodules(read_submodules(tree.read(".gitmodules") or ""), sources)
    again = (
        f'cmake --build {BUILD} -j "$jobs" || {{ say "cmake: that does not build"\n'
        f'  attempt "without CI\'s switches" $plain $found $stand $fetched {second} ||\n'
        f'  attempt "as it is, with tests" -DBUILD_TESTING=ON $fetched; }}\n'
    )
    again = again if theirs else ""
    return f"""{install_prelude(exports, "")}{GIT_ENVIRONMENT}{filled}cd {shlex.quote(where(root))}
{install_launchers()}{cmake_arguments(facts.fetched, sources, facts.places)}{stand_ins(facts)}generator=
if command -v ninja >/dev/null; then generator="-G Ninja"; fi
quiet="-DCMAKE_C_COMPILER_LAUNCHER={BIN}/compiler -DCMAKE_CXX_COMPILER_LAUNCHER={BIN}/compiler -DCMAKE_COMPILE_WARNING_AS_ERROR=OFF"
plain="-DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS_DEBUG=-O1 -DCMAKE_CXX_FLAGS_DEBUG=-O0 -DCMAKE_POLICY_VERSION_MINIMUM=3.5"
found="-DFETCHCONTENT_TRY_FIND_PACKAGE_MODE=ALWAYS -DCPM_USE_LOCAL_PACKAGES=ON -DCMAKE_PREFIX_PATH={PREFIX}"
attempt() {{
  said=$1; shift
  rm -rf {BUILD}
{_conan(facts)}  if timeout 900 cmake -S . -B {BUILD} $generator $quiet "$@"; then say "cmake: configured $said: $*"; else
    say "cmake: not configured $said"; return 1; fi
}}
aided=yes
lacking=
unaided() {{
  [ -n "$stand$fetched" ] && (unset GIT_CONFIG_SYSTEM; attempt "with downloads of its own" $plain $found "$@") && aided=
}}
own() {{
  [ -n "$aided" ] && [ -n "$stand$fetched" ] || return 1
  mv {BUILD} {BUILD}-aided
  if unaided "$@" && (unset GIT_CONFIG_SYSTEM; timeout 900 cmake --build {BUILD} -j "$jobs"); then rm -rf {BUILD}-aided; return 0; fi
  rm -rf {BUILD} && mv {BUILD}-aided {BUILD}
  return 1
}}
attempt "with the project's tests, CI's switches and packaged libraries" $plain $found $stand $fetched {first} ||
  attempt "with the project's tests and packaged libraries" $plain $found $stand $fetched {second} ||
  attempt "with the project's tests" $plain $stand $fetched {second} ||
  unaided {second} ||
  {{ [ -n "$absent$stand" ] && lacking=yes &&
    attempt "without what cannot be had" $plain $found $stand -DPODGYM_ABSENT=ON $absent $fetched {second}; }} ||
  attempt "as it is, with tests" -DBUILD_TESTING=ON -DCMAKE_POLICY_VERSION_MINIMUM=3.5 $fetched ||
  attempt "as it is"
{again}if ! cmake --build {BUILD} -j "$jobs" && ! own {second}; then
  if [ -f {BUILD}/build.ninja ]; then every="-k 0"; else every=-k; fi
  cmake --build {BUILD} -j 1 -- $every || {{ : >{PARTIAL}; say "cmake: not everything could be built"; }}
  programs=$(find {BUILD} -type f -perm -u+x ! -path '*/CMakeFiles/*' ! -name '*.so*' | head -n 1)
  if [ -e {PARTIAL} ] && [ -n "$lacking" ] && [ -z "$programs" ]; then
    say "cmake: no program can be built without what cannot be had"; exit 1
  fi
fi
{build_aside(facts, BUILD, '"$jobs"')}: >{STAMP}
"""


def _conan(facts: CMakeFacts) -> str:
    """Shell that stands in for what Conan writes: its libraries are Debian's here."""
    names = sorted(
        {name for text in facts.texts.values() for name in re.findall(r"\bconan(?:buildinfo|_toolchain|_paths|)\.cmake\b", text)}
    )
    macros = "".join(f"macro({name})\nendmacro()\n" for name in ("conan_basic_setup", "conan_set_find_paths", "conan_define_targets"))
    return f"  mkdir -p {BUILD}\n" + "".join(f"  printf %s {shlex.quote(macros)} >{BUILD}/{name}\n" for name in names) if names else ""


def _arguments(values: dict[str, str]) -> str:
    return " ".join(shlex.quote(f"-D{name}={value}") for name, value in values.items())
