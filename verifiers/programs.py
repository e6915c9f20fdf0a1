"""Reward by a program: for environments whose outcome is not a set of named tests.

The program runs in a fresh sandbox over the agent's change and the files that come with the check. Its exit code is the
reward (0 is 1.0, anything else 0.0), unless it writes JSON to `$PODGYM_RESULT`, a path that did not exist while the agent
worked: `{"score": 0.5, "components": {"style": 1.0}}`, all numbers in [0, 1]. A program that did not start or was killed
(exit code 126 and above) is worth nothing, whatever it wrote before.

Whatever runs in the check's own processes (code under test that it imports, or starts with the same environment) can write that
file and choose the exit code: a program is as hard to cheat as it keeps the agent's code out of both. Tests with ids
(`podgym.verifiers.grading`) are held against more.
"""

from __future__ import annotations

import asyncio
import math
import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Final

import orjson
from pydantic import BaseModel, ConfigDict, Field

from podgym.sandbox import SandboxProvider, SandboxSpec, TransportError
from podgym.verifiers.archive import Write
from podgym.verifiers.change import Change
from podgym.verifiers.grading import close_sandbox
from podgym.verifiers.testcommand import KILLED
from podgym.verifiers.testrun import write_files
from podgym.verifiers.verdict import Failure, Verdict

__all__ = ["ProgramCheck", "run_program"]

_MAX_RESULT_BYTES: Final = 64 << 10
_NO_END: Final = 126
"""The least exit code of what could not be started, or ended by a signal."""


class ProgramCheck(BaseModel):
    """A shell command that judges a work tree."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    script: str
    """Run with the image's `sh` in `workdir`."""
    workdir: str | None = None
    """None: the sandbox's own."""
    timeout_s: float = Field(default=300.0, gt=0)
    create_timeout_s: float = Field(default=900.0, gt=0)


async def run_program(
    check: ProgramCheck, change: Change, *, spec: SandboxSpec, provider: SandboxProvider, files: Sequence[Write] = ()
) -> Verdict:
    """Judge a change. `files` are written over the agent's. Raises `SandboxError` for the infrastructure."""
    started = time.monotonic()
    if change.refused:
        return _verdict(0.0, {}, change.refused, change, started, failure="refused")
    try:
        async with asyncio.timeout(check.create_timeout_s):
            sandbox = await provider.create(spec.model_copy(update={"network": "none"}))
    except TimeoutError as error:
        raise TransportError(
            f"No sandbox of {spec.image!r} within {check.create_timeout_s:g} s.", remedy="Build the image beforehand."
        ) from error
    marker = secrets.token_hex(16)
    try:
        own = {file.path for file in files}
        writes = [file for file in change.writes() if file.path not in own]
        await write_files(sandbox, writes=(*writes, *files), removals=change.deleted, workdir=check.workdir)
        # The result comes back on stdout alone; the program's own output goes to stderr.
        script = (
            f"export PODGYM_RESULT=/tmp/podgym-{secrets.token_hex(8)}.json\n( {check.script}\n) </dev/null >&2; e=$?\n"
            f'echo {marker}; [ ! -f "$PODGYM_RESULT" ] || cat "$PODGYM_RESULT"; exit $e'
        )
        result = await sandbox.run(script, timeout_s=check.timeout_s, cwd=check.workdir, output_limit=2 * _MAX_RESULT_BYTES)
    finally:
        await close_sandbox(sandbox)
    if result.timed_out:
        return _verdict(0.0, {}, f"The check did not end within {check.timeout_s:g} s.", change, started, failure="timed_out")
    if result.out_of_memory:
        return _verdict(0.0, {}, "The sandbox's memory limit was reached while the check ran.", change, started, failure="out_of_memory")
    head, _, written = result.stdout.head.partition(f"{marker}\n".encode())
    said = result.stderr.text().strip()[-1000:]
    if head or result.stdout.cut or len(written) > _MAX_RESULT_BYTES:
        return _verdict(0.0, {}, "Something but the check wrote to the channel of the result.", change, started, failure="malformed_report")
    if result.exit_code >= _NO_END:
        killed = result.exit_code == KILLED
        what = f"The check {'was killed' if killed else 'did not start, or was ended by a signal'} (exit code {result.exit_code}): {said}"
        return _verdict(0.0, {}, what, change, started, failure="killed" if killed else "failed")
    if not written:
        return _verdict(
            float(result.exit_code == 0), {}, "" if result.exit_code == 0 else f"Exit code {result.exit_code}: {said}", change, started
        )
    try:
        score, components = _read(written)
    except ValueError as error:
        return _verdict(0.0, {}, f"The check's result is not usable: {error}", change, started, failure="malformed_report")
    return _verdict(score, components, said if score < 1.0 else "", change, started)


def _read(data: bytes) -> tuple[float, dict[str, float]]:
    found = orjson.loads(data)
    if not isinstance(found, dict) or not isinstance(components := found.get("components", {}), dict):
        raise ValueError('expected {"score": number, "components": {name: number}}.')
    return _unit("score", found.get("score")), {name: _unit(name, value) for name, value in components.items()}


def _unit(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or not 0 <= value <= 1:
        raise ValueError(f"{name!r} is {value!r}, not a number from 0 to 1.")
    return float(value)


def _verdict(
    reward: float, components: Mapping[str, float], message: str, change: Change, started_s: float, *, failure: Failure | None = None
) -> Verdict:
    return Verdict(
        status="scored",
        reward=reward,
        failure=failure or ("failed" if reward < 1.0 else None),
        components=components,
        message=message,
        diff=change.diff_text,
        dropped=change.dropped,
        seconds=time.monotonic() - started_s,
    )
