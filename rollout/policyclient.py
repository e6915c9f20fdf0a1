"""A worker's side of the policy's process: many rollouts' requests in few calls.

Requests gather for `gather_s` and leave together; one long poll at a time waits for answers. A request says everything that its
answer depends on, so when the policy's process dies, what it had not answered is kept and asked again of the process
that `connect` names; only where none comes within `outage_s` do the requests fail. `outages` counts, so that a rollout whose time
ran out meanwhile is not taken for one that dawdled. Requests that were cancelled are given up there too.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from podgym.policy import PolicyUnavailable, Sample, SampleRequest
from podgym.rollout.wire import pack_requests, unpack_answers

__all__ = ["BatchingPolicy", "Exchange"]

Exchange = Callable[[bytes, float], Awaitable[bytes]]
"""`exchange(packed requests, hold_s)` of the policy's process; raises `PolicyUnavailable` when it is gone."""


class BatchingPolicy:
    """Implements `Policy`. Used from one event loop."""

    def __init__(self, exchange: Exchange, *, gather_s: float = 0.02, hold_s: float = 10.0, outage_s: float = 600.0) -> None:
        self._exchange = exchange
        self._gather_s = gather_s
        self._hold_s = hold_s
        self._outage_s = outage_s
        self._open: dict[int, tuple[SampleRequest, asyncio.Future[Sample]]] = {}
        self._waiting: list[int] = []
        self._given_up: list[int] = []
        self._next_key = 0
        self._wake = asyncio.Event()
        self._connected = asyncio.Event()
        self._connected.set()
        self._pump: asyncio.Task[None] | None = None
        self._poll: asyncio.Task[bytes] | None = None
        self._calls: set[asyncio.Task[bytes]] = set()
        self._closed = False
        self.calls = 0
        """Calls made so far."""
        self.outages = 0
        """Times that the policy's process was gone so far."""

    async def sample(self, request: SampleRequest) -> Sample:
        """See `Policy`; bounded by the caller's own limit and, when the policy's process is gone, by `outage_s`."""
        if self._closed:
            raise PolicyUnavailable("The connection to the policy is closed.")
        key, self._next_key = self._next_key, self._next_key + 1
        future: asyncio.Future[Sample] = asyncio.get_running_loop().create_future()
        self._open[key] = (request, future)
        self._waiting.append(key)
        self._wake.set()
        if self._pump is None:
            self._pump = asyncio.create_task(self._run())
        try:
            return await future
        except asyncio.CancelledError:
            if key not in self._waiting:
                self._given_up.append(key)
                self._wake.set()
            raise
        finally:
            self._open.pop(key, None)

    async def connect(self, exchange: Exchange) -> None:
        """Use another process from now on, and ask it again what the one before has not answered."""
        await self._stop()
        self._exchange = exchange
        self._waiting, self._given_up = list(self._open), []
        self._connected.set()
        if self._open:
            self._pump = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Fail what is open; idempotent."""
        self._closed = True
        await self._stop()
        self._fail(PolicyUnavailable("The connection to the policy is closed."))

    async def _stop(self) -> None:
        running: list[asyncio.Task[bytes] | asyncio.Task[None]] = [*self._calls]
        if self._pump is not None:
            running.append(self._pump)
        self._pump = self._poll = None
        self._calls.clear()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _fail(self, error: BaseException) -> None:
        self._waiting = []
        for _, future in self._open.values():
            if not future.done():
                future.set_exception(error)

    async def _run(self) -> None:
        try:
            while True:
                try:
                    await self._serve()
                except PolicyUnavailable as error:
                    await self._outage(error)
        except Exception as error:
            self._fail(error)
            raise

    async def _outage(self, error: PolicyUnavailable) -> None:
        """Wait until `connect` ends this task with all others, or fail what is open."""
        self._connected.clear()
        self.outages += 1
        try:
            await asyncio.wait_for(self._connected.wait(), self._outage_s)
        except TimeoutError:
            self._fail(error)
            self._poll = None
            self._calls.clear()

    async def _serve(self) -> None:
        sent_at = 0.0
        while True:
            self._wake.clear()
            if not self._open and not self._given_up:
                await self._wake.wait()
                continue
            if (self._waiting or self._given_up) and time.monotonic() - sent_at >= self._gather_s:
                self._send(hold=self._poll is None)
                sent_at = time.monotonic()
            elif self._poll is None:
                self._send(hold=True)
                sent_at = time.monotonic()
            due_s = max(0.0, sent_at + self._gather_s - time.monotonic()) if self._waiting or self._given_up else None
            await self._receive(due_s)

    def _send(self, *, hold: bool) -> None:
        batch = [(key, self._open[key][0]) for key in self._waiting if key in self._open]
        given_up, self._waiting, self._given_up = self._given_up, [], []
        payload = pack_requests(batch, given_up) if batch or given_up else b""
        task = asyncio.create_task(_call(self._exchange, payload, self._hold_s if hold and self._open else 0.0))
        self._calls.add(task)
        self.calls += 1
        if hold:
            self._poll = task

    async def _receive(self, due_s: float | None) -> None:
        """Until a call returns or, where requests gather or new ones come, until they are due."""
        waker = asyncio.create_task(self._wake.wait())
        try:
            done, _ = await asyncio.wait({waker, *self._calls}, timeout=due_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waker.cancel()
        for task in self._calls & done:
            self._calls.discard(task)
            if task is self._poll:
                self._poll = None
            self._take(task.result())

    def _take(self, payload: bytes) -> None:
        for key, answer in unpack_answers(payload) if payload else ():
            _, future = self._open.get(key, (None, None))
            if future is None or future.done():
                continue
            if isinstance(answer, BaseException):
                future.set_exception(answer)
            else:
                future.set_result(answer)


async def _call(exchange: Exchange, payload: bytes, hold_s: float) -> bytes:
    return await exchange(payload, hold_s)
