"""One rollout, straight from its trace: events by cursor or by turn, arrays alone, the file by byte range."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Query
from fastapi.responses import FileResponse
from starlette.responses import Response

from podgym.console.api.answers import Answer, event_json
from podgym.console.api.library import Library
from podgym.console.api.pieces import pieces
from podgym.console.api.runs import Books
from podgym.traces.errors import RecordNotFound, TraceCorrupt, TraceError
from podgym.traces.events import Sampled
from podgym.traces.export import export
from podgym.traces.file import Entry, TraceReader, read_trace
from podgym.traces.index import RolloutDetail, RolloutFilter

__all__ = ["router"]

MOST_EVENTS = 500
MOST_PIECES = 20_000
MOST_TURNS = 100
OUTSIDE = (32, 96)
"""Events at the beginning and at the end of a trace among which those outside of all turns are."""
LARGEST = 1 << 53
"""What JSON's readers can still count."""

router = APIRouter(prefix="/api/runs/{run_id}/rollouts/{rollout_id}")


def _open(books: Library, run_id: str, rollout_id: str) -> TraceReader:
    return TraceReader(books.run(run_id).trace_path(rollout_id))


def _entry(entry: Entry) -> dict[str, Any]:
    arrays = {name: {"dtype": place.dtype.name, "shape": place.shape} for name, place in entry.arrays.items()}
    return {"index": entry.index, "event": event_json(entry.event), "arrays": arrays}


@router.get("")
def show_rollout(run_id: str, rollout_id: str, books: Books) -> Answer:
    """The index's rows, the state of the trace file, and the neighbours in its group."""
    run = books.run(run_id)
    found: dict[str, Any] = {"run_id": run.id, "rollout_id": rollout_id, "row": None, "group": [], "run_status": run.status()}
    try:
        index = books.index(run)
        detail = index.rollout(rollout_id, run_id=run.id)
        found |= _detail(detail)
        page = index.rollouts(run.id, RolloutFilter(group=detail.rollout.group_id), limit=64)
        found["group"] = [
            {"rollout_id": row.rollout_id, "index": row.index, "status": row.status, "reward": row.reward} for row in page.rows
        ]
        rollout_id = detail.rollout.rollout_id
    except TraceError as error:
        found["index_error"] = str(error)
    with _open(books, run_id, rollout_id) as reader:
        trace = {"events": len(reader), "turns": reader.turns, "complete": reader.complete, "damage": reader.damage}
    return Answer(found | {"rollout_id": rollout_id, "trace": trace, "tokenizer": books.tokenizer(run) is not None})


def _detail(detail: RolloutDetail) -> dict[str, Any]:
    return {
        "row": detail.rollout.as_dict(),
        "turns": [row.as_dict() for row in detail.turns],
        "verdict": detail.verdict.as_dict() if detail.verdict else None,
        "sandbox": detail.sandbox.as_dict() if detail.sandbox else None,
        "attempts": [row.as_dict() for row in detail.attempts],
    }


@router.get("/events")
def list_events(
    run_id: str,
    rollout_id: str,
    books: Books,
    after: Annotated[int, Query(ge=0, le=LARGEST)] = 0,
    limit: Annotated[int, Query(ge=1, le=MOST_EVENTS)] = 100,
) -> Answer:
    """Events from cursor `after` on. `cursor` of the answer goes on from there; `more` says that there are more already."""
    with _open(books, run_id, rollout_id) as reader:
        found: list[dict[str, Any]] = []
        damage = reader.damage
        try:
            found.extend(map(_entry, reader.events(after=after, limit=limit)))
        except TraceCorrupt as error:
            damage = error.message
        cursor = after + len(found)
        more = cursor < len(reader) and not damage
        return Answer({"events": found, "cursor": cursor, "more": more, "complete": reader.complete, "damage": damage})


