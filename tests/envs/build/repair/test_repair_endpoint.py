from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from podgym.envs.build.catalogue import Catalogue
from podgym.envs.build.plan import BuildPlan
from podgym.envs.build.repair.model import ChatEndpoint, EndpointConfig, ModelError, ProposalError, ToolCall, applied

Planner = Callable[..., BuildPlan]
CONFIG = EndpointConfig(url="http://model.test/v1/", model="m", key_variable="TEST_MODEL_KEY", wait_s=0, attempts=3)
ANSWER = {
    "choices": [
        {
            "message": {
                "content": None,
                "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "bash", "arguments": '{"command": "ls"}'}}],
            }
        }
    ],
    "usage": {"prompt_tokens": 12, "completion_tokens": 3},
}


def _endpoint(*answers: httpx.Response | Exception) -> tuple[ChatEndpoint, list[httpx.Request]]:
    requests: list[httpx.Request] = []
    pending = list(answers)

    def handle(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        answer = pending.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return ChatEndpoint(CONFIG, transport=httpx.MockTransport(handle)), requests


async def test_a_turn_with_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_MODEL_KEY", "k-123")
    endpoint, requests = _endpoint(httpx.Response(503), httpx.ConnectError("no"), httpx.Response(200, json=ANSWER))
    reply = await endpoint.complete([{"role": "user", "content": "x"}], [{"type": "function"}])
    assert reply.calls == (ToolCall("c1", "bash", '{"command": "ls"}'),)
    assert (reply.text, reply.tokens) == ("", 15)
    assert [str(request.url) for request in requests] == ["http://model.test/v1/chat/completions"] * 3
    assert requests[0].headers["Authorization"] == "Bearer k-123"
    body = json.loads(requests[0].content)
    assert body["model"] == "m" and body["messages"] == [{"role": "user", "content": "x"}] and body["tools"] == [{"type": "function"}]


async def test_where_there_are_no_tools_none_are_named() -> None:
    endpoint, requests = _endpoint(httpx.Response(200, json=ANSWER))
    await endpoint.complete([{"role": "user", "content": "x"}], [])
    assert "tools" not in json.loads(requests[0].content)


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ([httpx.Response(401, text="bad key")], "HTTP 401: bad key"),
        ([httpx.Response(429)] * 3, "HTTP 429"),
        ([httpx.Response(200, text="<html>")], "not JSON"),
        ([httpx.Response(200, json={"choices": []})], "no message"),
        ([httpx.Response(200, json=[1])], "no message"),
        ([httpx.ReadTimeout("slow")] * 3, "ReadTimeout"),
    ],
)
async def test_what_is_no_answer_says_why_and_not_the_key(answers: list[Any], says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_MODEL_KEY", "k-123")
    endpoint, _ = _endpoint(*answers)
    with pytest.raises(ModelError, match=says) as raised:
        await endpoint.complete([], [])
    assert "k-123" not in str(raised.value)


async def test_odd_answers_lose_only_what_is_odd() -> None:
    message = {
        "content": 3,
        "tool_calls": [None, {"function": {"name": "bash"}}, {"id": 4, "function": {"name": "bash", "arguments": None}}],
    }
    endpoint, _ = _endpoint(httpx.Response(200, json={"choices": [{"message": message}], "usage": {"prompt_tokens": "x"}}))
    reply = await endpoint.complete([], [])
    assert [call.arguments for call in reply.calls] == ["{}", "{}"]
    assert (reply.text, reply.tokens) == ("", 0)


def test_a_proposal_becomes_edits(plan_of: Planner) -> None:
    plan = plan_of("go", packages=("jq", "zip"))
    proposal = {
        "because": "why\nnot",
        "packages": ["libpcap-dev"],
        "remove_packages": ["zip"],
        "toolchain": "1.23",
        "env": {"CGO_ENABLED": "1"},
        "steps": [
            {"at": 0, "place": "after", "run": "two"},
            {"at": 1, "place": "before", "run": "set -eux\nthree"},
            {"at": 1, "run": "zero"},
        ],
        "test_script": "new {report}",
    }
    changed = applied(proposal, plan, catalogue=Catalogue())
    assert changed.packages == ("jq", "libpcap-dev")
    assert (changed.base, changed.toolchain) == ("golang:1.23-bookworm", "1.23")
    export = "export CGO_ENABLED=1\n"
    assert [step.run.removeprefix(export) for step in changed.dependencies] == ["set -eu\nfetch --locked\n", "set -eu\ntwo"]
    assert [step.run.removeprefix(export) for step in changed.install] == ["set -eu\nzero", "set -eux\nthree", "set -eu\nbuild\n"]
    assert all(step.run.startswith(export) and step.timeout_s == 100 for step in changed.steps)
    assert (changed.tests[0].script, changed.tests[0].env) == ("new {report}", {"CGO_ENABLED": "1"})
    assert changed.notes == ("A model changed the plan: why not.",)


@pytest.mark.parametrize(
    ("proposal", "says"),
    [
        ({}, "changes nothing"),
        ({"because": "no idea"}, "changes nothing"),
        ({"packages": ["jq"]}, "changes nothing"),
        ({"package": ["jq"]}, "Extra inputs"),
        ({"packages": ["jq; rm -rf /"]}, "packages.0: .* the name of a Debian package"),
        ({"packages": ["libc6-"]}, "packages.0: .* the name of a Debian package"),
        ({"env": {"A B": "x"}}, "cannot be an environment variable"),
        ({"env": {"A": "x\0"}}, "cannot be an environment variable"),
        ({"toolchain": "9.9"}, "There is no toolchain"),
        ({"steps": [{"at": 2, "run": "x"}]}, "numbered from 0 to 1"),
        ({"steps": [{"at": 0, "run": "x\0"}]}, "NUL"),
        ({"test_script": "no report"}, "must write its report"),
        ({"test_script": "{report}\0"}, "will not do"),
        ("text", "not as it should be"),
        (None, "not as it should be"),
    ],
)
def test_what_is_no_proposal_says_why(proposal: Any, says: str, plan_of: Planner) -> None:
    with pytest.raises(ProposalError, match=says):
        applied(proposal, plan_of("go", packages=("jq",)), catalogue=Catalogue())


def test_own_runners_have_no_script_and_a_plan_without_steps_gets_one(plan_of: Planner) -> None:
    plan = plan_of("python", dependencies=(), install=())
    with pytest.raises(ProposalError, match="own runner"):
        applied({"test_script": "x"}, plan, catalogue=Catalogue())
    assert [step.run for step in applied({"steps": [{"at": 0, "run": "x"}]}, plan, catalogue=Catalogue()).install] == ["set -eu\nx"]
