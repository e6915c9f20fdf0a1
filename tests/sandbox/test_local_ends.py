"""Nothing of the local provider outlives what it belongs to, however the end comes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from podgym.sandbox import ImageRecipe, Limits, SandboxError, SandboxLost, SandboxSpec, Step, TransportError
from podgym.sandbox.local import reap, spawning
from podgym.sandbox.local import sandbox as sandbox_module
from podgym.sandbox.local.config import LocalConfig

SPEC = SandboxSpec(image="host", labels={"run": "ends"})

DRIVER = """
import asyncio, json, sys
from pathlib import Path
from podgym.sandbox import SandboxSpec
from podgym.sandbox.local import LocalConfig, LocalProvider

async def main(scratch, cache, mark, storage):
    provider = LocalProvider(LocalConfig(isolation="require", scratch=scratch, cache=cache, storage=storage))
    sandbox = await provider.create(SandboxSpec(image="host", labels={"run": "killed"}))
    await sandbox.run(f"setsid sleep {mark} > /dev/null 2>&1 & setsid nohup sleep {mark} &", timeout_s=10)
    print(json.dumps({"keeper": provider._spawner._process.pid, "scratch": str(provider._spawner.scratch)}), flush=True)
    await sandbox.run("sleep 100", timeout_s=100)

