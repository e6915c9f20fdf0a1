"""CMake: configured out of the work tree with the tests switched on, built with Ninja where it is there, tested with CTest.

Configuring is tried from the most to the least specific: with the project's test options, CI's switches and packaged copies of what
would be downloaded; without CI's; with nothing but the tests; as the project is. CTest's report has an id for each test that
the project declares; programs that are one such test report their cases beside it (`launcher`).
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from podgym.envs.build.languages.native.cmakefacts import CMakeFacts
from podgym.envs.build.languages.native.launcher import BIN, BROKEN, install_launchers
from podgym.envs.build.languages.native.shell import BUILD, PARTIAL, STAMP, ending, install_prelude, programs, test_prelude, where
from podgym.envs.build.languages.native.sources import CATCH3, PREFIX, SOURCES, cmake_arguments, fetch_sources, source_package
from podgym.envs.build.plan import TOOLS
from podgym.envs.build.tree import Tree

__all__ = ["DEBIAN_CMAKE", "cmake_dependencies", "cmake_install", "cmake_packages", "cmake_test", "switches"]

DEBIAN_CMAKE: Final = (3, 25)
_TEST: Final = re.compile(
    r"(?:^|_)(?:UNIT|BUILD|ENABLE|WITH)?_?(?:UNIT)?_?(?:TESTS?|TESTING|UNITTESTS?|TESTSUITE|GTEST|CATCH2?|DOCTEST)(?:_|$)", re.I
)
_NO_TEST: Final = re.compile(
    r"INSTALL|COVERAGE|FUZZ|BENCH|SANIT|VALGRIND|DOWNLOAD|ONLINE|NETWORK|STRESS|EXTERNAL|SYSTEM|STATIC|SHARED|WERROR|PACKAGE|REMOTE|MODULE"
    r"|SINGLE|DOCKER|FORTRAN|PYTHON|ANDROID|MEMCHECK|HELPER_LIB|EXPORT|CMAKE_|(?:DIR|PATH|LIB|ARGS|FLAGS|NAME)$|TIMEOUT"
    r"|(?:^|_)(?:PERF|CUDA|LARGE|SLOW|QT\d?|GUI|WASM|IOS|MSVC|LTO|LEAKS?)(?:_|$)",
    re.I,
)
_NEGATIVE: Final = re.compile(r"(?:^|_)(?:DISABLE|NO|SKIP|WITHOUT|EXCLUDE|OMIT)(?:_|$)", re.I)
_IDLE: Final = re.compile(
    r"(?:^|_)(?:EXAMPLES?|SAMPLES?|DEMOS?|BENCHMARKS?|BENCH|BENCHES|DOCS?|DOCUMENTATION|DOXYGEN|MANPAGES?|MAN|FUZZ(?:ERS?|ING|_TARGETS?)?|COVERAGE"
    r"|WERROR|WARNINGS_AS_ERRORS?|CLANG_TIDY|CPPCHECK|IWYU|LTO|IPO|SANITIZERS?|ASAN|UBSAN|PRECOMPILED_HEADERS?)(?:_|$)", re.I
)  # fmt: skip
_SYSTEM: Final = re.compile(r"(?:SYSTEM|EXTERNAL|INSTALLED)_?(?:GTEST|GOOGLETEST|GMOCK|CATCH2?|DOCTEST|CMOCKA|UNITTEST)", re.I)
_OF_A_JOB: Final = re.compile(r"LIBCXX|CLANG|MODULE|SINGLE|HEADER_ONLY|CROSS|ARM|32|NO_EXCEPTIONS|NO_RTTI|MINIMAL|AMALGAM", re.I)
_AT_ONCE: Final = re.compile(r"POST_?BUILD|RUN_(?:UNIT_?)?TESTS?|TESTS?_(?:ON|AT|DURING)_BUILD", re.I)
"""Tests that are run by the build itself, which fails with them."""
_FLAG: Final = re.compile(r"-D\s?([A-Za-z_]\w{0,80})(?::BOOL|:STRING)?=(ON|OFF|TRUE|FALSE|YES|NO|1|0)\b", re.I)
_TIMEOUT_S: Final = 300


def switches(facts: CMakeFacts, changed: Sequence[str]) -> dict[str, str]:
    """Options that turn tests on, and what nothing but time depends on off."""
    parts = {part.upper() for path in changed for part in path.split("/")[:-1]}
    found: dict[str, str] = {"BUILD_TESTING": "ON"}
    for name in sorted({*facts.options, *(word for word in facts.conditions if word.isupper() or word in facts.options)}):
        option = facts.options.get(name)
        if _AT_ONCE.search(name):
            found[name] = "OFF"
        elif _SYSTEM.search(name) and option is not None:
            found[name] = "ON"
        elif _TEST.search(name) and not _NO_TEST.search(name):
            if option is None and not re.search(r"BUILD|ENABLE|WITH|TESTS$|TESTING$", name):
                continue
            found[name] = "OFF" if _NEGATIVE.search(name) else "ON"
        elif option is not None and option.on and _IDLE.search(name) and not _NEGATIVE.search(name):
            words = {word for word in re.split(r"_", name.upper()) if len(word) > 3}
            if not any(word.rstrip("S") in part for word in words for part in parts):
                found[name] = "OFF"
    return found


def ci_switches(facts: CMakeFacts, commands: Sequence[str]) -> dict[str, str]:
    """Switches of the project that CI sets in one of its calls of CMake: the first that speaks of tests, or the first."""
    calls: list[dict[str, str]] = []
    for command in commands:
        if "cmake" not in command:
            continue
        call = {
            name: "ON" if value.upper() in ("ON", "TRUE", "YES", "1") else "OFF"
            for name, value in _FLAG.findall(command)
            if name in facts.options and not _IDLE.search(name) and not _NO_TEST.search(name) and not _OF_A_JOB.search(name)
        }
        if call:
            calls.append(call)
    return next((call for call in calls if any(_TEST.search(name) for name in call)), calls[0] if calls else {})


def cmake_packages(facts: CMakeFacts) -> list[str]:
    """What building with CMake itself needs."""
    return ["cmake", "ninja-build", "pkg-config", *(["python3-pip"] if facts.minimum[:2] > DEBIAN_CMAKE else [])]


def _fetched_packages(facts: CMakeFacts, submodules: Sequence[str]) -> list[str]:
    names = [*(entry.name for entry in facts.fetched if entry.how != "external"), *(posixpath.basename(path) for path in submodules)]
    own = {source_package(name) for name in facts.names}
    found = [package for name in names if (package := source_package(name)) is not None and package not in own]
    return list(dict.fromkeys([*found, *([CATCH3] if _needs_catch3(facts) and CATCH3 not in own else [])]))


def _needs_catch3(facts: CMakeFacts) -> bool:
    return facts.versions.get("Catch2", "").startswith("3") or any("Catch2::Catch2WithMain" in text for text in facts.texts.values())


def submodules(tree: Tree) -> list[str]:
    """Paths that `.gitmodules` names."""
    return re.findall(r"^\s*path\s*=\s*([\w./+-]{1,200})\s*$", tree.read(".gitmodules") or "", re.MULTILINE)


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
    packages = _fetched_packages(facts, submodules(tree))
    catch = _catch(facts, tree, root)
    script += fetch_sources(packages, committed=committed, catch=catch, build_catch=_needs_catch3(facts) and catch > 2)
    return install_prelude(exports, "") + script if script else ""


def cmake_install(facts: CMakeFacts, tree: Tree, root: str, *, changed: Sequence[str], ci: Sequence[str], exports: dict[str, str]) -> str:
    """The step that configures and builds."""
    own = switches(facts, changed)
    theirs = {name: value for name, value in ci_switches(facts, ci).items() if name not in own}
    first = _arguments({**own, **theirs})
    second = _arguments(own)
    fill = "".join(
        f"[ -n \"$(ls -A {shlex.quote(path)} 2>/dev/null)\" ] || [ ! -d {SOURCES}/{package} ] || "
        f"{{ mkdir -p {shlex.quote(path)} && cp -r {SOURCES}/{package}/. {shlex.quote(path)}/; }}\n"
        for path in submodules(tree)
        if (package := source_package(posixpath.basename(path))) is not None
    )  # fmt: skip
    again = (
        f'cmake --build {BUILD} -j "$jobs" || {{ say "cmake: that does not build"\n'
        f'  attempt "without CI\'s switches" $plain $found $fetched {second} ||\n'
        f'  attempt "as it is, with tests" -DBUILD_TESTING=ON $fetched; }}\n'
    )
    again = again if theirs else ""
    return f"""{install_prelude(exports, "")}{fill}cd {shlex.quote(where(root))}
{install_launchers()}{cmake_arguments(facts.fetched)}generator=
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
attempt "with the project's tests, CI's switches and packaged libraries" $plain $found $fetched {first} ||
  attempt "with the project's tests and packaged libraries" $plain $found $fetched {second} ||
  attempt "with the project's tests" $plain $fetched {second} ||
  attempt "as it is, with tests" -DBUILD_TESTING=ON -DCMAKE_POLICY_VERSION_MINIMUM=3.5 $fetched ||
  attempt "as it is"
{again}if ! cmake --build {BUILD} -j "$jobs"; then
  if [ -f {BUILD}/build.ninja ]; then every="-k 0"; else every=-k; fi
  cmake --build {BUILD} -j 1 -- $every || {{ : >{PARTIAL}; say "cmake: not everything could be built"; }}
