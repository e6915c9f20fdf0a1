"""What the server serves: groups, resources, and how they are called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["KINDS", "Kind", "group_versions", "resources"]


@dataclass(frozen=True)
class Kind:
    """One resource."""

    group: str
    version: str
    plural: str
    name: str
    namespaced: bool = True
    short: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


KINDS = (
    Kind("", "v1", "namespaces", "Namespace", False, ("ns",), ("status",)),
    Kind("", "v1", "nodes", "Node", False, ("no",), ("status",)),
    Kind("", "v1", "pods", "Pod", True, ("po",), ("status", "exec", "log", "eviction")),
    Kind("", "v1", "events", "Event", True, ("ev",)),
    Kind("", "v1", "configmaps", "ConfigMap", True, ("cm",)),
    Kind("", "v1", "secrets", "Secret"),
    Kind("", "v1", "serviceaccounts", "ServiceAccount", True, ("sa",)),
    Kind("", "v1", "resourcequotas", "ResourceQuota", True, ("quota",), ("status",)),
    Kind("coordination.k8s.io", "v1", "leases", "Lease"),
    Kind("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy", True, ("netpol",)),
    Kind("authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", False),
    Kind("node.k8s.io", "v1", "runtimeclasses", "RuntimeClass", False),
)
_VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]


def group_versions() -> dict[str, str]:
    """Named groups and their versions."""
    return {kind.group: kind.version for kind in KINDS if kind.group}


def resources(group: str) -> list[dict[str, Any]]:
    """As discovery lists them."""
    found: list[dict[str, Any]] = []
    for kind in KINDS:
        if kind.group == group:
            plain = {"singularName": kind.name.lower(), "namespaced": kind.namespaced, "kind": kind.name}
            found.append({"name": kind.plural, **plain, "verbs": _VERBS, "shortNames": list(kind.short)})
            found += [{"name": f"{kind.plural}/{sub}", **plain, "verbs": ["create", "get", "patch", "update"]} for sub in kind.subresources]
    return found
