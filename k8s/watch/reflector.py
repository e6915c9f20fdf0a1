"""A mirror of a collection of objects: listed in chunks, then followed by one watch, from the last version on when that breaks.

Reading never waits for work: whole lines are taken off the connection as they come, into a queue without a bound, and looked at beside it,
because a server disconnects who reads too slowly, and every reconnection costs it more than the events did. What is kept of an object is
what `read` makes of it, so that ten thousand of them fit.

An object is known by its uid. One that takes another's name is told as `replaced`, also where nothing was heard of the other's end.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, Literal, TypeVar

import aiohttp
import orjson

from podgym.k8s.api import ApiClient, ApiError, Gone
from podgym.k8s.api.errors import refusal
from podgym.k8s.api.retries import pause_s

__all__ = ["Change", "Counts", "Reflector"]

T = TypeVar("T")
_CHUNK: Final = 500
_WATCH_S: Final = (240, 300)
"""A server ends a watch after as long as it was asked for; bounds of a lot, so that many do not end at once."""
_IDLE_S: Final = 100.0
"""Bookmarks come every minute: a connection that says nothing for longer is dead."""
_SLICE: Final = 200
"""Events that are looked at before others have their turn."""
_LIST_S: Final = 120.0
_SHORT_S: Final = 5.0
_FOR_GOOD: Final = (401, 403, 404, 405)


@dataclass(frozen=True, slots=True)
class Change(Generic[T]):
    """`now` is None where the object is gone; `replaced` has both."""

    kind: Literal["added", "changed", "replaced", "gone"]
    key: tuple[str, str]
    """Namespace and name."""
    before: T | None
    now: T | None


@dataclass(slots=True)
class Counts:
    """What a mirror has met so far."""

    events: int = 0
    lists: int = 0
    watches: int = 0
    broken: int = 0
    """Watches that did not end as agreed."""
    most_waiting: int = 0
    """Events that had come and were not looked at yet, at the worst moment."""
    waited_s: float = 0.0
    """The longest that an event waited to be looked at."""


@dataclass(frozen=True, slots=True)
class _Kept(Generic[T]):
    uid: str
    version: str
    value: T


class Reflector(Generic[T]):
    """`run` keeps `items` up to date and calls `on_change`, which must not wait; `synced` is set when the first list is whole."""

    def __init__(
        self,
        client: ApiClient,
        path: str,
        *,
        read: Callable[[dict[str, Any]], T],
        on_change: Callable[[Change[T]], None],
        labels: str = "",
        rng: random.Random | None = None,
    ) -> None:
        self._client = client
        self._path = path
        self._read = read
        self._on_change = on_change
        self._selector = {"labelSelector": labels} if labels else {}
        self._rng = rng or random.Random()
        self._kept: dict[tuple[str, str], _Kept[T]] = {}
        self._version = ""
        self.synced = asyncio.Event()
        self.counts = Counts()

    @property
    def items(self) -> dict[tuple[str, str], T]:
        """By namespace and name, as far as they are known now."""
        return {key: kept.value for key, kept in self._kept.items()}

    def get(self, namespace: str, name: str) -> T | None:
        """One of them."""
        kept = self._kept.get((namespace, name))
        return kept.value if kept is not None else None

    async def run(self) -> None:
        """Until it is cancelled. Raises `ApiError` for what does not get better: no right to list or watch, no such collection."""
        while True:
            await self._list()
            attempt = 0
            while True:
                began, wait_s = time.monotonic(), None
                try:
                    await self._watch()
                except Gone:
                    break
                except ApiError as error:
                    if error.status in _FOR_GOOD:
                        raise
                    wait_s = error.retry_after_s
                    self.counts.broken += 1
                # One that ends at once is no better than one that fails, whatever it said.
                attempt = 0 if time.monotonic() - began > _SHORT_S else attempt + 1
                if attempt:
                    await asyncio.sleep(pause_s(attempt, wait_s, self._rng))

    async def _list(self) -> None:
        """Everything as it is; what is no longer there is told."""
        self.counts.lists += 1
        try:
            found, version = await self._chunks(_CHUNK)
        except Gone:  # it was compacted between two chunks
            found, version = await self._chunks(0)
        for key in [key for key in self._kept if key not in found]:
            self._forget(key)
        for item in found.values():
            self._take(item)
        self._version = version
        self.synced.set()

    async def _chunks(self, limit: int) -> tuple[dict[tuple[str, str], dict[str, Any]], str]:
        found: dict[tuple[str, str], dict[str, Any]] = {}
        params: dict[str, str | int] = {**self._selector, **({"limit": limit} if limit else {})}
        while True:
            part = await self._client.request("GET", self._path, params=params, deadline_s=_LIST_S)
            for item in part.get("items") or ():
                found[_key(item)] = item
            more = part["metadata"].get("continue")
            if not more:
                return found, str(part["metadata"]["resourceVersion"])
            params["continue"] = more

    async def _watch(self) -> None:
        """Follow until the watch ends as agreed. Raises `Gone`, `ApiError`."""
        self.counts.watches += 1
        params = {**self._selector, "watch": "1", "allowWatchBookmarks": "true", "resourceVersion": self._version}
        params["timeoutSeconds"] = str(self._rng.randint(*_WATCH_S))
        waiting: deque[tuple[float, bytes]] = deque()
        more = asyncio.Event()
        async with self._client.stream(self._path, params=params, idle_s=_IDLE_S) as stream:
            reading = asyncio.create_task(self._take_lines(stream, waiting, more))
            try:
                while not (reading.done() and not waiting):
                    if not waiting:
                        more.clear()
                        await more.wait()
                    for _ in range(min(len(waiting), _SLICE)):
                        came, line = waiting.popleft()
                        self.counts.waited_s = max(self.counts.waited_s, time.monotonic() - came)
                        self._event(line)
                    await asyncio.sleep(0)
                await reading
            finally:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)

    async def _take_lines(self, stream: aiohttp.StreamReader, waiting: deque[tuple[float, bytes]], more: asyncio.Event) -> None:
        rest = b""
        try:
            while data := await stream.readany():
                *lines, rest = (rest + data).split(b"\n")
                now = time.monotonic()
                waiting.extend((now, line) for line in lines if line)
                self.counts.most_waiting = max(self.counts.most_waiting, len(waiting))
                more.set()
        finally:
            more.set()

    def _event(self, line: bytes) -> None:
        try:
            event = orjson.loads(line)
            kind, item = event["type"], event["object"]
            version = str(item["metadata"].get("resourceVersion", ""))
        except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError) as error:
            raise ApiError(f"A watch of {self._path} said {line[:200]!r}, which is no event.", remedy="Is it an API server?") from error
        self.counts.events += 1
        if kind == "ERROR":
            raise refusal(int(item.get("code") or 500), orjson.dumps(item), f"watch {self._path}")
        self._version = version or self._version
        if kind in ("ADDED", "MODIFIED"):
            self._take(item)
        elif kind == "DELETED":
            kept = self._kept.get(_key(item))
            if kept is not None and kept.uid == item["metadata"]["uid"]:
                # How it was in the end is told, before it is gone.
                self._take(item)
                self._forget(_key(item))

    def _take(self, item: dict[str, Any]) -> None:
        key, meta = _key(item), item["metadata"]
        before = self._kept.get(key)
        if before is not None and before.version == meta["resourceVersion"] and before.uid == meta["uid"]:
            return
        made = _Kept(str(meta["uid"]), str(meta["resourceVersion"]), self._read(item))
        self._kept[key] = made
        if before is None:
            self._on_change(Change("added", key, None, made.value))
        else:
            kind: Literal["changed", "replaced"] = "changed" if before.uid == made.uid else "replaced"
            self._on_change(Change(kind, key, before.value, made.value))

    def _forget(self, key: tuple[str, str]) -> None:
        kept = self._kept.pop(key)
        self._on_change(Change("gone", key, kept.value, None))


def _key(item: dict[str, Any]) -> tuple[str, str]:
    return str(item["metadata"].get("namespace", "")), str(item["metadata"]["name"])
