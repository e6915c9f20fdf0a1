"""The XML of cmocka (`CMOCKA_MESSAGE_OUTPUT=xml` with `CMOCKA_XML_FILE`, whose `%g` is the name of the group).

It is JUnit's but for two things: a group whose set-up or tear-down failed says so in a count alone, and a file may hold several
documents one after another, as the standard error of a program does. An id is `group::test`; a group that failed as a whole
is an id as well. The directory of the file, one for each program, comes first.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from typing import Final

from podgym.verifiers.errors import ReportError
from podgym.verifiers.reports.parsed import Outcomes, ParsedReport, ReportFile, check_cases, worst
from podgym.verifiers.reports.xml import XmlReader
from podgym.verifiers.verdict import TestOutcome

__all__ = ["parse_cmocka_xml"]

_CHILDREN: Final[dict[str, TestOutcome]] = {"failure": "failed", "error": "error", "skipped": "skipped"}
_END: Final = b"</testsuites>"
_DECLARATION: Final = re.compile(rb"\s*<\?xml[^>]{0,200}\?>\s*")


class _Reader(XmlReader):
    roots = frozenset({"testsuites"})

    def __init__(self, outcomes: Outcomes, program: str) -> None:
        super().__init__()
        self._outcomes, self._program = outcomes, program
        self._group: dict[str, str] = {}
        self._cases = self._failing = 0
        self._case: tuple[int, str] | None = None
        self._said: list[TestOutcome] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """A group, a test, or what became of it."""
        if self._case is not None:
            if self.depth == self._case[0] + 1 and name in _CHILDREN:
                self._said.append(_CHILDREN[name])
        elif name == "testsuite":
            self._group, self._cases, self._failing = attributes, 0, 0
        elif name == "testcase":
            self._case, self._said = (self.depth, attributes.get("name", "")), []

    def end(self, name: str) -> None:
        """A test or a group is complete."""
        if self._case is not None and self.depth == self._case[0]:
            outcome = worst(self._said) if self._said else "passed"
            self._outcomes.add((self._program, self._group.get("name", ""), self._case[1]), outcome)
            self._cases += 1
            self._failing += outcome in ("failed", "error")
            self._case = None
        elif name == "testsuite":
            stated = self._group.get("tests", "")
            if stated != str(self._cases):
                self._outcomes.count(f"tests in {self._group.get('name', '')[:80]!r}", stated or None, self._cases)
            if self._group.get("failures", "0") not in ("", "0") and not self._failing:
                self._outcomes.count(f"failures in {self._group.get('name', '')[:80]!r}", self._group["failures"], 0)
            if self._group.get("errors", "0") not in ("", "0") and not self._failing:
                self._outcomes.add((self._program, self._group.get("name", "")), "error")


def parse_cmocka_xml(files: Sequence[ReportFile], root: str) -> ParsedReport:
    """Outcomes of all files together; `root` plays no part. Raises `ReportError`."""
    del root
    outcomes = Outcomes()
    for file in files:
        documents = _documents(file.data)
        if not documents:
            raise ReportError("The test report is empty.")
        for document in documents:
            _Reader(outcomes, posixpath.dirname(file.name)).read(document)
    return outcomes.report()


def _documents(data: bytes) -> list[bytes]:
    if data.count(_END) <= 1:
        return [data] if data.strip() else []
    check_cases(data.count(_END))
    *whole, rest = data.split(_END)
    bare = [_DECLARATION.sub(b"", document, count=1) + _END for document in whole]
    return bare if not rest.strip() else [*bare, rest]
