"""The driver's end of one sandbox's socket: frames out, replies matched to who waits for them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable

from podgym.sandbox.local.inside import wire
from podgym.sandbox.local.starts import Starts

__all__ = ["Link", "Reply", "environment_blob"]

Reply = tuple[int, bytes]
"""Kind and payload."""
RECEIVE = 1 << 18


class Link:
    """Owns the socket. `on_end` is called once when the other end has gone, with the LOST frame's text if one came."""

    def __init__(self, channel: socket.socket, *, loop: asyncio.AbstractEventLoop, on_end: Callable[[bytes], None]) -> None:
        channel.setblocking(False)
        self._channel = channel
        self._loop = loop
        self._on_end = on_end
        self._frames = wire.FrameReader()
        self._waiting: dict[int, asyncio.Future[Reply]] = {}
        self._queued: dict[int, bytes] = {}
        self._parts: dict[int, list[bytes]] = {}
        self._out: list[memoryview] = []
        self._next = 0
        self._lost = b""
        self.open = True
        self.ready: asyncio.Future[Reply] = self._expect(0)
        loop.add_reader(channel, self._readable)

    def _expect(self, ident: int) -> asyncio.Future[Reply]:
        future: asyncio.Future[Reply] = self._loop.create_future()
        self._waiting[ident] = future
        return future

    def ask(self, kind: int, *parts: bytes, fd: int = -1) -> asyncio.Future[Reply]:
        """Send one request; the future is its reply. Cancelling it drops the reply."""
        self._send_queued()
        self._next += 1
        future = self._expect(self._next)
        self.send(wire.frame(kind, self._next, *parts), fd=fd)
        return future

    def ask_in_turn(self, starts: Starts, kind: int, *parts: bytes) -> asyncio.Future[Reply]:
        """As `ask`, sent when `starts` lets it, or before the next `ask`. Cancelled before that, it is never sent."""
        self._next += 1
        ident = self._next
        future = self._expect(ident)
        self._queued[ident] = wire.frame(kind, ident, *parts)

        def dropped(_: object) -> None:
            if self._queued.pop(ident, None) is not None:
                self._waiting.pop(ident, None)

        future.add_done_callback(dropped)
        starts.enter(future, lambda: self._send_queued(ident))
        return future

    def _send_queued(self, last: int | None = None) -> None:
        # In the order asked, for what is asked later may rest on what was asked before.
        while self._queued and (last is None or next(iter(self._queued)) <= last):
            ident = next(iter(self._queued))
            data = self._queued.pop(ident)
            if self._waiting[ident].done():
                del self._waiting[ident]
            else:
                self.send(data)

    def ask_in_parts(self, kind: int, head: Callable[[bool], bytes], data: bytes) -> asyncio.Future[Reply]:
        """As `ask`, for data that is sent in several frames; `head` gets whether more follow."""
        self._send_queued()
        self._next += 1
        future = self._expect(self._next)
        view = memoryview(data)
        for at in range(0, max(len(data), 1), wire.PART_BYTES):
            more = at + wire.PART_BYTES < len(data)
            self.send(wire.frame(kind, self._next, head(more), bytes(view[at : at + wire.PART_BYTES])))
        return future

    def send(self, data: bytes, *, fd: int = -1) -> None:
        """Write now what the socket takes, the rest when it can."""
        sent = 0
        if not self._out:
            try:
                sent = socket.send_fds(self._channel, [data], [fd]) if fd >= 0 else self._channel.send(data)
            except BlockingIOError:
                pass
            except OSError:
                return  # The end of the socket is noticed by the reader, which fails what waits.
        if sent < len(data):
            if not self._out:
                self._loop.add_writer(self._channel, self._writable)
            self._out.append(memoryview(data)[sent:])

    def _writable(self) -> None:
        while self._out:
            try:
                sent = self._channel.send(self._out[0])
            except BlockingIOError:
                return
            except OSError:
                self._out.clear()
                break
            if sent < len(self._out[0]):
                self._out[0] = self._out[0][sent:]
                return
            del self._out[0]
        self._loop.remove_writer(self._channel)

    def _readable(self) -> None:
        try:
            data = self._channel.recv(RECEIVE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._end()
            return
        for kind, ident, payload in self._frames.feed(data):
            if kind == wire.PART:
                self._parts.setdefault(ident, []).append(payload)
            elif kind == wire.LOST:
                self._lost = payload
            else:
                parts = self._parts.pop(ident, None)
                future = self._waiting.pop(ident, None)
                if future is not None and not future.done():
                    future.set_result((kind, b"".join((*parts, payload)) if parts and kind == wire.DATA else payload))

    def _end(self) -> None:
        if self.open:
            self.close()
            self._on_end(self._lost)

    def close(self) -> None:
        """Hang up; what waits is failed by `fail`."""
        if self.open:
            self.open = False
            self._queued.clear()
            self._loop.remove_reader(self._channel)
            if self._out:
                self._out.clear()
                self._loop.remove_writer(self._channel)
            # Closing alone would not end it while a process that the driver has forked still holds a copy.
            with contextlib.suppress(OSError):
                self._channel.shutdown(socket.SHUT_RDWR)
            self._channel.close()

    def fail(self, make: Callable[[], Exception]) -> None:
        """Raise in everything that waits for a reply."""
        waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            if not future.done():
                future.set_exception(make())
                # Those who were cancelled meanwhile never look at it.
                future.exception()


def environment_blob(env: dict[str, str]) -> bytes:
    """`key=value` entries separated by NUL; raises `ValueError` for what cannot be an environment."""
    for key, value in env.items():
        if not key or "=" in key or "\0" in key or "\0" in value:
            raise ValueError(f"Not an environment variable: {key!r}={value!r}. Names are not empty and have no '='; neither part has NUL.")
    return b"\0".join(os.fsencode(f"{key}={value}") for key, value in env.items())
