"""Objects with versions, and the log that watches read: nothing of it knows HTTP."""

from __future__ import annotations

import asyncio
import bisect
import copy
import datetime
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from podgym_k8s_kit.kinds import Kind

__all__ = ["Refused", "Store"]

Item = dict[str, Any]
Key = tuple[str, str, str]
"""Plural, namespace, name."""


class Refused(Exception):
    """An answer that is none of success."""

    def __init__(self, code: int, reason: str, message: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.code, self.reason, self.retry_after_s = code, reason, retry_after_s


def now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class Store:
    """`on_change` hears of every change before those who watch."""

    items: dict[Key, Item] = field(default_factory=dict)
    version: int = 1
    compacted: int = 0
    """Watches cannot begin before this version."""
    log: list[tuple[int, str, str, Item]] = field(default_factory=list)
    """Version, plural, type of event, object."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    listeners: list[Callable[[str, str, Item], None]] = field(default_factory=list)

    def create(self, kind: Kind, namespace: str, body: Item) -> Item:
        item = copy.deepcopy(body)
        meta = item.setdefault("metadata", {})
        if not meta.get("name"):
            if not meta.get("generateName"):
                raise Refused(422, "Invalid", f"{kind.name} is invalid: metadata.name: Required value: name or generateName is required")
            meta["name"] = meta["generateName"] + uuid.uuid4().hex[:5]
        key = (kind.plural, namespace, meta["name"])
        if key in self.items:
            raise Refused(409, "AlreadyExists", f'{kind.plural} "{meta["name"]}" already exists')
        if kind.namespaced:
            meta["namespace"] = namespace
        meta |= {"uid": str(uuid.uuid4()), "creationTimestamp": now()}
        item |= {"kind": kind.name, "apiVersion": kind.api_version}
        return self._put(key, item, "ADDED")

    def get(self, kind: Kind, namespace: str, name: str) -> Item:
        try:
            return self.items[kind.plural, namespace, name]
        except KeyError:
            raise Refused(404, "NotFound", f'{kind.plural} "{name}" not found') from None

    def replace(self, kind: Kind, namespace: str, name: str, body: Item) -> Item:
        old = self.get(kind, namespace, name)
        meta = body.setdefault("metadata", {})
        stated = meta.get("resourceVersion")
        if stated and stated != old["metadata"]["resourceVersion"]:
            raise Refused(409, "Conflict", f'Operation cannot be fulfilled on {kind.plural} "{name}": the object has been modified')
        if meta.get("uid") and meta["uid"] != old["metadata"]["uid"]:
            raise Refused(409, "Conflict", f"Precondition failed: UID in precondition: {meta['uid']}")
        for fixed in ("uid", "creationTimestamp", "name", "namespace", "deletionTimestamp", "deletionGracePeriodSeconds"):
            if fixed in old["metadata"]:
                meta[fixed] = old["metadata"][fixed]
        body |= {"kind": kind.name, "apiVersion": kind.api_version}
        return self._put((kind.plural, namespace, name), body, "MODIFIED")

    def remove(self, kind: Kind, namespace: str, name: str, *, uid: str = "") -> Item:
        item = self.get(kind, namespace, name)
        if uid and uid != item["metadata"]["uid"]:
            raise Refused(
                409, "Conflict", f"Precondition failed: UID in precondition: {uid}, UID in object meta: {item['metadata']['uid']}"
            )
        del self.items[kind.plural, namespace, name]
        gone = copy.deepcopy(item)
        self.version += 1
        gone["metadata"]["resourceVersion"] = str(self.version)
        self._tell(kind.plural, "DELETED", gone)
        for key, other in list(self.items.items()):  # what it owned goes with it
            if any(owner.get("uid") == item["metadata"]["uid"] for owner in other["metadata"].get("ownerReferences") or ()):
                self.drop(key)
        return gone

    def drop(self, key: Key) -> None:
        """Remove an object as nobody's request."""
        if (item := self.items.pop(key, None)) is not None:
            gone = copy.deepcopy(item)
            self.version += 1
            gone["metadata"]["resourceVersion"] = str(self.version)
            self._tell(key[0], "DELETED", gone)

    def listed(self, kind: Kind, namespace: str | None) -> list[Item]:
        return [self.items[key] for key in sorted(self.items) if key[0] == kind.plural and namespace in (None, key[1])]

    def _put(self, key: Key, item: Item, event: str) -> Item:
        self.version += 1
        item["metadata"]["resourceVersion"] = str(self.version)
        self.items[key] = item
        self._tell(key[0], event, item)
        return item

    def _tell(self, plural: str, event: str, item: Item) -> None:
        self.log.append((self.version, plural, event, copy.deepcopy(item)))
        for listener in self.listeners:
            listener(plural, event, item)
        self.changed.set()
        self.changed = asyncio.Event()

    def compact(self) -> None:
        """Forget the log: watches that begin earlier are told 410."""
        self.compacted = self.version
        self.log.clear()

    async def follow(self, plural: str, version: int) -> AsyncIterator[tuple[int, str, Item]]:
        """Events after `version`, without end. Raises `Refused` (410) where they are no longer kept."""
        while True:
            if version < self.compacted:
                raise Refused(410, "Expired", f"too old resource version: {version} ({self.compacted})")
            changed = self.changed
            for number, kind, event, item in self.log[bisect.bisect_right(self.log, version, key=lambda entry: entry[0]) :]:
                version = number
                if kind == plural:
                    yield number, event, item
            await changed.wait()
