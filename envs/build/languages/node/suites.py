"""How a runner is started so that it leaves a report, in which format, and how single files are given to it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from podgym.envs.build.languages.node.runners import LOADERS, Framework, Run
from podgym.envs.build.languages.node.semver import accepts_major
from podgym.envs.build.languages.node.shell import Word, word
from podgym.envs.build.plan import TOOLS
from podgym.verifiers.reports import ReportFormat

__all__ = ["HOME", "Started", "start"]

HOME: Final = f"{TOOLS}/node"
"""Where the tools of this package lie in the image."""
_REPORT: Final = Word('"$report"', "")
_GLOB: Final = re.compile(r"[*?{\[]")
_NEWER: Final = frozenset({
    "--experimental-strip-types", "--experimental-transform-types", "--no-experimental-strip-types", "--test-isolation",
    "--experimental-test-isolation", "--env-file-if-exists", "--no-experimental-webstorage",
    "--test-skip-pattern", "--experimental-webstorage",
})  # fmt: skip
"""Options that Node knows since 22."""
_TARGETS: Final = Word('"$@"', "")


@dataclass(frozen=True, slots=True)
class Started:
    """A shell line that ends in `exec`, and what it leaves."""

    line: str
    format: ReportFormat
    printed: bool = False
    """The report is its standard output."""
    files: bool = True
    """It takes test files, for which the line says `"$@"`."""


@dataclass(slots=True)
class _Draft:
    """The words of a line as they are put together."""

    run: Run
    node: int
    versions: Mapping[str, str]
    head: list[Word]
    flags: list[Word]
    files: list[Word]
    targeted: bool
    typescript: bool
    format: ReportFormat = "jest-json"
    printed: bool = False
    takes: bool = True
    """Single files can be given."""
    env: dict[str, str] = field(default_factory=dict)
    """Raw values of more variables."""

    def add(self, text: str) -> None:
        """Plain words."""
        self.flags += [word(one) for one in text.split()]

    def older(self, name: str, major: int) -> bool:
        """Whether the stated range of a package holds only versions before a major one."""
        wanted = self.versions.get(name, "")
        if not wanted or not wanted.strip(" ^~>=v")[:1].isdigit():
            return False
        return not any(accepts_major(wanted, one) for one in range(major, major + 40))


def _jest(draft: _Draft) -> None:
    alone = any(one.text in ("--runInBand", "-i") for one in draft.flags)
    draft.add("--ci --json --coverage=false --watchAll=false --forceExit --bail=0 --outputFile")
    draft.flags.append(_REPORT)
    if not alone:
        draft.add("--maxWorkers=2")
    if not draft.older("jest", 20):
        draft.add("--reporters=default")
    if draft.targeted:
        draft.flags.append(word("--runTestsByPath"))


def _vitest(draft: _Draft) -> None:
    draft.flags.insert(0, word("run"))
    draft.add("--reporter=json --dangerouslyIgnoreUnhandledErrors --outputFile")
    draft.flags.append(_REPORT)
    if not draft.older("vitest", 1):
        draft.add("--coverage.enabled=false")
    if not draft.older("vitest", 2):
        draft.add("--bail=0")


def _mocha(draft: _Draft) -> None:
    draft.format = "mocha-json"
    for one in draft.run.command.requires:
        draft.flags += [word("--require"), word(one)]
    draft.add(f"--reporter {HOME}/mocha.js")
    if not draft.older("mocha", 4):
        draft.add("--exit")
    if not draft.older("mocha", 6):
        draft.add("--no-bail")


def _node(draft: _Draft) -> None:
    if draft.node < 22:
        draft.head = [one for one in draft.head if one.text.partition("=")[0] not in _NEWER]
    if draft.typescript and draft.node < 22 and draft.head[0].text in ("node", "nodejs") and not _loads(draft.head):
        draft.head += [word("--import"), word("tsx")]
        if not draft.files:
            draft.files = [word("**/*.test.?(c|m)[jt]s"), word("**/*-test.?(c|m)[jt]s"), word("**/test/**/*.?(c|m)[jt]s")]
    draft.add("--test")
    if draft.node < 18:
        draft.format, draft.printed = "tap", True
    else:
        draft.add(f"--test-reporter={HOME}/nodetest.mjs")
        draft.flags.append(Word('--test-reporter-destination="$report"', ""))
    if draft.node >= 22:
        draft.add("--test-force-exit")
    elif not draft.targeted and any(_GLOB.search(one.text) for one in draft.files):
        draft.head = [word("node"), word(f"{HOME}/glob.js"), *draft.head]  # it knows globs since 21
        draft.files.insert(0, word("--"))


def _loads(words: Sequence[Word]) -> bool:
    """Whether something is loaded that reads TypeScript."""
    return any(re.search(LOADERS, one.text) for one in words[1:])


def _borp(draft: _Draft) -> None:
    draft.add("--reporter")
    draft.flags.append(Word(f'{HOME}/nodetest.mjs:"$report"', ""))


def _ava(draft: _Draft) -> None:
    draft.head = [word("node"), word(f"{HOME}/printed.js"), word("ava"), *draft.head]
    draft.add("--tap")


def _tap(draft: _Draft) -> None:
    draft.format, draft.printed = "tap", True
    if draft.head[-1].text != "tap" and not draft.head[-1].text.endswith(("/tap", "/run.js", "/run.mjs")):
        draft.takes = False  # a file that prints TAP by itself
        return
    draft.add("--reporter=tap")
    if not draft.older("tap", 18):
        draft.add("--disable-coverage --allow-empty-coverage --allow-incomplete-coverage")
    elif not draft.older("tap", 15):
        draft.add("--no-coverage --no-check-coverage")
    elif not draft.older("tap", 11):
        draft.add("--no-coverage")


def _printed(draft: _Draft) -> None:
    draft.head = [word("node"), word(f"{HOME}/printed.js"), word(draft.run.framework), *draft.head]
    draft.takes = draft.run.framework == "tape"


def _jasmine(draft: _Draft) -> None:
    draft.add(f"--helper={HOME}/jasmine.js")


def _lab(draft: _Draft) -> None:
    draft.format = "junit"
    draft.add("-l -r junit -o")
    draft.flags.append(_REPORT)


def _qunit(draft: _Draft) -> None:
    draft.format, draft.printed = "tap", True
    draft.add("--reporter tap")


def _karma(draft: _Draft) -> None:
    if draft.run.files:
        draft.env["PODGYM_KARMA"] = draft.run.files[0].raw
    draft.head = [*draft.head, word("start"), word(f"{HOME}/karma.js")]
    draft.flags, draft.files, draft.takes = [], [], False


def _bun(draft: _Draft) -> None:
    draft.format = "junit"
    draft.add("--reporter=junit")
    draft.flags.append(Word('--reporter-outfile="$report"', ""))


def _deno(draft: _Draft) -> None:
    draft.format = "junit"
    draft.flags.append(Word('--junit-path="$report"', ""))


_STARTS: Final[dict[Framework, Callable[[_Draft], None]]] = {
    "jest": _jest, "vitest": _vitest, "mocha": _mocha, "node:test": _node, "borp": _borp, "ava": _ava, "tap": _tap, "tape": _printed,
    "uvu": _printed, "jasmine": _jasmine, "lab": _lab, "qunit": _qunit, "karma": _karma, "bun": _bun, "deno": _deno,
}  # fmt: skip


def start(run: Run, *, node: int, versions: Mapping[str, str], targeted: bool, typescript: bool = False) -> Started:
    """The line for a run; with `targeted` for the files in the shell's arguments alone. `versions` are the ranges of its packages;
    `typescript` says that its tests are."""
    files = [_TARGETS] if targeted else [*run.choosing, *run.files]
    draft = _Draft(run, node, versions, [*run.head], [*run.flags], files, targeted, typescript)
    _STARTS[run.framework](draft)
    env = {**{name: value.raw for name, value in run.command.env}, **draft.env}
    sets = "".join(f"export {name}={value}\n" for name, value in env.items())
    words = " ".join(one.raw for one in (*draft.head, *draft.flags, *draft.files))
    return Started(f"{sets}exec {words}", draft.format, printed=draft.printed, files=draft.takes)
