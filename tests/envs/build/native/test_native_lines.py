"""`lines` reads what tests have printed, where that is all they say."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from podgym.envs.build.languages.native.lines import LINES
from podgym.verifiers.reports import ReportFile, parse_report

TAP = "1..5\nok 1 - a b\nnot ok 2 - c\n# said\nok 3 - d # SKIP no net\nok 4\nnot ok 5 - e # TODO later\n"
BRACKETS = (
    "[ok]: Set (3 ms)\n\x1b[0;32m[ok]\x1b[0m: Get and go (12 ms)\n[err]: Del in tests/unit/x.tcl\nExpected\n[ignore]: big\nsome: ok\n"
)
BEFORE = "PASS: a\nXFAIL: b\nFAIL: c\nSKIP: d\n"
COLUMNS = "pass  basics/a.py\nFAIL  basics/b.py\nskip  basics/c.py\n"
AFTER = "#01 Format it: \x1b[0;32mPASSED\x1b[0;0m\n#02 Other ... FAILED\nTesting c... ok\nLinking d\n"


def read(place: Path, text: str, status: int) -> dict[str, str]:
    (place / "lines").write_text(LINES)
    (place / "said").write_text(text)
    ran = subprocess.run(["sh", place / "lines", place / "said", str(status), "p: "], capture_output=True, check=True, timeout=20)
    if not ran.stdout:
        return {}
    report = parse_report("mixed", [ReportFile(ran.stdout, "exit-code/make")])
    return {identity.removeprefix("p: ").removesuffix(" [exit status]"): outcome for identity, outcome in report.outcomes.items()}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (TAP, {"a b": "passed", "c": "failed", "d": "skipped", "4": "passed", "e": "skipped"}),
        (BRACKETS, {"Set": "passed", "Get and go": "passed", "Del": "failed", "big": "skipped"}),
        (BEFORE, {"a": "passed", "b": "passed", "c": "failed", "d": "skipped"}),
        (COLUMNS, {"basics/a.py": "passed", "basics/b.py": "failed", "basics/c.py": "skipped"}),
        (AFTER, {"Format it": "passed", "Other": "failed", "Testing c": "passed"}),
    ],
)
def test_each_form_is_read_and_agrees_with_the_status(tmp_path: Path, text: str, found: dict[str, str]) -> None:
    assert read(tmp_path, text, 1) == found
    assert read(tmp_path, text, 0) == {}


def test_few_lines_and_a_status_without_its_line_are_no_report(tmp_path: Path) -> None:
    assert read(tmp_path, "PASS: a\nPASS: b\n", 0) == {}
    passed = "PASS: a\nPASS: b\nPASS: c\n"
    assert read(tmp_path, passed, 1) == {}
    assert read(tmp_path, passed + "PASS: a\n", 0) == {"a": "passed", "b": "passed", "c": "passed"}


def test_a_name_that_fails_once_has_failed(tmp_path: Path) -> None:
    text = "FAIL: a\nPASS: a\nPASS: b\nPASS: c\nchecking for x... FAILED\n"
    assert read(tmp_path, text, 1) == {"a": "failed", "b": "passed", "c": "passed"}
