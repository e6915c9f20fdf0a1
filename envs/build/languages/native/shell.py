"""Pieces of shell that the scripts of all build systems begin and end with."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from podgym.envs.build.languages.native.launcher import BIN, BROKEN, CALLS, COMPILERS
from podgym.envs.build.languages.native.pythonneeds import PLACE
from podgym.envs.build.plan import INSTALL_LOG, TOOLS, WORKDIR

__all__ = [
    "BUILD", "PARTIAL", "STAMP", "ending", "exports", "install_prelude", "list_programs", "programs",
    "record_calls", "stale_objects", "test_prelude", "where",
]  # fmt: skip

BUILD = f"{TOOLS}/build"
"""Where CMake and Meson build."""
STAMP = f"{TOOLS}/built"
"""Its time is that of the build that the image holds."""

PARTIAL = f"{TOOLS}/partial"
"""Is there where not everything could be built in the image."""


_SMALL = 300
"""Source files of a project that is compiled anew in little time."""
_PYTHON = f"[ ! -d {PLACE} ] || export PYTHONPATH={PLACE} PATH=$PATH:{PLACE}/bin\n"


def where(root: str) -> str:
    """The project's directory in the image."""
    return f"{WORKDIR}/{root}" if root else WORKDIR


def exports(variables: Mapping[str, str]) -> str:
    """Shell that exports them."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in sorted(variables.items()))


def install_prelude(variables: Mapping[str, str], root: str) -> str:
    """How every step begins; `say` writes to the installation's log."""
    return (
        f"set -eu\n{exports(variables)}export PATH={BIN}:$PATH LC_ALL=C.UTF-8\n"
        f'mkdir -p {TOOLS}\nsay() {{ echo "$*" >>{INSTALL_LOG}; }}\n'
        'jobs=$(nproc 2>/dev/null || echo 2); [ "$jobs" -le 4 ] || jobs=4\n'
        f"{_PYTHON}cd {shlex.quote(where(root))}\n"
    )


def test_prelude(root: str) -> str:
    """How every test script begins: `$out` is the report's directory, and compilers note what they could not compile.
    Programs with windows find no screen."""
    return (
        f'cd {shlex.quote(where(root))} || exit 3\nout={{report}}\nmkdir -p "$out/taken"\n'
        f'export PATH={BIN}:$PATH HOME="${{HOME:-/root}}" QT_QPA_PLATFORM="${{QT_QPA_PLATFORM:-offscreen}}"\n'
        f"compilers={COMPILERS} code=0\n{_PYTHON}"
    )


def stale_objects() -> str:
    """Shell that has everything compiled anew where that is the only safe way: Makefiles often know nothing of headers, wherever in the
    repository those are, and some not even of their sources; of the latter only small projects are suspected."""
    headers = " -o ".join(f"-name '*.{end}'" for end in ("h", "hh", "hpp", "hxx", "inc", "inl", "ipp"))
    sources = " -o ".join(f"-name '*.{end}'" for end in ("c", "cc", "cpp", "cxx", "C"))
    return f"""\
files() {{ find {WORKDIR} -type f ! -path '*/.git/*' "$@"; }}
newer() {{ files -newer {STAMP} \\( "$@" \\) | grep -q .; }}
if newer {headers} || {{ newer {sources} && [ "$(files \\( {sources} \\) | wc -l)" -le {_SMALL} ]; }}; then
  make clean >/dev/null 2>&1
  files \\( {sources} -o {headers} \\) -exec touch {{}} +
fi
"""


def record_calls(command: str, file: str) -> str:
    """Shell that runs a command and adds to `file` how each script of tests ended that it had Python run, and the tests that it listed;
    sets `code`."""
    return f"""\
  # What is left running may hold the pipe, and a program that is tested may write to it, but not take anything back.
  mark=$(od -An -N 12 -tx1 /dev/urandom | tr -d ' ')
  told=$({{
    (export PODGYM_CALLS=1; {command}) {CALLS}>&1 </dev/null >"$out/taken/said" 2>&1
    printf '\\n%s\\n' "$mark $?"
  }} | while IFS= read -r line; do
    case $line in "$mark "*) echo "${{line#"$mark "}}"; break ;; ?*) printf '%s\\n' "$line" ;; esac
  done)
  code=$(printf '%s\\n' "$told" | tail -n 1)
  printf '%s\\n' "$told" | sed '$d' >>{file}
  tail -c 200000 "$out/taken/said" >&2
  {BIN}/lines "$out/taken/said" "$code" >>{file}
"""


def list_programs(places: str, *, names: str = "*test*") -> str:
    """A command that writes the path of every test program below `places`."""
    return (
        f"find {places} -type f -perm -u+x -iname '{names}' ! -name '*.so*' ! -name '*.sh' ! -name '*.py' ! -name '*.o' \\\n"
        "    ! -path '*/CMakeFiles/*' ! -path '*/_deps/*' ! -path '*/.libs/*' ! -path '*/.git/*' | sort | while read -r program; do\n"
        '    [ "$(head -c 4 "$program" | tail -c 3)" != ELF ] || printf \'%s\\n\' "$program"; done'
    )


def programs(places: str, *, names: str = "*test*") -> str:
    """Shell that runs every test program below `places`, for a build that says nothing of how its tests are run; sets `code`."""
    return f"""\
  mkdir -p "$out/exit-code"
  {list_programs(places, names=names)} >"$out/taken/programs"
  while read -r program; do
    (cd "$(dirname "$program")" && PODGYM_LINES=programs exec timeout 300 {BIN}/cases "./$(basename "$program")") </dev/null >&2
    status=$?
    printf '%s\\t%s\\n' "$(basename "$program")" "$status" >>"$out/exit-code/programs.txt"
    [ $status -eq 0 ] || [ $status -eq 77 ] || code=1
  done <"$out/taken/programs"
"""


def ending() -> str:
    """How every test script ends: reports of single programs that contradict the whole are dropped; what did not compile has no
    report at all. Takes `code`."""
    return f"""\
words='<failure|<error|<OverallResultsTestCases [^>]*failures="[1-9]'
words="$words"'|result="(fail|err|abort|FAIL)|status="(fail|FAIL)|result: (FAIL|ERROR|XPASS)'
failing() {{ grep -rlE "$words" "$out" 2>/dev/null; }}
red() {{ failing | grep -q . || {{ [ ! -d "$out/exit-code" ] || cat "$out"/exit-code/*; }} 2>/dev/null |
  awk -F'\\t' '$2 != 0 && $2 != 77 {{ found = 1 }} END {{ exit !found }}'; }}
if [ "$code" -eq 0 ]; then
  # What the tests' runner wrote itself agrees with its exit code, whatever the tests have printed into it.
  failing | grep -vE '/automake/|/junit/(ctest|meson)[.]xml$' | while read -r file; do rm -f "$file"; done
elif [ -s "${{{BROKEN}:-}}" ]; then
  echo "podgym: not everything compiled:" >&2; head -n 5 "${BROKEN}" >&2
  rm -rf "$out"/junit "$out"/*-xml "$out"/automake "$out"/tap "$out"/exit-code
elif ! red; then
  echo "podgym: exit code $code without a failure in the report" >&2
  rm -rf "$out"/junit "$out"/*-xml "$out"/automake "$out"/tap "$out"/exit-code
fi
rm -rf "$out/taken"
exit "$code"
"""
