"""Which of many commands start first, and that none holds up the others."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from podgym.sandbox import SandboxSpec
from podgym.sandbox.local import LocalConfig, LocalProvider
from podgym.sandbox.local.starts import HOLD_S, Starts


def enter(starts: Starts, sent: list[int], numbers: range) -> list[asyncio.Future[None]]:
    """Have `numbers` wait for their turn, each of which is noted in `sent`; returns their answers."""
    answers = [asyncio.get_running_loop().create_future() for _ in numbers]
    for number, answer in zip(numbers, answers, strict=True):
        starts.enter(answer, lambda number=number: sent.append(number))
    return answers


async def test_the_next_one_starts_when_one_is_answered() -> None:
    starts, sent = Starts(2), []
    answers = enter(starts, sent, range(4))
    assert sent == [0, 1]
    answers[1].set_result(None)
    await asyncio.sleep(0)
    assert sent == [0, 1, 2]
    answers[0].set_result(None)
    await asyncio.sleep(0)
    assert sent == [0, 1, 2, 3]


async def test_one_that_runs_on_leaves_its_place() -> None:
    starts, sent = Starts(1), []
    answers = enter(starts, sent, range(3))
    await asyncio.sleep(HOLD_S * 20)
    assert sent == [0, 1, 2]
    for answer in answers:  # Their places were left before, and are not left twice.
        answer.set_result(None)
    await asyncio.sleep(0)
    enter(starts, sent, range(3, 5))
    assert sent == [0, 1, 2, 3]


async def test_what_was_cancelled_while_it_waited_is_never_sent() -> None:
    starts, sent = Starts(1), []
    answers = enter(starts, sent, range(3))
    answers[1].cancel()
    answers[0].set_result(None)
    await asyncio.sleep(0)
    assert sent == [0, 2]


async def test_a_driver_that_was_busy_elsewhere_lets_in_as_many_as_had_their_turn_meanwhile() -> None:
    starts, sent = Starts(4), []
    enter(starts, sent, range(200))
    asyncio.get_running_loop().call_soon(time.sleep, HOLD_S * 10)
    await asyncio.sleep(0.001)
    # Four places, each held ten times as long as it may be.
    assert len(sent) >= 40
    assert sent == sorted(sent)


async def test_what_is_asked_later_of_a_sandbox_does_not_overtake(tmp_path: Path) -> None:
    provider = LocalProvider(LocalConfig(scratch=tmp_path / "scratch", cache=tmp_path / "cache", starts_at_once=1))
    try:
        other, sandbox = [await provider.create(SandboxSpec(image="host")) for _ in range(2)]
        busy = [asyncio.ensure_future(other.run("sleep 0.1", timeout_s=20)) for _ in range(20)]
        await asyncio.sleep(0)
        command = asyncio.ensure_future(sandbox.run("echo command > f; exec sleep 20", timeout_s=30))
        await asyncio.sleep(0)
        assert await sandbox.freeze() == 0
        assert (await command).exit_code == 137
        await sandbox.write("f", b"write")
        assert await sandbox.read("f") == b"write"
        await asyncio.gather(*busy)
        assert await sandbox.read("f") == b"write"
    finally:
        await provider.close()


async def test_a_command_that_is_cancelled_before_its_turn_never_runs(tmp_path: Path) -> None:
    provider = LocalProvider(LocalConfig(scratch=tmp_path / "scratch", cache=tmp_path / "cache", starts_at_once=1))
    try:
        sandbox = await provider.create(SandboxSpec(image="host"))
        first = asyncio.ensure_future(sandbox.run("sleep 0.2", timeout_s=20))
        second = asyncio.ensure_future(sandbox.run("touch second", timeout_s=20))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.gather(first, second, return_exceptions=True)
        assert (await sandbox.run("ls", timeout_s=20)).stdout.text() == ""
        assert not sandbox.link._waiting
    finally:
        await provider.close()


async def test_commands_that_wait_end_with_their_provider(tmp_path: Path) -> None:
    provider = LocalProvider(LocalConfig(scratch=tmp_path / "scratch", cache=tmp_path / "cache", starts_at_once=1))
    sandbox = await provider.create(SandboxSpec(image="host"))
    commands = [asyncio.ensure_future(sandbox.run("sleep 20", timeout_s=30)) for _ in range(8)]
    await asyncio.sleep(0)
    await provider.close()
    failures = await asyncio.gather(*commands, return_exceptions=True)
    assert {type(failure).__name__ for failure in failures} == {"SandboxLost"}


async def test_commands_that_sleep_hold_up_nobody(tmp_path: Path) -> None:
    provider = LocalProvider(LocalConfig(scratch=tmp_path / "scratch", cache=tmp_path / "cache"))
    try:
        sandboxes = await asyncio.gather(*(provider.create(SandboxSpec(image="host")) for _ in range(16)))
        started = time.monotonic()
        results = await asyncio.gather(*(sandbox.run("sleep 1", timeout_s=20) for sandbox in sandboxes))
        assert [result.exit_code for result in results] == [0] * 16
        # One after another they would take sixteen seconds.
        assert time.monotonic() - started < 8
    finally:
        await provider.close()


async def test_a_sandbox_that_is_closed_while_its_command_waits_says_so(tmp_path: Path) -> None:
    provider = LocalProvider(LocalConfig(scratch=tmp_path / "scratch", cache=tmp_path / "cache"))
    try:
        sandbox = await provider.create(SandboxSpec(image="host"))
        commands = [asyncio.ensure_future(sandbox.run("sleep 20", timeout_s=30)) for _ in range(64)]
        await asyncio.sleep(0)
        await sandbox.close()
        failures = await asyncio.gather(*commands, return_exceptions=True)
        assert {type(failure).__name__ for failure in failures} == {"SandboxLost"}
    finally:
        await provider.close()