asyncio.run(main(*sys.argv[1:]))
"""


def unique() -> str:
    return f"9{uuid.uuid4().int % 10**12}"


def groups(scratch: Path) -> list[Path]:
    return [path for path in Path("/sys/fs/cgroup").rglob(scratch.name) if path.is_dir()]


def helper_of(provider) -> tuple[int, int]:
    """Keeper and spawner."""
    keeper = provider._spawner._process.pid
    return keeper, children(keeper)[0]


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def test_closing_a_sandbox_kills_its_daemons(local, processes_with, soon):
    sandbox = await local().create(SPEC)
    mark = unique()
    await sandbox.run(f"setsid sleep {mark} > /dev/null 2>&1 & (trap '' TERM HUP; sleep {mark}) &", timeout_s=10)
    assert await soon(lambda: len(processes_with(mark)) >= 2)
    assert await sandbox.processes() >= 2
    await sandbox.close()
    assert processes_with(mark) == []


async def test_closing_the_provider_leaves_nothing(local, processes_with, tmp_path):
    provider = local(storage="disk")
    mark = unique()
    sandboxes = [await provider.create(SPEC) for _ in range(4)]
    for sandbox in sandboxes:
        await sandbox.run(f"sleep {mark} > /dev/null 2>&1 & echo x > file", timeout_s=10)
    scratch = provider._spawner.scratch
    keeper, spawner = helper_of(provider)
    assert len(list(scratch.iterdir())) == 4
    await provider.close()
    assert processes_with(mark) == []
    assert not Path(f"/proc/{keeper}").exists()
    assert not Path(f"/proc/{spawner}").exists()
    assert list((tmp_path / "scratch").iterdir()) == []
    assert groups(scratch) == []


async def test_files_on_disk_go_with_their_sandbox(local):
    provider = local(storage="disk")
    sandbox = await provider.create(SPEC)
    await sandbox.run("mkdir -p deep/er && chmod 0 deep && echo x > file", timeout_s=10)
    await sandbox.close()
    assert list(provider._spawner.scratch.iterdir()) == []


async def test_an_init_that_is_killed_is_a_lost_sandbox(local):
    provider = local()
    sandbox, other = await provider.create(SPEC), await provider.create(SPEC)
    _, spawner = helper_of(provider)
    running = asyncio.create_task(sandbox.run("sleep 30", timeout_s=60))
    await asyncio.sleep(0.1)
    os.kill(children(spawner)[0], signal.SIGKILL)
    with pytest.raises(SandboxLost) as caught:
        await running
    assert caught.value.reason == "killed"
    with pytest.raises(SandboxLost):
        await sandbox.read("/etc/passwd")
    assert (await other.run("echo fine", timeout_s=5)).stdout.bytes == b"fine\n"
    await sandbox.close()


@pytest.mark.parametrize("which", [0, 1])
async def test_a_helper_that_is_killed_loses_all_sandboxes_and_leaves_nothing(local, processes_with, soon, which):
    provider = local()
    sandboxes = [await provider.create(SPEC) for _ in range(3)]
    mark = unique()
    await sandboxes[0].run(f"setsid sleep {mark} > /dev/null 2>&1 &", timeout_s=10)
    scratch = provider._spawner.scratch
    waiting = asyncio.gather(*(sandbox.run("sleep 30", timeout_s=60) for sandbox in sandboxes), return_exceptions=True)
    await asyncio.sleep(0.1)
    os.kill(helper_of(provider)[which], signal.SIGKILL)
    for error in await waiting:
        assert isinstance(error, SandboxLost)
        assert error.reason in ("killed", "node")
    assert await soon(lambda: processes_with(mark) == [])
    await sandboxes[0].close()
    again = await provider.create(SPEC)
    assert (await again.run("echo fine", timeout_s=5)).stdout.bytes == b"fine\n"
    await provider.close()
    assert not scratch.exists()
    assert groups(scratch) == []


@pytest.mark.parametrize("storage", ["memory", "disk"])
async def test_a_driver_that_is_killed_leaves_nothing(tmp_path, image_cache, processes_with, soon, storage):
    mark = unique()
    with start_driver(tmp_path, image_cache, mark, storage) as driver:
        told = json.loads(driver.stdout.readline())
        assert await soon(lambda: len(processes_with(mark)) >= 2)
        driver.kill()
        driver.wait()
    assert await soon(lambda: processes_with(mark) == [])
    assert await soon(lambda: not Path(f"/proc/{told['keeper']}").exists())
    assert not Path(told["scratch"]).exists()
    assert groups(Path(told["scratch"])) == []


async def test_what_a_keeper_could_not_remove_is_reaped_by_run(tmp_path, image_cache, processes_with, soon):
    mark = unique()
    config = LocalConfig(scratch=tmp_path, cache=image_cache)
    with start_driver(tmp_path, image_cache, mark, "disk") as driver:
        told = json.loads(driver.stdout.readline())
        assert reap("killed", config=config) == []
        os.kill(told["keeper"], signal.SIGKILL)
        driver.kill()
        driver.wait()
    assert await soon(lambda: processes_with(mark) == [])
    assert Path(told["scratch"]).exists()
    assert reap("another", config=config) == []
    removed = reap("killed", config=config)
    assert told["scratch"] in removed
    assert not Path(told["scratch"]).exists()
    assert groups(Path(told["scratch"])) == []


def start_driver(scratch: Path, cache: Path, mark: str, storage: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", DRIVER, str(scratch), str(cache), mark, storage]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


async def test_a_helper_that_hangs_is_killed_and_named(local, processes_with):
    provider = local(close_timeout_s=0.3)
    await provider.create(SPEC)
    keeper, spawner = helper_of(provider)
    os.kill(keeper, signal.SIGSTOP)
    with pytest.raises(SandboxError, match=str(keeper)):
        await provider.close()
    assert not Path(f"/proc/{keeper}").exists()
    assert not Path(f"/proc/{spawner}/exe").exists()


async def test_an_init_that_hangs_is_a_transport_error(local, monkeypatch):
    monkeypatch.setattr(sandbox_module, "GRACE_S", 0.1)
    provider = local(close_timeout_s=0.3)
    sandbox = await provider.create(SPEC)
    init = children(helper_of(provider)[1])[0]
    os.kill(init, signal.SIGSTOP)
    with pytest.raises(TransportError, match="not answered"):
        await sandbox.run("true", timeout_s=0.1)
    with pytest.raises(TransportError, match="did not end"):
        await sandbox.close()
    os.kill(init, signal.SIGCONT)


async def test_a_closed_provider_creates_nothing(local):
    provider = local()
    await provider.close()
    with pytest.raises(TransportError, match="closed"):
        await provider.create(SPEC)


async def test_cancelled_creation_leaves_no_sandbox(local, soon):
    provider = local()
    await provider.create(SPEC)
    tasks = [asyncio.create_task(provider.create(SPEC)) for _ in range(8)]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    _, spawner = helper_of(provider)
    assert await soon(lambda: len(children(spawner)) == 1)
    assert len(provider._sandboxes) == 1


async def test_a_helper_that_is_killed_while_an_image_is_made_is_a_sandbox_error(local, soon, tmp_path):
    provider = local(cache=tmp_path / "cache")
    recipe = ImageRecipe(base="host", workdir="/w", after=(Step(run="touch begun; sleep 60"),))
    spec = SandboxSpec(image="test", recipe=recipe, workdir="/w")
    tasks = [asyncio.create_task(provider.create(spec)) for _ in range(3)]
    assert await soon(lambda: list((tmp_path / "cache").glob("*/draft-*/0/begun")) != [], within_s=20)
    await asyncio.sleep(0.1)
    os.kill(helper_of(provider)[1], signal.SIGKILL)
    for error in await asyncio.gather(*tasks, return_exceptions=True):
        assert isinstance(error, SandboxLost | TransportError), repr(error)
    assert list((tmp_path / "cache").glob("*/draft-*")) == []
    assert (await (await provider.create(SPEC)).run("echo fine", timeout_s=5)).stdout.bytes == b"fine\n"


@pytest.fixture
def full_queue(monkeypatch):
    """A helper that takes no more requests."""

    def refuse(*_):
        raise BlockingIOError(11, "Resource temporarily unavailable")

    return lambda: monkeypatch.setattr(spawning.socket, "send_fds", refuse)


async def test_a_helper_that_takes_no_requests_is_not_waited_for_without_end(local, full_queue):
    provider = local(start_timeout_s=10.0)
    await provider.create(SPEC)
    provider._config = provider.config.model_copy(update={"start_timeout_s": 0.3})
    full_queue()
    async with asyncio.timeout(5):
        with pytest.raises(TransportError, match="not ready within"):
            await provider.create(SPEC)
    assert len(provider._sandboxes) == 1


async def test_a_creation_that_is_cancelled_before_the_helper_heard_of_it_ends_at_once(local, full_queue):
    provider = local()
    await provider.create(SPEC)
    full_queue()
    task = asyncio.create_task(provider.create(SPEC))
    await asyncio.sleep(0.05)
    task.cancel()
    async with asyncio.timeout(2):
        with pytest.raises(asyncio.CancelledError):
            await task
    assert len(provider._sandboxes) == 1


async def test_a_process_that_the_driver_forked_keeps_nothing_alive(local):
    provider = local()
    sandbox = await provider.create(SPEC)
    forked = os.fork()
    if not forked:
        signal.pause()
        os._exit(0)
    try:
        await sandbox.close()
        await provider.close()
    finally:
        end(forked)


def end(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


async def test_groups_are_used_again_and_their_limits_are_those_of_the_new_sandbox(local, bounded):
    provider = local()
    for memory in (256 << 20, 64 << 20, 128 << 20):
        sandbox = await provider.create(SandboxSpec(image="host", limits=Limits(memory_bytes=memory)))
        result = await sandbox.run("head -c 100M /dev/zero | tail > /dev/null", timeout_s=30)
        assert (result.exit_code == 0) == (memory > 100 << 20)
        await sandbox.close()
    assert len([path for path in groups(provider._spawner.scratch)[0].glob("s[0-9]*") if path.is_dir()]) == 1
