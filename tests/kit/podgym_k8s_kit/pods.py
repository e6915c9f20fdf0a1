"""What a scheduler and a kubelet would do to pods: bind them, let them run and end, each after a while."""

from __future__ import annotations

import asyncio
import copy
from dataclasses import dataclass, field
from typing import Any

from podgym_k8s_kit.kinds import KINDS
from podgym_k8s_kit.store import Item, Refused, Store, now

__all__ = ["Kubelet"]

POD = next(kind for kind in KINDS if kind.name == "Pod")


@dataclass
class Kubelet:
    """`bind_s` and `start_s` are what each step takes; a pod with the annotation `fault` meets one: `image`, `stuck`, `oom`, `evicted`."""

    store: Store
    bind_s: float = 0.0
    start_s: float = 0.0
    node: str = "fake-node"
    cached: frozenset[str] = frozenset()
    paused: bool = False
    """Nothing is bound."""
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.store.listeners.append(self._heard)

    def _heard(self, plural: str, event: str, item: Item) -> None:
        if plural == "pods" and event == "ADDED" and not self.paused:
            self._spawn(self._play(item["metadata"]["namespace"], item["metadata"]["name"], item["metadata"]["uid"]))

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _play(self, namespace: str, name: str, uid: str) -> None:
        if self.bind_s:
            await asyncio.sleep(self.bind_s)
        self.change(
            namespace, name, {"spec": {"nodeName": self.node}, "status": {"phase": "Pending", **_condition("PodScheduled")}}, uid=uid
        )
        if self.start_s:
            await asyncio.sleep(self.start_s)
        item = self.store.items.get(("pods", namespace, name))
        if item is None or item["metadata"]["uid"] != uid:
            return
        fault = (item["metadata"].get("annotations") or {}).get("fault", "")
        if fault == "stuck":
            return
        if fault == "image":
            waiting = {"waiting": {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "nowhere/none:1"'}}
            self.change(
                namespace, name, {"status": {"phase": "Pending", "containerStatuses": _containers(item, waiting, ready=False)}}, uid=uid
            )
            return
        running = {"phase": "Running", "podIP": "10.0.0.1", "startTime": now(), **_condition("Ready")}
        self.change(
            namespace,
            name,
            {"status": {**running, "containerStatuses": _containers(item, {"running": {"startedAt": now()}}, ready=True)}},
            uid=uid,
        )
        if fault == "oom":
            self.fail(namespace, name, container="OOMKilled")
        elif fault == "evicted":
            self.fail(namespace, name, reason="Evicted")
        seconds = item["spec"].get("activeDeadlineSeconds")
        if seconds:
            await asyncio.sleep(seconds)
            self.fail(namespace, name, reason="DeadlineExceeded")

    def change(self, namespace: str, name: str, part: Item, *, uid: str = "") -> None:
        """Merge into a pod that is still there."""
        item = self.store.items.get(("pods", namespace, name))
        if item is None or (uid and item["metadata"]["uid"] != uid):
            return
        item = copy.deepcopy(item)
        for section, value in part.items():
            item[section] = {**item.get(section, {}), **value}
        item["metadata"].pop("resourceVersion", None)
        try:
            self.store.replace(POD, namespace, name, item)
        except Refused:
            return

    def fail(self, namespace: str, name: str, *, reason: str = "", container: str = "") -> None:
        """End a pod, for a reason of its own or of its container's."""
        item = self.store.items.get(("pods", namespace, name))
        if item is None or item.get("status", {}).get("phase") in ("Failed", "Succeeded"):
            return
        state = {"terminated": {"exitCode": 137, "reason": container or "Error", "finishedAt": now()}}
        status = {"phase": "Failed", "reason": reason, "message": f"the pod ended: {reason or container}"}
        self.change(namespace, name, {"status": {**status, "containerStatuses": _containers(item, state, ready=False)}})

    async def close(self) -> None:
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


def _condition(kind: str) -> Item:
    return {"conditions": [{"type": kind, "status": "True", "lastTransitionTime": now()}]}


def _containers(item: Item, state: Item, *, ready: bool) -> list[Item]:
    return [
        {"name": one["name"], "image": one.get("image", ""), "imageID": "", "ready": ready, "restartCount": 0, "state": state}
        for one in item["spec"].get("containers", [])
    ]
