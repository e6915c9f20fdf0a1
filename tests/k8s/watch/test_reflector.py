"""A mirror holds what the server holds, whatever happens to its watches."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from podgym_k8s_kit import FakeApi
from podgym_test_kit.waiting import until

from podgym.k8s.api import ApiClient, Credentials, Forbidden
from podgym.k8s.watch import Change, Reflector

PODS = "/api/v1/namespaces/default/pods"


def pod(name: str, **labels: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": labels}, "spec": {"containers": [{"name": "main", "image": "x"}]}}


class Mirror:
    """A reflector that runs, and all that it told."""

    def __init__(self, client: ApiClient, **changes: Any) -> None:
        self.told: list[Change[Any]] = []
        plain = {"read": lambda item: (item["metadata"]["uid"], item.get("status", {}).get("phase")), "on_change": self.told.append}
        self.reflector: Reflector[Any] = Reflector(client, PODS, **{**plain, "rng": random.Random(1), **changes})
        self.running = asyncio.create_task(self.reflector.run())

    def names(self) -> set[str]:
        return {name for _, name in self.reflector.items}

    def kinds(self, name: str) -> list[str]:
        return [change.kind for change in self.told if change.key[1] == name]

    def agrees(self, api: FakeApi) -> bool:
        held = {key[1:]: item["metadata"]["uid"] for key, item in api.store.items.items() if key[0] == "pods"}
        return {key: value[0] for key, value in self.reflector.items.items()} == held

    async def close(self) -> None:
        self.running.cancel()
        await asyncio.gather(self.running, return_exceptions=True)


@pytest.fixture
async def mirror(client: ApiClient, api: FakeApi) -> AsyncIterator[Mirror]:
    for number in range(3):
        await client.request("POST", PODS, body=pod(f"old{number}"))
    made = Mirror(client)
    await made.reflector.synced.wait()
    yield made
    await made.close()


async def test_objects_come_change_and_go(mirror: Mirror, client: ApiClient, api: FakeApi) -> None:
    assert mirror.names() == {"old0", "old1", "old2"}
    await client.request("POST", PODS, body=pod("new"))
    await until(lambda: (mirror.reflector.get("default", "new") or ("", ""))[1] == "Running")
    await client.request("DELETE", f"{PODS}/new")
    await until(lambda: "new" not in mirror.names())
    assert mirror.kinds("new")[0] == "added" and mirror.kinds("new")[-1] == "gone"
    assert (mirror.reflector.counts.lists, mirror.reflector.counts.watches) == (1, 1)


async def test_a_cut_watch_goes_on_where_it_was(mirror: Mirror, client: ApiClient, api: FakeApi) -> None:
    for number in range(5):
        api.cut_watches()
        await client.request("POST", PODS, body=pod(f"n{number}"))
    await until(lambda: mirror.agrees(api) and len(mirror.names()) == 8)
    assert mirror.reflector.counts.lists == 1 and mirror.reflector.counts.watches > 1
    assert all(mirror.kinds(f"n{number}").count("added") == 1 for number in range(5))


async def test_a_version_that_is_no_longer_kept(mirror: Mirror, client: ApiClient, api: FakeApi) -> None:
    await until(lambda: mirror.agrees(api))
    api.faults.add(method="GET", path="watch=1", times=1, status=503)
    api.cut_watches()
    await client.request("DELETE", f"{PODS}/old0")
    await client.request("DELETE", f"{PODS}/old1")
    await client.request("POST", PODS, body=pod("old1"))
    api.store.compact()
    await until(lambda: mirror.agrees(api) and mirror.reflector.counts.lists == 2)
    assert mirror.kinds("old0")[-1] == "gone", "although nobody told"
    assert "replaced" in mirror.kinds("old1"), "another pod has its name"


async def test_a_replaced_pod_is_told_as_one(mirror: Mirror, client: ApiClient, api: FakeApi) -> None:
    await client.request("DELETE", f"{PODS}/old0")
    await client.request("POST", PODS, body=pod("old0"))
    await until(lambda: mirror.agrees(api))
    kinds = mirror.kinds("old0")
    assert "gone" in kinds and kinds[kinds.index("gone") + 1] == "added"


async def test_a_server_that_is_away(mirror: Mirror, api: FakeApi) -> None:
    await api.stop()
    await asyncio.sleep(0.5)
    await api.start()
    api.store.drop(("pods", "default", "old2"))
    await until(lambda: mirror.names() == {"old0", "old1"}, timeout_s=20)


@pytest.mark.parametrize("body", ["", "{}", "{}\n", "<html>\n", '{"type": "ADDED", "object": 3}\n', '{"type": "ADD'])
async def test_answers_that_are_no_events(mirror: Mirror, client: ApiClient, api: FakeApi, body: str) -> None:
    api.faults.add(method="GET", path="watch=1", times=3, status=200, body=body)
    api.cut_watches()
    await client.request("POST", PODS, body=pod("after"))
    await until(lambda: mirror.agrees(api) and "after" in mirror.names())
    assert mirror.reflector.counts.watches < 20, "it is no race"


async def test_what_does_not_get_better_is_raised(client: ApiClient, api: FakeApi) -> None:
    api.denied.add(("watch", "pods"))
    made = Mirror(client)
    with pytest.raises(Forbidden):
        await asyncio.wait_for(made.running, 10)


async def test_labels_choose(client: ApiClient, api: FakeApi) -> None:
    await client.request("POST", PODS, body=pod("mine", run="a"))
    await client.request("POST", PODS, body=pod("other", run="b"))
    made = Mirror(client, labels="run=a")
    await made.reflector.synced.wait()
    assert made.names() == {"mine"}
    await made.close()


async def test_lists_come_in_chunks(client: ApiClient, api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podgym.k8s.watch.reflector._CHUNK", 10)
    for number in range(35):
        await client.request("POST", PODS, body=pod(f"p{number}"))
    made = Mirror(client)
    await made.reflector.synced.wait()
    assert len(made.names()) == 35
    assert sum(method == "GET" and "limit=10" in path for method, path in api.requests) == 4
    await made.close()


STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["create", "delete", "replace"]), st.integers(0, 5)),
        st.tuples(st.sampled_from(["cut", "compact", "pause", "fail"]), st.just(0)),
    ),
    max_size=25,
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_in_the_end_both_agree(tmp_path, steps: list[tuple[str, int]]) -> None:
    async def play() -> None:
        async with FakeApi() as api:
            (tmp_path / "kubeconfig").write_text(yaml.safe_dump(api.kubeconfig()))
            client = ApiClient(Credentials.load(tmp_path / "kubeconfig"))
            made = Mirror(client)
            await made.reflector.synced.wait()
            for step, number in steps:
                there = ("pods", "default", f"p{number}") in api.store.items
                if step in ("delete", "replace") and there:
                    await client.request("DELETE", f"{PODS}/p{number}")
                if step == "replace" or (step == "create" and not there):
                    await client.request("POST", PODS, body=pod(f"p{number}"))
                if step == "cut":
                    api.cut_watches()
                if step == "compact":
                    api.store.compact()
                if step == "pause":
                    await asyncio.sleep(0.01)
                if step == "fail":
                    api.faults.add(method="GET", path="watch=1", status=503)
                    api.cut_watches()
            await until(lambda: made.agrees(api))
            for number in range(6):
                kinds = made.kinds(f"p{number}")
                assert all(two != "added" for one, two in itertools.pairwise(kinds) if one != "gone"), "no two at once"
            await made.close()
            await client.close()

    asyncio.run(play())
