"""A mutant's task: its own image, the proof that it works in there, and the directory.

The image that mutations are tried on was built from the unchanged project, so what its build left (classes, objects, bytecode, caches)
holds the answer, and no layer above would take it out of the image. The task's own image shares the toolchain, the packages and the
dependencies with it, and from the repository up it is made from the mutated tree alone.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from podgym.envs.build.decoying import MadeDecoys, make_decoys
from podgym.envs.build.errors import BuildError
from podgym.envs.build.grading import sandbox_spec
from podgym.envs.build.inspection import Inspection, inspect_image
from podgym.envs.build.mutation.host import lay_out
from podgym.envs.build.mutation.judging import Baseline, failing_of
from podgym.envs.build.mutation.saying import said_in, talkative
from podgym.envs.build.mutation.taking import Taken
from podgym.envs.build.options import BuildOptions
from podgym.envs.build.plan import ARCHIVE
from podgym.envs.build.prepare import Prepared
from podgym.envs.build.report import BuildReport, TestCounts
from podgym.envs.build.running import run_commands
from podgym.envs.build.states import Overlay
from podgym.envs.build.validate import Validation
from podgym.envs.build.writing import Found, write_built
from podgym.sandbox import SandboxProvider, SandboxSpec
from podgym.verifiers import TestCommand, TestReport
from podgym.verifiers.basetree import blob_id

__all__ = ["Finisher", "Proven"]

_TAG: Final = "synthesised"
_LOG_CHARACTERS: Final = 4000
_LOST: Final = 0.02
"""Share of the steady tests that may fail with the fix in the task's own image; they are set aside then."""


@dataclass(frozen=True, slots=True)
class Proven:
    """A task that works, not written yet."""

    taken: Taken
    environment: Path
    spec: SandboxSpec
    validation: Validation
    found: Found
    log: str
    """Of the run without the fix."""


class Finisher:
    """Builds the images of mutants and writes their tasks."""

    def __init__(self, provider: SandboxProvider, out_dir: Path, options: BuildOptions, commands: Sequence[TestCommand]) -> None:
        self._provider, self._out_dir, self._options, self._commands = provider, out_dir, options, tuple(commands)

    async def prove(self, taken: Taken, failing: Sequence[str], baseline: Baseline, staging: Path) -> Proven:
        """Run the tests without and with the fix in the task's own image.

        Raises `BuildError`, `RepositoryError`, `CertificateError`, `SandboxError`.
        """
        environment = Path(tempfile.mkdtemp(dir=staging))
        certificate = await asyncio.to_thread(lay_out, taken.planted, taken.prepared, environment, self._options)
        prepared = replace(taken.prepared, certificate=certificate)
        spec = sandbox_spec(prepared, environment)
        overlays = prepared.overlays
        before = await run_commands(self._provider, spec, [*map(talkative, self._commands)], overlays["base+tests"])
        after = await run_commands(self._provider, spec, self._commands, overlays["base+tests+fix"])
        validation = _validated(before, after, failing, baseline, self._commands)
        inspection = None
        if prepared.plan.steps:
            archive = environment / ARCHIVE
            inspection = await inspect_image(self._provider, spec, archive=archive, prepared=prepared, audit=self._options.audit)
            _must_not_hold(inspection, prepared)
        decoys = await self._decoys(prepared, spec, validation) if self._options.decoys else MadeDecoys()
        found = Found(validation, inspection, decoys)
        return Proven(replace(taken, prepared=prepared), environment, spec, validation, found, said_in(before.log))

    async def _decoys(self, prepared: Prepared, spec: SandboxSpec, validation: Validation) -> MadeDecoys:
        return await make_decoys(
            self._provider,
            spec,
            validation.commands,
            tests=Overlay(prepared.hidden, prepared.removed),
            fix=Overlay(prepared.gold.writes(), prepared.gold.deleted),
            inline=prepared.inline,
            fail_to_pass=validation.fail_to_pass,
            pass_to_pass=validation.pass_to_pass,
        )

    def write(self, proven: Proven, name: str, instruction: str, notes: Sequence[str], *, model_calls: int) -> BuildReport:
        """Write the task. Raises `TaskError`, `OSError`."""
        directory = self._out_dir / name
        prepared = replace(proven.taken.prepared, instruction=instruction)
        options = self._options.model_copy(update={"tags": (_TAG, *self._options.tags)})
        write_built(directory, proven.environment, prepared, proven.spec, proven.found, options=options)
        return _report(proven, directory, notes, model_calls)


