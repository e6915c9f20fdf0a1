"""What an environment type is: tasks, how a sandbox is made ready for one, and how its outcome is verified."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field

from podgym.sandbox import Sandbox, SandboxProvider, SandboxSpec
from podgym.traces import Trace
from podgym.verifiers import Verdict

__all__ = ["VERIFY_S", "Environment", "Task"]

VERIFY_S: Final = 1800.0
"""How long `Environment.verify` may take where a run's limits say nothing else; whoever builds tasks keeps within it. A grading
that takes longer ends as a failure of the infrastructure, although the agent may have caused it."""


class Task(BaseModel):
    """One problem. Frozen and JSON-serialisable, so that it crosses processes and is stored with the run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9][A-Za-z0-9._@+-]*$")
    environment: str
    """Registered name of the type that the task belongs to."""
    instruction: str
    """What the agent is told."""
    sandbox: SandboxSpec
    grading: Mapping[str, Any] = Field(default_factory=dict)
    """The type's own data for `verify`; never shown to the agent."""
    provenance: Mapping[str, str] = Field(default_factory=dict)
    """Where the task came from: repository, commits, certificate digest."""
    tags: tuple[str, ...] = ()
    split: str = "train"
    digest: str = ""
    """Of everything that decides the outcome; equal digests may share verdicts. Empty: never cached."""


@runtime_checkable
class Environment(Protocol):
    """What a plug-in implements. The class is called with the job's options for it as keyword arguments."""

    def tasks(self) -> Iterable[Task]:
        """The tasks, in an order that depends on the options alone."""
        ...

    async def prepare(self, task: Task, sandbox: Sandbox) -> None:
        """Make a fresh sandbox of `task.sandbox` ready for the agent."""
        ...

    async def verify(self, task: Task, sandbox: Sandbox, trace: Trace, provider: SandboxProvider) -> Verdict:
        """Judge what the agent left in `sandbox`. Runs once, after the agent ended.

        Raises `SandboxError` for a failure of the infrastructure; the driver turns it into a retry or `unscored`.
        """
        ...
