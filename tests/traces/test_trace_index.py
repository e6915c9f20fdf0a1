from __future__ import annotations

import errno
import fcntl
import math
import os
import pickle
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import pytest
from sqlalchemy import insert
from sqlalchemy.exc import OperationalError

from podgym.traces import Trace
from podgym.traces.errors import IndexUnusable, RecordNotFound, TraceStoreError
from podgym.traces.events import BaseEvent, Closed, Created, Flagged, Retried, Sampled, ToolCalled, ToolReturned, Verified
from podgym.traces.file import TraceWriter
from podgym.traces.index import Index, IndexWriter, RolloutFilter, database, rebuild, rebuild_index
from podgym.traces.index import writer as writer_module
from podgym.traces.index.database import HEAD, remedy_for
from podgym.traces.index.tables import Base, MetricRow
from podgym.traces.store import RunState, RunStore
from podgym.traces.summary import RolloutSummary, summarise


class AddRollout(Protocol):
    def __call__(self, trace: Trace, /, **options: Any) -> Trace: ...


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    with Index(f"sqlite:///{tmp_path}/index.sqlite") as opened:
        yield opened


@pytest.fixture(scope="session")
def summary(add_rollout: AddRollout) -> RolloutSummary:
    return summarise(add_rollout(Trace()))


def fill(index: Index, summary: RolloutSummary, n: int = 40) -> None:
    with IndexWriter(index, "run-1") as writer:
        writer.run(name="demo", status="running", started_s=5.0, details={"a": 1})
        for number in range(n):
            status = "unscored" if number % 10 == 0 else "scored"
            row = replace(
                summary,
                rollout_id=f"{number:04x}",
                group_id=f"g{number // 8}",
                task_id=f"calc-{number % 3}",
                step=number // 16,
                split="eval" if number % 4 == 0 else "train",
                status=status,
                reward=None if status == "unscored" else float(number % 2),
                reason="image" if status == "unscored" else "",
            )
            writer.add(row)
        for step in range(3):
            writer.metrics(step, {"solve_rate": step / 10, "turns": 3})


def test_a_summary_is_small_and_true(add_rollout: AddRollout) -> None:
    summary = summarise(add_rollout(Trace()))
    assert len(pickle.dumps(summary)) < 2500 and pickle.loads(pickle.dumps(summary)) == summary
    assert (summary.status, summary.reward, summary.turns, summary.sampled_tokens, summary.prompt_tokens) == ("scored", 1.0, 3, 12, 10)
    assert (summary.tests_passed, summary.tests_total, summary.components) == (2, 2, {"tests": 1.0})
    assert summary.sample_s == 1.5 and summary.tool_s == pytest.approx(0.3) and summary.ended_s == 1010.1 and summary.stop == "finished"
    assert [row.tool for row in summary.turn_rows] == ["bash", "bash", "finish"]
    unscored = summarise(add_rollout(Trace(), reward=None))
    assert (unscored.status, unscored.reason, unscored.message) == ("unscored", "sandbox_lost", "gone")


def test_a_summary_of_what_has_not_ended() -> None:
    trace = Trace()
    with pytest.raises(LookupError):
        summarise(trace)
    trace.append(Created(rollout_id="r", run_id="run", group_id="g", task_id="t", environment="code"))
    trace.append(ToolCalled(turn=5, tool="bash"))
    trace.append(ToolReturned(turn=5, tool="bash", ok=True, output=""))
    assert summarise(trace).status == "running" and summarise(trace).turn_rows == ()
    trace.append(Closed(stop="cancelled", turns=0, sampled_tokens=0, seconds=1))
    assert summarise(trace).status == "closed"
    trace.append(Verified(status="scored", reward=1.0, verdict={"components": "x", "tests": "y"}))
    assert summarise(trace).status == "scored" and summarise(trace).tests_total == 0
    trace.append(Retried(error="SandboxLost", message="oom"))
    assert (summarise(trace).status, summarise(trace).reason, summarise(trace).message) == ("retried", "SandboxLost", "oom")


