"""Machine-readable test reports, one module per format."""

from collections.abc import Sequence
from typing import Final

from podgym.verifiers.reports.automake import parse_automake
from podgym.verifiers.reports.boost import parse_boost_xml
from podgym.verifiers.reports.check import parse_check_xml
from podgym.verifiers.reports.cmocka import parse_cmocka_xml
from podgym.verifiers.reports.exitcode import COARSE, parse_exit_codes
from podgym.verifiers.reports.golang import parse_go_json
from podgym.verifiers.reports.gtest import parse_gtest_xml
from podgym.verifiers.reports.jest import parse_jest_json
from podgym.verifiers.reports.junit import MAX_REPORT_BYTES, parse_junit
from podgym.verifiers.reports.libtest import parse_libtest
from podgym.verifiers.reports.mixed import mixed
from podgym.verifiers.reports.mocha import parse_mocha_json
from podgym.verifiers.reports.parsed import ParsedReport, Parser, ReportFile, visible, worst
from podgym.verifiers.reports.source import ReportFormat, ReportSource
from podgym.verifiers.reports.suites import parse_suites
from podgym.verifiers.reports.tap import parse_tap

__all__ = [
    "COARSE",
    "MAX_REPORT_BYTES",
    "PARSERS",
    "ParsedReport",
    "ReportFile",
    "ReportFormat",
    "ReportSource",
    "parse_junit",
    "parse_report",
    "visible",
    "worst",
]

_SINGLE: Final[dict[ReportFormat, Parser]] = {
    "junit": parse_suites,
    "go-json": parse_go_json,
    "libtest": parse_libtest,
    "tap": parse_tap,
    "jest-json": parse_jest_json,
    "mocha-json": parse_mocha_json,
    "gtest-xml": parse_gtest_xml,
    "automake": parse_automake,
    "check-xml": parse_check_xml,
    "cmocka-xml": parse_cmocka_xml,
    "boost-xml": parse_boost_xml,
    "exit-code": parse_exit_codes,
}
PARSERS: Final[dict[ReportFormat, Parser]] = {**_SINGLE, "mixed": mixed(_SINGLE)}


def parse_report(format: ReportFormat, files: Sequence[ReportFile], *, root: str = "") -> ParsedReport:
    """Outcomes of a report's files; `root` is the directory of the run. Raises `ReportError`."""
    return PARSERS[format](files, root)
