"""An exec for each command keeps what the mux promises."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from podgym_test_kit.waiting import until

from podgym.k8s.exec import Command, OneShot
from podgym.sandbox import CommandResult, SandboxLost


async def run(shots: OneShot, script: str, **changes: Any) -> CommandResult:
    plain = {"timeout_s": 30.0, "cwd": "/", "env": {}, "stdin": b"", "output_limit": 1 << 20}
    return await shots.run(Command(**{"script": script.encode(), **plain, **changes}))


@pytest.fixture
def shots(make_pod: Callable[..., Any]) -> tuple[Any, OneShot]:
    pod = make_pod()
    return pod, OneShot(pod.connect, directory=str(pod.directory), reconnect_s=5.0)


async def test_each_command_has_a_stream_of_its_own_and_leaves_nothing(shots: tuple[Any, OneShot]) -> None:
    pod, one = shots
    await one.open()
    results = await asyncio.gather(*(run(one, f"cat; echo {number}; exit {number}", stdin=b"x") for number in range(4)))
    assert [(result.exit_code, result.stdout.text()) for result in results] == [(number, f"x{number}\n") for number in range(4)]
    assert (await run(one, "sleep 30", timeout_s=0.5)).timed_out
    assert len(pod.channels) == 6
    await until(lambda: not list(pod.directory.glob("*")))
    await one.close()
    with pytest.raises(SandboxLost, match="closed"):
        await run(one, "true")


async def test_a_command_that_nobody_waits_for_is_killed(shots: tuple[Any, OneShot], tmp_path: Path) -> None:
    _, one = shots
    running = asyncio.create_task(run(one, f"echo $$ >{tmp_path}/pid; exec sleep 60"))
    await until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text() != "")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    state = Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}/stat")
    await until(lambda: not state.exists() or ") Z" in state.read_text())


async def test_a_cut(shots: tuple[Any, OneShot], tmp_path: Path) -> None:
    pod, one = shots
    running = asyncio.create_task(run(one, f"echo x >>{tmp_path}/marks; sleep 1; echo done"))
    await until((tmp_path / "marks").exists)
    await pod.cut()
    assert (await running).stdout.text() == "done\n" and (tmp_path / "marks").read_text() == "x\n"