def test_migrations_make_exactly_the_tables(index: Index) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.config import Config
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    with index.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
    config = Config()
    config.set_main_option("path_separator", "os")
    config.set_main_option("script_location", str(Path(writer_module.__file__).parent / "migrations"))
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


def test_rows_come_back_by_cursor(index: Index, summary: RolloutSummary) -> None:
    fill(index, summary)
    page = index.rollouts("run-1", limit=15)
    ids = [row.rollout_id for row in page.rows]
    assert ids == [f"{number:04x}" for number in range(39, 24, -1)] and page.cursor is not None
    while page.cursor is not None:
        page = index.rollouts("run-1", cursor=page.cursor, limit=15)
        ids += [row.rollout_id for row in page.rows]
    assert ids == [f"{number:04x}" for number in range(39, -1, -1)]
    newer = index.rollouts("run-1", after=index.rollouts("run-1", limit=3).rows[-1].seq)
    assert [row.rollout_id for row in newer.rows] == ["0026", "0027"] and newer.cursor is None
    assert index.rollouts("run-2").rows == []


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        (RolloutFilter(), 40),
        (RolloutFilter(status="unscored"), 4),
        (RolloutFilter(reason="image"), 4),
        (RolloutFilter(task="calc-1"), 13),
        (RolloutFilter(task="%"), 0),
        (RolloutFilter(split="eval"), 10),
        (RolloutFilter(step=2), 8),
        (RolloutFilter(group="g1"), 8),
        (RolloutFilter(environment="other"), 0),
        (RolloutFilter(min_reward=0.5), 20),
        (RolloutFilter(max_reward=0.5, status="scored"), 16),
    ],
)
def test_filters(index: Index, summary: RolloutSummary, filters: RolloutFilter, count: int) -> None:
    fill(index, summary)
    assert len(index.rollouts("run-1", filters, limit=10_000).rows) == count


def test_one_rollout_by_a_prefix(index: Index, summary: RolloutSummary) -> None:
    fill(index, summary)
    detail = index.rollout("0027")
    assert detail.rollout.rollout_id == "0027" and [turn.turn for turn in detail.turns] == [0, 1, 2]
    assert detail.verdict is not None and detail.verdict.components == {"tests": 1.0} and detail.verdict.tests_total == 2
    assert detail.sandbox is not None and detail.sandbox.provider == "local"
    assert detail.rollout.as_dict()["task_id"] == "calc-0"
    with pytest.raises(RecordNotFound, match="Several rollouts fit '00': 0000, 0001"):
        index.find("00")
    with pytest.raises(RecordNotFound, match="No rollouts fit '%'"):
        index.find("%", run_id="run-1")


def test_groups_counts_runs_and_metrics(index: Index, summary: RolloutSummary) -> None:
    fill(index, summary)
    page = index.groups("run-1", limit=2)
    assert [(row.group.group_id, row.rollouts, row.scored, row.solved) for row in page.rows] == [("g4", 8, 8, 4), ("g3", 8, 7, 4)]
    assert page.rows[0].reward_mean == 0.5
    rest = index.groups("run-1", cursor=page.cursor)
    assert [row.group.group_id for row in rest.rows] == ["g2", "g1", "g0"] and rest.cursor is None
    assert [row.group.group_id for row in index.groups("run-1", step=2).rows] == ["g4"]
    counts = index.counts("run-1")
    assert counts.statuses == {"scored": 36, "unscored": 4} and counts.reasons == {"image": 4}
    assert counts.splits == ["eval", "train"] and counts.steps == (0, 2) and index.counts("none").steps is None
    assert [run.run_id for run in index.runs()] == ["run-1"] and index.run("run-1").details == {"a": 1}
    with pytest.raises(RecordNotFound):
        index.run("none")
    steps = index.steps("run-1")
    assert [(row.step, row.split, row.rollouts, row.scored) for row in steps][:2] == [(0, "eval", 4, 3), (0, "train", 12, 11)]
    assert steps[1].solved == 8 and steps[1].turns_mean == 3 and steps[1].sampled_tokens == 144 and steps[1].last_s == 1010.1
    assert index.metrics("run-1", ["solve_rate"]) == {"solve_rate": [(0, 0.0), (1, 0.1), (2, 0.2)]}
    assert index.metrics("run-1", after_step=1) == {"solve_rate": [(2, 0.2)], "turns": [(2, 3.0)]}


