"""One project in sandboxes of the local provider: what its plain grader says, and what podgym says.

The plan has decoys, made as those of built tasks are: from the hidden tests, and proven with the fix.
"""

from __future__ import annotations

import asyncio
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from language_cheats.project import CACHE, Cheat, Project

from podgym.sandbox import Copy, ImageRecipe, Limits, Sandbox, SandboxSpec
from podgym.sandbox.local import LocalConfig, LocalProvider
from podgym.verifiers import BaseTree, Change, Decoys, GradingPlan, HiddenFile, TestReport, Verdict, run_plan, verify_change
from podgym.verifiers.archive import Write, write_archive
from podgym.verifiers.decoys import Proven, prove_decoys
from podgym.verifiers.protection import accept

__all__ = ["Arena", "Outcome"]

WORKDIR = "/testbed"


@dataclass(frozen=True)
class Outcome:
    """Of one cheat."""

    plain: int
    """Exit code of the plain grader."""
    log: str
    verdict: Verdict
    fix: Verdict


class Arena:
    """A provider and a task; `close` it in the loop that used it."""

    def __init__(self, project: Project, folder: Path) -> None:
        self.project = project
        self._fix: Verdict | None = None
        self.files = {path: text.encode() for path, text in project.hidden.items()}
        context = folder / "context"
        context.mkdir(parents=True)
        (context / "repo.tar").write_bytes(write_archive(_writes(project.base)))
        for number, path in enumerate(project.tools.values()):
            target = context / "tools" / str(number) / path.name
            target.parent.mkdir(parents=True)
            if path.is_dir():
                shutil.copytree(path, target, symlinks=True)
            else:
                shutil.copy(path, target)
        recipe = ImageRecipe(
            base="host",
            workdir=WORKDIR,
            env=dict(project.env),
            before_copies=tuple(copy for copy in project.copies if not copy.target.startswith(WORKDIR)),
            before=project.before,
            copies=(Copy(source="repo.tar", target=WORKDIR), *(copy for copy in project.copies if copy.target.startswith(WORKDIR))),
            after=project.after,
            writable=(CACHE, "/opt/tools"),
        )
        self.spec = SandboxSpec(
            image=f"cheats/{project.language}",
            recipe=recipe,
            context=str(context),
            workdir=WORKDIR,
            env=dict(project.env),
            limits=Limits(memory_bytes=3 << 30, processes=512, disk_bytes=2 << 30),
            network="none",
        )
        self.base = BaseTree.from_tar(context / "repo.tar")
        self.plan = GradingPlan(
            tests=(project.command,),
            fail_to_pass=project.fail_to_pass,
            pass_to_pass=project.pass_to_pass,
            hidden=tuple(HiddenFile(path=path, source=path) for path in project.hidden),
            editable=tuple(project.fix),
        )
        defaults = LocalConfig.model_fields["expose"].default
        self.provider = LocalProvider(
            LocalConfig(
                isolation="require",
                expose=(*defaults, *project.expose),
                cache=folder / "images",
                scratch=folder / "scratch",
                storage="disk",
            )
        )

    async def warm(self) -> None:
        """Make the image and the decoys, so that no test's time is that. Raises `IsolationError`."""
        await (await self.provider.create(self.spec)).close()
        proven = await self.prove()
        assert proven.fails, proven.note
        self.files |= {f"decoys/{path}": data for path, data in proven.files.items()}
        decoys = Decoys(
            files=tuple(HiddenFile(path=path, source=f"decoys/{path}") for path in proven.files), fails=proven.fails, holds=proven.holds
        )
        self.plan = self.plan.model_copy(update={"decoys": decoys})

    async def prove(self) -> Proven:
        """Decoys of the hidden tests."""
        change = Change.of({path: text.encode() for path, text in self.project.fix.items()}, base=self.base)
        accepted = accept(change, hidden=set(self.project.hidden), editable=tuple(self.project.fix))

        async def run(changed: Mapping[str, bytes]) -> TestReport:
            files = {**self.files, **changed}
            plan = self.plan.model_copy(update={"decoys": None})
            (report,) = await run_plan(plan, spec=self.spec, provider=self.provider, files=files.__getitem__, accepted=accepted)
            return report

        return await prove_decoys(
            run, self.files, fail_to_pass=self.plan.fail_to_pass, pass_to_pass=self.plan.pass_to_pass, salt=b"of the fix"
        )

    async def close(self) -> None:
        await self.provider.close()

    async def try_cheat(self, cheat: Cheat) -> Outcome:
        """The plain grader and podgym on the cheat, and podgym on the fix beside it, each in a sandbox of its own."""
        (plain, log), verdict, fix = await asyncio.gather(self.plain(cheat), self.ours(cheat), self._fixed(cheat))
        return Outcome(plain, log, verdict, fix)

    async def _fixed(self, cheat: Cheat) -> Verdict:
        """With the cheat in place; of those that the fix replaces nothing is left, so that they share one verdict."""
        if cheat.beside_fix and (cheat.script or not cheat.files.keys() <= self.project.fix.keys()):
            return await self.ours(cheat, self.project.fix)
        if self._fix is None:
            self._fix = await self.ours(None, self.project.fix)
        return self._fix

    async def plain(self, cheat: Cheat | None, fix: Mapping[str, str] | None = None) -> tuple[int, str]:
        """Hidden tests copied into the agent's own sandbox, the exit code believed."""
        sandbox = await self._sandbox(cheat, fix)
        try:
            command = self.project.command
            script = command.script.replace("{targets}", shlex.join(command.targets)).replace("{report}", "/tmp/report")
            settings = "".join(f"export {name}={shlex.quote(value)}; " for name, value in command.env.items())
            result = await sandbox.run(
                f"tar -xmof -; [ ! -f /root/.profile ] || . /root/.profile; {settings}exec sh -c {shlex.quote(script)} </dev/null",
                timeout_s=command.timeout_s,
                stdin=write_archive(_writes(self.project.hidden)),
            )
            return result.exit_code, result.stdout.text() + result.stderr.text()
        finally:
            await sandbox.close()

    async def ours(self, cheat: Cheat | None, fix: Mapping[str, str] | None = None) -> Verdict:
        """What podgym makes of the agent's sandbox."""
        sandbox = await self._sandbox(cheat, fix)
        try:
            return await verify_change(
                sandbox, self.plan, base=self.base, spec=self.spec, provider=self.provider, files=self.files.__getitem__
            )
        finally:
            await sandbox.close()

    async def _sandbox(self, cheat: Cheat | None, fix: Mapping[str, str] | None) -> Sandbox:
        """The agent's, after its work."""
        sandbox = await self.provider.create(self.spec)
        if cheat is not None and (fix is None or cheat.beside_fix):
            archive = write_archive(_writes({path.removeprefix("/"): text for path, text in cheat.files.items() if path[0] == "/"}))
            local = write_archive(_writes({path: text for path, text in cheat.files.items() if path[0] != "/"}))
            done = [
                await sandbox.run("tar -xmof - -C /", timeout_s=60, stdin=archive),
                await sandbox.run("tar -xmof -", timeout_s=60, stdin=local),
                await sandbox.run(cheat.script or ":", timeout_s=120),
            ]
            assert all(result.exit_code == 0 for result in done), [result.stderr.text() for result in done]
        if fix is not None:
            await sandbox.run("tar -xmof -", timeout_s=60, stdin=write_archive(_writes(fix)))
        return sandbox


def _writes(files: Mapping[str, str]) -> list[Write]:
    return [Write(path, text.encode(), 0o100755 if text.startswith("#!") else 0o100644) for path, text in files.items()]
