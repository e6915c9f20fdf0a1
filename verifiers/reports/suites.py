"""JUnit XML of any runner but pytest: Surefire, Gradle, Vitest, jest-junit, `node --test`, CTest, Meson, nextest, gotestsum.

An id is `classname::name`, once where both are equal (CTest); `file`, relative to the directory of the run, comes first
where the writer states one. A writer without class names (`node --test` says `test` for all) gives the names of the
suites that enclose the case instead. A case that its writer marks as skipped (also one that was allowed to fail, or is yet
to be written) is skipped, whatever else it says. A case that failed and passed in a later attempt counts as passed where the runner
itself says so in one case (`flakyFailure`), and as failed where it wrote two cases. The counts of each suite must be those
of its cases, counted directly or through nested suites. Two count assertions there: Catch2, which is known by its host name, and
doctest, known by the version that it states, whose failures and errors are held against the elements of that name. It also writes a
failure for each assertion that only warns (`WARN_EQ`), which is none.
Cases that GoogleTest only lists, or never began, are skipped too, also where Meson copies them into a report of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from podgym.verifiers.errors import ReportError
from podgym.verifiers.reports.gtest import never_began
from podgym.verifiers.reports.parsed import Outcomes, ParsedReport, ReportFile, relative, worst
from podgym.verifiers.reports.xml import XmlReader
from podgym.verifiers.verdict import TestOutcome

__all__ = ["parse_suites"]

_CHILDREN: Final[dict[str, TestOutcome]] = {
    "skipped": "skipped", "failure": "failed", "error": "error", "rerunFailure": "failed", "rerunError": "error",
}  # fmt: skip
_STATUS: Final[dict[str, TestOutcome]] = {
    "notrun": "skipped", "disabled": "skipped", "skipped": "skipped", "suppressed": "skipped", "ignored": "skipped",
    "fail": "failed", "failed": "failed", "failure": "failed", "error": "error",
}  # fmt: skip
"""Of the attributes `status` and `result`; any other value leaves the case as its children say."""
_COUNTS_ASSERTIONS: Final = "tbd"
_NAMELESS: Final = frozenset({"", "test", "suite"})


@dataclass(slots=True)
class _Suite:
    name: str
    tests: int | None
    failing: int | None
    doctest: bool = False
    """The failing ones are assertions and exceptions, not cases."""
    direct: int = 0
    cases: int = 0
    failed: int = 0
    elements: int = 0
    """Failures and errors as they are written, whatever they mean."""


@dataclass(slots=True)
class _Case:
    depth: int
    file: str
    classname: str
    name: str
    outcomes: list[TestOutcome]


class _Reader(XmlReader):
    roots = frozenset({"testsuites", "testsuite"})

    def __init__(self, outcomes: Outcomes, root: str) -> None:
        super().__init__()
        self._outcomes, self._root = outcomes, root
        self._suites: list[_Suite] = []
        self._case: _Case | None = None
        self._all_tests = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Suites and cases; what is inside a case counts only as its direct child."""
        case = self._case
        if self.depth == 1:
            self._all_tests = attributes.get("name") == "AllTests"
        if case is not None:
            if self.depth == case.depth + 1 and name in _CHILDREN:
                suite = self._suites[-1]
                suite.elements += name in ("failure", "error")
                if not (suite.doctest and name == "failure" and attributes.get("type", "").startswith("WARN")):
                    case.outcomes.append(_CHILDREN[name])
        elif name in ("testsuite", "testsuites"):
            if self._suites and name == "testsuite":
                self._suites[-1].direct += 1
            counted = attributes.get("hostname") != _COUNTS_ASSERTIONS
            failing = [_number(attributes, key) for key in ("failures", "errors")]
            stated = None if failing[0] is None or not counted else failing[0] + (failing[1] or 0)
            doctest = "doctest_version" in attributes
            tests = _number(attributes, "tests") if counted and not doctest else None
            self._suites.append(_Suite(attributes.get("name", "") if name == "testsuite" else "", tests, stated, doctest))
        elif name == "testcase" and self._suites:
            stated_outcomes = [_STATUS[value] for key in ("status", "result") if (value := attributes.get(key, "").lower()) in _STATUS]
            if never_began(attributes) or self._only_listed(attributes):
                stated_outcomes.append("skipped")
            file = relative(attributes.get("file", ""), self._root)
            self._case = _Case(self.depth, file, attributes.get("classname", ""), attributes.get("name", ""), stated_outcomes)

    def _only_listed(self, attributes: dict[str, str]) -> bool:
        """Whether GoogleTest says where a case is and nothing of a run."""
        if "status" in attributes or "result" in attributes:
            return False
        return self._all_tests or ("line" in attributes and not {"time", "classname"} & attributes.keys())

    def end(self, name: str) -> None:
        """A case is complete, or a suite can be counted."""
        case = self._case
        if case is not None:
            if self.depth == case.depth:
                self._case = None
                self._add(case)
        elif name in ("testsuite", "testsuites"):
            suite = self._suites.pop()
            if suite.tests is not None and suite.tests not in (suite.cases, suite.direct):
                self._outcomes.count(f"tests in {suite.name[:80]!r}", suite.tests, suite.cases)
            if suite.doctest:
                self._outcomes.count(f"failures in {suite.name[:80]!r}", suite.failing, suite.elements)
            elif suite.failing is not None and (suite.failing > 0) != (suite.failed > 0):
                self._outcomes.count(f"failures in {suite.name[:80]!r}", suite.failing, suite.failed)
            if self._suites:
                self._suites[-1].cases += suite.cases
                self._suites[-1].failed += suite.failed

    def _add(self, case: _Case) -> None:
        reported = worst(case.outcomes) if case.outcomes else "passed"
        outcome: TestOutcome = "skipped" if "skipped" in case.outcomes else reported
        suite = self._suites[-1]
        suite.direct += 1
        suite.cases += 1
        suite.failed += reported in ("failed", "error")
        names = [entry.name for entry in self._suites] if case.classname in _NAMELESS else [relative(case.classname, self._root)]
        parts: list[str] = []
        for part in (case.file, *names, case.name):
            if part and (not parts or parts[-1] != part):
                parts.append(part)
        self._outcomes.add(parts, outcome)


def parse_suites(files: Sequence[ReportFile], root: str) -> ParsedReport:
    """Outcomes of all files together. Raises `ReportError`."""
    outcomes = Outcomes()
    for file in files:
        _Reader(outcomes, root).read(file.data)
    return outcomes.report()


def _number(attributes: dict[str, str], key: str) -> int | None:
    text = attributes.get(key, "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise ReportError(f"The test report's number of {key} is {text[:40]!r}.")
    return int(text)
