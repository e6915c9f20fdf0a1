"""What the CLI and the pages ask the index. Every answer is bounded and continues from a cursor.

Numbers to compare with may be of any size: what no database holds is taken as the largest that it does, which compares the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, Literal, TypeVar

from sqlalchemy import ColumnElement, Executable, Select, case, func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from podgym.traces.errors import IndexUnusable, RecordNotFound
from podgym.traces.index.database import open_engine, remedy_for
from podgym.traces.index.tables import AttemptRow, GroupRow, MetricRow, RolloutRow, RunRow, SandboxRow, TurnRow, VerdictRow
from podgym.traces.summary import SIGNAL

__all__ = ["Counts", "GroupSummary", "HackCount", "Index", "Page", "RolloutDetail", "RolloutFilter", "StepSummary"]

MOST_ROWS = 1000
MOST_POINTS = 50_000
MOST_OF_ONE = 2000
"""Points of one series; of longer ones every second, every third and so on is taken, the newest always."""
LARGEST = (1 << 63) - 1
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Rows, and the cursor that continues after them; None where there are no more."""

    rows: Sequence[T]
    cursor: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutFilter:
    """None takes everything."""

    task: str | None = None
    """A part of the task's id."""
    status: str | None = None
    reason: str | None = None
    split: str | None = None
    step: int | None = None
    group: str | None = None
    environment: str | None = None
    min_reward: float | None = None
    max_reward: float | None = None
    hacks: bool | None = None
    """Whether the hack monitor found anything: an attempt or a signal."""


@dataclass(frozen=True, slots=True)
class RolloutDetail:
    """Everything the index has on one rollout."""

    rollout: RolloutRow
    turns: Sequence[TurnRow]
    verdict: VerdictRow | None
    sandbox: SandboxRow | None
    attempts: Sequence[AttemptRow] = ()
    """What the hack monitor found, in order."""


@dataclass(frozen=True, slots=True)
class GroupSummary:
    """One group with what became of its rollouts."""

    group: GroupRow
    rollouts: int
    scored: int
    solved: int
    """Scored with a reward of at least 1."""
    reward_mean: float | None
    seq: int
    """Of its newest rollout; the cursor."""


@dataclass(frozen=True, slots=True)
class StepSummary:
    """The rollouts that one step asked for, of one split."""

    step: int
    split: str
    rollouts: int
    scored: int
    solved: int
    reward_mean: float | None
    turns_mean: float
    sampled_tokens: int
    first_s: float
    """When the first began and the last ended, Unix time."""
    last_s: float | None
    hacks: int
    """Attempts that the hack monitor saw."""
    hacks_succeeded: int


@dataclass(frozen=True, slots=True)
class HackCount:
    """What the hack monitor found under one key: a step, a task, a policy's version, a rule or a family."""

    key: Any
    attempts: int
    """Signals where the key is `signal`'s family or one of its rules."""
    succeeded: int
    rollouts: int
    """With at least one of them."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Rollouts of a run by status and, for those without a reward, by reason."""

    statuses: dict[str, int]
    reasons: dict[str, int]
    splits: Sequence[str]
    steps: tuple[int, int] | None
    """First and last."""