def _must_not_hold(inspection: Inspection, prepared: Prepared) -> None:
    """Raise where the build left a copy of an original in the work tree; its one right line may be too short to be searched for."""
    originals = {blob_id(file.data) for file in prepared.gold.files.values()}
    for path, told in inspection.left_over.items():
        if told.rpartition(" ")[2] in originals:
            raise BuildError(
                f"The build left {path!r} in the work tree, which is the file as it was before the mutation.",
                stage="certify",
                reason="leak",
                remedy="Edit the plan so that the build copies no source.",
            )


def _validated(
    before: TestReport, after: TestReport, failing: Sequence[str], baseline: Baseline, commands: tuple[TestCommand, ...]
) -> Validation:
    """What both runs agree on with the ones before. Raises `BuildError` where it is nothing."""
    for name, report in (("with the fix", after), ("without the fix", before)):
        if report.problem is not None:
            raise _unsteady(f"In the task's own image the tests gave no whole report {name}: {report.message}", report)
    wanted = set(failing)
    lost = set(failing_of(after.outcomes, baseline.stable))
    if len(lost) > max(1, _LOST * len(baseline.stable)):
        raise _unsteady(f"{len(lost)} of {len(baseline.stable)} steady tests fail with the fix, such as {min(lost)}.", after)
    again = set(failing_of(before.outcomes, baseline.stable))
    turned = tuple(one for one in baseline.stable if one in wanted and one in again and one not in lost)
    if not turned:
        raise _unsteady("The failing tests pass in a second run.", before)
    kept = tuple(one for one in baseline.stable if one not in wanted and one not in again and one not in lost)
    unsteady = (wanted ^ again) | lost
    return Validation(
        fail_to_pass=turned,
        pass_to_pass=kept,
        flaky=tuple(sorted({*baseline.flaky, *unsteady})),
        scope="suite",
        total=len(after.outcomes),
        passed=sum(outcome == "passed" for outcome in after.outcomes.values()),
        commands=commands,
        seconds={"base": before.duration_s, "base+tests": before.duration_s, "base+tests+fix": after.duration_s},
        without=before.outcomes,
    )


def _unsteady(message: str, report: TestReport) -> BuildError:
    return BuildError(
        message, stage="validate", reason="flaky", remedy="Another mutation is tried in its place.", details=report.log[-_LOG_CHARACTERS:]
    )


def _report(proven: Proven, directory: Path, notes: Sequence[str], model_calls: int) -> BuildReport:
    prepared, validation, inspection, decoys = proven.taken.prepared, proven.validation, proven.found.inspection, proven.found.decoys
    plan = prepared.plan
    return BuildReport(
        status="validated",
        source=prepared.location,
        commit=prepared.fix.sha,
        base=prepared.fix.base,
        language=plan.language,
        build_system=plan.build_system,
        toolchain=plan.toolchain,
        framework=plan.framework,
        tests=TestCounts(total=validation.total, passed=validation.passed),
        fail_to_pass=validation.fail_to_pass,
        pass_to_pass=validation.pass_to_pass,
        flaky=validation.flaky,
        scope=validation.scope,
        notes=(*notes, *plan.notes, *validation.notes, *(inspection.notes if inspection else ()), *filter(None, (decoys.note,))),
        image=proven.spec.image,
        image_bytes=inspection.image_bytes if inspection else None,
        model_calls=model_calls,
        task=directory.name,
        out=str(directory),
    )
