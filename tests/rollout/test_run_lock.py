from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from podgym.rollout.driver import run_job
from podgym.rollout.job import parse_job
from podgym.rollout.progress import ResumeError
from podgym.rollout.runlock import holding
from podgym.traces.errors import TraceStoreError
from podgym.traces.store import RunState, RunStore

HOLD = """
import sys, time
from podgym.rollout.runlock import holding
from podgym.traces.store import RunDir
from pathlib import Path
with holding(RunDir(Path(sys.argv[1]))):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_run_has_one_driver_until_that_is_gone(tmp_path: Path):
    """The state says `stopped`, as it does until a driver that was just started has written its own."""
    store = RunStore(tmp_path)
    run = store.create("held")
    run.write_state(RunState(status="stopped"))
    job = parse_job({"environment": {"type": "code"}}, origin="test")
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(run.path)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(ResumeError, match=f"Run {run.id} is driven by process {process.pid} on ") as refused:
            run_job(job, store, resume=run)
        assert f"podgym job stop {run.id}" in refused.value.remedy
        assert run.state() == RunState(status="stopped"), "nothing of the run is touched"
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    with holding(run), pytest.raises(ResumeError, match=f"process {os.getpid()} on"), holding(run):
        pass
    with holding(run):
        pass


def test_file_systems_that_cannot_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    run = RunStore(tmp_path).create("held")

    def refused(number: int) -> Any:
        def flock(*_: object) -> None:
            raise OSError(number, os.strerror(number))

        return flock

    monkeypatch.setattr(fcntl, "flock", refused(errno.ENOLCK))
    with holding(run):
        assert "has no locks" in caplog.text
    monkeypatch.setattr(fcntl, "flock", refused(errno.EIO))
    with pytest.raises(TraceStoreError, match="cannot be locked"), holding(run):
        pass
    with pytest.raises(TraceStoreError, match="cannot be opened"), holding(type(run)(tmp_path / "gone")):
        pass
