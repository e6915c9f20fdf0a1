"""Autotools: `configure` as it is or made anew, built in place, tested with `make check`, whose `.trs` files are the report.

In place, because many projects do not build elsewhere. A harness older than Automake's 1.13 writes no `.trs`; its `PASS:` and
`FAIL:` lines are exit codes then, and where there is none of either, the whole of `make check` is one.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Sequence
from typing import Final

from podgym.envs.build.languages.native.launcher import BIN, BROKEN, install_launchers
from podgym.envs.build.languages.native.make import test_targets
from podgym.envs.build.languages.native.paths import vendored
from podgym.envs.build.languages.native.shell import PARTIAL, STAMP, ending, exports, install_prelude, stale_objects, test_prelude
from podgym.envs.build.tree import Tree

__all__ = ["AutotoolsFacts", "autotools_install", "autotools_packages", "autotools_test", "read_autotools"]

_ENABLE: Final = re.compile(r"AC_ARG_(ENABLE|WITH)\(\s*\[?([\w-]{1,60})", re.I)
_TEST: Final = re.compile(r"(?:^|[-_])(?:unit)?[-_]?(?:tests?|testing|unittests?|test-suite|check|cmocka|cppunit|gtest)(?:[-_]|$)")
_NO_TEST: Final = re.compile(r"install|coverage|fuzz|perf|valgrind|network|root|slow|broken")
_FLAG: Final = re.compile(r"(?<!\S)--(?:enable|disable|with|without)-[\w-]+(?:=[\w./,+-]*)?(?!\S)")
_UNWANTED: Final = re.compile(r"werror|sanit|coverage|gcov|valgrind|asan|ubsan|fuzz|debug|prefix|static|profil|lto|maintainer")


class AutotoolsFacts:
    """Of the files below one directory."""

    def __init__(self, configure: str, makefiles: dict[str, str]) -> None:
        self.configure = configure
        self.makefiles = makefiles
        self.text = "\n".join((configure, *makefiles.values()))
        self.tests = len(
            re.findall(r"^[ \t]*(?:check_PROGRAMS|check_SCRIPTS|TESTS|dist_check_SCRIPTS)\s*\+?=|^check(?:-local)?\s*:", self.text, re.M)
        )
        self.checks_itself = re.search(r"^check(?:-local|-am)?\s*:", self.text, re.MULTILINE) is not None or not any(
            path.endswith(".am") for path in makefiles
        )
        self.automake = any(path.endswith(".am") for path in makefiles)
        own = [] if self.automake else test_targets(makefiles.get("Makefile.in", ""), ())
        self.target = own[0] if own else "check"
        self.tests += len(own)
        self.own_launcher = re.search(r"\bLOG_COMPILER\b|\bTESTS_ENVIRONMENT\b|\bLOG_DRIVER\b", self.text) is not None


def read_autotools(tree: Tree, root: str) -> AutotoolsFacts:
    """Facts of the project at `root`."""
    join = posixpath.join
    configure = next((text for name in ("configure.ac", "configure.in") if (text := tree.read(join(root, name)))), "")
    paths = [
        path for path in tree.below(root) if posixpath.basename(path) in ("Makefile.am", "Makefile.in", "Makefile") or path.endswith(".am")
    ]
    amount = [path for path in paths if not vendored(path) and not (path.endswith(".in") and path[:-3] + ".am" in paths)]
    return AutotoolsFacts(configure, {path: text for path in amount[:300] if (text := tree.read(join(root, path))) is not None})


def autotools_packages() -> list[str]:
    """What building with Autotools itself needs."""
    return ["autoconf", "automake", "libtool", "pkg-config", "make", "autoconf-archive", "gettext", "autopoint"]


def _flags(facts: AutotoolsFacts, ci: Sequence[str]) -> tuple[str, str]:
    own = ["--disable-werror", "--disable-docs", "--disable-doc", "--disable-gtk-doc"]
    for kind, name in _ENABLE.findall(facts.configure):
        if _TEST.search(name) and not _NO_TEST.search(name):
            own.append(f"--{kind.lower()}-{name}")
    theirs: list[str] = []
    for command in ci:
        if re.search(r"(?:^|[\s/;&])(?:configure|autogen\.sh)\b", command):
            theirs = [flag for flag in _FLAG.findall(command) if not _UNWANTED.search(flag)]
            break
    return " ".join(map(shlex.quote, dict.fromkeys(own))), " ".join(map(shlex.quote, dict.fromkeys(theirs)))


def autotools_install(facts: AutotoolsFacts, root: str, *, ci: Sequence[str], variables: dict[str, str]) -> str:
    """The step that configures and builds."""
    own, theirs = _flags(facts, ci)
    programs = (
        ""
        if facts.checks_itself
        else 'PATH=$compilers:$PATH make -j "$jobs" -k check TESTS= ||\n  say "autotools: not all test programs were built"\n'
    )
    return f"""{install_prelude(variables, root)}{install_launchers()}compilers={BIN}/../compilers
