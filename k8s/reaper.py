"""Removes what dead owners left: Leases whose holders have stopped renewing them, and with those their pods."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
from dataclasses import dataclass
from typing import Any, Final

from podgym.k8s.api import ApiClient, ApiError, Conflict, NotFound
from podgym.k8s.lease import expired, lease_path
from podgym.k8s.pods.spec import LABELS

__all__ = ["Reaped", "delete_pods", "reap"]

_OURS: Final = ",".join(f"{key}={value}" for key, value in LABELS.items())
_ROUNDS: Final = 20
"""A server gives up on a large deletion after a minute, with a part of it done."""


@dataclass(frozen=True, slots=True)
class Reaped:
    """What was removed in one namespace."""

    namespace: str
    leases: tuple[str, ...]
    pods: int
    """Those that no living owner has."""


async def reap(client: ApiClient, namespace: str) -> Reaped:
    """Raises `ApiError`."""
    leases = await _all(client, lease_path(namespace))
    now = datetime.datetime.now(datetime.UTC)
    dead = [item for item in leases if expired(item, now)]
    for item in dead:
        # Only as it was read: a holder that has come back meanwhile keeps its own.
        preconditions = {"uid": item["metadata"]["uid"], "resourceVersion": item["metadata"]["resourceVersion"]}
        with contextlib.suppress(NotFound, Conflict):
            await client.request("DELETE", lease_path(namespace, item["metadata"]["name"]), body={"preconditions": preconditions})
    # Pods first: each one's Lease was there before it, so whose Lease is not there afterwards has none.
    pods = await _all(client, f"/api/v1/namespaces/{namespace}/pods")
    living = {item["metadata"]["uid"] for item in await _all(client, lease_path(namespace))}
    pods = [item for item in pods if not _owners(item) & living]
    gone = await asyncio.gather(*(_delete(client, namespace, item) for item in pods))
    return Reaped(namespace, tuple(str(item["metadata"]["name"]) for item in dead), sum(gone))


async def delete_pods(client: ApiClient, namespace: str, labels: str) -> None:
    """Every pod with these labels, however many. Raises `ApiError`."""
    path = f"/api/v1/namespaces/{namespace}/pods"
    for _ in range(_ROUNDS):
        failed: ApiError | None = None
        try:
            params: dict[str, str | int] = {"labelSelector": labels, "gracePeriodSeconds": 0}
            await client.request("DELETE", path, params=params, body={"propagationPolicy": "Background"}, deadline_s=120.0, again=False)
        except ApiError as error:
            failed = error
        left = await client.request("GET", path, params={"labelSelector": labels, "limit": 1})
        if not left.get("items"):
            return
        await asyncio.sleep(1.0 if failed is not None else 0.2)
    raise ApiError(
        f"Pods in namespace {namespace} are left after {_ROUNDS} deletions.", remedy="Are their nodes there? Look at finalizers."
    )


def _owners(item: dict[str, Any]) -> set[str]:
    return {str(owner.get("uid")) for owner in item["metadata"].get("ownerReferences") or ()}


async def _delete(client: ApiClient, namespace: str, item: dict[str, Any]) -> int:
    body = {"gracePeriodSeconds": 0, "preconditions": {"uid": item["metadata"]["uid"]}}
    with contextlib.suppress(NotFound, Conflict):
        await client.request("DELETE", f"/api/v1/namespaces/{namespace}/pods/{item['metadata']['name']}", body=body)
        return 1
    return 0


async def _all(client: ApiClient, path: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    params: dict[str, str | int] = {"labelSelector": _OURS, "limit": 500}
    while True:
        part = await client.request("GET", path, params=params)
        found += part.get("items") or []
        if not (more := part["metadata"].get("continue")):
            return found
        params["continue"] = more
