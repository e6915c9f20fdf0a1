"""How large the demonstration is: what two ordinary cores do in a few minutes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from podgym.rollout.job import JobConfig, parse_job

__all__ = ["QUICK", "Settings", "make_job"]


@dataclass(frozen=True, slots=True)
class Settings:
    """Eight tasks come of each project."""

    held_out_projects: int = 26
    train_projects: int = 40
    demonstration_projects: int = 500
    warm_steps: int = 1600
    warm_batch: int = 32
    steps: int = 60
    goal_solve_rate: float = 0.9
    groups_per_step: int = 12
    group_size: int = 8
    concurrency: int = 96
    trainer: dict[str, Any] = field(
        default_factory=lambda: {"learning_rate": 7e-4, "clip_high": 0.28, "entropy_bonus": 0.003, "gap_every": 5}
    )


QUICK = Settings(
    held_out_projects=1,
    train_projects=2,
    demonstration_projects=20,
    warm_steps=12,
    steps=2,
    groups_per_step=2,
    group_size=4,
    concurrency=16,
)
"""Everything happens and nothing is learned: for tests."""


def make_job(settings: Settings, *, seed: int, directory: Path, tasks: Path, checkpoint: Path) -> JobConfig:
    """The job that the demonstration submits; its file is kept with the run."""
    environment = {"type": "code", "options": {"tasks": str(tasks / "train")}}
    return parse_job(
        {
            "run": {"name": "demo", "seed": seed, "directory": str(directory), "checkpoint_every_steps": 25},
            "environment": environment,
            "evaluation": {"options": {"tasks": str(tasks / "held-out")}, "rollouts": 1, "temperature": 1.0},
            "sandbox": {"provider": "local", "concurrency": settings.concurrency, "workers": 1},
            "policy": {
                "kind": "transformers",
                "checkpoint": str(checkpoint),
                "options": {
                    "dtype": "bfloat16",
                    "batch": 128,
                    "slots": 256,
                    "context": 192,
                    "linger_s": 0.02,
                    "linger_rows": min(48, settings.concurrency // 2),
                },
            },
            "rollout": {
                "dialect": "compact",
                "shell": "sh",
                "limits": {"turns": 6, "tokens": 192, "turn_tokens": 40, "rollout_s": 120, "command_s": 20, "invalid_calls": 2},
            },
            "train": {
                "steps": settings.steps,
                "goal_solve_rate": settings.goal_solve_rate,
                "groups_per_step": settings.groups_per_step,
                "group_size": settings.group_size,
                "min_share": 0.03,
                "options": settings.trainer,
            },
        },
        origin="the demonstration's job",
    )
