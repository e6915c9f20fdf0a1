"""The script that tests what CMake built: what changed is built, then CTest runs, or where no test is declared the test programs.

For a suite that takes too long the tests of some files can be asked for: those whose name or program is called after one, where there
is such a test for each of the files.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from typing import Final

from podgym.envs.build.languages.native.cmakefacts import CMakeFacts
from podgym.envs.build.languages.native.launcher import BIN, BROKEN
from podgym.envs.build.languages.native.shell import BUILD, PARTIAL, ending, test_prelude
from podgym.envs.build.languages.native.standins import GIT_ENVIRONMENT
from podgym.envs.build.languages.native.testscript import TestScript, run_undeclared

__all__ = ["build_aside", "cmake_test"]

_TIMEOUT_S: Final = 300
_PLAIN: Final = frozenset({"main", "test", "tests"})
_MAX_CHOSEN: Final = 40


def build_aside(facts: CMakeFacts, build: str, jobs: str, *, testing: bool = False) -> str:
    """Shell that builds tests that are not of `all`. A custom target may run them, too, so that only what does not compile counts."""
    names = [name for name in dict.fromkeys(facts.aside) if re.fullmatch(r"[\w.+-]{1,100}", name)][:40]
    if not names:
        return ""
    noted = f'{BROKEN}="$out/taken/aside" ' if testing else ""
    lines = f"for name in {' '.join(names)}; do {noted}cmake --build {build} -j {jobs} --target $name >&2 || true; done\n"
    broken = '[ ! -s "$out/taken/aside" ] || { rm -rf "$out"; echo "podgym: the tests do not build" >&2; exit 2; }\n'
    return lines + (broken if testing else "")


def _stems(paths: Sequence[str]) -> list[str]:
    """For each of these files the words, after commas, that programs and tests are called by that are made from it."""
    found: list[str] = []
    for path in paths:
        stem = posixpath.splitext(posixpath.basename(path))[0].lower()
        bare = re.sub(r"^(?:unit)?tests?[-_.]|[-_.](?:unit)?tests?$", "", stem)
        words = [word for word in (stem, bare) if len(word) > 3 and re.fullmatch(r"[\w.+-]{1,80}", word) and word not in _PLAIN]
        found.append(",".join(dict.fromkeys(words)))
    return list(dict.fromkeys(found))


def _chosen(only: Sequence[str]) -> str:
    """Shell that sets `$chosen` to CTest's arguments for tests whose names or programs have a word of one of these files, where each file
    has such a test; else all run, two at a time."""
    if "" in only or not 0 < len(only) <= _MAX_CHOSEN:
        return '  chosen="-j 2"\n'
    return f"""\
  numbers=$(ctest --test-dir "$tests" -N -V 2>/dev/null | tr '[:upper:]' '[:lower:]' | awk -v words='{" ".join(only)}' '
    BEGIN {{ count = split(words, word, " ") }}
    function fits(file, part, many, n) {{ many = split(word[file], part, ",")
      for (n = 1; n <= many; n++) if (index(name, part[n]) || index(program, part[n])) return 1
      return 0 }}
    /^[0-9]+: test command: / {{ program = $4; if (program ~ /\\/cases"?$/) program = $5; sub(/.*\\//, "", program) }}
    /^ *test +#[0-9]+: / {{ number = $0; sub(/^ *test +#/, "", number); sub(/:.*/, "", number); name = $0; sub(/^[^:]*: /, "", name)
      for (i = 1; i <= count; i++) if (fits(i)) {{ has[i] = 1; if (last != number) list = list "," number; last = number }} }}
    END {{ for (i = 1; i <= count; i++) if (!has[i]) exit
      print substr(list, 2) }}')
  chosen="-j 2"
  [ -z "$numbers" ] || chosen="-j 2 -I ${{numbers%%,*}},${{numbers%%,*}},,$numbers"
"""


def cmake_test(
    facts: CMakeFacts, root: str, *, timeout_s: float, only: Sequence[str] | None = None, script: TestScript | None = None
) -> str:
    """The script that builds what changed and tests; `only` are the test files whose tests are wanted, as far as they can be told,
    and `script` runs the tests where none is declared."""
    plain = "export PODGYM_PLAIN=1\n" if facts.judged_by_output else ""
    each_s = max(1, round(min(_TIMEOUT_S, timeout_s / 2)))
    chosen = '  chosen="-j 1"\n' if only is None else _chosen(_stems(only))
    gtest = "" if facts.by_case else 'export GTEST_OUTPUT="xml:$out/junit/"\n'
    return f"""{test_prelude(root)}{GIT_ENVIRONMENT}build={BUILD}
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
{build_aside(facts, '"$build"', "2", testing=True)}mkdir -p "$out/junit"
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
{chosen}  export PODGYM_LINES=cases
  ctest --test-dir "$tests" --output-junit "$out/junit/ctest.xml" $chosen --timeout {each_s} \\
    --no-tests=error --output-on-failure >&2
  code=$?
else
{run_undeclared(script)}fi
{ending()}"""
