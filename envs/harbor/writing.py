"""Writes task directories: whole or not at all, and equal tasks as equal bytes."""

from __future__ import annotations

import json
import math
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import tomli_w
from pydantic import ValidationError

from podgym.envs.contract import Task
from podgym.envs.harbor.errors import TaskError
from podgym.envs.harbor.layout import ENVIRONMENT, GRADING, INSTRUCTION, SOLUTION, TASK, TESTS, PodgymTable
from podgym.envs.harbor.plain import solution_script, test_files
from podgym.sandbox import ImageRecipe
from podgym.sandbox.dockerfile import dockerfile
from podgym.verifiers.grading import GradingPlan

__all__ = ["Content", "write_task"]

Content = bytes | Path
"""A file's content, or the file to copy it from."""


def write_task(
    directory: Path,
    task: Task,
    *,
    environment: Mapping[str, Content] | None = None,
    tests: Mapping[str, Content] | None = None,
    solution: Mapping[str, Content] | None = None,
    gold_patch: bytes = b"",
    agent_timeout_s: float = 3600.0,
    overwrite: bool = False,
) -> Task:
    """Write `task` to `directory` and return it as `read_task` will.

    `environment`, `tests` and `solution` give further files by their names in these folders. Of our own making are a
    Dockerfile (from the recipe), `grading.json`, and, where the grading data is a `GradingPlan`, the scripts that let plain
    Harbor grade. Raises `TaskError` for names that leave their folder, and for a directory that is in use.
    """
    if directory.is_symlink() or (directory.exists() and not (overwrite or (directory.is_dir() and not any(directory.iterdir())))):
        raise TaskError("The directory is in use.", file=directory, remedy="Choose another one, or say that it may be overwritten.")
    folders = {ENVIRONMENT: environment or {}, TESTS: tests or {}, SOLUTION: solution or {}}
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
        try:
            staging.chmod(0o755)
            for name, data in _made(directory, task, gold_patch, agent_timeout_s).items():
                _put(staging, name, data, directory)
            for folder, files in folders.items():
                for name, content in files.items():
                    _put(staging / folder, name, content, directory)
            if directory.exists():
                shutil.rmtree(directory)
            staging.rename(directory)
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise
    except OSError as error:
        raise TaskError(f"Cannot write the task: {error}.", file=directory, remedy="Free space, or choose another directory.") from error
    return task.model_copy(update={"sandbox": _in(task, directory)})


def _in(task: Task, directory: Path) -> Any:
    return task.sandbox.model_copy(update={"context": str(directory.absolute() / ENVIRONMENT)})


def _made(directory: Path, task: Task, gold_patch: bytes, agent_timeout_s: float) -> dict[str, bytes]:
    plan = _plan(directory, task)
    files = {
        TASK: _text(directory / TASK, tomli_w.dumps(_settings(task, plan, agent_timeout_s))),
        INSTRUCTION: _text(directory / INSTRUCTION, task.instruction),
        f"{ENVIRONMENT}/Dockerfile": _image(task).encode(),
    }
    if task.grading:
        files[GRADING] = _json(directory, task)
    if plan is not None:
        files |= {f"{TESTS}/{name}": data for name, data in test_files(plan).items()}
    if gold_patch:
        files[f"{SOLUTION}/gold.patch"] = gold_patch
        files[f"{SOLUTION}/solve.sh"] = solution_script(task.sandbox.workdir).encode()
    return files


def _plan(directory: Path, task: Task) -> GradingPlan | None:
    """The grading data as a plan of tests, None where the task's type has data of its own."""
    try:
        plan = GradingPlan.model_validate(json.loads(_json(directory, task)))
    except ValidationError:
        return None
    for file in plan.hidden:
        if not file.source.startswith(f"{TESTS}/"):
            raise TaskError(
                f"The hidden file {file.source!r} is outside of {TESTS}/.", file=directory, key="grading.hidden", remedy="Put it there."
            )
    return plan


def _json(directory: Path, task: Task) -> bytes:
    try:
        return json.dumps(dict(task.grading), indent=1, sort_keys=True, default=_plain, allow_nan=False).encode() + b"\n"
    except (TypeError, ValueError) as error:
        raise TaskError(f"It is not JSON: {error}.", file=directory, key="grading", remedy="Use plain values.") from error


def _plain(value: object) -> object:
    """Mappings and tuples that are not of the plain kinds, such as a frozen model's."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (tuple, set, frozenset)):
        return list(value)
    raise TypeError(f"Grading data holds {value!r}, which is not JSON.")


def _text(file: Path, text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise TaskError(f"It is not text: {error}.", file=file, remedy="Replace what cannot be encoded.") from error


def _image(task: Task) -> str:
    """What plain Harbor builds; podgym's own providers build from the recipe."""
    recipe = task.sandbox.recipe or ImageRecipe(base=task.sandbox.image, workdir=task.sandbox.workdir)
    return dockerfile(recipe.model_copy(update={"env": {**recipe.env, **task.sandbox.env}}))


def _settings(task: Task, plan: GradingPlan | None, agent_timeout_s: float) -> dict[str, Any]:
    """`task.toml` as Harbor reads it (schema 1.1), with our own table."""
    table = PodgymTable(
        id=task.id,
        environment=task.environment,
        split=task.split,
        tags=task.tags,
        digest=task.digest,
        grading="tests/grading.json" if task.grading else "",
        provenance=dict(task.provenance),
        sandbox=task.sandbox.model_copy(update={"context": None}),
    )
    limits = task.sandbox.limits
    first = next((line.strip("# ") for line in task.instruction.splitlines() if line.strip("# ")), task.id)
    return {
        "schema_version": "1.1",
        "task": {
            "name": f"podgym/{_harbor_name(task.id)}",
            "description": first[:120].encode("utf-8", "replace").decode(),
            "keywords": list(task.tags),
        },
        "metadata": {"podgym": table.model_dump(mode="json", exclude_none=True)},
        "agent": {"timeout_sec": agent_timeout_s},
        "verifier": {"timeout_sec": 60.0 + sum(command.timeout_s for command in plan.tests) if plan is not None else 600.0},
        "environment": {
            "build_timeout_sec": 3600.0,
            "cpus": max(1, math.ceil(limits.cpus)),
            "memory_mb": max(1, limits.memory_bytes >> 20),
            "storage_mb": max(1, limits.disk_bytes >> 20),
            "network_mode": "public" if task.sandbox.network == "full" else "no-network",
            "allow_internet": task.sandbox.network == "full",
        },
    }


def _harbor_name(task_id: str) -> str:
    return re.sub(r"\.{2,}", ".", re.sub(r"[^A-Za-z0-9._-]", "-", task_id))


def _put(staging: Path, name: str, content: Content, directory: Path) -> None:
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts or "\0" in name or not pure.parts:
        raise TaskError("A file's name leaves its folder.", file=directory, key=name, remedy="Use relative names without `..`.")
    path = staging / pure
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, Path):
        shutil.copyfile(content, path)
    else:
        path.write_bytes(content)
    path.chmod(0o755 if path.suffix == ".sh" else 0o644)
