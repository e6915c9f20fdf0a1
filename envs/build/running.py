"""Test commands over an overlay, in a fresh sandbox; several reports as one."""

from __future__ import annotations

from collections.abc import Sequence

from podgym.envs.build.states import Overlay
from podgym.sandbox import SandboxProvider, SandboxSpec
from podgym.verifiers import TestCommand, TestReport, run_tests
from podgym.verifiers.reports import worst
from podgym.verifiers.verdict import TestOutcome

__all__ = ["run_commands"]


async def run_commands(provider: SandboxProvider, spec: SandboxSpec, commands: Sequence[TestCommand], overlay: Overlay) -> TestReport:
    """What all commands report together; the first problem ends the run and is the whole's. Raises `SandboxError`."""
    sandbox = await provider.create(spec)
    outcomes: dict[str, TestOutcome] = {}
    exit_code, log, duration_s = 0, "", 0.0
    try:
        writes, removals = overlay.writes, overlay.removals
        for command in commands:
            report = await run_tests(sandbox, command, workdir=spec.workdir, writes=writes, removals=removals)
            writes, removals = (), ()
            exit_code, log = exit_code or report.exit_code, log + report.log
            duration_s = max(duration_s, report.duration_s)
            if report.problem is not None:
                found = report.outcomes if len(commands) == 1 else {}
                return TestReport(found, report.exit_code, report.problem, report.message, log, duration_s)
            for identity, outcome in report.outcomes.items():
                outcomes[identity] = worst((outcome, outcomes[identity])) if identity in outcomes else outcome
    finally:
        await sandbox.close()
    return TestReport(outcomes, exit_code, None, "", log, duration_s)
