"""Decoys that are kept as far as the right solution shows that they work.

What is read of a syntax is a guess at what a test means. One run with the fix tells: which changed tests fail, which is what they
are for, and which of the others still pass beside them. A choice that breaks the build, or that changes nothing, is made anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from podgym.verifiers.decoys.edits import DecoyFile
from podgym.verifiers.decoys.making import decoy_files
from podgym.verifiers.testrun import TestReport

__all__ = ["Proven", "Run", "prove_decoys"]

Run = Callable[[Mapping[str, bytes]], Awaitable[TestReport]]
"""The tests with the fix, and with these files in place of the hidden ones of the same paths."""

_ROUNDS: Final = 3


@dataclass(frozen=True, slots=True)
class Proven:
    """Decoys that no right solution passes."""

    files: Mapping[str, bytes] = field(default_factory=dict)
    fails: tuple[str, ...] = ()
    holds: tuple[str, ...] = ()
    note: str = ""
    """Why there are none."""


async def prove_decoys(
    run: Run,
    files: Mapping[str, bytes],
    *,
    fail_to_pass: Sequence[str],
    pass_to_pass: Sequence[str],
    cwd: str = "",
    salt: bytes = b"",
    rounds: int = _ROUNDS,
) -> Proven:
    """Make decoys of hidden test files and run them. Raises what `run` raises."""
    attempts: dict[str, int] = {}
    best, said, seen = Proven(), "", []
    for number in range(rounds):
        made = await asyncio.to_thread(decoy_files, files, fail_to_pass, cwd=cwd, beside=pass_to_pass, salt=salt, attempts=attempts)
        changed = {path: one.data for path, one in made.items()}
        if not changed or changed in seen:
            break
        seen.append(changed)
        report = await run(changed)
        found = _found(report, made, fail_to_pass, pass_to_pass)
        if found.fails and any(not one.tests for one in made.values()):
            # No id says which tests were changed: what fails by chance has to fail twice.
            found = _both(found, _found(await run(changed), made, fail_to_pass, pass_to_pass))
        if len(found.fails) > len(best.fails):
            best = found
        said = report.message or "the changed tests pass with the fix"
        idle = [path for path, one in made.items() if not found.fails or (one.tests and not set(one.tests) & set(found.fails))]
        if not idle:
            break
        for path in idle:
            attempts[path] = attempts.get(path, 0) + 1
        if not found.fails and number == rounds - 2 and len(made) > 1:
            # One of them breaks the others: the last try is the file with the most tests, alone.
            kept = max(made, key=lambda path: (len(made[path].tests), path))
            attempts |= {path: -1 for path in files if path != kept}
    if best.fails:
        return best
    return Proven(note=f"no decoys: {said}" if seen else "no decoys: no test that the fix turns was found in a hidden file")


def _found(report: TestReport, made: Mapping[str, DecoyFile], fail_to_pass: Sequence[str], pass_to_pass: Sequence[str]) -> Proven:
    required = (*fail_to_pass, *pass_to_pass)
    named = {identity for one in made.values() for identity in one.tests}
    loose = any(not one.tests for one in made.values())

    def changed(identity: str) -> bool:
        return identity in named or identity.partition("[")[0] in named or (loose and identity in required)

    failed = [identity for identity, outcome in report.outcomes.items() if outcome in ("failed", "error") and changed(identity)]
    # A changed parameter is a new id; the old one is then missing, and would be passed only in a forged report.
    gone = [identity for identity in fail_to_pass if identity not in report.outcomes and changed(identity)]
    if report.problem is not None or not failed:
        return Proven()
    return Proven(
        files={path: one.data for path, one in made.items()},
        fails=tuple(dict.fromkeys((*failed, *gone))),
        holds=tuple(identity for identity in required if report.outcomes.get(identity) == "passed"),
    )


def _both(one: Proven, other: Proven) -> Proven:
    fails, holds = set(other.fails), set(other.holds)
    return Proven(
        files=one.files,
        fails=tuple(identity for identity in one.fails if identity in fails),
        holds=tuple(identity for identity in one.holds if identity in holds),
    )
