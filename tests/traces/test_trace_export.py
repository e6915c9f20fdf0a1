from __future__ import annotations

import base64
from typing import Any, Protocol

import numpy as np
import orjson
import pytest

from podgym.traces import Record, Trace
from podgym.traces.events import ContextCompressed, Created, Prompt, Sampled, ToolCalled, ToolReturned, Verified
from podgym.traces.export import as_atif, as_json, export
from podgym.traces.summary import summarise


class AddRollout(Protocol):
    def __call__(self, trace: Trace, /, **options: Any) -> Trace: ...


AGENT_ONLY = {"model_name", "reasoning_effort", "reasoning_content", "tool_calls", "metrics"}
STEP = {"step_id", "timestamp", "source", "message", "observation", "extra", *AGENT_ONLY}


def check_atif(document: dict[str, Any]) -> None:
    """The rules of Harbor's validator."""
    assert document["schema_version"] == "ATIF-v1.6" and document["agent"].keys() == {"name", "version", "model_name"}
    assert [step["step_id"] for step in document["steps"]] == list(range(1, len(document["steps"]) + 1)) != []
    for step in document["steps"]:
        assert step.keys() <= STEP and isinstance(step["message"], str) and step["source"] in {"user", "agent", "system"}
        assert step["source"] == "agent" or not step.keys() & AGENT_ONLY
        calls = {call["tool_call_id"] for call in step.get("tool_calls", ())}
        assert all(
            result["source_call_id"] in calls for result in step.get("observation", {}).get("results", ()) if "source_call_id" in result
        )


def test_json_holds_everything(add_rollout: AddRollout) -> None:
    trace = add_rollout(Trace())
    document = orjson.loads(export(trace, "json"))
    assert len(document["records"]) == len(trace)
    sampled = next(record for record in document["records"] if record["event"]["kind"] == "sampled")
    assert sampled["arrays"]["logprobs"]["values"] == [-0.5] * 4
    routes = sampled["arrays"]["routes"]
    assert np.frombuffer(base64.b64decode(routes["base64"]), dtype=routes["dtype"]).reshape(routes["shape"]).shape == (13, 2, 2)
    half = as_json_of(np.ones(2, dtype=np.float16))
    assert "base64" in half


def as_json_of(array: Any) -> dict[str, Any]:
    trace = Trace()
    trace.append(ToolCalled(turn=0, tool="bash"), x=array)
    found: dict[str, Any] = as_json(trace)["records"][0]["arrays"]["x"]
    return found


def test_atif_follows_the_format(add_rollout: AddRollout) -> None:
    document = orjson.loads(export(add_rollout(Trace()), "atif"))
    check_atif(document)
    user, *turns = document["steps"]
    assert user["message"] == "Fix it" and len(user["extra"]["prompt_token_ids"]) == 10
    assert [step["metrics"]["prompt_tokens"] for step in turns] == [10, 20, 30]
    assert turns[0]["metrics"]["completion_token_ids"] == [0, 1, 2, 3] and turns[0]["metrics"]["logprobs"] == [-0.5] * 4
    assert turns[0]["tool_calls"] == [{"tool_call_id": "call-0-0", "function_name": "bash", "arguments": {"command": "echo 0"}}]
    assert turns[0]["observation"]["results"] == [{"source_call_id": "call-0-0", "content": "out\n"}]
    assert document["extra"]["podgym"]["verified"]["reward"] == 1.0 and document["final_metrics"]["total_completion_tokens"] == 12


def test_atif_of_less_than_a_whole_rollout(add_rollout: AddRollout) -> None:
    trace = Trace()
    with pytest.raises(LookupError):
        as_atif(trace)
    trace.append(Created(rollout_id="r", run_id="run", group_id="g", task_id="t", environment="code", instruction="Do"))
    check_atif(as_atif(trace))
    trace.append(ToolCalled(turn=0, tool="bash"))
    trace.append(Prompt(tokens=1, text="x"), tokens=np.zeros(1, dtype=np.int32))
    full = add_rollout(Trace())
    for record in full:
        if record.event.at_s and getattr(record.event, "kind", "") in {"sampled", "tool_returned"}:
            trace.keep(record)
    trace.keep(Record(ContextCompressed(turn=3, dropped_tokens=7)))
    document = as_atif(trace)
    check_atif(document)
    assert document["steps"][-1]["source"] == "system" and "source_call_id" not in document["steps"][1]["observation"]["results"][0]


def test_several_calls_in_one_turn_are_kept_apart() -> None:
    trace = Trace()
    trace.append(Created(rollout_id="r", run_id="run", group_id="g", task_id="t", environment="code"))
    arrays = {"tokens": np.zeros(1, dtype=np.int32), "logprobs": np.zeros(1, dtype=np.float32), "versions": np.zeros(1, dtype=np.int32)}
    trace.append(Sampled(turn=0, start=0, tokens=1, text="", finish_reason="stop"), **arrays)
    for name in ("one", "two"):
        trace.append(ToolCalled(turn=0, tool="bash", arguments={"command": name}))
        trace.append(ToolReturned(turn=0, tool="bash", ok=True, output=name, timed_out=name == "one", seconds=1.0))
    (step,) = as_atif(trace)["steps"]
    assert [result["source_call_id"] for result in step["observation"]["results"]] == ["call-0-0", "call-0-1"]
    (turn,) = summarise(trace).turn_rows
    assert turn.tool_s == 2.0 and turn.timed_out and turn.output_chars == 6


@pytest.mark.parametrize("at_s", [1e18, -1e18, float("inf"), float("nan"), 1e300])
def test_absurd_traces_are_exported(at_s: float) -> None:
    trace = Trace()
    trace.append(Created(rollout_id="r", run_id="run", group_id="g", task_id="t", environment="code", at_s=at_s, index=2**70))
    deep: Any = "x"
    for _ in range(2000):
        deep = [deep]
    trace.append(Sampled(turn=2**80, start=2**90, tokens=10**400, text="\ud800", finish_reason="stop", at_s=at_s))
    trace.append(ToolCalled(turn=2**80, tool="bash", arguments={"huge": 10**400, "minus": -(2**70), "deep": deep, "more": 10**5000}))
    trace.append(Verified(status="scored", reward=1.0, verdict={"n": 2**64, "message": deep}))
    document = orjson.loads(export(trace, "atif"))
    check_atif(document)
    assert document["steps"][0]["tool_calls"][0]["arguments"]["minus"] == hex(-(2**70))
    records = orjson.loads(export(trace, "json"))["records"]
    assert records[3]["event"]["verdict"]["n"] == hex(2**64) and records[0]["event"]["index"] == hex(2**70)
    assert "bits" in records[2]["event"]["arguments"]["more"]
