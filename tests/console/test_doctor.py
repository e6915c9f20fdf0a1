"""What the doctor says about bounds on sandboxes."""

from __future__ import annotations

import pytest

from podgym.console.cli import health

ASKED = 2 << 30


@pytest.mark.parametrize(
    ("unbounded", "found_bytes", "status", "said"),
    [
        ("", ASKED, "ok", "2 GiB as asked"),
        ("Permission denied", None, "missing", "Permission denied"),
        ("", None, "missing", f"{ASKED} bytes of memory was bounded by None"),
        ("", 1 << 30, "missing", f"was bounded by {1 << 30}"),
    ],
)
def test_the_bound_that_is_set_is_what_counts(
    monkeypatch: pytest.MonkeyPatch, unbounded: str, found_bytes: int | None, status: str, said: str
) -> None:
    monkeypatch.setattr(health, "_try_sandbox", lambda _: health._Tried(0.1, unbounded, ASKED, found_bytes))
    finding = health._cgroups()
    assert finding.status == status and said in finding.found
    assert ("systemd-run" in finding.remedy) == (status == "missing")


def test_the_bound_is_read_from_a_real_sandbox() -> None:
    tried = health._try_sandbox("cat /proc/self/cgroup")
    assert tried.unbounded or tried.memory_bytes == tried.asked_bytes == ASKED