class Index:
    """An open index. Raises `IndexUnusable` where the database fails; thread-safe."""

    def __init__(self, url: str, *, create: bool = True) -> None:
        self.engine = open_engine(url, create=create)

    def close(self) -> None:
        """Idempotent."""
        self.engine.dispose()

    def __enter__(self) -> Index:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _all(self, statement: Executable) -> Sequence[Any]:
        try:
            with Session(self.engine, expire_on_commit=False) as session:
                return session.execute(statement).all()
        except SQLAlchemyError as error:
            cause = getattr(error, "orig", None) or error
            raise IndexUnusable(f"The index cannot be read: {cause}.", remedy=remedy_for(cause)) from error

    def _scalars(self, statement: Executable) -> list[Any]:
        return [row[0] for row in self._all(statement)]

    def runs(self, *, limit: int = 100) -> Sequence[RunRow]:
        """The newest runs first."""
        return self._scalars(select(RunRow).order_by(RunRow.run_id.desc()).limit(_limit(limit)))

    def run(self, run_id: str) -> RunRow:
        """One run. Raises `RecordNotFound`."""
        for run in self._scalars(select(RunRow).where(RunRow.run_id == run_id)):
            assert isinstance(run, RunRow)
            return run
        raise RecordNotFound(f"The index has no run {run_id}.")

    def rollouts(
        self, run_id: str, filters: RolloutFilter | None = None, *, cursor: int | None = None, after: int | None = None, limit: int = 100
    ) -> Page[RolloutRow]:
        """Newest first and older than `cursor`; or, with `after`, those newer than it, oldest first."""
        limit = _limit(limit)
        statement = select(RolloutRow).where(RolloutRow.run_id == run_id, *_conditions(filters or RolloutFilter()))
        if after is not None:
            statement = statement.where(RolloutRow.seq > _held(after)).order_by(RolloutRow.seq)
        else:
            if cursor is not None:
                statement = statement.where(RolloutRow.seq < _held(cursor))
            statement = statement.order_by(RolloutRow.seq.desc())
        rows: list[RolloutRow] = self._scalars(statement.limit(limit + 1))
        return Page(rows[:limit], rows[limit - 1].seq if len(rows) > limit else None)

    def find(self, prefix: str, *, run_id: str | None = None) -> RolloutRow:
        """A rollout by its id or a prefix of it. Raises `RecordNotFound`."""
        within = () if run_id is None else (RolloutRow.run_id == run_id,)
        exact = self._scalars(select(RolloutRow).where(RolloutRow.rollout_id == prefix, *within).limit(2))
        found: list[RolloutRow] = exact or self._scalars(
            select(RolloutRow)
            .where(RolloutRow.rollout_id.startswith(prefix, autoescape=True), *within)
            .order_by(RolloutRow.rollout_id)
            .limit(6)
        )
        if len(found) != 1:
            some = ", ".join(row.rollout_id for row in found[:5])
            raise RecordNotFound(
                f"{'Several' if found else 'No'} rollouts fit {prefix[:80]!r}" + (f": {some}." if found else "."),
                remedy="Give more of the id." if found else "`podgym rollout list` shows what there is.",
            )
        return found[0]

    def rollout(self, prefix: str, *, run_id: str | None = None) -> RolloutDetail:
        """One rollout with its turns. Raises `RecordNotFound`."""
        row = self.find(prefix, run_id=run_id)

        def of(table: type[Any]) -> Select[Any]:
            return select(table).where(table.run_id == row.run_id, table.rollout_id == row.rollout_id)

        verdict, sandbox = (next(iter(self._scalars(of(table))), None) for table in (VerdictRow, SandboxRow))
        turns = self._scalars(of(TurnRow).order_by(TurnRow.turn).limit(MOST_ROWS))
        attempts = self._scalars(of(AttemptRow).order_by(AttemptRow.number).limit(MOST_ROWS))
        return RolloutDetail(row, turns, verdict, sandbox, attempts)

    def hacks(
        self, run_id: str, by: Literal["step", "task_id", "version", "rule", "family"], *, split: str | None = None, limit: int = MOST_ROWS
    ) -> list[HackCount]:
        """Attempts under each key that has any: steps and versions in order, others by how many they are. Signals count only by
        rule and family."""
        key = getattr(AttemptRow, by)
        count = func.count()
        statement = select(
            key, count, func.sum(case((AttemptRow.succeeded.is_(True), 1), else_=0)), func.count(AttemptRow.rollout_id.distinct())
        ).where(AttemptRow.run_id == run_id)
        if by not in ("rule", "family"):
            statement = statement.where(AttemptRow.family != SIGNAL)
        if by in ("step", "version"):
            statement = statement.where(key.is_not(None))
        if split is not None:
            statement = statement.where(AttemptRow.split == split)
        ordered = statement.group_by(key).order_by(*((key,) if by in ("step", "version") else (count.desc(), key)))
        return [HackCount(*row) for row in self._all(ordered.limit(_limit(limit) if by != "step" else MOST_POINTS))]

    def metrics(
        self, run_id: str, names: Iterable[str] | None = None, *, after_step: int | None = None
    ) -> dict[str, list[tuple[int, float]]]:
        """(step, value) by name, in order of steps; series are thinned to `MOST_OF_ONE` points, and are the newest `MOST_POINTS`
        together."""
        count = func.count().over(partition_by=MetricRow.name)
        age = func.row_number().over(partition_by=MetricRow.name, order_by=MetricRow.step.desc()) - 1
        statement = select(MetricRow.name, MetricRow.step, MetricRow.value, count.label("points"), age.label("age"))
        statement = statement.where(MetricRow.run_id == run_id)
        if names is not None:
            statement = statement.where(MetricRow.name.in_(list(names)))
        if after_step is not None:
            statement = statement.where(MetricRow.step > _held(after_step))
        rows = statement.subquery().c
        every = (rows.points - 1) // MOST_OF_ONE + 1
        thinned = select(rows.name, rows.step, rows.value).where(rows.age % every == 0)
        found: dict[str, list[tuple[int, float]]] = {}
        for name, step, value in reversed(self._all(thinned.order_by(rows.step.desc(), rows.name.desc()).limit(MOST_POINTS))):
            found.setdefault(name, []).append((step, value))
        return found

    def steps_above(self, run_id: str, name: str, least: float, *, limit: int = MOST_ROWS) -> list[int]:
        """Steps at which a metric was above `least`, in order; the newest `limit`."""
        of_name = (MetricRow.run_id == run_id, MetricRow.name == name, MetricRow.value > least)
        return self._scalars(select(MetricRow.step).where(*of_name).order_by(MetricRow.step.desc()).limit(_limit(limit)))[::-1]

    def groups(self, run_id: str, *, step: int | None = None, cursor: int | None = None, limit: int = 100) -> Page[GroupSummary]:
        """Groups with rollouts, those with the newest rollout first."""
        limit = _limit(limit)
        newest = func.max(RolloutRow.seq)
        scored = RolloutRow.status == "scored"
        statement = (
            select(
                GroupRow,
                func.count(),
                func.sum(case((scored, 1), else_=0)),
                func.sum(case((scored & (RolloutRow.reward >= 1), 1), else_=0)),
                func.avg(case((scored, RolloutRow.reward))),
                newest,
            )
            .join(RolloutRow, (RolloutRow.run_id == GroupRow.run_id) & (RolloutRow.group_id == GroupRow.group_id))
            .where(GroupRow.run_id == run_id)
            .group_by(*GroupRow.__table__.columns)
        )
        if step is not None:
            statement = statement.where(GroupRow.step == _held(step))
        if cursor is not None:
            statement = statement.having(newest < _held(cursor))
        rows = [GroupSummary(*row) for row in self._all(statement.order_by(newest.desc()).limit(limit + 1))]
        return Page(rows[:limit], rows[limit - 1].seq if len(rows) > limit else None)

    def steps(self, run_id: str, *, after_step: int | None = None, limit: int = MOST_OF_ONE) -> list[StepSummary]:
        """What became of the rollouts of each step and split, in order; the newest `limit`."""
        later = () if after_step is None else (RolloutRow.step > _held(after_step),)
        scored = RolloutRow.status == "scored"
        statement = (
            select(
                RolloutRow.step,
                RolloutRow.split,
                func.count(),
                func.sum(case((scored, 1), else_=0)),
                func.sum(case((scored & (RolloutRow.reward >= 1), 1), else_=0)),
                func.avg(case((scored, RolloutRow.reward))),
                func.avg(RolloutRow.turns),
                func.sum(RolloutRow.sampled_tokens),
                func.min(RolloutRow.started_s),
                func.max(RolloutRow.ended_s),
                func.sum(RolloutRow.hacks),
                func.sum(RolloutRow.hacks_succeeded),
            )
            .where(RolloutRow.run_id == run_id, RolloutRow.step.is_not(None), *later)
            .group_by(RolloutRow.step, RolloutRow.split)
            .order_by(RolloutRow.step.desc(), RolloutRow.split.desc())
        )
        return [StepSummary(*row) for row in reversed(self._all(statement.limit(limit)))]

    def counts(self, run_id: str) -> Counts:
        """How many rollouts of each status, reason and split."""
        of_run = RolloutRow.run_id == run_id
        statuses = self._all(select(RolloutRow.status, func.count()).where(of_run).group_by(RolloutRow.status))
        reasons = self._all(
            select(RolloutRow.reason, func.count())
            .where(of_run, RolloutRow.status.in_(["unscored", "masked", "retried"]))
            .group_by(RolloutRow.reason)
        )
        splits = self._scalars(select(RolloutRow.split).where(of_run).distinct().order_by(RolloutRow.split).limit(20))
        ((first, last),) = self._all(select(func.min(RolloutRow.step), func.max(RolloutRow.step)).where(of_run))
        return Counts(dict(map(tuple, statuses)), dict(map(tuple, reasons)), splits, None if first is None else (first, last))


def _limit(limit: int) -> int:
    return max(1, min(limit, MOST_ROWS))


def _held(number: int) -> int:
    """The number, or the nearest that a database's 64 bits hold."""
    return max(-LARGEST, min(number, LARGEST))


def _conditions(filters: RolloutFilter) -> list[ColumnElement[bool]]:
    equal = {
        RolloutRow.status: filters.status,
        RolloutRow.reason: filters.reason,
        RolloutRow.split: filters.split,
        RolloutRow.step: None if filters.step is None else _held(filters.step),
        RolloutRow.group_id: filters.group,
        RolloutRow.environment: filters.environment,
    }
    conditions: list[ColumnElement[bool]] = [column == value for column, value in equal.items() if value is not None]
    if filters.task is not None:
        conditions.append(RolloutRow.task_id.contains(filters.task, autoescape=True))
    if filters.min_reward is not None:
        conditions.append(RolloutRow.reward >= filters.min_reward)
    if filters.max_reward is not None:
        conditions.append(RolloutRow.reward <= filters.max_reward)
    if filters.hacks is not None:
        found = RolloutRow.hacks + RolloutRow.signals > 0
        conditions.append(found if filters.hacks else ~found)
    return conditions
