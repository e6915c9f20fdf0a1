"""Counts of a run: since the last step, and since its start. The latter are saved, so that a resumed run goes on counting."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence

from pydantic import BaseModel, Field

from podgym.rollout.report import GAP_WITH_REPLAY, GAP_WITHOUT_REPLAY, HackTotals, StepReport
from podgym.rollout.result import RolloutResult
from podgym.rollout.schedule import EvaluationReport, GroupReport, Settled
from podgym.verifiers.monitor import find_jump

__all__ = ["Evaluated", "Tally", "Totals", "solve_rate"]

SOLVED = 1.0 - 1e-9
MOST_NAMED = 100
MOST_ALERTS = 50
PAST_STEPS = 16
LEAST_JUMP = {"solve rate": 0.15, "rate of rollouts with attempts to cheat": 0.05}
"""Smaller rises are never worth an alert."""
_log = logging.getLogger(__name__)


class Evaluated(BaseModel):
    """A taken evaluation."""

    version: int
    solve_rate: float | None
    reward: float | None
    rollouts: int
    unscored: int


class Totals(BaseModel):
    """Since the run's start."""

    rollouts: int = 0
    scored: int = 0
    solved: int = 0
    sampled_tokens: int = 0
    cached: int = 0
    masked: int = 0
    lost: int = 0
    lost_rollouts: list[str] = Field(default_factory=list)
    unscored: dict[str, int] = Field(default_factory=dict)
    seconds: float = 0.0
    resumed: int = 0
    last_solve_rate: float | None = None
    solve_rates: list[float] = Field(default_factory=list)
    """Of each step; that of a step without a reward is the one before."""
    gaps: dict[str, tuple[float, int]] = Field(default_factory=dict)
    """Sum and count."""
    evaluations: dict[str, Evaluated] = Field(default_factory=dict)
    hacks: HackTotals = Field(default_factory=HackTotals)
    alerts: list[str] = Field(default_factory=list)
    past: dict[str, list[float]] = Field(default_factory=dict)
    """Rates of the last steps, by what they are rates of."""

    def gap(self, name: str) -> float | None:
        """Mean over the steps that measured it."""
        total, count = self.gaps.get(name, (0.0, 0))
        return total / count if count else None


def solve_rate(rewards: Sequence[float]) -> float | None:
    """Share of rewards of at least 1; None of none."""
    return sum(reward >= SOLVED for reward in rewards) / len(rewards) if rewards else None


