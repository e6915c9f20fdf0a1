"""The weights of a run on disk: which are the newest, and saving those of the present step."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from podgym.rollout.ending import RunFailed
from podgym.rollout.fleet import Fleet
from podgym.rollout.job import JobConfig
from podgym.rollout.progress import Checkpoint
from podgym.traces.store import RunDir

__all__ = ["Checkpoints", "sweep_unfinished"]


def sweep_unfinished(run: RunDir) -> None:
    """Remove what a policy that died while it saved has left beside the checkpoints."""
    for leftover in run.checkpoints_path.glob(".*"):
        shutil.rmtree(leftover, ignore_errors=True)


class Checkpoints:
    """`latest` is None until the run has saved weights of its own."""

    def __init__(self, job: JobConfig, run: RunDir, fleet: Fleet, latest: Checkpoint | None) -> None:
        self._job, self._run, self._fleet = job, run, fleet
        self.latest = latest

    @property
    def version(self) -> int:
        """Of the newest weights on disk."""
        return self.latest.version if self.latest is not None else 0

    @property
    def step(self) -> int:
        """Of the newest weights on disk."""
        return self.latest.step if self.latest is not None else 0

    @property
    def path(self) -> Path | None:
        """What the policy starts from: the newest, or the job's own."""
        return self._job.policy.checkpoint if self.latest is None else self._run.path / self.latest.path

    async def save(self, step: int) -> None:
        """Write the weights of `step`, unless they are there. Raises `ActorLost`, `RunFailed`."""
        if self._job.train is None or step in (0, self.step):
            return
        name = f"step-{step:06d}"
        try:
            saving = self._fleet.save(str(self._run.checkpoints_path.absolute() / name))
            version = await asyncio.wait_for(saving, self._job.run.stall_s)
        except TimeoutError:
            raise RunFailed(
                f"The checkpoint {name} was not written within {self._job.run.stall_s:g} s.", remedy="See what the disk waits for."
            ) from None
        self.latest = Checkpoint(path=f"checkpoints/{name}", version=version, step=step)
