"""What can go wrong between podgym and a sandbox; a command that ran and failed is none of these."""

from __future__ import annotations

from typing import Literal

from podgym.errors import PodgymError

__all__ = ["ImageError", "IsolationError", "LostReason", "QuotaError", "SandboxError", "SandboxLost", "TransportError"]

LostReason = Literal["closed", "evicted", "killed", "node", "oom", "replaced"]


class SandboxError(PodgymError):
    """The boundary's root. All of them are infrastructure failures: a rollout that meets one is retried or masked."""


class SandboxLost(SandboxError, ConnectionError):
    """The sandbox is gone, and with it what was in flight."""

    def __init__(self, message: str, *, reason: LostReason, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.reason: LostReason = reason


class TransportError(SandboxError, ConnectionError):
    """The sandbox may be well, but what it said could not be had; the command is not known to have run."""


class ImageError(SandboxError, ValueError):
    """The image is not there, cannot be built, or lacks what every sandbox needs (a POSIX shell).

    `step` is the number of the recipe's failing step (`before` and `after` together, from 0), None for its packages and its base;
    `log` the end of what it printed, at most 64 KiB.
    """

    def __init__(self, message: str, *, remedy: str = "", step: int | None = None, log: str = "", timed_out: bool = False) -> None:
        super().__init__(message, remedy=remedy)
        self.step = step
        self.log = log
        self.timed_out = timed_out


class IsolationError(SandboxError, PermissionError):
    """This machine cannot give the isolation that the configuration demands."""


class QuotaError(SandboxError, BlockingIOError):
    """A limit on sandboxes, memory, disk or processes refused the request; later or smaller may succeed."""
