"""The mux over real websockets, to a server that can be made to do what it should not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from podgym_test_kit.waiting import until

from podgym.k8s.api import ApiClient, ApiError, Forbidden, NotFound
from podgym.k8s.exec import BOOTSTRAP, ChannelClosed, Command, Mux
from podgym.k8s.exec.channel import STDERR, STDOUT
from podgym.k8s.exec.websocket import WebsocketChannel

PODS = "/api/v1/namespaces/default/pods"


@pytest.fixture
async def running(client: ApiClient, api) -> str:
    body = {"metadata": {"name": "one"}, "spec": {"containers": [{"name": "main", "image": "x"}]}}
    await client.request("POST", PODS, body=body)
    await until(lambda: api.store.items["pods", "default", "one"]["status"]["phase"] == "Running")
    return "one"


async def opened(client: ApiClient, pod: str, *command: str) -> WebsocketChannel:
    return await WebsocketChannel.open(client, pod, list(command), namespace="default", container="main")


async def everything(channel: WebsocketChannel) -> dict[int, bytes]:
    found = {STDOUT: b"", STDERR: b""}
    try:
        while True:
            stream, data = await channel.receive()
            found[stream] += data
    except ChannelClosed:
        return found


@pytest.fixture
async def mux(client: ApiClient, running: str, tmp_path: Path) -> AsyncIterator[Callable[[str], object]]:
    made = Mux(lambda: opened(client, running, "/bin/sh", "-c", BOOTSTRAP), directory=str(tmp_path / "state"), reconnect_s=10)

    async def run(script: str, **changes):
        plain = {"timeout_s": 20.0, "cwd": "/", "env": {}, "stdin": b"", "output_limit": 1 << 20}
        return await made.run(Command(**{"script": script.encode(), **plain, **changes}))

    yield run
    await made.close()


@pytest.mark.parametrize("versions", [("v5.channel.k8s.io", "v4.channel.k8s.io"), ("v4.channel.k8s.io",)])
async def test_streams_and_what_the_server_says_at_the_end(client: ApiClient, api, running: str, versions: tuple[str, ...]) -> None:
    api.execs.versions = versions
    channel = await opened(client, running, "sh", "-c", "echo out; echo err >&2; read x; echo $x; exit 3")
    await channel.send(b"in\n")
    assert await everything(channel) == {STDOUT: b"out\nin\n", STDERR: b"err\n"}
    assert channel.status is not None and channel.status["reason"] == "NonZeroExitCode"
    await channel.close()
    channel = await opened(client, running, "cat")
    await channel.send(b"x" * 1_000_000)
    assert await channel.end_stdin() is (len(versions) == 2)
    if len(versions) == 2:
        assert len((await everything(channel))[STDOUT]) == 1_000_000
    await channel.close()
    with pytest.raises(ChannelClosed):
        await channel.send(b"x")


async def test_refusals_are_read_although_the_handshake_hides_them(client: ApiClient, api, running: str) -> None:
    with pytest.raises(NotFound, match='pods "two" not found'):
        await opened(client, "two", "true")
    api.denied.add(("get", "pods/exec"))
    with pytest.raises(Forbidden, match="pods/exec is forbidden"):
        await opened(client, running, "true")
    api.denied.clear()
    await api.stop()
    with pytest.raises(ChannelClosed, match="did not answer"):
        await opened(client, running, "true")
    await api.start()


async def test_a_pod_that_does_not_run_yet(client: ApiClient, api) -> None:
    api.kubelet.paused = True
    await client.request("POST", PODS, body={"metadata": {"name": "late"}, "spec": {"containers": [{"name": "main"}]}})
    with pytest.raises((ApiError, ChannelClosed)):
        await opened(client, "late", "true")


async def test_commands_through_one_stream(mux, api) -> None:
    results = [await mux(f"echo {number}; cat >&2; exit {number}", stdin=b"x") for number in range(5)]
    assert [result.stdout.text() for result in results] == [f"{number}\n" for number in range(5)]
    assert [result.exit_code for result in results] == list(range(5)) and results[0].stderr.bytes == b"x"
    assert sum("exec" in path for _, path in api.requests) == 1


@pytest.mark.parametrize("lie", [False, True])
async def test_a_cut_and_a_lie_about_success(mux, api, tmp_path: Path, lie: bool) -> None:
    api.execs.lie = lie
    running = asyncio.create_task(mux(f"echo x >>{tmp_path}/marks; sleep 1; echo done; exit 4"))
    await until((tmp_path / "marks").exists)
    await api.execs.cut()
    result = await running
    assert (result.exit_code, result.stdout.text(), (tmp_path / "marks").read_text()) == (4, "done\n", "x\n")


async def test_a_server_that_is_away_for_a_while(mux, api, tmp_path: Path) -> None:
    running = asyncio.create_task(mux(f"echo x >>{tmp_path}/marks; sleep 0.5; echo done"))
    await until((tmp_path / "marks").exists)
    await api.stop()
    await asyncio.sleep(1)
    await api.start()
    assert (await running).stdout.text() == "done\n" and (tmp_path / "marks").read_text() == "x\n"
