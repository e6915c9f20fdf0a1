"""A built task to its directory: what decides, what is hidden, and what was proven."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from podgym.envs.build.decoying import DECOYS, MadeDecoys
from podgym.envs.build.grading import grading_plan
from podgym.envs.build.inspection import Inspection
from podgym.envs.build.options import BuildOptions
from podgym.envs.build.prepare import Prepared
from podgym.envs.build.validate import Validation
from podgym.envs.code.digest import task_digest
from podgym.envs.code.known import KNOWN, known_verdicts
from podgym.envs.contract import Task
from podgym.envs.harbor import write_task
from podgym.envs.harbor.layout import TESTS
from podgym.sandbox import SandboxSpec
from podgym.verifiers import GradingPlan

__all__ = ["Found", "write_built"]

ENVIRONMENT_NAME = "code"


@dataclass(frozen=True, slots=True)
class Found:
    """What running a task showed; nothing where its tests were not run."""

    validation: Validation | None = None
    inspection: Inspection | None = None
    decoys: MadeDecoys = field(default_factory=MadeDecoys)


def write_built(
    directory: Path, environment: Path, prepared: Prepared, spec: SandboxSpec, found: Found, *, options: BuildOptions
) -> GradingPlan | None:
    """Write the task, with the image's context in `environment`; what is asked of changes to it. Raises `TaskError`, `OSError`."""
    assert prepared.certificate is not None
    tests: dict[str, bytes | Path] = {f"files/{write.path}": write.data for write in prepared.hidden}
    tests |= {f"{DECOYS.removeprefix(f'{TESTS}/')}/{path}": data for path, data in found.decoys.files.items()}
    tests["plan.json"] = prepared.plan.model_dump_json(indent=1).encode() + b"\n"
    tests["certificate.json"] = prepared.certificate.model_dump_json(indent=1).encode() + b"\n"
    plan: GradingPlan | None = None
    grading: dict[str, Any] = {}
    digest = ""
    if found.validation is not None:
        plan = grading_plan(prepared, found.validation, found.inspection, found.decoys.plan)
        grading = plan.model_dump(mode="json")
        digest = task_digest(plan, spec)
        if plan.deterministic:
            known = known_verdicts(plan, digest=digest, gold=prepared.gold, without=found.validation.without)
            tests[KNOWN.removeprefix(f"{TESTS}/")] = known
    task = Task(
        id=directory.name,
        environment=ENVIRONMENT_NAME,
        instruction=prepared.instruction,
        sandbox=spec,
        grading=grading,
        provenance={
            "source": prepared.location,
            "commit": prepared.fix.sha,
            "base": prepared.fix.base,
            "committed": prepared.fix.committed.isoformat(),
            "certificate": prepared.certificate.digest,
        },
        tags=(prepared.plan.language, prepared.plan.build_system, prepared.plan.framework, *options.tags),
        split=options.split,
        digest=digest,
    )
    write_task(
        directory,
        task,
        environment={file.name: file for file in sorted(environment.iterdir())},
        tests=tests,
        solution={"tests.patch": prepared.tests_patch},
        gold_patch=prepared.gold_patch,
        overwrite=options.overwrite,
    )
    return plan
