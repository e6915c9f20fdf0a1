"""What a command through the mux gives, in every shell: results, limits, and nothing of anybody else's."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from pathlib import Path

import pytest
from podgym_test_kit.waiting import until

from podgym.sandbox import TransportError

MIB = 1 << 20


def is_gone(pid: int) -> bool:
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or ") Z" in state.read_text()


async def test_streams_are_apart_and_the_exit_code_is_kept(pod) -> None:
    result = await pod.run("echo out; echo err >&2; exit 7")
    assert (result.exit_code, result.stdout.bytes, result.stderr.bytes, result.timed_out) == (7, b"out\n", b"err\n", False)
    assert (await pod.run("true")).stdout.bytes == b""
    assert (await pod.run("kill -TERM $$")).exit_code == 143
    assert (await pod.run("if then")).exit_code == 2
    assert (await pod.run("no-such-command")).exit_code == 127


async def test_bytes_pass_unchanged_both_ways(pod) -> None:
    data = bytes(range(256)) * 5000
    result = await pod.run("cat; printf '\\000\\377' >&2", stdin=data, output_limit=4 * MIB)
    assert result.stdout.bytes == data and result.stderr.bytes == b"\0\xff"
    text = "# \u00e9\u4e2d \\ 'x' \"y\" `z` $HOME\nprintf '%s' '\u00fc\\ \t\u0001'\n"
    assert (await pod.run(text)).stdout.bytes == "\u00fc\\ \t\u0001".encode()
    assert (await pod.run("printf %s '" + "x" * 200_000 + "'")).stdout.total == 200_000
    assert (await pod.run("printf '%s|%s' a '  b\\ '")).stdout.bytes == b"a|  b\\ "
    assert (await pod.run("cat <<'X'\n  one\n\n\ttwo\\\nX\n\n")).stdout.bytes == b"  one\n\n\ttwo\\\n"


async def test_where_and_with_what_a_command_runs(pod, tmp_path: Path) -> None:
    place = tmp_path / "a 'b\n c"
    place.mkdir()
    env = {"A": "x'\n $y\\", "B": "", "LC_ALL": "C.UTF-8", "UID": "no shell lets go of it"}
    result = await pod.run('pwd; printf "%s|%s|%s" "$A" "${B-unset}" "$LC_ALL"', cwd=str(place), env=env)
    assert result.stdout.bytes.decode() == f"{place}\nx'\n $y\\||C.UTF-8"
    missing = await pod.run("echo no", cwd="/no/such")
    assert (missing.exit_code, missing.stdout.bytes) == (126, b"") and b"/no/such is not a directory" in missing.stderr.bytes
    names = (await pod.run("env")).stdout.text()
    assert "_podgym" not in names and "\n_dir=" not in names and "_mark" not in names


async def test_a_group_ends_at_the_time_limit_and_what_it_wrote_is_kept(pod, tmp_path: Path) -> None:
    began = time.monotonic()
    script = f"echo before; (sleep 60; true) & echo $! >{tmp_path}/pids; sleep 60 & echo $! >>{tmp_path}/pids; wait"
    result = await pod.run(script, timeout_s=0.5)
    assert time.monotonic() - began < 10
    assert (result.exit_code, result.timed_out, result.stdout.bytes) == (137, True, b"before\n")
    pids = [int(line) for line in (tmp_path / "pids").read_text().split()]
    assert len(pids) == 2
    await until(lambda: all(map(is_gone, pids)))
    assert (await pod.run("exit 137")).timed_out is False


async def test_children_that_stay_hold_nothing_up_and_write_into_no_other_result(pod) -> None:
    began = time.monotonic()
    assert (await pod.run("(while :; do echo noise; echo noise >&2; sleep 0.01; done) & echo $!")).exit_code == 0
    assert time.monotonic() - began < 10
    for number in range(20):
        result = await pod.run(f"echo {number}; echo e{number} >&2")
        assert (result.stdout.text(), result.stderr.text()) == (f"{number}\n", f"e{number}\n")
    await pod.run("pkill -f '[e]cho noise' || kill -9 $(ps -o pid,args | awk '/[e]cho noise/ {print $1}') || true")


@pytest.mark.parametrize(("size", "limit"), [(0, 10), (9, 10), (10, 10), (11, 10), (3 * MIB, MIB), (100, 0), (100, 1)])
async def test_what_is_longer_than_the_limit_is_cut_in_the_middle(pod, size: int, limit: int) -> None:
    data = os.urandom(size)
    result = await pod.run("cat >&2", stdin=data, output_limit=limit)
    stream = result.stderr
    assert stream.total == size
    if size <= limit:
        assert stream.bytes == data
    else:
        assert (stream.head, stream.tail) == (data[: limit - limit // 2], data[size - limit // 2 :])


async def test_a_flood_is_capped_where_it_is_written(pod) -> None:
    started = asyncio.create_task(pod.run("head -c 300000000 /dev/zero; echo end; sleep 4", output_limit=MIB))
    await asyncio.sleep(3.5)
    stored = sum(file.stat().st_blocks * 512 for file in pod.directory.glob("o.*"))
    result = await started
    assert result.stdout.total == 300_000_004 and result.stdout.bytes.endswith(b"\0end\n")
    assert len(result.stdout.head) + len(result.stdout.tail) == MIB
    if pod.shell[-2:] != ["busybox", "sh"]:  # whose fallocate makes no holes
        assert stored < 8 * MIB, "the middle takes no room"


async def test_many_at_once(pod) -> None:
    results = await asyncio.gather(*(pod.run(f"sleep 0.{number % 5}; echo {number}; echo e{number} >&2") for number in range(24)))
    assert [result.stdout.text() for result in results] == [f"{number}\n" for number in range(24)]
    assert [result.stderr.text() for result in results] == [f"e{number}\n" for number in range(24)]


async def test_a_command_that_prints_what_ends_outputs(pod) -> None:
    await pod.run("echo first")
    result = await pod.run(f"cat '{pod.directory}'/s.*; echo after; printf 'D x 0 0 1\\nL y\\n' >&2")
    assert "end 0" in result.stdout.text() and result.stdout.text().endswith("after\n")
    assert result.stderr.text() == "D x 0 0 1\nL y\n"


async def test_files_do_not_pile_up(pod) -> None:
    for _ in range(70):
        await pod.run("echo x")
    await asyncio.sleep(0.5)
    assert len(list(pod.directory.iterdir())) < 3 * 40


async def test_who_kills_the_shell_that_waits_for_it_is_an_error_and_the_next_command_runs(pod) -> None:
    with pytest.raises(TransportError, match="how it ended is not known"):
        await pod.run("kill -9 $PPID; sleep 0.2; exit 3")
    assert (await pod.run("echo well")).stdout.text() == "well\n"


async def test_who_kills_everything_is_an_error_and_the_next_command_runs(make_pod) -> None:
    pod = make_pod(apart=True)
    with pytest.raises(TransportError):
        await pod.run("kill -9 -1; sleep 30", timeout_s=20)
    assert (await pod.run("echo well")).stdout.text() == "well\n"


async def test_a_command_that_nobody_waits_for_is_killed(pod, tmp_path: Path) -> None:
    waiting = asyncio.create_task(pod.run(f"echo $$ >{tmp_path}/pid; exec sleep 60"))
    await until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text() != "")
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    pid = int((tmp_path / "pid").read_text())
    await until(lambda: is_gone(pid))


async def test_large_files_arrive_whole(pod, tmp_path: Path) -> None:
    data = os.urandom(20 * MIB + 17)
    result = await pod.run(f"cat >{tmp_path}/file; sha256sum <{tmp_path}/file", stdin=data)
    assert result.stdout.text().split()[0] == hashlib.sha256(data).hexdigest()
    back = await pod.run(f"cat {tmp_path}/file", output_limit=64 * MIB)
    assert back.stdout.bytes == data
