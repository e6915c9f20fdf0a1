"""Run a task's test program in a sandbox and fetch its report by another command.

The first command writes the files, rids the environment of what would make a tool load or run something else, removes reports of
earlier runs, and becomes the script, whose exit code it ends with. The second one reads the report, when all that the tests
started has been ended: nothing of theirs is above it or holds its output, which is a tar stream between two copies of a random
marker, cut off where it exceeds the report's bound. The report is parsed by the driver and has to agree with itself and with the
exit code.
What runs in the test program's own process can write its report; `podgym.verifiers.grading` says what bounds that.
"""

from __future__ import annotations

import posixpath
import secrets
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from podgym.sandbox import CommandResult, Freezable, Sandbox
from podgym.verifiers.archive import Write, read_archive
from podgym.verifiers.environment import ENVIRONMENT, unset_injecting
from podgym.verifiers.errors import ArchiveError, ReportError
from podgym.verifiers.laying import check_laid, layer, laying_script
from podgym.verifiers.reports import ParsedReport, ReportFile, ReportSource, parse_report
from podgym.verifiers.reports.source import PLACE
from podgym.verifiers.testcommand import Problem, TestCommand, TestReport, cut_log, stopped
from podgym.verifiers.verdict import TestOutcome

__all__ = ["run_test_program"]

_COLLECT_TIMEOUT_S: Final = 120.0
_MAX_FILES: Final = 20_000


async def run_test_program(
    sandbox: Sandbox, command: TestCommand, *, workdir: str | None, writes: Sequence[Write], removals: Sequence[str]
) -> TestReport:
    """`run_tests` for `framework="program"`."""
    source = command.report
    assert source is not None
    setup = secrets.token_hex(16)
    folder = f"/tmp/podgym-{secrets.token_hex(16)}"
    printed = not source.files and PLACE not in command.script
    own = command.script.replace("{targets}", shlex.join(command.targets)).replace(PLACE, f"{folder}/report")
    script = "".join(
        (
            "umask 022; ",
            laying_script(setup, removals),
            unset_injecting(command.env),
            f"mkdir -m 700 {folder} || exit 97; ",
            f"cd {shlex.quote(command.cwd)} || exit 96; " if command.cwd not in (".", "") else "",
            "".join(_each(glob, 'rm -f -- "$f"') for glob in source.files),
            f"exec sh -c {shlex.quote(own)} </dev/null {f'>{folder}/report' if printed else '>&2'}",
        )
    )
    ran = await sandbox.run(
        script,
        timeout_s=command.timeout_s,
        cwd=workdir,
        env={**ENVIRONMENT, **command.env},
        stdin=layer(writes, removals),
        output_limit=2 * command.log_bytes,
    )
    check_laid(ran, setup)
    log = cut_log(ran.stderr.text(), command.log_bytes)

    def problem(kind: Problem, message: str, outcomes: Mapping[str, TestOutcome] | None = None, said: str = "") -> TestReport:
        if ran.out_of_memory and kind != "timed_out":
            kind, message = "out_of_memory", f"The sandbox's memory limit was reached while the tests ran. {message}"
        return TestReport(outcomes or {}, ran.exit_code, kind, message, cut_log(log + said, command.log_bytes), ran.duration_s)

    if (outside := stopped(ran, command)) is not None:
        return problem(*outside)
    if isinstance(sandbox, Freezable):
        await sandbox.freeze()  # what the tests left behind has no part in how the report is read
    collected = await _collect(sandbox, source, folder, workdir=workdir, cwd=command.cwd)
    said = collected.files[0].data[-command.log_bytes :].decode("utf-8", "replace") if printed and collected.files else ""
    if collected.reason:
        return problem("malformed_report", collected.reason)
    if not any(file.data for file in collected.files):
        return problem(
            "no_report",
            f"The test program ended with exit code {ran.exit_code} and wrote no report; printed results do not count. "
            "It did not start, did not build, or was ended by a test: see the log.",
        )
    try:
        parsed = parse_report(source.format, collected.files, root=collected.root)
    except ReportError as error:
        return problem("malformed_report", str(error), said=said)
    kind, message = _judge(parsed, ran)
    if kind is not None:
        return problem(kind, message, parsed.outcomes, said=said)
    return TestReport(parsed.outcomes, ran.exit_code, None, "", cut_log(log + said, command.log_bytes), ran.duration_s)


