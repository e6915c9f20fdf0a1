"""Tests that a script runs, of a project whose build files declare none: as CI runs it, else one whose name says so.

CI builds in the source tree or in a directory of its own, and some scripts look for programs where they are started. So a script
is started in the directory where CI does it: one of the repository, or, for one that only CI makes, the build's. What Python
scripts it calls are reported one by one, for many scripts end with the status of the last. Where the build makes test programs and the
script fails before anything is changed, the programs are the tests.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from podgym.envs.build.ci import CiFacts
from podgym.envs.build.languages.native.shell import BUILD, list_programs, programs, record_calls, where
from podgym.envs.build.plan import TOOLS, WORKDIR
from podgym.envs.build.tree import Tree

__all__ = ["TestScript", "find_script", "run_script", "run_undeclared", "try_script"]

_PROGRAMS: Final = f"{TOOLS}/programs"
"""Is there where the script is of no use, and test programs are."""
_TRIED_S: Final = 300

_RUNNERS: Final = frozenset({"bash", "sh", "python", "python3", "perl", "prove", "bats"})
_NAME: Final = re.compile(r"(?:.*[-_.])?(?:run|unit|all)?[-_]?(?:tests?|check)(?:[-_.].*)?|runtests?\.\w+", re.I)
_NEVER: Final = re.compile(r"coverage|lint|format|docker|install|valgrind|[au]san|fuzz|bench|style|spell|clang|cmake|deps|setup|memcheck")
_DIRECTORY: Final = re.compile(r"(?:^|/)(?:unit)?tests?$")
_WORD: Final = re.compile(r"[\w./=:,+@%-]+")
_FOUND: Final = re.compile(
    r"(?:run[-_]?)?(?:all[-_]?)?(?:unit[-_]?)?tests?(?:[-_]?(?:all|suite|runner))?\.sh|run[-_]?(?:all[-_]?)?tests?|runtests\.py"
)


@dataclass(frozen=True, slots=True)
class TestScript:
    """One command."""

    __test__ = False

    words: tuple[str, ...]
    place: str | None
    """The directory of the repository to be in; None for the build's."""
    compared: bool = False
    """The job of CI then looks for files that it changed."""
    guessed: bool = False
    """Only its name says so."""


def find_script(tree: Tree, root: str, ci: CiFacts) -> TestScript | None:
    """The script; None where there is none."""
    configured = [line for line in ci.commands if "cmake" in line]
    inside = any(line.endswith(" .") and " -B" not in line for line in configured)
    for job, place, words in (lines := _lines(tree, ci)):
        if (found := _script(tree, place, words)) is not None:
            here = None if place not in _directories(tree) or (not place and inside) else place
            after = [rest for later, _, rest in lines if later == job and rest[:2] == ["git", "diff"]]
            compared = any({"--exit-code", "--quiet"} & {*rest} for rest in after)
            return TestScript(found, here, compared)
    for path in sorted(tree.below(root), key=lambda path: (path.count("/"), path)):
        name = posixpath.basename(path)
        if path.count("/") <= 1 and _FOUND.fullmatch(name):
            full = posixpath.join(root, path)
            folder = posixpath.dirname(full) if _DIRECTORY.search(posixpath.dirname(path)) is not None else None
            return TestScript((*_interpreter(tree, full), f"{WORKDIR}/{full}"), folder, guessed=True)
    return None


def _directories(tree: Tree) -> set[str]:
    found = {""}
    for path in tree.paths:
        directory = posixpath.dirname(path)
        while directory and directory not in found:
            found.add(directory)
            directory = posixpath.dirname(directory)
    return found


def _lines(tree: Tree, ci: CiFacts) -> Iterator[tuple[str, str, list[str]]]:
    """Simple commands of CI with the job and the directory that they run in, as far as `cd` tells."""
    job, place = "", ""
    for step in ci.steps:
        if step.job != job or step.directory:
            job, place = step.job, posixpath.normpath(step.directory) if step.directory else ""
        here = place
        parts = [part.strip() for part in re.split(r"&&|;", step.line)]
        for part in parts:
            words = [word for word in part.split() if not re.fullmatch(r"[A-Za-z_]\w*=\S*\$\S*", word)]
            if words[:1] in (["cd"], ["pushd"]) and len(words) == 2 and _WORD.fullmatch(words[1]):
                here = posixpath.normpath(posixpath.join(here, words[1]))
                here = "" if here == "." or here.startswith(("..", "/")) else here
            elif words[:2] == ["git", "diff"] or (words and all(_WORD.fullmatch(word) for word in words)):
                yield job, here, words
        place = here if len(parts) == 1 else place


