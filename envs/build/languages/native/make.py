"""Plain Makefiles: what the target for tests ends with, and what the test programs report by themselves.

The targets `test`, `check` and the like are looked for in the Makefile, those first that CI runs. Makefiles often know nothing of
headers, so after a change to one everything is built anew.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Sequence
from typing import Final

from podgym.envs.build.languages.native.launcher import BIN, BROKEN, COMPILERS, install_launchers
from podgym.envs.build.languages.native.shell import (
    STAMP,
    ending,
    exports,
    install_prelude,
    programs,
    record_calls,
    stale_objects,
    test_prelude,
)
from podgym.envs.build.tree import Tree

__all__ = ["MAKEFILES", "make_install", "make_test", "makefile", "test_command", "test_targets", "unit_command"]

MAKEFILES: Final = ("GNUmakefile", "makefile", "Makefile")
"""In the order in which make takes them."""
_TARGETS: Final = (
    "check", "test", "tests", "unittest", "unittests", "unit-test", "unit-tests", "unit_test", "unit_tests", "unit", "runtests", "runtest",
    "run-tests", "run_tests", "run-test", "testrun", "test-all", "testall", "all-tests", "alltests", "do-test",
    "run-unit-tests", "selftest",
)  # fmt: skip
_TARGET: Final = re.compile(r"^([\w./ -]{1,200}?)\s*::?(?!=)", re.MULTILINE)
_SCRIPT: Final = re.compile(
    r"(?:cd [\w./-]+ && )?(?:(?:bash|sh|python3?|perl|prove|bats) )?(?:\./)?[\w./-]*(?:tests?|check)[\w./-]*(?: [\w./=-]+)*"
    r"|make (?:-C|--directory=?) ?[\w./-]*tests?[\w./-]*(?: [\w./=-]+)*|cd [\w./-]*tests?[\w./-]* && make(?: [\w./=-]+)*"
)
_RUNNER: Final = re.compile(r"(?:run[-_]?)?(?:all[-_]?)?tests?(?:[-_]?(?:all|suite|runner))?\.sh|run[-_]?tests?|runtests\.py")
_LINTS: Final = re.compile(
    r"\b(?:pre[-_]?commit|prek|cppcheck|clang[-_](?:tidy|format)|codespell|astyle|uncrustify|\w*lint|shellcheck|indent|splint|flawfinder)\b",
    re.I,
)
_UNITS: Final = re.compile(r"--(single|unit|test-?file)\b[^\n]{0,40}(?:<unit>|<file>|<name>|unit\b)")
_SHORT: Final = re.compile(r"\bg?make\b((?:\s+[\w./=+-]+)*)")


def makefile(tree: Tree, directory: str) -> str | None:
    """Text of the directory's Makefile."""
    return next((text for name in MAKEFILES if (text := tree.read(posixpath.join(directory, name))) is not None), None)


def test_targets(text: str, ci: Sequence[str]) -> list[str]:
    """Targets that run tests, the best first: those that CI runs, and of those the ones that are called as most are."""
    held = {name for line in _TARGET.findall(text) for name in line.split()}
    known = [name for name in _TARGETS if name in held]
    known += sorted(
        name for name in held if name not in known and re.fullmatch(r"(?:run-?_?)?(?:unit-?_?)?tests?(?:[-_](?:all|unit|run))?", name)
    )
    known.sort(key=lambda name: _lints(text, name))
    named = [word for command in ci for words in _SHORT.findall(command) for word in words.split() if word in held]
    wanted = [word for word in named if word in known or re.search(r"(?:^|[-_])(?:tests?|check)(?:[-_]|$)", word)]
    return list(dict.fromkeys([*[name for name in known if name in wanted], *known, *wanted]))


def _lints(text: str, target: str) -> bool:
    """Whether a target checks how the sources are written."""
    rule = re.search(rf"^{re.escape(target)}[ \t]*::?(?!=)([^\n]{{0,400}}(?:\n\t[^\n]{{0,400}}){{0,20}})", text, re.MULTILINE)
    return rule is not None and _LINTS.search(rule[1]) is not None and re.search(r"\btests?\b", rule[1], re.IGNORECASE) is None


