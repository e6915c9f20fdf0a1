"""Reads Harbor directories as rows: podgym's own, and those of other builders, whose base and patches are scattered over their files."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from podgym.envs.formats.kinds import read_mapping
from podgym.envs.formats.row import RowFile, TaskRow, text, when
from podgym.envs.harbor import TaskError, TaskFiles, read_task

__all__ = ["docker_text", "is_own", "read_directory", "read_foreign_directory"]

_FILE_BYTES: Final = 64 << 20
_FILES: Final = 5000
_ID: Final = r"([0-9a-f]{40})"
_CHECKOUT: Final = re.compile(rf"git\s+(?:-\S+\s+(?:\S+\s+)?)*(?:checkout|reset|fetch|switch)\b[^\n&;|]*?\b{_ID}\b")
_WORKDIR: Final = re.compile(r"(?im)^\s*WORKDIR\s+(\S+)")
_CLONE: Final = re.compile(r"git\s+clone\b[^\n&;|]*?\s(https?://\S+|git@\S+)")
_RUNNERS: Final = ("test.sh", "run-tests.sh", "config.json", "grading.json", "Dockerfile")


def read_directory(directory: Path) -> TaskRow:
    """The row of a task directory, podgym's own or another's. Raises `TaskError`."""
    return _read_own(directory) if is_own(directory) else read_foreign_directory(directory)


def is_own(directory: Path) -> bool:
    """Whether podgym wrote it."""
    metadata = _toml(TaskFiles(directory, limit_bytes=_FILE_BYTES)).get("metadata")
    return isinstance(metadata, dict) and "podgym" in metadata


def _read_own(directory: Path) -> TaskRow:
    task = read_task(directory)
    files = TaskFiles(directory)
    said, grading = task.provenance, task.grading
    return TaskRow(
        format="harbor",
        id=task.id,
        repo=said.get("repo") or said.get("source", ""),
        base=said.get("base", ""),
        fix=said.get("commit", ""),
        fix_patch=_bytes(files, "solution/gold.patch"),
        test_patch=_bytes(files, "solution/tests.patch"),
        instruction=task.instruction,
        created=when(said.get("committed")),
        language=task.tags[0] if task.tags else "",
        fail_to_pass=tuple(grading.get("fail_to_pass", ())),
        pass_to_pass=tuple(grading.get("pass_to_pass", ())),
        image=task.sandbox.image,
        workdir=task.sandbox.workdir,
    )


def read_foreign_directory(directory: Path) -> TaskRow:
    """The row of a directory of other origin. Raises `TaskError` for what is none."""
    if not (directory / "task.toml").is_file() and not (directory / "instruction.md").is_file():
        raise TaskError(
            "There is neither task.toml nor instruction.md in it.", file=directory, remedy="Give a task's directory, or a row as JSON."
        )
    files = TaskFiles(directory, limit_bytes=_FILE_BYTES)
    found = _config_row(directory, files)
    row = read_mapping(found) if found else TaskRow(format="harbor")
    docker = docker_text(directory)
    gold = b"".join(_patches(files(path)) for path in _below(directory, "solution"))
    hidden = tuple(
        RowFile(path.removeprefix("tests/"), files(path)) for path in _below(directory, "tests") if path.rsplit("/", 1)[-1] not in _RUNNERS
    )
    metadata = _metadata(files)
    base, workdirs, clone = _CHECKOUT.search(docker), _WORKDIR.findall(docker), _CLONE.search(docker)
    return TaskRow(
        format="harbor",
        id=directory.resolve().name,
        repo=row.repo or (clone[1] if clone else ""),
        base=row.base or text(metadata.get("base_commit")) or (base[1] if base else ""),
        fix=text(metadata.get("fix_commit")),
        fix_patch=row.fix_patch or gold,
        test_patch=row.test_patch,
        test_files=() if row.test_patch else hidden,
        instruction=_file_text(files, "instruction.md"),
        created=row.created,
        language=row.language,
        fail_to_pass=row.fail_to_pass,
        pass_to_pass=row.pass_to_pass,
        pull=row.pull,
        image=row.image,
        workdir=workdirs[-1] if workdirs and workdirs[-1].startswith("/") else "",
        unused=row.unused,
    )


def docker_text(directory: Path) -> str:
    """The Dockerfile, nothing where there is none."""
    return _file_text(TaskFiles(directory, limit_bytes=_FILE_BYTES), "environment/Dockerfile")


def _file_text(files: TaskFiles, name: str) -> str:
    """A file's text, nothing where there is none."""
    return _bytes(files, name).decode("utf-8", "replace")


def _below(directory: Path, folder: str) -> list[str]:
    """Regular files of a folder, by their names in the directory. Raises `TaskError` where there are too many."""
    found = sorted(
        path.relative_to(directory).as_posix() for path in (directory / folder).rglob("*") if path.is_file() and not path.is_symlink()
    )
    if len(found) > _FILES:
        raise TaskError(f"There are more than {_FILES} files in {folder}/.", file=directory, remedy="This is no task.")
    return found


def _config_row(directory: Path, files: TaskFiles) -> Mapping[str, Any]:
    """The row that adapters of data sets leave beside the tests."""
    if not (directory / "tests/config.json").is_file():
        return {}
    try:
        data = json.loads(files("tests/config.json"))
    except (OSError, ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def _metadata(files: TaskFiles) -> Mapping[str, Any]:
    """What other builders say in `[metadata]`, one table below it included."""
    metadata = _toml(files).get("metadata")
    if not isinstance(metadata, dict):
        return {}
    tables = [table for table in metadata.values() if isinstance(table, dict)]
    return {**{key: value for table in reversed(tables) for key, value in table.items()}, **metadata}


def _toml(files: TaskFiles) -> dict[str, Any]:
    try:
        return tomllib.loads(files("task.toml").decode("utf-8", "replace"))
    except (OSError, ValueError, RecursionError):
        return {}


def _bytes(files: TaskFiles, name: str) -> bytes:
    try:
        return files(name)
    except OSError:
        return b""


def _patches(data: bytes) -> bytes:
    """The parts of a file that are patches: a patch itself, or one inside a script."""
    at = data.find(b"diff --git ")
    return data[at:] + b"\n" if at >= 0 else b""
