"""Test commands over an overlay, in a fresh sandbox; several reports as one."""

from __future__ import annotations

from collections.abc import Sequence

from podgym.envs.build.states import Overlay
from podgym.sandbox import Sandbox, SandboxProvider, SandboxSpec
from podgym.verifiers import TestCommand, TestReport, run_tests
from podgym.verifiers.reports import worst
from podgym.verifiers.verdict import TestOutcome

__all__ = ["run_again", "run_commands"]


async def run_commands(provider: SandboxProvider, spec: SandboxSpec, commands: Sequence[TestCommand], overlay: Overlay) -> TestReport:
    """What all commands report together; the first problem ends the run and is the whole's. Raises `SandboxError`."""
    (report,) = await run_again(provider, spec, [commands], overlay)
    return report


async def run_again(
    provider: SandboxProvider,
    spec: SandboxSpec,
    runs: Sequence[Sequence[TestCommand]],
    overlay: Overlay,
    *,
    keep_s: float = float("inf"),
    some_empty: bool = False,
) -> list[TestReport]:
    """A report for each of `runs`, up to the first with a problem. Raises `SandboxError`.

    Each has a sandbox of its own, unless the run before took `keep_s` seconds or more: then it has the same one, where what that run
    had to build is built. With `some_empty`, one of several commands may find no test, as in a part of the project that has none but
    the fix's.
    """
    reports: list[TestReport] = []
    sandbox: Sandbox | None = None
    try:
        for commands in runs:
            if sandbox is not None and reports[-1].duration_s < keep_s:
                await sandbox.close()
                sandbox = None
            fresh = sandbox is None
            sandbox = sandbox or await provider.create(spec)
            reports.append(await _run(sandbox, spec, commands, overlay if fresh else Overlay(), some_empty=some_empty))
            if reports[-1].problem is not None:
                break
    finally:
        if sandbox is not None:
            await sandbox.close()
    return reports


async def _run(sandbox: Sandbox, spec: SandboxSpec, commands: Sequence[TestCommand], overlay: Overlay, *, some_empty: bool) -> TestReport:
    outcomes: dict[str, TestOutcome] = {}
    empty: TestReport | None = None
    exit_code, log, duration_s = 0, "", 0.0
    writes, removals = overlay.writes, overlay.removals
    for command in commands:
        report = await run_tests(sandbox, command, workdir=spec.workdir, writes=writes, removals=removals)
        writes, removals = (), ()
        exit_code, log = exit_code or report.exit_code, log + report.log
        duration_s = max(duration_s, report.duration_s)
        if some_empty and report.problem == "nothing_ran":
            empty = report
            continue
        if report.problem is not None:
            found = report.outcomes if len(commands) == 1 else {}
            return TestReport(found, report.exit_code, report.problem, report.message, log, duration_s)
        for identity, outcome in report.outcomes.items():
            outcomes[identity] = worst((outcome, outcomes[identity])) if identity in outcomes else outcome
    if empty is not None and not outcomes:
        return TestReport({}, exit_code, empty.problem, empty.message, log, duration_s)
    return TestReport(outcomes, exit_code, None, "", log, duration_s)
