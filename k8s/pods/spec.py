"""The object of a sandbox's pod: what the task asks for, restricted in everything else.

No token of a service account, no names of services, the runtime's seccomp profile, no capability that an ordinary process lacks, no
privileges to be gained. A task that works as root has those that root has in a container of its own (the `baseline` level of the pod
security standards); any other runs under `restricted`.
"""

from __future__ import annotations

import copy
import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final

from podgym.k8s.config import KubernetesConfig
from podgym.k8s.pods.state import MAIN
from podgym.sandbox import SandboxSpec

__all__ = ["LABELS", "image_label", "label_value", "merged", "pod_object"]

LABELS: Final = {"app.kubernetes.io/managed-by": "podgym"}
RUN, IMAGE, NETWORK = "podgym.dev/run", "podgym.dev/image", "podgym.dev/network"
_KEEPER: Final = """trap '' HUP INT QUIT PIPE
trap 'exit 0' TERM
while :; do sleep 86400 & while kill -0 $! 2>/dev/null; do wait $!; done; done"""
"""A first process that reaps what commands leave behind, and ends when it is told to."""
_ROOT_CAPABILITIES: Final = (
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP", "SETUID",
    "SYS_CHROOT",
)  # fmt: skip
_NAMED: Final = frozenset({"containers", "initContainers", "volumes", "env", "imagePullSecrets"})
"""Lists whose members have names; `volumeMounts` are known by their paths."""


def pod_object(
    name: str, spec: SandboxSpec, config: KubernetesConfig, *, run: str, owner: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The pod `name` for `spec`. `owner` is the object that takes the pod along when it goes: apiVersion, kind, name, uid."""
    is_root = spec.user in ("root", "0")
    limits = {
        "cpu": f"{max(1, round(spec.limits.cpus * 1000))}m",
        "memory": str(spec.limits.memory_bytes),
        "ephemeral-storage": str(spec.limits.disk_bytes),
    }
    requests = {
        "cpu": f"{max(1, round(spec.limits.cpus * config.cpu_request * 1000))}m",
        "memory": str(max(16 << 20, int(spec.limits.memory_bytes * config.memory_request))),
        "ephemeral-storage": str(min(spec.limits.disk_bytes, 256 << 20)),
    }
    secured: dict[str, Any] = {
        "allowPrivilegeEscalation": False,
        "privileged": False,
        "capabilities": {"drop": ["ALL"], **({"add": list(_ROOT_CAPABILITIES)} if is_root else {})},
    }
    user: dict[str, Any] = {"runAsUser": 0} if is_root else {"runAsNonRoot": True}
    if spec.user.isdecimal() and not is_root:
        user["runAsUser"] = int(spec.user)
    container = {
        "name": MAIN,
        "image": spec.image,
        "imagePullPolicy": config.image_pull_policy,
        "command": ["/bin/sh", "-c", _KEEPER],
        "workingDir": spec.workdir,
        "resources": {"limits": limits, "requests": requests},
        "securityContext": secured,
        "volumeMounts": [{"name": "podgym-state", "mountPath": config.state_directory}],
    }
    labels = {**LABELS, RUN: label_value(run), IMAGE: image_label(spec.image), NETWORK: spec.network}
    body: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": config.grace_s,
            "activeDeadlineSeconds": max(1, round(spec.lifetime_s)),
            "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}, **user},
            "containers": [container],
            "volumes": [{"name": "podgym-state", "emptyDir": {}}],
        },
    }
    if owner is not None:
        body["metadata"]["ownerReferences"] = [{**owner, "controller": False, "blockOwnerDeletion": False}]
    more: dict[str, Any] = {
        "runtimeClassName": config.runtime_class,
        "nodeSelector": config.node_selector,
        "tolerations": list(config.tolerations),
        "priorityClassName": config.priority_class,
        "imagePullSecrets": [{"name": secret} for secret in config.image_pull_secrets],
    }
    body["spec"] |= {key: value for key, value in more.items() if value}
    made: dict[str, Any] = merged(body, config.pod_template)
    # What pods are found and removed by is not a template's to change.
    made["metadata"]["name"] = name
    made["metadata"]["labels"] = {**made["metadata"]["labels"], **labels}
    return made


def merged(item: Any, over: Any, *, key: str = "") -> Any:
    """`over` laid over `item`: maps are joined, lists of named things by their names, everything else is replaced."""
    if isinstance(item, dict) and isinstance(over, Mapping):
        made = {name: copy.deepcopy(value) for name, value in item.items()}
        for name, value in over.items():
            made[name] = merged(made[name], value, key=name) if name in made else copy.deepcopy(value)
        return made
    by = "name" if key in _NAMED else "mountPath" if key == "volumeMounts" else ""
    if by and isinstance(item, list) and isinstance(over, list):
        joined = {one.get(by): one for one in item if isinstance(one, dict)}
        for one in over:
            if isinstance(one, dict):
                joined[one.get(by)] = merged(joined[one.get(by)], one) if one.get(by) in joined else copy.deepcopy(one)
        return list(joined.values())
    return copy.deepcopy(over)


def label_value(text: str) -> str:
    """A text as a label may hold it: itself, or its beginning with a digest."""
    if re.fullmatch(r"[A-Za-z0-9]([\w.-]{0,61}[A-Za-z0-9])?", text, re.ASCII):
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    plain = re.sub(r"[^A-Za-z0-9.-]+", "-", text, flags=re.ASCII).strip("-.")[:40].rstrip("-.")
    return f"{plain}-{digest}" if plain else digest


def image_label(image: str) -> str:
    """One image's pods, among others'."""
    return hashlib.sha256(image.encode("utf-8", "surrogatepass")).hexdigest()[:16]
