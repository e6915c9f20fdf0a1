"""What a project's CI files say about how it is built; values only."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["CiFacts", "CiStep"]


class CiStep(BaseModel):
    """One shell line of a job, with what a bare line leaves out: where it runs and under which variables."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    line: str
    directory: str = ""
    """Relative to the repository; empty for its root."""
    env: Mapping[str, str] = Field(default_factory=dict)
    """Of the workflow, the job and the step, as far as it is known."""
    job: str = ""
    """`file:job`, for telling the lines of one job from those of another."""


class CiFacts(BaseModel):
    """Of all CI files of one commit, the jobs that run on Linux."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    packages: tuple[str, ...] = ()
    """Debian packages that are installed by name, in the order of their appearance."""
    versions: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    """Of `python`, `node`, `java`, `go`, `rust`, `pnpm`, …, in the order of their appearance; matrices unfolded."""
    env: Mapping[str, str] = Field(default_factory=dict)
    """Set for a whole workflow or job, without expressions and secrets."""
    commands: tuple[str, ...] = ()
    """Shell lines of steps, in order, continuation lines joined."""
    steps: tuple[CiStep, ...] = ()
    """The same lines, with their directories and variables: a monorepo's commands mean nothing without them."""
    services: tuple[str, ...] = ()
    """Images of services (databases) that jobs start."""
    images: tuple[str, ...] = ()
    """Of the containers that jobs run in: an image such as `ros:humble` says what versions alone do not."""
    sources: tuple[str, ...] = ()
    """The files that were read."""
    notes: tuple[str, ...] = ()
    """Files that could not be read, and why."""
