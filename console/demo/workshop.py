"""The demonstration's tasks: generated projects, built by the same code as real ones."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from podgym.console.demo.projects import Fix, draw_project, write_history
from podgym.console.remedies import explained, missing_package, remedy_for
from podgym.envs.build import BuildOptions, BuildReport, build_task
from podgym.errors import PodgymError
from podgym.sandbox.local import LocalConfig, LocalProvider

__all__ = ["DemoError", "TaskSets", "build_tasks", "content_key", "demo_error", "draw_task_sets"]

_BUILDS_AT_ONCE = 2
"""The warm start beside them takes as long as they do only where it keeps a core for most of the time."""
_OPTIONS = BuildOptions(repeats=1)
"""The generated tests call pure functions: a second run of them could not differ."""


class DemoError(PodgymError, RuntimeError):
    """The demonstration cannot go on."""


def demo_error(error: Exception, what: str) -> PodgymError:
    """`error` as one that says what to do; `what` failed."""
    if isinstance(error, PodgymError):
        return error
    if isinstance(error, ImportError) and (missing := missing_package(error)) is not None:
        return missing
    if isinstance(error, subprocess.CalledProcessError):
        said = (error.stderr or b"").decode("utf-8", "replace").strip() or f"it ended with {error.returncode}"
        return DemoError(f"{what}: git: {said.splitlines()[0]}", remedy=remedy_for(said))
    if isinstance(error, OSError):
        message, remedy = explained(error)
        return DemoError(f"{what}: {message}", remedy=remedy)
    said = f"{type(error).__name__}: {error}"
    return DemoError(f"{what}: {said}", remedy=remedy_for(said))


@dataclass(frozen=True, slots=True)
class TaskSets:
    """Project numbers by purpose; no two sets share a task's content."""

    held_out: tuple[int, ...]
    train: tuple[int, ...]
    demonstrations: tuple[int, ...]


def content_key(fix: Fix) -> str:
    """What makes two tasks the same problem: the issue and the file that it is about."""
    return hashlib.sha256(f"{fix.issue}\0{fix.source_before}".encode()).hexdigest()


def draw_task_sets(seed: int, *, held_out: int, train: int, demonstrations: int) -> TaskSets:
    """So many projects for each purpose. A project that repeats a task of an earlier set is passed over."""
    seen: set[str] = set()
    sets: list[tuple[int, ...]] = []
    index = 0
    for count in (held_out, train, demonstrations):
        chosen: list[int] = []
        keys: set[str] = set()
        while len(chosen) < count:
            own = {content_key(fix) for fix in draw_project(seed, index).fixes}
            if not own & seen:
                chosen.append(index)
                keys |= own
            index += 1
        seen |= keys
        sets.append(tuple(chosen))
    return TaskSets(*sets)


async def build_tasks(
    seed: int,
    projects: dict[str, tuple[int, ...]],
    directory: Path,
    *,
    built: Callable[[], None] = lambda: None,
) -> int:
    """Write the projects' histories and build a task of every fix into `directory/<set>`; returns how many there are.

    `built` is called after each. Raises `DemoError` for a task that fails to build, which generated ones never should.
    """
    histories = directory / "histories"
    shutil.rmtree(directory, ignore_errors=True)
    histories.mkdir(parents=True)
    gate = asyncio.Semaphore(_BUILDS_AT_ONCE)
    provider = LocalProvider(LocalConfig())

    async def build(repository: Path, name: str, fix: Fix, target: Path) -> None:
        async with gate:
            report = await build_task(repository, fix.commit, target, provider=provider, issue=fix.issue, name=name, options=_OPTIONS)
        _check(report)
        built()

    count = 0
    try:
        async with asyncio.TaskGroup() as group:
            for kind, indices in projects.items():
                for index in indices:
                    repository = histories / f"project-{index:04d}.git"
                    project = await asyncio.to_thread(write_history, draw_project(seed, index), repository)
                    for number, fix in enumerate(project.fixes):
                        name = f"{project.name}-{number}-{fix.module.name}-{fix.function.name.replace('_', '-')}"
                        group.create_task(build(repository, name, fix, directory / kind))
                        count += 1
    except ExceptionGroup as failures:
        raise demo_error(failures.exceptions[0], "Building the tasks failed") from failures
    finally:
        await provider.close()
    return count


def _check(report: BuildReport) -> None:
    if report.status != "validated":
        raise DemoError(
            f"A generated task could not be built: {report.stage}: {report.message}",
            remedy=remedy_for(report.message) or "Run `podgym doctor`: the machine may lack what sandboxes need.",
        )
