"""The tables of the index. Small rows only; everything here can be rebuilt from the run's folder: its traces, `state.json` and
`metrics.jsonl`.

A row belongs to a run by `run_id`, so that one PostgreSQL database can hold many runs. `RolloutRow.seq` is the cursor of
rollouts. A change of these classes needs a migration in `migrations/versions` and a new `HEAD` in `database.py`.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, Double, Index, Integer, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

__all__ = ["AttemptRow", "Base", "GroupRow", "MetricRow", "RolloutRow", "RunRow", "SandboxRow", "TurnRow", "VerdictRow"]

Serial = BigInteger().with_variant(Integer(), "sqlite")
Id = String(200)


class Base(DeclarativeBase):
    """Times are Unix seconds."""

    type_annotation_map = {float: Double(), str: Text(), dict[str, Any]: JSON()}  # noqa: RUF012  # SQLAlchemy's own annotation

    def as_dict(self) -> dict[str, Any]:
        """The row's columns."""
        return {column.name: getattr(self, column.name) for column in self.__table__.columns}


class RunRow(Base):
    """One run."""

    __tablename__ = "runs"
    run_id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(default="")
    status: Mapped[str] = mapped_column(String(20), default="")
    environment: Mapped[str] = mapped_column(default="")
    started_s: Mapped[float | None]
    ended_s: Mapped[float | None]
    details: Mapped[dict[str, Any]] = mapped_column(default=dict)


class GroupRow(Base):
    """Attempts that are compared with each other."""

    __tablename__ = "groups"
    run_id: Mapped[str] = mapped_column(Id, primary_key=True)
    group_id: Mapped[str] = mapped_column(Id, primary_key=True)
    task_id: Mapped[str] = mapped_column(Id)
    environment: Mapped[str]
    step: Mapped[int | None]
    split: Mapped[str] = mapped_column(String(40))


class RolloutRow(Base):
    """One rollout; what the tables of pages show."""

    __tablename__ = "rollouts"
    __table_args__ = (
        Index("ix_rollouts_id", "run_id", "rollout_id", unique=True),
        Index("ix_rollouts_group", "run_id", "group_id"),
        Index("ix_rollouts_task", "run_id", "task_id", "seq"),
        Index("ix_rollouts_status", "run_id", "status", "seq"),
        Index("ix_rollouts_step", "run_id", "step", "seq"),
    )
    seq: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    run_id: Mapped[str] = mapped_column(Id)
    rollout_id: Mapped[str] = mapped_column(Id)
    group_id: Mapped[str] = mapped_column(Id)
    task_id: Mapped[str] = mapped_column(Id)
    environment: Mapped[str]
    attempt: Mapped[int]
    index: Mapped[int]
    step: Mapped[int | None]
    split: Mapped[str] = mapped_column(String(40))
    policy: Mapped[str]
    temperature: Mapped[float]
    status: Mapped[str] = mapped_column(String(20))
    reward: Mapped[float | None]
    reason: Mapped[str]
    stop: Mapped[str] = mapped_column(String(40))
    turns: Mapped[int]
    prompt_tokens: Mapped[int]
    sampled_tokens: Mapped[int]
    started_s: Mapped[float]
    ended_s: Mapped[float | None]
    seconds: Mapped[float]
    sample_s: Mapped[float]
    tool_s: Mapped[float]
    verify_s: Mapped[float]
    hacks: Mapped[int] = mapped_column(server_default="0")
    hacks_succeeded: Mapped[int] = mapped_column(server_default="0")
    signals: Mapped[int] = mapped_column(server_default="0")


class AttemptRow(Base):
    """One finding of the hack monitor. What groups it (step, split, task) is the rollout's, repeated so that counting is one scan."""

    __tablename__ = "attempts"
    __table_args__ = (Index("ix_attempts_step", "run_id", "step"), Index("ix_attempts_rule", "run_id", "rule"))
    run_id: Mapped[str] = mapped_column(Id, primary_key=True)
    rollout_id: Mapped[str] = mapped_column(Id, primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    turn: Mapped[int | None]
    rule: Mapped[str] = mapped_column(String(40))
    family: Mapped[str] = mapped_column(String(40))
    excerpt: Mapped[str]
    succeeded: Mapped[bool | None]
    evidence: Mapped[str]
    version: Mapped[int | None]
    step: Mapped[int | None]
    split: Mapped[str] = mapped_column(String(40))
    task_id: Mapped[str] = mapped_column(Id)


class TurnRow(Base):
    """One turn of a rollout."""

    __tablename__ = "turns"
    run_id: Mapped[str] = mapped_column(Id, primary_key=True)
    rollout_id: Mapped[str] = mapped_column(Id, primary_key=True)
    turn: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at_s: Mapped[float]
    tokens: Mapped[int]
    sample_s: Mapped[float]
    finish_reason: Mapped[str] = mapped_column(String(20))
    tool: Mapped[str] = mapped_column(String(40))
    ok: Mapped[bool | None]
    exit_code: Mapped[int | None]
    timed_out: Mapped[bool]
    output_chars: Mapped[int]
    tool_s: Mapped[float]


class VerdictRow(Base):
    """What a rollout was worth; the outcome of each test stays in the trace."""

    __tablename__ = "verdicts"
    run_id: Mapped[str] = mapped_column(Id, primary_key=True)
    rollout_id: Mapped[str] = mapped_column(Id, primary_key=True)
    message: Mapped[str]
    cached: Mapped[bool]
    components: Mapped[dict[str, Any]]
    tests_passed: Mapped[int]
    tests_total: Mapped[int]
    seconds: Mapped[float]


class SandboxRow(Base):
    """The sandbox that a rollout ran in."""

    __tablename__ = "sandboxes"
    run_id: Mapped[str] = mapped_column(Id, primary_key=True)
    rollout_id: Mapped[str] = mapped_column(Id, primary_key=True)
    provider: Mapped[str] = mapped_column(String(80))
    image: Mapped[str]
    create_s: Mapped[float]


class MetricRow(Base):
    """One number of one step."""

    __tablename__ = "metrics"
    run_id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(Id, primary_key=True)
    step: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    value: Mapped[float]
    at_s: Mapped[float]
