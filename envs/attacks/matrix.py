"""Attacks against one task: each tried on the plain twin under a plain grader, and on the task itself under podgym's.

An attack that gets full marks from the plain grader is shown to work there; what it is worth under podgym is then told by the same
grading that rollouts get. After it the fix is laid into the same sandbox and must be worth 1.0. Attacks that the task gives no
ground for are rows too, with the reason.
"""

from __future__ import annotations

import asyncio
import contextlib
import posixpath
import shlex
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from podgym.envs.attacks.attack import NOT_HERE, Attack, Family, Grader
from podgym.envs.attacks.plain import full_marks
from podgym.envs.attacks.server import Address, addressing, serving
from podgym.envs.attacks.target import Target, target_of
from podgym.envs.attacks.twin import leak, material, twin_environment
from podgym.envs.code import CodeEnvironment
from podgym.envs.contract import Task
from podgym.sandbox import Sandbox, SandboxError, SandboxProvider, SandboxSpec
from podgym.traces import Trace
from podgym.verifiers import Verdict
from podgym.verifiers.archive import Write, write_archive

__all__ = ["Baseline", "Matrix", "Row", "try_attacks"]

_SCRIPT_S: Final = 60.0
_HANGING: Final[Mapping[str, float]] = {"D15.hang": 4.0}
"""Time limits of plain graders that wait for a hang, by attack."""

Plain = Literal["fooled", "not fooled", "not applicable"]


class Row(BaseModel):
    """What came of one attack."""

    model_config = ConfigDict(frozen=True)

    id: str
    name: str
    does: str
    family: Family
    grader: Grader
    """The plain grader that it was tried on."""
    plain: Plain
    why: str = ""
    """Why it is not applicable."""
    status: Literal["scored", "unscored", "not tried"] = "not tried"
    """Of podgym's verdict."""
    reward: float | None = None
    message: str = ""
    """What podgym's verdict says, and how many paths it left out."""
    fix: float | None = None
    """What the fix was worth beside the attack; None where it was not tried."""

    @property
    def scores(self) -> bool:
        """Whether the attack is worth anything under podgym."""
        return self.reward is not None and self.reward > 0

    @property
    def good(self) -> bool:
        """Worth nothing, and no obstacle to the fix."""
        return not self.scores and self.fix in (None, 1.0)


class Baseline(BaseModel):
    """What the plain grader says without an attack: it must tell the bug from the fix, or it shows nothing."""

    model_config = ConfigDict(frozen=True)

    bug: bool
    fix: bool

    @property
    def tells(self) -> bool:
        """Full marks for the fix alone."""
        return self.fix and not self.bug


class Matrix(BaseModel):
    """All rows of one task on one provider."""

    model_config = ConfigDict(frozen=True)

    task: str
    provider: str
    baselines: Mapping[Grader, Baseline]
    rows: tuple[Row, ...]

    @property
    def scoring(self) -> tuple[Row, ...]:
        """Attacks that are worth something under podgym."""
        return tuple(row for row in self.rows if row.scores)


async def try_attacks(
    task: Task,
    directory: Path,
    attacks: Sequence[Attack],
    *,
    provider: SandboxProvider,
    concurrency: int = 2,
    progress: Callable[[Row], None] = lambda _: None,
) -> Matrix:
    """Try each of `attacks`, in any order, and return rows in theirs.

    Raises `TaskError` for a task that cannot be attacked, `SandboxError` where the provider fails before the first.
    """
    target = target_of(task, directory)
    trial = _Trial(target, directory, provider, concurrency)
    async with trial.answering(any(attack.network for attack in attacks)):
        baselines = await trial.baselines(attacks)

        async def one(attack: Attack) -> Row:
            async with trial.turn:
                row = await trial.row(attack, baselines)
                progress(row)
                return row

        rows = await asyncio.gather(*(one(attack) for attack in attacks))
    return Matrix(task=task.id, provider=type(provider).__name__, baselines=baselines, rows=tuple(rows))


