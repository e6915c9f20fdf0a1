"""What pods are asked for, and what is read from what becomes of them."""

from __future__ import annotations

import copy
import re
import subprocess
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podgym.k8s.config import KubernetesConfig
from podgym.k8s.pods import pod_object, read_pod
from podgym.k8s.pods.spec import image_label, label_value, merged
from podgym.sandbox import ImageError, Limits, QuotaError, SandboxLost, SandboxSpec

SPEC = SandboxSpec(
    image="registry.example/a:1", user="root", limits=Limits(cpus=0.5, memory_bytes=1 << 30, disk_bytes=1 << 30), lifetime_s=60.4
)


def made(spec: SandboxSpec = SPEC, **options: Any) -> dict[str, Any]:
    return pod_object("podgym-a-1", spec, KubernetesConfig(**options), run="run 1")


def test_a_pod_is_restricted_but_for_what_the_task_says() -> None:
    root, plain = made(), made(SPEC.model_copy(update={"user": "1000"}))
    for body in (root, plain):
        spec = body["spec"]
        assert (spec["automountServiceAccountToken"], spec["enableServiceLinks"], spec["restartPolicy"]) == (False, False, "Never")
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"} and spec["activeDeadlineSeconds"] == 60
        secured = spec["containers"][0]["securityContext"]
        assert (secured["privileged"], secured["allowPrivilegeEscalation"], secured["capabilities"]["drop"]) == (False, False, ["ALL"])
    assert plain["spec"]["securityContext"] | {} == {
        "seccompProfile": {"type": "RuntimeDefault"}, "runAsNonRoot": True, "runAsUser": 1000,
    }  # fmt: skip
    assert "add" not in plain["spec"]["containers"][0]["securityContext"]["capabilities"]
    assert "SYS_ADMIN" not in root["spec"]["containers"][0]["securityContext"]["capabilities"]["add"]


def test_limits_and_what_is_reserved() -> None:
    resources = made()["spec"]["containers"][0]["resources"]
    assert resources["limits"] == {"cpu": "500m", "memory": str(1 << 30), "ephemeral-storage": str(1 << 30)}
    assert resources["requests"] == {"cpu": "125m", "memory": str(1 << 29), "ephemeral-storage": str(256 << 20)}


def test_options_and_a_template_over_them() -> None:
    template = {
        "metadata": {"name": "no", "labels": {"team": "rl", "podgym.dev/run": "forged"}, "annotations": {"a": "b"}},
        "spec": {
            "containers": [{"name": "main", "volumeMounts": [{"name": "data", "mountPath": "/data"}]}, {"name": "beside", "image": "x"}],
            "volumes": [{"name": "data", "emptyDir": {}}],
            "nodeSelector": {"zone": "b"},
        },
    }
    body = made(
        runtime_class="gvisor",
        node_selector={"zone": "a", "disk": "fast"},
        tolerations=({"key": "sandbox", "operator": "Exists"},),
        priority_class="low",
        image_pull_secrets=("pull",),
        pod_template=template,
    )
    assert body["metadata"]["name"] == "podgym-a-1" and body["metadata"]["annotations"] == {"a": "b"}
    assert body["metadata"]["labels"]["team"] == "rl" and body["metadata"]["labels"]["podgym.dev/run"] == label_value("run 1")
    spec = body["spec"]
    assert (spec["runtimeClassName"], spec["priorityClassName"], spec["nodeSelector"]) == ("gvisor", "low", {"zone": "b", "disk": "fast"})
    assert [one["name"] for one in spec["containers"]] == ["main", "beside"] and [one["name"] for one in spec["volumes"]] == [
        "podgym-state",
        "data",
    ]
    assert [one["mountPath"] for one in spec["containers"][0]["volumeMounts"]] == ["/run/podgym", "/data"]
    assert spec["containers"][0]["image"] == SPEC.image and spec["imagePullSecrets"] == [{"name": "pull"}]


