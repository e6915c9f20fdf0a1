"""Rollouts in this process, without Ray: the same worker that jobs use, its traces and index in a run of their own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from podgym.console.cli.gold import gold_turns
from podgym.console.jobs.submission import Submission
from podgym.errors import PodgymError
from podgym.policy import Policy
from podgym.policy.scripted import ScriptedPolicy
from podgym.rollout.job import JobConfig, JobError, dump_job
from podgym.rollout.learner import load_object, open_dialect, open_policy, open_tokenizer
from podgym.rollout.report import HackTotals
from podgym.rollout.result import RolloutResult
from podgym.rollout.runlog import run_log
from podgym.rollout.schedule import Assignment
from podgym.rollout.scheduler import TRAIN
from podgym.rollout.tasksource import TaskSource, open_sources
from podgym.rollout.workerhost import WorkerHost
from podgym.sandbox.providers import open_provider
from podgym.traces.index import Index, IndexWriter
from podgym.traces.store import RunDir, RunState, RunStore, write_atomically
from podgym.traces.summary import RolloutSummary

__all__ = ["GOLD", "Played", "context_of", "play", "read_script"]

GOLD = "gold"
_SEPARATOR = "---"


def read_script(path: Path) -> list[str]:
    """Turns of a file, parted by lines `---`; `finish` is added where it is missing. Raises `JobError`."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise JobError(
            f"The script {path} cannot be read: {reason}.", remedy="Give a text file, its turns parted by lines `---`."
        ) from error
    turns: list[list[str]] = [[]]
    for line in text.splitlines():
        if line.rstrip() == _SEPARATOR:
            turns.append([])
        else:
            turns[-1].append(line)
    spoken = [turn for lines in turns if (turn := "\n".join(lines).strip("\n"))]
    if not spoken:
        raise JobError(f"The script {path} holds no turn.", remedy="Write for example: bash ls")
    return spoken if spoken[-1] == "finish" else [*spoken, "finish"]


