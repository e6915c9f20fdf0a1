from __future__ import annotations

import io
import tarfile
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from podgym.envs.build.plan import ARCHIVE, TOOLS, WORKDIR, BuildPlan
from podgym.envs.build.repair import BuildFailure
from podgym.sandbox import ImageError, SandboxProvider, SandboxSpec, Step
from podgym.sandbox.local import LocalConfig, LocalProvider
from podgym.verifiers import TestCommand, run_tests
from podgym.verifiers.protection import Language
from podgym.verifiers.reports import ReportSource

Planner = Callable[..., BuildPlan]

_BASES: dict[str, tuple[str, str, str]] = {
    "python": ("python:3.12-bookworm", "3.12", "setuptools"),
    "java": ("maven:3-eclipse-temurin-17", "17", "maven"),
    "go": ("golang:1.22-bookworm", "1.22", "go"),
    "rust": ("rust:1.75-bookworm", "1.75", "cargo"),
    "javascript": ("node:20-bookworm", "20", "npm"),
    "typescript": ("node:20-bookworm", "20", "npm"),
    "c": ("gcc:12-bookworm", "12", "make"),
    "cpp": ("gcc:12-bookworm", "12", "cmake"),
}


@pytest.fixture(scope="session")
def plan_of() -> Planner:
    """A plan as the language modules make them, small."""

    def of(language: Language, **changes: Any) -> BuildPlan:
        base, toolchain, build_system = _BASES[language]
        program = TestCommand(framework="program", script="run-tests --out {report}\n", report=ReportSource(format="junit"), timeout_s=60)
        tests = TestCommand(framework="pytest", python="/opt/venv/bin/python") if language == "python" else program
        plan = BuildPlan(
            language=language,
            build_system=build_system,
            toolchain=toolchain,
            framework="tests",
            base=base,
            dependencies=(Step(run="set -eu\nfetch --locked\n", timeout_s=100),),
            install=(Step(run="set -eu\nbuild\n", timeout_s=100),),
            writable=(TOOLS,),
            tests=(tests,),
            changed=(tests.model_copy(update={"timeout_s": 30}),),
        )
        return plan.model_copy(update=changes)

    return of


@pytest.fixture
async def provider(tmp_path: Path) -> AsyncIterator[SandboxProvider]:
    opened = LocalProvider(LocalConfig(cache=tmp_path / "images", scratch=tmp_path / "scratch"))
    yield opened
    await opened.close()


class Workshop:
    """Builds a plan over a repository of a few files and runs its tests, as a build does."""

    def __init__(self, provider: SandboxProvider, context: Path) -> None:
        self.provider, self._context = provider, context

    def lay(self, files: Mapping[str, str]) -> None:
        """The repository; what begins with `#!` can be run."""
        self._context.mkdir(exist_ok=True)
        with tarfile.open(self._context / ARCHIVE, "w") as tar:
            for name, text in files.items():
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode = len(text.encode()), 0o755 if text.startswith("#!") else 0o644
                tar.addfile(entry, io.BytesIO(text.encode()))

    def spec(self, plan: BuildPlan) -> SandboxSpec:
        digest = plan.recipe.digest(self._context)
        return SandboxSpec(
            image=f"podgym/{digest}", recipe=plan.recipe, context=str(self._context), workdir=WORKDIR, env=plan.env, limits=plan.limits
        )

    async def fails(self, plan: BuildPlan) -> BuildFailure | None:
        """What is wrong with a plan; None where its tests pass."""
        try:
            sandbox = await self.provider.create(self.spec(plan))
        except ImageError as error:
            return BuildFailure(stage="image", log=error.log, step=error.step, timed_out=error.timed_out)
        try:
            report = await run_tests(sandbox, plan.tests[0], workdir=WORKDIR, writes=(), removals=())
        finally:
            await sandbox.close()
        if report.problem is None and set(report.outcomes.values()) == {"passed"}:
            return None
        return BuildFailure(stage="tests", log=f"{report.log}\n{report.message}\n{dict(report.outcomes)}")


@pytest.fixture
def workshop(provider: SandboxProvider, tmp_path: Path) -> Workshop:
    return Workshop(provider, tmp_path / "context")
