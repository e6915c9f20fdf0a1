"""Tasks of other origin as rows, read and written; `podgym.envs.formats.importing` makes tasks of them, `exporting` rows of tasks."""

from podgym.envs.formats.directory import docker_text, is_own, read_directory, read_foreign_directory
from podgym.envs.formats.kinds import format_of, read_mapping
from podgym.envs.formats.reading import is_row_file, read_items, read_mappings
from podgym.envs.formats.row import FORMATS, Format, RowFile, TaskRow

__all__ = [
    "FORMATS",
    "Format",
    "RowFile",
    "TaskRow",
    "docker_text",
    "format_of",
    "is_own",
    "is_row_file",
    "read_directory",
    "read_foreign_directory",
    "read_items",
    "read_mapping",
    "read_mappings",
]
