"""After a failure: the next plan to try, by the table of remedies, and at last by a model where one is configured.

A change that did not bring the build further is taken back before the next one is tried, so that what works in the end is the first
plan and the changes that helped. A change that a plan's steps hang on is a plan made anew, with the changes that helped before it. What was
asked for by name, a plan or a version of the toolchain, is never replaced.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from podgym.envs.build.catalogue import Catalogue
from podgym.envs.build.errors import BuildError
from podgym.envs.build.manifests import write_manifests
from podgym.envs.build.options import BuildOptions
from podgym.envs.build.plan import MANIFESTS, BuildPlan
from podgym.envs.build.prepare import Prepared
from podgym.envs.build.repair import BuildFailure, Remedy, further, lacks_image, remedies
from podgym.envs.build.repair.anew import Helped, Replanner
from podgym.envs.build.repair.hearing import failing_tests_say
from podgym.envs.build.repair.model import ChatEndpoint, mend
from podgym.envs.build.repair.remedies.remedy import tool_of
from podgym.sandbox import ImageError, SandboxProvider, SandboxSpec

__all__ = ["Mender"]

_HOPELESS = frozenset({"already_passing", "flaky", "leak"})
"""Reasons that no other environment changes."""
_ALONE = "changed-alone"
_FAILING = frozenset({"failing_after", "nothing_collected"})
"""Reasons for which a report is there whose tests may say more than the log."""


@dataclass(frozen=True, slots=True)
class _Failed:
    """A plan and how it failed."""

    prepared: Prepared
    failure: BuildFailure
    spec: SandboxSpec
    helped: tuple[Helped, ...]
    """What the plan has beyond what its request comes to."""
    edited: bool
    """A model changed it, in a way that no plan made anew would have."""

    @property
    def plan(self) -> BuildPlan:
        return self.prepared.plan


class Mender:
    """Remembers what was tried for one build."""

    def __init__(self, options: BuildOptions, provider: SandboxProvider) -> None:
        self._options, self._provider = options, provider
        self._until_s = time.monotonic() + options.repair_timeout_s
        self._tried: dict[str, str] = {}
        self._passed_over: set[str] = set()
        self._absent: frozenset[str] = frozenset()
        self._first: ImageError | BuildError | None = None
        self._origin: Prepared | None = None
        self._replanner: Replanner | None = None
        self._planned_again = False
        self._helped: tuple[Helped, ...] = ()
        """Of the plan that is being tried."""
        self._best: _Failed | None = None
        self._asked = False
        self.model_calls = 0

    @property
    def tried(self) -> tuple[str, ...]:
        """Why each plan after the first was made."""
        return tuple(self._tried.values())

    async def next(self, prepared: Prepared, spec: SandboxSpec, error: ImageError | BuildError) -> Prepared:
        """The same with another plan, where `prepared`'s failed with `error`. Raises the first plan's failure where nothing is left.

        The spec's context then holds what the other plan copies from it.
        """
        self._first, self._origin = self._first or error, self._origin or prepared
        if isinstance(error, BuildError) and error.reason in _HOPELESS:
            raise self._first
        may_go_on = self._repairs_left or self._may_ask or self._may_be_alone(prepared.plan)
        if self._options.plan is not None or time.monotonic() > self._until_s or not may_go_on:
            raise self._first
        failed = _Failed(prepared, await self._failure(prepared, spec, error), spec, self._helped, edited=self._asked)
        if lacks_image(failed.failure, failed.plan):
            self._absent |= {failed.plan.base}
        if self._best is None or further(self._best.plan, self._best.failure, failed.plan, failed.failure):
            self._best = failed
        best = self._best
        if self._repairs_left:
            for remedy in self._remedies(best):
                made = await self._made(best, remedy)
                if made is None:
                    self._passed_over.add(remedy.name)
                    continue
                because = f"{remedy.because} So {made.plan.build_system}." if remedy.without else remedy.because
                self._tried[remedy.name] = because
                await asyncio.to_thread(_lay, spec, prepared, made)
                return made
        await asyncio.to_thread(_lay, spec, prepared, best.prepared)
        plan = await self._asked_for(best) or self._alone(best)
        if plan is None:
            raise self._first
        return replace(best.prepared, plan=plan)

    def _alone(self, failed: _Failed) -> BuildPlan | None:
        """At last, where the suite ran and is of no use: with the changed test files alone, which others may keep from being heard."""
        if failed.failure.stage != "tests" or failed.failure.timed_out or not self._may_be_alone(failed.plan):
            return None
        self._tried[_ALONE] = "The suite as a whole is of no use. So the changed test files alone."
        return failed.plan.model_copy(update={"tests": failed.plan.changed})

    @property
    def _repairs_left(self) -> bool:
        return len(self._tried) < self._options.repairs

    @property
    def _may_ask(self) -> bool:
        return self._options.endpoint is not None and not self._asked

    def _may_be_alone(self, plan: BuildPlan) -> bool:
        return self._options.repairs > 0 and _ALONE not in self._tried and bool(plan.changed) and plan.changed != plan.tests

    def _catalogue(self, failed: _Failed) -> Catalogue:
        """Of the images that may still be tried; of the toolchain that was asked for by name there is no other."""
        catalogue = failed.prepared.request.catalogue.without(*self._absent)
        return catalogue if self._options.toolchain is None else catalogue.only(tool_of(failed.plan), failed.plan.base)

    def _remedies(self, failed: _Failed) -> Iterator[Remedy]:
        tried = frozenset((*self._tried, *self._passed_over))
        return remedies(failed.plan, failed.failure, tried=tried, catalogue=self._catalogue(failed))

    async def _made(self, failed: _Failed, remedy: Remedy) -> Prepared | None:
        """With the remedy's plan; None where it asks for one that cannot be made."""
        if remedy.anew and not failed.edited and (replanner := await self._known_replanner()) is not None:
            request = replace(failed.prepared.request, catalogue=self._catalogue(failed))
            made = await asyncio.to_thread(replanner.plan, remedy, request, failed.helped)
            if made is not None:
                self._helped = made.helped
                return replace(failed.prepared, request=made.request, plan=made.plan)
        if remedy.plan == failed.plan:
            return None
        self._helped = (*failed.helped, Helped(failed.failure, remedy.name))
        return replace(failed.prepared, plan=remedy.plan)

    async def _known_replanner(self) -> Replanner | None:
        origin = self._origin
        assert origin is not None
        if not self._planned_again:
            self._planned_again = True
            self._replanner = await asyncio.to_thread(Replanner.of, origin.module, origin.request, origin.plan)
        return self._replanner

    async def _asked_for(self, failed: _Failed) -> BuildPlan | None:
        """What a model proposes; it is asked once for one build."""
        if self._options.endpoint is None or not self._may_ask:
            return None
        self._asked = True
        mended = await mend(
            failed.plan,
            failed.failure,
            spec=failed.spec,
            provider=self._provider,
            model=ChatEndpoint(self._options.endpoint),
            catalogue=self._catalogue(failed),
            budget=self._options.budget,
        )
        self.model_calls += mended.calls
        if mended.plan is not None:
            self._tried["model"], self._helped = f"a model: {mended.because}", failed.helped
        return mended.plan

    async def _failure(self, prepared: Prepared, spec: SandboxSpec, error: ImageError | BuildError) -> BuildFailure:
        if isinstance(error, ImageError):
            return BuildFailure(stage="image", log=_log(error, prepared.plan), step=error.step, timed_out=error.timed_out)
        log = error.details or error.message
        if error.reason in _FAILING:
            overlay = prepared.overlays["base+tests+fix"]
            log += await failing_tests_say(self._provider, spec, prepared.plan.tests, overlay)
        return BuildFailure(
            stage="tests",
            log=log,
            step=None,
            timed_out=error.reason == "timeout",
            out_of_memory="memory limit was reached" in error.message,
        )


def _log(error: ImageError, plan: BuildPlan) -> str:
    """What was printed, and without a step what the provider says: of a step it repeats the script, which may say anything."""
    if error.step is None:
        return f"{error.log}\n{error.message}"
    said = error.message
    for step in plan.steps:
        said = said.replace(step.run, "")
    return error.log or said


def _lay(spec: SandboxSpec, before: Prepared, after: Prepared) -> None:
    """The manifests of `after` in the context in which those of `before` lie."""
    if spec.context is None or before.plan.manifests == after.plan.manifests:
        return
    archive = Path(spec.context, MANIFESTS)
    archive.unlink(missing_ok=True)
    if after.plan.manifests:
        write_manifests(archive, after.request.base, after.plan.manifests)
