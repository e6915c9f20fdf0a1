"""The one writer of a run's index. Rows gather in memory; a thread writes them, some at a time, in one transaction.

Adding never waits for the disk. A batch that the database refuses stays and is tried again; `IndexUnusable` then comes out of
the next call, which has taken what it was given, and out of `close`. Where it is a row that no database takes, all others are
written and that one is left out, logged and named in `left_out`. Whatever is lost can be rebuilt from the run's folder.
Rows replace earlier ones of the same rollout, so that a rollout may be added while it runs and again when it ends.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError, StatementError

from podgym.traces.errors import IndexUnusable, TraceStoreError
from podgym.traces.index.queries import Index
from podgym.traces.index.tables import AttemptRow, Base, GroupRow, MetricRow, RolloutRow, RunRow, SandboxRow, TurnRow, VerdictRow
from podgym.traces.store import RunDir
from podgym.traces.summary import AttemptSummary, RolloutSummary, TurnSummary, summarise
from podgym.traces.trace import Trace

__all__ = ["IndexWriter"]

_log = logging.getLogger("podgym.traces.index")

MOST_WAITING = 20_000
"""Rollouts that may wait for a disk that refuses; beyond it `add` raises."""
ROLLOUT_FIELDS = tuple(column.name for column in RolloutRow.__table__.columns if column.name != "seq")
TURN_FIELDS = TurnSummary.__slots__
ATTEMPT_FIELDS = AttemptSummary.__slots__
KEYS: Mapping[type[Base], tuple[str, ...]] = {
    TurnRow: ("run_id", "rollout_id", "turn"),
    AttemptRow: ("run_id", "rollout_id", "number"),
}
"""Where a rollout has several rows."""

Points = Mapping[tuple[str, int], tuple[float, float]]
"""Value and time by name and step."""


class IndexWriter:
    """For one run. Methods may be called from any thread.

    With a `folder`, the numbers of steps are also appended to its `metrics.jsonl`, from which they can be rebuilt.
    """

    def __init__(self, index: Index, run_id: str, *, folder: RunDir | None = None, flush_s: float = 0.5) -> None:
        self.left_out: list[str] = []
        """What no database takes, one line each: which rollout, and why."""
        self._index = index
        self._run_id = run_id
        self._folder = folder
        self._flush_s = flush_s
        self._rollouts: list[RolloutSummary] = []
        self._metrics: dict[tuple[str, int], tuple[float, float]] = {}
        self._unkept: list[tuple[int, float, dict[str, float]]] = []
        self._run: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._failure: IndexUnusable | None = None
        self._thread = threading.Thread(target=self._work, name=f"index-{run_id}", daemon=True)
        self._thread.start()

    def run(self, **fields: Any) -> None:
        """Set columns of the run's own row: `name`, `status`, `environment`, `started_s`, `ended_s`, `details`."""
        unknown = fields.keys() - {column.name for column in RunRow.__table__.columns}
        if unknown:
            raise TypeError(f"A run has no {sorted(unknown)}.")
        with self._taking():
            self._run.update(fields)
        self._wake.set()

    def add(self, rollout: RolloutSummary | Trace) -> None:
        """One rollout, ended or running."""
        summary = summarise(rollout) if isinstance(rollout, Trace) else rollout
        with self._taking():
            if len(self._rollouts) >= MOST_WAITING:
                raise IndexUnusable(
                    f"{MOST_WAITING} rollouts wait for the index.", remedy="Check its disk or server; it can be rebuilt later."
                )
            self._rollouts.append(summary)
        self._wake.set()

    def metrics(self, step: int, values: Mapping[str, float], *, at_s: float | None = None) -> None:
        """Numbers of one step; a name given again replaces the earlier value. The index has no place for those that are NaN."""
        now = time.time() if at_s is None else at_s
        numbers = {name: float(value) for name, value in values.items()}
        with self._taking():
            self._metrics.update({(name, step): (value, now) for name, value in numbers.items() if not math.isnan(value)})
            if self._folder is not None and numbers:
                self._unkept.append((step, now, numbers))
        self._wake.set()

    @contextmanager
    def _taking(self) -> Iterator[None]:
        """What is given is taken even where an earlier failure is then raised."""
        with self._lock:
            if self._stop.is_set():
                raise ValueError("The index writer is closed.")
            yield
            failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def flush(self) -> None:
        """Write everything added so far. Raises `IndexUnusable`."""
        with self._writing:
            with self._lock:
                rollouts, metrics, run = self._rollouts, self._metrics, self._run
                self._rollouts, self._metrics, self._run = [], {}, {}
            try:
                if rollouts or metrics or run:
                    self._store(rollouts, metrics, run)
            except SQLAlchemyError as error:
                with self._lock:
                    self._rollouts = rollouts + self._rollouts
                    self._metrics = metrics | self._metrics
                    self._run = run | self._run
                raise IndexUnusable(
                    f"The index of run {self._run_id} cannot be written: {_cause(error)}.",
                    remedy="Check its disk or server; it can be rebuilt from the run's folder.",
                ) from error
            finally:
                self._keep()

    def _keep(self) -> None:
        """Append what `metrics` was given to the run's folder; each line once, whatever becomes of the index."""
        if self._folder is None:
            return
        while True:
            with self._lock:
                if not self._unkept:
                    return
                line = self._unkept[0]
            try:
                self._folder.append_metrics(*line)
            except TraceStoreError as error:
                _log.warning("The metrics of step %d are not kept beside the index yet: %s", line[0], error)
                return
            with self._lock:
                del self._unkept[0]

    def _store(self, rollouts: list[RolloutSummary], metrics: Points, run: Mapping[str, Any]) -> None:
        """Raises `SQLAlchemyError` where it is the database that refuses, and not a row that is refused."""
        if self._stored(rollouts, metrics, run) is None:
            return
        whole: list[tuple[str, list[RolloutSummary], Points, Mapping[str, Any]]] = [("the run's own row", [], {}, run)]
        whole += [(f"rollout {rollout.rollout_id}", [rollout], {}, {}) for rollout in rollouts]
        whole += [(f"metric {key[0]} of step {key[1]}", [], {key: value}, {}) for key, value in metrics.items()]
        for what, some, points, row in whole:
            error = self._stored(some, points, row)
            if error is not None:
                self.left_out.append(f"{what}: {_cause(error)}")
                _log.warning("The index of run %s takes no %s: %s", self._run_id, what, _cause(error))

    def _stored(self, rollouts: list[RolloutSummary], metrics: Points, run: Mapping[str, Any]) -> Exception | None:
        """Write in one transaction; returns what is wrong with a row. Raises `SQLAlchemyError`."""
        try:
            with self._index.engine.begin() as connection:
                _write(connection, self._run_id, rollouts, metrics, run)
        except (DataError, IntegrityError, ValueError, TypeError, OverflowError) as error:
            return error
        except StatementError as error:
            if isinstance(error, DBAPIError):
                raise
            return error
        return None

    def _work(self) -> None:
        while True:
            self._wake.wait()
            # Cleared before the end is looked for: `close` sets the end first, so that its waking cannot be cleared unseen.
            self._wake.clear()
            if self._stop.wait(self._flush_s):
                return
            try:
                self.flush()
            except IndexUnusable as error:
                with self._lock:
                    self._failure = error
                self._wake.set()

    def close(self) -> None:
        """Write what is left and stop; idempotent."""
        with self._lock:
            if self._stop.is_set():
                return
            self._stop.set()
        self._wake.set()
        try:
            self.flush()
        finally:
            self._thread.join()

    def __enter__(self) -> IndexWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _cause(error: Exception) -> object:
    return getattr(error, "orig", None) or error


