"""The fake API server is one to any client: the official one, kubernetes_asyncio, lightkube, and kubectl."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
from podgym_k8s_kit import FakeApi
from podgym_test_kit.waiting import until

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "one", "labels": {"a": "b"}},
    "spec": {"containers": [{"name": "m", "image": "x"}]},
}


def phase(api: FakeApi, name: str = "one") -> str:
    return str(api.store.items.get(("pods", "default", name), {}).get("status", {}).get("phase", ""))


# Its `stream` leaves the socket to the garbage collector.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
async def test_the_official_client(api: FakeApi, kubeconfig: Path) -> None:
    kubernetes = pytest.importorskip("kubernetes", reason="the Kubernetes client is not installed (extra [k8s])")
    from kubernetes.stream import stream

    def work() -> tuple[list[str], str]:
        with kubernetes.config.new_client_from_config(str(kubeconfig)) as client:
            core = kubernetes.client.CoreV1Api(client)
            core.create_namespaced_pod("default", POD)
            seen: list[str] = []
            watch = kubernetes.watch.Watch()
            for event in watch.stream(core.list_namespaced_pod, "default", timeout_seconds=5):
                seen.append(event["object"].status.phase)
                if seen[-1] == "Running":
                    watch.stop()
            said = stream(core.connect_get_namespaced_pod_exec, "one", "default", command=["echo", "hi"], stdout=True, stderr=True)
            core.delete_namespaced_pod("one", "default")
            return seen, said

    seen, said = await asyncio.to_thread(work)
    gc.collect()
    assert seen[-1] == "Running" and said == "hi\n" and phase(api) == ""


async def test_kubernetes_asyncio(api: FakeApi, kubeconfig: Path) -> None:
    kubernetes = pytest.importorskip("kubernetes_asyncio", reason="kubernetes_asyncio is not installed")
    configuration = kubernetes.client.Configuration()
    await kubernetes.config.load_kube_config(str(kubeconfig), client_configuration=configuration)
    async with kubernetes.client.ApiClient(configuration) as client:
        core = kubernetes.client.CoreV1Api(client)
        await core.create_namespaced_pod("default", POD)
        await until(lambda: phase(api) == "Running")
        listed = await core.list_namespaced_pod("default", label_selector="a=b")
        assert [item.metadata.name for item in listed.items] == ["one"]
        with pytest.raises(kubernetes.client.ApiException) as error:
            await core.create_namespaced_pod("default", POD)
        assert error.value.status == 409
        await core.delete_collection_namespaced_pod("default", label_selector="a=b")
        assert phase(api) == ""


async def test_lightkube(api: FakeApi, kubeconfig: Path) -> None:
    lightkube = pytest.importorskip("lightkube", reason="lightkube is not installed")
    from lightkube import codecs
    from lightkube.resources.core_v1 import Pod

    client = lightkube.AsyncClient(lightkube.KubeConfig.from_file(str(kubeconfig)))
    await client.create(codecs.from_dict(POD))
    await until(lambda: phase(api) == "Running")
    assert [item.metadata.name async for item in client.list(Pod, labels={"a": "b"})] == ["one"]
    await client.patch(Pod, "one", {"metadata": {"labels": {"c": "d"}}})
    assert (await client.get(Pod, "one")).metadata.labels == {"a": "b", "c": "d"}
    await client.delete(Pod, "one")
    await client.close()


async def test_kubectl(api: FakeApi, kubeconfig: Path, tmp_path: Path) -> None:
    program = shutil.which("kubectl") or shutil.which("kubectl", path=str(Path.home() / ".cache/testcluster-bin"))
    if program is None:
        pytest.skip("no kubectl on this machine")

    async def kubectl(*arguments: str, stdin: str = "") -> str:
        env = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "KUBECONFIG": str(kubeconfig)}
        done = await asyncio.to_thread(
            subprocess.run, [program, *arguments], input=stdin, capture_output=True, text=True, env=env, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return str(done.stdout)

    await kubectl("create", "-f", "-", "--validate=false", stdin=json.dumps(POD))
    await kubectl("wait", "--for=jsonpath={.status.phase}=Running", "pod/one", "--timeout=10s")
    assert await kubectl("get", "pods", "-o", "name") == "pod/one\n"
    assert await kubectl("exec", "one", "--", "sh", "-c", "echo hi; exit 0") == "hi\n"
    await kubectl("label", "pod", "one", "x=y")
    assert json.loads(await kubectl("get", "po", "one", "-o", "json"))["metadata"]["labels"] == {"a": "b", "x": "y"}
    await kubectl("delete", "pod", "one", "--now")


async def test_lists_come_in_chunks_and_watches_go_on_from_them(api: FakeApi, client: Any) -> None:
    for number in range(25):
        await client.request("POST", "/api/v1/namespaces/default/configmaps", body={"metadata": {"name": f"c{number:02}"}})
    names, more = [], ""
    while True:
        part = await client.request("GET", "/api/v1/namespaces/default/configmaps", params={"limit": 10, "continue": more})
        names += [item["metadata"]["name"] for item in part["items"]]
        more = part["metadata"].get("continue", "")
        if not more:
            break
    assert names == [f"c{number:02}" for number in range(25)]
    version = part["metadata"]["resourceVersion"]
    await client.request("DELETE", "/api/v1/namespaces/default/configmaps/c03")
    async with client.stream("/api/v1/configmaps", params={"watch": "1", "resourceVersion": version}, idle_s=5) as lines:
        event = json.loads(await lines.readline())
    assert (event["type"], event["object"]["metadata"]["name"]) == ("DELETED", "c03")
    api.store.compact()
    async with client.stream("/api/v1/configmaps", params={"watch": "1", "resourceVersion": version}, idle_s=5) as lines:
        event = json.loads(await lines.readline())
    assert (event["type"], event["object"]["code"]) == ("ERROR", 410)
    assert threading.active_count() < 50
