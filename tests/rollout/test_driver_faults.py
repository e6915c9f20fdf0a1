"""What a run survives, with the driver as a process of its own, a private Ray and real sandboxes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from podgym.rollout.leftovers import PREFIX, Guard, processes_of, sweep
from podgym.rollout.stop import StopError, stop_run
from podgym.rollout.watchdog import ProcessId
from podgym.traces.errors import TraceCorrupt
from podgym.traces.file import read_trace
from podgym.traces.index.rebuild import rebuild_index
from podgym.traces.store import RunDir, RunState, RunStore

KIT = Path(__file__).parent / "kit"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


class Process:
    """A driver and what it says."""

    def __init__(self, job: Path, *more: str, new_group: bool = True) -> None:
        environment = {**os.environ, "PYTHONPATH": str(KIT)}
        self.lines: list[str] = []
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "podgym_rollout_kit_main", str(job), *more],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
            start_new_session=new_group,
        )
        self.pid = self.popen.pid

    def until(self, start: str) -> str:
        assert self.popen.stdout is not None
        for line in self.popen.stdout:
            self.lines.append(line.rstrip("\n"))
            if line.startswith(start):
                return self.lines[-1]
        raise AssertionError(f"never said {start!r}:\n" + "\n".join(self.lines))

    def end(self, *, timeout_s: float = 90.0) -> int:
        assert self.popen.stdout is not None
        self.lines += self.popen.stdout.read().splitlines()
        return self.popen.wait(timeout_s)

    def summary(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(next(line for line in self.lines if line.startswith("summary")).removeprefix("summary "))
        return found


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    started: list[Process] = []

    def begin(*more: str, **sections: Any) -> Process:
        path = tmp_path / "job.toml"
        whole = {
            "run": {"directory": str(tmp_path / "runs"), "checkpoint_every_steps": 1},
            "environment": {"type": "podgym_rollout_kit:Guessing", "options": {"look": True}},
            "sandbox": {"provider": "local", "concurrency": 8, "workers": 2, "options": {"scratch": str(tmp_path / "scratch")}},
            "policy": {"kind": "podgym_rollout_kit:Learning", "options": {"delay_s": 0.05}},
            "train": {"steps": 4, "group_size": 4, "groups_per_step": 2},
        }
        path.write_text(tomli_w.dumps({key: value for key, value in {**whole, **sections}.items() if value is not None}))
        started.append(Process(path, *more))
        return started[-1]

    yield begin
    for process in started:
        if process.popen.poll() is None:
            process.popen.kill()
            process.popen.wait()
        assert process.popen.stdout is not None
        process.popen.stdout.close()


def only_run(tmp_path: Path) -> RunDir:
    (run,) = RunStore(tmp_path / "runs").runs()
    return run


def state_of(run: RunDir) -> RunState:
    state = run.state()
    assert state is not None
    return state


def nothing_left(tmp_path: Path, state: RunState) -> bool:
    """No process of the run, no Ray folder, no scratch folder."""
    processes = [ProcessId(**entry) for entry in state.details.get("processes", {}).values()]
    folder = Path(state.details["ray_folder"])
    scratch = tmp_path / "scratch"
    return (
        not any(process.runs for process in processes)
        and not folder.exists()
        and not processes_of(folder)
        and not (scratch.exists() and any(scratch.iterdir()))
    )


def until(condition: Callable[[], bool], *, timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def test_a_killed_driver_leaves_nothing_and_its_run_goes_on(tmp_path: Path, start: Callable[..., Process]):
    process = start()
    process.until("step 2")
    run = only_run(tmp_path)
    state = state_of(run)
    os.kill(process.pid, signal.SIGKILL)
    process.end()
    assert run.status() == "crashed"
    until(lambda: not any(ProcessId(**entry).runs for entry in state.details["processes"].values()), timeout_s=15)
    until(lambda: not Path(state.details["ray_folder"]).exists(), timeout_s=30)

    indexed, unreadable = rebuild_index(run)
    assert indexed > 8
    assert all("Created" in line or "first event" in line for line in unreadable), "every trace file with a whole frame is readable"
    report = stop_run(run)
    assert (report.status, report.signalled) == ("stopped", False)
    assert nothing_left(tmp_path, state)

    again = start(run.id)
    assert again.end() == 0
    summary = again.summary()
    assert (summary["status"], summary["steps"], summary["resumed"]) == ("finished", 4, 1)
    assert summary["lost"] == len(summary["lost_rollouts"]) > 0
    assert nothing_left(tmp_path, state_of(run))
    for path in run.trace_paths():
        try:
            read_trace(path)
        except TraceCorrupt:
            assert path.stat().st_size == 0, "a trace of which nothing was written yet when its worker was killed"


def test_stopping_from_another_process_leaves_nothing(tmp_path: Path, start: Callable[..., Process]):
    process = start(train={"steps": 1000, "group_size": 4, "groups_per_step": 2})
    process.until("step 2")
    run = only_run(tmp_path)
    report = stop_run(run)
    assert (report.status, report.signalled, report.killed, report.sandboxes) == ("stopped", True, 0, 0)
    assert process.end() == 0
    assert process.summary()["status"] == "stopped"
    assert nothing_left(tmp_path, state_of(run))
    assert stop_run(run).status == "stopped", "again changes nothing"


def test_ctrl_c_at_a_terminal_reaches_all_processes_and_still_ends_in_order(tmp_path: Path, start: Callable[..., Process]):
    process = start(train={"steps": 1000, "group_size": 4, "groups_per_step": 2})
    process.until("step 1")
    os.killpg(process.pid, signal.SIGINT)
    assert process.end() == 0, process.lines
    assert process.summary()["status"] == "stopped"
    run = only_run(tmp_path)
    assert nothing_left(tmp_path, state_of(run))
    assert "Traceback" not in "\n".join(process.lines)


def test_a_stop_while_ray_starts(tmp_path: Path, start: Callable[..., Process]):
    process = start()
    process.until("run")
    time.sleep(0.5)
    os.kill(process.pid, signal.SIGTERM)
    process.end()
    assert any(line.startswith("error RunStopped") or "stopped" in line for line in process.lines), process.lines
    assert only_run(tmp_path).status() == "stopped"
    assert not any(line.startswith("step") for line in process.lines)


def test_a_driver_that_does_not_listen_is_killed(tmp_path: Path, start: Callable[..., Process]):
    process = start()
    process.until("step 1")
    run = only_run(tmp_path)
    state = state_of(run)
    os.kill(process.pid, signal.SIGSTOP)
    report = stop_run(run, timeout_s=0.5, second_s=0.5)
    assert (report.status, report.signalled) == ("stopped", True)
    assert report.killed >= 1
    process.end()
    assert nothing_left(tmp_path, state)


def sandboxes_of(worker: int) -> list[int]:
    """The first process of each sandbox below `worker` in which a `sleep` runs."""
    parents: dict[int, int] = {}
    commands: dict[int, bytes] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                commands[int(entry.name)] = (entry / "cmdline").read_bytes()
            except OSError:
                continue
    found: list[int] = []
    for pid in [pid for pid, command in commands.items() if command.startswith(b"sleep\0")]:
        chain = [pid]
        while chain[-1] > 1 and chain[-1] != worker:
            chain.append(parents.get(chain[-1], 0))
        if chain[-1] == worker:
            found += [ancestor for ancestor in chain if b"inside" in commands[ancestor]][:1]
    return found


def test_killed_sandboxes_are_tried_elsewhere_and_then_masked(tmp_path: Path, start: Callable[..., Process]):
    process = start(
        policy={"kind": "scripted", "options": {"script": "podgym_rollout_kit:slow"}},
        environment={"type": "podgym_rollout_kit:Guessing", "options": {"tasks": 1}},
        train=None,
    )
    process.until("run")
    run = only_run(tmp_path)
    killed = 0
    deadline = time.monotonic() + 120
    while process.popen.poll() is None and time.monotonic() < deadline:
        for name, entry in state_of(run).details.get("processes", {}).items():
            for pid in sandboxes_of(entry["pid"]) if name.startswith("worker") else ():
                os.kill(pid, signal.SIGKILL)
                killed += 1
        time.sleep(0.2)
    assert process.end() == 0, process.lines
    summary = process.summary()
    assert killed >= 3
    assert summary["unscored_by_reason"] == {"sandbox_lost": 3}
    assert (summary["masked"], summary["solve_rate"], summary["status"]) == (1, None, "finished")
    assert nothing_left(tmp_path, state_of(run))


def test_a_killed_worker_is_replaced_and_its_sandboxes_are_gone_with_it(tmp_path: Path, start: Callable[..., Process]):
    """While the run goes on: what the dead worker left is not there until the end only."""
    process = start(train={"steps": 6, "group_size": 4, "groups_per_step": 2})
    process.until("step 2")
    run = only_run(tmp_path)
    first = state_of(run)
    victim = first.details["processes"]["worker-0"]["pid"]
    assert sandboxes_of(victim) or any(f".{victim}." in entry.name for entry in (tmp_path / "scratch").iterdir())
    os.kill(victim, signal.SIGKILL)
    process.until("step 6")
    second = state_of(run)
    replaced = second.details["processes"]["worker-0"]["pid"] != victim
    left = [entry.name for entry in (tmp_path / "scratch").iterdir() if f".{victim}." in entry.name]
    assert process.end() == 0, process.lines
    assert (replaced, left) == (True, [])
    summary = process.summary()
    assert (summary["status"], summary["steps"]) == ("finished", 6)
    assert summary["lost"] == len(summary["lost_rollouts"])
    assert set(summary["unscored_by_reason"]) <= {"sandbox_lost"}
    for state in (first, second):
        assert nothing_left(tmp_path, state)
    for path in run.trace_paths():
        if path.stat().st_size:
            read_trace(path)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with little room."""
    folder = tmp_path / "runs"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("needs the right to mount a small file system")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_stops_the_run_with_its_state_kept(tmp_path: Path, small_disk: Path, start: Callable[..., Process]):
    process = start(train={"steps": 10_000, "group_size": 4, "groups_per_step": 2}, run={"directory": str(small_disk)})
    assert process.end() == 1
    errors = [line for line in process.lines if line.startswith("error")]
    assert len(errors) == 1, "\n".join(process.lines[-40:])
    assert "No space left on device" in errors[0] or "disk is full" in errors[0]
    run = only_run(tmp_path)
    subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
    again = start(run.id, train={"steps": 10_000, "group_size": 4, "groups_per_step": 2}, run={"directory": str(small_disk)})
    again.until("step")
    os.kill(again.pid, signal.SIGTERM)
    assert again.end() == 0
    assert again.summary()["resumed"] == 1
    assert nothing_left(tmp_path, state_of(run))


