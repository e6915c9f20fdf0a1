"""The provider and its engine: none, slow, breaking off, crashing drivers, and that nothing is left behind."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import socket
import sys
import threading
import time
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import docker
import pytest
import pytest_asyncio
from docker.utils import parse_host

from podgym.sandbox import SandboxLost, SandboxSpec, TransportError

pytestmark = [pytest.mark.docker, pytest.mark.asyncio(loop_scope="session")]

ENGINE = parse_host(os.environ.get("DOCKER_HOST")).removeprefix("http+unix://")


class Between:
    """Stands between provider and engine: passes bytes on, counts requests in flight, keeps answers to some back."""

    def __init__(self, path: Path) -> None:
        self.url = f"unix://{path}"
        self.keep_back: Callable[[bytes], bool] = lambda _: False
        """Whether the answer to a request is never given, by its first line."""
        self.refuse: Callable[[bytes], bytes] = lambda _: b""
        """An answer in place of the engine's."""
        self.most = 0
        self._path = path
        self._in_flight = 0
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._ready = threading.Event()

    def __enter__(self) -> Between:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        server = await asyncio.start_unix_server(self._connection, self._path)
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        engine_reader, engine_writer = await asyncio.open_unix_connection(ENGINE)
        state = {"silent": False, "asked": False}
        back = asyncio.create_task(self._back(engine_reader, writer, state))
        try:
            while data := await reader.read(1 << 16):
                if data.startswith((b"POST ", b"GET ", b"DELETE ", b"PUT ")):
                    line = data.split(b"\r\n")[0]
                    answer = self.refuse(line)
                    if answer:
                        writer.write(answer)
                        continue
                    state["silent"] = state["silent"] or self.keep_back(line)
                    if not state["asked"] and b"/start" not in line:
                        state["asked"] = True
                        self._in_flight += 1
                        self.most = max(self.most, self._in_flight)
                engine_writer.write(data)
            with contextlib.suppress(OSError):
                engine_writer.write_eof()
            await back
        except OSError:
            pass
        finally:
            if state["asked"]:
                self._in_flight -= 1
            back.cancel()
            await asyncio.gather(back, return_exceptions=True)
            for each in (writer, engine_writer):
                each.transport.abort()

    async def _back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, state: dict[str, bool]) -> None:
        while data := await reader.read(1 << 16):
            if state["asked"]:
                state["asked"] = False
                self._in_flight -= 1
            if not state["silent"]:
                writer.write(data)
        if not state["silent"]:
            writer.transport.close()


@pytest.fixture
def between(tmp_path):
    with Between(tmp_path / "engine.sock") as proxy:
        yield proxy


@pytest.fixture
def run():
    """A run of this test alone, all of whose containers must be gone in the end."""
    name = f"test-{uuid.uuid4().hex}"
    yield name
    left = containers(name)
    with contextlib.closing(docker.APIClient()) as api:
        for each in left:
            api.remove_container(each, force=True)
    assert not left


def containers(run: str) -> list[str]:
    with contextlib.closing(docker.APIClient()) as api:
        return [each["Id"] for each in api.containers(all=True, filters={"label": f"podgym.run={run}"})]


@pytest_asyncio.fixture(loop_scope="session")
async def opened(docker_kit, run) -> AsyncIterator[Callable[..., object]]:
    made = []

    def make(**changes):
        made.append(docker_kit(**changes))
        return made[-1].provider

    yield make
    for each in made:
        await each.provider.close()


@pytest.fixture
def spec(docker_kit, run):
    return SandboxSpec(image="debian:bookworm", labels={"run": run})


class TestNoEngine:
    @pytest.mark.parametrize(
        "options",
        [
            {"base_url": "unix:///nowhere/docker.sock"},
            {"base_url": "tcp://127.0.0.1:9"},
            {"base_url": "nonsense://x"},
            {"base_url": "ssh://nobody@127.0.0.1"},
        ],
    )
    async def test_is_an_error_with_a_remedy(self, options):
        from podgym.sandbox.docker import DockerConfig, DockerProvider

        with pytest.raises(TransportError) as caught:
            DockerProvider(DockerConfig(**options))
        assert options["base_url"].split("/")[-1] in caught.value.message
        assert caught.value.remedy

    async def test_tls_is_refused(self, monkeypatch, tmp_path):
        from podgym.sandbox.docker import DockerConfig, DockerProvider

        monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:2376")
        monkeypatch.setattr("podgym.sandbox.docker.engine.kwargs_from_env", lambda: {"base_url": "tcp://127.0.0.1:2376", "tls": True})
        with pytest.raises(TransportError, match="TLS or SSH") as caught:
            DockerProvider(DockerConfig())
        assert "ssh -nNT -L" in caught.value.remedy

    async def test_one_that_never_answers(self, tmp_path):
        from podgym.sandbox.docker import DockerConfig, DockerProvider

        path = tmp_path / "mute.sock"
        with socket.socket(socket.AF_UNIX) as mute:
            mute.bind(str(path))
            mute.listen()
            started = time.monotonic()
            with pytest.raises(TransportError, match="No Docker engine answers"):
                DockerProvider(DockerConfig(base_url=f"unix://{path}", connect_timeout_s=0.3))
            assert time.monotonic() - started < 10

    async def test_one_that_goes_away(self, between, opened, spec, monkeypatch):
        provider = opened(base_url=between.url)
        sandbox = await provider.create(spec)
        monkeypatch.setattr(provider._engine, "_address", type(provider._engine._address)(path="/nowhere"))
        with pytest.raises(TransportError, match="No such file"):
            await sandbox.run("true", timeout_s=5)


