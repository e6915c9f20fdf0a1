"""A report in several formats at once, as of a build whose programs use several test frameworks.

The first directory of each file's path names its format (`junit/ctest.xml`, `exit-code/programs.txt`); what is below it is the
file's name in that format. Ids of different formats are kept apart by how they look; one that two of them report counts as
the worse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from podgym.verifiers.errors import ReportError
from podgym.verifiers.reports.parsed import Outcomes, ParsedReport, Parser, ReportFile, visible
from podgym.verifiers.reports.source import ReportFormat

__all__ = ["mixed"]


def mixed(formats: Mapping[ReportFormat, Parser]) -> Parser:
    """A parser of all these formats."""
    parsers: dict[str, Parser] = dict(formats.items())

    def parse(files: Sequence[ReportFile], root: str) -> ParsedReport:
        """Outcomes of all files together. Raises `ReportError` for a file outside the directory of a known format."""
        sorted_out: dict[str, list[ReportFile]] = {}
        for file in files:
            format, _, name = file.name.partition("/")
            if not name or format not in parsers:
                raise ReportError(
                    f"The test report has a file {visible(file.name[:80])!r}, whose directory names none of the formats.",
                    remedy=f"Write it into a directory named after its format: {', '.join(sorted(parsers))}.",
                )
            if file.data:
                sorted_out.setdefault(format, []).append(ReportFile(file.data, name))
        outcomes = Outcomes()
        for format, own in sorted_out.items():
            parsed = parsers[format](own, root)
            for identity, outcome in parsed.outcomes.items():
                outcomes.add((identity,), outcome)
            if parsed.disagreement:
                outcomes.disagree(parsed.disagreement)
        return outcomes.report()

    return parse