def test_a_guard_sweeps_when_its_driver_dies(tmp_path: Path):
    folder = tmp_path / f"{PREFIX}0123"
    folder.mkdir()
    script = (
        "import pathlib, subprocess, sys, time\n"
        "from podgym.rollout.leftovers import Guard\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "log = open(folder / 'log', 'w')\n"
        "child = subprocess.Popen(['sleep', '100'], stdout=log, start_new_session=True)\n"
        "Guard(folder)\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(100)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(folder)], stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout is not None
        child = int(driver.stdout.readline())
        assert child in processes_of(folder)
        driver.kill()
    until(lambda: not folder.exists(), timeout_s=20)
    assert ProcessId.of(child) is None


def test_a_dismissed_guard_sweeps_nothing(tmp_path: Path):
    folder = tmp_path / f"{PREFIX}0123"
    folder.mkdir()
    guard = Guard(folder)
    guard.dismiss()
    guard.dismiss()
    assert folder.exists()


def test_only_the_folder_of_a_private_ray_is_swept(tmp_path: Path):
    with pytest.raises(ValueError, match="is not the folder of a private Ray"):
        sweep(tmp_path)


def test_runs_that_cannot_be_stopped_from_here(tmp_path: Path):
    run = RunStore(tmp_path / "runs").create("x")
    with pytest.raises(StopError, match="never began"):
        stop_run(run)
    run.write_state(RunState(status="running", host="elsewhere", pid=1))
    with pytest.raises(StopError, match="is driven by elsewhere"):
        stop_run(run)
