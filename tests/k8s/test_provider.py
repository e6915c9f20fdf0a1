"""Sandboxes on a server that does what it is told: made, used, lost for every reason, and removed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from podgym_k8s_kit import FakeApi
from podgym_test_kit.waiting import until

from podgym.k8s.api import ApiClient, Forbidden, Invalid, NotFound, OverQuota
from podgym.k8s.config import KubernetesConfig
from podgym.k8s.provider import KubernetesProvider
from podgym.k8s.reaper import delete_pods, reap
from podgym.sandbox import ImageError, QuotaError, SandboxLost, SandboxProvider, SandboxSpec


class Cluster:
    """A fake cluster, and providers for it whose pods keep their state below `tmp_path`."""

    def __init__(self, api: FakeApi, kubeconfig: Path, tmp_path: Path) -> None:
        self.api, self._kubeconfig, self._tmp = api, kubeconfig, tmp_path
        api.execs.mounts["/run/podgym"] = tmp_path / "state"
        self.opened: list[KubernetesProvider] = []

    def provider(self, **options: Any) -> KubernetesProvider:
        config = KubernetesConfig(kubeconfig=self._kubeconfig, **options)
        self.opened.append(KubernetesProvider(config))
        return self.opened[-1]

    def spec(self, **changes: Any) -> SandboxSpec:
        return SandboxSpec(**{"image": "busybox:1", "workdir": str(self._tmp), "labels": {"run": "one"}, **changes})

    def pods(self) -> list[str]:
        return [key[2] for key in self.api.store.items if key[0] == "pods"]


@pytest.fixture
async def cluster(api: FakeApi, kubeconfig: Path, tmp_path: Path) -> AsyncIterator[Cluster]:
    pytest.importorskip("kubernetes", reason="the Kubernetes client is not installed (extra [k8s])")
    made = Cluster(api, kubeconfig, tmp_path)
    yield made
    for provider in made.opened:
        await provider.close()


async def test_a_sandbox_runs_commands_and_moves_files(cluster: Cluster) -> None:
    provider = cluster.provider()
    assert isinstance(provider, SandboxProvider)
    sandbox = await provider.create(cluster.spec(env={"A": "1"}))
    result = await sandbox.run('echo "$A $B"; pwd; exit 3', timeout_s=20, env={"B": "2"}, cwd="/usr")
    assert (result.exit_code, result.stdout.text()) == (3, "1 2\n/usr\n")
    await sandbox.write("a/b.bin", b"\0\xff", mode=0o755)
    assert await sandbox.read("a/b.bin") == b"\0\xff"
    with pytest.raises(FileNotFoundError):
        await sandbox.read("no")
    with pytest.raises(ValueError, match="NUL"):
        await sandbox.run("\0", timeout_s=1)
    await sandbox.close()
    await sandbox.close()
    assert cluster.pods() == []
    with pytest.raises(SandboxLost, match="closed"):
        await sandbox.run("true", timeout_s=5)


async def test_closing_the_provider_leaves_nothing(cluster: Cluster) -> None:
    provider = cluster.provider()
    sandboxes = [await provider.create(cluster.spec()) for _ in range(3)]
    running = asyncio.create_task(sandboxes[0].run("sleep 30", timeout_s=60))
    await asyncio.sleep(0.2)
    await provider.close()
    with pytest.raises(SandboxLost):
        await running
    assert cluster.pods() == [] and not [key for key in cluster.api.store.items if key[0] == "leases"]


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (lambda api, name: api.kubelet.fail("default", name, reason="Evicted"), "evicted"),
        (lambda api, name: api.kubelet.fail("default", name, container="OOMKilled"), "oom"),
        (lambda api, name: api.kubelet.fail("default", name, reason="NodeLost"), "node"),
        (lambda api, name: api.store.drop(("pods", "default", name)), "killed"),
    ],
)
async def test_a_pod_that_is_lost_in_mid_command(cluster: Cluster, end: Any, reason: str) -> None:
    sandbox = await cluster.provider().create(cluster.spec())
    running = asyncio.create_task(sandbox.run("sleep 60", timeout_s=90))
    await asyncio.sleep(0.2)
    end(cluster.api, cluster.pods()[0])
    with pytest.raises(SandboxLost) as lost:
        await asyncio.wait_for(running, 10)
    assert lost.value.reason == reason
    with pytest.raises(SandboxLost):
        await sandbox.run("true", timeout_s=5)
    await sandbox.close()


async def test_another_pod_of_the_same_name_is_not_ours(cluster: Cluster, client: ApiClient) -> None:
    sandbox = await cluster.provider().create(cluster.spec())
    name = cluster.pods()[0]
    body = {key: cluster.api.store.items["pods", "default", name][key] for key in ("metadata", "spec")}
    cluster.api.store.compact()
    cluster.api.cut_watches()
    cluster.api.store.drop(("pods", "default", name))
    await client.request(
        "POST", "/api/v1/namespaces/default/pods", body={**body, "metadata": {"name": name, "labels": body["metadata"]["labels"]}}
    )
    with pytest.raises(SandboxLost) as lost:
        await asyncio.wait_for(sandbox.run("sleep 60", timeout_s=90), 20)
    assert lost.value.reason in ("replaced", "killed")
    await sandbox.close()
    assert cluster.pods() == [name], "it is left alone"


async def test_what_keeps_a_pod_from_starting(cluster: Cluster) -> None:
    template = {"metadata": {"annotations": {"fault": "stuck"}}}
    with pytest.raises(QuotaError, match=r"did not start within 0\.5 s"):
        await cluster.provider(start_timeout_s=0.5, pod_template=template).create(cluster.spec())
    template = {"metadata": {"annotations": {"fault": "image"}}}
    with pytest.raises(ImageError, match="nowhere/none:1"):
        await cluster.provider(start_timeout_s=0.5, pod_template=template).create(cluster.spec())
    cluster.api.quota["default"] = 0
    with pytest.raises(OverQuota):
        await cluster.provider().create(cluster.spec())
    cluster.api.quota.clear()
    with pytest.raises(Invalid):
        await cluster.provider(pod_template={"spec": {"containers": None}}).create(cluster.spec())
    with pytest.raises(NotFound, match='namespaces "none" not found'):
        await cluster.provider(namespace="none").create(cluster.spec())
    cluster.api.denied.add(("watch", "pods"))
    with pytest.raises(Forbidden):
        await cluster.provider().create(cluster.spec())
    assert cluster.pods() == []


async def test_an_answer_that_is_lost_makes_no_second_pod(cluster: Cluster) -> None:
    provider = cluster.provider()
    await (await provider.create(cluster.spec())).close()
    cluster.api.faults.add(method="POST", path="/pods$", status=503, after=True)
    cluster.api.faults.add(method="POST", path="/pods$", drop=True, times=2)
    sandbox = await provider.create(cluster.spec())
    assert len(cluster.pods()) == 1 and (await sandbox.run("echo hi", timeout_s=10)).stdout.text() == "hi\n"


async def test_a_server_that_is_killed_while_pods_are_made_and_used(cluster: Cluster, tmp_path: Path) -> None:
    provider = cluster.provider()
    sandbox = await provider.create(cluster.spec())
    running = asyncio.create_task(sandbox.run(f"echo x >>{tmp_path}/marks; sleep 1; echo done", timeout_s=60))
    await until((tmp_path / "marks").exists)
    await cluster.api.stop()
    making = asyncio.create_task(provider.create(cluster.spec()))
    await asyncio.sleep(1)
    await cluster.api.start()
    assert (await running).stdout.text() == "done\n" and (tmp_path / "marks").read_text() == "x\n"
    assert (await (await making).run("echo two", timeout_s=20)).stdout.text() == "two\n"


async def test_forty_at_once_over_two_namespaces(cluster: Cluster, client: ApiClient) -> None:
    for number in range(2):
        await client.request("POST", "/api/v1/namespaces", body={"metadata": {"name": f"shard-{number}"}})
    cluster.api.faults.add(method="POST", path="/pods$", times=10, status=429, retry_after_s=1)
    provider = cluster.provider(namespace="shard", shards=2)
    sandboxes = await asyncio.gather(*(provider.create(cluster.spec()) for _ in range(40)))
    spread = [key[1] for key in cluster.api.store.items if key[0] == "pods"]
    assert len(spread) == 40 and abs(spread.count("shard-0") - spread.count("shard-1")) <= 2
    results = await asyncio.gather(*(sandbox.run(f"echo {number}", timeout_s=60) for number, sandbox in enumerate(sandboxes)))
    assert [result.stdout.text() for result in results] == [f"{number}\n" for number in range(40)]


async def test_a_cancelled_creation_leaves_no_pod(cluster: Cluster) -> None:
    cluster.api.kubelet.start_s = 5
    provider = cluster.provider()
    making = asyncio.create_task(provider.create(cluster.spec()))
    await until(lambda: bool(cluster.pods()))
    making.cancel()
    await asyncio.gather(making, return_exceptions=True)
    await until(lambda: cluster.pods() == [])


async def test_what_dead_owners_left_is_reaped_and_nothing_else(cluster: Cluster, client: ApiClient) -> None:
    provider = cluster.provider()
    await provider.create(cluster.spec())
    dead = cluster.provider()
    await dead.create(cluster.spec(labels={"run": "two"}))
    leases = {key: item for key, item in cluster.api.store.items.items() if key[0] == "leases"}
    (gone,) = [item for item in leases.values() if "two" in item["metadata"]["name"]]
    gone["spec"]["renewTime"] = "2020-01-01T00:00:00.000000Z"
    other = {"metadata": {"name": "theirs"}, "spec": {"containers": [{"name": "x"}]}}
    await client.request("POST", "/api/v1/namespaces/default/pods", body=other)
    orphan = {**other, "metadata": {"name": "orphan", "labels": {"app.kubernetes.io/managed-by": "podgym"}}}
    await client.request("POST", "/api/v1/namespaces/default/pods", body=orphan)
    reaped = await reap(client, "default")
    assert reaped.leases == (gone["metadata"]["name"],) and reaped.pods == 1
    assert sorted(cluster.pods()) == sorted(
        ["theirs", *(key[2] for key in cluster.api.store.items if key[0] == "pods" and key[2] != "theirs")]
    )
    assert len(cluster.pods()) == 2
    assert (await reap(client, "default")).pods == 0


async def test_a_provider_begins_by_removing_what_dead_owners_left(cluster: Cluster) -> None:
    dead = cluster.provider()
    await dead.create(cluster.spec(labels={"run": "two"}))
    (lease,) = [item for key, item in cluster.api.store.items.items() if key[0] == "leases"]
    lease["spec"]["renewTime"] = "2020-01-01T00:00:00.000000Z"
    before = cluster.pods()
    await cluster.provider().create(cluster.spec())
    await until(lambda: not set(before) & set(cluster.pods()))
    assert len(cluster.pods()) == 1


async def test_deleting_many_is_gone_on_with(cluster: Cluster, client: ApiClient) -> None:
    await cluster.provider().create(cluster.spec())
    cluster.api.faults.add(method="DELETE", path="/pods", times=2, status=504)
    await delete_pods(client, "default", "app.kubernetes.io/managed-by=podgym")
    assert cluster.pods() == []
