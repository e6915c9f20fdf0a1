"""Writes tasks of podgym's as rows of SWE-bench, one JSON object a line, or as Harbor directories."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from podgym.envs.harbor import TaskError, TaskFiles, read_task

__all__ = ["export_harbor", "export_rows", "swe_bench_row"]


def swe_bench_row(directory: Path) -> dict[str, Any]:
    """The row of one task. Raises `TaskError` for a directory that is none, or was built without running its tests."""
    task = read_task(directory)
    files, said = TaskFiles(directory), task.provenance
    if not task.grading.get("fail_to_pass"):
        raise TaskError(
            "It does not say which tests decide.", file=directory, remedy="Build the task with its tests, without --no-validate."
        )
    base = said.get("base", "")
    row = {
        "repo": _repository(said.get("repo") or said.get("source", "")),
        "instance_id": task.id,
        "base_commit": base,
        "patch": _text(files, "solution/gold.patch", directory),
        "test_patch": _text(files, "solution/tests.patch", directory),
        "problem_statement": task.instruction,
        "hints_text": "",
        "created_at": said.get("committed", ""),
        "version": "",
        "FAIL_TO_PASS": json.dumps(list(task.grading["fail_to_pass"])),
        "PASS_TO_PASS": json.dumps(list(task.grading.get("pass_to_pass", ()))),
        "environment_setup_commit": base,
    }
    return {**row, **({"language": task.tags[0]} if task.tags else {})}


def export_rows(directories: Iterable[Path], file: Path) -> int:
    """Write the rows of tasks, whole or not at all; how many. Raises `TaskError`."""
    count = 0
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, staging = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as out:
                for directory in directories:
                    out.write(json.dumps(swe_bench_row(directory)) + "\n")
                    count += 1
                os.fchmod(out.fileno(), 0o644)
            Path(staging).replace(file)
        except BaseException:
            Path(staging).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise _unwritable(file, error) from error
    return count


def export_harbor(directories: Sequence[Path], folder: Path, *, overwrite: bool = False) -> list[Path]:
    """Copy task directories, which are in that format already, into one folder. Raises `TaskError`."""
    made = []
    for directory in directories:
        task = read_task(directory)
        place = folder / task.id
        if place.exists() and not overwrite:
            raise TaskError("It is in use.", file=place, remedy="Choose another --out, or say --overwrite.")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            staging = Path(tempfile.mkdtemp(prefix=f".{task.id}.", dir=folder))
            try:
                staging.chmod(0o755)
                shutil.copytree(directory, staging, dirs_exist_ok=True, ignore=_links)
                if place.exists():
                    shutil.rmtree(place)
                staging.rename(place)
            except BaseException:
                shutil.rmtree(staging, ignore_errors=True)
                raise
        except (OSError, shutil.Error) as error:
            raise _unwritable(place, error) from error
        made.append(place)
    return made


def _links(folder: str, names: list[str]) -> list[str]:
    """A task holds none; one that leads elsewhere is not followed."""
    return [name for name in names if Path(folder, name).is_symlink()]


def _repository(location: str) -> str:
    """`owner/name` of a URL or a path."""
    parts = [part for part in re.split(r"[/:]+", location.rstrip("/").removesuffix("/.git").removesuffix(".git")) if part]
    return "/".join(parts[-2:])


def _text(files: TaskFiles, name: str, directory: Path) -> str:
    try:
        return files(name).decode()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise TaskError(
            f"A row cannot hold {name}: {error}.", file=directory, remedy="Export it as a Harbor directory, which takes any file."
        ) from error


def _unwritable(place: Path, error: Exception) -> TaskError:
    said = getattr(error, "strerror", None) or error
    return TaskError(f"Cannot write it: {said}.", file=place, remedy="Free space, check permissions, or choose another --out.")
