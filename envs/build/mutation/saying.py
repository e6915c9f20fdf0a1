"""What failing tests say, where they say it in the report and not on the screen.

A run's outcomes come from its report, which the driver reads and forgets; for an issue's text the messages are wanted too. The command
of that one run prints its reports into its log when it has ended, and what fails is made of them as lines that a person could have
seen: a test's name, and below it what it says.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from typing import Any, Final

from podgym.verifiers import TestCommand
from podgym.verifiers.errors import ReportError
from podgym.verifiers.reports.source import PLACE
from podgym.verifiers.reports.xml import XmlReader

__all__ = ["said_in", "talkative"]

_LOG_BYTES: Final = 16 << 20
_MARK: Final = "=== podgym: a report ==="
_CHARACTERS: Final = 3000
"""Of one message."""
_PRINT: Final = f"for f; do printf '\\n%s\\n' {shlex.quote(_MARK)}; head -c 4000000 -- \"$f\"; done"


def talkative(command: TestCommand) -> TestCommand:
    """The same run with a log that holds its reports too, and is not cut so soon."""
    command = command.model_copy(update={"log_bytes": _LOG_BYTES})
    report = command.report
    if report is None or not (report.files or PLACE in command.script):
        return command
    where = f"find {PLACE}" if not report.files else f"find . {_paths(report.files)}"
    # The script may end its shell, and so it has one of its own.
    printing = f"{where} -type f -exec sh -c {shlex.quote(_PRINT)} sh {{}} + >&2 2>/dev/null </dev/null"
    script = f"(\n{command.script}\n)\ncode=$?\n{printing}\nexit $code"
    return command.model_copy(update={"script": script})


def said_in(log: str) -> str:
    """The log with what its reports say in their place."""
    printed, *reports = log.split(f"\n{_MARK}\n")
    return "\n".join((printed, *(line for report in reports for line in _lines(report.strip()))))


def _paths(globs: tuple[str, ...]) -> str:
    """For `find`, whose `*` goes across directories."""
    tests = []
    for glob in globs:
        head, deep, tail = glob.rpartition("**/")
        tests += [f"./{head}{tail}", f"./{head}*/{tail}"] if deep else [f"./{glob}"]
    return "\\( " + " -o ".join(f"-path {shlex.quote(test)}" for test in tests) + " \\)"


def _lines(report: str) -> Iterator[str]:
    try:
        if report.startswith("<"):
            reader = _Failures()
            reader.read(report.encode())
            found = reader.found
        elif report.startswith("{"):
            found = list(_failures(json.loads(report)))
        else:
            yield from report.split("\n")
            return
    except (ReportError, ValueError, RecursionError):
        return
    for name, message in found:
        yield name
        yield from message[:_CHARACTERS].split("\n")


def _failures(document: Any) -> Iterator[tuple[str, str]]:
    """Of Jest's and Vitest's JSON, and Mocha's."""
    if not isinstance(document, dict):
        return
    for result in _list(document.get("testResults")):
        for case in _list(result.get("assertionResults")):
            messages = [one for one in case.get("failureMessages") or () if isinstance(one, str)]
            if messages:
                yield str(case.get("fullName") or case.get("title")), "\n".join(messages)
    for case in _list(document.get("failures")):
        error = case.get("err")
        if isinstance(error, dict):
            yield str(case.get("fullTitle") or case.get("title")), str(error.get("stack") or error.get("message") or "")


def _list(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


class _Failures(XmlReader):
    """Names and messages of the failing cases of JUnit's XML and its kin."""

    roots = frozenset({"testsuites", "testsuite"})
    keeps_text = True

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self._name = ""
        self._pieces: list[str] | None = None

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """A case, or what failed in it."""
        if name == "testcase":
            self._name = " ".join(filter(None, (attributes.get("classname"), attributes.get("name"))))
        elif name in ("failure", "error") and len(self.found) < 1000:
            self._pieces = [attributes.get("message", ""), "\n"]

    def text(self, data: str) -> None:
        """Of a failure."""
        if self._pieces is not None:
            self._pieces.append(data)

    def end(self, name: str) -> None:
        """Of a failure."""
        if name in ("failure", "error") and self._pieces is not None:
            self.found.append((self._name, "".join(self._pieces)))
            self._pieces = None
