"""From a fix commit to a task on disk that is known to work: the one way, for real projects and generated ones.

resolve, split, plan, repository (a thread), then image, validate, certify (sandboxes), then write (one rename). Where image or tests
fail, changed plans are tried, each from scratch. Nothing is left where the task should be unless all of it went well, and whatever goes
wrong is a report with a stage and a reason.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from podgym.envs.build.decoying import MadeDecoys, make_decoys
from podgym.envs.build.errors import BuildError, Stage
from podgym.envs.build.grading import sandbox_spec
from podgym.envs.build.inspection import inspect_image
from podgym.envs.build.mending import Mender
from podgym.envs.build.options import BuildOptions
from podgym.envs.build.plan import ARCHIVE
from podgym.envs.build.prepare import Prepared, as_build_error, prepare
from podgym.envs.build.report import BuildReport, TestCounts
from podgym.envs.build.states import Overlay
from podgym.envs.build.validate import Validation, validate
from podgym.envs.build.writing import Found, write_built
from podgym.envs.contract import VERIFY_S
from podgym.envs.harbor import TaskError
from podgym.envs.harbor.layout import ENVIRONMENT
from podgym.envs.repository import CertificateError, RepositoryError
from podgym.sandbox import ImageError, KnowsBases, SandboxError, SandboxProvider, SandboxSpec

__all__ = ["build_task"]

_LOG_CHARACTERS = 4000


async def build_task(
    source: str | Path,
    commit: str,
    out_dir: str | Path,
    *,
    provider: SandboxProvider,
    issue: str | None = None,
    name: str | None = None,
    options: BuildOptions | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> BuildReport:
    """Build the task of one fix into `out_dir/<task>`; `issue` is the issue's text, by default the commit's message.

    `name` is the task's id, by default made from the repository and the commit. Never raises for what is wrong with the
    source, the fix, the image or the tests: the report says so.
    """
    build = _Build(
        source=str(source),
        commit=commit,
        out_dir=Path(out_dir),
        provider=provider,
        issue=issue,
        name=name,
        options=options or BuildOptions(),
        progress=progress,
    )
    started = time.monotonic()
    try:
        report = await build.run()
    except BuildError as error:
        report = build.failed(error)
    return report.model_copy(update={"seconds": round(time.monotonic() - started, 3)})


class _Build:
    """One build; its fields fill as it goes, so that a failure can say how far it came."""

    def __init__(
        self,
        *,
        source: str,
        commit: str,
        out_dir: Path,
        provider: SandboxProvider,
        issue: str | None,
        name: str | None,
        options: BuildOptions,
        progress: Callable[[str], None],
    ) -> None:
        self._source, self._commit, self._out_dir, self._provider = source, commit, out_dir.absolute(), provider
        self._issue, self._name, self._options, self._progress = issue, name, options, progress
        self._stage: Stage = "resolve"
        self._prepared: Prepared | None = None
        self._spec: SandboxSpec | None = None
        self._repairs: tuple[str, ...] = ()
        self._model_calls = 0

    async def run(self) -> BuildReport:
        """The report of a build that went well. Raises `BuildError` otherwise."""
        self._check_name()
        try:
            self._out_dir.mkdir(parents=True, exist_ok=True)
            staging = Path(tempfile.mkdtemp(prefix=".building-", dir=self._out_dir))
        except OSError as error:
            raise _cannot_write(self._out_dir, error) from error
        try:
            return await self._build(staging)
        except RepositoryError as error:
            raise as_build_error(error) from error
        except CertificateError as error:
            raise BuildError(error.message, stage="repository", reason="leak", remedy=error.remedy) from error
        except TaskError as error:
            raise BuildError(error.message, stage="write", reason="write", remedy=error.remedy) from error
        except ImageError as error:
            raise self._image_failed(error) from error
        except SandboxError as error:
            raise BuildError(error.message, stage=self._stage, reason="sandbox", remedy=error.remedy) from error
        except OSError as error:
            raise _cannot_write(error.filename or self._out_dir, error) from error
        finally:
            await asyncio.to_thread(shutil.rmtree, staging, ignore_errors=True)

    async def _build(self, staging: Path) -> BuildReport:
        options = self._options = await self._with_bases(self._options)
        environment = staging / ENVIRONMENT
        environment.mkdir()
        prepared = await asyncio.to_thread(
            prepare, self._source, self._commit, environment, issue=self._issue, options=options, progress=self._progress
        )
        self._prepared = prepared
        directory = self._out_dir / self._task_id(prepared)
        self._check_free(directory)
        spec = self._spec = sandbox_spec(prepared, environment)
        validation = inspection = None
        decoys = MadeDecoys()
        if options.run_tests:
            # The first sandbox builds the image; an `ImageError` is the image's failure wherever it appears.
            self._stage = "validate"
            prepared, validation = await self._validated(prepared, environment)
            spec = self._spec
            if options.decoys:
                self._progress("running tests that no solution passes")
                decoys = await make_decoys(
                    self._provider,
                    spec,
                    validation.commands,
                    tests=Overlay(prepared.hidden, prepared.removed),
                    fix=Overlay(prepared.gold.writes(), prepared.gold.deleted),
                    inline=prepared.inline,
                    fail_to_pass=validation.fail_to_pass,
                    pass_to_pass=validation.pass_to_pass,
                )
            self._stage = "certify"
            if prepared.plan.steps:
                self._progress("inspecting the image")
                inspection = await inspect_image(
                    self._provider, spec, archive=environment / ARCHIVE, prepared=prepared, audit=options.audit
                )
        self._stage = "write"
        self._progress("writing the task")
        found = Found(validation, inspection, decoys)
        plan = await asyncio.to_thread(write_built, directory, environment, prepared, spec, found, options=options)
        bound_s = plan.bound_s if plan is not None else 0.0
        return self._report(prepared, found, directory, bound_s=bound_s)

    async def _with_bases(self, options: BuildOptions) -> BuildOptions:
        """With the base images that the provider has, where they can be told and nobody named others."""
        if options.catalogue.present is not None or not isinstance(self._provider, KnowsBases):
            return options
        catalogue = replace(options.catalogue, present=await self._provider.bases(), mirror=options.mirror)
        return options.model_copy(update={"catalogue": catalogue})

    async def _validated(self, prepared: Prepared, environment: Path) -> tuple[Prepared, Validation]:
        """The plan that worked, and what its tests showed. Raises as the first plan did where no change to it helps."""
        mender = Mender(self._options, self._provider)
        while True:
            self._prepared = prepared
            spec = self._spec = sandbox_spec(prepared, environment)
            try:
                return prepared, await validate(
                    self._provider,
                    spec,
                    prepared.plan.tests,
                    overlays=prepared.overlays,
                    changed=prepared.plan.changed,
                    changed_files=prepared.changed_tests,
                    owned=prepared.owns,
                    new=prepared.owns_new,
                    repeats=self._options.repeats,
                    progress=self._progress,
                )
            except (ImageError, BuildError) as error:
                try:
                    prepared = await mender.next(prepared, spec, error)
                finally:
                    self._repairs, self._model_calls = mender.tried, mender.model_calls
                self._progress(f"trying again: {mender.tried[-1]}")

    def _check_name(self) -> None:
        if self._name is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,199}", self._name):
            raise BuildError(
                f"{self._name!r} cannot be a task's name.",
                stage="resolve",
                reason="write",
                remedy="Use letters, digits and . _ @ + -, beginning with a letter or digit.",
            )

    def _task_id(self, prepared: Prepared) -> str:
        if self._name is not None:
            return self._name
        stem = PurePosixPath(prepared.location.rstrip("/").removesuffix("/.git")).name.removesuffix(".git")
        clean = re.sub(r"[^A-Za-z0-9._+-]+", "-", stem).strip(".-_+")[:120] or "task"
        return f"{clean}-{prepared.fix.sha[:12]}"

    def _check_free(self, directory: Path) -> None:
        if directory.exists() and not self._options.overwrite:
            raise BuildError(
                f"There is a task at {directory} already.",
                stage="write",
                reason="exists",
                remedy="Choose another --out or --name, or say --overwrite.",
            )

    def _report(self, prepared: Prepared, found: Found, directory: Path, *, bound_s: float) -> BuildReport:
        validation, inspection = found.validation, found.inspection
        report = self._so_far("built" if validation is None else "validated").model_copy(
            update={"task": directory.name, "out": str(directory)}
        )
        if validation is None:
            return report
        installed = inspection.installed if inspection else ()
        undated = [line for line in installed if not line.startswith("uv, as of")]
        notes = (
            *prepared.plan.notes,
            *validation.notes,
            *(inspection.notes if inspection else ()),
            *undated,
            *filter(None, (found.decoys.note,)),
            *([f"a verdict may take {bound_s:g} s: give rollouts a longer verify_s"] if bound_s > VERIFY_S else []),
        )
        return report.model_copy(
            update={
                "tests": TestCounts(total=validation.total, passed=validation.passed),
                "fail_to_pass": validation.fail_to_pass,
                "pass_to_pass": validation.pass_to_pass,
                "flaky": validation.flaky,
                "scope": validation.scope,
                "notes": notes,
                "image_bytes": inspection.image_bytes if inspection else None,
            }
        )

    def _so_far(self, status: Any) -> BuildReport:
        prepared = self._prepared
        known: dict[str, Any] = {}
        if prepared is not None:
            plan = prepared.plan
            known = {"source": prepared.location, "commit": prepared.fix.sha, "base": prepared.fix.base}
            known |= {"language": plan.language, "build_system": plan.build_system, "toolchain": plan.toolchain}
            known |= {"framework": plan.framework, "notes": plan.notes, "repairs": self._repairs}
            known["model_calls"] = self._model_calls
        if self._spec is not None:
            known["image"] = self._spec.image
        return BuildReport(status=status, **{"source": self._source, "commit": self._commit, **known})

    def failed(self, error: BuildError) -> BuildReport:
        """The report of a build that ended with `error`."""
        update = {"stage": error.stage, "reason": error.reason, "message": str(error), "details": error.details[-_LOG_CHARACTERS:]}
        return self._so_far("failed").model_copy(update=update)

    def _image_failed(self, error: ImageError) -> BuildError:
        steps = self._prepared.plan.steps if self._prepared is not None else ()
        if not any(step.run.strip() and step.run in error.message for step in steps):
            return BuildError(error.message, stage="image", reason="image", remedy=error.remedy, details="")
        log = error.message
        for step in steps:
            log = log.replace(step.run, "")
        return BuildError(
            "The project or what its tests need could not be installed.",
            stage="image",
            reason="install_failed",
            remedy="Read the log below; edit the plan (--dry-run prints it, --plan takes it), or choose --toolchain.",
            details=log.strip()[-_LOG_CHARACTERS:],
        )


def _cannot_write(place: object, error: OSError) -> BuildError:
    return BuildError(
        f"Cannot write {place}: {error.strerror or error}.",
        stage="write",
        reason="write",
        remedy="Free space, check permissions, or choose another --out.",
    )
