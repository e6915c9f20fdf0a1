"""The one vocabulary of a rollout. Everything that happened to it is one of these events, in order.

Events are small and frozen; bulk numbers travel beside an event as named numpy arrays (see `podgym.traces.trace`), never
inside its JSON. A reader that meets a `kind` it does not know keeps it as `Unknown`, so that newer files open in older
programs.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "BaseEvent", "Claimed", "Closed", "ContextCompressed", "Created", "Event", "Flagged", "Masked", "Prompt", "Queued", "Retried",
    "Sampled", "ToolCalled", "ToolReturned", "Unknown", "Verified",
]  # fmt: skip


class BaseEvent(BaseModel):
    """What all events share."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    at_s: float = Field(default=0.0)
    """Unix time; the trace stamps it on append where it is 0."""


class Created(BaseEvent):
    """First in every trace: what this rollout is."""

    kind: Literal["created"] = "created"
    rollout_id: str
    run_id: str
    group_id: str
    """Attempts that are compared with each other share it."""
    task_id: str
    environment: str
    """Registered name of the environment type."""
    attempt: int = 0
    """0 for the first try, counted up when an infrastructure failure made the driver start it anew."""
    index: int = 0
    """Place inside the group."""
    step: int | None = None
    """Training step that asked for it; None outside training."""
    split: str = "train"
    policy: str = ""
    temperature: float = 1.0
    instruction: str = ""


class Queued(BaseEvent):
    """The driver knows of it and nothing runs yet."""

    kind: Literal["queued"] = "queued"


class Claimed(BaseEvent):
    """A sandbox was made."""

    kind: Literal["claimed"] = "claimed"
    provider: str
    image: str
    create_s: float
    """Seconds from the request to a sandbox that runs commands, `Environment.prepare` included."""


class Prompt(BaseEvent):
    """The opening context. Array `tokens`: int32 [n]."""

    kind: Literal["prompt"] = "prompt"
    tokens: int
    text: str


class Sampled(BaseEvent):
    """One turn of the policy.

    Arrays: `tokens` int32 [n] and `logprobs` float32 [n] of what was sampled, `versions` int32 [n] (weight version of each
    token), and where the policy records them `routes` uint8/uint16 [rows, layers, top_k], whose first row belongs to
    position `routes_from` of the rollout's whole token sequence, and `route_versions` int32 [rows], the weights that read them.
    """

    kind: Literal["sampled"] = "sampled"
    turn: int
    start: int
    """Position of the first sampled token in the rollout's whole token sequence, or, after the context was compressed, in
    the sequence that began with the new context. `routes_from` counts the same way."""
    tokens: int
    text: str
    finish_reason: Literal["stop", "length", "aborted"]
    routes_from: int | None = None
    seconds: float = 0.0


class ToolCalled(BaseEvent):
    """What the policy asked for."""

    kind: Literal["tool_called"] = "tool_called"
    turn: int
    tool: str
    """`bash`, `str_replace`, `finish`, or `invalid` for a call that could not be read."""
    arguments: dict[str, Any] = Field(default_factory=dict)


class ToolReturned(BaseEvent):
    """What the tool said. Array `tokens`: int32 [n], the tokens appended to the context (none after `finish`)."""

    kind: Literal["tool_returned"] = "tool_returned"
    turn: int
    tool: str
    ok: bool
    exit_code: int | None = None
    output: str
    """As the policy saw it, cuts marked."""
    cut_bytes: int = 0
    timed_out: bool = False
    seconds: float = 0.0


class Flagged(BaseEvent):
    """The hack monitor's finding: an attempt to get at the answer or the grader, or a signal about the outcome."""

    kind: Literal["flagged"] = "flagged"
    turn: int | None = None
    """Of the call; None for what only the outcome shows."""
    rule: str
    family: str
    """`signal` is no attempt."""
    excerpt: str = ""
    """The command, cut."""
    succeeded: bool | None = None
    """As far as the output tells; None where it does not."""
    evidence: str = ""
    version: int | None = None
    """Of the weights that sampled the turn."""


class ContextCompressed(BaseEvent):
    """The context was replaced by a shorter one; a trajectory is cut here. Array `tokens`: int32 [n], the new context."""

    kind: Literal["context_compressed"] = "context_compressed"
    turn: int
    dropped_tokens: int


class Verified(BaseEvent):
    """The verdict, as `podgym.verifiers.Verdict.model_dump()` gives it, beside what every page shows."""

    kind: Literal["verified"] = "verified"
    status: Literal["scored", "unscored"]
    reward: float | None
    reason: str = ""
    """Typed reason of an unscored verdict."""
    diff: str = ""
    """The change that was graded, as text for people."""
    verdict: dict[str, Any] = Field(default_factory=dict)
    seconds: float = 0.0


class Retried(BaseEvent):
    """An infrastructure failure ended this attempt; the driver starts another."""

    kind: Literal["retried"] = "retried"
    error: str
    message: str


class Masked(BaseEvent):
    """The rollout takes no part in training, and why."""

    kind: Literal["masked"] = "masked"
    reason: str


class Closed(BaseEvent):
    """Last in every whole trace."""

    kind: Literal["closed"] = "closed"
    stop: str
    """`finished`, `max_turns`, `max_tokens`, `max_seconds`, `invalid_calls`, `cancelled`, `error`."""
    turns: int
    sampled_tokens: int
    seconds: float


class Unknown(BaseEvent):
    """An event of a later version, kept as it was."""

    model_config = ConfigDict(frozen=True, extra="allow")

    kind: str


Event = Annotated[
    Created
    | Queued
    | Claimed
    | Prompt
    | Sampled
    | ToolCalled
    | ToolReturned
    | Flagged
    | ContextCompressed
    | Verified
    | Retried
    | Masked
    | Closed,
    Field(discriminator="kind"),
]
