"""A rollout's one token sequence, grown in place, and the ledger of route rows that the policy has given for it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from podgym.policy import PolicyError, RoutesError, Sample, TokenIds
from podgym.policy.routing import RouteLedger

__all__ = ["TokenSequence"]


class TokenSequence:
    """Append-only. A view handed out stays as it was, whatever is appended later."""

    def __init__(self) -> None:
        self._buffer: TokenIds = np.empty(1024, dtype=np.int32)
        self._held = 0
        self._ledger = RouteLedger()

    def __len__(self) -> int:
        return self._held

    @property
    def routes_held(self) -> int:
        """Positions [0, routes_held) have a route row; the next request asks for rows from here on."""
        return self._ledger.held

    @property
    def tokens(self) -> TokenIds:
        """[held] everything so far; read-only, shares memory."""
        view = self._buffer[: self._held]
        view.flags.writeable = False
        return view

    def append(self, tokens: TokenIds) -> None:
        """Observations and prompts: tokens [n] that the policy did not sample."""
        end = self._held + len(tokens)
        if end > len(self._buffer):
            grown = np.empty(max(end, 2 * len(self._buffer)), dtype=np.int32)
            grown[: self._held] = self._buffer[: self._held]
            self._buffer = grown
        self._buffer[self._held : end] = tokens
        self._held = end

    def append_sample(self, sample: Sample, *, routes_from: int) -> NDArray[np.int32]:
        """What the policy sampled, as it is; its route rows, which start at `routes_from`, go into the ledger.

        Returns the weight version of each row [rows]: a token is read when the one after it is sampled, and what came before this turn
        when its first token is. Raises `PolicyError` and `RoutesError` for a sample whose parts do not belong together or whose
        routes cannot be true.
        """
        count = len(sample.tokens)
        covered = 0
        for span in sample.versions:
            covered = span.end if span.start == covered and span.end > covered else -1
        if not count or len(sample.logprobs) != count or covered != count:
            raise PolicyError(
                f"A sample of {count} tokens came with {len(sample.logprobs)} logprobs and versions {sample.versions}.",
                remedy="The policy must give at least one token, and a logprob and a version for each.",
            )
        start = self._held
        self.append(sample.tokens)
        if sample.routes is None:
            return np.empty(0, dtype=np.int32)
        rows = self._held - 1 - routes_from
        if len(sample.routes) != rows:
            raise RoutesError(
                f"The policy gave {len(sample.routes)} route rows for positions [{routes_from}, {self._held - 1}).",
                remedy=f"It must give {rows}: all but the last sampled token's.",
            )
        sampled_by = np.concatenate([np.full(span.end - span.start, span.version, dtype=np.int32) for span in sample.versions])
        versions = sampled_by[np.maximum(np.arange(routes_from, self._held - 1) - (start - 1), 0)]
        self._ledger.record(routes_from, sample.routes, versions)
        return versions
