"""After a failure: the next plan to try, by the table of remedies."""

from __future__ import annotations

from dataclasses import replace

from podgym.envs.build.errors import BuildError
from podgym.envs.build.options import BuildOptions
from podgym.envs.build.prepare import Prepared
from podgym.envs.build.repair import BuildFailure, remedies
from podgym.sandbox import ImageError

__all__ = ["Mender"]

_HOPELESS = frozenset({"already_passing", "flaky", "leak"})
"""Reasons that no other environment changes."""


class Mender:
    """Remembers what was tried for one build."""

    def __init__(self, prepared: Prepared, options: BuildOptions) -> None:
        self._options = options
        self._steps = len(prepared.plan.dependencies)
        self._tried: dict[str, str] = {}
        self._first: ImageError | BuildError | None = None

    @property
    def tried(self) -> tuple[str, ...]:
        """Why each plan after the first was made."""
        return tuple(self._tried.values())

    def next(self, prepared: Prepared, error: ImageError | BuildError) -> Prepared:
        """The same with another plan. Raises the first plan's failure where nothing is left to try."""
        self._first = self._first or error
        if isinstance(error, BuildError) and error.reason in _HOPELESS:
            raise self._first
        if len(self._tried) < self._options.repairs:
            failure = _failure(error)
            for remedy in remedies(prepared.plan, failure, tried=frozenset(self._tried), catalogue=self._options.catalogue):
                self._tried[remedy.name] = remedy.because
                return replace(prepared, plan=remedy.plan)
        raise self._first


def _failure(error: ImageError | BuildError) -> BuildFailure:
    if isinstance(error, ImageError):
        return BuildFailure(stage="image", log=error.log or error.message, step=error.step, timed_out=error.timed_out, out_of_memory=False)
    return BuildFailure(
        stage="tests",
        log=error.details or error.message,
        step=None,
        timed_out=error.reason == "timeout",
        out_of_memory="memory limit was reached" in error.message,
    )
