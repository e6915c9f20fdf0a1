"""Reads task directories, which may come from anyone.

Every file is read up to a bound, no link or name leads out of the directory, and whatever is wrong is a `TaskError` that names
the file, the key and the value. Reading a task touches three small files; the archive of its repository is not opened.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import ValidationError

from podgym.envs.contract import Task
from podgym.envs.harbor.errors import TaskError
from podgym.envs.harbor.layout import ENVIRONMENT, GRADING, INSTRUCTION, TASK, PodgymTable

__all__ = ["TaskFiles", "iter_tasks", "read_task", "task_directories", "task_directory"]

_TEXT_BYTES = 4 << 20
_GRADING_BYTES = 64 << 20
_FILE_BYTES = 256 << 20
_SHOWN = 80
"""Characters of a value that an error shows."""


class TaskFiles:
    """Files of one task directory by relative name, as `HiddenFile.source` gives it."""

    def __init__(self, directory: Path, *, limit_bytes: int = _FILE_BYTES) -> None:
        self._root = directory.resolve()
        self._limit = limit_bytes

    def __call__(self, name: str) -> bytes:
        """The content. Raises `FileNotFoundError` for what is not a file of the directory, `OSError` for one too large."""
        pure = PurePosixPath(name)
        if not name or "\0" in name or pure.is_absolute() or ".." in pure.parts:
            raise FileNotFoundError(f"{name!r} is not a relative name inside {self._root}")
        path = Path(os.path.realpath(self._root / pure))
        if self._root not in path.parents or not path.is_file():
            raise FileNotFoundError(f"{name!r} is not a file in {self._root}")
        with path.open("rb") as file:
            data = file.read(self._limit + 1)
        if len(data) > self._limit:
            raise OSError(f"{name!r} in {self._root} is larger than {self._limit} bytes")
        return data


def read_task(directory: Path) -> Task:
    """The task of one directory; `sandbox.context` is its `environment/`, absolute. Raises `TaskError`."""
    table = _table(directory)
    grading: object = {}
    if table.grading:
        file = directory / GRADING
        data = _read(directory, GRADING, _GRADING_BYTES)
        try:
            grading = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise TaskError(f"It is not JSON: {error}.", file=file, remedy="Restore the file, or build the task anew.") from error
        if not isinstance(grading, dict):
            raise TaskError(f"It holds {type(grading).__name__}, not an object.", file=file, remedy="Build the task anew.")
    try:
        instruction = _read(directory, INSTRUCTION, _TEXT_BYTES).decode()
    except UnicodeDecodeError as error:
        raise TaskError(f"It is not UTF-8: {error}.", file=directory / INSTRUCTION, remedy="Save the file as UTF-8.") from error
    sandbox = table.sandbox.model_copy(update={"context": str(directory.absolute() / ENVIRONMENT)})
    try:
        return Task(
            id=table.id,
            environment=table.environment,
            instruction=instruction,
            sandbox=sandbox,
            grading=grading,
            provenance=table.provenance,
            tags=table.tags,
            split=table.split,
            digest=table.digest,
        )
    except ValidationError as error:
        raise _invalid(error, directory / TASK) from error


def task_directory(task: Task) -> Path:
    """The directory that a task was read from. Raises `LookupError` for a task of another origin."""
    if task.sandbox.context is None:
        raise LookupError(f"The task {task.id} was not read from a task directory.")
    return Path(task.sandbox.context).parent


def task_directories(root: Path) -> list[Path]:
    """`root` itself if it is a task, else every directory in it that is one, by name. Raises `TaskError` where there is none."""
    if (root / TASK).is_file():
        return [root]
    try:
        with os.scandir(root) as entries:
            names = sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))
    except OSError as error:
        raise TaskError(f"Cannot list it: {error.strerror}.", file=root, remedy="Give a task directory, or a directory of them.") from error
    found = [root / name for name in names if (root / name / TASK).is_file()]
    if not found:
        raise TaskError(f"There is no {TASK} in it, nor one level below.", file=root, remedy="Build tasks with `podgym env build`.")
    return found


def iter_tasks(root: Path) -> Iterator[Task]:
    """The tasks of `task_directories(root)`, each read when it is asked for. Raises `TaskError`, also for an id seen before."""
    seen: dict[str, Path] = {}
    for directory in task_directories(root):
        task = read_task(directory)
        if task.id in seen:
            raise TaskError(
                f"The id {task.id!r} is that of {seen[task.id]} too.",
                file=directory / TASK,
                key="metadata.podgym.id",
                remedy="Remove one of the two directories.",
            )
        seen[task.id] = directory
        yield task


def _table(directory: Path) -> PodgymTable:
    file = directory / TASK
    text = _read(directory, TASK, _TEXT_BYTES)
    try:
        data = tomllib.loads(text.decode())
    except (ValueError, RecursionError) as error:
        raise TaskError(f"It is not TOML: {error}.", file=file, remedy="Correct the file, or build the task anew.") from error
    metadata = data.get("metadata")
    table = metadata.get("podgym") if isinstance(metadata, dict) else None
    if not isinstance(table, dict):
        kind = "a Harbor task of other origin" if "version" in data or "schema_version" in data else "no Harbor task"
        raise TaskError(
            f"It has no table [metadata.podgym]; this is {kind}, and podgym does not know its image, its tests by id or its provenance.",
            file=file,
            key="metadata.podgym",
            remedy="Import it with `podgym env import`, or build the task with `podgym env build`.",
        )
    try:
        parsed = PodgymTable.model_validate(table, strict=False)
    except ValidationError as error:
        raise _invalid(error, file) from error
    _check_copies(parsed, file)
    return parsed


def _check_copies(table: PodgymTable, file: Path) -> None:
    key = "metadata.podgym.sandbox"
    if table.sandbox.context is not None:
        raise TaskError(
            f"context is {table.sandbox.context!r}; it is always the directory's own {ENVIRONMENT}/.",
            file=file,
            key=f"{key}.context",
            remedy="Remove the key.",
        )
    recipe = table.sandbox.recipe
    for copy in (*recipe.before_copies, *recipe.copies) if recipe is not None else ():
        pure = PurePosixPath(copy.source)
        if pure.is_absolute() or ".." in pure.parts:
            raise TaskError(
                f"The recipe copies {copy.source!r}, which leads out of {ENVIRONMENT}/.",
                file=file,
                key=f"{key}.recipe.copies",
                remedy="Use a relative name without `..`.",
            )


def _read(directory: Path, name: str, limit: int) -> bytes:
    try:
        return TaskFiles(directory, limit_bytes=limit)(name)
    except OSError as error:
        raise TaskError(
            f"Cannot read it: {error.strerror or error}.", file=directory / name, remedy="Restore the file, or build the task anew."
        ) from error


def _invalid(error: ValidationError, file: Path) -> TaskError:
    """The first thing that pydantic found, with key, value and what is allowed."""
    first: Any = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in ("metadata", "podgym", *first["loc"]))
    shown = repr(first["input"])
    value = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
    message = "This key is not known." if first["type"] == "extra_forbidden" else f"{first['msg']}."
    more = f" ({error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return TaskError(f"{message} The value is {value}{more}.", file=file, key=key, remedy="Correct the key, or build the task anew.")
