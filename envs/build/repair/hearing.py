"""What failing tests say, where it is in their report alone: runners like unittest's and Gradle's print no messages.

The tests run once more, by commands that print their report to the log too. It counts only where most of the tests fail, for then it
is what is around them that they lack; a test that fails among others that pass is the project's own matter.
"""

from __future__ import annotations

import html
import posixpath
import re
import shlex
from collections.abc import Sequence
from typing import Final

from podgym.envs.build.repair.edits import wrapped
from podgym.envs.build.repair.failure import LOG_CHARACTERS
from podgym.envs.build.running import run_commands
from podgym.envs.build.states import Overlay
from podgym.sandbox import SandboxError, SandboxProvider, SandboxSpec
from podgym.verifiers import TestCommand
from podgym.verifiers.archive import Write

__all__ = ["failing_tests_say"]

_REPORT_BYTES: Final = 1 << 20
_LOG_BYTES: Final = 4 << 20
_INTERPRETER: Final = ".podgym-interpreter"
_HEARD: Final = LOG_CHARACTERS // 2
"""Leaves room for the log's own end."""
_BESIDE: Final = re.compile(r"<property\b[^<>]{0,2000}>|<(/?)system-(out|err)>")
_FRAME: Final = re.compile(r"\s+at |\s*\.\.\. \d+ more")
_LINE_BREAK: Final = re.compile(r"\\r?\\n")
"""As JSON writes it."""
_FAILING: Final = frozenset({"failed", "error"})
_STAND_IN: Final = """\
#!/bin/sh
said=$(mktemp)
code=0
{python} "$@" > "$said" || code=$?
head -c {limit} "$said" >&2
cat "$said"
rm -f "$said"
exit "$code"
"""


async def failing_tests_say(provider: SandboxProvider, spec: SandboxSpec, commands: Sequence[TestCommand], overlay: Overlay) -> str:
    """The log of another run with its reports, as lines; empty where most tests pass, or where there is no whole report."""
    told, writes = _telling(commands, spec.workdir)
    try:
        report = await run_commands(provider, spec, told, overlay.then(Overlay(writes)))
    except SandboxError:
        return ""
    counted = [outcome for outcome in report.outcomes.values() if outcome != "skipped"]
    failing = sum(outcome in _FAILING for outcome in counted)
    if report.problem is not None or 2 * failing <= len(counted):
        return ""
    return f"\n{_condensed(report.log)}"


def _condensed(log: str) -> str:
    """Lines without what reports hold beside messages, each once: an unescaped stack trace says the same for every test."""
    lines = _LINE_BREAK.sub("\n", html.unescape(_messages(log))).splitlines()
    return "\n".join(dict.fromkeys(line for line in lines if not _FRAME.match(line)))[-_HEARD:]


def _messages(log: str) -> str:
    """Without properties and without what tests printed, in one pass: it may be made to be slow. What never ends is left."""
    kept, at, opened, stream = [], 0, -1, ""
    for tag in _BESIDE.finditer(log):
        if tag[2] is None:
            if opened < 0:
                kept.append(log[at : tag.start()])
                at = tag.end()
        elif not tag[1] and opened < 0:
            opened, stream = tag.start(), tag[2]
        elif tag[1] and opened >= 0 and tag[2] == stream:
            kept.append(log[at:opened])
            at, opened = tag.end(), -1
    return "\n".join((*kept, log[at:]))


def _telling(commands: Sequence[TestCommand], workdir: str) -> tuple[list[TestCommand], tuple[Write, ...]]:
    """The same commands, and what they need in the work tree."""
    told, writes = [], []
    for number, command in enumerate(commands):
        if command.framework == "program":
            told.append(command.model_copy(update={"script": _script(command), "log_bytes": _LOG_BYTES}))
            continue
        name = f"{_INTERPRETER}-{number}"
        writes.append(Write(name, _STAND_IN.format(python=shlex.quote(command.python), limit=_REPORT_BYTES).encode(), 0o755))
        told.append(command.model_copy(update={"python": posixpath.join(workdir, name), "log_bytes": _LOG_BYTES}))
    return told, tuple(writes)


def _script(command: TestCommand) -> str:
    """A report that is printed is in the log anyway."""
    assert command.report is not None
    places = [*map(_find, command.report.files), *(["find {report} -type f"] if "{report}" in command.script else [])]
    if not places:
        return command.script
    tell = "".join(f"{place} -exec cat {{}} + 2>/dev/null | head -c {_REPORT_BYTES} >&2\n" for place in places)
    return wrapped(command.script, after=tell)


def _find(glob: str) -> str:
    """`find` for a glob of a `ReportSource`; its `*` may match more than the shell's, which does no harm here."""
    return f"find . -type f -path {shlex.quote(f'./{glob}'.replace('**/', '*'))}"
