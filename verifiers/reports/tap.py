"""The Test Anything Protocol, versions 12 to 14.

An id is the description of a test point, its number where it has none, after the descriptions of the points that enclose it
(`parent > child`; each parent is an id too). Where a report has several files, the file's name comes first. `# SKIP` and
`# TODO` are never a pass. The plan must be there and must be the number of points; `Bail out!` and a point without a plan
are contradictions.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from podgym.verifiers.errors import ReportError
from podgym.verifiers.reports.parsed import Outcomes, ParsedReport, ReportFile, check_cases
from podgym.verifiers.verdict import TestOutcome

__all__ = ["parse_tap"]

_POINT: Final = re.compile(r"(ok|not ok)\b(?: +(\d{1,9}))?(?: *- ?| +|$)(.*)")
_PLAN: Final = re.compile(r"1\.\.(\d{1,9})\s*(?:#.*)?")
_DIRECTIVE: Final = re.compile(r"(?:^|\s)#\s*(skip\S*|todo\b)", re.IGNORECASE)
_TIME: Final = re.compile(r"\s+# time=[\d.]{1,20}m?s$")
_MAX_LINE: Final = 1 << 20
_MAX_LEVEL: Final = 32


@dataclass(slots=True)
class _Level:
    owner: str = ""
    """The point that opened it with a brace, before its own points (Vitest)."""
    plan: int | None = None
    points: int = 0
    held: list[tuple[tuple[str, ...], TestOutcome]] = field(default_factory=list)
    """Points of finished and enclosed levels, not yet under their parents' names."""


class _Stream:
    def __init__(self, outcomes: Outcomes, name: str) -> None:
        self._outcomes, self._name = outcomes, name
        self._levels = [_Level()]
        self._yaml = ""
        self._points = 0
        self.seen = False

    def line(self, raw: str) -> None:
        text = raw.lstrip(" ")
        indent = len(raw) - len(text)
        if self._yaml:
            if raw == self._yaml + "...":
                self._yaml = ""
            return
        if text == "---" and indent:
            self._yaml = " " * indent
            return
        if text.startswith("Bail out!") and not indent:
            self.seen = True
            self._outcomes.disagree(f"The test run bailed out: {text[9:200].strip()!r}.")
            return
        opens = text.endswith(" {")
        text = text[:-2].rstrip() if opens else text
        plan, point = _PLAN.fullmatch(text), _POINT.fullmatch(text)
        if indent % 4 or (plan is None and point is None):
            return
        level = indent // 4
        if level > _MAX_LEVEL:
            raise ReportError(f"The test report is nested deeper than {_MAX_LEVEL} levels.")
        self.seen = True
        while len(self._levels) <= level:
            self._levels.append(_Level())
        while len(self._levels) > level + 2 or (len(self._levels) > level + 1 and self._levels[-1].owner):
            self._fold("")
        if plan is not None:
            if len(self._levels) > level + 1:
                self._fold("")
            self._plan(self._levels[level], int(plan[1]))
        elif point is not None:
            own = self._point(level, passed=point[1] == "ok", number=point[2], said=point[3])
            if opens:
                self._levels.append(_Level(owner=own))

    def _plan(self, level: _Level, number: int) -> None:
        if level.plan is not None:
            self._outcomes.disagree("The test report has two plans at one level.")
        level.plan = number

    def _point(self, level: int, *, passed: bool, number: str | None, said: str) -> str:
        said = _TIME.sub("", said)
        directive = next((match for match in _DIRECTIVE.finditer(said) if not said[: match.start() + 1].endswith("\\")), None)
        name = (said[: directive.start()] if directive is not None else said).strip().replace("\\#", "#").replace("\\\\", "\\")
        self._levels[level].points += 1
        self._points += 1
        check_cases(self._points)
        own = name or number or str(self._levels[level].points)
        outcome: TestOutcome = "skipped" if directive is not None else "passed" if passed else "failed"
        if len(self._levels) > level + 1:
            self._fold(own)
        self._levels[level].held.append(((own,), outcome))
        return own

    def _fold(self, parent: str) -> None:
        """End the innermost level; its points join the one around it, under the name of their parent."""
        inner = self._levels.pop()
        parent = inner.owner or parent
        self._check(inner)
        self._levels[-1].held += [((parent, *parts) if parent else parts, outcome) for parts, outcome in inner.held]

    def _check(self, level: _Level) -> None:
        if level.plan is None:
            if level.points:
                self._outcomes.disagree(f"The test report has {level.points} tests without a plan.")
        else:
            self._outcomes.count("tests", level.plan, level.points)

    def finish(self) -> None:
        """The end of the file."""
        while len(self._levels) > 1:
            self._fold("")
        self._check(self._levels[0])
        for parts, outcome in self._levels[0].held:
            self._outcomes.add((self._name, " > ".join(parts)), outcome)


def parse_tap(files: Sequence[ReportFile], root: str) -> ParsedReport:
    """Outcomes of all files together; `root` plays no part. Raises `ReportError` for a file that holds no TAP."""
    del root
    outcomes = Outcomes()
    for file in files:
        stream = _Stream(outcomes, file.name)
        for line in io.BytesIO(file.data):
            if len(line) <= _MAX_LINE:
                stream.line(line.decode("utf-8", "replace").rstrip("\r\n\t "))
        if not stream.seen:
            raise ReportError("The test report holds no plan and no test point of TAP.")
        stream.finish()
    return outcomes.report()