fi
{_aside(facts, BUILD, '"$jobs"')}: >{STAMP}
"""


def _conan(facts: CMakeFacts) -> str:
    """Shell that stands in for what Conan writes: its libraries are Debian's here."""
    names = sorted({name for text in facts.texts.values() for name in re.findall(r"conanbuildinfo\.cmake|conan_toolchain\.cmake", text)})
    macros = "".join(f"macro({name})\nendmacro()\n" for name in ("conan_basic_setup", "conan_set_find_paths", "conan_define_targets"))
    return f"  mkdir -p {BUILD}\n" + "".join(f"  printf %s {shlex.quote(macros)} >{BUILD}/{name}\n" for name in names) if names else ""


def _aside(facts: CMakeFacts, build: str, jobs: str, *, testing: bool = False) -> str:
    """Shell that builds tests that are not of `all`. A custom target may run them, too, so that only what does not compile counts."""
    names = [name for name in dict.fromkeys(facts.aside) if re.fullmatch(r"[\w.+-]{1,100}", name)][:40]
    if not names:
        return ""
    noted = f'{BROKEN}="$out/taken/aside" ' if testing else ""
    lines = f"for name in {' '.join(names)}; do {noted}cmake --build {build} -j {jobs} --target $name >&2 || true; done\n"
    broken = '[ ! -s "$out/taken/aside" ] || { rm -rf "$out"; echo "podgym: the tests do not build" >&2; exit 2; }\n'
    return lines + (broken if testing else "")


