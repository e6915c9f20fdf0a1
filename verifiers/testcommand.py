"""How the tests of a task are run, and what one run reported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from podgym.sandbox import CommandResult
from podgym.verifiers.reports.source import PLACE, ReportSource
from podgym.verifiers.verdict import TestOutcome

__all__ = ["KILLED", "Problem", "TestCommand", "TestReport", "cut_log", "stopped"]

Problem = Literal["no_report", "malformed_report", "timed_out", "out_of_memory", "killed", "nothing_ran", "disagrees"]

KILLED: Final = 137
"""Exit code of a command that SIGKILL ended."""


class TestCommand(BaseModel):
    """How the tests of a task are run: by podgym's own runners for pytest and unittest, whose ids look like pytest's
    (`tests/test_a.py::TestX::test_y`), or by a program whose report is in one of `ReportFormat`, each with ids of its own."""

    __test__ = False
    model_config = ConfigDict(frozen=True, extra="forbid")

    framework: Literal["pytest", "unittest", "program"]
    python: str = "python"
    """Name on the sandbox's PATH, or an absolute path."""
    targets: tuple[str, ...] = ()
    """Files and directories relative to `cwd`; pytest also takes node ids, unittest dotted names. Empty: what pytest
    finds by itself, or every `test*.py` below `cwd`. A program gets them, quoted, where its script says `{targets}`."""
    args: tuple[str, ...] = ()
    """More arguments for pytest; the others take none."""
    script: str = ""
    """Of a program: run by the image's `sh` in `cwd`, which also builds first what has to be built. `{report}` is replaced by
    a path outside the work tree where a report file, or a directory of them, is to be written."""
    report: ReportSource | None = None
    """Of a program. The script's exit code has to agree with it: 0 without failures, anything else with."""
    env: Mapping[str, str] = Field(default_factory=dict)
    """Over the clean environment. `PYTHONPATH` entries join the import path only after the framework was imported."""
    cwd: str = "."
    """Relative to the work tree, or absolute."""
    timeout_s: float = Field(default=600.0, gt=0)
    plugins: bool = True
    """Load pytest's installed plug-ins; False sets PYTEST_DISABLE_PLUGIN_AUTOLOAD."""
    reverse: bool = False
    """Run the test files from the last to the first, to find tests that need an order; a program takes no order."""
    log_bytes: int = Field(default=256 << 10, ge=1024)
    """How much of what the tests print is kept."""

    @model_validator(mode="after")
    def _fits_the_framework(self) -> TestCommand:
        if self.framework != "pytest" and self.args:
            raise ValueError(
                f"{self.framework} takes no arguments, only targets; got {list(self.args)}. Move them to `targets`, or use pytest."
            )
        if self.framework == "program" and self.reverse:
            raise ValueError("A program decides the order of its tests itself; `reverse` is for pytest and unittest.")
        if self.framework != "program":
            if self.script or self.report is not None:
                raise ValueError(f"{self.framework} is run by podgym itself; `script` and `report` are for framework='program'.")
            return self
        if not self.script.strip() or self.report is None:
            raise ValueError("A program needs a `script` and a `report` that says the format of its report.")
        if self.report.files and PLACE in self.script:
            raise ValueError(f"The report is either in `files` or at {PLACE}, not both.")
        if self.targets and "{targets}" not in self.script:
            raise ValueError("The script of a program with `targets` must say {targets} where they belong.")
        if "\0" in self.script:
            raise ValueError("The script has a NUL byte.")
        return self


@dataclass(frozen=True, slots=True)
class TestReport:
    """What one run of the tests reported."""

    __test__ = False

    outcomes: Mapping[str, TestOutcome] = field(default_factory=dict)
    """By id, in the order of the report. Present with `problem` "disagrees", empty with the others."""
    exit_code: int = 0
    problem: Problem | None = None
    message: str = ""
    """What the problem is and what to do; empty without one."""
    log: str = ""
    """What the tests printed, the middle cut where it was too much."""
    duration_s: float = 0.0


def stopped(result: CommandResult, command: TestCommand) -> tuple[Problem, str] | None:
    """What ended a run from outside, whatever it reported: time, memory, or somebody's SIGKILL."""
    if result.timed_out:
        return "timed_out", f"The tests did not end within {command.timeout_s:g} s and were killed."
    if result.exit_code != KILLED:
        return None
    if result.out_of_memory:
        return "out_of_memory", "The tests were killed because the sandbox's memory limit was reached."
    return "killed", "The tests were killed (exit code 137) by something that sent SIGKILL; the sandbox's memory limit was not reached."


def cut_log(log: str, limit: int) -> str:
    """`log` without its middle where it is longer than `limit` characters."""
    if len(log) <= limit:
        return log
    half = limit // 2
    return f"{log[:half]}\n[... {len(log) - 2 * half} characters cut ...]\n{log[-half:]}"
