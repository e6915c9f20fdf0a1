"""One build as what is sent to the process that makes it: plain values, so that they cross processes and machines as JSON."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from podgym.envs.build.funnel.line import Line

__all__ = ["OUT", "REPORT", "WORK", "Bounds", "Job", "job_of"]

WORK = ".funnel"
"""In the folder of a funnel: a directory for each build in progress."""
OUT = "out"
"""In a build's directory: its task."""
REPORT = "report.json"
"""In a build's directory, once it has ended."""


class Bounds(BaseModel):
    """What one build may take. Its steps and tests have bounds of their own, which are smaller."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    timeout_s: float = Field(default=7200.0, gt=0)
    """From its start to its report."""
    disk_bytes: int = Field(default=40 << 30, gt=0)
    """Of files that it writes while it is made, as far as they can be told from others': not what a Docker engine keeps."""
    free_bytes: int = Field(default=2 << 30, ge=0)
    """No build starts where less is free; one in progress that has written a good part of what is missing is ended."""
    goodbye_s: float = Field(default=15.0, gt=0)
    """For closing its sandboxes, before it is killed."""


class Job(BaseModel):
    """See the module."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    source: str
    commit: str
    issue: str | None = None
    name: str | None = None
    options: dict[str, JsonValue] = Field(default_factory=dict)
    """Fields of `BuildOptions`."""
    provider: tuple[str, dict[str, JsonValue]] = ("auto", {})
    """Name and options."""
    folder: str
    """Of the funnel, absolute; where several machines build, one that all of them share."""
    cwd: str
    """What paths in the options are relative to."""
    bounds: Bounds = Bounds()

    @property
    def work(self) -> Path:
        """This build's own directory."""
        return Path(self.folder) / WORK / self.key


def job_of(line: Line, folder: Path, *, provider: tuple[str, dict[str, JsonValue]], bounds: Bounds) -> Job:
    """The job of a line. `folder` is the funnel's."""
    return Job(
        key=line.key,
        source=line.repo,
        commit=line.commit,
        issue=line.issue,
        name=line.name,
        options=line.options,
        provider=provider,
        folder=str(folder.absolute()),
        cwd=str(Path.cwd()),
        bounds=bounds,
    )
