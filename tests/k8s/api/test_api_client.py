"""Requests, and what becomes of them when the server is slow, full, away, or of another mind."""

from __future__ import annotations

import asyncio
import stat
import time
from pathlib import Path

import pytest
import yaml

from podgym.k8s.api import (
    AlreadyExists,
    ApiClient,
    ApiError,
    Conflict,
    Credentials,
    Forbidden,
    Gone,
    Invalid,
    NotFound,
    OverQuota,
    Throttled,
    Unauthorized,
    Unreachable,
)
from podgym.k8s.api.errors import refusal
from podgym.sandbox import QuotaError, SandboxError

PODS = "/api/v1/namespaces/default/pods"


def pod(name: str) -> dict[str, object]:
    return {"metadata": {"name": name}, "spec": {"containers": [{"name": "main", "image": "x"}]}}


async def test_objects_are_made_read_changed_and_removed(client: ApiClient) -> None:
    made = await client.request("POST", PODS, body=pod("one"))
    assert made["metadata"]["uid"] and made["kind"] == "Pod"
    with pytest.raises(AlreadyExists, match='pods "one" already exists'):
        await client.request("POST", PODS, body=pod("one"))
    patch = {"metadata": {"labels": {"a": "b"}}}
    await client.request("PATCH", f"{PODS}/one", body=patch, content_type="application/merge-patch+json")
    listed = await client.request("GET", PODS, params={"labelSelector": "a=b"})
    assert [item["metadata"]["name"] for item in listed["items"]] == ["one"]
    with pytest.raises(Conflict):
        await client.request("PUT", f"{PODS}/one", body={**made, "metadata": {**made["metadata"], "resourceVersion": "1"}})
    await client.request("DELETE", f"{PODS}/one")
    with pytest.raises(NotFound, match='GET /api/v1/namespaces/default/pods/one: pods "one" not found'):
        await client.request("GET", f"{PODS}/one")
    assert client.answers["POST", 201] == 1 and client.answers["POST", 409] == 1


async def test_refusals_say_what_to_do(client: ApiClient, api) -> None:
    api.quota["default"] = 0
    with pytest.raises(OverQuota, match="exceeded quota") as over:
        await client.request("POST", PODS, body=pod("one"))
    assert isinstance(over.value, QuotaError) and "quota" in over.value.remedy
    api.quota.clear()
    api.denied.add(("create", "pods"))
    with pytest.raises(Forbidden, match="cannot create resource") as forbidden:
        await client.request("POST", PODS, body=pod("one"))
    assert isinstance(forbidden.value, PermissionError) and "RBAC" in forbidden.value.remedy
    api.denied.clear()
    with pytest.raises(Invalid):
        await client.request("POST", PODS, body={"metadata": {"name": "x"}, "spec": {}})
    with pytest.raises(NotFound):
        await client.request("GET", "/apis/nothing.example/v1/things")


async def test_a_throttled_request_waits_as_long_as_it_is_told(client: ApiClient, api) -> None:
    api.faults.add(method="POST", path="/pods", times=2, status=429, reason="TooManyRequests", retry_after_s=1)
    began = time.monotonic()
    await client.request("POST", PODS, body=pod("one"), again=False)
    assert 2.0 <= time.monotonic() - began < 6 and api.faults.met == 2
    api.faults.add(method="GET", path="/pods", times=99, status=429, retry_after_s=30)
    began = time.monotonic()
    with pytest.raises(Throttled):
        await client.request("GET", PODS, deadline_s=1.0)
    assert time.monotonic() - began < 5


async def test_a_server_that_is_away_is_asked_until_the_deadline(client: ApiClient, api) -> None:
    await client.request("GET", PODS)
    await api.stop()
    waiting = asyncio.create_task(client.request("GET", PODS, deadline_s=20))
    await asyncio.sleep(0.7)
    assert not waiting.done()
    await api.start()
    assert (await waiting)["kind"] == "PodList"
    await api.stop()
    began = time.monotonic()
    with pytest.raises(Unreachable, match="did not answer GET") as away:
        await client.request("GET", PODS, deadline_s=1.0)
    assert time.monotonic() - began < 5 and isinstance(away.value, ConnectionError) and isinstance(away.value, SandboxError)


