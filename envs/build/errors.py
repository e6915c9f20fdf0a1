"""Why a task could not be built: the stage that ended it, and a reason from a closed list."""

from __future__ import annotations

from typing import Literal

from podgym.errors import PodgymError

__all__ = ["BuildError", "Reason", "Stage"]

Stage = Literal["resolve", "split", "plan", "repository", "image", "validate", "certify", "write"]
"""In the order in which a build goes through them."""

Reason = Literal[
    "source",
    "commit_missing",
    "root_commit",
    "merge_commit",
    "empty_commit",
    "no_test_change",
    "only_test_change",
    "unsupported_file",
    "no_instruction",
    "unsupported_language",
    "no_build_file",
    "unsupported_build",
    "no_toolchain",
    "repository",
    "install_failed",
    "image",
    "sandbox",
    "no_report",
    "nothing_collected",
    "timeout",
    "already_passing",
    "failing_after",
    "flaky",
    "gold_fails",
    "leak",
    "exists",
    "write",
]


class BuildError(PodgymError, ValueError):
    """No task came of this commit. `details` holds the end of the log that shows why, where there is one."""

    def __init__(self, message: str, *, stage: Stage, reason: Reason, remedy: str = "", details: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.stage: Stage = stage
        self.reason: Reason = reason
        self.details = details