def unit_command(tree: Tree, root: str, command: str, changed_tests: Sequence[str]) -> str:
    """The command for some test files alone, where the script says that it can be asked for them by their names; empty else."""
    words = command.split()
    script = next((word.removeprefix("./") for word in words if posixpath.join(root, word.removeprefix("./")) in tree), "")
    text = tree.read(posixpath.join(root, script)) or "" if script else ""
    if "&&" in words or not text:
        return ""
    inner = [path for path in re.findall(r"[\w./-]{3,80}", text[:4000]) if posixpath.join(root, path) in tree]
    option = next((found[1] for path in [script, *inner] if (found := _UNITS.search(tree.read(posixpath.join(root, path)) or ""))), "")
    names: list[str] = []
    for path in changed_tests:
        below = path.removeprefix(f"{root}/") if root else path
        place, _, name = below.partition("/")
        if not option or place not in ("test", "tests") or not name or re.fullmatch(r"[\w./-]+", name) is None:
            return ""
        names.append(f"--{option} {posixpath.splitext(name)[0]}")
    return f"{command} {' '.join(names)}" if names else ""


def test_command(tree: Tree, root: str, ci: Sequence[str]) -> str:
    """How tests are run where the Makefile has no target for them: as CI does, or by a script whose name says so; empty for neither."""
    for command in ci:
        if _SCRIPT.fullmatch(command) and not re.search(r"coverage|lint|format|docker|install|valgrind|asan|fuzz|bench", command):
            return command
    scripts = [path for path in tree.below(root) if path.count("/") <= 1 and _RUNNER.fullmatch(posixpath.basename(path))]
    if scripts:
        path = min(scripts, key=lambda path: (path.count("/"), path))
        folder, name = posixpath.split(path)
        run = f"sh {shlex.quote(name)}" if name.endswith(".sh") else f"./{shlex.quote(name)}"
        if (tree.read(posixpath.join(root, path)) or "").startswith(("#!/bin/bash", "#!/usr/bin/env bash")):
            run = f"bash {shlex.quote(name)}"
        return f"cd {shlex.quote(folder)} && {run}" if folder else run
    return ""


def _shell(text: str) -> str:
    """What the Makefile has its recipes run with."""
    found = re.search(
        r"^[ \t]*(?:export[ \t]+|override[ \t]+)*SHELL[ \t]*[:?]?=[ \t]*(?:/usr/bin/env\s+)?([\w/.-]{1,60})", text, re.MULTILINE
    )
    return found[1] if found is not None and found[1].rpartition("/")[2] in ("bash", "dash", "ksh", "zsh") else "/bin/sh"


def make_install(text: str, root: str, variables: dict[str, str], *, configure: bool) -> str:
    """The step that builds as far as it can be built without the tests."""
    every = "all" if re.search(r"^all\s*:", text, re.MULTILINE) else ""
    return f"""{install_prelude(variables, root)}{install_launchers()}{"[ -x configure ] || chmod +x configure" if configure else ":"}
{"./configure </dev/null || true" if configure else ":"}
export PATH={COMPILERS}:$PATH
if make -j "$jobs" {every} </dev/null || make -k {every} </dev/null; then say "make: built"
else say "make: not everything could be built"; fi
: >{STAMP}
"""


def make_test(text: str, target: str, command: str, root: str, variables: dict[str, str]) -> str:
    """The script that builds what changed and tests: by a target, else by a command, else by running every test program."""
    calls = '"$out/exit-code/make.txt"'
    if target:
        run = record_calls(f"make -k {shlex.quote(target)} SHELL={BIN}/recipe", calls)
        label = f"make {target}"
    elif command:
        run = f"make -j 2 </dev/null >&2\n{record_calls(command, calls)}"
        label = command
    else:
        run = "make -j 2 </dev/null >&2 || make -k </dev/null >&2\n" + programs(".")
        label = ""
    written = f'printf \'%s\\t%s\\n\' {shlex.quote(label[:200])} "$code" >>"$out/exit-code/make.txt"\n' if label else ""
    return f"""{test_prelude(root)}{exports(variables)}export PATH=$compilers:$PATH
{BROKEN}=$out/taken/broken; export {BROKEN}
{stale_objects()}export PODGYM_REPORT="$out" PODGYM_ROOT="$PWD" PODGYM_LINES=make PODGYM_SHELL={_shell(text)}
mkdir -p "$out/junit" "$out/check-xml" "$out/cmocka-xml/make" "$out/exit-code"
export GTEST_OUTPUT="xml:$out/junit/" CRITERION_OUTPUTS="xml:$out/junit/criterion.xml"
export CK_XML_LOG_FILE_NAME="$out/check-xml/check.xml" CMOCKA_MESSAGE_OUTPUT=xml CMOCKA_XML_FILE="$out/cmocka-xml/make/%g.xml"
{run}{written}{ending()}"""
