"""The decoding loop of one model, step by step and without threads.

Rows join and leave between steps. A step reads, for every row, the tokens that are not in its slot yet (a whole prompt, an
observation, or the one token sampled last), and samples the next token of each row that is fully read. A rollout's slot is
kept after its turn, so its next turn reads only what was appended; the longest unused slot is given away when none is free.

New weights make every key, value and activation of the old ones stale. Slots at rest are emptied, and rows in flight are read
again under the new weights, so each sampled token's log-probability and each newly read token's route come from exactly one
version. A position's route is recorded once: reading it again does not overwrite it.

Randomness is one uniform number a token, taken from the seed's stream at the token's position in the sequence and inverted through
the cumulative distribution. So an outcome does not depend on what else is in the batch (but for rounding), the turns of one rollout
share no draw, and a turn that was interrupted goes on as it would have.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from podgym.policy.contract import Sample, SampleRequest, VersionSpan
from podgym.policy.errors import CheckpointError, PolicyError
from podgym.policy.routing import route_dtype
from podgym.policy.transformers.runners import Runner
from podgym.policy.transformers.slots import SlotCache, plan_step

__all__ = ["Engine", "Row"]

_GREEDY_BELOW = 1e-5


@dataclass(slots=True)
class Row:
    """A request that is being sampled."""

    request: SampleRequest
    slot: int
    limit: int
    """Most tokens it may sample: `max_tokens`, or what is left of the context."""
    spans: list[tuple[int, int]] = field(default_factory=list)
    """(first sampled token, weight version)."""


class Engine:
    """Not thread-safe; one owner calls everything."""

    def __init__(self, runner: Runner, *, version: int, batch: int, slots: int, context: int, tokens_per_step: int, seed: int) -> None:
        self.runner = runner
        self.version = version
        self.batch = batch
        self.context = context
        self.steps = self.tokens_read = self.tokens_sampled = 0
        self._tokens_per_step = tokens_per_step
        self._device = next(runner.model.parameters()).device
        self._vocab = int(runner.model.config.vocab_size)
        self._seeds = np.random.default_rng(seed)
        self._cache = SlotCache(slots=slots, length=context)
        gates = runner.gates
        self._records = bool(gates)
        self._rows: dict[int, Row] = {}
        self._free = list(range(slots))
        self._resting: OrderedDict[str, int] = OrderedDict()
        shape = (slots, context)
        self._tokens = np.zeros(shape, dtype=np.int64)
        self._logprobs = np.zeros(shape, dtype=np.float32)
        self._uniforms = np.zeros(shape, dtype=np.float64)
        layers, top_k = len(gates), gates[0].top_k if gates else 0
        self._routes: NDArray[Any] = np.zeros((*shape, layers, top_k), dtype=route_dtype(gates[0].experts if gates else 1))
        self._length, self._read, self._recorded, self._held, self._limit = (np.zeros(slots, dtype=np.int64) for _ in range(5))
        self._temperature = np.ones(slots, dtype=np.float32)
        self._stops = np.full((slots, 4), -1, dtype=np.int64)

    @property
    def active(self) -> int:
        """Rows being sampled."""
        return len(self._rows)

    @property
    def has_room(self) -> bool:
        """Whether `admit` may be called."""
        return len(self._rows) < self.batch

    def admit(self, request: SampleRequest) -> Row:
        """Give the request a slot. Raises `PolicyError` for one that cannot be sampled."""
        self._check(request)
        held = len(request.tokens)
        limit = min(request.max_tokens, self.context - held)
        slot, read = self._slot(request)
        self._tokens[slot, :held] = request.tokens
        self._held[slot] = self._length[slot] = held
        self._read[slot] = read
        self._recorded[slot] = min(self._recorded[slot], read)
        self._limit[slot] = held + limit
        self._temperature[slot] = request.temperature
        seed = int(self._seeds.integers(1 << 62)) if request.seed is None else request.seed
        self._uniforms[slot, :limit] = np.random.Generator(np.random.PCG64(seed).advance(held)).random(limit)
        self._set_stops(slot, request.stop)
        row = Row(request, slot, limit, [(0, self.version)])
        self._rows[slot] = row
        return row

    def drop(self, row: Row) -> None:
        """The row leaves without a result; no effect where it is gone already."""
        if self._rows.get(row.slot) is row:
            del self._rows[row.slot]
            heapq.heappush(self._free, row.slot)

    @torch.inference_mode()
    def step(self) -> list[tuple[Row, Sample | PolicyError]]:
        """Read and sample one token for the rows; returns those that ended."""
        slots, starts, counts = self._reading()
        plan = plan_step(self._cache, starts, counts, slots, device=self._device)
        flat_slots, positions = plan.slots.cpu().numpy(), plan.positions.cpu().numpy()
        ready = starts + counts == self._length[slots]
        last = (np.cumsum(counts) - 1)[ready]
        tokens = torch.from_numpy(self._tokens[flat_slots, positions]).to(self._device)
        logits_RV, routes = self.runner.run(tokens, plan, torch.from_numpy(last).to(self._device))
        if routes is not None:
            fresh = positions >= self._recorded[flat_slots]
            self._routes[flat_slots[fresh], positions[fresh]] = routes[fresh]
        self._read[slots] = starts + counts
        np.maximum.at(self._recorded, slots, starts + counts)
        self.steps += 1
        self.tokens_read += len(positions)
        return self._sampled(slots[ready], logits_RV) if len(last) else []

    @torch.no_grad()
    def load(self, state: Mapping[str, Tensor | NDArray[Any]], version: int) -> None:
        """Take new weights. Raises `CheckpointError` for other names or shapes or for NaN, and then changes nothing."""
        own = self.runner.model.state_dict()
        if own.keys() != state.keys():
            odd = sorted(own.keys() ^ state.keys())
            raise CheckpointError(
                f"The weights of version {version} do not belong to this model: {len(odd)} names differ, the first is {odd[0]}.",
                remedy="Sampler and trainer must be built from the same configuration.",
            )
        fresh = {name: _tensor(value) for name, value in state.items()}
        for name, value in fresh.items():
            if value.shape != own[name].shape:
                raise CheckpointError(f"{name} of version {version} is {list(value.shape)}, the sampler has {list(own[name].shape)}.")
            if not torch.isfinite(value).all():
                raise CheckpointError(f"{name} of version {version} holds NaN or infinity.", remedy="Go back to an earlier checkpoint.")
        for name, value in own.items():
            value.copy_(fresh[name])
        self.runner.refresh()
        self.version = version
        for slot in self._resting.values():
            heapq.heappush(self._free, slot)
        self._resting.clear()
        for slot, row in self._rows.items():
            self._read[slot] = 0
            sampled = int(self._length[slot] - self._held[slot])
            if row.spans[-1][0] == sampled:
                row.spans.pop()
            row.spans.append((sampled, version))

    def _check(self, request: SampleRequest) -> None:
        held = len(request.tokens)
        who = f"Request of rollout {request.rollout_id!r}"
        if held == 0 or request.max_tokens < 1 or held >= self.context:
            raise PolicyError(
                f"{who} holds {held} tokens and wants {request.max_tokens} more; the context is {self.context}.",
                remedy="Hold at least one token, ask for at least one, and leave room for it.",
            )
        if int(request.tokens.min()) < 0 or int(request.tokens.max()) >= self._vocab:
            raise PolicyError(
                f"{who} has token ids outside the model's {self._vocab}.", remedy="Use the tokenizer that the model was made for."
            )
        if not 0 <= request.temperature < float("inf"):
            raise PolicyError(f"{who} has temperature {request.temperature}.", remedy="Use 0 (greedy) or a positive number.")
        if not 0 <= request.routes_from <= held:
            raise PolicyError(
                f"{who} wants routes from position {request.routes_from} of {held}.", remedy="Ask from the rows already held."
            )

    def _slot(self, request: SampleRequest) -> tuple[int, int]:
        """A slot and how many of the request's tokens it has read already."""
        slot = self._resting.pop(request.rollout_id, None)
        if slot is not None:
            reach = min(int(self._read[slot]), len(request.tokens) - 1)
            differs = self._tokens[slot, :reach] != request.tokens[:reach]
            return slot, int(differs.argmax()) if differs.any() else reach
        slot = heapq.heappop(self._free) if self._free else self._resting.popitem(last=False)[1]
        self._recorded[slot] = 0
        return slot, 0

    def _set_stops(self, slot: int, stop: tuple[int, ...]) -> None:
        if len(stop) > self._stops.shape[1]:
            wider = np.full((len(self._stops), len(stop)), -1, dtype=np.int64)
            wider[:, : self._stops.shape[1]] = self._stops
            self._stops = wider
        self._stops[slot] = -1
        self._stops[slot, : len(stop)] = stop

    def _reading(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """(slots, first positions, counts) to read now: short reads first, within the budget of a step."""
        slots = np.sort(np.fromiter(self._rows, dtype=np.int64, count=len(self._rows)))
        starts = self._read[slots]
        counts = self._length[slots] - starts
        if counts.sum() > self._tokens_per_step:
            order = np.argsort(counts, kind="stable")
            before = np.cumsum(counts[order]) - counts[order]
            counts[order] = np.clip(self._tokens_per_step - before, 0, counts[order])
            some = counts > 0
            slots, starts, counts = slots[some], starts[some], counts[some]
        return slots, starts, counts

    def _sampled(self, slots: NDArray[np.int64], logits: Tensor) -> list[tuple[Row, Sample | PolicyError]]:
        length = self._length[slots]
        uniform = self._uniforms[slots, length - self._held[slots]]
        tokens, logprobs = choose(logits, self._temperature[slots], uniform)
        self._tokens[slots, length] = tokens
        self._logprobs[slots, length] = logprobs
        self._length[slots] = length = length + 1
        self.tokens_sampled += len(slots)
        stopped = (tokens[:, None] == self._stops[slots]).any(axis=1)
        broken = ~np.isfinite(logprobs)
        ended: list[tuple[Row, Sample | PolicyError]] = []
        for index in np.flatnonzero(stopped | broken | (length >= self._limit[slots])):
            row = self._rows[int(slots[index])]
            if broken[index]:
                self.drop(row)
                ended.append(
                    (row, PolicyError(f"Weights of version {self.version} give logits that are not finite.", remedy="Load other weights."))
                )
            else:
                ended.append((row, self._end(row, "stop" if stopped[index] else "length")))
        return ended

    def _end(self, row: Row, reason: Literal["stop", "length"]) -> Sample:
        slot, held = row.slot, len(row.request.tokens)
        length = int(self._length[slot])
        ends = [start for start, _ in row.spans[1:]] + [length - held]
        routes = self._routes[slot, row.request.routes_from : length - 1].copy() if self._records else None
        del self._rows[slot]
        stale = self._resting.pop(row.request.rollout_id, None)
        if stale is not None:
            heapq.heappush(self._free, stale)
        self._resting[row.request.rollout_id] = slot
        return Sample(
            tokens=self._tokens[slot, held:length].astype(np.int32),
            logprobs=self._logprobs[slot, held:length].copy(),
            finish_reason=reason,
            versions=tuple(VersionSpan(start, end, version) for (start, version), end in zip(row.spans, ends, strict=True)),
            routes=routes,
        )


def choose(
    logits_RV: Tensor, temperature_R: NDArray[np.float32], uniform_R: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """One token a row and its log-probability under softmax(logits / temperature).

    Temperature 0 is greedy, and its log-probability is that of temperature 1. NaN where the logits are not finite.
    """
    temperature = torch.from_numpy(temperature_R)
    greedy = temperature < _GREEDY_BELOW
    scale = torch.where(greedy, torch.ones_like(temperature), temperature).to(logits_RV.device)
    logprobs = torch.log_softmax(logits_RV.float() / scale[:, None], dim=-1)
    below = logprobs.double().exp().cumsum(dim=-1)
    # searching for a number below the last sum never lands on a token of probability 0
    at = torch.searchsorted(below, torch.from_numpy(uniform_R).to(below.device)[:, None] * below[:, -1:], right=True)
    tokens = at.squeeze(1).clamp(max=logits_RV.shape[1] - 1)
    if greedy.any():
        tokens = torch.where(greedy.to(tokens.device), logits_RV.argmax(dim=-1), tokens)
    chosen = logprobs.gather(1, tokens[:, None]).squeeze(1)
    return tokens.cpu().numpy(), chosen.cpu().numpy()


def _tensor(value: Tensor | NDArray[Any]) -> Tensor:
    if isinstance(value, Tensor):
        return value.detach()
    return torch.from_numpy(value if value.flags.writeable else value.copy())
