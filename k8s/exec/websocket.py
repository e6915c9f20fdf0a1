"""An exec as a channel, over a websocket: v5 of the protocol, which can end stdin alone, and v4 where the server has no v5.

What the protocol says about a command's end is not believed: it tells of success for one that was killed together with its kubelet.
"""

from __future__ import annotations

import contextlib
from typing import Final

import aiohttp
import orjson

from podgym.k8s.api.client import ApiClient
from podgym.k8s.api.errors import Unreachable
from podgym.k8s.exec.channel import STDERR, STDOUT, ChannelClosed

__all__ = ["WebsocketChannel"]

PROTOCOLS: Final = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_STATUS: Final = 3
_CLOSE: Final = 255
_PIECE_BYTES: Final = 256 << 10


class WebsocketChannel:
    """Made by `open`."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self.status: dict[str, object] | None = None
        """What the server said at the end."""

    @classmethod
    async def open(cls, client: ApiClient, pod: str, command: list[str], *, namespace: str, container: str) -> WebsocketChannel:
        """Start a command in a container. Raises `ChannelClosed` where the server is away, else `ApiError`."""
        params = [
            ("container", container),
            ("stdin", "true"),
            ("stdout", "true"),
            ("stderr", "true"),
            *(("command", word) for word in command),
        ]
        try:
            socket = await client.websocket(f"/api/v1/namespaces/{namespace}/pods/{pod}/exec", params=params, protocols=PROTOCOLS)
        except Unreachable as error:
            raise ChannelClosed(error.message) from error
        return cls(socket)

    async def send(self, data: bytes) -> None:
        """See `Channel.send`."""
        try:
            for at in range(0, len(data), _PIECE_BYTES):
                await self._socket.send_bytes(b"\0" + data[at : at + _PIECE_BYTES])
        except (aiohttp.ClientError, OSError, RuntimeError) as error:
            raise ChannelClosed(str(error)) from error

    async def end_stdin(self) -> bool:
        """False where the protocol cannot say so."""
        if self._socket.protocol != PROTOCOLS[0]:
            return False
        with contextlib.suppress(aiohttp.ClientError, OSError):
            await self._socket.send_bytes(bytes([_CLOSE, 0]))
        return True

    async def receive(self) -> tuple[int, bytes]:
        """See `Channel.receive`."""
        while True:
            try:
                message = await self._socket.receive()
            except (aiohttp.ClientError, OSError, RuntimeError) as error:
                raise ChannelClosed(str(error)) from error
            if message.type is not aiohttp.WSMsgType.BINARY:
                if message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.PING, aiohttp.WSMsgType.PONG):
                    continue
                raise ChannelClosed(self._why())
            kind, data = message.data[:1], message.data[1:]
            if kind == b"\3":
                with contextlib.suppress(orjson.JSONDecodeError):
                    told = orjson.loads(data)
                    self.status = told if isinstance(told, dict) else None
            elif data and kind and kind[0] in (STDOUT, STDERR):
                return kind[0], data

    async def close(self) -> None:
        """See `Channel.close`."""
        await self._socket.close()

    def _why(self) -> str:
        message = (self.status or {}).get("message")
        return str(message) if message else "the stream ended"
