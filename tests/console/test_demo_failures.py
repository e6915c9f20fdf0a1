"""The demonstration on a machine that fails it: a full disk, an interrupt."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs the extra `train`")
pytestmark = [pytest.mark.train, pytest.mark.timeout(300)]
START = "import sys; from podgym.console.cli import run; sys.exit(run(sys.argv[1:]))"


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """A small file system in memory, by its mount options."""
    if os.geteuid():
        pytest.skip("mounting a file system needs root")
    place = tmp_path / "small"
    place.mkdir()
    mounts: list[Path] = []

    def mount(options: str) -> Path:
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(place)], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"a tmpfs cannot be mounted here: {done.stderr.strip()}")
        mounts.append(place)
        return place

    yield mount
    for path in mounts:
        subprocess.run(["umount", "-l", str(path)], check=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "what"),
    [("size=1m", "A generated task could not be built"), ("size=64m,nr_inodes=40", "Building the tasks failed: git: ")],
    ids=["bytes", "inodes"],
)
def test_a_full_disk_while_tasks_are_built(mounted: Callable[[str], Path], tmp_path: Path, options: str, what: str):
    done = demo(mounted(options) / "runs", tmp_path)
    said = " ".join(done.stderr.split())
    assert done.returncode == 1
    assert "Traceback" not in said
    assert f"error: {what}" in said
    assert "Free space on that file system, or name a folder on another one." in said


@pytest.mark.slow
def test_a_disk_that_cannot_be_written(mounted: Callable[[str], Path], tmp_path: Path):
    place = mounted("size=1m,ro")
    done = demo(place / "runs", tmp_path)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "Read-only file system" in done.stderr
    assert "Name a folder on a file system that can be written." in done.stderr


def demo(directory: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", START, "demo", "--quick", "--directory", str(directory)]
    return subprocess.run(command, capture_output=True, text=True, timeout=200, check=False, cwd=cwd)


@pytest.mark.slow
def test_what_the_warm_start_failed_of_is_raised_here(mounted: Callable[[str], Path], capfd: pytest.CaptureFixture[str]):
    """Its process prints nothing: what it has to say comes over the pipe."""
    from podgym.console.demo.school import teach
    from podgym.console.demo.workshop import DemoError
    from podgym.policy.warmstart import WarmStartConfig

    target = mounted("size=1m") / "warm"
    steps: list[int] = []
    with pytest.raises(DemoError, match=r"The warm start failed: .*No space left on device") as failed:
        asyncio.run(teach(target, 0, (0, 1), config=WarmStartConfig(steps=2, batch=4), progress=lambda step, _: steps.append(step)))
    assert steps == [0, 1]
    assert failed.value.remedy.startswith("Free space")
    assert capfd.readouterr().err == ""


@pytest.mark.slow
def test_an_interrupt_while_the_warm_start_loads(tmp_path: Path):
    """Ctrl-C reaches every process of the terminal; none of them prints a traceback."""
    command = [sys.executable, "-c", START, "demo", "--quick", "--directory", str(tmp_path / "runs")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stderr is not None
    try:
        assert "Building" in process.stderr.readline()
        deadline = time.monotonic() + 60
        while (loading := warm_start_in(process.pid)) is None:
            assert time.monotonic() < deadline, "the warm start never began"
            time.sleep(0.01)
        os.kill(loading, signal.SIGINT)
        time.sleep(1.0)
        assert warm_start_in(process.pid) == loading, "it leaves the interrupt to the process that started it"
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert process.returncode == 130
    assert all(line.split()[1:2] == ["s"] for line in said.splitlines() if line.strip() != "Stopped."), said


def warm_start_in(session: int) -> int | None:
    """The process that is at loading torch, or has it."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if os.getsid(int(entry.name)) == session and b"spawn_main" in (entry / "cmdline").read_bytes():
                    return int(entry.name) if "libtorch" in (entry / "maps").read_text() else None
            except OSError:
                continue
    return None


@pytest.mark.parametrize(("status", "code"), [("finished", 0), ("stopped", 130), ("failed", 1)])
def test_the_exit_code_says_how_it_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, status: str, code: int):
    from podgym.console.demo import run as demonstration
    from podgym.traces.store import RunStore

    made = RunStore(tmp_path).create("demo")
    summary = SimpleNamespace(
        run_id=made.id, status=status, steps=1, rollouts=1, unscored=0, seconds=1.0, solve_rate_before=None, solve_rate_after=None,
        gap_with_replay=None, gap_without_replay=None, as_dict=lambda: {"status": status},
    )  # fmt: skip
    monkeypatch.setattr(demonstration, "_prepare", lambda *_, **__: None)
    monkeypatch.setattr(demonstration, "run_job", lambda *_, **__: summary)
    assert demonstration.run_demo(seed=0, directory=tmp_path, quick=True) == code


def test_a_demo_that_is_stopped_before_its_first_step(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    from podgym.console.demo import run as demonstration
    from podgym.rollout.ending import RunStopped

    def stopped(*_: Any, **__: Any) -> None:
        raise RunStopped("The run was stopped before it began.")

    monkeypatch.setattr(demonstration, "_prepare", lambda *_, **__: None)
    monkeypatch.setattr(demonstration, "run_job", stopped)
    assert demonstration.run_demo(seed=0, directory=tmp_path, quick=True) == 130
    assert "stopped before it began" in capsys.readouterr().err
