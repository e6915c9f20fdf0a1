"""A trace for other programs: as plain JSON, and as ATIF (Agent Trajectory Interchange Format, Harbor's RFC 0001).

ATIF has no place for what was appended to the context token by token, for weight versions or for verdicts; those travel in its
`extra` fields. Routes are left out of ATIF: they are megabytes that only a trainer of the same model can use.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Literal

import numpy as np
import orjson

from podgym.traces.events import BaseEvent, Closed, ContextCompressed, Created, Prompt, Sampled, ToolCalled, ToolReturned, Verified
from podgym.traces.lines import plain
from podgym.traces.summary import summarise
from podgym.traces.trace import Array, Record, Trace

__all__ = ["ATIF_VERSION", "ExportFormat", "as_atif", "as_json", "export"]

ATIF_VERSION = "ATIF-v1.6"
ExportFormat = Literal["json", "atif"]
LAST_S = 253_402_300_799.0
"""The end of the year 9999."""


def export(trace: Trace, format: ExportFormat) -> bytes:
    """The trace as UTF-8 JSON. Raises `LookupError` for ATIF of a trace without its first event."""
    document = as_json(trace) if format == "json" else as_atif(trace)
    try:
        return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY)
    except orjson.JSONEncodeError:  # what a policy or a tool said is no text, nests too deeply, or is a number of more than 64 bits
        return orjson.dumps(plain(document), option=orjson.OPT_INDENT_2)


def as_json(trace: Trace) -> dict[str, Any]:
    """Every event and array: one-dimensional arrays as numbers, others as base64 of their little-endian bytes."""
    records = [{"event": dict(record.event), "arrays": {name: _array(array) for name, array in record.arrays.items()}} for record in trace]
    return {"format": "podgym-trace-1", "damage": trace.damage, "records": records}


def _array(array: Array) -> dict[str, Any]:
    head: dict[str, Any] = {"dtype": array.dtype.name, "shape": array.shape}
    if array.ndim == 1 and array.dtype != np.float16:
        return head | {"values": array.tolist()}
    return head | {"base64": base64.b64encode(array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()).decode()}


def as_atif(trace: Trace) -> dict[str, Any]:
    """One ATIF trajectory: a user step with the task, one agent step for each turn, a system step where the context was compressed."""
    summary = summarise(trace)
    steps: list[dict[str, Any]] = []
    turn: dict[str, Any] = {}
    for record in trace:
        event = record.event
        match event:
            case Prompt():
                turn = _step(steps, event, source="user", message=trace.created.instruction or event.text)
                turn["extra"] = {"prompt_text": event.text, "prompt_token_ids": _list(record, "tokens")}
            case Sampled():
                turn = _step(steps, event, source="agent", message=event.text)
                turn["metrics"] = _metrics(event, record)
            case ToolCalled() if turn.get("source") == "agent":
                calls = turn.setdefault("tool_calls", [])
                calls.append({"tool_call_id": f"call-{event.turn}-{len(calls)}", "function_name": event.tool, "arguments": event.arguments})
            case ToolReturned() if turn.get("source") == "agent":
                results = turn.setdefault("observation", {"results": []})["results"]
                answered = turn.get("tool_calls", [])[len(results) :][:1]
                results.append({"content": event.output} | ({"source_call_id": answered[0]["tool_call_id"]} if answered else {}))
                outcome = {"ok": event.ok, "exit_code": event.exit_code, "timed_out": event.timed_out, "seconds": event.seconds}
                returns = turn.setdefault("extra", {"returns": []})["returns"]
                returns.append(outcome | {"observation_token_ids": _list(record, "tokens")})
            case ContextCompressed():
                turn = _step(
                    steps, event, source="system", message=f"The context was compressed; {event.dropped_tokens} tokens were dropped."
                )
                turn["extra"] = {"context_token_ids": _list(record, "tokens")}
            case _:
                pass
    if not steps:
        _step(steps, trace.created, source="user", message=trace.created.instruction)
    return {
        "schema_version": ATIF_VERSION,
        "session_id": summary.rollout_id,
        "agent": {"name": "podgym", "version": version("podgym"), "model_name": summary.policy or "unknown"},
        "steps": steps,
        "final_metrics": {
            "total_prompt_tokens": sum(step["metrics"]["prompt_tokens"] for step in steps if "metrics" in step),
            "total_completion_tokens": summary.sampled_tokens,
            "total_steps": len(steps),
        },
        "extra": {"podgym": _outcome(trace)},
    }


def _step(steps: list[dict[str, Any]], event: BaseEvent, **fields: Any) -> dict[str, Any]:
    step = {"step_id": len(steps) + 1, "timestamp": _timestamp(event.at_s), **fields}
    steps.append(step)
    return step


def _timestamp(at_s: float) -> str:
    """Held to the years that a date can have."""
    return datetime.fromtimestamp(min(max(at_s, 0.0), LAST_S) if math.isfinite(at_s) else 0.0, UTC).isoformat()


def _metrics(event: Sampled, record: Record) -> dict[str, Any]:
    extra = {"finish_reason": event.finish_reason, "seconds": event.seconds, "weight_versions": _list(record, "versions")}
    return {
        "prompt_tokens": event.start,
        "completion_tokens": event.tokens,
        "completion_token_ids": _list(record, "tokens"),
        "logprobs": _list(record, "logprobs"),
        "extra": extra,
    }


def _outcome(trace: Trace) -> Mapping[str, Any]:
    outcome: dict[str, Any] = {"damage": trace.damage}
    for record in trace:
        if isinstance(record.event, Created | Verified | Closed):
            outcome[record.event.kind] = dict(record.event)
    return outcome


def _list(record: Record, name: str) -> list[int] | list[float]:
    array = record.arrays.get(name)
    return [] if array is None else array.tolist()