def test_the_first_process_reaps_and_ends_when_it_is_told_to() -> None:
    command = made()["spec"]["containers"][0]["command"]
    for shell in (["dash"], ["bash"], ["busybox", "sh"]):
        process = subprocess.Popen([*shell, *command[1:]], start_new_session=True)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.3)
        process.terminate()
        assert process.wait(10) == 0, shell
        subprocess.run(["pkill", "-g", str(process.pid)], check=False)


@given(st.text(max_size=100))
def test_any_text_is_a_label(text: str) -> None:
    assert re.fullmatch(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)", label_value(text))
    assert re.fullmatch("[0-9a-f]{16}", image_label(text))


KEYS = st.sampled_from(
    ["name", "metadata", "status", "conditions", "containerStatuses", "state", "waiting", "terminated", "running", "reason", "phase"]
)
LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
JSON = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12)


@given(JSON, JSON)
def test_merging_changes_neither(item: Any, over: Any) -> None:
    before = copy.deepcopy((item, over))
    merged(item, over)
    assert (item, over) == before and merged(item, item) == item


@given(st.dictionaries(st.sampled_from(["metadata", "status", "spec"]), JSON))
def test_any_object_is_read(item: dict[str, Any]) -> None:
    state = read_pod(item)
    assert isinstance(state.uid, str)
    if state.problem is not None:
        assert str(state.problem.error("p", "i"))


def state(phase: str = "Running", container: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    statuses = [
        {"name": "beside", "state": {"waiting": {"reason": "ErrImagePull"}}},
        {"name": "main", "imageID": "sha256:1", "state": container or {}},
    ]
    meta = {"uid": "u", **({"deletionTimestamp": "now"} if more.pop("deleted", False) else {})}
    return {"metadata": meta, "spec": {"nodeName": "n"}, "status": {"phase": phase, "containerStatuses": statuses, **more}}


RUNNING = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}


def test_a_pod_that_runs() -> None:
    read = read_pod(state(container=RUNNING))
    assert read.running and read.problem is None and (read.node, read.image, read.started) == ("n", "sha256:1", "2026-01-01T00:00:00Z")


@pytest.mark.parametrize(
    ("item", "kind", "reason"),
    [
        (state("Pending", {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off"}}), ImageError, "ImagePullBackOff"),
        (state("Pending", {"waiting": {"reason": "CreateContainerConfigError", "message": "runAsNonRoot"}}), ImageError, "runAsNonRoot"),
        (
            state("Pending", conditions=[{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}]),
            QuotaError,
            "0/3 nodes",
        ),
        (state("Failed", {"terminated": {"reason": "OOMKilled", "exitCode": 137}}), "oom", "OOMKilled"),
        (state("Failed", reason="Evicted", message="The node was low on resource: ephemeral-storage."), "evicted", "low on resource"),
        (state("Failed", reason="DeadlineExceeded", message="Pod was active on the node longer"), "evicted", "DeadlineExceeded"),
        (state("Failed", {"terminated": {"reason": "Error", "exitCode": 3}}), "killed", "ended with 3"),
        (state("Succeeded", {"terminated": {"reason": "Completed", "exitCode": 0}}), "killed", "Completed"),
        (state("Failed", {"terminated": {"reason": "StartError", "message": "exec: /bin/sh: no such file"}}), ImageError, "no such file"),
        (state("Running", RUNNING, deleted=True), "killed", "Deleted"),
        (
            state("Running", RUNNING, conditions=[{"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager"}]),
            "node",
            "DeletionByTaintManager",
        ),
        (state("Failed", reason="NodeLost"), "node", "NodeLost"),
    ],
)
def test_what_is_wrong_with_a_pod(item: dict[str, Any], kind: Any, reason: str) -> None:
    read = read_pod(item)
    assert read.problem is not None and not read.running
    error = read.problem.error("podgym-a-1", "image:1")
    assert reason in str(error) and "podgym-a-1" in str(error)
    if isinstance(kind, str):
        assert isinstance(error, SandboxLost) and error.reason == kind
    else:
        assert isinstance(error, kind) and error.remedy
