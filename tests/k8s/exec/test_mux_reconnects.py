"""Commands when the connection breaks: run once or known not to have been, never twice, never guessed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from podgym_test_kit.waiting import until

from podgym.sandbox import ImageError, SandboxLost, TransportError


@pytest.mark.parametrize("refusals", [0, 2])
async def test_a_command_in_flight_goes_on_and_its_result_arrives(pod, tmp_path: Path, refusals: int) -> None:
    marks = tmp_path / "marks"
    running = asyncio.create_task(pod.run(f"echo begun >>{marks}; echo early; sleep 1.5; echo late; echo err >&2; exit 5"))
    await until(marks.exists)
    pod.refusals = refusals
    await pod.cut()
    result = await running
    assert (result.exit_code, result.stdout.text(), result.stderr.text()) == (5, "early\nlate\n", "err\n")
    assert marks.read_text() == "begun\n", "once"
    assert len(pod.channels) == 2


async def test_one_that_ended_while_nobody_listened(pod, tmp_path: Path) -> None:
    running = asyncio.create_task(pod.run(f"echo x | tee -a {tmp_path}/marks; sleep 0.3; touch {tmp_path}/done"))
    await until((tmp_path / "marks").exists)
    pod.refusals = 4
    await pod.cut()
    await until((tmp_path / "done").exists)
    result = await running
    assert result.stdout.text() == "x\n" and (tmp_path / "marks").read_text() == "x\n"


async def test_one_that_prints_much_is_not_held_up_while_nobody_listens(pod, tmp_path: Path) -> None:
    running = asyncio.create_task(pod.run(f"touch {tmp_path}/begun; sleep 0.3; head -c 30000000 /dev/zero; touch {tmp_path}/done"))
    await until((tmp_path / "begun").exists)
    pod.refusals = 6
    await pod.cut()
    await until((tmp_path / "done").exists)
    assert (await running).stdout.total == 30_000_000


async def test_one_that_never_arrived_is_run_then(pod, tmp_path: Path) -> None:
    await pod.run("true")
    await pod.cut()
    assert (await pod.run(f"echo x >>{tmp_path}/marks; echo ran")).stdout.text() == "ran\n"
    assert (tmp_path / "marks").read_text() == "x\n"


async def test_a_request_that_an_old_stream_still_holds_is_not_run_beside_the_new_one(pod, tmp_path: Path) -> None:
    """The old supervisor is stopped while a request waits in its pipe; the new one is asked for it, and then the old one goes on."""
    await pod.run("true")
    old = pod.channels[0].process
    old.send_signal(19)
    running = asyncio.create_task(pod.run(f"echo x >>{tmp_path}/marks"))
    await asyncio.sleep(0.2)
    await pod.cut()
    assert (await running).exit_code == 0
    old.send_signal(18)
    await old.wait()
    assert (tmp_path / "marks").read_text() == "x\n"


async def test_a_time_limit_holds_over_a_cut(pod, tmp_path: Path) -> None:
    running = asyncio.create_task(pod.run(f"echo $$ >{tmp_path}/pid; echo kept; sleep 60", timeout_s=2.0))
    await until((tmp_path / "pid").exists)
    await pod.cut()
    result = await running
    assert result.timed_out and result.stdout.text() == "kept\n"


async def test_where_nobody_comes_back_commands_end_at_their_time_limits(pod, tmp_path: Path) -> None:
    pod.mux._reconnect_s = 0.1
    running = asyncio.create_task(pod.run(f"echo $$ >{tmp_path}/pid; exec sleep 60", timeout_s=1.0))
    await until((tmp_path / "pid").exists)
    pod.refusals = 1000
    await pod.cut()
    with pytest.raises(TransportError, match="refused"):
        await running
    pid = int((tmp_path / "pid").read_text())
    await until(lambda: not Path(f"/proc/{pid}").exists() or ") Z" in Path(f"/proc/{pid}/stat").read_text())
    await asyncio.wait_for(pod.channels[0].process.wait(), 10)


async def test_many_in_flight_over_several_cuts(pod, tmp_path: Path) -> None:
    async def one(number: int) -> str:
        script = f"echo {number} >>{tmp_path}/marks; sleep 0.{number % 7}; echo {number}"
        return (await pod.run(script)).stdout.text()

    tasks = [asyncio.create_task(one(number)) for number in range(20)]
    for _ in range(3):
        await asyncio.sleep(0.15)
        await pod.cut()
    assert await asyncio.gather(*tasks) == [f"{number}\n" for number in range(20)]
    assert sorted(map(int, (tmp_path / "marks").read_text().split())) == list(range(20)), "each once"


async def test_commands_in_flight_fail_when_the_mux_is_closed(pod, tmp_path: Path) -> None:
    running = asyncio.create_task(pod.run(f"touch {tmp_path}/begun; sleep 1"))
    await until((tmp_path / "begun").exists)
    await pod.mux.close()
    with pytest.raises(SandboxLost, match="closed"):
        await running
    with pytest.raises(SandboxLost, match="closed"):
        await pod.run("true")
    await pod.mux.close()


async def test_a_state_that_is_being_written_is_no_command_that_never_ran(pod, tmp_path: Path) -> None:
    """A file is empty between its opening and its writing, for as long as its writer gets no processor."""
    running = asyncio.create_task(pod.run(f"echo x >>{tmp_path}/marks; sleep 0.5; echo done"))
    await until((tmp_path / "marks").exists)
    (state,) = pod.directory.glob("s.*")
    before = state.read_text()
    state.write_text("")
    await pod.cut()
    await until(lambda: len(pod.channels) == 2)
    await asyncio.sleep(0.3)
    if not state.read_text():
        state.write_text(before)
    assert (await running).stdout.text() == "done\n" and (tmp_path / "marks").read_text() == "x\n"


async def test_an_image_that_lacks_what_a_supervisor_needs_is_refused(make_pod, tmp_path: Path) -> None:
    pod = make_pod()
    pod.mux._directory = str(tmp_path / "file" / "below")
    (tmp_path / "file").write_text("")
    with pytest.raises(ImageError, match="no directory that can be written"):
        await pod.run("true")
