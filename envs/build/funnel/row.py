"""What came of one line: the build's report, or why there is none.

Two stages are the funnel's own: `line`, where the line asks for nothing that can be built, and `worker`, where the process that built
ended without a report.
"""

from __future__ import annotations

from typing import Literal

from podgym.envs.build.funnel.line import BadLine, Line
from podgym.envs.build.report import BuildReport
from podgym.envs.repository.git import redact

__all__ = ["AGAIN", "LostReason", "Row", "bad_row", "lost_report", "row_of", "twin_row"]

LostReason = Literal["crashed", "killed", "hung", "disk_full", "lost", "not_started"]
"""`killed`: by the system, which does so where memory runs out; `lost`: with the machine that it ran on."""

AGAIN: frozenset[str] = frozenset({"disk_full", "lost", "not_started", "sandbox"})
"""Reasons that are the machine's and say nothing of the build: the next run of the funnel tries again."""


class Row(BuildReport):
    """A build's report, and which line asked for it."""

    line: int = 0
    """Number of the line, from 1."""
    key: str = ""
    """Equal for lines that ask for the same task."""


def row_of(line: Line, report: BuildReport) -> Row:
    """A build's report as the row of its line."""
    known = report.model_dump()
    if line.unknown:
        known["notes"] = (*report.notes, f"the line has keys that are no part of a build: {', '.join(line.unknown[:10])}")
    if not report.language:
        known["language"] = str(line.options.get("language") or "")
    return Row(**known, line=line.number, key=line.key)


def bad_row(line: BadLine) -> Row:
    """The row of a line that could not be used."""
    return Row(
        status="failed",
        stage=line.stage,
        reason=line.reason,
        message=line.message,
        source=line.repo,
        commit=line.commit,
        language=line.language,
        line=line.number,
    )


def twin_row(line: Line, number: int) -> Row:
    """The row of a line that asks for what an earlier one asks for."""
    message = f"Line {number} asks for the same."
    return bad_row(BadLine(number=line.number, message=message, repo=redact(line.repo), commit=line.commit, reason="duplicate")).model_copy(
        update={"key": line.key}
    )


def lost_report(source: str, commit: str, reason: LostReason, message: str, *, details: str = "", seconds: float = 0.0) -> BuildReport:
    """For a build whose process left no report."""
    return BuildReport(
        status="failed",
        stage="worker",
        reason=reason,
        message=message,
        details=details,
        source=redact(source),
        commit=commit,
        seconds=round(seconds, 3),
    )
