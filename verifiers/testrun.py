"""Run tests in a sandbox and believe only a report.

One command does it all: its stdin is a tar archive with the files to write and podgym's own runner, its stdout is
nothing but the report between two copies of a random marker, and what the tests print goes to stderr. The runner removes
itself before the first test, imports its framework before the project's directories join the import path, and ends the
process itself, so that exit handlers change nothing. The report is parsed here, never in the sandbox, and has to agree
with the exit code. What cannot be defended in the same process is stated plainly: code under test that patches the
framework from within is bounded only by what it may change (`podgym.verifiers.grading`).
"""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Mapping, Sequence

from podgym.sandbox import CommandResult, Sandbox
from podgym.verifiers.archive import Write
from podgym.verifiers.environment import ENVIRONMENT, UNSET_FOR_PYTHON
from podgym.verifiers.errors import ReportError
from podgym.verifiers.laying import check_laid, layer, laying_script, write_files
from podgym.verifiers.programrun import run_test_program
from podgym.verifiers.reports.junit import MAX_REPORT_BYTES, parse_junit
from podgym.verifiers.runners import runner_source
from podgym.verifiers.testcommand import Problem, TestCommand, TestReport, cut_log, stopped
from podgym.verifiers.verdict import TestOutcome

__all__ = ["Problem", "TestCommand", "TestReport", "run_tests", "write_files"]


async def run_tests(
    sandbox: Sandbox,
    command: TestCommand,
    *,
    workdir: str | None = None,
    writes: Sequence[Write] = (),
    removals: Sequence[str] = (),
) -> TestReport:
    """Remove `removals`, write `writes` (both relative to `workdir`, which defaults to the sandbox's own), run, parse.

    Raises `SandboxError` where the sandbox fails, or cannot be written to; whatever the tests do is a report.
    """
    if command.framework == "program":
        return await run_test_program(sandbox, command, workdir=workdir, writes=writes, removals=removals)
    marker, setup = secrets.token_hex(16), secrets.token_hex(16)
    folder = f".podgym-{secrets.token_hex(8)}"
    # Not in the arguments, which any process may read; the file is gone before the first test.
    call = f"\n\nmain(b{marker!r})\n".encode()
    runner = Write(f"{folder}/run.py", runner_source(command.framework) + call, 0o100600)
    in_command_cwd = f"cd {shlex.quote(command.cwd)} && " if command.cwd not in (".", "") else ""
    up = '"$w"/' if in_command_cwd else ""
    arguments = (*command.args, *command.targets) if command.framework == "pytest" else command.targets or (".",)
    script = "".join(
        (
            "umask 022; w=$PWD; ",
            laying_script(setup, removals),
            'export PODGYM_PYTHONPATH="${PYTHONPATH-}"; ',
            UNSET_FOR_PYTHON,
            "export PODGYM_REVERSE=1; " if command.reverse else "unset PODGYM_REVERSE; ",
            "" if command.plugins else "export PYTEST_DISABLE_PLUGIN_AUTOLOAD=1; ",
            f'p={shlex.quote(command.python)}; command -v "$p" >/dev/null || p=python3; ',
            in_command_cwd,
            f'exec "$p" -B {up}{folder}/run.py {shlex.join(arguments)} </dev/null',
        )
    )
    result = await sandbox.run(
        script,
        timeout_s=command.timeout_s,
        cwd=workdir,
        env={**ENVIRONMENT, **command.env},
        stdin=layer((*writes, runner), removals),
        output_limit=MAX_REPORT_BYTES,
    )
    check_laid(result, setup)
    return _read(result, marker, command)


def _read(result: CommandResult, marker: str, command: TestCommand) -> TestReport:
    log = cut_log(result.stderr.text(), command.log_bytes)

    def problem(kind: Problem, message: str, outcomes: Mapping[str, TestOutcome] | None = None) -> TestReport:
        if result.out_of_memory and not outcomes and kind != "timed_out":
            kind, message = "out_of_memory", f"The sandbox's memory limit was reached while the tests ran. {message}"
        return TestReport(outcomes or {}, result.exit_code, kind, message, log, result.duration_s)

    if (outside := stopped(result, command)) is not None:
        return problem(*outside)
    if not result.stdout.total:
        printed = result.stderr.total
        return problem(
            "no_report",
            f"The test run ended with exit code {result.exit_code} and {'printed text' if printed else 'nothing'}, but wrote no report; "
            "printed results do not count. A test or the code under test ended the process, or the framework did not start: see the log.",
        )
    frame = marker.encode()
    data = result.stdout.head
    if result.stdout.cut or result.stdout.tail:
        return problem("malformed_report", f"The test report is larger than {MAX_REPORT_BYTES} bytes. Run fewer tests at once.")
    if not (data.startswith(frame + b"\n") and data.endswith(b"\n" + frame) and len(data) > 2 * len(frame)):
        return problem(
            "malformed_report",
            (
                "The test run wrote to the channel of the report; nothing but podgym's runner may. "
                "A test or the code under test writes to open files that are not its own: see the log."
            ),
        )
    try:
        outcomes = parse_junit(data[len(frame) + 1 : -len(frame) - 1])
    except ReportError as error:
        return problem("malformed_report", str(error))
    if not outcomes:
        return problem("nothing_ran", "The report is whole and holds no test. Check the command's targets.")
    failed = any(outcome in ("failed", "error") for outcome in outcomes.values())
    if (result.exit_code == 0) == failed or result.exit_code not in (0, 1, 2):
        said = "failures" if failed else "no failure"
        return problem(
            "disagrees",
            f"The report shows {said}, but the test run ended with exit code {result.exit_code}; neither is believed.",
            outcomes,
        )
    return TestReport(outcomes, result.exit_code, None, "", log, result.duration_s)
