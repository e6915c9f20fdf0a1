"""Decoys of a task: made from its hidden tests, and kept as far as the gold fix shows that they work."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from podgym.envs.build.running import run_commands
from podgym.envs.build.states import Overlay
from podgym.envs.harbor.layout import TESTS
from podgym.sandbox import SandboxProvider, SandboxSpec
from podgym.verifiers import Decoys, HiddenFile, TestCommand, TestReport
from podgym.verifiers.archive import Write
from podgym.verifiers.decoys import prove_decoys

__all__ = ["DECOYS", "MadeDecoys", "make_decoys"]

DECOYS: Final = f"{TESTS}/decoys"


@dataclass(frozen=True, slots=True)
class MadeDecoys:
    """What goes into the plan, and the files by path."""

    plan: Decoys | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)
    note: str = ""
    """Why there are none."""


async def make_decoys(
    provider: SandboxProvider,
    spec: SandboxSpec,
    commands: Sequence[TestCommand],
    *,
    tests: Overlay,
    fix: Overlay,
    inline: Collection[str] = (),
    fail_to_pass: Sequence[str],
    pass_to_pass: Sequence[str],
) -> MadeDecoys:
    """Decoys for the tests that the fix turns; of the files in `inline` the tests are only a part. Raises `SandboxError`."""

    async def run(changed: Mapping[str, bytes]) -> TestReport:
        writes = tuple(Write(one.path, changed.get(one.path, one.data), one.mode) for one in tests.writes)
        overlay = fix.then(Overlay(writes, tests.removals))
        return await run_commands(provider, spec, commands, overlay)

    proven = await prove_decoys(
        run,
        {write.path: write.data for write in tests.writes},
        fail_to_pass=fail_to_pass,
        pass_to_pass=pass_to_pass,
        cwd=commands[0].cwd,
        salt=_digest(fix),
    )
    if not proven.fails:
        return MadeDecoys(note=proven.note)
    return MadeDecoys(
        plan=Decoys(
            files=tuple(
                HiddenFile(
                    path=write.path,
                    source=f"{DECOYS}/{write.path}",
                    executable=write.mode & 0o111 != 0,
                    inline=write.path in inline,
                    sha256=hashlib.sha256(proven.files[write.path]).hexdigest(),
                )
                for write in tests.writes
                if write.path in proven.files
            ),
            fails=proven.fails,
            holds=proven.holds,
        ),
        files=proven.files,
    )


def _digest(fix: Overlay) -> bytes:
    """Of what no sandbox that runs an agent's code ever has."""
    digest = hashlib.sha256()
    for write in sorted(fix.writes, key=lambda write: write.path):
        digest.update(b"%d\0%s\0%d\0" % (len(write.path), write.path.encode("utf-8", "surrogateescape"), len(write.data)) + write.data)
    return digest.digest()
