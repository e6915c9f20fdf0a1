"""Builds as Ray tasks, on the Ray that this process has started or joined.

A task starts the build's process on its machine and watches it there; a task that is lost with its machine is a row like any other. Each
reserves its share of the cluster's processors, so that Ray spreads them over the machines, and none is retried by Ray: whether to
build again is for the next run of the funnel.
"""

from __future__ import annotations

import asyncio
from typing import Any

import ray
from ray.exceptions import RayError

from podgym.envs.build.funnel.child import Progress, run_job
from podgym.envs.build.funnel.job import Job
from podgym.envs.build.funnel.row import lost_report
from podgym.envs.build.report import BuildReport

__all__ = ["RayPool"]

_AROUND_S = 300.0
"""For a task to be placed, and for its build to be cleared away after its time is up."""


class RayPool:
    """`workers` is how many builds run at once at most; the funnel keeps to it."""

    def __init__(self, workers: int) -> None:
        cpus = float(ray.cluster_resources().get("CPU", 1.0))
        self._task: Any = ray.remote(num_cpus=min(1.0, cpus / workers), max_retries=0, max_calls=1, scheduling_strategy="SPREAD")(_run)

    async def build(self, job: Job, progress: Progress) -> BuildReport:
        """See `Pool.build`. Progress inside of a build is not told."""
        progress("waiting for a machine")
        reference = self._task.remote(job.model_dump_json())
        try:
            said: str = await asyncio.wait_for(_result(reference), job.bounds.timeout_s + job.bounds.goodbye_s + _AROUND_S)
        except RayError as error:
            return lost_report(job.source, job.commit, "lost", f"The machine or the worker of this build was lost: {_first(error)}.")
        except TimeoutError:
            await asyncio.to_thread(ray.cancel, reference, force=True)
            return lost_report(job.source, job.commit, "lost", "The worker of this build did not answer in time.")
        except asyncio.CancelledError:
            ray.cancel(reference, force=True)
            raise
        return BuildReport.model_validate_json(said)


async def _result(reference: Any) -> str:
    return str(await reference)


def _run(job: str) -> str:
    """In Ray's worker."""
    return asyncio.run(run_job(Job.model_validate_json(job))).model_dump_json()


def _first(error: Exception) -> str:
    return " ".join(str(error).split())[:300].rstrip(".")
