"""The XML of Check (`CK_XML_LOG_FILE_NAME`).

An id is `suite::test case::function`; in Check's words a test case is a group of functions. Rounds of a loop test after the first
have their number behind (`[1]`). Where a report has several files, one for each program, the file's name comes first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from podgym.verifiers.errors import ReportError
from podgym.verifiers.reports.parsed import MAX_ID_CHARACTERS, Outcomes, ParsedReport, ReportFile
from podgym.verifiers.reports.xml import XmlReader
from podgym.verifiers.verdict import TestOutcome

__all__ = ["parse_check_xml"]

_RESULTS: Final[dict[str, TestOutcome]] = {"success": "passed", "failure": "failed", "error": "error"}
_KEPT: Final = frozenset({"title", "id", "iteration", "description"})
_SUITE_DEPTH: Final = 2


class _Reader(XmlReader):
    roots = frozenset({"testsuites"})
    keeps_text = True

    def __init__(self, outcomes: Outcomes, program: str) -> None:
        super().__init__()
        self._outcomes, self._program = outcomes, program
        self._suite = ""
        self._result: TestOutcome | None = None
        self._kept: dict[str, str] = {}
        self._into = ""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """A suite, a test, or one of its parts."""
        if self.depth == _SUITE_DEPTH and name == "suite":
            self._suite, self._kept = "", {}
        elif self.depth == _SUITE_DEPTH + 1 and name == "test":
            self._result, self._kept = _RESULTS.get(attributes.get("result", ""), "error"), {}
        self._into = name if name in _KEPT and self.depth in (_SUITE_DEPTH + 1, _SUITE_DEPTH + 2) else ""

    def text(self, data: str) -> None:
        """A piece of a name."""
        if self._into:
            held = self._kept.get(self._into, "")
            self._kept[self._into] = held + data[: MAX_ID_CHARACTERS + 1 - len(held)]

    def end(self, name: str) -> None:
        """A title or a test is complete."""
        self._into = ""
        if self.depth != _SUITE_DEPTH + 1:
            return
        if name == "title":
            self._suite = self._kept.pop("title", "")
        elif name == "test" and self._result is not None:
            kept = {key: value.strip() for key, value in self._kept.items()}
            if not kept.get("id"):
                raise ReportError("The test report has a test without an id.")
            iteration = kept.get("iteration", "")
            case = kept["id"] if iteration in ("", "0") else f"{kept['id']}[{iteration}]"
            self._outcomes.add((self._program, self._suite.strip(), kept.get("description", ""), case), self._result)
            self._result = None


def parse_check_xml(files: Sequence[ReportFile], root: str) -> ParsedReport:
    """Outcomes of all files together; `root` plays no part. Raises `ReportError`."""
    del root
    outcomes = Outcomes()
    for file in files:
        _Reader(outcomes, file.name).read(file.data)
    return outcomes.report()
