"""The policy's process: answers batches of sample requests, and trains.

Clients speak by long poll: one call brings new requests and takes what was finished meanwhile. A call returns when there is
something to take, but not sooner than `gather_s` after it came, so that calls stay few however fast the policy is. A client has a
name that no other ever had, and what a client that stays away had asked for is given up. The trainer runs in a thread of its own;
sampling goes on with the weights before it, and a checkpoint waits until an update is whole.
"""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from podgym.policy import Policy, SampleRequest
from podgym.policy.errors import PolicyError
from podgym.rollout.learner import Learner
from podgym.rollout.result import unpack_trajectories
from podgym.rollout.wire import Answer, pack_answers, unpack_requests

__all__ = ["PolicyHost"]


AWAY_S = 300.0
"""A living client that waits for something polls far more often."""


class _Outbox:
    def __init__(self) -> None:
        self.answers: list[tuple[int, Answer]] = []
        self.filled = asyncio.Event()
        self.open: dict[int, asyncio.Task[None]] = {}
        self.seen = time.monotonic()

    def give_up(self, keys: Iterable[int]) -> None:
        for key in keys:
            if (task := self.open.pop(key, None)) is not None:
                task.cancel()


class PolicyHost:
    """Owns a policy and, in a training job, what trains it. Used from one event loop."""

    def __init__(self, policy: Policy, learner: Learner | None = None, *, gather_s: float = 0.02) -> None:
        self._policy = policy
        self._learner = learner
        self._gather_s = gather_s
        self._outboxes: dict[str, _Outbox] = {}
        self._changing = asyncio.Lock()

    async def exchange(self, client: str, payload: bytes, hold_s: float) -> bytes:
        """Take `client`'s packed requests; return its packed answers, waiting at most `hold_s` for the first."""
        arrived = time.monotonic()
        if client not in self._outboxes:
            self._forget_the_absent(arrived)
            self._outboxes[client] = _Outbox()
        outbox = self._outboxes[client]
        outbox.seen = arrived
        if payload:
            requests, given_up = unpack_requests(payload)
            outbox.give_up(given_up)
            for key, request in requests:
                outbox.open[key] = asyncio.create_task(self._answer(outbox, key, request))
        if hold_s > 0:
            if not outbox.answers:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(outbox.filled.wait(), hold_s)
            early = self._gather_s - (time.monotonic() - arrived)
            if early > 0 and outbox.answers:
                await asyncio.sleep(early)
        answers, outbox.answers = outbox.answers, []
        outbox.filled.clear()
        return pack_answers(answers) if answers else b""

    async def _answer(self, outbox: _Outbox, key: int, request: SampleRequest) -> None:
        answer: Answer
        try:
            answer = await self._policy.sample(request)
        except Exception as error:  # noqa: BLE001 - it is raised where the request came from
            answer = error
        if outbox.open.pop(key, None) is not None:
            outbox.answers.append((key, answer))
            outbox.filled.set()

    def _forget_the_absent(self, now: float) -> None:
        for client in [name for name, outbox in self._outboxes.items() if now - outbox.seen > AWAY_S]:
            outbox = self._outboxes.pop(client)
            outbox.give_up(list(outbox.open))

    async def train(self, payload: bytes) -> dict[str, float]:
        """Update the weights on a pickled list of groups, each a list of packed rollouts; returns the trainer's measurements.

        The new version serves requests from then on. Raises what the trainer raises.
        """
        learner = self._needed()
        groups = [[part for packed in group for part in unpack_trajectories(packed)] for group in pickle.loads(payload)]
        async with self._changing:
            metrics: Mapping[str, float] = await asyncio.to_thread(learner.train, groups)
        return {**metrics, "version": float(learner.version)}

    async def save(self, directory: str) -> int:
        """Write a checkpoint; returns its version."""
        learner = self._needed()
        async with self._changing:
            await asyncio.to_thread(learner.save, Path(directory))
            return learner.version

    async def version(self) -> int:
        """Of the weights; 0 for a policy that is not trained."""
        return 0 if self._learner is None else self._learner.version

    async def close(self) -> None:
        """Give up what is being sampled and close the policy."""
        tasks = [task for outbox in self._outboxes.values() for task in outbox.open.values()]
        for outbox in self._outboxes.values():
            outbox.give_up(list(outbox.open))
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._policy.close()

    def _needed(self) -> Learner:
        if self._learner is None:
            raise PolicyError("This policy cannot be trained.", remedy="Leave the train section out, or choose a policy that learns.")
        return self._learner
