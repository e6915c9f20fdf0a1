"""Funnels over real repositories, builds in real processes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from podgym.envs.build.funnel import Bounds, FunnelError, HerePool, Journal, read_lines, run_funnel, summarise
from podgym.envs.build.funnel.scratch import Scratch, sweep_scratch
from podgym.envs.harbor import read_task

QUICK = {"repeats": 1, "decoys": False}


async def funnel(lines: Path, out: Path, provider: Any, *, workers: int = 2, **bounds: Any) -> Any:
    events: list[Any] = []
    settings = Bounds(**{"timeout_s": 100.0, "free_bytes": 0, "goodbye_s": 1.0, **bounds})
    sources = read_lines(lines, QUICK)
    rows = await run_funnel(sources, out, pool=HerePool(), workers=workers, provider=provider, bounds=settings, tell=events.append)
    return rows, events


async def test_good_and_bad_lines(calc: Any, write: Any, local: Any, tmp_path: Path) -> None:
    only_tests = calc.commit("More tests", {"tests/test_calc.py": "import unittest\n"})
    lines = write(
        tmp_path / "many.jsonl",
        {"repo": str(calc.path), "commit": calc.fix, "name": "one", "stars": 3},
        "{broken",
        {"repo": str(tmp_path / "nothing"), "commit": "x", "language": "go"},
        {"repo": str(calc.path), "commit": only_tests},
        {"repo": str(calc.path), "commit": calc.fix, "name": "one"},
    )
    out = tmp_path / "tasks"
    rows, events = await funnel(lines, out, local)
    assert [(row.line, row.status, row.stage, row.reason) for row in rows] == [
        (1, "validated", "", ""),
        (2, "failed", "line", "bad_line"),
        (3, "failed", "resolve", "source"),
        (4, "failed", "split", "only_test_change"),
        (5, "failed", "line", "duplicate"),
    ]
    assert rows[0].fail_to_pass == ("tests/test_calc.py::CalcTest::test_add",) and rows[0].out == str(out / "one")
    assert read_task(out / "one").provenance["commit"] == calc.fix
    assert "stars" in rows[0].notes[-1]
    assert sorted(path.name for path in out.iterdir()) == [".funnel.lock", "funnel.jsonl", "one"]
    assert any(event.kind == "said" and "running the tests" in event.text for event in events)
    summary = summarise(rows)
    assert (summary.total.attempted, summary.total.detected, summary.total.certified) == (5, 1, 1)
    assert {one.language: one.attempted for one in summary.languages} == {"python": 1, "unknown": 3, "go": 1}
    assert summary.bad_lines == 2 and summary.total.seconds_median == pytest.approx(rows[0].seconds, abs=0.1)


async def test_what_is_built_already_is_not_built_again(calc: Any, write: Any, local: Any, tmp_path: Path) -> None:
    line = {"repo": str(calc.path), "commit": calc.fix}
    lines = write(tmp_path / "many.jsonl", line)
    out = tmp_path / "tasks"
    first, _ = await funnel(lines, out, local)
    lines = write(tmp_path / "more.jsonl", {"repo": str(tmp_path / "none"), "commit": "x"}, line)
    second, events = await funnel(lines, out, local)
    assert [event.kind for event in events if event.line.number == 2] == ["known"]
    assert second[1] == first[0].model_copy(update={"line": 2})
    # A task that was made, but whose row was not written any more.
    (out / "funnel.jsonl").write_text('{"half')
    third, events = await funnel(lines, out, local)
    assert third[1].status == "validated" and "ended" in [event.kind for event in events if event.line.number == 2]
    assert [json.loads(line)["line"] for line in (out / "funnel.jsonl").read_text().splitlines()[1:]] in ([1, 2], [2, 1])
    # A task that was removed is made again.
    (out / first[0].task).rename(tmp_path / "elsewhere")
    fourth, events = await funnel(lines, out, local)
    assert fourth[1].status == "validated" and "started" in [event.kind for event in events if event.line.number == 2]


async def test_another_task_in_its_place_is_kept(calc: Any, write: Any, local: Any, tmp_path: Path) -> None:
    out = tmp_path / "tasks"
    (out / "one").mkdir(parents=True)
    lines = write(tmp_path / "many.jsonl", {"repo": str(calc.path), "commit": calc.fix, "name": "one"})
    rows, _ = await funnel(lines, out, local)
    assert (rows[0].stage, rows[0].reason) == ("write", "exists") and list((out / "one").iterdir()) == []
    lines = write(tmp_path / "many.jsonl", {"repo": str(calc.path), "commit": calc.fix, "name": "one", "overwrite": True, "split": "x"})
    rows, _ = await funnel(lines, out, local)
    assert rows[0].status == "validated" and read_task(out / "one").split == "x"


async def test_builds_that_end_badly_are_rows(calc: Any, write: Any, odd: Any, tmp_path: Path) -> None:
    line = {"repo": str(calc.path), "commit": calc.fix}
    marked = [{**line, "name": f"n{number}", "limits": {"processes": number}} for number in (1001, 1002, 1003, 1004, 1005)]
    lines = write(tmp_path / "many.jsonl", *marked)
    scratch = tmp_path / "tmp"
    scratch.mkdir()
    os.environ["TMPDIR"], before = str(scratch), os.environ.get("TMPDIR")
    try:
        import tempfile

        tempfile.tempdir = None
        rows, _ = await funnel(lines, tmp_path / "tasks", odd, workers=3, timeout_s=25.0, disk_bytes=30 << 20)
    finally:
        tempfile.tempdir = None
        os.environ.pop("TMPDIR") if before is None else os.environ.update(TMPDIR=before)
    assert [(row.line, row.stage, row.reason) for row in rows] == [
        (1, "worker", "crashed"),
        (2, "worker", "killed"),
        (3, "worker", "hung"),
        (4, "worker", "disk_full"),
        (5, "", ""),
    ]
    assert "the kit crashes" in rows[0].details and "exit code 3" in rows[0].message
    assert rows[4].status == "validated"
    assert list(scratch.iterdir()) == [] and not (tmp_path / "tasks/.funnel").exists()


async def test_nothing_starts_on_a_full_disk_and_the_next_run_tries_again(calc: Any, write: Any, local: Any, tmp_path: Path) -> None:
    lines = write(tmp_path / "many.jsonl", {"repo": str(calc.path), "commit": calc.fix})
    rows, _ = await funnel(lines, tmp_path / "tasks", local, free_bytes=1 << 60)
    assert (rows[0].stage, rows[0].reason) == ("worker", "disk_full")
    rows, _ = await funnel(lines, tmp_path / "tasks", local)
    assert rows[0].status == "validated"


async def test_a_funnel_that_is_stopped_leaves_no_process(
    calc: Any, write: Any, odd: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PODGYM_TEST", str(tmp_path))
    hang = {"repo": str(calc.path), "commit": calc.fix, "limits": {"processes": 1003}}
    lines = write(tmp_path / "many.jsonl", {"repo": str(tmp_path / "none"), "commit": "x"}, hang)
    running = asyncio.create_task(funnel(lines, tmp_path / "tasks", odd))
    work, rows = tmp_path / "tasks/.funnel", tmp_path / "tasks/funnel.jsonl"
    for _ in range(600):
        await asyncio.sleep(0.1)
        if any(work.glob("*/out/.building-*/environment/repo.tar")) and rows.exists() and rows.read_bytes().endswith(b"\n"):
            break
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not work.exists()
    mine = f"PODGYM_TEST={tmp_path}".encode()
    assert [path for path in Path("/proc").glob("[0-9]*/environ") if mine in _read(path).split(b"\0")] == []
    assert json.loads(rows.read_text())["reason"] == "source"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


async def test_a_build_ends_with_whoever_started_it(calc: Any, odd: Any, tmp_path: Path) -> None:
    from podgym.envs.build.funnel.job import Job

    where = {"folder": str(tmp_path), "cwd": str(tmp_path)}
    marked = {"limits": {"processes": 1003}}
    job = Job(key="k", source=str(calc.path), commit=calc.fix, provider=odd, options=marked, bounds=Bounds(goodbye_s=1.0), **where)
    (tmp_path / ".funnel/k").mkdir(parents=True)
    import sys

    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "podgym.envs.build.funnel.child_main", stdin=-1, stdout=-3, stderr=-3, start_new_session=True
    )
    assert process.stdin is not None
    process.stdin.write(job.model_dump_json().encode() + b"\n")
    for _ in range(600):
        await asyncio.sleep(0.1)
        if any(tmp_path.glob(".funnel/k/out/.building-*/environment/repo.tar")):
            break
    await asyncio.sleep(1)
    process.stdin.close()
    assert await asyncio.wait_for(process.wait(), 30) == -signal.SIGKILL


def test_a_folder_has_one_funnel(tmp_path: Path) -> None:
    with Journal(tmp_path), pytest.raises(FunnelError, match="Another funnel"):
        Journal(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(FunnelError, match="cannot be written"):
        Journal(tmp_path / "file")


def test_what_a_killed_funnel_left_is_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    held, left, young = Scratch(), tmp_path / "podgym-funnel-left", tmp_path / "podgym-funnel-young"
    for folder in (left, young):
        folder.mkdir()
        (folder / "file").touch()
    for folder in (held.path, left):
        os.utime(folder, (1, 1))
    assert sweep_scratch() == [str(left)]
    assert held.path.is_dir() and young.is_dir() and not left.exists()
    held.close()
    assert not held.path.exists()
