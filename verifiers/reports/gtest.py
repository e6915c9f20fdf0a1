"""The native XML of GoogleTest (`--gtest_output=xml:`), Catch2 (`-r xml`) and doctest (`-r xml`).

An id is `Suite.Case` for GoogleTest (with its `/0` for parameters, as its own filters take it), the name of the test case for
the other two, after the name of its suite where doctest has one. Where a report has several files, one for each program, the
file's name comes first. A case that did not run is skipped. Before 2.4.7 doctest counted a case's failures and left its success to
be told from them.
"""

from __future__ import annotations

from collections.abc import Sequence

from podgym.verifiers.errors import ReportError
from podgym.verifiers.reports.parsed import Outcomes, ParsedReport, ReportFile, worst
from podgym.verifiers.reports.xml import XmlReader
from podgym.verifiers.verdict import TestOutcome

__all__ = ["never_began", "parse_gtest_xml"]


def never_began(attributes: dict[str, str]) -> bool:
    """Whether a case of GoogleTest's is `completed` only because nothing of it ran, as where an environment skipped the run: its
    time is the epoch's."""
    return attributes.get("timestamp", "").startswith(("1969-12-31", "1970-01-01"))


class _Reader(XmlReader):
    roots = frozenset({"testsuites", "testsuite", "Catch2TestRun", "Catch", "doctest"})

    def __init__(self, outcomes: Outcomes, program: str) -> None:
        super().__init__()
        self._outcomes, self._program = outcomes, program
        self._suite = ""
        self._case: tuple[int, dict[str, str]] | None = None
        self._threw = False
        self._said: list[TestOutcome] = []
        self._native = False
        self._counted: dict[TestOutcome, int] = {}
        self._sums: dict[str, str] = {}

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Suites, cases and their results, in the words of all three."""
        if self.depth == 1:
            self._native = name.startswith("testsuite")
            self._sums = attributes
        if self._case is not None:
            self._inside(name, attributes)
        elif name in ("testsuite", "TestSuite"):
            self._suite = attributes.get("name", "")
        elif name in ("testcase", "TestCase"):
            self._case, self._threw = (self.depth, attributes), False
            stated = attributes.get("result", ""), attributes.get("status", ""), attributes.get("skipped", "")
            ran = stated[0] in ("", "completed") and stated[1] in ("", "run") and stated[2] != "true"
            # A mere list of tests (`list_tests`, which the code under test can set) has neither word.
            ran = ran and not never_began(attributes) and (not self._native or any(stated[:2]))
            # GoogleTest says `completed`; the other two must say success in a result of their own.
            self._said = [] if ran else ["skipped"]
        elif name in ("OverallResultsCases", "OverallResultsTestCases"):
            # Catch2 counts a case that was to fail, and did, apart; its own result is a success.
            expected = attributes.get("expectedFailures", "0")
            own = self._counted.get("passed", 0) - (int(expected) if expected.isdecimal() and len(expected) < 10 else 0)
            self._check(attributes, "successes", own)
            self._check(attributes, "failures", self._counted.get("failed", 0))

    def _inside(self, name: str, attributes: dict[str, str]) -> None:
        assert self._case is not None
        direct = self.depth == self._case[0] + 1
        if name in ("failure", "error") and direct and self._native:
            self._said.append("failed")
        elif name == "skipped" and direct and self._native:
            self._said.append("skipped")
        elif name == "OverallResult" and direct:
            skips = attributes.get("skips", "0") not in ("", "0")
            self._said.append("failed" if attributes.get("success") != "true" else "skipped" if skips else "passed")
        elif name == "OverallResultsAsserts" and direct:
            success = attributes.get("test_case_success", "") or _success(self._case[1], attributes, threw=self._threw)
            self._said.append("passed" if success == "true" else "failed")
        elif name == "Exception":
            self._threw = True

    def end(self, name: str) -> None:
        """A case or a suite is complete."""
        if self._case is not None and self.depth == self._case[0]:
            outcome = worst(self._said) if self._said else "passed" if self._native else "error"
            self._counted[outcome] = self._counted.get(outcome, 0) + 1
            case = self._case[1].get("name", "")
            if self._native:
                case = f"{self._suite}.{case}" if self._suite else case
                self._outcomes.add((self._program, case), outcome)
            else:
                self._outcomes.add((self._program, self._suite, case), outcome)
            self._case = None
        elif name in ("testsuite", "TestSuite"):
            self._suite = ""
        if self.depth == 1 and self._native:
            self._check(self._sums, "tests", sum(self._counted.values()))
            self._check(self._sums, "failures", self._counted.get("failed", 0))

    def _check(self, attributes: dict[str, str], key: str, held: int) -> None:
        stated = attributes.get(key, "")
        if stated != str(held):
            self._outcomes.count(f"{key} in {self._program[:80] or 'all'!r}", stated or None, held)


def _success(case: dict[str, str], sums: dict[str, str], *, threw: bool) -> str:
    """What doctest would say of a case today; empty where the sums do not tell."""
    failures, expected = sums.get("failures", ""), sums.get("expected_failures", "0")
    if not failures.isdecimal():
        return ""
    if case.get("should_fail") == "true":
        return str(threw or int(failures) > 0).lower()
    if case.get("may_fail") == "true":
        return "true"
    return str(failures == expected and (not threw or expected != "0")).lower()


def parse_gtest_xml(files: Sequence[ReportFile], root: str) -> ParsedReport:
    """Outcomes of all files together; `root` plays no part. Raises `ReportError`."""
    del root
    outcomes = Outcomes()
    for file in files:
        reader = _Reader(outcomes, file.name)
        reader.read(file.data)
    if not files:
        raise ReportError("The test report has no file.")
    return outcomes.report()