class TestSlowEngine:
    async def test_creating(self, between, opened, spec, run):
        """The engine makes the container, its answer is lost, and still nothing is left."""
        provider = opened(base_url=between.url, call_timeout_s=4.0)
        between.keep_back = lambda line: b"/containers/create" in line
        started = time.monotonic()
        with pytest.raises(TransportError, match="no answer within 4 s") as caught:
            await provider.create(spec)
        assert time.monotonic() - started < 30
        assert caught.value.remedy
        between.keep_back = lambda _: False
        await provider.close()
        assert containers(run) == []

    @pytest.mark.parametrize("what", [b"/exec HTTP", b"/start HTTP"])
    async def test_starting_a_command(self, between, opened, spec, what):
        provider = opened(base_url=between.url)
        sandbox = await provider.create(spec)
        engine, patient = provider._engine, provider._engine._config
        engine._config = patient.model_copy(update={"call_timeout_s": 0.5})
        between.keep_back = lambda line: what in line
        with pytest.raises(TransportError, match=r"no answer within 0\.5 s"):
            await sandbox.run("true", timeout_s=60)
        engine._config = patient
        between.keep_back = lambda _: False
        assert (await sandbox.run("exit 3", timeout_s=60)).exit_code == 3

    async def test_removing_is_tried_again(self, between, opened, spec, run):
        provider = opened(base_url=between.url)
        sandbox = await provider.create(spec)
        between.refuse = lambda line: b"HTTP/1.1 500 No\r\nContent-Length: 18\r\n\r\n" + b'{"message":"busy"}' if b"DELETE" in line else b""
        with pytest.raises(TransportError, match="busy"):
            await sandbox.close()
        with pytest.raises(SandboxLost):
            await sandbox.run("true", timeout_s=5)
        assert len(containers(run)) == 1
        between.refuse = lambda _: b""
        await provider.close()
        assert containers(run) == []

    async def test_a_provider_whose_removals_fail_says_so(self, between, opened, spec, run):
        provider = opened(base_url=between.url)
        await provider.create(spec)
        between.refuse = lambda line: b"HTTP/1.1 500 No\r\nContent-Length: 18\r\n\r\n" + b'{"message":"busy"}' if b"DELETE" in line else b""
        with pytest.raises(TransportError, match="busy"):
            await provider.close()
        other = opened()
        assert await other.reap(run) == 1

    @pytest.mark.parametrize(
        ("answer", "said"),
        [
            (b'HTTP/1.1 500 X\r\nTransfer-Encoding: chunked\r\n\r\n12\r\n{"message":"fire"}\r\n0\r\n\r\n', "fire"),
            (b"HTTP/1.1 500 X\r\nContent-Length: 5\r\n\r\nsmoke", "smoke"),
            (b"x" * 70_000, "not HTTP"),
        ],
        ids=["chunked", "plain", "no HTTP"],
    )
    async def test_answers_that_are_none(self, between, opened, spec, answer, said):
        provider = opened(base_url=between.url)
        sandbox = await provider.create(spec)
        between.refuse = lambda line: answer if b"/exec HTTP" in line else b""
        with pytest.raises(TransportError, match=said):
            await sandbox.run("true", timeout_s=5)

    async def test_a_stream_that_breaks_off(self, between, opened, spec):
        """The command may still run: that is no result."""
        provider = opened(base_url=between.url)
        sandbox = await provider.create(spec)
        running = asyncio.create_task(sandbox.run("sleep 60", timeout_s=90))
        await asyncio.sleep(1)
        for task in list(between._tasks):
            between._loop.call_soon_threadsafe(task.cancel)
        with pytest.raises(TransportError, match="may still run"):
            await running


class TestManyAtOnce:
    async def test_sixteen_sandboxes_through_four_calls(self, between, opened, spec):
        provider = opened(base_url=between.url, concurrency=4)
        sandboxes = await asyncio.gather(*(provider.create(spec) for _ in range(16)))
        results = await asyncio.gather(*(sandbox.run(f"echo {n}", timeout_s=60) for n, sandbox in enumerate(sandboxes)))
        assert [result.stdout.text() for result in results] == [f"{n}\n" for n in range(16)]
        await asyncio.gather(*(sandbox.close() for sandbox in sandboxes))
        assert 2 <= between.most <= 8  # calls and starting commands are bounded apart

    async def test_the_loop_goes_on_meanwhile(self, opened, spec):
        provider = opened()
        longest = 0.0

        async def tick():
            nonlocal longest
            while True:
                before = time.monotonic()
                await asyncio.sleep(0.01)
                longest = max(longest, time.monotonic() - before)

        ticking = asyncio.create_task(tick())
        sandboxes = await asyncio.gather(*(provider.create(spec) for _ in range(4)))
        await asyncio.gather(*(sandbox.run("head -c 20000000 /dev/zero", timeout_s=60) for sandbox in sandboxes))
        await provider.close()
        ticking.cancel()
        assert longest < 1.0


