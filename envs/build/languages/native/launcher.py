"""Programs that go into the image: what runs a test program so that it reports each of its cases, and what runs a compiler.

`cases PROGRAM` knows the test frameworks by what stands in the program itself, and asks for a report by the variable or option of
each. A program that has arguments of its own, or whose framework is not known, runs as it is. Reports that are not whole, or that
contradict the program's exit status, are removed: then the status alone counts, and where $PODGYM_LINES names a file for them the tests
that the program lists as it goes (`lines`). `recipe` is the shell that make runs its lines with,
`prove` keeps what Perl's runner of TAP hides.
"""

from __future__ import annotations

from typing import Final

from podgym.envs.build.languages.native.lines import LINES
from podgym.envs.build.plan import TOOLS, WORKDIR

__all__ = ["BIN", "BROKEN", "CALLS", "COMPILERS", "install_launchers"]

BIN: Final = f"{TOOLS}/bin"
COMPILERS: Final = f"{TOOLS}/compilers"
"""First on the PATH while something is built: compilers without warnings, so that none is an error with a newer compiler."""
BROKEN: Final = "PODGYM_BROKEN"
"""The variable that names a file where compilers note what they could not compile."""

CALLS: Final = 7
"""The descriptor that calls of Python are told to."""

_CASES: Final = r"""#!/bin/sh
# cases PROGRAM: runs a test program so that it reports each of its cases below $PODGYM_REPORT.
out=${PODGYM_REPORT:-}
case ${1:-} in */*) ;; *) [ ! -f "./${1:-}" ] || { program=./$1; shift; set -- "$program" "$@"; } ;; esac
if [ -z "$out" ] || [ $# -ne 1 ] || [ -n "${PODGYM_INSIDE:-}" ]; then exec "$@"; fi
export PODGYM_INSIDE=1
program=$1 name=$(basename -- "$1") folder=$(dirname -- "$1")
real=$program
[ ! -f "$folder/.libs/$name" ] || real=$folder/.libs/$name
[ -f "$real" ] && [ "$(head -c 4 -- "$real" | tail -c 3)" = ELF ] || exec "$@"
number=1 own=$name
mkdir -p "$out/taken"
while ! mkdir "$out/taken/$own" 2>/dev/null; do
  number=$((number + 1)) own=$name-$number
  [ $number -lt 999 ] || exec "$@"
done
has() { grep -aqF -e "$1" -- "$real"; }
whole() { [ -s "$1" ] && tail -c 300 -- "$1" | grep -q '</test\|</Test\|</doctest'; }
failing() {
  grep -q '<failure\|<error\|result="fail\|result="err\|result="abort\|result="FAIL\|<OverallResultsTestCases [^>]*failures="[1-9]' "$1"
}
format=junit plain=
mkdir -p "$out/junit" "$out/check-xml" "$out/boost-xml"
if has gtest_output || has N7testing8UnitTest; then
  export GTEST_OUTPUT="xml:$out/junit/$own.xml"
  "$@"
elif has CK_XML_LOG_FILE_NAME || has srunner_run_all || has srunner_ntests; then
  format=check-xml
  export CK_XML_LOG_FILE_NAME="$out/check-xml/$own.xml"
  "$@"
elif has CMOCKA_XML_FILE || has _cmocka_run_group_tests; then
  mkdir -p "$out/cmocka-xml/$own"
  export CMOCKA_MESSAGE_OUTPUT=xml CMOCKA_XML_FILE="$out/cmocka-xml/$own/%g.xml"
  exec "$@"
elif has libcriterion || has criterion_run_all_tests || has cr_sct_; then
  export CRITERION_OUTPUTS="xml:$out/junit/$own.xml"
  "$@"
elif [ -n "${PODGYM_PLAIN:-}" ]; then
  exec "$@"
elif has N5Catch; then
  plain=1
  "$@" -r junit -o "$out/junit/$own.xml"
elif has N7doctest; then
  # Its JUnit counts assertions as tests.
  format=gtest-xml plain=1
  mkdir -p "$out/gtest-xml"
  "$@" -r=xml -o="$out/gtest-xml/$own.xml"
elif has boost9unit_test; then
  format=boost-xml plain=1
  "$@" --report_format=XML --report_level=detailed --report_sink="$out/boost-xml/$own.xml"
elif has CommandLineTestRunner; then
  # A file for each group, in the working directory.
  plain=1 folder=$out/taken/cpputest-$own
  mkdir -p "$folder"
  "$@" -ojunit -k "$own" >"$folder/log" 2>&1
  status=$?
  cat "$folder/log"
  find . -maxdepth 1 -name 'cpputest_*.xml' -exec mv {} "$folder/" \;
  if find "$folder" -name '*.xml' | grep -q .; then
    good=1 bad=
    for file in "$folder"/*.xml; do
      tail -c 300 -- "$file" | grep -q '</testsuite>' || good=
      ! failing "$file" || bad=1
    done
    if [ -n "$good" ] && { { [ $status -eq 0 ] && [ -z "$bad" ]; } || { [ $status -ne 0 ] && [ -n "$bad" ]; }; }; then
      for file in "$folder"/*.xml; do mv "$file" "$out/junit/$own-$(basename "$file")"; done
      exit $status
    fi
    exit $status
  fi
  exec "$@"
elif has _ZN5QTest5qExec; then
  plain=1
  "$@" -o "$out/junit/$own.xml,junitxml" -o -,txt
elif has 'xml-output=FILE'; then
  plain=1
  "$@" --xml-output="$out/junit/$own.xml"
elif has 'output xunit XML file'; then
  plain=1
  "$@" --output="$out/junit/$own.xml"
elif [ -n "${PODGYM_LINES:-}" ] && grep -aqiE 'not ok|fail' -- "$real"; then
  "$@" >"$out/taken/$own/said" 2>&1
  status=$?
  cat "$out/taken/$own/said"
  mkdir -p "$out/exit-code"
  "${0%/*}/lines" "$out/taken/$own/said" $status "$own: " >>"$out/exit-code/$PODGYM_LINES.txt"
  exit $status
else
  exec "$@"
fi
status=$? report=$out/$format/$own.xml
if whole "$report"; then
  if [ $status -eq 0 ] && failing "$report"; then rm -f -- "$report"; fi
  if [ $status -ne 0 ] && ! failing "$report"; then rm -f -- "$report"; fi
else
  rm -f -- "$report"
  # It may not have known the options.
  if [ $status -ne 0 ] && [ -n "$plain" ]; then exec "$@"; fi
fi
exit $status
"""

