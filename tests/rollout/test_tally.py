from __future__ import annotations

from dataclasses import replace
from typing import Any

from podgym.rollout.result import RolloutResult
from podgym.rollout.schedule import Settled
from podgym.rollout.tally import Tally
from podgym.traces import Trace
from podgym.traces.events import Closed, Created
from podgym.traces.summary import summarise


def ended(tally: Tally, *, training: bool, status: Any = "scored") -> None:
    """A rollout of two turns and ten tokens whose verdict came from the cache, in a sandbox."""
    trace = Trace()
    trace.append(Created(rollout_id="r", run_id="run", group_id="g", task_id="t", environment="e"))
    trace.append(Closed(stop="finished", turns=2, sampled_tokens=10, seconds=1))
    summary = replace(summarise(trace), turns=2, sampled_tokens=10, cached=status == "scored", provider="local")
    reward, reason = (1.0, "") if status == "scored" else (None, "transport")
    tally.ended(RolloutResult("r", status, reward=reward, reason=reason, summary=summary), Settled("kept", None), training=training)


def step(tally: Tally) -> Any:
    return tally.step(step=1, steps=2, version=1, seconds=2.0, groups=(), trainer={}, trained_version=0)


def test_a_step_counts_training_and_the_run_counts_everything():
    tally = Tally()
    for training in (True, False, False):
        ended(tally, training=training)
        ended(tally, training=training, status="unscored")
    report = step(tally)
    assert (report.rollouts, report.cached, dict(report.unscored)) == (1, 1, {"transport": 1})
    assert (report.tokens_per_s, report.sandboxes_per_s, report.turns, report.solve_rate) == (10.0, 1.0, 2.0, 1.0)
    totals = tally.totals
    assert (totals.rollouts, totals.scored, totals.cached, totals.sampled_tokens) == (6, 3, 3, 60)
    assert totals.unscored == {"transport": 3}


def test_a_step_in_which_only_an_evaluation_ended_reports_nothing():
    tally = Tally()
    ended(tally, training=False)
    ended(tally, training=False, status="unscored")
    report = step(tally)
    assert (report.rollouts, report.cached, report.tokens_per_s, report.sandboxes_per_s) == (0, 0, 0.0, 0.0)
    assert report.unscored == {}