def test_long_series_are_thinned_and_keep_their_newest_points(index: Index) -> None:
    names, last = [f"m{number:02}" for number in range(30)], 20_000
    rows = [
        {"run_id": "run-1", "name": name, "step": step, "value": float(step), "at_s": 1.0}
        for name in names
        for step in range(1 if name == "m00" else last - 2500, last + 1)
    ]
    rows.append({"run_id": "run-1", "name": "rare", "step": 7, "value": 1.0, "at_s": 1.0})
    with index.engine.begin() as connection:
        connection.execute(insert(MetricRow), rows)
    found = index.metrics("run-1")
    assert {name: found[name][-1] for name in names} == dict.fromkeys(names, (last, float(last)))
    assert all(1000 <= len(found[name]) <= 2000 for name in names) and sum(map(len, found.values())) <= 50_000
    assert found["m00"][0][0] <= 20 and found["rare"] == [(7, 1.0)]
    assert all(points == sorted(points) for points in found.values())
    assert index.metrics("run-1", ["m01"], after_step=last - 3) == {"m01": [(step, float(step)) for step in range(last - 2, last + 1)]}
    assert index.steps_above("run-1", "rare", 0) == [7] and index.steps_above("run-1", "m00", last - 2, limit=1) == [last]


def test_the_newest_steps_are_those_that_are_summed_up(index: Index, summary: RolloutSummary) -> None:
    with IndexWriter(index, "run-1") as writer:
        for step in range(30):
            writer.add(replace(summary, rollout_id=f"r{step}", step=step, split="train"))
    assert [row.step for row in index.steps("run-1", limit=3)] == [27, 28, 29]
    assert [row.step for row in index.steps("run-1", after_step=26)] == [27, 28, 29]


@pytest.mark.parametrize("huge", [10**20, -(10**20)])
def test_numbers_that_no_database_holds_compare_as_they_should(index: Index, summary: RolloutSummary, huge: int) -> None:
    fill(index, summary)
    assert index.rollouts("run-1", RolloutFilter(step=huge)).rows == []
    assert len(index.rollouts("run-1", cursor=huge).rows) == (40 if huge > 0 else 0)
    assert len(index.rollouts("run-1", after=huge).rows) == (0 if huge > 0 else 40)
    assert len(index.groups("run-1", cursor=huge).rows) == (5 if huge > 0 else 0) and index.groups("run-1", step=huge).rows == []
    assert len(index.metrics("run-1", after_step=huge)) == (0 if huge > 0 else 2)
    assert len(index.steps("run-1", after_step=huge)) == (0 if huge > 0 else 6)


def test_a_rollout_added_again_is_replaced(index: Index, summary: RolloutSummary) -> None:
    with IndexWriter(index, "run-1") as writer:
        writer.add(replace(summary, status="running", reward=None))
        writer.flush()
        before = index.find("r0").seq
        writer.add(replace(summary, status="running"))
        writer.add(summary)
        writer.metrics(0, {"x": 1.0})
        writer.flush()
        writer.metrics(0, {"x": 2.0})
        writer.run(status="a")
        writer.flush()
        writer.run(status="b")
    assert (index.find("r0").status, index.find("r0").seq) == ("scored", before)
    assert index.metrics("run-1") == {"x": [(0, 2.0)]} and index.run("run-1").status == "b"


