"""A worker and a policy in this process: the same classes that are Ray actors in a run."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ray.exceptions import ActorDiedError, NodeDiedError, OutOfMemoryError, RayTaskError

from podgym.errors import PodgymError
from podgym.policy import PolicyUnavailable
from podgym.rollout.actors import ActorFailed, ActorLost, PolicyActor, RolloutWorker, answer
from podgym.rollout.job import JobConfig, JobError, parse_job
from podgym.rollout.learner import Learner, load_object, open_dialect, open_policy, open_tokenizer
from podgym.rollout.result import RolloutResult, unpack_trajectories
from podgym.rollout.runlog import run_log
from podgym.rollout.schedule import Assignment
from podgym.rollout.tasksource import open_sources
from podgym.rollout.watchdog import ProcessId, watch
from podgym.traces.errors import TraceStoreError
from podgym.traces.events import Closed, Masked
from podgym.traces.file import TraceWriter, read_trace
from podgym.traces.store import RunDir, RunStore

KIT = Path(__file__).parent / "kit"


@pytest.fixture(autouse=True)
def kit(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(KIT))
    yield


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunStore(tmp_path).create("worker")


def job(**sections: Any) -> JobConfig:
    whole: dict[str, Any] = {
        "environment": {"type": "podgym_rollout_kit:Guessing"},
        "sandbox": {"provider": "podgym_rollout_kit:NullProvider"},
        "policy": {"kind": "scripted", "options": {"script": "podgym_rollout_kit:right"}},
        **sections,
    }
    return parse_job(whole, origin="test")


def assign(name: str = "g000000-0", *, task: str = "guess-0", step: int | None = 0, **changes: Any) -> Assignment:
    values = {"group_id": "g000000", "index": 0, "attempt": 0, "split": "train", "temperature": 1.0, **changes}
    return Assignment(rollout_id=name, task_id=task, step=step, **values)


def worker(config: JobConfig, run: RunDir, *, concurrency: int = 4) -> RolloutWorker:
    return RolloutWorker(config, str(run.path), "worker-0", concurrency, ProcessId.own())


async def results(host: RolloutWorker, count: int) -> list[RolloutResult]:
    found: list[RolloutResult] = []
    while len(found) < count:
        found += await asyncio.wait_for(host.exchange((), 5.0), 10)
    return found


async def test_a_worker_plays_its_assignments_and_writes_their_traces(run: RunDir):
    host = worker(job(), run)
    assert await host.start(None) == ProcessId.own()
    assert await host.exchange([assign("a"), assign("b", task="guess-1", step=None)], 0.0) == []
    found = {result.rollout_id: result for result in await results(host, 2)}
    assert {result.status for result in found.values()} == {"scored"}
    assert {result.reward for result in found.values()} == {1.0}
    (part,) = unpack_trajectories(found["a"].trajectories)
    assert (part.rollout_id, part.group_id, part.reward) == ("a", "g000000", 1.0)
    assert part.tokens.tolist() != []
    assert found["b"].trajectories == b"", "an evaluation's rollout is not trained on"
    summary = found["a"].summary
    assert summary is not None
    assert (summary.turns, summary.status, summary.run_id) == (2, "scored", run.id)
    assert read_trace(run.trace_path("a")).created.split == "train"
    assert await host.close() == []
    assert await host.close() == []


async def test_a_lost_attempt_is_a_result(run: RunDir):
    host = worker(job(environment={"type": "podgym_rollout_kit:Guessing", "options": {"broken": 1}}), run)
    await host.start(None)
    await host.exchange([assign("a"), assign("b", last=True)], 0.0)
    found = {result.rollout_id: result for result in await results(host, 2)}
    assert {(result.status, result.reason) for result in found.values()} == {("unscored", "sandbox_lost")}
    assert "The node of this task is gone" in found["a"].message
    statuses = {name: result.summary.status for name, result in found.items() if result.summary is not None}
    assert statuses == {"a": "retried", "b": "unscored"}
    await host.close()


async def test_cancelled_rollouts_still_end_and_waiting_ones_never_begin(run: RunDir):
    config = job(policy={"kind": "podgym_rollout_kit:Learning", "options": {"delay_s": 60.0}})
    host = worker(config, run, concurrency=1)
    await host.start(None)
    await host.exchange([assign("running"), assign("waiting"), assign("kept")], 0.0)
    await asyncio.sleep(0.1)
    await host.cancel(["running", "waiting", "unknown"])
    found = {result.rollout_id: result for result in await results(host, 2)}
    assert {result.status for result in found.values()} == {"cancelled"}
    assert found["waiting"].summary is None
    trace = read_trace(run.trace_path("running"))
    assert trace.events(Masked)[0].reason == "cancelled"
    assert trace.events(Closed)[0].stop == "cancelled"
    (last,) = await host.close()
    assert (last.rollout_id, last.status) == ("kept", "cancelled")


async def test_a_rollout_that_is_cancelled_before_it_begins_has_a_result_too(run: RunDir):
    host = worker(job(), run)
    await host.start(None)
    await host.exchange([assign("early")], 0.0)
    await host.cancel(["early"])
    (found,) = await results(host, 1)
    assert (found.rollout_id, found.status, found.fatal) == ("early", "cancelled", None)
    await host.close()


async def test_what_is_masked_or_sampled_nothing_is_not_trainable(run: RunDir):
    masking = job(
        policy={"kind": "scripted", "options": {"script": "podgym_rollout_kit:cheat"}},
        rollout={"hacks": "mask", "limits": {"tokens": 4096}},
    )
    silent = job(rollout={"limits": {"tokens": 8}})
    for config, trainable in ((masking, False), (silent, False), (job(), True)):
        host = worker(config, run)
        await host.start(None)
        await host.exchange([assign(f"a{id(config)}"), assign(f"b{id(config)}", step=None)], 0.0)
        found = {result.rollout_id[0]: result for result in await results(host, 2)}
        assert found["a"].status == "scored"
        assert found["a"].trainable is trainable
        assert bool(found["a"].trajectories) is trainable
        assert found["b"].trainable, "an evaluation counts whatever is said of training"
        await host.close()


async def test_a_defect_and_a_full_disk_are_fatal(run: RunDir, monkeypatch: pytest.MonkeyPatch):
    host = worker(job(environment={"type": "podgym_rollout_kit:Guessing", "options": {"defect": True}}), run)
    await host.start(None)
    await host.exchange([assign("a")], 0.0)
    (found,) = await results(host, 1)
    assert isinstance(found.fatal, KeyError)

    def full(self: TraceWriter) -> None:
        raise TraceStoreError(os.strerror(errno.ENOSPC), remedy="Free space.")

    monkeypatch.setattr(TraceWriter, "flush", full)
    monkeypatch.setattr(TraceWriter, "close", full)
    await host.exchange([assign("b")], 0.0)
    (found,) = await results(host, 1)
    assert isinstance(found.fatal, TraceStoreError)
    await host.close()


class Handle:
    """What an actor handle looks like: `handle.method.remote(...)` gives something to await."""

    def __init__(self, actor: PolicyActor) -> None:
        self.actor = actor
        self.dead = False

    def __getattr__(self, name: str) -> Any:
        handle = self

        class Method:
            async def remote(self, *arguments: Any) -> Any:
                if handle.dead:
                    raise ActorDiedError
                return await getattr(handle.actor, name)(*arguments)

        return Method()


async def test_a_worker_asks_the_policy_s_process_and_the_one_after_it(run: RunDir):
    config = job(policy={"kind": "podgym_rollout_kit:Learning"}, train={"steps": 1})
    policy = PolicyActor(config, str(run.path), None, 0, ProcessId.own())
    with pytest.raises(PolicyUnavailable, match="not loaded yet"):
        await policy.exchange("c", b"", 0.0)
    await policy.close()
    await policy.start()
    host = worker(config, run)
    with pytest.raises(ActorFailed, match="was not started"):
        await host.exchange((), 0.0)
    assert await host.close() == []
    first = Handle(policy)
    await host.start(first)
    await host.exchange([assign("a")], 0.0)
    (found,) = await results(host, 1)
    assert (found.status, found.oldest_version, found.newest_version) == ("scored", 0, 0)
    first.dead = True
    await host.exchange([assign("b")], 0.0)
    await asyncio.sleep(0.1)
    assert not (await host.exchange((), 0.0))
    again = PolicyActor(config, str(run.path), None, 5, ProcessId.own())
    await again.start()
    await host.connect(Handle(again))
    (found,) = await results(host, 1)
    assert (found.status, found.newest_version) == ("scored", 5)
    metrics = await again.train(b"\x80\x05].")
    assert metrics["version"] == 6
    assert await again.save(str(run.path / "checkpoints" / "x")) == 6
    lifeline = asyncio.create_task(again.lifeline())
    await asyncio.sleep(0)
    assert not lifeline.done()
    lifeline.cancel()
    await host.close()
    await again.close()


async def test_a_worker_that_does_not_share_the_run_s_folder_says_so(run: RunDir, tmp_path: Path):
    host = RolloutWorker(job(), str(tmp_path / "elsewhere"), "worker-0", 1, ProcessId.own())
    with pytest.raises(ActorFailed, match=r"does not see the run's folder.*every node shares"):
        await host.start(None)


async def test_what_actors_raise_becomes_typed(caplog: pytest.LogCaptureFixture):
    async def raising(error: Exception) -> None:
        raise error

    with pytest.raises(ActorLost, match="worker-1 is gone"):
        await answer(raising(ActorDiedError()), "worker-1")
    with pytest.raises(ActorLost, match="Ray's memory monitor ended it"):
        await answer(raising(OutOfMemoryError("too much")), "worker-1")
    with pytest.raises(ActorLost, match="worker-1 is gone"):
        await answer(raising(NodeDiedError("node")), "worker-1")
    own = JobError("A mistake.", remedy="Correct it.")
    with pytest.raises(JobError, match="A mistake"):
        await answer(raising(RayTaskError("start", "trace", own)), "worker-1")
    with pytest.raises(ActorFailed, match=r"worker-1 failed with KeyError\('x'\)"):
        await answer(raising(RayTaskError("start", "the traceback", KeyError("x"))), "worker-1")
    assert "the traceback" in caplog.text


def test_a_watchdog_acts_when_its_process_is_gone():
    script = (
        "import sys, time\n"
        "from podgym.rollout.watchdog import ProcessId, watch\n"
        "driver = ProcessId.of(int(sys.argv[1]))\n"
        "watch(driver, lambda: print('gone', flush=True), every_s=0.05)\n"
        "print('watching', flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen(["sleep", "60"]) as driver:
        watcher = subprocess.Popen([sys.executable, "-c", script, str(driver.pid)], stdout=subprocess.PIPE, text=True)
        assert watcher.stdout is not None
        assert watcher.stdout.readline() == "watching\n"
        driver.kill()
    out, _ = watcher.communicate(timeout=20)
    assert out == "gone\n"
    assert watcher.returncode == 1


def test_a_watchdog_of_another_machine_does_nothing():
    before = threading.active_count()
    watch(ProcessId(1, 1, "elsewhere"), lambda: None)
    assert threading.active_count() == before
    over = watch(ProcessId.own(), lambda: None, every_s=0.01)
    over.set()
    assert ProcessId.of(2**22 + 1) is None
    assert ProcessId.own().host == socket.gethostname()


def test_the_log_takes_what_podgym_says(tmp_path: Path):
    import logging

    path = tmp_path / "log"
    with run_log(path):
        logging.getLogger("podgym.rollout").info("a line")
        logging.getLogger("elsewhere").error("not ours")
    assert "a line" in path.read_text()
    assert "not ours" not in path.read_text()
    with run_log(tmp_path / "none" / "log"):
        logging.getLogger("podgym.rollout").info("a disk that refuses costs log lines only")


def test_sources_are_labelled_and_shared(run: RunDir):
    config = job(
        environment={"type": "podgym_rollout_kit:Guessing", "split": "train"}, evaluation={"split": "test"}, train={"steps": 1}, policy={}
    )
    sources = open_sources(config, run_id="the-run")
    assert sources["train"].environment is sources["evaluation"].environment
    assert set(sources["train"].tasks).isdisjoint(sources["evaluation"].tasks)
    assert {task.sandbox.labels["run"] for task in sources["train"].tasks.values()} == {"the-run"}
    other = job(evaluation={"options": {"tasks": 2}}, train={"steps": 1}, policy={})
    sources = open_sources(other, run_id="x")
    assert sources["train"].environment is not sources["evaluation"].environment


def test_two_tasks_with_one_id_are_refused(monkeypatch: pytest.MonkeyPatch):
    import podgym_rollout_kit

    once = podgym_rollout_kit.Guessing.tasks
    monkeypatch.setattr(podgym_rollout_kit.Guessing, "tasks", lambda self: [*once(self), *once(self)])
    with pytest.raises(JobError, match="two tasks with the id 'guess-0'"):
        open_sources(job(), run_id="x")


def test_policies_tokenizers_and_dialects_by_name(tmp_path: Path):
    opened = open_policy(job(policy={"kind": "podgym_rollout_kit:Learning"}, train={"steps": 1}), checkpoint=None, version=4)
    assert isinstance(opened.learner, Learner)
    assert opened.learner.version == 4
    untrained = open_policy(job(policy={"kind": "podgym_rollout_kit:NullProvider"}), checkpoint=None, version=0)
    assert untrained.learner is None
    named = job(policy={"options": {"tokenizer": "podgym.policy.tokenizer:ByteTokenizer"}})
    assert open_tokenizer(named).encode("a") == [97]
    open_tokenizer(job()).save(tmp_path)
    assert open_tokenizer(job(policy={"checkpoint": tmp_path})).encode("a") == [97]
    with pytest.raises(JobError, match="makes no tokenizer"):
        open_tokenizer(job(policy={"options": {"tokenizer": "podgym_rollout_kit:BadTokenizer"}}))
    with pytest.raises(PodgymError, match="special token"):
        open_dialect(job(), Plain())
    with pytest.raises(JobError, match=r"environment\.type is 'a:', which is not of the form"):
        load_object("a:", key="environment.type")


class Plain:
    def __init__(self) -> None:
        self.special: dict[str, int] = {}

    def encode(self, text: str) -> list[int]:
        return [1]

    def decode(self, tokens: list[int]) -> str:
        return ""