def _script(tree: Tree, place: str, words: list[str]) -> tuple[str, ...] | None:
    """The command with the script's whole path; None for what is no test script of the repository."""
    while words and re.fullmatch(r"[A-Za-z_]\w*=\S*", words[0]):
        words = words[1:]
    if not words or _NEVER.search(" ".join(words).lower()):
        return None
    if words[0] == "scons":
        aims = [word for word in words[1:] if "=" not in word]
        fit = _DIRECTORY.search(place) is not None or any(_NAME.fullmatch(word) for word in aims)
        return tuple(words) if fit and posixpath.join(place, "SConstruct") in tree else None
    lead = 1 if words[0] in _RUNNERS else 0
    if len(words) <= lead:
        return None
    for base in dict.fromkeys((place, "")):
        path = posixpath.normpath(posixpath.join(base, words[lead]))
        if path in tree and _NAME.fullmatch(posixpath.basename(path)):
            return (*(words[:lead] or _interpreter(tree, path)), f"{WORKDIR}/{path}", *words[lead + 1 :])
    return None


def _interpreter(tree: Tree, path: str) -> tuple[str, ...]:
    """For a script that may not be executable."""
    first = (tree.read(path) or "").partition("\n")[0]
    known = re.match(r"#!\s*(?:/usr/bin/env\s+|\S*/)(bash|sh|python3?|perl)\b", first)
    return (known[1],) if known is not None else ("sh",) if path.endswith(".sh") else ()


def run_undeclared(script: TestScript | None) -> str:
    """Shell for tests that no build file declares: the script, else the programs in `$build` that are called tests."""
    found = programs('"$build"')
    if script is not None and not script.guessed:
        return f"  if [ -e {_PROGRAMS} ]; then\n{found}  else\n{run_script(script)}  fi\n"
    return found if script is None else f'{found}  if [ ! -s "$out/exit-code/programs.txt" ]; then\n{run_script(script)}  fi\n'


def try_script(script: TestScript | None) -> str:
    """Shell, after the build, that notes where the programs are better than the script; the work tree is as before then."""
    if script is None or script.guessed:
        return ""
    name = " ".join(script.words).replace(f"{WORKDIR}/", "")[:100]
    bounded = replace(script, words=("timeout", "-k", "9", str(_TRIED_S), *script.words), compared=False)
    return f"""\
if [ -n "$({list_programs(BUILD)})" ]; then
  kept=$(mktemp -d)
  : >"$kept/stamp"
  cp -a {WORKDIR} "$kept/tree"
  (
    set +eu
    out=$kept/report build={BUILD} code=0
    mkdir -p "$out/taken"
    export PODGYM_REPORT="$out" QT_QPA_PLATFORM="${{QT_QPA_PLATFORM:-offscreen}}"
{run_script(bounded)}    # One that takes long may be good.
    case $code in 0|77|124|137) ;; *) : >{_PROGRAMS}; say "test programs in place of {name}, which fails" ;; esac
  )
  find {WORKDIR} ! -type d -cnewer "$kept/stamp" ! -path '*/.git/*' | while IFS= read -r file; do
    before=$kept/tree${{file#{WORKDIR}}}
    if [ -e "$before" ] || [ -L "$before" ]; then cp -a "$before" "$file"; else rm -f "$file"; fi
  done
  cp -an "$kept/tree/." {WORKDIR}/ || true
  rm -rf "$kept"
fi
"""


def run_script(script: TestScript) -> str:
    """Shell that runs it and notes how it ended; takes `$build`, sets `$code`."""
    place = '"$build"' if script.place is None else shlex.quote(where(script.place))
    label = " ".join(script.words).replace(f"{WORKDIR}/", "")[:200]
    before = changed = ""
    if script.compared:
        listed = "git ls-files -z --cached --others --exclude-standard | xargs -0 sha1sum"
        before = f'  (cd {WORKDIR} && {listed} 2>/dev/null) >"$out/taken/before"\n'
        changed = f'  [ $code -ne 0 ] || (cd {WORKDIR} && sha1sum --quiet -c "$out/taken/before") >&2 || code=1\n'
    ran = record_calls(f"cd {place} && {' '.join(map(shlex.quote, script.words))}", '"$out/exit-code/script.txt"')
    return f"""\
  mkdir -p "$out/exit-code"
{before}  if [ ! -e {WORKDIR}/build ]; then ln -s "$build" {WORKDIR}/build; linked=1; fi
{ran}  [ -z "${{linked:-}}" ] || rm -f {WORKDIR}/build
{changed}  printf '%s\\t%s\\n' {shlex.quote(label)} "$code" >>"$out/exit-code/script.txt"
  if grep -qvE '\t(0|77)$' "$out/exit-code/script.txt"; then code=1; fi
"""