def _write(
    connection: Connection,
    run_id: str,
    rollouts: list[RolloutSummary],
    metrics: Points,
    run: Mapping[str, Any],
) -> None:
    if run:
        _upsert(connection, RunRow, [{"run_id": run_id, **run}], keys=("run_id",))
    latest = {rollout.rollout_id: rollout for rollout in rollouts}.values()
    groups: dict[str, dict[str, Any]] = {}
    tables: dict[type[Base], list[dict[str, Any]]] = {RolloutRow: [], TurnRow: [], AttemptRow: [], VerdictRow: [], SandboxRow: []}
    for rollout in latest:
        key = {"run_id": run_id, "rollout_id": rollout.rollout_id}
        groups[rollout.group_id] = {
            "run_id": run_id,
            "group_id": rollout.group_id,
            "task_id": rollout.task_id,
            "environment": rollout.environment,
            "step": rollout.step,
            "split": rollout.split,
        }
        tables[RolloutRow].append({name: getattr(rollout, name) for name in ROLLOUT_FIELDS} | key)
        tables[TurnRow] += [{name: getattr(turn, name) for name in TURN_FIELDS} | key for turn in rollout.turn_rows]
        whose = {"step": rollout.step, "split": rollout.split, "task_id": rollout.task_id} | key
        tables[AttemptRow] += [{name: getattr(one, name) for name in ATTEMPT_FIELDS} | whose for one in rollout.attempt_rows]
        if rollout.status in {"scored", "unscored", "masked"}:
            verdict = {name: getattr(rollout, name) for name in ("message", "cached", "tests_passed", "tests_total")}
            tables[VerdictRow].append(key | verdict | {"components": dict(rollout.components), "seconds": rollout.verify_s})
        if rollout.provider:
            tables[SandboxRow].append(key | {"provider": rollout.provider, "image": rollout.image, "create_s": rollout.create_s})
    _upsert(connection, GroupRow, list(groups.values()), keys=("run_id", "group_id"))
    for table, rows in tables.items():
        _upsert(connection, table, rows, keys=KEYS.get(table, ("run_id", "rollout_id")))
    points = [
        {"run_id": run_id, "name": name, "step": step, "value": value, "at_s": at_s} for (name, step), (value, at_s) in metrics.items()
    ]
    _upsert(connection, MetricRow, points, keys=("run_id", "name", "step"))


def _upsert(connection: Connection, table: type[Base], rows: list[dict[str, Any]], *, keys: tuple[str, ...]) -> None:
    if not rows:
        return
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = insert(table.__table__)  # type: ignore[arg-type]  # declarative tables are Tables
    changes = {name: statement.excluded[name] for name in rows[0] if name not in keys}
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=changes), rows)
