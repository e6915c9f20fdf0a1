"""Automake's `.trs` files, one for each program of `make check`, as its test drivers write them.

An id is the path of the `.trs` file without its extension. The driver for TAP says several results in one file, and each one's
description, or its number where it has none, only in the `.log` of the same name; so a report takes both kinds of files, and a log
counts where its results are those of the `.trs`. `XFAIL` is a pass, as it is for make; `XPASS` is a failure. The results of a file
must agree with its global one.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from typing import Final

from podgym.verifiers.errors import ReportError
from podgym.verifiers.reports.parsed import Outcomes, ParsedReport, ReportFile, check_cases, visible
from podgym.verifiers.verdict import TestOutcome

__all__ = ["parse_automake"]

_RESULTS: Final[dict[str, TestOutcome]] = {
    "PASS": "passed", "XFAIL": "passed", "SKIP": "skipped", "FAIL": "failed", "XPASS": "failed", "ERROR": "error",
}  # fmt: skip
_FIELD: Final = re.compile(r"\s*:([a-z-]+):\s*(.*)")
_RESULT: Final = re.compile(r"([A-Z]+)\b:?\s*(.*)")
_LOGGED: Final = re.compile(r"(PASS|FAIL|XFAIL|XPASS|SKIP|ERROR): \S+ (\d{1,9}\b.*)")
_NUMBERED: Final = re.compile(r"(\d{1,9})(?:\s+-?\s*(.*))?$")
_DIRECTIVE: Final = re.compile(r"(^|\s+)#\s.*$")
_MAX_LINE: Final = 1 << 16


def parse_automake(files: Sequence[ReportFile], root: str) -> ParsedReport:
    """Outcomes of all files together; `root` plays no part. Raises `ReportError` where no file is a `.trs`."""
    del root
    outcomes = Outcomes()
    logs: dict[str, list[tuple[str, str]]] = {}
    programs: list[tuple[str, list[tuple[str, str]], str]] = []
    for file in files:
        results, total = _results(file)
        if results or total:
            programs.append((file.name, results, total))
        else:
            logs[file.name] = _logged(file)
    if not programs:
        raise ReportError("The test report holds no result of Automake's (`:test-result:`).")
    for name, results, total in programs:
        _add(outcomes, name, results, total, logs.get(name, []))
    return outcomes.report()


def _lines(file: ReportFile) -> Iterator[str]:
    for raw in io.BytesIO(file.data):
        if len(raw) <= _MAX_LINE:
            yield raw.decode("utf-8", "replace").rstrip()


def _results(file: ReportFile) -> tuple[list[tuple[str, str]], str]:
    """Each result and what is said of it, and the global one; nothing for a file that is no `.trs`."""
    results: list[tuple[str, str]] = []
    total = ""
    for line in _lines(file):
        field = _FIELD.fullmatch(line)
        if field is None or field[1] not in ("test-result", "global-test-result"):
            continue
        stated = _RESULT.fullmatch(field[2])
        if stated is None or stated[1] not in _RESULTS:
            raise ReportError(f"The test report has a result {visible(field[2][:40])!r}; {', '.join(_RESULTS)} are known.")
        if field[1] == "test-result":
            check_cases(len(results) + 1)
            results.append((stated[1], stated[2]))
        else:
            total = stated[1]
    return results, total


def _logged(file: ReportFile) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for line in _lines(file):
        if (match := _LOGGED.fullmatch(line)) is not None:
            check_cases(len(found) + 1)
            found.append((match[1], match[2]))
    return found


def _add(outcomes: Outcomes, name: str, results: list[tuple[str, str]], total: str, logged: list[tuple[str, str]]) -> None:
    if [word for word, _ in results] == [word for word, _ in logged] and not any(said for _, said in results):
        results = logged
    several = len(results) > 1
    for number, (word, said) in enumerate(results or [(total, "")], 1):
        outcomes.add((name or "make check", _description(said) or (str(number) if several else "")), _RESULTS[word])
    failing = any(_RESULTS[word] in ("failed", "error") for word, _ in results)
    if total and results and failing != (_RESULTS[total] in ("failed", "error")):
        outcomes.disagree(f"Automake's report of {name[:80]!r} is {total} as a whole, and its single results say otherwise.")


def _description(said: str) -> str:
    numbered = _NUMBERED.fullmatch(said)
    number, text = (numbered[1], numbered[2] or "") if numbered is not None else ("", said)
    return _DIRECTIVE.sub("", text).strip() or number
