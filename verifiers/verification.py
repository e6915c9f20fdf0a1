"""From an agent's sandbox to a verdict: take the change, look it up, grade it where it is new, remember it."""

from __future__ import annotations

from podgym.sandbox import Sandbox, SandboxProvider, SandboxSpec
from podgym.verifiers.basetree import BaseTree
from podgym.verifiers.cache import VerdictCache
from podgym.verifiers.change import Change, ChangeLimits, take_change
from podgym.verifiers.grading import Files, GradingPlan, grade, graded_part
from podgym.verifiers.verdict import Verdict

__all__ = ["grade_cached", "verify_change"]


async def verify_change(
    sandbox: Sandbox,
    plan: GradingPlan,
    *,
    base: BaseTree,
    spec: SandboxSpec,
    provider: SandboxProvider,
    files: Files,
    task_digest: str = "",
    cache: VerdictCache | None = None,
    limits: ChangeLimits | None = None,
) -> Verdict:
    """The verdict on what the agent left in `sandbox`. Raises `SandboxError` and `PlanError` as `grade` does."""
    tree = base.with_left_over(plan.left_over)
    change = await take_change(sandbox, tree, workdir=plan.workdir, limits=limits or ChangeLimits())
    return await grade_cached(change, plan, spec=spec, provider=provider, files=files, task_digest=task_digest, cache=cache)


async def grade_cached(
    change: Change,
    plan: GradingPlan,
    *,
    spec: SandboxSpec,
    provider: SandboxProvider,
    files: Files,
    task_digest: str = "",
    cache: VerdictCache | None = None,
) -> Verdict:
    """`grade`, unless an equal change to the same task is known already."""
    if cache is None or not plan.deterministic or not task_digest:
        return await grade(change, plan, spec=spec, provider=provider, files=files)
    known = cache.get(task_digest, change.digest)
    if known is not None:
        # What was left out is not part of a change, so equal changes may differ in it.
        dropped = change.dropped if change.refused else graded_part(change, plan).dropped
        return known.model_copy(update={"dropped": dropped})
    verdict = await grade(change, plan, spec=spec, provider=provider, files=files)
    cache.put(task_digest, change.digest, verdict)
    return verdict
