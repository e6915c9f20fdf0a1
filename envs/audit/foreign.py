"""Reads tasks of other origin as subjects of an audit: Harbor directories without podgym's table, and rows of data sets as JSON.

`podgym.envs.formats` reads them. What a source does not say stays empty, and the audit does without.
"""

from __future__ import annotations

import re
from pathlib import Path

from podgym.envs.audit.image import Image, ImageConfig, ImageLayer
from podgym.envs.audit.layers import DirectoryLayer
from podgym.envs.audit.subject import HiddenContent, Subject
from podgym.envs.formats import TaskRow, docker_text, is_row_file, read_foreign_directory, read_mapping, read_mappings
from podgym.envs.harbor import TaskError

__all__ = ["foreign_context", "is_row_file", "read_foreign_task", "read_row"]


def read_foreign_task(directory: Path) -> Subject:
    """The subject of a Harbor directory of other origin. Raises `TaskError` for what is none."""
    return _subject(read_foreign_directory(directory))


def foreign_context(directory: Path) -> Image:
    """What a foreign task's image is built from, as one layer, and its Dockerfile's lines as the history."""
    lines = re.sub(r"\\\n", " ", docker_text(directory)).splitlines()
    env = tuple(line.split(None, 1)[1] for line in lines if re.match(r"(?i)ENV\s+\S", line))
    layer = DirectoryLayer(
        [(directory / "environment", "environment")] if (directory / "environment").is_dir() else [], digest="environment"
    )
    config = ImageConfig(env=env, history=tuple(lines))
    return Image(id="", source=str(directory), layers=(ImageLayer(1, layer, label="context"),), config=config)


def read_row(path: Path, instance: str = "") -> tuple[Subject, str]:
    """The subject of a row, and the image that it names; `instance` chooses one of several. Raises `TaskError`."""
    found = None
    for row in read_mappings(path):
        if instance and str(row.get("instance_id", "")) != instance:
            continue
        if found is not None:
            raise TaskError("It holds several rows.", file=path, key="instance_id", remedy="Choose one with --instance.")
        found = row
        if instance:
            break
    if found is None:
        said = f"no row {instance!r}" if instance else "no row"
        raise TaskError(f"It holds {said}.", file=path, key="instance_id", remedy="Give a row as a data set publishes it, as JSON.")
    read = read_mapping(found)
    return _subject(read), read.image


def _subject(row: TaskRow) -> Subject:
    return Subject(
        task=row.id,
        base=row.base if re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", row.base) else "",
        fix=row.fix,
        gold_patch=row.fix_patch,
        test_patch=row.test_patch,
        hidden=tuple(HiddenContent(file.path, file.data) for file in row.test_files if file.data is not None),
        test_names=row.fail_to_pass,
        instruction=row.instruction,
        workdir=row.workdir,
        repository=row.repo,
        pull=row.pull,
    )
