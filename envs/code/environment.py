"""The environment type `code`: tasks from directories, judged by hidden tests in a fresh sandbox."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from podgym.envs.code.known import KNOWN, remember
from podgym.envs.contract import Task
from podgym.envs.harbor import TaskError, TaskFiles, iter_tasks, task_directory
from podgym.sandbox import Sandbox, SandboxProvider
from podgym.traces import Trace
from podgym.verifiers import BaseTrees, GradingPlan, Verdict, VerdictCache, verify_change

__all__ = ["CodeEnvironment"]

_PLANS = 4096


class CodeEnvironment:
    """Tasks built by `podgym env build`, one directory each.

    `cache_file` is shared by the processes of a run; without it each process remembers verdicts for itself.
    """

    def __init__(
        self,
        tasks: str | Path,
        *,
        split: str | None = None,
        limit: int | None = None,
        cache: bool = True,
        cache_file: str | Path | None = None,
    ) -> None:
        self._root = Path(tasks)
        self._split = split
        self._limit = limit
        self._cache = VerdictCache(file=Path(cache_file) if cache_file else None) if cache else None
        self._trees = BaseTrees()
        self._plans: dict[tuple[str, str], GradingPlan] = {}

    def tasks(self) -> Iterable[Task]:
        """Tasks in the order of their directories' names. Raises `TaskError`."""
        count = 0
        for task in iter_tasks(self._root):
            if self._split is not None and task.split != self._split:
                continue
            if self._limit is not None and count >= self._limit:
                return
            count += 1
            yield task

    async def prepare(self, task: Task, sandbox: Sandbox) -> None:
        """Nothing: the image is the base commit with its dependencies."""

    async def verify(self, task: Task, sandbox: Sandbox, trace: Trace, provider: SandboxProvider) -> Verdict:
        """The verdict on the change in the work tree. Raises `SandboxError`, `PlanError`, and `TaskError` for a broken directory."""
        try:
            directory = task_directory(task)
        except LookupError as error:
            raise TaskError(str(error), file=self._root, remedy="Give tasks as `tasks()` yields them.") from error
        files = TaskFiles(directory)
        plan = self._plan(task, directory, files)
        return await verify_change(
            sandbox,
            plan,
            base=self._trees.open(directory / plan.base),
            spec=task.sandbox,
            provider=provider,
            files=files,
            task_digest=task.digest,
            cache=self._cache,
        )

    def _plan(self, task: Task, directory: Path, files: TaskFiles) -> GradingPlan:
        """The task's grading data, checked once; its known verdicts join the cache on the way."""
        key = (task.id, task.digest)
        if key in self._plans:
            return self._plans[key]
        try:
            plan = GradingPlan.model_validate(task.grading)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise TaskError(
                f"{first['msg']}. It was made without validation, or was changed.",
                file=directory / "tests" / "grading.json",
                key=".".join(map(str, first["loc"])),
                remedy="Build the task anew with `podgym env build`.",
            ) from error
        if self._cache is not None and plan.deterministic and task.digest:
            with contextlib.suppress(FileNotFoundError):
                remember(files(KNOWN), self._cache, digest=task.digest)
        if len(self._plans) >= _PLANS:
            self._plans.clear()
        self._plans[key] = plan
        return plan
