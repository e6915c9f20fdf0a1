"""The XML of Boost.Test: its report (`--report_format=XML --report_level=detailed`), its log (`--log_format=XML`), and its own JUnit
(`--log_format=JUNIT`).

An id is the path of the case through its suites, as `--run_test` takes it, without the module's name: `suite/case`. The report
knows which failures were expected; the logs do not, and call them failures. Where a report has several files, one for each
program, the file's name comes first. The JUnit of Boost counts no skipped case among its tests, which the plain reader would
take for a contradiction.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from podgym.verifiers.reports.parsed import MAX_ID_CHARACTERS, Outcomes, ParsedReport, ReportFile, worst
from podgym.verifiers.reports.xml import XmlReader
from podgym.verifiers.verdict import TestOutcome

__all__ = ["parse_boost_xml"]

_RESULTS: Final[dict[str, TestOutcome]] = {"passed": "passed", "skipped": "skipped", "failed": "failed", "aborted": "error"}
_LOGGED: Final[dict[str, TestOutcome]] = {
    "Error": "failed", "FatalError": "failed", "Exception": "error",
    "failure": "failed", "error": "error", "skipped": "skipped",
}  # fmt: skip


class _Reader(XmlReader):
    roots = frozenset({"TestResult", "TestLog", "testsuite", "testsuites"})

    def __init__(self, outcomes: Outcomes, program: str) -> None:
        super().__init__()
        self._outcomes, self._program = outcomes, program
        self._kind = ""
        self._suites: list[str] = []
        self._sums: list[dict[str, str]] = []
        self._case: tuple[int, str] | None = None
        self._said: list[TestOutcome] = []
        self._counted: dict[TestOutcome, int] = {}

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """A suite, a case, or what became of it."""
        if self.depth == 1:
            self._kind = name
        if self._case is not None:
            if self._kind != "TestResult" and self.depth == self._case[0] + 1 and name in _LOGGED:
                self._said.append(_LOGGED[name])
        elif name in ("TestSuite", "testsuite"):
            self._suites.append(attributes.get("name", ""))
            self._sums.append(attributes)
        elif name in ("TestCase", "testcase"):
            own = attributes.get("name", "")
            if name == "testcase":
                inside = attributes.get("classname", "")
                own = f"{inside.replace('.', '/')}/{own}" if inside else own
            self._case, self._said = (self.depth, own), []
            if self._kind == "TestResult":
                self._said.append(_RESULTS.get(attributes.get("result", ""), "error"))
            elif attributes.get("skipped") == "yes":
                self._said.append("skipped")

    def end(self, name: str) -> None:
        """A case or a suite is complete."""
        if self._case is not None:
            if self.depth == self._case[0]:
                # What a case says beside `skipped` is why it was left out.
                outcome = "skipped" if "skipped" in self._said else worst(self._said) if self._said else "passed"
                self._counted[outcome] = self._counted.get(outcome, 0) + 1
                suites = self._suites[1:] if self._kind in ("TestResult", "TestLog") else []
                path = "/".join((*suites, self._case[1]))
                self._outcomes.add((self._program, path[: MAX_ID_CHARACTERS + 1]), outcome)
                self._case = None
        elif name in ("TestSuite", "testsuite"):
            sums = self._sums.pop()
            self._suites.pop()
            if not self._suites:
                self._check(sums)

    def _check(self, sums: dict[str, str]) -> None:
        """The outermost suite counts all cases."""
        if self._kind == "TestLog":
            return
        passed, skipped = self._counted.get("passed", 0), self._counted.get("skipped", 0)
        failed = sum(self._counted.get(outcome, 0) for outcome in ("failed", "error"))
        self._counted = {}
        if self._kind == "TestResult":
            stated = _sum(sums, "test_cases_passed", "test_cases_passed_with_warnings")
            self._outcomes.count("passed cases", stated, passed)
            stated = _sum(sums, "test_cases_failed", "test_cases_aborted")
            if stated is not None and (stated > 0) != (failed > 0):
                self._outcomes.count("failed cases", stated, failed)
            return
        stated = _sum(sums, "tests")
        if stated not in (None, passed + failed, passed + failed + skipped):
            self._outcomes.count("tests", stated, passed + failed)
        stated = _sum(sums, "failures", "errors")
        if stated and not failed:
            self._outcomes.count("failures", stated, failed)


def _sum(attributes: dict[str, str], *keys: str) -> int | None:
    """None where the first is not stated."""
    stated = [attributes.get(key, "") for key in keys]
    if not stated[0]:
        return None
    return sum(int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0 for text in stated)


def parse_boost_xml(files: Sequence[ReportFile], root: str) -> ParsedReport:
    """Outcomes of all files together; `root` plays no part. Raises `ReportError`."""
    del root
    outcomes = Outcomes()
    for file in files:
        _Reader(outcomes, file.name).read(file.data)
    return outcomes.report()
