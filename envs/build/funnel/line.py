"""The lines that a funnel reads: one JSON object a build, from a file that anybody may have made.

A line that cannot be used is a value that says why, so that the next one goes on. Keys that are no part of a build are passed over,
because lists of repositories come with columns of their own, and are named in the row.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from podgym.envs.build.funnel.errors import FunnelError
from podgym.envs.build.options import BuildOptions
from podgym.envs.repository.git import redact
from podgym.envs.repository.remote import is_remote

__all__ = ["BadLine", "Line", "Source", "read_lines"]

_LINE_BYTES: Final = 8 << 20
_FIELDS: Final = ("repo", "commit", "issue", "name", "options")
_NOT_FROM_A_FILE: Final = frozenset({"catalogue"})
_SHOWN: Final = 200


class Line(BaseModel):
    """One build that is asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int = 0
    """In its file, from 1."""
    repo: str = Field(min_length=1)
    """A URL, or an absolute path."""
    commit: str = Field(min_length=1)
    issue: str | None = None
    name: str | None = None
    options: dict[str, JsonValue] = Field(default_factory=dict)
    """Fields of `BuildOptions`."""
    unknown: tuple[str, ...] = ()
    """Keys that were passed over."""

    @property
    def key(self) -> str:
        """Equal for lines that ask for the same task: source, commit and options."""
        options = {name: value for name, value in self.options.items() if name != "overwrite"}
        said = [redact(self.repo), self.commit, self.issue, self.name, options]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode("utf-8", "surrogatepass")).hexdigest()[:24]


class BadLine(BaseModel):
    """A line that asks for nothing that can be built."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    message: str
    repo: str = ""
    commit: str = ""
    language: str = ""
    stage: str = "line"
    reason: str = "bad_line"


Source = Line | BadLine


def read_lines(file: Path, defaults: Mapping[str, Any]) -> Iterator[Source]:
    """The lines of `file`, blank ones left out; `defaults` are options that a line's own go before.

    Raises `FunnelError` for a file that cannot be read at all.
    """
    try:
        with file.open("rb") as lines:
            number = 0
            while line := lines.readline(_LINE_BYTES + 1):
                number += 1
                if len(line) > _LINE_BYTES:
                    while line and not line.endswith(b"\n"):
                        line = lines.readline(_LINE_BYTES)
                    yield BadLine(number=number, message=f"The line has more than {_LINE_BYTES} bytes.")
                elif line.strip():
                    yield parse_line(line, defaults, number=number)
    except OSError as error:
        raise FunnelError(f"{file} cannot be read: {error.strerror}.", remedy="Give a file with one JSON object a line.") from error


def parse_line(line: bytes, defaults: Mapping[str, Any], *, number: int) -> Source:
    """One line, checked."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        return BadLine(number=number, message=f"It is not JSON: {error}.")
    if not isinstance(found, dict):
        return BadLine(number=number, message=f"It holds {type(found).__name__}, not an object.")
    shown = {key: found[key] for key in ("repo", "commit", "language") if isinstance(found.get(key), str)}
    shown["repo"] = redact(shown.get("repo", ""))
    options = found.get("options")
    if options is not None and not isinstance(options, dict):
        return BadLine(number=number, message=f"options: It holds {type(options).__name__}, not an object.", **shown)
    fields = BuildOptions.model_fields
    given = {**defaults, **(options or {})}
    given |= {key: value for key, value in found.items() if key in fields and key not in _FIELDS and value is not None}
    try:
        refused = sorted(_NOT_FROM_A_FILE.intersection(given))
        if refused:
            raise ValueError(f"options.{refused[0]}: It cannot be given in a file.")
        BuildOptions(**given)
        parsed = Line(
            number=number,
            unknown=tuple(key[:_SHOWN] for key in found if key not in fields and key not in _FIELDS),
            options=given,
            **{key: found[key] for key in ("repo", "commit", "issue", "name") if found.get(key) is not None},
        )
    except ValidationError as error:
        first: Any = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the line"
        return BadLine(number=number, message=f"{place}: {first['msg']}.", **shown)
    except (ValueError, TypeError) as error:
        return BadLine(number=number, message=str(error), **shown)
    if "\0" in parsed.repo + parsed.commit:
        return BadLine(number=number, message="There is a NUL in it.", **shown)
    return parsed if is_remote(parsed.repo) else parsed.model_copy(update={"repo": str(_absolute(parsed.repo))})


def _absolute(path: str) -> Path:
    """A repository's path whatever directory the build itself runs in."""
    return Path(path.removeprefix("file://")).expanduser().absolute()
