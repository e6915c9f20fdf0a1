"""What a run tells: one report per training step, a summary at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from pydantic import BaseModel, Field

from podgym.traces.summary import SIGNAL, AttemptSummary

__all__ = ["GAP_WITHOUT_REPLAY", "GAP_WITH_REPLAY", "HackTotals", "RunSummary", "StepReport"]

GAP_WITH_REPLAY = "gap_with_replay"
"""Name of the trainer's measurement: mean absolute difference of log-probabilities, trainer to sampler, experts replayed."""
GAP_WITHOUT_REPLAY = "gap_without_replay"
"""The same on the same trajectories, each side choosing its own experts."""


class HackTotals(BaseModel):
    """What the hack monitor found."""

    attempts: int = 0
    succeeded: int = 0
    """Attempts that seem to have worked."""
    rollouts: int = 0
    """With at least one attempt."""
    families: dict[str, int] = Field(default_factory=dict)
    """Attempts of each."""
    signals: int = 0
    """Outcomes that no honest rollout has: full marks for no change, the known fix without reading."""

    def add(self, found: Sequence[AttemptSummary]) -> None:
        """Count one rollout."""
        attempts = [one for one in found if one.family != SIGNAL]
        self.attempts += len(attempts)
        self.succeeded += sum(one.succeeded is True for one in attempts)
        self.rollouts += bool(attempts)
        self.signals += len(found) - len(attempts)
        for one in attempts:
            self.families[one.family] = self.families.get(one.family, 0) + 1


@dataclass(frozen=True, slots=True)
class StepReport:
    """One training step. Rates count all training rollouts that ended since the step before, trained on or not."""

    step: int
    """From 1."""
    steps: int
    version: int
    """Of the weights after the step."""
    seconds: float
    rollouts: int
    solve_rate: float
    """Share of scored rollouts with a reward of at least 1."""
    reward: float
    """Mean."""
    turns: float
    """Mean."""
    tokens_per_s: float
    """Sampled tokens."""
    sandboxes_per_s: float
    unscored: Mapping[str, int]
    """By reason; each try of a rollout counts."""
    cached: int
    """Verdicts that came from the cache."""
    groups: int
    """Trained on."""
    skipped: Mapping[str, int]
    """Complete groups that were not: `uninformative`, `unscored`, `stale`."""
    staleness: float
    """Mean over the groups: versions between a group's oldest token and the trainer."""
    trainer: Mapping[str, float] = field(default_factory=dict)
    """The trainer's measurements."""
    hacks: HackTotals = field(default_factory=HackTotals)
    """Attempts to cheat in the rollouts that `rollouts` counts."""
    alerts: Sequence[str] = ()
    """What rose too suddenly, in words."""

    @property
    def gap_with_replay(self) -> float | None:
        """See `GAP_WITH_REPLAY`; None where it was not measured."""
        return self.trainer.get(GAP_WITH_REPLAY)

    @property
    def gap_without_replay(self) -> float | None:
        """See `GAP_WITHOUT_REPLAY`; None where it was not measured."""
        return self.trainer.get(GAP_WITHOUT_REPLAY)

    def metrics(self) -> dict[str, float]:
        """As the index keeps them."""
        plain = {
            name: float(getattr(self, name))
            for name in (
                "seconds", "rollouts", "solve_rate", "reward", "turns", "tokens_per_s", "sandboxes_per_s", "cached", "groups", "staleness",
                "version",
            )
        }  # fmt: skip
        plain |= {f"unscored.{reason}": float(count) for reason, count in self.unscored.items()}
        plain["unscored"] = float(sum(self.unscored.values()))
        plain |= {f"skipped.{fate}": float(count) for fate, count in self.skipped.items()}
        plain |= {f"trainer.{name}": float(value) for name, value in self.trainer.items() if name != "version"}
        plain |= {f"hack.{name}": float(count) for name, count in self.hacks.families.items()}
        plain |= {
            "hack.attempts": float(self.hacks.attempts),
            "hack.succeeded": float(self.hacks.succeeded),
            "hack.rollouts": float(self.hacks.rollouts),
            "hack.rate": self.hacks.rollouts / self.rollouts if self.rollouts else 0.0,
            "hack.signals": float(self.hacks.signals),
            "hack.alerts": float(len(self.alerts)),
        }
        return plain


@dataclass(frozen=True, slots=True)
class RunSummary:
    """`summary.json`."""

    run_id: str
    status: str
    """`finished`, `stopped` or `failed`."""
    steps: int
    rollouts: int
    """Tries that ended, evaluation included."""
    unscored: int
    """Tries that ended without a verdict."""
    unscored_by_reason: Mapping[str, int]
    masked: int
    """Rollouts that were given up after their last try."""
    lost: int
    """Tries that were in flight in a process that died."""
    seconds: float
    """Over all of the run's lives."""
    solve_rate: float | None
    """Of all scored rollouts of a job that only makes rollouts; of the last step otherwise."""
    solve_rate_before: float | None
    solve_rate_after: float | None
    evaluations: Mapping[str, float]
    """Solve rate by name."""
    gap_with_replay: float | None
    """Mean over the steps."""
    gap_without_replay: float | None
    sampled_tokens: int
    cached_verdicts: int
    resumed: int
    """How often the run was taken up again."""
    hacks: HackTotals = field(default_factory=HackTotals)
    """Attempts to cheat, of all tries."""
    alerts: Sequence[str] = ()
    """What rose too suddenly and when; the last ones."""
    lost_rollouts: tuple[str, ...] = ()
    """Ids of the tries that the last resume or crash lost; at most 100."""
    error: str = ""

    def as_dict(self) -> dict[str, Any]:
        """JSON-serialisable."""
        return {**asdict(self), "hacks": self.hacks.model_dump(), "alerts": list(self.alerts)}
