"""After a failure: the next plan to try, by the table of remedies, and at last by a model where one is configured.

A change that did not bring the build further is taken back before the next one is tried, so that what works in the end is the first
plan and the changes that helped.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from podgym.envs.build.errors import BuildError
from podgym.envs.build.options import BuildOptions
from podgym.envs.build.plan import BuildPlan
from podgym.envs.build.prepare import Prepared
from podgym.envs.build.repair import BuildFailure, Remedy, further, remedies
from podgym.envs.build.repair.model import ChatEndpoint, mend
from podgym.sandbox import ImageError, SandboxProvider, SandboxSpec

__all__ = ["Mender"]

_HOPELESS = frozenset({"already_passing", "flaky", "leak"})
"""Reasons that no other environment changes."""


@dataclass(frozen=True, slots=True)
class _Failed:
    """A plan and how it failed."""

    plan: BuildPlan
    failure: BuildFailure
    spec: SandboxSpec


class Mender:
    """Remembers what was tried for one build."""

    def __init__(self, options: BuildOptions, provider: SandboxProvider) -> None:
        self._options, self._provider = options, provider
        self._until_s = time.monotonic() + options.repair_timeout_s
        self._tried: dict[str, str] = {}
        self._first: ImageError | BuildError | None = None
        self._best: _Failed | None = None
        self._asked = False
        self.model_calls = 0

    @property
    def tried(self) -> tuple[str, ...]:
        """Why each plan after the first was made."""
        return tuple(self._tried.values())

    async def next(self, prepared: Prepared, spec: SandboxSpec, error: ImageError | BuildError) -> Prepared:
        """The same with another plan, where `prepared`'s failed with `error`. Raises the first plan's failure where nothing is left."""
        self._first = self._first or error
        if isinstance(error, BuildError) and error.reason in _HOPELESS:
            raise self._first
        failed = _Failed(prepared.plan, _failure(error), spec)
        if self._best is None or further(self._best.plan, self._best.failure, failed.plan, failed.failure):
            self._best = failed
        if self._options.plan is not None or time.monotonic() > self._until_s:
            raise self._first
        if len(self._tried) < self._options.repairs:
            for remedy in self._remedies(self._best):
                self._tried[remedy.name] = remedy.because
                return replace(prepared, plan=remedy.plan)
        plan = await self._asked_for(self._best)
        if plan is None:
            raise self._first
        return replace(prepared, plan=plan)

    def _remedies(self, failed: _Failed) -> Iterator[Remedy]:
        return remedies(failed.plan, failed.failure, tried=frozenset(self._tried), catalogue=self._options.catalogue)

    async def _asked_for(self, failed: _Failed) -> BuildPlan | None:
        """What a model proposes; it is asked once for one build."""
        if self._options.endpoint is None or self._asked:
            return None
        self._asked = True
        mended = await mend(
            failed.plan,
            failed.failure,
            spec=failed.spec,
            provider=self._provider,
            model=ChatEndpoint(self._options.endpoint),
            catalogue=self._options.catalogue,
            budget=self._options.budget,
        )
        self.model_calls += mended.calls
        if mended.plan is not None:
            self._tried["model"] = f"a model: {mended.because}"
        return mended.plan


def _failure(error: ImageError | BuildError) -> BuildFailure:
    if isinstance(error, ImageError):
        return BuildFailure(stage="image", log=error.log or error.message, step=error.step, timed_out=error.timed_out)
    return BuildFailure(
        stage="tests",
        log=error.details or error.message,
        step=None,
        timed_out=error.reason == "timeout",
        out_of_memory="memory limit was reached" in error.message,
    )