make_configure() {{
  export NOCONFIGURE=1
  for script in ./autogen.sh ./bootstrap ./bootstrap.sh ./buildconf ./buildconf.sh ./autogen ./autobuild.sh; do
    [ -f "$script" ] || continue
    [ -x "$script" ] || chmod +x "$script"
    if timeout 600 "$script" </dev/null && [ -f configure ]; then say "autotools: configure made by $script"; return 0; fi
  done
  mkdir -p m4
  timeout 600 autoreconf -fi </dev/null && say "autotools: configure made by autoreconf"
}}
attempt() {{
  said=$1; shift
  if timeout 900 ./configure CFLAGS="-O1 -g0" CXXFLAGS="-O1 -g0" "$@" </dev/null; then say "autotools: configured $said: $*"; else
    say "autotools: not configured $said"; return 1; fi
}}
build() {{
  if PATH=$compilers:$PATH make -j "$jobs" </dev/null; then return 0; fi
  say "autotools: that does not build"
  PATH=$compilers:$PATH make clean </dev/null >/dev/null 2>&1 || true
  return 1
}}
attempts() {{
  {{ attempt "with its tests and as CI does" {own} {theirs} && build; }} || {{ attempt "with its tests" {own} && build; }} ||
    {{ attempt "as it is" && build; }}
}}
[ -f configure ] || make_configure
[ -x configure ] || chmod +x configure
if ! attempts; then
  if [ -f Makefile ]; then attempt "with its tests" {own} || attempt "as it is"; else
    timeout 600 autoreconf -fi </dev/null
    attempts || attempt "as it is"
  fi
  PATH=$compilers:$PATH make -k </dev/null || {{ : >{PARTIAL}; say "autotools: not everything could be built"; }}
fi
{programs}: >{STAMP}
"""


def autotools_test(facts: AutotoolsFacts, root: str, variables: dict[str, str]) -> str:
    """The script that builds what changed and tests."""
    launcher = "" if facts.own_launcher else f" LOG_COMPILER={BIN}/cases"
    if facts.checks_itself:
        first = f"{BROKEN}=$out/taken/broken; export {BROKEN}\n"
    else:
        first = 'make -j 2 check TESTS= >&2 || { rm -rf "$out"; echo "podgym: the test programs do not build" >&2; exit 2; }\n'
    return f"""{test_prelude(root)}{exports(variables)}export PATH=$compilers:$PATH
find . -name '*.trs' ! -path './.git/*' -exec rm -f {{}} +
{"" if facts.automake else stale_objects()}if ! make -j 2 >&2; then
  [ -e {PARTIAL} ] || {{ rm -rf "$out"; echo "podgym: the build failed" >&2; exit 2; }}
  make -k >&2
fi
{first}export PODGYM_REPORT="$out"
make -k {facts.target}{launcher} >"$out/taken/log" 2>&1
code=$?
tail -c 200000 "$out/taken/log" >&2
find . -name '*.trs' ! -path './.git/*' >"$out/taken/results"
while read -r file; do
  mkdir -p "$out/automake/$(dirname "$file")"
  cp "$file" "$out/automake/$file"
  log=${{file%.trs}}.log
  if [ "$(grep -c ':test-result:' "$file")" -gt 0 ] && grep -qE '^(PASS|FAIL|XFAIL|XPASS|SKIP|ERROR): ' "$log" 2>/dev/null; then
    head -c 1000000 "$log" >"$out/automake/$log"
  fi
done <"$out/taken/results"
if [ ! -s "$out/taken/results" ]; then
  mkdir -p "$out/exit-code"
  sed -nE -e 's/^(PASS|XFAIL): ([^[:space:]].*)$/\\2\\t0/p' -e 's/^(FAIL|XPASS|ERROR): ([^[:space:]].*)$/\\2\\t1/p' \\
    -e 's/^SKIP: ([^[:space:]].*)$/\\1\\t77/p' "$out/taken/log" >"$out/exit-code/check.txt"
  if ! grep -q . "$out/exit-code/check.txt" || {{ [ $code -ne 0 ] && ! grep -q '	1$' "$out/exit-code/check.txt"; }}; then
    printf 'make {facts.target}\\t%s\\n' "$code" >"$out/exit-code/check.txt"
  fi
fi
{ending()}"""
