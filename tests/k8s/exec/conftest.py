"""The supervisor as a process of this machine, under every kind of shell that images have."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from podgym.k8s.exec import BOOTSTRAP, ChannelClosed, Command, Mux
from podgym.sandbox import CommandResult

SHELLS = {"dash": ["dash"], "bash": ["bash"], "busybox": ["busybox", "sh"]}
IN_A_NAMESPACE = ["bwrap", "--dev-bind", "/", "/", "--unshare-pid", "--proc", "/proc", "--die-with-parent"]
"""Where killing all processes does not mean those of the tests."""


class ProcessChannel:
    """`Channel` to a process here."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self._heard: asyncio.Queue[tuple[int, bytes] | None] = asyncio.Queue(64)
        self._pumps = [asyncio.create_task(self._pump(stream, number)) for number, stream in ((1, process.stdout), (2, process.stderr))]

    @classmethod
    async def open(cls, shell: list[str]) -> ProcessChannel:
        pipe = asyncio.subprocess.PIPE
        return cls(await asyncio.create_subprocess_exec(*shell, "-c", BOOTSTRAP, stdin=pipe, stdout=pipe, stderr=pipe))

    async def send(self, data: bytes) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(data)
            await self.process.stdin.drain()
        except ConnectionError as error:
            raise ChannelClosed from error

    async def receive(self) -> tuple[int, bytes]:
        if (heard := await self._heard.get()) is None:
            raise ChannelClosed
        return heard

    async def close(self) -> None:
        """Like a connection that breaks: nobody reads any more, and stdin ends. The process is left alone."""
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)
        assert self.process.stdin is not None
        with contextlib.suppress(ConnectionError):
            self.process.stdin.close()
        self._heard = asyncio.Queue()
        self._heard.put_nowait(None)

    async def end(self) -> None:
        """Of the process too, whoever else holds its streams."""
        await self.close()
        self.process._transport.close()  # type: ignore[attr-defined]
        await self.process.wait()

    async def _pump(self, stream: Any, number: int) -> None:
        while data := await stream.read(1 << 16):
            await self._heard.put((number, data))
        await self._heard.put(None)


@dataclass
class Pod:
    """A mux, what it connected to, and its state's directory."""

    shell: list[str]
    directory: Path
    channels: list[ProcessChannel] = field(default_factory=list)
    refusals: int = 0
    """Attempts to connect that shall fail."""

    def __post_init__(self) -> None:
        self.mux = Mux(self.connect, directory=str(self.directory), reconnect_s=5.0)

    async def connect(self) -> ProcessChannel:
        if self.refusals:
            self.refusals -= 1
            raise ChannelClosed("refused")
        self.channels.append(await ProcessChannel.open(self.shell))
        return self.channels[-1]

    async def cut(self) -> None:
        """Break the connection."""
        await self.channels[-1].close()

    async def run(self, script: str, **changes: Any) -> CommandResult:
        """With time for a busy machine."""
        plain = {"timeout_s": 30.0, "cwd": "/", "env": {}, "stdin": b"", "output_limit": 1 << 20}
        return await self.mux.run(Command(**{"script": script.encode(), **plain, **changes}))

    async def close(self) -> None:
        await self.mux.close()
        for channel in self.channels:
            await channel.end()


@pytest.fixture(params=SHELLS)
async def make_pod(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Callable[..., Pod]]:
    shell = SHELLS[request.param]
    if shutil.which(shell[0]) is None:
        pytest.skip(f"no {shell[0]} on this machine")
    made: list[Pod] = []

    def make(*, apart: bool = False) -> Pod:
        if apart and shutil.which("bwrap") is None:
            pytest.skip("no bwrap on this machine")
        made.append(Pod([*(IN_A_NAMESPACE if apart else []), *shell], tmp_path / f"state {len(made)}"))
        return made[-1]

    yield make
    for pod in made:
        await pod.close()


@pytest.fixture
async def pod(make_pod: Callable[..., Pod]) -> Pod:
    return make_pod()