_RECIPE: Final = r"""#!/bin/sh
# As make's SHELL: runs a line of a recipe, and notes in $PODGYM_REPORT how a line ended that runs a test program of the project.
shell=${PODGYM_SHELL:-/bin/sh}
for line in "$@"; do :; done
program=${line%%[[:space:]]*}
case $program in
  /*) case $program in "${PODGYM_ROOT:-/none}"/*) ;; *) program= ;; esac ;;
  */*) ;;
  *) program= ;;
esac
case $line in *'
'*) program= ;; esac
case ${program##*/} in *[tT][eE][sS][tT]*|*[cC][hH][eE][cC][kK]*) ;; *) program= ;; esac
if [ -z "$program" ] || [ -z "${PODGYM_REPORT:-}" ] || [ ! -f "$program" ] || [ ! -x "$program" ]; then exec "$shell" "$@"; fi
if [ "$line" = "$program" ]; then "${0%/*}/cases" "$program"; else "$shell" "$@"; fi
status=$?
printf '%s\t%s\n' "$(printf '%s' "$line" | tr -s '[:space:]' ' ' | cut -c 1-200)" "$status" >>"$PODGYM_REPORT/exit-code/make.txt"
exit $status
"""

_PROVE: Final = r"""# prove ARGUMENTS: also keeps what each script printed in $PODGYM_REPORT, where it is whole.
path=$PATH
case " $* " in *' -j'*|*' --jobs'*|*' --version'*) PODGYM_REPORT= ;; esac
[ -n "${PODGYM_REPORT:-}" ] || exec "$real" "$@"
PATH=$PATH:/usr/bin:/bin
mkdir -p "$PODGYM_REPORT/tap" "$PODGYM_REPORT/taken"
log=$(mktemp "$PODGYM_REPORT/taken/prove.XXXXXX")
{ PATH=$path "$real" -v "$@"; echo $? >"$log.status"; } | tee "$log"
awk -v place="$PODGYM_REPORT/tap" '
  function whole() {
    if (name != "" && plan > 0 && plan == points && (!dubious || bad)) printf "%s", text >(place "/" name ".tap")
    name = text = ""; plan = points = dubious = bad = 0
  }
  /^[^ #].* \.\.+ *$/ && !/^(not )?ok / { whole(); name = $1; gsub(/[^A-Za-z0-9_.-]/, "-", name); next }
  /^(ok|All [0-9]+ subtests passed.*|Failed [0-9]+.*|No subtests run.*)$/ { whole(); next }
  /^Dubious, / { dubious = 1; next }
  name != "" { text = text $0 "\n" }
  /^1\.\.[0-9]+/ { plan = substr($0, 4) + 0 }
  /^ok / { points++ }
  /^not ok/ { points++; bad = 1 }' "$log"
exit "$(cat "$log.status")"
"""