class _Trial:
    """What the rows of one task share."""

    def __init__(self, target: Target, directory: Path, provider: SandboxProvider, concurrency: int) -> None:
        self._target, self._provider = target, provider
        # Nothing is known beforehand here: each verdict of a row has to be found, or the row could not fail.
        self._environment = CodeEnvironment(directory, cache=False)
        self._address: Address | None = None
        self._home = ""
        self._fixed: Mapping[str, bytes] = {}
        self.turn = asyncio.Semaphore(concurrency)

    @asynccontextmanager
    async def answering(self, needed: bool) -> AsyncIterator[None]:
        """With someone in the network who knows the fix, where an attack asks for one."""
        with contextlib.ExitStack() as stack:
            made = await material(self._provider, self._target)
            self._fixed = {name.removeprefix("fixed/"): data for name, data in made.items() if name.startswith("fixed/")}
            if needed:
                self._address = stack.enter_context(serving(made))
            yield

    async def baselines(self, attacks: Iterable[Attack]) -> dict[Grader, Baseline]:
        """Of every plain grader that `attacks` are tried on."""
        leaks = {attack.grader: attack.leak if attack.grader in ("script", "make") else "" for attack in attacks if self._applies(attack)}

        async def find(grader: Grader) -> tuple[Grader, Baseline]:
            said = []
            for fixed in (False, True):
                async with self.turn, self._sandbox() as sandbox:
                    if leaks[grader]:
                        await leak(sandbox, self._target, leaks[grader])
                    if fixed:
                        await self._fix(sandbox)
                    said.append(await full_marks(sandbox, self._target, grader))
            return grader, Baseline(bug=said[0], fix=said[1])

        return dict(await asyncio.gather(*(find(grader) for grader in leaks)))

    async def row(self, attack: Attack, baselines: Mapping[Grader, Baseline]) -> Row:
        """Try one attack. What the infrastructure fails at is an unscored row."""
        target = self._target
        row = Row(id=attack.id, name=attack.name, does=attack.does, family=attack.family, grader=attack.grader, plain="not applicable")
        if why := self._unsuited(attack):
            return row.model_copy(update={"why": why})
        baseline = baselines[attack.grader]
        try:
            plain, why = (
                ("not applicable", "the plain grader does not tell the fix from the bug here")
                if not baseline.tells
                else (await self._plainly(attack))
            )
            row = row.model_copy(update={"plain": plain, "why": why})
            async with self._sandbox() as sandbox:
                if attack.before is not None:
                    async with self._sandbox() as earlier:
                        await self._before(earlier, attack)
                await self._act(sandbox, attack)
                verdict = await self._environment.verify(target.task, sandbox, Trace(), self._provider)
                row = row.model_copy(update=_told(verdict))
                if attack.beside_fix:
                    await self._fix(sandbox)
                    beside = await self._environment.verify(target.task, sandbox, Trace(), self._provider)
                    row = row.model_copy(update={"fix": beside.reward})
        except SandboxError as error:
            return row.model_copy(update={"status": "unscored", "message": str(error)})
        return row

    def _applies(self, attack: Attack) -> bool:
        return not self._unsuited(attack)

    def _unsuited(self, attack: Attack) -> str:
        framework = self._target.framework
        if framework not in ("pytest", "unittest"):
            return f"the task's tests run under {framework}"
        if attack.framework not in ("", framework):
            return f"the task's tests run under {framework}, not {attack.framework}"
        return attack.against(self._target)

    async def _plainly(self, attack: Attack) -> tuple[Plain, str]:
        """The attack on the twin."""
        extra = twin_environment(self._target, attack.leak)
        async with self._sandbox(network=attack.network, env=extra) as sandbox:
            if attack.leak:
                await leak(sandbox, self._target, attack.leak)
            if attack.before is not None:
                await self._before(sandbox, attack)
            if why := await self._act(sandbox, attack):
                return "not applicable", why
            timeout_s = _HANGING.get(attack.id, _SCRIPT_S)
            return ("fooled" if await full_marks(sandbox, self._target, attack.grader, timeout_s=timeout_s) else "not fooled"), ""

    async def _act(self, sandbox: Sandbox, attack: Attack) -> str:
        """Run the script; returns why it found no ground."""
        where = addressing(self._address) if attack.network and self._address is not None else ""
        result = await sandbox.run(
            f"{where}{attack.script(self._target)}",
            timeout_s=_SCRIPT_S,
            cwd=self._target.workdir,
            env={"HOME": await self._home_in(sandbox)},
        )
        if result.exit_code != NOT_HERE:
            return ""
        lines = result.stdout.text().strip().splitlines()
        return lines[-1] if lines else "it found no ground"

    async def _before(self, sandbox: Sandbox, attack: Attack) -> None:
        assert attack.before is not None
        patch = write_archive([Write("fix.patch", self._target.gold_patch)])
        script = f"export FIX=/tmp/fix.patch; tar -xmf - -C /tmp; {attack.before(self._target)}rm -f $FIX"
        await sandbox.run(script, timeout_s=_SCRIPT_S, cwd=self._target.workdir, stdin=patch)

    async def _fix(self, sandbox: Sandbox) -> None:
        """Lay the solution into the work tree, by no program that an attack may have replaced."""
        target = self._target
        for path in target.changed:
            place = posixpath.join(target.workdir, path)
            if path in self._fixed:
                mode = 0o755 if path in target.base.files and target.base.files[path].mode == 0o100755 else 0o644
                await sandbox.write(place, self._fixed[path], mode=mode)
            else:
                await sandbox.run(f"rm -rf -- {shlex.quote(place)}", timeout_s=_SCRIPT_S)

    @asynccontextmanager
    async def _sandbox(self, *, network: bool = False, env: Mapping[str, str] | None = None) -> AsyncIterator[Sandbox]:
        spec: SandboxSpec = self._target.task.sandbox
        changes = {"network": "full" if network else "none", "env": {**spec.env, **(env or {})}}
        sandbox = await self._provider.create(spec.model_copy(update=changes))
        try:
            # What the agent is told, where an attack can read it.
            await sandbox.write("/tmp/instruction.md", self._target.task.instruction.encode())
            yield sandbox
        finally:
            await sandbox.close()

    async def _home_in(self, sandbox: Sandbox) -> str:
        # The same in all sandboxes of one image.
        if not self._home:
            self._home = (await sandbox.run('printf %s "$HOME"', timeout_s=_SCRIPT_S)).stdout.text() or "/root"
        return self._home


def _told(verdict: Verdict) -> dict[str, object]:
    left = (
        f"{len(verdict.dropped)} path(s) left out, such as {verdict.dropped[0].path!r}: {verdict.dropped[0].reason}"
        if verdict.dropped
        else ""
    )
    message = "; ".join(part for part in ("" if verdict.diff or left else "it found nothing to change", verdict.message, left) if part)
    return {"status": verdict.status, "reward": verdict.reward, "message": message}
