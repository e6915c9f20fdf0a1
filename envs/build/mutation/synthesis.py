"""Many tasks from one commit: mutations are tried on one image, and those that tests find become tasks.

resolve and plan once, build one image of the unchanged project, learn which tests are steady; then each mutation costs one run of the
tests, over that image with the mutated file laid over it. One that fails some tests and not most gets an image of its own, in which
both states are run once more (`podgym.envs.build.mutation.finishing`).
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from podgym.envs.build.errors import BuildError, Stage
from podgym.envs.build.grading import sandbox_spec
from podgym.envs.build.mending import Mender
from podgym.envs.build.mutation.host import Host, lay_out, read_host
from podgym.envs.build.mutation.judging import Baseline, baseline_of
from podgym.envs.build.mutation.options import MutationOptions
from podgym.envs.build.mutation.planting import Planted, Tag, plant, version_tag
from podgym.envs.build.mutation.trying import Field, Trial, Workshop
from podgym.envs.build.mutation.writing import IssueWriter
from podgym.envs.build.options import BuildOptions
from podgym.envs.build.prepare import as_build_error
from podgym.envs.build.report import BuildReport
from podgym.envs.build.running import run_commands
from podgym.envs.build.states import Overlay
from podgym.envs.repository import CertificateError, RepositoryError, open_source
from podgym.sandbox import ImageError, KnowsBases, SandboxError, SandboxProvider, SandboxSpec
from podgym.verifiers import TestCommand, TestReport
from podgym.verifiers.archive import Write

__all__ = ["synthesise"]

_LOG_CHARACTERS = 4000


async def synthesise(
    source: str | Path,
    commit: str,
    out_dir: str | Path,
    *,
    provider: SandboxProvider,
    options: BuildOptions | None = None,
    mutation: MutationOptions | None = None,
    count: int | None = None,
    seed: int | None = None,
    writer: IssueWriter | None = None,
    observe: Callable[[Trial], None] = lambda _: None,
    progress: Callable[[str], None] = lambda _: None,
) -> list[BuildReport]:
    """Up to `count` tasks from mutations of `commit`, each a directory in `out_dir`, and the reports of those that are new.

    `count` and `seed` go before those of `mutation`. `writer` writes the issues, by default rules do. `observe` hears of every mutation.
    Never raises for what is wrong with the source or its tests: then the one report says so.
    """
    chosen = mutation or MutationOptions()
    chosen = chosen.model_copy(update={key: value for key, value in (("count", count), ("seed", seed)) if value is not None})
    run = _Synthesis(
        source=str(source),
        commit=commit,
        out_dir=Path(out_dir),
        provider=provider,
        options=options or BuildOptions(),
        mutation=chosen,
        writer=writer,
        observe=observe,
        progress=progress,
    )
    started = time.monotonic()
    try:
        return await run.run()
    except BuildError as error:
        return [run.failed(error, time.monotonic() - started)]


class _Synthesis:
    """One commit's; its fields fill as it goes."""

    def __init__(
        self,
        *,
        source: str,
        commit: str,
        out_dir: Path,
        provider: SandboxProvider,
        options: BuildOptions,
        mutation: MutationOptions,
        writer: IssueWriter | None,
        observe: Callable[[Trial], None],
        progress: Callable[[str], None],
    ) -> None:
        self._source, self._commit, self._out_dir, self._provider = source, commit, out_dir.absolute(), provider
        self._options, self._mutation, self._writer = options, mutation, writer
        self._observe, self._progress = observe, progress
        self._host: Host | None = None
        self._stage: Stage = "resolve"
        self._repairs: tuple[str, ...] = ()
        self._model_calls = 0

    async def run(self) -> list[BuildReport]:
        """Raises `BuildError` where no task comes of it."""
        try:
            self._out_dir.mkdir(parents=True, exist_ok=True)
            staging = Path(tempfile.mkdtemp(prefix=".mutating-", dir=self._out_dir))
        except OSError as error:
            raise _cannot_write(self._out_dir, error) from error
        try:
            return await self._run(staging)
        except RepositoryError as error:
            raise as_build_error(error) from error
        except CertificateError as error:
            raise BuildError(error.message, stage="repository", reason="leak", remedy=error.remedy) from error
        except ImageError as error:
            raise BuildError(error.message, stage="image", reason="image", remedy=error.remedy, details=error.log) from error
        except SandboxError as error:
            raise BuildError(error.message, stage=self._stage, reason="sandbox", remedy=error.remedy) from error
        except OSError as error:
            raise _cannot_write(error.filename or self._out_dir, error) from error
        finally:
            await asyncio.to_thread(shutil.rmtree, staging, ignore_errors=True)

    async def _run(self, staging: Path) -> list[BuildReport]:
        self._options = await self._with_bases(self._options)
        environment = staging / "host"
        environment.mkdir()
        self._progress("reading the commit and planning its build")
        host, planted, tag = await asyncio.to_thread(self._read, staging)
        self._host = host
        certificate = await asyncio.to_thread(lay_out, planted, host.prepared, environment, self._options)
        host = replace(host, prepared=replace(host.prepared, certificate=certificate))
        self._stage = "validate"
        self._progress("building the image, then running the tests on the unchanged project")
        host, spec, baseline = await self._baseline(host, environment)
        self._host = host
        self._progress(f"{len(baseline.stable)} steady tests, {len(baseline.flaky)} unsteady; trying mutations")
        workshop = Workshop(
            provider=self._provider,
            field=Field(
                source=self._source,
                out_dir=self._out_dir,
                staging=staging,
                tag=tag,
                host=host,
                spec=spec,
                baseline=baseline,
                repairs=self._repairs,
            ),
            options=self._options,
            mutation=self._mutation,
            writer=self._writer,
            observe=self._observe,
            progress=self._progress,
        )
        reports = await workshop.work()
        if not reports and not workshop.existing:
            raise BuildError(
                "No mutation became a task: none makes a steady test fail without failing most of them.",
                stage="validate",
                reason="already_passing",
                remedy="Try more mutations, or another commit; the tests may not reach the source.",
            )
        return reports

    async def _with_bases(self, options: BuildOptions) -> BuildOptions:
        if options.catalogue.present is not None or not isinstance(self._provider, KnowsBases):
            return options
        catalogue = replace(options.catalogue, present=await self._provider.bases(), mirror=options.mirror)
        return options.model_copy(update={"catalogue": catalogue})

    def _read(self, staging: Path) -> tuple[Host, Planted, Tag | None]:
        with open_source(self._source, self._options.cache_dir, follow_urls=self._options.follow_urls) as repository:
            sha = repository.resolve(self._commit)
            tag = version_tag(repository, sha)
            planted = plant(repository, sha, staging / "host.git", changes={}, tag=tag)
            host = read_host(repository, sha, self._options, planted)
        return host, planted, tag

    async def _baseline(self, host: Host, environment: Path) -> tuple[Host, SandboxSpec, Baseline]:
        """Of the first plan that works. Raises as the first one did where no change to it helps."""
        mender = Mender(self._options, self._provider)
        prepared = host.prepared
        while True:
            spec = sandbox_spec(prepared, environment)
            try:
                reports = [await run_commands(self._provider, spec, prepared.plan.tests, Overlay())]
                _must_report(reports[0])
                for number in range(1, self._mutation.baseline_runs):
                    # The last one backwards, where the runner can: a test that needs others before it is not steady.
                    commands = _backwards(prepared.plan.tests) if number > 1 else prepared.plan.tests
                    reports.append(await run_commands(self._provider, spec, commands, _touched(host)))
                baseline = baseline_of([report for report in reports if report.problem is None])
                if not baseline.stable:
                    raise BuildError(
                        "No test passes on the unchanged project every time.",
                        stage="validate",
                        reason="nothing_collected",
                        remedy="Look at the log below.",
                        details=reports[0].log[-_LOG_CHARACTERS:],
                    )
                return replace(host, prepared=prepared), spec, baseline
            except (ImageError, BuildError) as error:
                prepared = await mender.next(prepared, spec, error)
                self._repairs = mender.tried
                self._progress(f"trying again: {mender.tried[-1]}")

    def failed(self, error: BuildError, seconds: float) -> BuildReport:
        """The one report of a commit that no task came of."""
        host = self._host
        known = {"source": self._source, "commit": self._commit}
        if host is not None:
            plan = host.prepared.plan
            known |= {"source": host.prepared.location, "commit": host.sha, "language": plan.language}
            known |= {"build_system": plan.build_system, "toolchain": plan.toolchain, "framework": plan.framework}
        said = {"stage": error.stage, "reason": error.reason, "message": str(error), "details": error.details}
        return BuildReport.model_validate({"status": "failed", "repairs": self._repairs, "seconds": round(seconds, 3), **said, **known})


def _touched(host: Host) -> Overlay:
    """The largest source written anew as it is, so that what is built from it is built again and the time of that is known."""
    path = max(host.sources, key=lambda one: (len(host.sources[one]), one))
    return Overlay((Write(path, host.sources[path], int(host.entries[path].mode, 8)),))


def _backwards(commands: Sequence[TestCommand]) -> list[TestCommand]:
    return [command.model_copy(update={"reverse": command.framework != "program"}) for command in commands]


def _must_report(report: TestReport) -> None:
    if report.problem is not None:
        raise BuildError(
            f"On the unchanged project the tests gave no usable report. {report.message}",
            stage="validate",
            reason="timeout" if report.problem == "timed_out" else "nothing_collected" if report.problem == "nothing_ran" else "no_report",
            remedy="Look at the log below; a missing dependency or a wrong version can be put right by editing the plan.",
            details=report.log[-_LOG_CHARACTERS:],
        )


def _cannot_write(place: object, error: OSError) -> BuildError:
    return BuildError(
        f"Cannot write {place}: {error.strerror or error}.",
        stage="write",
        reason="write",
        remedy="Free space, check permissions, or choose another --out.",
    )
