"""The turns of one rollout: sample, read the call, run the tool, append the observation, until something ends it.

Observations are appended to the sequence only where another turn is sampled after them, so that the recorded tokens are those
that the engine saw.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from podgym.policy import Interruptible, Policy, PolicyUnavailable, Sample, SampleRequest, TokenIds
from podgym.rollout.dialects.contract import Conversation, Dialect
from podgym.rollout.lifetime import bounded
from podgym.rollout.limits import RolloutLimits
from podgym.rollout.sequence import TokenSequence
from podgym.rollout.tools import InvalidCall, ToolCall, ToolResult, Toolset
from podgym.sandbox import Sandbox
from podgym.traces import Trace
from podgym.traces.events import Created, Prompt, Sampled, ToolCalled, ToolReturned

__all__ = ["Stop", "Turns"]

Stop = Literal["finished", "max_turns", "max_tokens", "max_seconds", "invalid_calls", "cancelled", "error"]

_INVALID_TEXT_LIMIT = 4096
_NO_TOKENS: TokenIds = np.empty(0, dtype=np.int32)


class Turns:
    """Plays one rollout's turns and writes them down."""

    def __init__(
        self, *, policy: Policy, dialect: Dialect, limits: RolloutLimits, created: Created, trace: Trace, seed: int | None = None
    ) -> None:
        self._policy, self._dialect, self._limits = policy, dialect, limits
        self._created, self._trace, self._seed = created, trace, seed
        self._sequence = TokenSequence()
        self._deadline = 0.0
        self._outages_before = 0
        self._invalid = 0
        self.count = 0
        """Turns that were sampled and acted on."""
        self.sampled = 0
        """Tokens that were sampled."""

    @property
    def tokens(self) -> int:
        """Of the whole sequence."""
        return len(self._sequence)

    async def play(self, instruction: str, sandbox: Sandbox, *, shell: Literal["auto", "sh"] = "auto") -> Stop:
        """Until the agent finishes or meets a limit; raises `SandboxError` and the policy's errors."""
        conversation = self._dialect.open(instruction)
        opening = conversation.opening
        self._sequence.append(opening.tokens)
        self._trace.append(Prompt(at_s=time.time(), tokens=len(opening.tokens), text=opening.text), tokens=opening.tokens)
        tools = Toolset(sandbox, shell=shell)
        self._deadline = time.monotonic() + self._limits.rollout_s
        self._outages_before = self._outages
        while True:
            turn = await self._sample()
            if isinstance(turn, str):
                return turn
            tokens, stopped = turn
            stop = await self._act(conversation, conversation.parse(tokens, stopped=stopped), tokens, tools)
            self.count += 1
            if stop is not None:
                return stop

    async def _sample(self) -> tuple[list[int], bool] | Stop:
        """One turn's tokens and whether they are complete; an aborted sample is continued where it ended."""
        limits, tokens = self._limits, list[int]()
        while True:
            left = self._deadline - time.monotonic()
            room = limits.tokens - len(self._sequence)
            if room < 1:
                return "max_tokens"
            if left <= 0:
                return self._out_of_time()
            if len(tokens) >= limits.turn_tokens:
                return tokens, False
            request = SampleRequest(
                rollout_id=self._created.rollout_id,
                tokens=self._sequence.tokens,
                max_tokens=min(limits.turn_tokens - len(tokens), room),
                temperature=self._created.temperature,
                stop=self._dialect.stop,
                routes_from=self._sequence.routes_held,
                seed=self._seed,
                task_id=self._created.task_id,
            )
            started = time.monotonic()
            clock = asyncio.timeout(left)
            try:
                async with clock:
                    sample = await self._policy.sample(request)
            except TimeoutError:
                if not clock.expired():
                    raise
                return self._out_of_time()
            self._record(request, sample, seconds=time.monotonic() - started)
            tokens.extend(sample.tokens.tolist())
            if sample.finish_reason == "stop":
                return tokens, True
            if sample.finish_reason == "length":
                return (tokens, False) if len(self._sequence) < limits.tokens else "max_tokens"

    def _out_of_time(self) -> Stop:
        """Raises `PolicyUnavailable` where the time went by while the policy's process was gone: that is not the agent's doing."""
        if self._outages > self._outages_before:
            raise PolicyUnavailable(
                "The rollout's time ran out after the policy's process had been gone.",
                remedy="It is tried again; or raise limits.rollout_s.",
            )
        return "max_seconds"

    @property
    def _outages(self) -> int:
        return self._policy.outages if isinstance(self._policy, Interruptible) else 0

    def _record(self, request: SampleRequest, sample: Sample, *, seconds: float) -> None:
        start = len(self._sequence)
        row_versions = self._sequence.append_sample(sample, routes_from=request.routes_from)
        self.sampled += len(sample.tokens)
        arrays: dict[str, NDArray[np.generic]] = {"tokens": sample.tokens, "logprobs": sample.logprobs, "versions": _versions(sample)}
        if sample.routes is not None:
            arrays |= {"routes": sample.routes, "route_versions": row_versions}
        event = Sampled(
            at_s=time.time(),
            turn=self.count,
            start=start,
            tokens=len(sample.tokens),
            text=self._dialect.decode(sample.tokens.tolist()),
            finish_reason=sample.finish_reason,
            routes_from=None if sample.routes is None else request.routes_from,
            seconds=seconds,
        )
        self._trace.append(event, **arrays)

    async def _act(
        self, conversation: Conversation, calls: tuple[ToolCall, ...] | InvalidCall, tokens: Sequence[int], tools: Toolset
    ) -> Stop | None:
        """Run what the turn asks for and append what came of it; the reason to stop, if there is one."""
        if isinstance(calls, InvalidCall):
            self._invalid += 1
            text = self._dialect.decode(tokens)[:_INVALID_TEXT_LIMIT]
            self._trace.append(ToolCalled(at_s=time.time(), turn=self.count, tool="invalid", arguments={"text": text}))
            result = ToolResult(ok=False, output=calls.message)
            last = self._invalid >= self._limits.invalid_calls
            return self._observe(conversation, "invalid", [result], stop="invalid_calls" if last else None)
        self._invalid = 0
        results: list[ToolResult] = []
        for index, call in enumerate(calls):
            self._trace.append(ToolCalled(at_s=time.time(), turn=self.count, tool=call.tool, arguments=dict(call.arguments)))
            left = self._deadline - time.monotonic()
            if call.tool == "finish":
                results.append(ToolResult(ok=True, output=""))
                return self._observe(conversation, call.tool, results, stop="finished")
            if left <= 0:
                results.append(ToolResult(ok=False, output="[not run: the rollout's time is over]"))
                return self._observe(conversation, call.tool, results, stop=self._out_of_time())
            results.append(await self._run(call, tools, timeout_s=min(self._limits.command_s, left)))
            if index + 1 < len(calls):
                self._returned(call.tool, results[-1], _NO_TOKENS)
        return self._observe(conversation, calls[-1].tool, results, stop=None)

    async def _run(self, call: ToolCall, tools: Toolset, *, timeout_s: float) -> ToolResult:
        async with bounded(timeout_s + self._limits.close_s, f"The sandbox's answer to {call.tool}", limit="close_s"):
            return await tools.run(call, timeout_s=timeout_s, output_bytes=self._limits.output_bytes)

    def _observe(self, conversation: Conversation, tool: str, results: Sequence[ToolResult], *, stop: Stop | None) -> Stop | None:
        """Append the observation unless the rollout ends here."""
        if stop is None and self.count + 1 >= self._limits.turns:
            stop = "max_turns"
        if stop is None and time.monotonic() >= self._deadline:
            stop = self._out_of_time()
        tokens = _NO_TOKENS
        if stop is None:
            tokens = conversation.observation(results)
            if len(self._sequence) + len(tokens) >= self._limits.tokens:
                stop, tokens = "max_tokens", _NO_TOKENS
        self._sequence.append(tokens)
        self._returned(tool, results[-1], tokens)
        return stop

    def _returned(self, tool: str, result: ToolResult, tokens: TokenIds) -> None:
        event = ToolReturned(
            at_s=time.time(),
            turn=self.count,
            tool=tool,
            ok=result.ok,
            exit_code=result.exit_code,
            output=result.output,
            cut_bytes=result.cut_bytes,
            timed_out=result.timed_out,
            seconds=result.seconds,
        )
        if len(tokens):
            self._trace.append(event, tokens=tokens)
        else:
            self._trace.append(event)


def _versions(sample: Sample) -> NDArray[np.int32]:
    versions = np.empty(len(sample.tokens), dtype=np.int32)
    for span in sample.versions:
        versions[span.start : span.end] = span.version
    return versions
