"""The JUnit XML of pytest and of podgym's own runners to test ids and outcomes, from a writer that may be hostile.

An id is what pytest calls a node id, rebuilt from the `file`, `classname` and `name` of `junit_family=xunit1`:
`tests/test_a.py::TestX::test_y[1]`. Two test cases of one id (pytest writes a second one where a failed test also fails in
teardown) count as the worse of both, so that nothing that is appended to a report can turn a failure into a success.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from podgym.verifiers.errors import ReportError
from podgym.verifiers.reports.parsed import Outcomes, check_cases, worst
from podgym.verifiers.reports.xml import XmlReader
from podgym.verifiers.verdict import TestOutcome

__all__ = ["MAX_REPORT_BYTES", "parse_junit"]

MAX_REPORT_BYTES: Final = 32 << 20
_MAX_PARTS: Final = 64
"""Of a dotted name, as far as it can be the path of a module."""

_OUTCOMES: Final[dict[str, TestOutcome]] = {"skipped": "skipped", "failure": "failed", "error": "error"}


def parse_junit(data: bytes) -> dict[str, TestOutcome]:
    """Outcomes by id, in the order of the report.

    Raises `ReportError` for anything but one whole, bounded, plain document whose root is `testsuites` or `testsuite`.
    """
    if len(data) > MAX_REPORT_BYTES:
        raise ReportError(f"The test report has {len(data)} bytes; at most {MAX_REPORT_BYTES} are read.", remedy="Run fewer tests at once.")
    reader = _Reader()
    reader.read(data)
    return reader.outcomes()


class _Reader(XmlReader):
    """The document as it streams by; holds one tuple a test case."""

    roots = frozenset({"testsuites", "testsuite"})

    def __init__(self) -> None:
        super().__init__()
        self._cases: list[tuple[str, str, str, TestOutcome]] = []
        self._case: tuple[str, str, str] | None = None
        self._case_depth = 0
        self._found: list[TestOutcome] = []
        self._declared = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Cases, and what decides about them as their direct child."""
        if name == "testcase" and self._case is None:
            check_cases(len(self._cases) + 1)
            self._case = (attributes.get("file", ""), attributes.get("classname", ""), attributes.get("name", ""))
            self._case_depth = self.depth
            self._found = []
        elif self._case is not None and self.depth == self._case_depth + 1 and name in _OUTCOMES:
            self._found.append(_OUTCOMES[name])
        elif name == "testsuite" and attributes.get("podgym") == "1":
            # Only podgym's own runner counts exactly what it writes; pytest's total counts some tests twice or not at all.
            declared = attributes.get("tests", "")
            if not declared.isascii() or not declared.isdigit() or len(declared) > 9:
                raise ReportError(f"The test report's number of tests is {declared[:40]!r}.")
            self._declared += int(declared)

    def end(self, name: str) -> None:
        """A case is complete."""
        if self._case is not None and self.depth == self._case_depth:
            self._cases.append((*self._case, worst(self._found) if self._found else "passed"))
            self._case = None

    def outcomes(self) -> dict[str, TestOutcome]:
        """Outcomes by id; needs all cases, because the files that some name settle the ids of those that name none."""
        if self._declared and len(self._cases) < self._declared:
            raise ReportError(
                f"The test report announces {self._declared} tests and holds {len(self._cases)}.", remedy="Read the log of the test run."
            )
        files = {file.replace("\\", "/") for file, _, _, _ in self._cases if file}
        modules = {_dotted(file): file for file in sorted(files, reverse=True)}
        outcomes = Outcomes()
        for file, classname, name, outcome in self._cases:
            outcomes.add((_identity(file.replace("\\", "/"), classname, name, files, modules),), outcome)
        return outcomes.found


def _identity(file: str, classname: str, name: str, files: set[str], modules: Mapping[str, str]) -> str:
    """The node id. A test inherited from another file names that file, so `classname` decides where the two disagree."""
    if not classname:
        # A module that could not be collected: pytest puts its dotted path into `name` and leaves `classname` empty.
        if file:
            return file if _dotted(file) == name or not name else f"{file}::{name}"
        return modules.get(name, name)
    if file:
        module = _dotted(file)
        if classname == module:
            return f"{file}::{name}"
        if classname.startswith(f"{module}."):
            return "::".join((file, *classname[len(module) + 1 :].split("."), name))
    parts = classname.split(".")
    for end in range(min(len(parts), _MAX_PARTS), 0, -1):
        path = "/".join(parts[:end]) + ".py"
        if path in files:
            return "::".join((path, *parts[end:], name))
    if file:
        # Classes are what is capitalised at the end of the dotted name; the rest is the module that collected the test.
        end = len(parts)
        while end > 1 and parts[end - 1][:1].isupper():
            end -= 1
        return "::".join(("/".join(parts[:end]) + ".py", *parts[end:], name))
    return f"{classname}::{name}"


def _dotted(file: str) -> str:
    return file.removesuffix(".py").replace("/", ".")
