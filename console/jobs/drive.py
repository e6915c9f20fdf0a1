"""The driver's process: `python -m podgym.console.jobs.drive`, started by `launch` or by a cluster's Jobs API.

On this machine the submission comes on standard input and the run's log takes all output; one JSON line on the descriptor that
`--tell` names says that the run is registered, or why it is not. On a cluster the submission comes in the environment, and all
output is the cluster's job log.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from podgym.console.jobs.steps import outcome_line, step_header, step_line
from podgym.console.jobs.submission import Submission
from podgym.errors import PodgymError
from podgym.rollout.report import RunSummary, StepReport
from podgym.rollout.runlog import FORMAT
from podgym.traces.store import RunDir, RunStore

__all__ = ["VARIABLE", "drive", "main"]

VARIABLE = "PODGYM_SUBMISSION"
_log = logging.getLogger("podgym.console.jobs")


def drive(
    submission: Submission,
    *,
    on_start: Callable[[RunDir], None] | None = None,
    on_step: Callable[[StepReport], None] | None = None,
) -> RunSummary:
    """Run the submission's job in this process. Raises what `run_job` raises."""
    from podgym.rollout.driver import run_job

    submission.enter()
    job, run = submission.open_job()

    def started(begun: RunDir) -> None:
        submission.save(begun)
        if on_start is not None:
            on_start(begun)

    header = [step_header()]

    def stepped(report: StepReport) -> None:
        for line in (*header, step_line(report)):
            _log.info("%s", line)
        header.clear()
        if on_step is not None:
            on_step(report)

    return run_job(
        job,
        RunStore(submission.directory),
        resume=run,
        run_id=None if run is not None else submission.run_id,
        on_start=started,
        on_step=stepped,
    )


def main() -> int:
    """Returns the exit code: 0 for a run that finished."""
    parser = argparse.ArgumentParser(prog="podgym.console.jobs.drive")
    parser.add_argument("--tell", type=int, help="descriptor to tell on; without it the submission is in the environment")
    tell: int | None = parser.parse_args().tell
    if tell is None:
        submission = Submission.model_validate_json(os.environ.pop(VARIABLE))
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(logging.Formatter(FORMAT))
        logging.getLogger("podgym").addHandler(handler)
    else:
        submission = Submission.model_validate_json(sys.stdin.buffer.read())

    caller = _Caller(tell)

    def registered(run: RunDir) -> None:
        if tell is not None:
            _redirect(run.log_path)
            caller.tell({"run": run.id})

    try:
        summary = drive(submission, on_start=registered)
    except PodgymError as error:
        caller.tell({"error": error.message, "remedy": error.remedy})
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - the log
        return 1
    print(outcome_line(summary))  # noqa: T201 - the log
    return 0 if summary.status == "finished" else 1


def _redirect(log: Path) -> None:
    """From here on all output goes to the run's log, which outlives the terminal."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
    finally:
        os.close(descriptor)


class _Caller:
    """Who waits on the other end of a descriptor, if anybody. Told once: the number may be another file's afterwards."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor

    def tell(self, message: dict[str, Any]) -> None:
        """Whoever listened may have gone."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return
        with contextlib.suppress(OSError):
            os.write(descriptor, json.dumps(message).encode() + b"\n")
        with contextlib.suppress(OSError):
            os.close(descriptor)


if __name__ == "__main__":
    sys.exit(main())