def test_the_thread_writes_by_itself(index: Index, add_rollout: AddRollout) -> None:
    written = threading.Event()
    with IndexWriter(index, "run-1", flush_s=0.01) as writer:
        flush = writer.flush

        def observed() -> None:
            flush()
            written.set()

        writer.flush = observed  # only to know when
        writer.add(add_rollout(Trace()))
        assert written.wait(5)
        assert index.find("r0").reward == 1.0
        writer.flush = flush  # as it was
    writer.close()
    with pytest.raises(ValueError, match="closed"):
        writer.metrics(0, {})
    with pytest.raises(TypeError, match="colour"):
        IndexWriter(index, "x").run(colour="red")


def test_a_refusing_disk_is_told_and_survived(index: Index, summary: RolloutSummary, monkeypatch: pytest.MonkeyPatch) -> None:
    real = writer_module._write
    tried = threading.Event()

    def refuse(*_: Any) -> None:
        tried.set()
        raise OperationalError("INSERT", None, sqlite3.OperationalError("database or disk is full"))

    monkeypatch.setattr(writer_module, "_write", refuse)
    writer = IndexWriter(index, "run-1", flush_s=0.01)
    writer.add(summary)
    assert tried.wait(5)
    with pytest.raises(IndexUnusable, match=r"disk is full.*rebuilt"):
        for _ in range(500):
            writer.metrics(0, {"x": 1})
            threading.Event().wait(0.01)
    monkeypatch.setattr(writer_module, "MOST_WAITING", 1)
    with pytest.raises(IndexUnusable, match="wait for the index"):
        for _ in range(500):
            try:
                writer.add(summary)
            except IndexUnusable as error:
                if "wait" in str(error):
                    raise
    monkeypatch.setattr(writer_module, "_write", real)
    writer.close()
    assert index.find("r0").reward == 1.0 and index.metrics("run-1") == {"x": [(0, 1.0)]}


def test_closing_while_the_thread_wakes_does_not_hang(index: Index, summary: RolloutSummary) -> None:
    """`close` comes exactly when the thread has waited for `flush_s` and has not yet looked again."""
    writer = IndexWriter(index, "run-1", flush_s=0.01)
    closing = threading.Thread(target=writer.close, daemon=True)
    wait = writer._stop.wait

    def waited(timeout: float | None = None) -> bool:
        stopped = wait(timeout)
        if not stopped and not closing.is_alive():
            closing.start()
            while not (writer._stop.is_set() and writer._wake.is_set()):
                threading.Event().wait(0.001)
        return stopped

    writer._stop.wait = waited  # to meet that moment
    writer.add(summary)
    assert writer._stop.is_set() or wait(5)
    closing.join(5)
    assert not closing.is_alive() and not writer._thread.is_alive()
    assert index.find("r0").reward == 1.0


def test_a_row_that_no_database_takes_is_left_out_alone(index: Index, summary: RolloutSummary, caplog: pytest.LogCaptureFixture) -> None:
    with IndexWriter(index, "run-1", flush_s=60) as writer:
        writer.run(name="demo")
        writer.add(replace(summary, rollout_id="good"))
        writer.add(replace(summary, rollout_id="bad", turns=2**70))
        writer.add(replace(summary, rollout_id="nan", temperature=math.nan))
        writer.metrics(0, {"loss": math.nan, "solved": 0.5})
        writer.metrics(2**70, {"solved": 0.5})
        writer.flush()
        writer.add(replace(summary, rollout_id="later"))
    assert {row.rollout_id for row in index.rollouts("run-1").rows} == {"good", "later"}
    assert index.run("run-1").name == "demo" and index.metrics("run-1") == {"solved": [(0, 0.5)]}
    assert [line.split(":")[0] for line in writer.left_out] == ["rollout bad", "rollout nan", f"metric solved of step {2**70}"]
    assert all(line in caplog.text for line in ("rollout bad", "rollout nan"))


