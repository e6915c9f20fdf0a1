"""What a pod's object says about the sandbox in it: whether it can be used, and if not why, in the sandbox's terms.

The reasons are those that kubelets, schedulers and controllers write (Kubernetes 1.34): `status.reason`, the states of the container, and
the conditions `PodScheduled` and `DisruptionTarget`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from podgym.sandbox import ImageError, QuotaError, SandboxError, SandboxLost
from podgym.sandbox.errors import LostReason

__all__ = ["MAIN", "PodState", "Problem", "read_pod"]

MAIN: Final = "main"
"""The container that commands run in."""
Kind = Literal["image", "config", "unschedulable", "lost"]
_IMAGE: Final = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError", "RegistryUnavailable"}
)
_CONFIG: Final = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError", "StartError", "ContainerCannotRun"})
_DISRUPTIONS: Final[dict[str, LostReason]] = {
    "PreemptionByScheduler": "evicted",
    "EvictionByEvictionAPI": "evicted",
    "TerminationByKubelet": "evicted",
    "DeletionByTaintManager": "node",
    "DeletionByPodGC": "node",
}
_PHASE_REASONS: Final[dict[str, LostReason]] = {
    "Evicted": "evicted",
    "DeadlineExceeded": "evicted",
    "NodeLost": "node",
    "NodeShutdown": "node",
    "Terminated": "node",
    "Shutdown": "node",
    "UnexpectedAdmissionError": "node",
    "NodeAffinity": "node",
    "OutOfcpu": "node",
    "OutOfmemory": "node",
    "OutOfpods": "node",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a pod cannot be used, or not yet."""

    kind: Kind
    reason: str
    """Kubernetes' own word."""
    message: str
    lost: LostReason = "killed"
    """Of a pod that did run."""

    def error(self, pod: str, image: str) -> SandboxError:
        """For whoever waits for the pod, or works in it."""
        said = f"{self.reason}: {self.message}" if self.message else self.reason
        if self.kind == "image":
            return ImageError(
                f"Image {image!r} cannot be had for pod {pod}: {said}",
                remedy="Does it exist, may the nodes pull it (`image_pull_secrets`), and is the pull policy right?",
            )
        if self.kind == "config":
            return ImageError(f"The container of pod {pod} cannot be made from image {image!r}: {said}", remedy="See the message.")
        if self.kind == "unschedulable":
            return QuotaError(
                f"No node takes pod {pod}: {said}", remedy="Ask for less, add nodes, or check node selector, tolerations and runtime class."
            )
        return SandboxLost(f"Pod {pod} is gone: {said}", reason=self.lost, remedy="Create a new one.")


@dataclass(frozen=True, slots=True)
class PodState:
    """Of one pod, as small as ten thousand of them should be."""

    uid: str
    phase: str
    node: str
    running: bool
    """The main container runs, and the pod is not about to end."""
    leaving: bool
    """Somebody has deleted it."""
    problem: Problem | None
    created: str
    scheduled: str
    """Times as Kubernetes writes them, to the second; empty where it has not come to that."""
    started: str
    image: str
    """As the container runtime resolved it; empty before it runs."""


def read_pod(item: dict[str, Any]) -> PodState:
    """Never raises for an object that has a uid, whatever else it lacks."""
    meta, status = _dict(item, "metadata"), _dict(item, "status")
    container = next((one for one in _dicts(status, "containerStatuses") if one.get("name") == MAIN), {})
    conditions = {str(one.get("type")): one for one in _dicts(status, "conditions")}
    running = _dict(_dict(container, "state"), "running")
    leaving = bool(meta.get("deletionTimestamp"))
    phase = str(status.get("phase") or "")
    scheduled = conditions.get("PodScheduled", {})
    problem = _problem(phase, status, container, conditions, leaving=leaving)
    return PodState(
        uid=str(meta.get("uid") or ""),
        phase=phase,
        node=str(_dict(item, "spec").get("nodeName") or ""),
        running=phase == "Running" and bool(running) and problem is None,
        leaving=leaving,
        problem=problem,
        created=str(meta.get("creationTimestamp") or ""),
        scheduled=str(scheduled.get("lastTransitionTime") or "") if scheduled.get("status") == "True" else "",
        started=str(running.get("startedAt") or ""),
        image=str(container.get("imageID") or ""),
    )


def _problem(
    phase: str, status: dict[str, Any], container: dict[str, Any], conditions: dict[str, dict[str, Any]], *, leaving: bool
) -> Problem | None:
    target = conditions.get("DisruptionTarget", {})
    if target.get("status") == "True":
        reason = str(target.get("reason") or "")
        return Problem("lost", reason, _text(target), _DISRUPTIONS.get(reason, "evicted"))
    if phase in ("Failed", "Succeeded"):
        return _ended(status, container)
    waiting = _dict(_dict(container, "state"), "waiting")
    if (reason := str(waiting.get("reason") or "")) in _IMAGE:
        return Problem("image", reason, _text(waiting))
    if reason in _CONFIG:
        return Problem("config", reason, _text(waiting))
    if (ended := _dict(_dict(container, "state"), "terminated")) and not leaving:
        return _of_container(ended)
    if leaving:
        return Problem("lost", "Deleted", "it was deleted", "killed")
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("status") == "False":
        return Problem("unschedulable", str(scheduled.get("reason") or "Unschedulable"), _text(scheduled))
    return None


def _ended(status: dict[str, Any], container: dict[str, Any]) -> Problem:
    reason = str(status.get("reason") or "")
    if reason:
        return Problem("lost", reason, _text(status), _PHASE_REASONS.get(reason, "killed"))
    return _of_container(_dict(_dict(container, "state"), "terminated"))


def _of_container(ended: dict[str, Any]) -> Problem:
    reason = str(ended.get("reason") or "Ended")
    if reason in _CONFIG:
        return Problem("config", reason, _text(ended))
    code = ended.get("exitCode")
    said = _text(ended) or (f"its first process ended with {code}" if code is not None else "its first process ended")
    return Problem("lost", reason, said, "oom" if reason == "OOMKilled" else "killed")


def _text(part: dict[str, Any]) -> str:
    return " ".join(str(part.get("message") or "").split())[:1000]


def _dict(part: dict[str, Any], key: str) -> dict[str, Any]:
    found = part.get(key)
    return found if isinstance(found, dict) else {}


def _dicts(part: dict[str, Any], key: str) -> list[dict[str, Any]]:
    found = part.get(key)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
