"""The demonstration at its smallest, whole: real histories, real builds, a real model, real rollouts on Ray."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest

from podgym.console.demo.demonstrations import draw_edit
from podgym.console.demo.projects import draw_project
from podgym.console.demo.workshop import content_key, draw_task_sets
from podgym.envs.harbor import iter_tasks
from podgym.traces.events import Prompt, Sampled, ToolReturned, Verified
from podgym.traces.file import read_trace
from podgym.traces.store import RunStore
from podgym.traces.trajectory import trajectories

torch = pytest.importorskip("torch", reason="needs the extra `train`")
pytestmark = pytest.mark.train


def test_no_set_of_tasks_repeats_another_by_content() -> None:
    sets = draw_task_sets(7, held_out=26, train=40, demonstrations=100)
    keys = [
        {content_key(fix) for index in indices for fix in draw_project(7, index).fixes}
        for indices in (sets.held_out, sets.train, sets.demonstrations)
    ]
    assert len(sets.held_out) * 8 >= 200
    assert not keys[0] & keys[1]
    assert not keys[0] & keys[2]
    assert not keys[1] & keys[2]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, object], str]:
    """Runs once; the directory, the summary as printed, and what was said."""
    import contextlib
    import io

    from podgym.console.demo.run import run_demo

    directory = tmp_path_factory.mktemp("runs")
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        assert run_demo(seed=3, directory=directory, quick=True, as_json=True) == 0
    return directory, json.loads(out.getvalue()), err.getvalue()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_demo_runs_from_histories_to_the_summary(demo: tuple[Path, dict[str, object], str]) -> None:
    directory, summary, said = demo
    assert summary["status"] == "finished"
    for key in (
        "solve_rate_before",
        "solve_rate_after",
        "steps",
        "rollouts",
        "unscored",
        "seconds",
        "gap_with_replay",
        "gap_without_replay",
    ):
        assert key in summary
    run = RunStore(directory).open(str(summary["run_id"]))
    assert run.summary() == summary
    assert "Held-out solve rate" in said
    assert len(list(iter_tasks(directory / ".demo-3" / "tasks" / "train"))) == 16
    assert [each.id for each in RunStore(directory).runs()] == [run.id]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_trajectories_of_the_demo_are_what_the_sampler_saw(demo: tuple[Path, dict[str, object], str]) -> None:
    directory, summary, _ = demo
    run = RunStore(directory).open(str(summary["run_id"]))
    judged = 0
    for path in run.trace_paths():
        trace = read_trace(path)
        if not trace.events(Verified):
            continue
        judged += 1
        (trajectory,) = trajectories(trace)
        parts, sampled = [], []
        for record in trace:
            if isinstance(record.event, (Prompt, Sampled, ToolReturned)) and "tokens" in record.arrays:
                parts.append(record.arrays["tokens"])
                sampled.append(np.full(len(parts[-1]), isinstance(record.event, Sampled)))
        whole, mask = np.concatenate(parts), np.concatenate(sampled)
        length = len(trajectory.tokens)
        assert np.array_equal(trajectory.tokens, whole[:length])
        assert not mask[length:].any()
        assert np.array_equal(trajectory.loss_mask, mask[:length])
        assert (trajectory.logprobs[trajectory.loss_mask] <= 0).all()
        assert (trajectory.versions[trajectory.loss_mask] >= 0).all()
        assert trajectory.route_mask[:-1].all()
    assert judged >= 8


def test_demonstrations_are_tokens_of_real_rollouts(tmp_path: Path) -> None:
    """What the warm start imitates is what a rollout of the same turns looks like, token by token."""
    import asyncio

    from podgym.console.demo.projects import write_history
    from podgym.console.demo.teacher import render
    from podgym.envs.build import build_task
    from podgym.envs.code import CodeEnvironment
    from podgym.policy.scripted import ScriptedPolicy
    from podgym.policy.tokenizer import ByteTokenizer
    from podgym.rollout.attempt import run_attempt
    from podgym.rollout.dialects import CompactDialect
    from podgym.rollout.limits import RolloutLimits
    from podgym.sandbox.local import LocalConfig, LocalProvider
    from podgym.traces import Trace
    from podgym.traces.events import Created

    project = write_history(draw_project(5, 0), tmp_path / "project.git")
    fix = project.fixes[0]
    tokenizer = ByteTokenizer()
    dialect = CompactDialect(tokenizer)
    old, new = draw_edit(random.Random(0), fix, right=1.0)
    turns = [f"bash cat {fix.module.path}", f"str_replace {fix.module.path}\n{old}\n=>\n{new}", "finish"]

    async def play() -> tuple[Trace, float | None]:
        provider = LocalProvider(LocalConfig(cache=tmp_path / "cache"))
        try:
            report = await build_task(
                tmp_path / "project.git", fix.commit, tmp_path / "tasks", provider=provider, issue=fix.issue, name="t"
            )
            assert report.status == "validated", report
            (task,) = CodeEnvironment(tmp_path / "tasks").tasks()
            trace = Trace()
            policy = ScriptedPolicy({"t": turns}, tokenizer=tokenizer, end=tokenizer.special["<end>"])
            created = Created(rollout_id="r", run_id="run", group_id="g", task_id="t", environment="code")
            ended = await run_attempt(
                task=task,
                environment=CodeEnvironment(tmp_path / "tasks"),
                provider=provider,
                policy=policy,
                dialect=dialect,
                limits=RolloutLimits(),
                created=created,
                trace=trace,
                shell="sh",
            )
            return trace, ended.verdict.reward
        finally:
            await provider.close()

    trace, reward = asyncio.run(play())
    assert reward == 1.0
    (trajectory,) = trajectories(trace)
    demonstration = render(dialect, fix, old, new)
    assert tokenizer.decode(trajectory.tokens.tolist()) == tokenizer.decode(demonstration.tokens.tolist())
    assert np.array_equal(trajectory.tokens, demonstration.tokens)
    assert np.array_equal(trajectory.loss_mask, demonstration.loss_mask)