def _arguments(values: dict[str, str]) -> str:
    return " ".join(shlex.quote(f"-D{name}={value}") for name, value in values.items())


def cmake_test(facts: CMakeFacts, root: str, *, timeout_s: float) -> str:
    """The script that builds what changed and tests."""
    plain = "export PODGYM_PLAIN=1\n" if facts.judged_by_output else ""
    each_s = max(1, round(min(_TIMEOUT_S, timeout_s / 2)))
    gtest = "" if facts.by_case else 'export GTEST_OUTPUT="xml:$out/junit/"\n'
    return f"""{test_prelude(root)}build={BUILD}
# Configured again, for lists of files that CMake makes itself; what is downloaded was so before.
cmake -DFETCHCONTENT_FULLY_DISCONNECTED=ON "$build" >"$out/taken/configure" 2>&1 || tail -n 40 "$out/taken/configure" >&2
if [ -e {PARTIAL} ]; then
  # What cannot be built now must not be left over from before.
  find "$build" -type f -perm -u+x ! -name '*.so*' ! -path '*/CMakeFiles/*' ! -path '*/_deps/*' -exec rm -f {{}} +
  if [ -f "$build/build.ninja" ]; then every="-k 0"; else every=-k; fi
  cmake --build "$build" -j 2 -- $every >&2
else
  cmake --build "$build" -j 2 >&2 || {{ rm -rf "$out"; echo "podgym: the build failed" >&2; exit 2; }}
fi
{_aside(facts, '"$build"', "2", testing=True)}mkdir -p "$out/junit"
export PODGYM_REPORT="$out"
{plain}{gtest}# A test that is a program without arguments says more of its cases when it is asked.
find "$build" -name CTestTestfile.cmake ! -path '*/_deps/*' -exec \\
  sed -i -E 's~^(add_test\\(("[^"]*"|[^"]+) )"([^"]+)"\\)$~\\1"{BIN}/cases" "\\3")~' {{}} +
find "$build" -name CTestTestfile.cmake ! -path '*/_deps/*' |
  awk '{{ print length($0), $0 }}' | sort -n >"$out/taken/declared"
for file in $(head -n 40 "$out/taken/declared" | cut -d' ' -f2-); do
  number=$(ctest --test-dir "$(dirname "$file")" -N 2>/dev/null | sed -n 's/^Total Tests: //p')
  [ "${{number:-0}}" -eq 0 ] || {{ tests=$(dirname "$file"); break; }}
done
if [ -n "${{tests:-}}" ]; then
  ctest --test-dir "$tests" --output-junit "$out/junit/ctest.xml" -j 1 --timeout {each_s} --no-tests=error --output-on-failure >&2
  code=$?
else
{programs('"$build"')}fi
{ending()}"""
