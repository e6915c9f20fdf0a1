"""The process of one build: a job as a line of JSON on standard input, progress as lines on standard output, the report in a file.

It ends itself where its standard input does: then whoever started it is gone. SIGTERM ends it in order, sandboxes closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading

from podgym.envs.build import BuildOptions, build_task
from podgym.envs.build.errors import BuildError
from podgym.envs.build.funnel.job import OUT, REPORT, Job
from podgym.envs.build.report import BuildReport
from podgym.errors import PodgymError
from podgym.sandbox.providers import open_provider

__all__ = ["main"]


def main() -> None:
    """Build, write the report, exit 0; anything else is a build without a report."""
    said = sys.stdin.buffer
    job = Job.model_validate_json(said.readline())
    threading.Thread(target=_end_with, args=(said.fileno(), job.bounds.goodbye_s), daemon=True).start()
    report = asyncio.run(_build(job))
    staging = job.work / f"{REPORT}.new"
    staging.write_text(report.model_dump_json(), encoding="utf-8")
    staging.replace(job.work / REPORT)
    sys.stdout.flush()
    # A thread that nothing can interrupt (a long read of a repository, say) must not keep what is done from ending.
    os._exit(0)


async def _build(job: Job) -> BuildReport:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        provider = open_provider(*job.provider)
    except PodgymError as error:
        return _failed(job, BuildError(error.message, stage="image", reason="sandbox", remedy=error.remedy))
    try:
        return await build_task(
            job.source,
            job.commit,
            job.work / OUT,
            provider=provider,
            issue=job.issue,
            name=job.name,
            options=BuildOptions.model_validate(job.options),
            progress=_say,
        )
    finally:
        # What the end of a sandbox raises changes nothing in what was built.
        with contextlib.suppress(PodgymError):
            await provider.close()


def _failed(job: Job, error: BuildError) -> BuildReport:
    return BuildReport(status="failed", stage=error.stage, reason=error.reason, message=str(error), source=job.source, commit=job.commit)


def _say(text: str) -> None:
    with contextlib.suppress(OSError):
        sys.stdout.write(" ".join(text.split()) + "\n")
        sys.stdout.flush()


def _end_with(stdin: int, goodbye_s: float) -> None:
    while os.read(stdin, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(goodbye_s)
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    main()
