"""Runs, their numbers by step, their rollouts and groups."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict

from podgym.console.api.answers import Answer
from podgym.console.api.library import Library
from podgym.traces.errors import RecordNotFound, TraceError
from podgym.traces.index import Index, RolloutFilter
from podgym.traces.store import RunDir
from podgym.verifiers.monitor import RULES

__all__ = ["library_of", "router"]

MOST_JOB_BYTES = 1 << 18
SPARK_POINTS = 60
RATE = "solve_rate"
ALERTS = "hack.alerts"
MOST_RISES = 100

router = APIRouter(prefix="/api")


def library_of(request: Request) -> Library:
    """The library that the application was made with."""
    library: Library = request.app.state.library
    return library


Books = Annotated[Library, Depends(library_of)]
Limit = Annotated[int, Query(ge=1, le=1000)]


class RolloutQuery(BaseModel):
    """What a table of rollouts can be narrowed to, and where it continues."""

    model_config = ConfigDict(extra="forbid")

    task: str | None = None
    status: str | None = None
    reason: str | None = None
    split: str | None = None
    step: int | None = None
    group: str | None = None
    min_reward: float | None = None
    max_reward: float | None = None
    hacks: bool | None = None
    cursor: int | None = None
    after: int | None = None
    limit: Annotated[int, Query(ge=1, le=1000)] = 50


@router.get("/runs")
def list_runs(books: Books, cursor: str | None = None, limit: Annotated[int, Query(ge=1, le=200)] = 50) -> Answer:
    """The newest first; `cursor` is the id of the last run seen."""
    runs = [run for run in books.store.runs() if cursor is None or run.id < cursor]
    page = [_headline(books, run) for run in runs[:limit]]
    return Answer({"runs": page, "cursor": runs[limit - 1].id if len(runs) > limit else None, "root": str(books.store.root)})


@router.get("/runs/{run_id}")
def show_run(run_id: str, books: Books) -> Answer:
    """Everything small about one run."""
    run = books.run(run_id)
    found = _headline(books, run)
    try:
        counts: Any = asdict(books.index(run).counts(run.id))
    except TraceError as error:
        counts, found["index_error"], found["index_missing"] = None, str(error), isinstance(error, RecordNotFound)
    try:
        with run.job_path.open("rb") as job:
            found["job"] = job.read(MOST_JOB_BYTES).decode("utf-8", "replace")
    except FileNotFoundError:
        found["job"] = ""
    return Answer(found | {"counts": counts, "path": str(run.path)})


@router.get("/runs/{run_id}/metrics")
def show_metrics(run_id: str, books: Books, name: Annotated[list[str] | None, Query()] = None, after_step: int | None = None) -> Answer:
    """Series of [step, value] by name, long ones thinned, and the newest steps at which something rose suddenly.

    What the run did not record itself is made from its rollouts.
    """
    run = books.run(run_id)
    index = books.index(run)
    series = index.metrics(run.id, name, after_step=after_step)
    if name is None:
        series = _derived(index, run, after_step) | series
    return Answer({"series": series, "rises": index.steps_above(run.id, ALERTS, 0, limit=MOST_RISES)})


@router.get("/runs/{run_id}/rollouts")
def list_rollouts(run_id: str, books: Books, query: Annotated[RolloutQuery, Query()]) -> Answer:
    """Newest first and older than `cursor`, or newer than `after` and oldest first."""
    run = books.run(run_id)
    narrowed = RolloutFilter(**query.model_dump(exclude={"cursor", "after", "limit"}))
    page = books.index(run).rollouts(run.id, narrowed, cursor=query.cursor, after=query.after, limit=query.limit)
    return Answer({"rollouts": [row.as_dict() for row in page.rows], "cursor": page.cursor})


@router.get("/runs/{run_id}/groups")
def list_groups(run_id: str, books: Books, step: int | None = None, cursor: int | None = None, limit: Limit = 50) -> Answer:
    """Groups with what became of their rollouts, the newest first."""
    run = books.run(run_id)
    page = books.index(run).groups(run.id, step=step, cursor=cursor, limit=limit)
    rows = [
        row.group.as_dict()
        | {"rollouts": row.rollouts, "scored": row.scored, "solved": row.solved, "reward_mean": row.reward_mean, "seq": row.seq}
        for row in page.rows
    ]
    return Answer({"groups": rows, "cursor": page.cursor})


@router.get("/runs/{run_id}/hacks")
def list_hacks(
    run_id: str,
    books: Books,
    by: Literal["step", "task_id", "version", "rule", "family"] = "rule",
    split: str | None = None,
    limit: Limit = 100,
) -> Answer:
    """What the hack monitor found, counted by step, task, version of the policy's weights, rule or family."""
    run = books.run(run_id)
    counts = books.index(run).hacks(run.id, by, split=split, limit=limit)
    return Answer({"hacks": [asdict(count) | (_described(count.key) if by == "rule" else {}) for count in counts]})


def _described(rule_id: str) -> dict[str, str]:
    rule = RULES.get(rule_id)
    return {"title": rule.title, "family": rule.family} if rule is not None else {"title": "", "family": ""}


def _headline(books: Library, run: RunDir) -> dict[str, Any]:
    found: dict[str, Any] = {"id": run.id, "status": run.status(), "problem": "", "state": None, "summary": None}
    try:
        state = run.state()
        found["state"] = None if state is None else state.model_dump(mode="json")
        found["summary"] = run.summary()
    except TraceError as error:
        found["problem"] = str(error)
    found |= {"spark": [], "step": None, "rollouts": None, "unscored": None}
    try:
        index = books.index(run)
        points = index.metrics(run.id, [RATE]).get(RATE, [])
        found["spark"] = [value for _, value in points[:: max(1, len(points) // SPARK_POINTS)]]
        found["step"] = points[-1][0] if points else None
        if found["summary"] is None:
            statuses = index.counts(run.id).statuses
            found["rollouts"], found["unscored"] = sum(statuses.values()), statuses.get("unscored", 0)
    except TraceError as error:
        found["index_problem"] = "" if isinstance(error, RecordNotFound) else str(error)
    return found


def _derived(index: Index, run: RunDir, after_step: int | None) -> dict[str, list[tuple[int, float]]]:
    series: dict[str, list[tuple[int, float]]] = {}
    for row in index.steps(run.id, after_step=after_step):
        values: dict[str, float | None] = {
            "reward": row.reward_mean,
            "turns": row.turns_mean,
            "solve_rate": row.solved / row.scored if row.scored else None,
        }
        if row.last_s is not None and row.last_s > row.first_s:
            values["tokens_per_s"] = row.sampled_tokens / (row.last_s - row.first_s)
            values["sandboxes_per_s"] = row.rollouts / (row.last_s - row.first_s)
        values |= {"hack.attempts": row.hacks, "hack.succeeded": row.hacks_succeeded}
        prefix = "" if row.split == "train" else f"{row.split}."
        for name, value in values.items():
            if value is not None:
                series.setdefault(prefix + name, []).append((row.step, value))
    return series
