"""Where builds run: here, or as Ray tasks on whatever machines a cluster has."""

from __future__ import annotations

from typing import Protocol

from podgym.envs.build.funnel.child import Progress, run_job
from podgym.envs.build.funnel.job import Job
from podgym.envs.build.report import BuildReport

__all__ = ["HerePool", "Pool"]


class Pool(Protocol):
    """Makes builds, as many at once as it is asked for: how many that may be is the funnel's to keep."""

    async def build(self, job: Job, progress: Progress) -> BuildReport:
        """The report of one build; never raises for what a build does or suffers."""
        ...


class HerePool:
    """Builds are processes of this machine, watched by this one."""

    async def build(self, job: Job, progress: Progress) -> BuildReport:
        """See `Pool.build`."""
        return await run_job(job, progress)
