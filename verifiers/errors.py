"""What can go wrong between a result and its worth. What an agent can cause is scored, not raised."""

from __future__ import annotations

from podgym.errors import PodgymError

__all__ = ["ArchiveError", "PlanError", "ReportError", "VerifierError"]


class VerifierError(PodgymError):
    """The boundary's root."""


class ReportError(VerifierError, ValueError):
    """A test report that cannot be read or must not be trusted."""

    def __init__(self, message: str, *, remedy: str = "Read the log of the test run, and check the format that the task states.") -> None:
        super().__init__(message, remedy=remedy)


class ArchiveError(VerifierError, ValueError):
    """Bytes that are not a whole tar archive, or one beyond its bounds."""

    def __init__(self, message: str, *, remedy: str = "Make it anew with a plain `tar -c`, whole and within the bound.") -> None:
        super().__init__(message, remedy=remedy)


class PlanError(VerifierError, ValueError):
    """Grading data that contradicts itself, or whose files are not there: the task must be rebuilt or restored."""