class Tally:
    """Fed by the driver with every outcome."""

    def __init__(self, totals: Totals | None = None) -> None:
        self.totals = totals or Totals()
        self._reset()

    def _reset(self) -> None:
        self._rewards: list[float] = []
        self._rollouts = self._turns = self._tokens = self._sandboxes = self._cached = 0
        self._unscored: Counter[str] = Counter()
        self._skipped: Counter[str] = Counter()
        self._hacks = HackTotals()
        self._groups: set[str] = set()

    def ended(self, result: RolloutResult, settled: Settled, *, training: bool) -> None:
        """One try. The run's totals count every one, the step's numbers those of training only."""
        totals = self.totals
        if settled.fate == "masked":
            totals.masked += 1
        if result.status == "unscored":
            totals.unscored[result.reason] = totals.unscored.get(result.reason, 0) + 1
        summary = result.summary
        if summary is not None:
            totals.sampled_tokens += summary.sampled_tokens
            totals.cached += summary.cached
            totals.hacks.add(summary.attempt_rows)
        if result.status != "cancelled":
            totals.rollouts += 1
        if result.status == "scored" and result.reward is not None:
            totals.scored += 1
            totals.solved += result.reward >= SOLVED
        if training:
            self._trained(result)
        if settled.group is not None:
            self.group(settled.group)

    def _trained(self, result: RolloutResult) -> None:
        summary = result.summary
        if result.status == "unscored":
            self._unscored[result.reason] += 1
        if summary is not None:
            self._sandboxes += summary.provider != ""
            self._tokens += summary.sampled_tokens
            self._cached += summary.cached
        if result.status == "scored" and result.reward is not None:
            self._rewards.append(result.reward)
            self._rollouts += 1
            if summary is not None:
                self._turns += summary.turns
                self._hacks.add(summary.attempt_rows)
                self._groups.add(summary.group_id)

    def group(self, group: GroupReport) -> None:
        """A complete group."""
        if group.fate in {"uninformative", "unscored", "stale"}:
            self._skipped[group.fate] += 1

    def lost(self, rollouts: Sequence[str]) -> None:
        """Tries that died with a process."""
        self.totals.lost += len(rollouts)
        self.totals.lost_rollouts = [*self.totals.lost_rollouts, *rollouts][-MOST_NAMED:]

    def evaluated(self, report: EvaluationReport) -> Evaluated:
        """Keep an evaluation under its name."""
        rewards = report.rewards
        evaluated = Evaluated(
            version=report.version,
            solve_rate=solve_rate(rewards),
            reward=sum(rewards) / len(rewards) if rewards else None,
            rollouts=len(rewards) + report.unscored,
            unscored=report.unscored,
        )
        self.totals.evaluations[report.name] = evaluated
        return evaluated

    def forget_after(self, version: int, step: int) -> None:
        """What weights that were lost have shown: evaluations after `version`, steps after `step`."""
        del self.totals.solve_rates[step:]
        kept = {name: item for name, item in self.totals.evaluations.items() if item.version <= version}
        self.totals.evaluations = kept

    def step(
        self,
        *,
        step: int,
        steps: int,
        version: int,
        seconds: float,
        groups: Sequence[GroupReport],
        trainer: Mapping[str, float],
        trained_version: int,
    ) -> StepReport:
        """Close the step; `trained_version` is what the weights were when it began to train."""
        scored = len(self._rewards)
        report = StepReport(
            step=step,
            steps=steps,
            version=version,
            seconds=seconds,
            rollouts=self._rollouts,
            solve_rate=solve_rate(self._rewards) or 0.0,
            reward=sum(self._rewards) / scored if scored else 0.0,
            turns=self._turns / scored if scored else 0.0,
            tokens_per_s=self._tokens / seconds if seconds else 0.0,
            sandboxes_per_s=self._sandboxes / seconds if seconds else 0.0,
            unscored=dict(self._unscored),
            cached=self._cached,
            groups=len(groups),
            skipped=dict(self._skipped),
            staleness=sum(trained_version - group.oldest_version for group in groups) / len(groups) if groups else 0.0,
            trainer=dict(trainer),
            hacks=self._hacks,
            alerts=self._alerts(step),
        )
        for name in (GAP_WITH_REPLAY, GAP_WITHOUT_REPLAY):
            if name in trainer:
                total, count = self.totals.gaps.get(name, (0.0, 0))
                self.totals.gaps[name] = (total + trainer[name], count + 1)
        if scored:
            self.totals.last_solve_rate = report.solve_rate
        self.totals.solve_rates.append(self.totals.last_solve_rate or 0.0)
        self._reset()
        return report

    def _alerts(self, step: int) -> list[str]:
        """What stands out of the steps before; each rate joins the past."""
        found: list[str] = []
        if not self._rewards:
            return found
        rates = (solve_rate(self._rewards) or 0.0, self._hacks.rollouts / len(self._rewards))
        for (name, least), rate in zip(LEAST_JUMP.items(), rates, strict=True):
            past = self.totals.past.get(name, [])
            if jump := find_jump(past, rate, groups=len(self._groups), least=least):
                found.append(f"step {step}: the {name} rose to {jump.value:.2f} from {jump.before:.2f}; noise explains {jump.bound:.2f}")
                _log.warning("Sudden rise at %s. `podgym rollout list --hacks` shows what it is made of.", found[-1])
            self.totals.past[name] = [*past, rate][-PAST_STEPS:]
        self.totals.alerts = [*self.totals.alerts, *found][-MOST_ALERTS:]
        return found
