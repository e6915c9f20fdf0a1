"""What every report parser gives: outcomes by id, and whether the report agrees with itself.

Ids are text from a hostile writer: characters that a terminal acts on, or that cannot be seen, become visible escapes;
number and length are bounded. One id that is reported several times counts as the worst of its outcomes, so that nothing
appended to a report turns a failure into a success.
"""

from __future__ import annotations

import posixpath
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from podgym.verifiers.errors import ReportError
from podgym.verifiers.verdict import TestOutcome

__all__ = [
    "MAX_CASES",
    "MAX_ID_CHARACTERS",
    "Outcomes",
    "ParsedReport",
    "Parser",
    "ReportFile",
    "check_cases",
    "load_json",
    "relative",
    "visible",
    "worst",
]

MAX_CASES: Final = 500_000
MAX_ID_CHARACTERS: Final = 4096
_MAX_JSON_PARTS: Final = 2_000_000

_SEVERITY: Final[dict[TestOutcome, int]] = {"passed": 0, "skipped": 1, "missing": 2, "failed": 3, "error": 4}
_SHORT: Final = 0x100
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


@dataclass(frozen=True, slots=True)
class ReportFile:
    """One file of a report. `name` is empty where there can be only one, else its path without the extension."""

    data: bytes
    name: str = ""


@dataclass(frozen=True, slots=True)
class ParsedReport:
    """Outcomes by id, in the order of the report."""

    outcomes: Mapping[str, TestOutcome]
    disagreement: str = ""
    """Where the report contradicts itself (a count, a plan, an end without a start); then it is not believed."""


Parser = Callable[[Sequence[ReportFile], str], ParsedReport]
"""Files and the directory that absolute paths in them are made relative to; raises `ReportError`."""


def worst(outcomes: Iterable[TestOutcome]) -> TestOutcome:
    """The outcome that decides where one id was reported several times; `missing` for none."""
    return max(outcomes, key=_SEVERITY.__getitem__, default="missing")


def visible(text: str) -> str:
    """`text` with each control, formatting, unassigned or half character as `\\xNN`, `\\uNNNN` or `\\UNNNNNNNN`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(character) if unicodedata.category(character) in _HIDDEN else character for character in text)


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < _SHORT else f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def relative(path: str, root: str) -> str:
    """`path` below `root` without it, with forward slashes; as it is where it lies elsewhere."""
    path = path.replace("\\", "/").removeprefix("file://")
    if root and path.startswith(root.rstrip("/") + "/"):
        path = path[len(root.rstrip("/")) + 1 :]
    return posixpath.normpath(path) if path else ""


def check_cases(number: int) -> None:
    """Raise `ReportError` where a report has more cases than are read."""
    if number > MAX_CASES:
        raise ReportError(f"The test report holds more than {MAX_CASES} tests.", remedy="Run fewer tests at once.")


class Outcomes:
    """Outcomes as they are read, and the first contradiction."""

    def __init__(self) -> None:
        self.found: dict[str, TestOutcome] = {}
        self.disagreement = ""
        self._added = 0

    @staticmethod
    def name(parts: Iterable[str]) -> str:
        """An id: the non-empty parts joined by `::`. Raises `ReportError` for an empty one and a long one."""
        identity = visible("::".join(part for part in parts if part))
        if not identity or len(identity) > MAX_ID_CHARACTERS:
            raise ReportError(
                f"The test report names a test {identity[:80]!r} ({len(identity)} characters); 1 to {MAX_ID_CHARACTERS} are read.",
                remedy="Name every test, and shorten the name of the test or its parameters.",
            )
        return identity

    def add(self, parts: Iterable[str], outcome: TestOutcome) -> str:
        """Note an outcome; returns its id. Raises `ReportError` beyond the bounds."""
        identity = self.name(parts)
        known = self.found.get(identity)
        self._added += 1
        check_cases(self._added)
        self.found[identity] = outcome if known is None else worst((known, outcome))
        return identity

    def disagree(self, message: str) -> None:
        """Keep the first contradiction."""
        self.disagreement = self.disagreement or message

    def count(self, what: str, declared: object, held: int) -> None:
        """A contradiction unless `declared` (None: not stated) is the number held."""
        if declared is not None and declared != held:
            self.disagree(f"The test report announces {str(declared)[:40]} {what} and holds {held}.")

    def report(self) -> ParsedReport:
        """What was read."""
        return ParsedReport(self.found, self.disagreement)


def load_json(data: bytes) -> object:
    """A JSON document of bounded size once it is objects. Raises `ReportError`."""
    if data.count(b",") + data.count(b"[") + data.count(b"{") > _MAX_JSON_PARTS:
        raise ReportError(f"The test report has more than {_MAX_JSON_PARTS} JSON values.", remedy="Run fewer tests at once.")
    try:
        try:
            return orjson.loads(data)
        except orjson.JSONDecodeError:
            return orjson.loads(data.decode("utf-8-sig", "replace").encode("utf-8", "replace"))
    except orjson.JSONDecodeError as error:
        raise ReportError(f"The test report is not JSON: {error}.") from error
