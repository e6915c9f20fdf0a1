"""What is asked of a change to a built task: the sandbox and the grading plan."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

from podgym.envs.build.inspection import Inspection
from podgym.envs.build.plan import ARCHIVE, WORKDIR
from podgym.envs.build.prepare import Prepared
from podgym.envs.build.validate import Validation
from podgym.envs.harbor.layout import ENVIRONMENT, TESTS
from podgym.sandbox import SandboxSpec
from podgym.verifiers import Decoys, GradingPlan, HiddenFile

__all__ = ["grading_plan", "sandbox_spec"]

_HIDDEN = f"{TESTS}/files"
_TIMEOUTS_S = (20.0, 60.0, 180.0, 540.0)
"""The last is what lets a hang be graded, twice and after a run that passed, within `VERIFY_S`."""
_MARGIN = 5.0
"""How much longer than the slowest validating run a grading run may take, up to the last step."""
_LEAST_MARGIN = 1.5
"""Beyond it."""


def sandbox_spec(prepared: Prepared, environment: Path) -> SandboxSpec:
    """The image's recipe with `environment` as its context."""
    recipe = prepared.plan.recipe
    return SandboxSpec(
        image=f"podgym/{recipe.digest(environment)}",
        recipe=recipe,
        context=str(environment.absolute()),
        workdir=WORKDIR,
        env=prepared.plan.env,
        limits=prepared.plan.limits,
    )


def grading_plan(prepared: Prepared, validation: Validation, inspection: Inspection | None, decoys: Decoys | None = None) -> GradingPlan:
    """What validation found, as what is asked of every change."""
    timeout_s = _timeout_s(max(validation.seconds.values(), default=0.0))
    root = prepared.plan.root
    return GradingPlan(
        workdir=WORKDIR,
        base=f"{ENVIRONMENT}/{ARCHIVE}",
        left_over=inspection.left_over if inspection else {},
        tests=tuple(command.model_copy(update={"timeout_s": timeout_s}) for command in validation.commands),
        fail_to_pass=validation.fail_to_pass,
        pass_to_pass=validation.pass_to_pass,
        hidden=tuple(
            HiddenFile(
                path=write.path,
                source=f"{_HIDDEN}/{write.path}",
                executable=write.mode & 0o111 != 0,
                inline=write.path in prepared.inline,
                sha256=hashlib.sha256(write.data).hexdigest(),
            )
            for write in prepared.hidden
        ),
        removed=prepared.removed,
        decoys=decoys,
        editable=tuple(sorted((*prepared.gold.files, *prepared.gold.deleted))),
        gold_parts=prepared.gold_parts,
        clean=validation.clean,
        deterministic=not validation.flaky,
        doctests=prepared.runs_examples,
        import_roots=("", "src", "lib", *(f"{root}{tail}" for tail in ("", "/src") if root)),
    )


def _timeout_s(slowest_s: float) -> float:
    """Steps and not a product, so that a task built twice is one task."""
    last = _TIMEOUTS_S[-1]
    steps = math.ceil(_LEAST_MARGIN * slowest_s / last)
    return next((step for step in _TIMEOUTS_S if step >= _MARGIN * slowest_s), max(1, steps) * last)
