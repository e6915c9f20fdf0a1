"""Jobs on a Ray cluster, through its Jobs API: the driver runs there, with this podgym, and keeps its run on a path that all nodes
share. A run's id is its submission's id; a resumed run has the number of its life behind it.
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from pydantic import BaseModel, ConfigDict
from ray.exceptions import RayError
from ray.job_submission import JobDetails, JobStatus, JobSubmissionClient

from podgym.console.jobs.drive import VARIABLE
from podgym.console.jobs.errors import SubmitError
from podgym.console.jobs.shipping import ship_podgym
from podgym.console.jobs.submission import Submission

__all__ = ["ClusterJob", "ClusterJobs"]

_STOP_S = 60
_ENDED = (JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.STOPPED)


class ClusterJob(BaseModel):
    """A job as the cluster knows it."""

    model_config = ConfigDict(frozen=True)

    run_id: str
    submission_id: str
    status: str
    """`pending`, `running`, `succeeded`, `failed` or `stopped`."""
    message: str
    directory: str
    """Of all runs, on the cluster."""
    cwd: str
    started_s: float | None
    ended_s: float | None

    @property
    def ended(self) -> bool:
        """Whether it is over."""
        return self.status in {status.value.lower() for status in _ENDED}


class ClusterJobs:
    """Raises `SubmitError` for a cluster that cannot be reached, and for what it refuses."""

    def __init__(self, address: str) -> None:
        """`address` is the dashboard's, `http://` understood where it has no scheme."""
        self.address = address
        logging.getLogger("ray").setLevel(logging.WARNING)
        with self._telling("cannot be reached"):
            self._client = JobSubmissionClient(address if "://" in address else f"http://{address}")

    def submit(self, submission: Submission, *, modules: Sequence[Path] = (), python: str = "python") -> ClusterJob:
        """Start a driver. `modules` are folders of packages that the job needs beside podgym."""
        for module in modules:
            if not module.is_dir():
                raise SubmitError(f"{module} is no folder.", remedy="Name the folder of a package, the one with its __init__.py.")
        with tempfile.TemporaryDirectory(prefix="podgym-wheel-") as scratch:
            folders = [*ship_podgym(Path(scratch)), *modules]
            environment = {VARIABLE: submission.model_dump_json(exclude_none=True), "RAY_JOB_STOP_WAIT_TIME_S": str(_STOP_S)}
            earlier = len(self._lives(submission.run_id)) if submission.resumes else 0
            with self._telling("does not take the job"):
                started = self._client.submit_job(
                    entrypoint=f"{python} -P -m podgym.console.jobs.drive",
                    submission_id=f"{submission.run_id}.{earlier + 1}" if submission.resumes else submission.run_id,
                    runtime_env={"py_modules": [str(folder) for folder in folders], "env_vars": environment},
                    metadata={"podgym_run": submission.run_id, "podgym_directory": str(submission.directory), "podgym_cwd": submission.cwd},
                )
        return next(job for job in self._lives(submission.run_id) if job.submission_id == started)

    def jobs(self) -> list[ClusterJob]:
        """The latest life of each run, newest first."""
        latest: dict[str, ClusterJob] = {}
        for job in self._all():
            latest[job.run_id] = job
        return sorted(latest.values(), key=lambda job: job.run_id, reverse=True)

    def find(self, prefix: str) -> ClusterJob:
        """By a unique prefix of the run's id."""
        if not prefix.strip():
            raise SubmitError("An empty id names no job.", remedy=f"`podgym job list --address {self.address}` shows what there is.")
        jobs = self.jobs()
        found = [job for job in jobs if job.run_id == prefix] or [job for job in jobs if job.run_id.startswith(prefix)]
        if len(found) != 1:
            some = ", ".join(job.run_id for job in found[:5])
            raise SubmitError(
                f"{len(found)} jobs on {self.address} fit {prefix!r}" + (f": {some}." if found else "."),
                remedy="Give more of the id." if found else f"`podgym job list --address {self.address}` shows what there is.",
            )
        return found[0]

    def logs(self, job: ClusterJob, *, follow: bool = False, every_s: float = 1.0) -> Iterator[str]:
        """What the job wrote; with `follow` until it ends."""
        shown = 0
        while True:
            ended = not follow or self.find(job.run_id).ended
            with self._telling("does not give the log"):
                text = self._client.get_job_logs(job.submission_id)
            yield text[shown:]
            shown = len(text)
            if ended:
                return
            time.sleep(every_s)

    def stop(self, job: ClusterJob, *, timeout_s: float) -> ClusterJob:
        """Tell every driver of the run to stop, and wait until they have. Raises `SubmitError` where they have not within `timeout_s`."""
        for life in self._lives(job.run_id):
            if not life.ended:
                with self._telling("does not stop the job"):
                    self._client.stop_job(life.submission_id)
        return self.wait(job, timeout_s=timeout_s)

    def wait(self, job: ClusterJob, *, timeout_s: float) -> ClusterJob:
        """The latest life of the job's run once all of them are over."""
        deadline = time.monotonic() + timeout_s
        while True:
            lives = self._lives(job.run_id)
            if all(life.ended for life in lives):
                return lives[-1] if lives else job
            if time.monotonic() > deadline:
                raise SubmitError(f"Job {job.run_id} has not ended within {timeout_s:g} s.", remedy="Ask again, or look at its log.")
            time.sleep(0.5)

    def check_resumable(self, job: ClusterJob) -> None:
        """Raises `SubmitError` while a driver of the job's run has not ended, and for a run that has finished."""
        for life in self._lives(job.run_id):
            if not life.ended:
                raise SubmitError(
                    f"Run {job.run_id} is {life.status} on {self.address}, as {life.submission_id}.",
                    remedy=f"Stop it first: podgym job stop {job.run_id} --address {self.address}",
                )
            if life.status == JobStatus.SUCCEEDED.value.lower():
                raise SubmitError(f"Run {job.run_id} is finished.", remedy="Submit a new job.")

    def _lives(self, run_id: str) -> list[ClusterJob]:
        return [job for job in self._all() if job.run_id == run_id]

    def _all(self) -> list[ClusterJob]:
        """Oldest first; jobs of others are left out."""
        with self._telling("does not list its jobs"):
            details = self._client.list_jobs()
        return [_job(one) for one in sorted(details, key=lambda one: one.start_time or 0) if "podgym_run" in (one.metadata or {})]

    @contextmanager
    def _telling(self, what: str) -> Iterator[None]:
        try:
            yield
        except (ConnectionError, RuntimeError, ValueError, requests.RequestException, RayError) as error:
            reason = " ".join(str(error).split())[:500]
            raise SubmitError(
                f"The Ray cluster at {self.address} {what}: {reason}",
                remedy="Give the address of its dashboard, such as http://head:8265, and see that `ray status` works there.",
            ) from error


def _job(details: JobDetails) -> ClusterJob:
    metadata: dict[str, Any] = details.metadata or {}
    return ClusterJob(
        run_id=metadata["podgym_run"],
        submission_id=details.submission_id or "",
        status=details.status.value.lower(),
        message=details.message or "",
        directory=metadata.get("podgym_directory", ""),
        cwd=metadata.get("podgym_cwd", ""),
        started_s=_seconds(details.start_time),
        ended_s=_seconds(details.end_time),
    )


def _seconds(milliseconds: int | None) -> float | None:
    return None if not milliseconds else milliseconds / 1000