def _judge(parsed: ParsedReport, ran: CommandResult) -> tuple[Problem | None, str]:
    if not parsed.outcomes:
        return "nothing_ran", "The report is whole and holds no test. Check the command's script and targets."
    if parsed.disagreement:
        return "disagrees", parsed.disagreement
    failed = any(outcome in ("failed", "error") for outcome in parsed.outcomes.values())
    if (ran.exit_code == 0) == failed:
        said = "failures" if failed else "no failure"
        return "disagrees", f"The report shows {said}, but the test program ended with exit code {ran.exit_code}; neither is believed."
    return None, ""


@dataclass(frozen=True, slots=True)
class _Collected:
    files: tuple[ReportFile, ...] = ()
    root: str = ""
    reason: str = ""


async def _collect(sandbox: Sandbox, source: ReportSource, folder: str, *, workdir: str | None, cwd: str) -> _Collected:
    """The report's files, as they are now. Raises `SandboxError`."""
    marker = secrets.token_hex(16)
    into = f"cd {shlex.quote(cwd)} 2>/dev/null; " if cwd not in (".", "") else ""
    if source.files:
        pack = "".join(_each(glob, 'printf "%s\\0" "$f"') for glob in source.files)
        pack = f"{{ {pack}}} | xargs -0 -r tar -cf -"
    else:
        pack = f"cd {folder} && [ -e report ] && tar -cf - report"
    script = (
        f"{into}printf '%s\\n%s\\0' {marker} \"$(pwd -P)\"\n{{ {pack}; }} 2>/dev/null </dev/null | head -c {source.max_bytes}\n"
        f"rm -rf {folder}\nprintf '\\n%s' {marker}"
    )
    result = await sandbox.run(script, timeout_s=_COLLECT_TIMEOUT_S, cwd=workdir, output_limit=2 * (source.max_bytes + 8192))
    frame = marker.encode()
    data = result.stdout.bytes
    if result.timed_out:
        return _Collected(
            reason=f"The test report could not be read within {_COLLECT_TIMEOUT_S:g} s; something in the sandbox holds it up."
        )
    if result.stdout.cut or not (data.startswith(frame + b"\n") and data.endswith(b"\n" + frame)):
        return _Collected(reason="Something but podgym wrote to the channel of the report, or replaced `head` or `tar`: see the log.")
    root, _, archive = data[len(frame) + 1 : -len(frame) - 1].partition(b"\0")
    if len(archive) >= source.max_bytes:
        return _Collected(reason=f"The test report is larger than {source.max_bytes} bytes. Run fewer tests at once.")
    found: dict[str, bytes] = {}
    try:
        # `xargs` may have started tar more than once; archives that follow each other are read as one.
        for member in read_archive(archive, max_members=_MAX_FILES) if archive else ():
            if member.kind == "file":
                found[posixpath.normpath(member.path)] = bytes(member.data)
            elif member.kind != "directory":
                return _Collected(reason="The test report is a link or a special file, not a file.")
    except ArchiveError as error:
        return _Collected(reason=f"The test report could not be read: {error}")
    names = sorted(found)
    alone = not source.files and names == ["report"]
    files = tuple(ReportFile(found[name], "" if alone else _stem(name)) for name in names)
    return _Collected(files, root.decode("utf-8", "replace"))


def _stem(path: str) -> str:
    return posixpath.splitext(path.removeprefix("report/"))[0]


def _each(glob: str, action: str) -> str:
    """Shell that does `action` with each path `$f` that matches a glob of a `ReportSource`; ends with `; `."""
    head, deep, tail = glob.rpartition("**/")
    if not deep:
        return f'for f in {_pattern(glob)}; do [ ! -f "$f" ] || {action}; done; '
    inner = f'for d; do for f in "$d"/{_pattern(tail)}; do [ ! -f "$f" ] || {action}; done; done'
    # Directories alone are walked, so that the tail matches as the shell matches names, not across directories.
    return f"find {_pattern(head.rstrip('/')) or '.'} -name .git -prune -o -type d -exec sh -c {shlex.quote(inner)} sh {{}} + 2>/dev/null; "


def _pattern(glob: str) -> str:
    """A glob for the shell: everything but `*`, `?` and `/` quoted, and never an option."""
    quoted = "".join(part if part in "*?/" else shlex.quote(part) for part in _split(glob))
    return f"./{quoted}" if quoted else ""


def _split(glob: str) -> list[str]:
    parts: list[str] = []
    for character in glob:
        if character in "*?/" or not parts or parts[-1] in ("*", "?", "/"):
            parts.append(character)
        else:
            parts[-1] += character
    return parts
