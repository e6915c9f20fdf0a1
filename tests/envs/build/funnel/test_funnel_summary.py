from __future__ import annotations

from typing import Any

import pytest

from podgym.envs.build.funnel import Row, summarise
from podgym.envs.build.funnel.summary import reached
from podgym.envs.build.report import TestCounts


def row(**fields: Any) -> Row:
    return Row(**{"status": "failed", "language": "go", "build_system": "go", **fields})


@pytest.mark.parametrize(
    ("fields", "stages"),
    [
        ({"stage": "line", "reason": "bad_line", "build_system": ""}, 1),
        ({"stage": "worker", "reason": "crashed", "build_system": ""}, 1),
        ({"stage": "split", "reason": "no_test_change", "build_system": ""}, 1),
        ({"stage": "plan", "reason": "no_toolchain", "build_system": ""}, 1),
        ({"stage": "repository", "reason": "repository"}, 2),
        ({"stage": "image", "reason": "install_failed"}, 2),
        ({"stage": "validate", "reason": "sandbox"}, 2),
        ({"stage": "validate", "reason": "no_report"}, 3),
        ({"stage": "validate", "reason": "timeout"}, 3),
        ({"stage": "validate", "reason": "already_passing"}, 4),
        ({"stage": "validate", "reason": "flaky"}, 4),
        ({"stage": "certify", "reason": "leak"}, 5),
        ({"stage": "write", "reason": "exists"}, 2),
        ({"stage": "write", "reason": "exists", "tests": TestCounts(total=2, passed=2)}, 5),
        ({"status": "built"}, 2),
        ({"status": "validated"}, 6),
    ],
)
def test_how_far_a_row_came(fields: dict[str, Any], stages: int) -> None:
    assert reached(row(**fields)) == stages


def test_the_table() -> None:
    good = [row(status="validated", seconds=float(seconds), image_bytes=seconds * 1000) for seconds in range(1, 11)]
    bad = [row(stage="image", reason="install_failed", message=f"first {number}\nsecond", language="rust") for number in range(3)]
    lost = row(stage="line", reason="bad_line", language="", build_system="", message="odd")
    model = row(status="validated", model_calls=4, seconds=99.0)
    summary = summarise([*good, *bad, lost, model])
    assert [one.language for one in summary.languages] == ["go", "rust", "unknown"]
    go = summary.languages[0]
    assert (go.attempted, go.certified, go.seconds_median, go.seconds_p90) == (11, 11, 6.0, 10.0)
    assert (go.image_bytes_median, go.image_bytes_p90) == (5500, 9000)
    rust = summary.languages[1]
    assert (rust.attempted, rust.detected, rust.built, rust.seconds_median, rust.image_bytes_p90) == (3, 3, 0, None, None)
    assert (summary.total.attempted, summary.total.certified, summary.bad_lines) == (15, 11, 1)
    assert (summary.model_calls, summary.without_model_call) == (4, 10)
    first = summary.reasons[0]
    assert (first.stage, first.reason, first.count, first.example) == ("image", "install_failed", 3, "first 0")
    assert summarise([]).total.attempted == 0


def test_ten_reasons_at_most() -> None:
    rows = [row(stage="plan", reason=f"r{number}") for number in range(30) for _ in range(number + 1)]
    reasons = summarise(rows).reasons
    assert [one.reason for one in reasons] == [f"r{number}" for number in range(29, 19, -1)]
