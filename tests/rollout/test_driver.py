"""Whole jobs on a real local Ray, with policies and sandboxes that cost nothing."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray

from podgym.rollout.cluster import ClusterError, open_cluster
from podgym.rollout.driver import run_job
from podgym.rollout.ending import RunFailed
from podgym.rollout.job import JobConfig, JobError, RaySection, parse_job
from podgym.rollout.progress import ResumeError, load_progress
from podgym.rollout.report import RunSummary, StepReport
from podgym.traces.errors import RecordNotFound
from podgym.traces.events import Closed, Created
from podgym.traces.file import read_trace
from podgym.traces.index import Index
from podgym.traces.store import RunDir, RunState, RunStore

KIT = Path(__file__).parent / "kit"


@pytest.fixture(scope="module", autouse=True)
def ray_cluster() -> Iterator[None]:
    """One Ray for all tests of the module; its workers can import the kit."""
    sys.path.insert(0, str(KIT))
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(KIT)
    cluster = open_cluster(RaySection(), run_id="tests")
    try:
        yield
    finally:
        cluster.close()
        sys.path.remove(str(KIT))
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
        assert cluster.folder is not None
        assert not cluster.folder.exists()


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "runs")


def job(**sections: Any) -> JobConfig:
    whole: dict[str, Any] = {
        "environment": {"type": "podgym_rollout_kit:Guessing"},
        "sandbox": {"provider": "podgym_rollout_kit:NullProvider", "concurrency": 16},
        "policy": {"kind": "podgym_rollout_kit:Learning"},
        **sections,
    }
    return parse_job(whole, origin="test")


TRAIN = {"steps": 3, "group_size": 4, "groups_per_step": 2}


def only_run(store: RunStore) -> RunDir:
    (run,) = store.runs()
    return run


def test_rollouts_only_with_a_script(store: RunStore):
    summary = run_job(
        job(
            policy={"kind": "scripted", "options": {"script": "podgym_rollout_kit:right"}},
            rollout={"rollouts_per_task": 2},
            sandbox={"provider": "local", "concurrency": 4},
            environment={"type": "podgym_rollout_kit:Guessing", "options": {"tasks": 4}, "limit": 3},
        ),
        store,
    )
    assert (summary.status, summary.rollouts, summary.unscored, summary.solve_rate) == ("finished", 6, 0, 1.0)
    run = only_run(store)
    assert run.status() == "finished"
    assert run.summary() == json.loads(json.dumps(summary.as_dict()))
    traces = [read_trace(path) for path in run.trace_paths()]
    assert len(traces) == 6
    assert {trace.events(Closed)[-1].stop for trace in traces} == {"finished"}
    assert {trace.created.run_id for trace in traces} == {run.id}
    with Index(run.index_url) as index:
        assert index.run(run.id).status == "finished"
        assert len(index.rollouts(run.id).rows) == 6


def test_training_with_evaluation(store: RunStore):
    reports: list[StepReport] = []
    summary = run_job(
        job(
            environment={"type": "podgym_rollout_kit:Guessing", "options": {"tasks": 12}, "split": "train"},
            evaluation={"split": "test", "rollouts": 2, "temperature": 0.5, "every_steps": 2},
            train=TRAIN,
            run={"checkpoint_every_steps": 2},
            sandbox={"provider": "podgym_rollout_kit:NullProvider", "concurrency": 16, "workers": 2},
        ),
        store,
        on_step=reports.append,
    )
    assert summary.status == "finished"
    assert [report.step for report in reports] == [1, 2, 3]
    assert [report.version for report in reports] == [1, 2, 3]
    assert set(summary.evaluations) == {"before", "step 2", "after"}
    assert summary.solve_rate_before == summary.evaluations["before"]
    assert summary.gap_with_replay == pytest.approx(0.001)
    assert summary.gap_without_replay == pytest.approx(0.003)
    for report in reports:
        assert report.groups == 2
        assert report.gap_with_replay == pytest.approx(0.001)
        assert report.rollouts >= 8 or report.step > 1
        assert report.staleness <= 4
    # A later step may find all its groups already there.
    assert reports[0].sandboxes_per_s > 0
    run = only_run(store)
    splits = {read_trace(path).created.split for path in run.trace_paths()}
    assert splits == {"train", "evaluation"}
    tasks = {(trace.split, int(trace.task_id.removeprefix("guess-")) % 2) for trace in map(created, run.trace_paths())}
    assert tasks == {("train", 0), ("evaluation", 1)}
    assert sorted(path.name for path in run.checkpoints_path.iterdir()) == ["step-000002", "step-000003"]
    with Index(run.index_url) as index:
        metrics = index.metrics(run.id)
    assert metrics
    with pytest.raises(ResumeError, match="is finished"):
        run_job(job(train=TRAIN), store, resume=run)


def created(path: Path) -> Created:
    return read_trace(path).created


class Stopper:
    """Sends a signal to this process at a step."""

    def __init__(self, step: int, count: int = 1) -> None:
        self.step, self.count = step, count

    def __call__(self, report: StepReport) -> None:
        if report.step == self.step:
            for _ in range(self.count):
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.05)


@pytest.mark.parametrize("count", [1, 2])
def test_a_stopped_run_keeps_its_state_and_goes_on(store: RunStore, count: int):
    config = job(train={**TRAIN, "steps": 4}, run={"checkpoint_every_steps": 1})
    stopped = run_job(config, store, on_step=Stopper(2, count))
    assert stopped.status == "stopped"
    assert stopped.steps in {2, 3}
    run = only_run(store)
    assert run.status() == "stopped"
    assert load_progress(run).checkpoint is not None
    for path in run.trace_paths():
        if count == 1:
            assert read_trace(path).events(Closed), "every trace has its end"
    before = {path.name for path in run.trace_paths()}
    steps: list[int] = []
    summary = run_job(config, store, resume=run, on_step=lambda report: steps.append(report.step))
    assert (summary.status, summary.steps, summary.resumed) == ("finished", 4, 1)
    assert steps[-1] == 4
    assert steps[0] == stopped.steps + 1
    assert before < {path.name for path in run.trace_paths()}
    assert summary.rollouts > stopped.rollouts


def test_a_poisoned_task_is_masked_and_never_a_reward(store: RunStore):
    summary = run_job(
        job(
            environment={"type": "podgym_rollout_kit:Guessing", "options": {"tasks": 6, "broken": 1}},
            train={**TRAIN, "max_attempts": 2, "max_task_failures": 1},
        ),
        store,
    )
    assert summary.status == "finished"
    assert summary.unscored_by_reason.keys() == {"sandbox_lost"}
    assert summary.masked == 4
    run = only_run(store)
    with Index(run.index_url) as index:
        rows = [row for row in index.rollouts(run.id, limit=500).rows if row.task_id == "guess-0"]
    assert rows
    assert {row.reward for row in rows} == {None}
    assert {row.status for row in rows} == {"retried", "unscored"}


def test_a_run_in_which_nothing_can_be_judged_stops(store: RunStore):
    config = job(
        environment={"type": "podgym_rollout_kit:Guessing", "options": {"tasks": 50, "broken": 50}},
        train=TRAIN,
        run={"stop_after_unscored": 10},
    )
    with pytest.raises(RunFailed, match=r"The last \d+ tries all failed .* The node of this task is gone"):
        run_job(config, store)
    run = only_run(store)
    assert run.status() == "failed"
    state = run.state()
    assert state is not None
    assert "all failed for reasons of infrastructure" in state.error


def test_a_run_whose_every_task_is_set_aside_stops(store: RunStore):
    config = job(
        environment={"type": "podgym_rollout_kit:Guessing", "options": {"tasks": 2, "broken": 2}},
        train={**TRAIN, "max_task_failures": 1, "max_attempts": 1},
        run={"stop_after_unscored": 1000},
    )
    with pytest.raises(RunFailed, match=r"Every task was set aside .*guess-"):
        run_job(config, store)


def test_a_defect_of_an_environment_type_ends_the_run_and_names_it(store: RunStore):
    with pytest.raises(RunFailed, match=r"Rollout e000000-\d failed with KeyError: 'a defect of the type'"):
        run_job(
            job(
                environment={"type": "podgym_rollout_kit:Guessing", "options": {"defect": True}},
                policy={"kind": "scripted", "options": {"script": "podgym_rollout_kit:finish"}},
                sandbox={"provider": "podgym_rollout_kit:NullProvider", "concurrency": 1},
                rollout={"rollouts_per_task": 2},
            ),
            store,
        )
    run = only_run(store)
    assert "a defect of the type" in run.log_path.read_text()
    assert run.status() == "failed"


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"environment": {"type": "podgym_rollout_kit:Guessing", "options": {"tasks": 0}}}, "yields no tasks"),
        ({"environment": {"type": "podgym_rollout_kit:Guessing", "split": "never"}}, "no tasks of split 'never'"),
        ({"policy": {"kind": "podgym_rollout_kit:Nothing"}}, r"policy\.kind is 'podgym_rollout_kit:Nothing', which cannot be loaded"),
        ({"policy": {"kind": "nonsense"}}, r"not of the form package\.module:name"),
        ({"policy": {"kind": "podgym_rollout_kit:Learning", "options": {"x": 1}}}, r"refuses policy\.options: .*'x'"),
        ({"policy": {"kind": "podgym_rollout_kit:NullProvider"}, "train": TRAIN}, "cannot be trained"),
        ({"policy": {"kind": "scripted"}}, r"policy\.options\.script is missing"),
        ({"rollout": {"dialect": "podgym_rollout_kit:finish"}}, r"rollout\.dialect .*is no dialect"),
    ],
)
def test_jobs_that_cannot_begin_say_why(store: RunStore, sections: dict[str, Any], message: str):
    with pytest.raises(JobError, match=message):
        run_job(job(**sections), store)
    assert only_run(store).status() == "failed"


def test_a_run_that_stalls_stops(store: RunStore):
    config = job(policy={"kind": "podgym_rollout_kit:Learning", "options": {"delay_s": 60.0}}, train=TRAIN, run={"stall_s": 1.5})
    with pytest.raises(RunFailed, match=r"No rollout ended for 1\.5 s; \d+ are in flight"):
        run_job(config, store)


def test_without_the_main_thread_no_signal_handlers_are_touched(store: RunStore):
    results: list[RunSummary] = []
    before = signal.getsignal(signal.SIGINT)
    config = job(policy={"kind": "scripted", "options": {"script": "podgym_rollout_kit:finish"}})
    thread = threading.Thread(target=lambda: results.append(run_job(config, store)))
    thread.start()
    thread.join(60)
    assert results[0].status == "finished"
    assert signal.getsignal(signal.SIGINT) is before


def test_what_can_and_cannot_be_resumed(store: RunStore):
    with pytest.raises(RecordNotFound):
        store.open("nothing")
    config = job(policy={"kind": "scripted", "options": {"script": "podgym_rollout_kit:finish"}})
    run = store.create("stopped-before-it-began")
    summary = run_job(config, store, resume=run)
    assert (summary.run_id, summary.status, summary.resumed) == (run.id, "finished", 0)
    run = store.create("damaged")
    (run.path / "progress.json").write_text("{}")
    with pytest.raises(ResumeError, match=r"progress\.json cannot be read"):
        run_job(config, store, resume=run)
    run = store.create("running")
    run.write_state(RunState.of_this_process(name="running"))
    with pytest.raises(ResumeError, match="is running"):
        run_job(config, store, resume=run)


def test_training_ends_early_once_the_goal_is_met(store: RunStore):
    reports: list[StepReport] = []
    summary = run_job(
        job(
            environment={"type": "podgym_rollout_kit:Guessing", "options": {"tasks": 12}, "split": "train"},
            evaluation={"split": "test", "rollouts": 1, "temperature": 0.5},
            train={**TRAIN, "steps": 500, "goal_solve_rate": 0.01, "goal_window": 2},
        ),
        store,
        on_step=reports.append,
    )
    assert summary.status == "finished"
    assert summary.steps == len(reports) < 500
    rates = [report.solve_rate for report in reports]
    assert sum(rates[-2:]) / 2 >= 0.01
    assert set(summary.evaluations) == {"before", "after"}
    assert [path.name for path in only_run(store).checkpoints_path.iterdir()][-1:] == [f"step-{summary.steps:06d}"]


def test_a_killed_worker_is_replaced_and_its_rollouts_are_tried_again(store: RunStore):
    """Killed from another thread, in mid-run."""
    config = job(
        policy={"kind": "podgym_rollout_kit:Learning", "options": {"delay_s": 0.1}},
        train={**TRAIN, "steps": 6},
        sandbox={"provider": "podgym_rollout_kit:NullProvider", "concurrency": 8, "workers": 2},
    )
    victims: list[int] = []

    def kill(report: StepReport) -> None:
        if report.step == 2:
            state = only_run(store).state()
            assert state is not None
            victims.append(state.details["processes"]["worker-0"]["pid"])
            os.kill(victims[0], signal.SIGKILL)

    summary = run_job(config, store, on_step=kill)
    assert summary.status == "finished"
    assert summary.steps == 6
    assert 1 <= summary.lost <= 8
    assert len(summary.lost_rollouts) == summary.lost
    assert summary.unscored_by_reason == {"sandbox_lost": summary.lost}
    run = only_run(store)
    state = run.state()
    assert state is not None
    assert state.details["processes"]["worker-0"]["pid"] != victims[0]
    for rollout_id in summary.lost_rollouts:
        path = run.trace_path(rollout_id)
        if path.exists():
            read_trace(path)
    assert "worker-0 died" in run.log_path.read_text()


def test_a_killed_policy_starts_again_from_the_last_weights(store: RunStore):
    config = job(
        policy={"kind": "podgym_rollout_kit:Learning", "options": {"die_at": 4}},
        train={**TRAIN, "steps": 6},
        run={"checkpoint_every_steps": 2},
    )
    steps: list[tuple[int, int]] = []
    summary = run_job(config, store, on_step=lambda report: steps.append((report.step, report.version)))
    assert summary.status == "finished"
    assert steps == [(1, 1), (2, 2), (3, 3), (3, 3), (4, 4), (5, 5), (6, 6)], "back to the checkpoint of step 2, then on"
    assert "starts again from version 2; 2 steps of training are repeated" in only_run(store).log_path.read_text()


def test_a_policy_that_dies_at_the_same_place_again_and_again_ends_the_run(store: RunStore):
    options = {"die_at": 2, "die_again": True}
    config = job(policy={"kind": "podgym_rollout_kit:Learning", "options": options}, train=TRAIN, run={"checkpoint_every_steps": 1})
    with pytest.raises(RunFailed, match=r"The policy's process died \d times and nothing came of it"):
        run_job(config, store)
    assert only_run(store).summary()["steps"] == 1


def test_workers_that_die_while_they_start_are_started_again(store: RunStore, tmp_path: Path):
    options = {"count": str(tmp_path / "count"), "times": 2}
    config = job(
        policy={"kind": "scripted", "options": {"script": "podgym_rollout_kit:right"}},
        sandbox={"provider": "podgym_rollout_kit:DyingProvider", "options": options},
    )
    summary = run_job(config, store)
    assert (summary.status, summary.solve_rate, summary.unscored) == ("finished", 1.0, 0)
    assert (tmp_path / "count").read_text() == "xx"


def test_a_stop_in_the_middle_of_a_step_keeps_the_weights_before_it(store: RunStore, monkeypatch: pytest.MonkeyPatch):
    """The update goes on in its own process meanwhile, so neither its weights nor its step may count."""
    monkeypatch.setattr("podgym.rollout.loop.STOP_TRAINING_S", 0.2)
    config = job(
        policy={"kind": "podgym_rollout_kit:Learning", "options": {"train_s": 3.0}},
        train={**TRAIN, "pipelined": False},
        run={"checkpoint_every_steps": 1},
    )
    timer = threading.Timer(1.0, lambda: os.kill(os.getpid(), signal.SIGINT))
    summary = run_job(config, store, on_step=lambda report: timer.start() if report.step == 1 else None)
    assert summary.status == "stopped"
    run = only_run(store)
    assert [path.name for path in run.checkpoints_path.iterdir()] == ["step-000001"]
    resumed = run_job(config, store, resume=run)
    assert (resumed.status, resumed.steps) == ("finished", 3)


def test_a_policy_killed_while_it_samples(store: RunStore):
    config = job(
        policy={"kind": "podgym_rollout_kit:Learning", "options": {"delay_s": 0.2}}, train=TRAIN, run={"checkpoint_every_steps": 1}
    )

    def kill(report: StepReport) -> None:
        if report.step == 1:
            state = only_run(store).state()
            assert state is not None
            os.kill(state.details["processes"]["policy"]["pid"], signal.SIGKILL)

    summary = run_job(config, store, on_step=kill)
    assert (summary.status, summary.steps, summary.lost) == ("finished", 3, 0)


@pytest.mark.parametrize(("address", "remedy"), [("10.0.0.1:6379", r"Check ray\.address"), (None, "Check free memory")])
def test_a_ray_that_cannot_be_had_is_named(monkeypatch: pytest.MonkeyPatch, address: str | None, remedy: str):
    def refuse(**options: Any) -> None:
        raise ConnectionError("no answer")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", refuse)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    monkeypatch.setattr("podgym.rollout.cluster._children", list)  # those are of the Ray that these tests share
    with pytest.raises(ClusterError, match=f"Ray on .* cannot be used: no answer.*{remedy}"):
        open_cluster(RaySection(address=address), run_id="x")