@router.get("/turns")
def list_turns(
    run_id: str,
    rollout_id: str,
    books: Books,
    first: Annotated[int, Query(ge=0, le=LARGEST)] = 0,
    limit: Annotated[int, Query(ge=1, le=MOST_TURNS)] = 50,
) -> Answer:
    """The events of turns from `first` on, and beside them those outside of all turns: how it began and what came of it.

    `last` is the turn that the trace has reached, -1 for none; events after `cursor` are not in the answer.
    """
    with _open(books, run_id, rollout_id) as reader:
        outside: list[dict[str, Any]] = []
        found: list[dict[str, Any]] = []
        damage, last = reader.damage, -1
        try:
            outside.extend(map(_entry, _outside(reader)))
            last = reader.turns if reader.turns or any(True for _ in reader.between(0, 1)) else -1
            found.extend(map(_entry, reader.between(first, first + limit)))
        except TraceCorrupt as error:
            damage = error.message
        answer = {"first": first, "last": last, "cursor": len(reader), "complete": reader.complete, "damage": damage}
        return Answer(answer | {"outside": outside, "events": found})


def _outside(reader: TraceReader) -> Iterator[Entry]:
    begin, end = OUTSIDE
    for entry in itertools.chain(reader.events(limit=begin), reader.events(after=max(begin, len(reader) - end))):
        if getattr(entry.event, "turn", None) is None:
            yield entry


@router.get("/turns/{turn}")
def show_turn(run_id: str, rollout_id: str, turn: int, books: Books) -> Answer:
    """The events of one turn."""
    with _open(books, run_id, rollout_id) as reader:
        found = [_entry(entry) for entry in reader.turn(turn)]
        if not found:
            raise RecordNotFound(f"The rollout has no turn {turn}; it has reached turn {reader.turns}.")
        return Answer({"events": found})


@router.get("/tokens/{event}")
def show_tokens(run_id: str, rollout_id: str, event: int, books: Books) -> Answer:
    """The sampled tokens of one event: ids, log-probabilities, weight versions, and their text where a tokenizer is at hand."""
    run = books.run(run_id)
    with _open(books, run_id, rollout_id) as reader:
        entry = reader.entry(event)
        if not isinstance(entry.event, Sampled):
            raise RecordNotFound(f"Event {event} is no turn of the policy.")
        arrays = {
            name: reader.load(entry.arrays[name])[:MOST_PIECES] for name in ("tokens", "logprobs", "versions") if name in entry.arrays
        }
    ids = arrays["tokens"].tolist() if "tokens" in arrays else []
    decoder = books.tokenizer(run)
    texts = pieces(ids, decoder) if decoder is not None else None
    return Answer({"tokens": ids, "pieces": texts, "logprobs": _plain(arrays.get("logprobs")), "versions": _plain(arrays.get("versions"))})


def _plain(array: Any) -> list[Any]:
    return [] if array is None else array.tolist()


@router.get("/arrays/{event}/{name}")
def show_array(
    *, run_id: str, rollout_id: str, event: int, name: str, books: Books, start: Annotated[int, Query(ge=0)] = 0, stop: int | None = None
) -> Response:
    """Rows [start, stop) of one array as little-endian bytes, its type and shape in headers."""
    with _open(books, run_id, rollout_id) as reader:
        array = np.ascontiguousarray(reader.array(name, event)[start:stop])
    headers = {"X-Dtype": array.dtype.str, "X-Shape": ",".join(map(str, array.shape)), "Cache-Control": "no-store"}
    return Response(array.tobytes(), media_type="application/octet-stream", headers=headers)


@router.get("/trace")
def fetch_trace(run_id: str, rollout_id: str, books: Books) -> FileResponse:
    """The trace file itself; answers byte ranges."""
    path = books.run(run_id).trace_path(rollout_id)
    if not path.is_file():
        raise RecordNotFound(f"There is no trace of rollout {rollout_id}.")
    return FileResponse(path, media_type="application/octet-stream", filename=path.name)


@router.get("/export")
def fetch_export(run_id: str, rollout_id: str, books: Books, format: Literal["json", "atif"] = "json") -> Response:
    """The trace for other programs."""
    trace = read_trace(books.run(run_id).trace_path(rollout_id))
    if not any(itertools.islice(trace, 1)):
        raise TraceCorrupt(f"The trace of rollout {rollout_id} is empty.")
    headers = {"Content-Disposition": f'attachment; filename="{rollout_id}.{format}.json"', "Cache-Control": "no-store"}
    return Response(export(trace, format), media_type="application/json", headers=headers)
