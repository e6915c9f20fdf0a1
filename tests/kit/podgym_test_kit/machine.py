"""A plan's shell, run by the machine's own tools in other places than an image has."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from podgym.envs.build.plan import TOOLS, WORKDIR, BuildPlan
from podgym.verifiers.reports import ReportFile, parse_report
from podgym.verifiers.verdict import TestOutcome

__all__ = ["Machine"]

_OLD = 315_619_200


class Machine:
    """One command of tests, whose report is what it prints."""

    def __init__(
        self, folder: Path, plan: BuildPlan, files: Mapping[str, str], *, env: Mapping[str, str], kept: Mapping[str, Path] | None = None
    ) -> None:
        """`kept` are places of the image that stay elsewhere on this machine."""
        self.top, self.tools, self.plan = folder / "testbed", folder / "tools", plan
        self._files = files
        self._env = {"HOME": str(self.tools), "PATH": os.environ["PATH"], **env}
        self._places = {**(kept or {}), TOOLS: self.tools, WORKDIR: self.top}
        self.tools.mkdir()
        self.top.mkdir()

    def lay(self, files: Mapping[str, str]) -> None:
        for path, text in files.items():
            (self.top / path).parent.mkdir(parents=True, exist_ok=True)
            (self.top / path).write_text(text)

    def shell(self, script: str, env: Mapping[str, str]) -> subprocess.CompletedProcess[bytes]:
        moved = {name: self._moved(value) for name, value in env.items() if name not in ("PATH", "HOME")}
        own = {**self._env, **moved}
        return subprocess.run(["sh", "-c", self._moved(script)], cwd=self.top, env=own, capture_output=True, check=False)

    def _moved(self, text: str) -> str:
        for place, here in self._places.items():
            text = text.replace(place, str(here))
        return text

    def build(self) -> str:
        """The log of the installation."""
        self.lay({path: text for path, text in self._files.items() if path in self.plan.manifests})
        for step in self.plan.dependencies:
            assert (done := self.shell(step.run, {})).returncode == 0, done.stderr
        self.lay(self._files)
        # As in an archive, whose files are older than what is built from them.
        for path in self._files:
            os.utime(self.top / path, (_OLD, _OLD))
        for step in self.plan.install:
            assert (done := self.shell(step.run, {})).returncode == 0, done.stderr
        log = self.tools / "install.log"
        return log.read_text() if log.exists() else ""

    def test(self) -> tuple[int, dict[str, TestOutcome]]:
        """The exit code, and outcomes by id."""
        (command,) = self.plan.tests
        assert command.report is not None
        done = self.shell(command.script, dict(command.env))
        report = parse_report(command.report.format, [ReportFile(done.stdout, "")])
        assert not report.disagreement
        return done.returncode, dict(report.outcomes)
