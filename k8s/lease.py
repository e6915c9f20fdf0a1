"""The life of whoever owns pods, as a Lease that it renews: when the renewing ends, everything that the Lease owns may go.

Each process that makes pods has one in each namespace that it uses. Pods name it as their owner, so that the garbage collector removes them
when the Lease is deleted, by its holder in the end or by a reaper after its time.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
from collections.abc import Mapping
from typing import Any, Final

from podgym.k8s.api import ApiClient, ApiError, NotFound
from podgym.k8s.pods.spec import LABELS, RUN, label_value

__all__ = ["DURATION_S", "OwnerLease", "expired", "lease_path"]

DURATION_S: Final = 60
_RENEW_S: Final = 15.0
_CLOCKS_S: Final = 30.0
"""By which the clocks of two machines may differ."""


def lease_path(namespace: str, name: str = "") -> str:
    """Of one Lease, or of all in a namespace."""
    return f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases" + (f"/{name}" if name else "")


class OwnerLease:
    """Made by `take`."""

    def __init__(self, client: ApiClient, namespace: str, item: Mapping[str, Any]) -> None:
        self._client = client
        self._namespace = namespace
        self._name = str(item["metadata"]["name"])
        self._uid = str(item["metadata"]["uid"])
        self.renewed_at = asyncio.get_running_loop().time()
        """By the loop's clock."""
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Somebody has deleted it: the pods go, too."""
        self._renewing = asyncio.create_task(self._renew())

    @classmethod
    async def take(cls, client: ApiClient, namespace: str, name: str, *, run: str, holder: str) -> OwnerLease:
        """Raises `ApiError`."""
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": name, "labels": {**LABELS, RUN: label_value(run)}},
            "spec": {"holderIdentity": holder, "leaseDurationSeconds": DURATION_S, "acquireTime": _now(), "renewTime": _now()},
        }
        return cls(client, namespace, await client.request("POST", lease_path(namespace), body=body))

    @property
    def owner(self) -> dict[str, str]:
        """As an `ownerReferences` entry has it."""
        return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "name": self._name, "uid": self._uid}

    async def release(self) -> None:
        """Delete it, and with it whatever it owns. Raises `ApiError`."""
        self._renewing.cancel()
        await asyncio.gather(self._renewing, return_exceptions=True)
        with contextlib.suppress(NotFound):
            await self._client.request("DELETE", lease_path(self._namespace, self._name), body={"propagationPolicy": "Background"})

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(_RENEW_S)
            try:
                await self._client.request(
                    "PATCH",
                    lease_path(self._namespace, self._name),
                    body={"metadata": {"uid": self._uid}, "spec": {"renewTime": _now()}},
                    content_type="application/merge-patch+json",
                    deadline_s=_RENEW_S,
                )
                self.renewed_at = asyncio.get_running_loop().time()
            except NotFound:
                self.gone.set_result(None)
                return
            except ApiError:
                continue  # the server is away; it cannot reap either


def expired(item: Mapping[str, Any], now: datetime.datetime) -> bool:
    """Whether a Lease's holder has stopped renewing it, by more than clocks may differ."""
    spec = item.get("spec") or {}
    try:
        renewed = datetime.datetime.fromisoformat(str(spec["renewTime"]).replace("Z", "+00:00"))
        duration_s = float(spec["leaseDurationSeconds"])
    except (KeyError, TypeError, ValueError):
        return False
    return (now - renewed).total_seconds() > duration_s + _CLOCKS_S


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
