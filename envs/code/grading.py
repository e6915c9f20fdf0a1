"""What is asked of a change to a built task: the sandbox, the test command, the grading plan, and the digest of all that."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path

from podgym.envs.code.inspection import Inspection
from podgym.envs.code.options import BuildOptions
from podgym.envs.code.plan import ARCHIVE, WORKDIR
from podgym.envs.code.prepare import Prepared
from podgym.envs.code.validate import Validation
from podgym.envs.harbor.layout import ENVIRONMENT, TESTS
from podgym.sandbox import SandboxSpec
from podgym.verifiers import Decoys, GradingPlan, HiddenFile, TestCommand

__all__ = ["grading_plan", "sandbox_spec", "task_digest", "test_command"]

_HIDDEN = f"{TESTS}/files"
_TIMEOUTS_S = (20.0, 60.0, 180.0, 540.0)
"""The last is what lets a hang be graded, twice and after a run that passed, within `VERIFY_S`."""
_MARGIN = 5.0
"""How much longer than the slowest validating run a grading run may take, up to the last step."""
_LEAST_MARGIN = 1.5
"""Beyond it."""


def sandbox_spec(prepared: Prepared, environment: Path, options: BuildOptions) -> SandboxSpec:
    """The image's recipe with `environment` as its context."""
    recipe = prepared.plan.recipe
    return SandboxSpec(
        image=f"podgym/{recipe.digest(environment)}",
        recipe=recipe,
        context=str(environment.absolute()),
        workdir=WORKDIR,
        env=prepared.plan.env,
        limits=options.limits,
    )


def test_command(prepared: Prepared, options: BuildOptions) -> TestCommand:
    """The whole suite, as the plan runs it."""
    plan = prepared.plan
    return TestCommand(
        framework=plan.framework,
        python=plan.interpreter,
        targets=plan.suite,
        args=plan.test_args,
        env={"PYTHONPATH": ":".join(plan.import_paths)} if plan.import_paths else {},
        cwd=plan.root or ".",
        timeout_s=options.suite_timeout_s,
    )


def grading_plan(prepared: Prepared, validation: Validation, inspection: Inspection | None, decoys: Decoys | None = None) -> GradingPlan:
    """What validation found, as what is asked of every change."""
    command = validation.command.model_copy(update={"timeout_s": _timeout_s(max(validation.seconds.values(), default=0.0))})
    return GradingPlan(
        workdir=WORKDIR,
        base=f"{ENVIRONMENT}/{ARCHIVE}",
        left_over=inspection.left_over if inspection else {},
        tests=(command,),
        fail_to_pass=validation.fail_to_pass,
        pass_to_pass=validation.pass_to_pass,
        hidden=tuple(
            HiddenFile(
                path=write.path,
                source=f"{_HIDDEN}/{write.path}",
                executable=write.mode & 0o111 != 0,
                sha256=hashlib.sha256(write.data).hexdigest(),
            )
            for write in prepared.hidden
        ),
        removed=prepared.removed,
        decoys=decoys,
        editable=tuple(sorted((*prepared.gold.files, *prepared.gold.deleted))),
        gold_parts=prepared.gold_parts,
        deterministic=not validation.flaky,
        import_roots=("", "src", "lib", *(f"{prepared.plan.root}{tail}" for tail in ("", "/src") if prepared.plan.root)),
    )


def _timeout_s(slowest_s: float) -> float:
    """Steps and not a product, so that a task built twice is one task."""
    last = _TIMEOUTS_S[-1]
    steps = math.ceil(_LEAST_MARGIN * slowest_s / last)
    return next((step for step in _TIMEOUTS_S if step >= _MARGIN * slowest_s), max(1, steps) * last)


def task_digest(plan: GradingPlan, spec: SandboxSpec) -> str:
    """SHA-256 over everything that decides what a change is worth: image, sandbox, tests, hidden files, required ids.

    The instruction, labels and the directory's place are not part of it. Raises `ImageError` where the context is gone.
    """
    context = Path(spec.context) if spec.context is not None else None
    sandbox = spec.model_dump(mode="json", exclude={"context", "labels", "lifetime_s", "recipe", "image"})
    parts = {
        "image": spec.recipe.digest(context) if spec.recipe is not None else spec.image,
        "sandbox": sandbox,
        "grading": plan.model_dump(mode="json"),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