@pytest.mark.parametrize("fault", [{"status": 500}, {"drop": True}, {"status": 503, "after": True}])
async def test_what_may_have_been_done_is_done_again_only_where_that_does_no_harm(client: ApiClient, api, fault: dict[str, object]) -> None:
    api.faults.add(method="POST", path="/pods", **fault)
    with pytest.raises(Unreachable):
        await client.request("POST", PODS, body=pod("one"), again=False)
    api.faults.add(method="POST", path="/pods", **fault)
    if fault.get("after"):
        with pytest.raises(AlreadyExists):
            await client.request("POST", PODS, body=pod("two"))
    else:
        assert (await client.request("POST", PODS, body=pod("two")))["metadata"]["name"] == "two"


async def test_an_answer_that_does_not_come(client: ApiClient, api) -> None:
    api.faults.add(method="GET", path="/pods", hang_s=30, status=200)
    began = time.monotonic()
    with pytest.raises(Unreachable, match=r"Timeout"):
        await client.request("GET", PODS, deadline_s=0.5)
    assert time.monotonic() - began < 5


async def test_a_token_that_was_renewed_is_read_anew(api, tmp_path: Path) -> None:
    token, plugin = tmp_path / "token", tmp_path / "plugin"
    token.write_text("secret")
    plugin.write_text(
        "#!/bin/sh\n"
        'printf \'{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"token":"%s",'
        f'"expirationTimestamp":"2020-01-01T00:00:00Z"}}}}\' "$(cat {token})"\n'
    )
    plugin.chmod(plugin.stat().st_mode | stat.S_IXUSR)
    config = api.kubeconfig()
    run = {"apiVersion": "client.authentication.k8s.io/v1", "command": str(plugin), "interactiveMode": "Never"}
    config["users"][0]["user"] = {"exec": run}
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
    client = ApiClient(Credentials.load(tmp_path / "kubeconfig"))
    try:
        await client.request("GET", PODS)
        api.tokens.clear()
        api.tokens.add("next")
        with pytest.raises(Unauthorized, match="HTTP 401"):
            await client.request("GET", PODS)
        token.write_text("next")
        assert (await client.request("GET", PODS))["kind"] == "PodList"
    finally:
        await client.close()


async def test_an_answer_that_is_no_object(client: ApiClient) -> None:
    with pytest.raises(ApiError, match="no JSON"):
        await client.request("GET", "/healthz")


async def test_a_watch_says_why_it_is_refused(client: ApiClient, api) -> None:
    api.denied.add(("watch", "pods"))
    with pytest.raises(Forbidden):
        async with client.stream(PODS, params={"watch": "1"}, idle_s=5):
            pass
    api.denied.clear()
    async with client.stream(PODS, params={"watch": "1"}, idle_s=5) as lines:
        await client.request("POST", PODS, body=pod("one"))
        assert b'"ADDED"' in await lines.readline()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "No cluster can be told"),
        ("kind: Config\n", "No cluster can be told"),
        ("{", "No cluster can be told"),
        (
            "current-context: a\ncontexts: [{name: a, context: {cluster: none, user: none}}]\nclusters: []\nusers: []\n",
            "No cluster can be told",
        ),
    ],
)
def test_a_kubeconfig_that_names_no_cluster(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "config").write_text(text)
    with pytest.raises(ApiError, match=said) as error:
        Credentials.load(tmp_path / "config")
    assert "KUBECONFIG" in error.value.remedy


def test_a_kubeconfig_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ApiError, match="none"):
        Credentials.load(tmp_path / "none")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b'{"message": 3, "details": 4}', b"\xff" * 10, b"[" * 100_000])
@pytest.mark.parametrize("status", [400, 403, 404, 409, 410, 418, 429, 500])
def test_any_answer_is_an_error_with_a_class(status: int, body: bytes) -> None:
    error = refusal(status, body, "GET /x")
    assert error.status == status and "GET /x" in str(error) and (status != 410 or isinstance(error, Gone))
