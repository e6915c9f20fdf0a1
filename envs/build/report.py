"""What a build came to, in the fields that `podgym env build --json` prints."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

__all__ = ["BuildReport", "TestCounts"]


class TestCounts(BaseModel):
    """Of the run with the fix applied."""

    __test__ = False
    model_config = ConfigDict(frozen=True, extra="forbid")

    total: int = 0
    passed: int = 0


class BuildReport(BaseModel):
    """One build. A failure is a report too, never a traceback."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: Literal["validated", "built", "failed"]
    """`built`: made without running its tests, as `--no-validate` asks."""
    stage: str = ""
    """Where a failed build ended; empty otherwise."""
    reason: str = ""
    message: str = ""
    """For people: what went wrong and what to do."""
    details: str = ""
    """The end of the log that shows why."""
    source: str = ""
    commit: str = ""
    base: str = ""
    language: str = ""
    build_system: str = ""
    toolchain: str = ""
    """Version of the language's tools."""
    framework: str = ""
    tests: TestCounts = TestCounts()
    fail_to_pass: tuple[str, ...] = ()
    pass_to_pass: tuple[str, ...] = ()
    flaky: tuple[str, ...] = ()
    scope: str = ""
    """`suite`, or `changed` where the whole suite took too long."""
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    image: str = ""
    image_bytes: int | None = None
    """None where the provider does not say."""
    repairs: tuple[str, ...] = ()
    """Changes to the first plan that led to the one that worked, or were tried."""
    model_calls: int = 0
    """Calls to a language model that mended the plan."""
    task: str = ""
    out: str = ""
    """The task's directory."""
