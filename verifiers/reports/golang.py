"""`go test -json`: one event a line.

An id is `package::Test/subtest`. A test counts as passed only where the stream has its start and its end; one that was
started and never ended is an error. A package that failed while none of its tests did (a build failure, a panic, an exit,
`TestMain`) or that never ended is itself reported as an error, under its path alone. A package's tests are functions, and fail
with any of their subtests: what has another name, or fails within one that passed, is a run that a test made of its own and judged.
Lines that are no events are what tools print between them; of those only `FAIL pkg [build failed]` of older toolchains means something.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Final

from podgym.verifiers.errors import ReportError
from podgym.verifiers.reports.parsed import Outcomes, ParsedReport, ReportFile, load_json
from podgym.verifiers.verdict import TestOutcome

__all__ = ["parse_go_json"]

_ENDS: Final[dict[str, TestOutcome]] = {"pass": "passed", "fail": "failed", "skip": "skipped"}
_BUILD_FAILED: Final = re.compile(rb"FAIL\t(\S{1,1000}) \[(?:build|setup) failed\]")
_FUNCTION: Final = re.compile(r"(?:Test|Example|Fuzz|Benchmark)[^/]*")
_MAX_LINE: Final = 4 << 20


class _Events:
    def __init__(self, outcomes: Outcomes) -> None:
        self._outcomes = outcomes
        self._open: dict[tuple[str, str], int] = {}
        self._packages: dict[str, str] = {}
        """The last word on each package seen: an action of `_ENDS`, or "" while there is none."""
        self._failing: set[str] = set()
        self.seen = 0

    def line(self, line: bytes) -> None:
        if not line.startswith(b"{"):
            if (match := _BUILD_FAILED.match(line)) is not None:
                self._packages[match[1].decode("utf-8", "replace")] = "fail"
            return
        if len(line) > _MAX_LINE:
            raise ReportError(f"The test report has an event of {len(line)} bytes.")
        try:
            event = load_json(line)
        except ReportError:
            return  # something else that a tool printed
        if isinstance(event, dict) and isinstance(action := event.get("Action"), str):
            package, test = event.get("Package", ""), event.get("Test", "")
            if isinstance(package, str) and isinstance(test, str) and package:
                self.seen += 1
                self._event(action, package, test)

    def _event(self, action: str, package: str, test: str) -> None:
        if not test:
            self._packages[package] = action if action in _ENDS else self._packages.get(package, "")
            return
        self._packages.setdefault(package, "")
        key = (package, test)
        if action == "run":
            self._open[key] = self._open.get(key, 0) + 1
        elif action in _ENDS:
            if self._open.get(key, 0) < 1:
                self._outcomes.disagree(f"The test report ends {test[:80]!r} of {package[:80]!r}, which it never started.")
            self._open[key] = self._open.get(key, 0) - 1
            self._note(key, _ENDS[action])

    def _note(self, key: tuple[str, str], outcome: TestOutcome) -> None:
        if outcome in ("failed", "error") and _FUNCTION.fullmatch(key[1]):
            self._failing.add(key[0])
        self._outcomes.add(key, outcome)

    def finish(self) -> None:
        """Tests and packages that never ended, and packages that failed by themselves."""
        for key, runs in self._open.items():
            if runs > 0:
                self._note(key, "error")
        for package, action in self._packages.items():
            if action == "" or (action == "fail" and package not in self._failing):
                self._outcomes.add((package,), "error")
            elif action == "pass" and package in self._failing:
                self._outcomes.disagree(f"The test report says that {package[:80]!r} passed, and that tests of it failed.")


def parse_go_json(files: Sequence[ReportFile], root: str) -> ParsedReport:
    """Outcomes of all files together; `root` plays no part. Raises `ReportError` where no file has an event."""
    del root
    outcomes = Outcomes()
    events = _Events(outcomes)
    for file in files:
        for line in io.BytesIO(file.data):
            events.line(line)
    events.finish()
    if not events.seen and not outcomes.found:
        raise ReportError("The test report holds no event of `go test -json`.")
    return outcomes.report()