def test_a_trace_of_absurd_numbers_is_indexed(index: Index) -> None:
    trace = Trace()
    trace.append(Created(rollout_id="r0", run_id="run-1", group_id="g", task_id="t", environment="e", step=2**70, attempt=-(2**70)))
    for turn in (2**70, 0):
        trace.append(Sampled(turn=turn, start=0, tokens=10**400, text="", finish_reason="stop", seconds=math.inf))
        trace.append(ToolReturned(turn=turn, tool="bash", ok=True, exit_code=-(2**99), output="", seconds=math.nan))
    trace.append(Flagged(turn=2**70, rule="r", family="f", version=2**70))
    verdict = {"components": {"a": 10**400, "b": math.nan, "c": 0.5}, "message": [[[]]]}
    trace.append(Verified(status="scored", reward=math.nan, verdict=verdict, seconds=math.inf))
    with IndexWriter(index, "run-1") as writer:
        writer.add(trace)
    assert writer.left_out == []
    detail = index.rollout("r0")
    most = 2**31 - 1
    assert (detail.rollout.step, detail.rollout.attempt, detail.rollout.reward, detail.rollout.turns) == (most, -most, None, 2)
    assert [turn.turn for turn in detail.turns] == [0, most] and detail.turns[0].exit_code == -most
    assert detail.verdict is not None and detail.verdict.components == {"a": 0.0, "b": 0.0, "c": 0.5}
    assert detail.attempts[0].version == most


def test_what_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordNotFound, match="no index"):
        Index(f"sqlite:///{tmp_path}/none.sqlite", create=False)
    assert not (tmp_path / "none.sqlite").exists()
    (tmp_path / "bad.sqlite").write_bytes(b"this is no database" * 100)
    for url in (f"sqlite:///{tmp_path}/bad.sqlite", "nonsense", "madeup://x", f"sqlite:///{tmp_path}/bad.sqlite/x.sqlite"):
        with pytest.raises(IndexUnusable, match=r"The index .* cannot be"):
            Index(url)
    with pytest.raises(IndexUnusable, match="Delete it"):
        Index(f"sqlite:///{tmp_path}/bad.sqlite")


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ("database disk image is malformed", "Delete it"),
        ("file is not a database", "Delete it"),
        ("no such table: runs", "delete it"),
        ("database is locked", "try again"),
        ("database or disk is full", "Free space"),
        ("attempt to write a readonly database", "can be written"),
        ("unable to open database file", "can be written"),
        ("connection refused", "that it runs"),
    ],
)
def test_only_a_broken_index_is_to_be_deleted(said: str, remedy: str) -> None:
    assert remedy in remedy_for(sqlite3.OperationalError(said))
    assert ("elete" in remedy_for(sqlite3.OperationalError(said))) == ("elete" in remedy)


def test_an_index_of_a_later_version_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/index.sqlite"
    Index(url).close()
    with sqlite3.connect(tmp_path / "index.sqlite") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(IndexUnusable, match="later version"):
        Index(url)


def test_an_index_that_breaks_later_is_named(index: Index) -> None:
    with index.engine.begin() as connection:
        Base.metadata.drop_all(connection)
    with pytest.raises(IndexUnusable, match="no such table"):
        index.rollouts("run-1")