class TestLeavingNothing:
    async def test_threads_and_sockets(self, docker_kit, spec, run):
        def sockets():
            gc.collect()
            links = []
            for number in Path("/proc/self/fd").iterdir():
                with contextlib.suppress(FileNotFoundError):
                    links.append(str(number.readlink()))
            return sum(link.startswith("socket:") for link in links)

        before, threads = sockets(), set(threading.enumerate())
        provider = docker_kit().provider
        sandboxes = await asyncio.gather(*(provider.create(spec) for _ in range(3)))
        await asyncio.gather(*(sandbox.run("echo x; sleep 9 &", timeout_s=20) for sandbox in sandboxes))
        await sandboxes[0].run("sleep 9", timeout_s=0.1)
        assert provider._open.keys() == {sandbox.id for sandbox in sandboxes}
        await sandboxes[0].close()
        assert len(provider._open) == 2
        await asyncio.gather(provider.close(), provider.close())
        assert not [thread for thread in set(threading.enumerate()) - threads if thread.name.startswith("docker")]
        assert sockets() == before
        assert containers(run) == []
        for use in (provider.create(spec), provider.reap(run)):
            with pytest.raises(TransportError, match="closed"):
                await use
        await sandboxes[1].close()
        with pytest.raises(SandboxLost):
            await sandboxes[1].run("true", timeout_s=5)

    @pytest.mark.parametrize("after_s", [0.0, 0.05, 0.2])
    async def test_cancelling_while_creating(self, opened, spec, run, after_s):
        provider = opened()
        creating = [asyncio.create_task(provider.create(spec)) for _ in range(3)]
        await asyncio.sleep(after_s)
        for task in creating:
            task.cancel()
        await asyncio.sleep(0)
        for task in creating:
            task.cancel()
        for end in await asyncio.gather(*creating, return_exceptions=True):
            assert isinstance(end, asyncio.CancelledError)
        await provider.close()
        assert containers(run) == []

    async def test_closing_while_creating(self, opened, spec, run):
        provider = opened()
        creating = asyncio.create_task(provider.create(spec))
        await asyncio.sleep(0.1)
        await provider.close()
        await asyncio.gather(creating, return_exceptions=True)
        assert containers(run) == []

    async def test_what_a_dead_driver_left_is_reaped_by_its_run(self, opened, spec, run):
        driver = await asyncio.create_subprocess_exec(sys.executable, "-c", DRIVER, spec.model_dump_json(), stdout=asyncio.subprocess.PIPE)
        assert await asyncio.wait_for(driver.stdout.readline(), 60) == b"ready\n"
        other = spec.model_copy(update={"labels": {"run": f"{run}-other"}})
        provider = opened()
        kept = await provider.create(other)
        driver.send_signal(signal.SIGKILL)
        await driver.wait()
        driver._transport.close()
        assert len(containers(run)) == 2
        assert await provider.reap(run) == 2
        assert await provider.reap(run) == 0
        assert containers(run) == []
        assert (await kept.run("echo alive", timeout_s=20)).stdout.bytes == b"alive\n"

    async def test_a_provider_begins_by_removing_what_a_dead_owner_left(self, opened, spec, run):
        living = opened()
        kept = await living.create(spec)
        driver = await asyncio.create_subprocess_exec(sys.executable, "-c", DRIVER, spec.model_dump_json(), stdout=asyncio.subprocess.PIPE)
        assert await asyncio.wait_for(driver.stdout.readline(), 60) == b"ready\n"
        assert len(containers(run)) == 3
        driver.send_signal(signal.SIGKILL)
        await driver.wait()
        driver._transport.close()
        successor = opened()
        sandbox = await successor.create(spec)
        await successor._cleaning
        assert len(containers(run)) == 2, "its own and the living one's"
        for one in (kept, sandbox):
            assert (await one.run("echo alive", timeout_s=20)).stdout.bytes == b"alive\n"
        await successor.close()
        await living.close()


DRIVER = """
import asyncio, sys
from podgym.sandbox import SandboxSpec
from podgym.sandbox.docker import DockerProvider

async def main():
    provider, spec = DockerProvider(), SandboxSpec.model_validate_json(sys.argv[1])
    sandboxes = await asyncio.gather(provider.create(spec), provider.create(spec))
    running = asyncio.create_task(sandboxes[0].run("sleep 600", timeout_s=900))
    await asyncio.sleep(0.2)
    print("ready", flush=True)
    await running

asyncio.run(main())
"""
