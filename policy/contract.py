"""The policy contract: token in, token out, with everything that the trainer must know about each sampled token."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

__all__ = ["Interruptible", "Policy", "Routes", "Sample", "SampleRequest", "TokenIds", "Tokenizer", "VersionSpan"]

TokenIds = NDArray[np.int32]
Routes = NDArray[np.uint8] | NDArray[np.uint16]
"""[rows, layers, top_k] indices of the experts that each MoE layer picked for a token; uint8 up to 256 experts."""


@dataclass(frozen=True, slots=True)
class SampleRequest:
    """Continue one rollout's sequence by one turn."""

    rollout_id: str
    """Keeps a rollout's cache apart from all others (vLLM: `cache_salt`)."""
    tokens: TokenIds
    """[held] the whole sequence so far, prompt and observations included."""
    max_tokens: int
    temperature: float = 1.0
    stop: tuple[int, ...] = ()
    """Token ids that end the turn; the one that did is part of the sample."""
    routes_from: int = 0
    """First position whose route row is wanted: `rows already held` of the rollout's ledger."""
    seed: int | None = None
    """Of the whole rollout, the same for each of its turns: the draw for a token depends on its position too."""
    task_id: str = ""
    """For scripted policies and for placement; engines ignore it."""


@dataclass(frozen=True, slots=True)
class VersionSpan:
    """Sampled tokens [start, end) of this turn came from weights of `version`."""

    start: int
    end: int
    version: int


@dataclass(frozen=True, slots=True)
class Sample:
    """One sampled turn of n >= 1 tokens."""

    tokens: TokenIds
    """[n]"""
    logprobs: NDArray[np.float32]
    """[n] of the processed distribution that was sampled from."""
    finish_reason: Literal["stop", "length", "aborted"]
    versions: tuple[VersionSpan, ...]
    """Cover [0, n) without gaps."""
    routes: Routes | None = field(default=None)
    """Rows for positions [routes_from, held + n - 1): the last sampled token has not been read yet. None for a policy
    without routed experts."""


@runtime_checkable
class Policy(Protocol):
    """Where turns come from."""

    async def sample(self, request: SampleRequest) -> Sample:
        """Raises an error of `podgym.policy.errors`; never returns a partial or invented sample silently."""
        ...

    async def close(self) -> None:
        """Release what the policy holds; idempotent."""
        ...


@runtime_checkable
class Interruptible(Protocol):
    """A policy that waits for its engine to come back instead of failing at once."""

    @property
    def outages(self) -> int:
        """Times that the engine was gone so far."""
        ...


@runtime_checkable
class Tokenizer(Protocol):
    """What the scaffold needs of a tokenizer."""

    def encode(self, text: str) -> list[int]:
        """Without special tokens added; lossless: `decode(encode(text)) == text`."""
        ...

    def decode(self, tokens: list[int]) -> str:
        """Special tokens included, undecodable bytes as U+FFFD."""
        ...