def test_many_open_one_new_index_at_once(tmp_path: Path) -> None:
    failures: list[Exception] = []

    def open_it() -> None:
        try:
            Index(f"sqlite:///{tmp_path}/index.sqlite").close()
        except IndexUnusable as error:
            failures.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_the_journal_of_an_index_is_changed_by_one_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    Index(f"sqlite:///{path}").close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    opened = threading.Thread(target=lambda: Index(f"sqlite:///{path}").close())
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        opened.start()
        opened.join(0.3)
        assert opened.is_alive()
    finally:
        os.close(folder)
    opened.join()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_lock_that_is_never_let_go_of_ends_typed_and_holds_up_no_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_MS", 100)
    path = tmp_path / "old" / "index.sqlite"
    Index(f"sqlite:///{path}").close()
    folders = [os.open(folder, os.O_RDONLY) for folder in (tmp_path, path.parent)]
    try:
        for folder in folders:
            fcntl.flock(folder, fcntl.LOCK_EX)
        with pytest.raises(IndexUnusable, match="has held the lock"):
            Index(f"sqlite:///{tmp_path}/new.sqlite")
        Index(f"sqlite:///{path}", create=False).close()
    finally:
        for folder in folders:
            os.close(folder)


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EMFILE])
def test_a_folder_that_cannot_be_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def refused(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refused)
    if code == errno.ENOLCK:
        Index(f"sqlite:///{tmp_path}/index.sqlite").close()
    else:
        with pytest.raises(IndexUnusable, match=os.strerror(code)):
            Index(f"sqlite:///{tmp_path}/index.sqlite")


def test_an_index_in_memory() -> None:
    with Index("sqlite://") as index:
        assert index.runs() == []


def test_rebuilding_gives_the_same_rows(tmp_path: Path, add_rollout: AddRollout) -> None:
    run = RunStore(tmp_path).create("demo")
    run.write_state(RunState(status="finished", name="demo", started_s=1.0))
    with Index(run.index_url) as index, IndexWriter(index, run.id, folder=run) as writer:
        for step in range(3):
            writer.metrics(step, {"loss": 1 / (step + 1), "nan": math.nan})
        for number in range(12):
            with TraceWriter(run.trace_path(f"r{number}")) as sink:
                trace = add_rollout(
                    Trace(sink=sink), rollout_id=f"r{number}", run_id=run.id, reward=None if number % 5 == 0 else number / 11
                )
            writer.add(trace)
    with Index(run.index_url) as index:
        before = {row.rollout_id: index.rollout(row.rollout_id) for row in index.rollouts(run.id).rows}
        curves = index.metrics(run.id)
        assert curves == {"loss": [(0, 1.0), (1, 0.5), (2, 1 / 3)]}
    for path in run.path.glob("index.sqlite*"):
        path.unlink()
    broken = run.trace_path("broken")
    broken.parent.mkdir(exist_ok=True)
    broken.write_bytes(b"nonsense")
    with TraceWriter(run.trace_path("empty")):
        pass
    done, unreadable = rebuild_index(run)
    assert done == 12 and len(unreadable) == 2 and any("broken.trace" in line for line in unreadable)
    with Index(run.index_url) as index:
        for rollout_id, old in before.items():
            new = index.rollout(rollout_id)
            for left, right in (
                (old.rollout, new.rollout),
                (old.verdict, new.verdict),
                (old.sandbox, new.sandbox),
                *zip(old.turns, new.turns, strict=True),
            ):
                assert (left and left.as_dict() | {"seq": 0}) == (right and right.as_dict() | {"seq": 0})
        assert index.run(run.id).name == "demo"
        assert index.metrics(run.id) == curves


