"""`cargo test`: the text of libtest, or its JSON lines, with cargo's own lines between them (`2>&1`).

An id is `binary/source::path::to::test`, from cargo's line `Running unittests src/lib.rs (target/debug/deps/name-hash)`;
`name/doc::src/lib.rs - item` for documentation tests, whose line numbers are left out because they move (several of one item
count as the worst); the bare name where a test binary ran without cargo. Each binary reports one run (documentation tests
may report several), whose sums must be those of its lines; a binary that ends before its sums is reported as an error under
its own name. What a test prints of runs and tests of its own is none of the report, see `testruns`.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Final

from podgym.verifiers.errors import ReportError
from podgym.verifiers.reports.parsed import Outcomes, ParsedReport, ReportFile, load_json
from podgym.verifiers.reports.testruns import Program, Runs
from podgym.verifiers.verdict import TestOutcome

__all__ = ["parse_libtest"]

_RUNNING: Final = re.compile(r"\s*Running (?:unittests )?([^\n()]{0,1000}?) ?\(([^\n()]{1,2000})\)\s*")
_DOCUMENTATION: Final = re.compile(r"\s*Doc-tests ([\w-]{1,200})\s*")
_BLOCK: Final = re.compile(r"running (\d{1,9}) tests?\s*")
_SUMS: Final = re.compile(
    r"test result: (?:ok|FAILED)\. (\d{1,9}) passed; (\d{1,9}) failed; (\d{1,9}) ignored; (\d{1,9}) measured; \d{1,9} filtered out.*"
)
_HASH: Final = re.compile(r"-[0-9a-f]{16}$")
_LINE: Final = re.compile(r" \(line \d{1,9}\)")
_ANSI: Final = re.compile(r"\x1b\[[0-9;]{0,20}m")
_MAX_LINE: Final = 1 << 20
_MAX_PARTS: Final = 8
"""Of one line, as far as several wrote it at once."""
_EVENTS: Final[dict[str, TestOutcome]] = {"ok": "passed", "failed": "failed", "ignored": "skipped", "timeout": "failed"}


class _Reader:
    """The lines of cargo, of libtest, and of anybody."""

    def __init__(self, outcomes: Outcomes) -> None:
        self.runs = Runs(outcomes)

    def line(self, text: str) -> None:
        """One line; what follows a test's name and is no outcome is a line of somebody who did not wait for it."""
        for _ in range(_MAX_PARTS):
            if not (text := self._part(text)):
                break

    def _part(self, text: str) -> str:
        """Read the line's beginning, and return what is left of it to be read."""
        if (match := _RUNNING.fullmatch(text)) is not None:
            name = _HASH.sub("", match[2].rstrip("/").rpartition("/")[2])
            self.runs.program(Program(f"{name}/{match[1]}" if match[1] else name))
        elif (match := _DOCUMENTATION.fullmatch(text)) is not None:
            self.runs.program(Program(f"{match[1]}/doc", documentation=True))
        elif (match := _BLOCK.fullmatch(text)) is not None:
            self.runs.begin(int(match[1]))
        elif (match := _SUMS.fullmatch(text)) is not None:
            passed, failed, ignored, measured = map(int, match.groups())
            self.runs.end(passed + measured, failed, ignored)
        elif text.startswith("test "):
            return self._test(text[5:])
        elif self.runs.waiting and (outcome := _outcome(text.strip())) is not None:
            self.runs.told(outcome)
        elif text.startswith("{"):
            self._event(text)
        return ""

    def _test(self, text: str) -> str:
        name, dots, said = text.partition(" ... ")
        if dots and (outcome := _outcome(said.strip())) is not None:
            self.runs.say(name, outcome)
            return ""
        if dots or text.rstrip().endswith(" ..."):
            self.runs.wait(name if dots else text.rstrip()[:-4])
        return said

    def _event(self, text: str) -> None:
        try:
            event = load_json(text.encode("utf-8", "replace"))
        except ReportError:
            return
        if not isinstance(event, dict):
            return
        kind, what, name = event.get("type"), event.get("event"), event.get("name")
        if kind == "suite" and what == "started":
            announced = event.get("test_count")
            self.runs.begin(announced if isinstance(announced, int) else None)
        elif kind == "suite" and what in ("ok", "failed"):
            sums = [value if isinstance(value := event.get(key, 0), int) else -1 for key in ("passed", "failed", "ignored", "measured")]
            self.runs.end(sums[0] + sums[3], sums[1], sums[2])
        elif kind in ("test", "bench") and isinstance(name, str):
            if kind == "bench":
                self.runs.say(name, "passed")
            elif isinstance(what, str) and what in _EVENTS:
                self.runs.say(name, _EVENTS[what])


def _outcome(said: str) -> TestOutcome | None:
    if said == "ok" or said.startswith("bench:"):
        return "passed"
    if said == "FAILED" or said.startswith("FAILED ("):
        return "failed"
    return "skipped" if said == "ignored" or said.startswith("ignored, ") else None


def parse_libtest(files: Sequence[ReportFile], root: str) -> ParsedReport:
    """Outcomes of all files together; `root` plays no part. Raises `ReportError` where no test binary reported."""
    del root
    outcomes = Outcomes()
    reader = _Reader(outcomes)
    for file in files:
        for line in io.BytesIO(file.data):
            if len(line) <= _MAX_LINE:
                reader.line(_ANSI.sub("", line.decode("utf-8", "replace").rstrip("\r\n")))
        reader.runs.close()
    if not reader.runs.ended and not outcomes.found:
        raise ReportError("The test report holds no run of a test binary.", remedy="Read the log of the test run; did it compile?")
    return outcomes.report()