_CALLS: Final = rf"""# python3 ARGUMENTS: where $PODGYM_CALLS is set, descriptor {CALLS} gets a line for each script of tests that ran.
[ -n "${{PODGYM_CALLS:-}}" ] || exec "$real" "$@"
# What is tested has no part in what is said of it.
unset PODGYM_CALLS PODGYM_REPORT
case ${{1:-}} in
  */*.py) place=$(CDPATH='' cd -P -- "${{1%/*}}" 2>/dev/null && pwd)/ ;;
  *.py) place=$(pwd -P)/ ;;
  *) exec "$real" "$@" {CALLS}>&- ;;
esac
case $place in {WORKDIR}/*) place=${{place#{WORKDIR}}} ;; *) place=/ ;; esac
case $place in
  */test/*|*/tests/*) ;;
  *) case ${{1##*/}} in *[tT]est*|*check*) ;; *) exec "$real" "$@" {CALLS}>&- ;; esac ;;
esac
"$real" "$@" {CALLS}>&-
status=$?
PATH=$PATH:/usr/bin:/bin
line=$(printf '%s ' "${{0##*/}}" "$@" | tr -s '[:space:]' ' ' | cut -c 1-200)
{{ printf '%s\t%s\n' "$line" "$status" >&{CALLS}; }} 2>/dev/null
exit $status
"""

_COMPILER: Final = r"""#!/bin/sh
# COMPILER ARGUMENTS: without warnings; what cannot be compiled is noted in $PODGYM_BROKEN.
"$@" -w
status=$?
[ $status -eq 0 ] || [ -z "${PODGYM_BROKEN:-}" ] || echo "$*" >>"$PODGYM_BROKEN"
exit $status
"""


def install_launchers() -> str:
    """Shell that puts all of them in place."""
    return f"""mkdir -p {BIN} {COMPILERS}
cat >{BIN}/cases <<'PODGYM_END'
{_CASES}PODGYM_END
cat >{BIN}/compiler <<'PODGYM_END'
{_COMPILER}PODGYM_END
cat >{BIN}/recipe <<'PODGYM_END'
{_RECIPE}PODGYM_END
cat >{BIN}/lines <<'PODGYM_END'
{LINES}PODGYM_END
chmod 755 {BIN}/cases {BIN}/compiler {BIN}/recipe {BIN}/lines
stand_in() {{
  real=$(command -v "$1" || true)
  case $real in {BIN}/*|[!/]*|'') return ;; esac
  {{ printf "#!/bin/sh\nreal='%s'\n" "$real"; cat "$2"; }} >{BIN}/"$1"
  chmod 755 {BIN}/"$1"
}}
text=$(mktemp)
cat >"$text" <<'PODGYM_END'
{_CALLS}PODGYM_END
for name in python3 python; do stand_in $name "$text"; done
cat >"$text" <<'PODGYM_END'
{_PROVE}PODGYM_END
stand_in prove "$text"
rm -f "$text"
for name in cc gcc c++ g++ c99; do
  real=$(command -v "$name" || true)
  [ -n "$real" ] || continue
  printf '#!/bin/sh\\nexec {BIN}/compiler %s "$@"\\n' "$real" >{COMPILERS}/"$name"
  chmod 755 {COMPILERS}/"$name"
done
"""