def test_what_fails_while_a_trace_is_read_is_not_the_traces_fault(
    tmp_path: Path, add_rollout: AddRollout, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunStore(tmp_path).create("demo")
    with TraceWriter(run.trace_path("r0")) as sink:
        add_rollout(Trace(sink=sink), run_id=run.id)

    def refuse(*_: Any) -> None:
        raise IndexUnusable("The disk is full.")

    monkeypatch.setattr(IndexWriter, "add", refuse)
    with pytest.raises(IndexUnusable, match="full"):
        rebuild_index(run)


def test_rebuilding_names_rows_that_no_database_takes(tmp_path: Path, add_rollout: AddRollout, monkeypatch: pytest.MonkeyPatch) -> None:
    run = RunStore(tmp_path).create("demo")
    for name in ("r0", "r1"):
        with TraceWriter(run.trace_path(name)) as sink:
            add_rollout(Trace(sink=sink), rollout_id=name, run_id=run.id)

    def absurd(events: Iterable[BaseEvent]) -> RolloutSummary:
        made = summarise(events)
        return replace(made, turns=2**70) if made.rollout_id == "r0" else made

    monkeypatch.setattr(rebuild, "summarise", absurd)
    done, left_out = rebuild_index(run)
    assert done == 1 and len(left_out) == 1 and left_out[0].startswith("rollout r0: ")


def test_metrics_survive_torn_lines(tmp_path: Path) -> None:
    run = RunStore(tmp_path).create("demo")
    assert list(run.metrics()) == []
    run.append_metrics(0, 5.0, {"loss": 1.0})
    with run.metrics_path.open("ab") as file:
        file.write(b'{"step": 1, "at_s": 6.0, "val')
    run.append_metrics(2, 7.0, {"loss": math.inf, "kept": 2})
    with run.metrics_path.open("ab") as file:
        file.write(b'{"step": %d, "at_s": 1, "values": {}}\n[]\n\xff\n' % 2**70)
    assert list(run.metrics()) == [(0, 5.0, {"loss": 1.0}), (2, 7.0, {"kept": 2.0})]
    run.metrics_path.unlink()
    run.metrics_path.mkdir()
    with pytest.raises(TraceStoreError):
        run.append_metrics(0, 5.0, {})
    with pytest.raises(TraceStoreError):
        list(run.metrics())


def test_metrics_that_cannot_be_kept_beside_the_index_are_kept_later(
    index: Index, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = RunStore(tmp_path).create("demo")
    run.metrics_path.mkdir()
    with IndexWriter(index, run.id, folder=run, flush_s=60) as writer:
        writer.metrics(0, {"loss": 1.0})
        writer.flush()
        assert "not kept" in caplog.text and index.metrics(run.id) == {"loss": [(0, 1.0)]}
        run.metrics_path.rmdir()
    assert [(step, values) for step, _, values in run.metrics()] == [(0, {"loss": 1.0})]


def test_text_that_no_database_takes_is_made_plain(index: Index) -> None:
    trace = Trace()
    trace.append(Created(rollout_id="r\0", run_id="run-1", group_id="g" * 300, task_id="t", environment="é", split="s" * 99))
    verdict = {"message": "lone \udc80\0", "components": {"a\ud800": 1.0}}
    trace.append(Verified(status="scored", reward=1.0, verdict=verdict))
    with IndexWriter(index, "run-1") as writer:
        writer.add(trace)
    detail = index.rollout("r")
    assert (detail.rollout.rollout_id, len(detail.rollout.group_id), detail.rollout.split) == ("r\ufffd", 200, "s" * 40)
    assert detail.verdict is not None and detail.verdict.message == "lone \ufffd\ufffd" and detail.verdict.components == {"a\ufffd": 1.0}


def test_postgresql_answers_alike(summary: RolloutSummary) -> None:
    url = os.environ.get("PODGYM_TEST_POSTGRES")
    if not url:
        pytest.skip("PODGYM_TEST_POSTGRES names no empty PostgreSQL database")
    with Index(url) as opened:
        fill(opened, summary)
        fill(opened, summary)
        assert len(opened.rollouts("run-1", RolloutFilter(task="calc-1", split="train"), limit=1000).rows) == 10
        assert [row.rollouts for row in opened.groups("run-1").rows] == [8] * 5 and opened.counts("run-1").reasons == {"image": 4}
        assert opened.metrics("run-1", ["turns"]) == {"turns": [(0, 3.0), (1, 3.0), (2, 3.0)]} and len(opened.rollout("0027").turns) == 3
