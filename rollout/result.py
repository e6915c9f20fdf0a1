"""How one assignment ended, as its worker tells the driver."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from typing import Literal

from podgym.traces import Trajectory
from podgym.traces.summary import RolloutSummary

__all__ = ["RolloutResult", "pack_trajectories", "unpack_trajectories"]


@dataclass(frozen=True, slots=True)
class RolloutResult:
    """Small, but for `trajectories`, which the driver hands on unopened."""

    rollout_id: str
    status: Literal["scored", "unscored", "cancelled"]
    reward: float | None = None
    reason: str = ""
    """Typed reason of an unscored one."""
    message: str = ""
    tokens: int = 0
    """Of the whole sequence."""
    oldest_version: int = 0
    newest_version: int = 0
    trajectories: bytes = b""
    """Packed; empty for a rollout that is not trained on."""
    trainable: bool = True
    """False for a training rollout with a reward that takes no part: it was masked, or nothing was sampled."""
    summary: RolloutSummary | None = None
    """The rollout's rows of the index; None where it never began."""
    fatal: BaseException | None = field(default=None)
    """An error that ends the whole run: a full disk, or a defect of podgym or of a plug-in."""


def pack_trajectories(trajectories: list[Trajectory]) -> bytes:
    """One bytes object."""
    return pickle.dumps(trajectories, protocol=5)


def unpack_trajectories(payload: bytes) -> list[Trajectory]:
    """Inverse of `pack_trajectories`."""
    trajectories: list[Trajectory] = pickle.loads(payload)
    return trajectories