def context_of(checkpoint: Path) -> int | None:
    """The longest sequence that a checkpoint's model holds, where its config says so."""
    try:
        return int(json.loads((checkpoint / "config.json").read_text())["max_position_embeddings"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


class Played:
    """What came of it."""

    def __init__(self, run: RunDir, rollouts: Sequence[RolloutSummary]) -> None:
        self.run = run
        self.rollouts = tuple(sorted(rollouts, key=lambda one: (one.task_id, one.index)))

    @property
    def rewards(self) -> list[float]:
        """Of those that were scored."""
        return [one.reward for one in self.rollouts if one.status == "scored" and one.reward is not None]

    @property
    def solve_rate(self) -> float | None:
        """Share of the scored ones with a reward of at least 1."""
        return sum(reward >= 1 for reward in self.rewards) / len(self.rewards) if self.rewards else None

    @property
    def hacks(self) -> HackTotals:
        """What the hack monitor found."""
        totals = HackTotals()
        for one in self.rollouts:
            totals.add(one.attempt_rows)
        return totals

    def as_dict(self) -> dict[str, Any]:
        """What `--json` prints."""
        kept = ("rollout_id", "task_id", "status", "reward", "reason", "message", "stop", "turns", "sampled_tokens", "seconds", "hacks")
        rows = [{name: getattr(one, name) for name in kept} for one in self.rollouts]
        return {"run_id": self.run.id, "path": str(self.run.path), "solve_rate": self.solve_rate, "rollouts": rows}


def play(
    job: JobConfig, *, script: Sequence[str] | str | None = None, task: str | None = None, on_end: Callable[[RolloutSummary], None]
) -> Played:
    """Play the job's tasks, `rollouts_per_task` times each. `script` is turns, `gold`, or None for the job's own policy.

    Raises `JobError`, and what the environment type, the provider and the policy raise; what has run is kept.
    """
    submission = Submission.new(job)
    assert submission.job is not None
    job, run_id = submission.job, submission.run_id
    sources = open_sources(job, run_id=run_id)
    chosen = _chosen(sources[TRAIN], task)
    policy = _policy(job, script, chosen, sources[TRAIN])
    run = RunStore(submission.directory).create(job.run.name, run_id=run_id)
    write_atomically(run.job_path, dump_job(job).encode())
    submission.save(run)
    state = RunState.of_this_process(name=job.run.name, details={"provider": job.sandbox.provider, "cwd": str(Path.cwd())})
    run.write_state(state)
    status, problem = "failed", ""
    summaries: list[RolloutSummary] = []

    def ended(result: RolloutResult) -> None:
        if result.summary is not None:
            summaries.append(result.summary)
            writer.add(result.summary)
            on_end(result.summary)

    try:
        with run_log(run.log_path), Index(run.index_url) as index, IndexWriter(index, run.id) as writer:
            writer.run(name=job.run.name, status="running", environment=job.environment.type, started_s=state.started_s)
            asyncio.run(_play(job, run, sources, policy=policy, chosen=chosen, on_end=ended))
            writer.run(status="finished", ended_s=time.time())
        status = "finished"
    except (KeyboardInterrupt, asyncio.CancelledError):
        status = "stopped"
        raise KeyboardInterrupt from None
    except BaseException as error:
        problem = str(error) if isinstance(error, PodgymError) else f"{type(error).__name__}: {error}"
        raise
    finally:
        played = Played(run, summaries)
        run.write_state(state.model_copy(update={"status": status, "ended_s": time.time(), "error": problem}))
        run.write_summary(_summary(played, status=status, problem=problem, started_s=state.started_s))
    return played


def _summary(played: Played, *, status: str, problem: str, started_s: float) -> dict[str, Any]:
    unscored = [one for one in played.rollouts if one.status == "unscored"]
    return {
        "run_id": played.run.id,
        "status": status,
        "error": problem,
        "rollouts": len(played.rollouts),
        "unscored": len(unscored),
        "solve_rate": played.solve_rate,
        "seconds": time.time() - started_s,
        "hacks": played.hacks.model_dump(),
    }


def _chosen(source: TaskSource, task: str | None) -> list[str]:
    if task is None:
        return list(source.tasks)
    if task not in source.tasks:
        some = ", ".join(list(source.tasks)[:5])
        raise JobError(f"There is no task {task!r}.", remedy=f"There are {some}{', ...' if len(source.tasks) > 5 else ''}.")
    return [task]


def _policy(job: JobConfig, script: Sequence[str] | str | None, chosen: Sequence[str], source: TaskSource) -> Policy:
    if script is None:
        return open_policy(job, checkpoint=job.policy.checkpoint, version=0).policy
    tokenizer = open_tokenizer(job)
    end = open_dialect(job, tokenizer).stop[0]
    turns: Mapping[str, Sequence[str]]
    if isinstance(script, str) and script != GOLD:
        return ScriptedPolicy(load_object(script, key="--policy"), tokenizer=tokenizer, end=end)
    turns = {name: gold_turns(source.tasks[name]) if script == GOLD else script for name in chosen}
    return ScriptedPolicy(turns, tokenizer=tokenizer, end=end)


async def _play(
    job: JobConfig,
    run: RunDir,
    sources: dict[str, TaskSource],
    *,
    policy: Policy,
    chosen: Sequence[str],
    on_end: Callable[[RolloutResult], None],
) -> None:
    host = WorkerHost(
        job,
        run,
        name="here",
        concurrency=job.sandbox.concurrency,
        sources=sources,
        provider=open_provider(job.sandbox.provider, job.sandbox.options),
        policy=policy,
        dialect=open_dialect(job, open_tokenizer(job)),
    )
    assignments = [
        Assignment(
            rollout_id=f"t{number:05d}-{index}",
            group_id=f"t{number:05d}",
            task_id=name,
            index=index,
            attempt=0,
            split=TRAIN,
            step=None,
            temperature=job.rollout.temperature,
            last=True,
        )
        for number, name in enumerate(chosen)
        for index in range(job.rollout.rollouts_per_task)
    ]
    left = len(assignments)
    with _terminable():
        try:
            results = await host.exchange(assignments, hold_s=1.0)
            while True:
                for result in results:
                    on_end(result)
                    if result.fatal is not None:
                        raise result.fatal
                left -= len(results)
                if not left:
                    return
                results = await host.exchange((), hold_s=1.0)
        finally:
            await host.close()
            for result in await host.exchange((), hold_s=0.0):
                on_end(result)


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM ends the rollouts in order, as SIGINT does by itself."""
    loop, main = asyncio.get_running_loop(), asyncio.current_task()
    assert main is not None
    loop.add_signal_handler(signal.SIGTERM, main.cancel)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
