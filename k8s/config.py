"""Settings of the Kubernetes provider; each can be given in a job file under `[sandbox.options]`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

__all__ = ["KubernetesConfig"]

DnsLabel = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]{0,40}[a-z0-9])?$")]


class KubernetesConfig(BaseModel):
    """Where pods are made, and how they look beyond what a task says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kubeconfig: Path | None = None
    """By default `$KUBECONFIG`, inside a pod its own account, or `~/.kube/config`."""
    context: str | None = None
    """Of the kubeconfig; by default its current one."""
    servers: tuple[str, ...] = ()
    """Base URLs of several API servers of the cluster, for exec streams; by default the kubeconfig's one."""
    namespace: DnsLabel | None = None
    """By default the context's. With `shards` it is the beginning of their names."""
    shards: int = Field(default=1, ge=1, le=64)
    """Namespaces that pods are spread over (`NAMESPACE-0`, …): at most 2,500 pods in each keep lists and quotas quick."""
    commands: Literal["mux", "oneshot"] = "mux"
    """`mux`: one stream a pod, commands cost no exec. `oneshot`: an exec for each, where streams may not stay open."""
    image_pull_policy: Literal["IfNotPresent", "Always", "Never"] = "IfNotPresent"
    image_pull_secrets: tuple[str, ...] = ()
    """Names of secrets in the namespace."""
    runtime_class: str | None = None
    """Such as `gvisor` or `kata`, where the cluster has them."""
    node_selector: dict[str, str] = Field(default_factory=dict)
    tolerations: tuple[dict[str, Any], ...] = ()
    """As in a pod's specification."""
    priority_class: str | None = None
    pod_template: dict[str, Any] = Field(default_factory=dict)
    """Merged over the pod that podgym makes: maps are joined, containers by name, everything else is replaced."""
    cpu_request: float = Field(default=0.25, ge=0, le=1)
    """Part of a sandbox's processors that is reserved for it; agents wait for models most of the time."""
    memory_request: float = Field(default=0.5, gt=0, le=1)
    """Part of a sandbox's memory that is reserved for it."""
    state_directory: str = Field(default="/run/podgym", pattern=r"^/[\w./-]{1,100}$")
    """In the pod, an emptyDir: what commands print, until it has arrived."""
    grace_s: int = Field(default=0, ge=0, le=30)
    """That a pod gets to end by itself."""
    start_timeout_s: float = Field(default=600.0, gt=0)
    """From asking for a pod to the end of its image's pull and its start."""
