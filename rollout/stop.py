"""Ends a run from another process, and removes what a run that was killed left behind.

A driver that lives gets SIGTERM, which ends the run in order; a second one after a while, SIGKILL at last. Then everything the run's
state names is swept: its processes, its private Ray, its sandboxes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from podgym.errors import PodgymError
from podgym.rollout.checkpoints import sweep_unfinished
from podgym.rollout.driver import reap, sweep_run
from podgym.rollout.job import load_job
from podgym.rollout.watchdog import ProcessId
from podgym.traces.store import RunDir

__all__ = ["StopError", "StopReport", "stop_run"]


class StopError(PodgymError, RuntimeError):
    """A run that cannot be stopped from here."""


@dataclass(frozen=True, slots=True)
class StopReport:
    """What stopping took."""

    status: str
    """Of the run, afterwards."""
    signalled: bool
    """Its driver lived and was told to stop."""
    killed: int
    """Processes that had to be killed, the driver included."""
    sandboxes: int
    """Leftovers of sandboxes that were removed."""


def stop_run(run: RunDir, *, timeout_s: float = 60.0, second_s: float = 10.0) -> StopReport:
    """Stop `run` and leave nothing of it running. A run that has ended is only swept.

    The driver has `timeout_s` to end in order, `second_s` more to end in a hurry, and is then killed.

    Raises `StopError` for a run without a state and for one whose driver is on another machine.
    """
    state = run.state()
    if state is None:
        raise StopError(f"Run {run.id} has no state, so it never began.", remedy="Delete its folder if you like.")
    if state.status == "running" and state.host != socket.gethostname():
        raise StopError(f"Run {run.id} is driven by {state.host}.", remedy=f"Stop it on {state.host}.")
    signalled, killed = False, 0
    if state.status == "running" and state.pid is not None and not state.crashed:
        signalled = True
        killed += _end_driver(state.pid, state.pid_started, timeout_s, second_s)
    killed += sweep_run(run.state() or state)
    sweep_unfinished(run)
    job = load_job(run.job_path)
    with _entered(state.details.get("cwd")):
        sandboxes = asyncio.run(reap(job, run.id))
    after = run.state() or state
    if after.status == "running":
        after = after.model_copy(update={"status": "stopped", "ended_s": time.time(), "error": "The run's driver was killed."})
        run.write_state(after)
    return StopReport(status=after.status, signalled=signalled, killed=killed, sandboxes=sandboxes)


@contextlib.contextmanager
def _entered(folder: object) -> Iterator[None]:
    """Where the driver worked: what relative names in the provider's options are relative to. Here, where that is gone."""
    with contextlib.chdir(folder) if isinstance(folder, str) and Path(folder).is_dir() else contextlib.nullcontext():
        yield


def _end_driver(pid: int, started: int | None, timeout_s: float, second_s: float) -> int:
    """Returns 1 where it had to be killed."""
    for number, patience_s in ((signal.SIGTERM, timeout_s), (signal.SIGTERM, second_s), (signal.SIGKILL, 10.0)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            process = ProcessId.of(pid)
            if process is None or (started is not None and process.started != started):
                return int(number == signal.SIGKILL)
            time.sleep(0.05)
    raise StopError(f"The driver, process {pid}, does not end.", remedy="See what it waits for in the kernel (state D).")
