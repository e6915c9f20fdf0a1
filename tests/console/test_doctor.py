"""What the doctor says about bounds on sandboxes, and about the toolchains that they can have."""

from __future__ import annotations

import sys
from collections.abc import Mapping

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


@pytest.mark.parametrize(
    ("versions", "said"),
    [
        ({"python": ("3.9", "3.11"), "go": ("1.20", "1.22.1"), "java": ("17.0.9",), "gcc": ("12.2.0",)},
         "Python 3.9, 3.11; Go 1.20, 1.22.1; JDK 17.0.9; GCC 12.2.0"),
        ({"python": ("3.11",), "rust": (), "java": (), "node": ("20.1.0",)}, "Python 3.11; Node 20.1.0; no Rust, no JDK"),
    ],
)  # fmt: skip
def test_toolchains_are_told_in_a_line(monkeypatch: pytest.MonkeyPatch, versions: Mapping[str, tuple[str, ...]], said: str) -> None:
    monkeypatch.setattr("podgym.sandbox.local.toolchains.Toolchains.versions", lambda _: versions)
    finding = health._toolchains()
    assert (finding.status, finding.found) == ("ok", said)


def test_toolchains_of_this_machine() -> None:
    python = ".".join(map(str, sys.version_info[:2]))
    found = health._toolchains().found
    assert found.startswith("Python ") and python in found.partition(";")[0]
    assert all(name in found for name in ("Go", "Rust", "Node", "JDK", "Maven", "Gradle", "GCC"))


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied", "/root/bin"), RuntimeError("Symlink loop")])
def test_toolchains_that_cannot_be_looked_for_are_a_finding(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(_: object) -> None:
        raise error

    monkeypatch.setattr("podgym.sandbox.local.toolchains.Toolchains.versions", fail)
    finding = health._toolchains()
    assert finding.status == "failed" and str(error) in finding.found and "PATH" in finding.remedy
