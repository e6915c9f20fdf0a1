"""Exit codes of programs that report nothing else: the last resort, and coarse.

Each line is a program's name, a tab, and the status that it ended with: 0 is a pass, 77 a skip (as Automake, CTest and Meson have
it), a signal (128 and above) an error, anything else a failure. So that nobody takes a whole program for one test, ids end
with `[exit status]`. Where a report has several files, the file's name comes first.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from podgym.verifiers.errors import ReportError
from podgym.verifiers.reports.parsed import Outcomes, ParsedReport, ReportFile
from podgym.verifiers.verdict import TestOutcome

__all__ = ["COARSE", "parse_exit_codes"]

COARSE: Final = " [exit status]"
"""How ids end that stand for a whole program."""
_LINE: Final = re.compile(r"([^\t]+)\t(\d{1,3})")
_SKIPPED: Final = 77
_SIGNAL: Final = 128
_LARGEST: Final = 255


def parse_exit_codes(files: Sequence[ReportFile], root: str) -> ParsedReport:
    """Outcomes of all files together; `root` plays no part. Raises `ReportError` for a line of another form, and for one cut off."""
    del root
    outcomes = Outcomes()
    for file in files:
        lines = file.data.split(b"\n")
        if lines[-1]:
            raise ReportError("The last line of the exit codes is cut off.")
        for raw in lines[:-1]:
            line = _LINE.fullmatch(raw.decode("utf-8", "replace"))
            if line is None or int(line[2]) > _LARGEST or not line[1].strip():
                raise ReportError(f"A line of the exit codes is {raw[:80]!r}, not a name, a tab and a status of 0 to {_LARGEST}.")
            outcomes.add((file.name if len(files) > 1 else "", line[1].strip() + COARSE), _outcome(int(line[2])))
    return outcomes.report()


def _outcome(status: int) -> TestOutcome:
    if status == 0:
        return "passed"
    if status == _SKIPPED:
        return "skipped"
    return "error" if status >= _SIGNAL else "failed"
