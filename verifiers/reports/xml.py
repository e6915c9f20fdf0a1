"""XML reports as a bounded stream of elements; no document type, no entity, no tree.

What names suites and cases is bounded before anything is made of it, because ids are made of several such names. Runners
copy what tests print into their reports, so bytes that XML does not know (control characters, broken UTF-8) are replaced
before the parser sees them; whatever else is not well-formed is refused.
"""

from __future__ import annotations

from typing import Final
from xml.parsers import expat

from podgym.verifiers.errors import ReportError
from podgym.verifiers.reports.parsed import MAX_ID_CHARACTERS, visible

__all__ = ["MAX_DEPTH", "MAX_ELEMENTS", "XmlReader"]

MAX_DEPTH: Final = 64
MAX_ELEMENTS: Final = 1_000_000
_NAMED: Final = frozenset({"testsuites", "testsuite", "testcase", "TestSuite", "TestCase"})
_NAMES: Final = ("name", "classname", "file", "filename")
_PRINTABLE: Final = bytes(code if code >= 32 or code in (9, 10, 13) else 63 for code in range(256))


class XmlReader:
    """Subclasses take `start` and `end`, and `text` where they ask for it; `depth` is 1 at the root."""

    roots: frozenset[str] = frozenset()
    keeps_text = False

    def __init__(self) -> None:
        self.depth = 0
        self._elements = 0

    def read(self, data: bytes) -> None:
        """Stream one document. Raises `ReportError`."""
        try:
            data.decode()
        except UnicodeDecodeError:
            if not data.startswith((b"\xff\xfe", b"\xfe\xff")):
                data = data.decode("utf-8", "replace").encode()
        parser = expat.ParserCreate(encoding=None if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8")
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        if self.keeps_text:
            parser.CharacterDataHandler = self.text
        parser.StartDoctypeDeclHandler = _refuse
        parser.EntityDeclHandler = _refuse
        self.depth = 0
        try:
            parser.Parse(data if data.startswith((b"\xff\xfe", b"\xfe\xff")) else data.translate(_PRINTABLE), True)
        except expat.ExpatError as error:
            raise ReportError(f"The test report is not well-formed XML: {error}.") from error
        except ReportError:
            raise
        except (LookupError, ValueError) as error:
            raise ReportError(f"The test report is not readable text: {error}.") from error

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        raise NotImplementedError

    def end(self, name: str) -> None:
        """The element at `depth` ends."""
        raise NotImplementedError

    def text(self, data: str) -> None:
        """A piece of text."""
        raise NotImplementedError

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self.depth += 1
        self._elements += 1
        if self._elements > MAX_ELEMENTS:
            raise ReportError(f"The test report has more than {MAX_ELEMENTS} elements.", remedy="Run fewer tests at once.")
        if self.depth > MAX_DEPTH:
            raise ReportError(f"The test report is nested deeper than {MAX_DEPTH} elements.")
        if self.depth == 1 and name not in self.roots:
            allowed = " or ".join(f"<{root}>" for root in sorted(self.roots))
            raise ReportError(
                f"The test report's root is <{visible(name[:80])}>, not {allowed}.", remedy="Check the format that the task states."
            )
        if name in _NAMED:
            _check_names(attributes)
        self.start(name, attributes)

    def _end(self, name: str) -> None:
        self.end(name)
        self.depth -= 1


def _check_names(attributes: dict[str, str]) -> None:
    for key in _NAMES:
        if len(text := attributes.get(key, "")) > MAX_ID_CHARACTERS:
            raise ReportError(
                f"The test report names a test {visible(text[:80])!r} ({len(text)} characters); at most {MAX_ID_CHARACTERS} are read.",
                remedy="Shorten the name of the test or its parameters.",
            )


def _refuse(*_: object) -> None:
    raise ReportError("The test report declares a document type or an entity; no test runner writes those.")
