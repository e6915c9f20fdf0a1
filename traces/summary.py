"""A rollout in a few small numbers: what the index keeps of it, made from its events alone.

Workers make it where the trace is and send it to the one process that writes the index. Every text and number fits the index's
columns, whatever a trace says: text is cut, numbers are held to `MOST` and to what is finite.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar

from podgym.traces.events import (
    BaseEvent,
    Claimed,
    Closed,
    Created,
    Flagged,
    Masked,
    Prompt,
    Retried,
    Sampled,
    ToolCalled,
    ToolReturned,
    Verified,
)
from podgym.traces.trace import Trace

__all__ = ["SIGNAL", "AttemptSummary", "RolloutStatus", "RolloutSummary", "TurnSummary", "summarise"]

RolloutStatus = Literal["running", "scored", "unscored", "masked", "retried", "closed"]
"""`masked`: scored, but kept out of training. `retried`: ended by the infrastructure, another attempt follows. `closed`: ended without
a verdict."""


E_ = TypeVar("E_", bound=BaseEvent)
SIGNAL = "signal"
"""Family of findings about an outcome, which are no attempts."""
ID_CHARS = 200
WORD_CHARS = 40
MESSAGE_CHARS = 500
MOST_ATTEMPTS = 500
"""Kept of one rollout; more than that say nothing new."""
MOST_TURNS = 10_000
"""Rows kept of one rollout; all are counted."""
MOST = (1 << 31) - 1
"""The largest whole number of every database, and its negative the smallest."""


@dataclass(frozen=True, slots=True)
class TurnSummary:
    """One turn; of several calls in it, `tool`, `ok` and `exit_code` are the last one's, the rest adds up."""

    turn: int
    at_s: float
    tokens: int
    """Sampled."""
    sample_s: float
    finish_reason: str
    tool: str = ""
    ok: bool | None = None
    """None while the tool runs."""
    exit_code: int | None = None
    timed_out: bool = False
    output_chars: int = 0
    tool_s: float = 0.0


@dataclass(frozen=True, slots=True)
class AttemptSummary:
    """One finding of the hack monitor, as `Flagged`; `number` is its place in the rollout, from 0."""

    number: int
    turn: int | None
    rule: str
    family: str
    excerpt: str
    succeeded: bool | None
    evidence: str
    version: int | None


@dataclass(frozen=True, slots=True)
class RolloutSummary:
    """Picklable. Seconds and counts add up over the turns."""

    rollout_id: str
    run_id: str
    group_id: str
    task_id: str
    environment: str
    attempt: int
    index: int
    step: int | None
    split: str
    policy: str
    temperature: float
    status: RolloutStatus
    reward: float | None
    reason: str
    """Why it is unscored, masked or retried."""
    stop: str
    turns: int
    prompt_tokens: int
    sampled_tokens: int
    started_s: float
    """Unix time."""
    ended_s: float | None
    seconds: float
    sample_s: float
    tool_s: float
    verify_s: float
    provider: str = ""
    image: str = ""
    create_s: float = 0.0
    message: str = ""
    cached: bool = False
    components: Mapping[str, float] = field(default_factory=dict)
    tests_passed: int = 0
    tests_total: int = 0
    hacks: int = 0
    """Attempts that the hack monitor saw; signals are not counted."""
    hacks_succeeded: int = 0
    """Those that seem to have worked."""
    signals: int = 0
    turn_rows: tuple[TurnSummary, ...] = ()
    attempt_rows: tuple[AttemptSummary, ...] = ()


def summarise(trace: Trace | Iterable[BaseEvent]) -> RolloutSummary:
    """The summary of what happened so far. Raises `LookupError` for a trace without its first event."""
    events = [record.event for record in trace] if isinstance(trace, Trace) else list(trace)
    created = next((event for event in events if isinstance(event, Created)), None)
    if created is None:
        raise LookupError("The trace has no `created` event yet.")
    prompt, claimed, verified = _last(events, Prompt), _last(events, Claimed), _last(events, Verified)
    closed, masked, retried = _last(events, Closed), _last(events, Masked), _last(events, Retried)
    turns, flagged = _turns(events), [event for event in events if isinstance(event, Flagged)]
    verdict = verified.verdict if verified else {}
    message = verdict.get("message") or (retried.message if retried else "")
    status, reason = _status(verified, masked, retried, closed)
    ended_s = closed.at_s if closed else retried.at_s if retried else None
    return RolloutSummary(
        rollout_id=_text(created.rollout_id, ID_CHARS),
        run_id=_text(created.run_id, ID_CHARS),
        group_id=_text(created.group_id, ID_CHARS),
        task_id=_text(created.task_id, ID_CHARS),
        environment=_text(created.environment, ID_CHARS),
        attempt=_whole(created.attempt),
        index=_whole(created.index),
        step=_whole_or_none(created.step),
        split=_text(created.split, WORD_CHARS),
        policy=_text(created.policy, ID_CHARS),
        temperature=_real(created.temperature),
        status=status,
        reward=verified.reward if verified and verified.reward is not None and math.isfinite(verified.reward) else None,
        reason=_text(reason, ID_CHARS),
        stop=_text(closed.stop, WORD_CHARS) if closed else "",
        turns=len(turns),
        prompt_tokens=_whole(prompt.tokens) if prompt else 0,
        sampled_tokens=_whole(sum(turn.tokens for turn in turns.values())),
        started_s=_real(created.at_s),
        ended_s=None if ended_s is None else _real(ended_s),
        seconds=_real(closed.seconds if closed else max(events[-1].at_s - created.at_s, 0.0)),
        sample_s=_real(sum(turn.sample_s for turn in turns.values())),
        tool_s=_real(sum(turn.tool_s for turn in turns.values())),
        verify_s=_real(verified.seconds) if verified else 0.0,
        provider=_text(claimed.provider, WORD_CHARS) if claimed else "",
        image=_text(claimed.image, ID_CHARS) if claimed else "",
        create_s=_real(claimed.create_s) if claimed else 0.0,
        message=_text(message, MESSAGE_CHARS) if isinstance(message, str) else "",
        cached=verdict.get("cached") is True,
        components=_numbers(verdict.get("components")),
        tests_passed=_count(verdict.get("tests"), passed=True),
        tests_total=_count(verdict.get("tests"), passed=False),
        hacks=sum(one.family != SIGNAL for one in flagged),
        hacks_succeeded=sum(one.family != SIGNAL and one.succeeded is True for one in flagged),
        signals=sum(one.family == SIGNAL for one in flagged),
        turn_rows=tuple(itertools.islice(turns.values(), MOST_TURNS)),
        attempt_rows=tuple(_attempt(number, one) for number, one in enumerate(flagged[:MOST_ATTEMPTS])),
    )


def _last(events: Sequence[BaseEvent], kind: type[E_]) -> E_ | None:
    return next((event for event in reversed(events) if isinstance(event, kind)), None)


def _turns(events: Sequence[BaseEvent]) -> dict[int, TurnSummary]:
    turns: dict[int, TurnSummary] = {}
    for event in events:
        match event:
            case Sampled():
                turn = _whole(event.turn)
                turns[turn] = TurnSummary(turn, _real(event.at_s), _whole(event.tokens), _real(event.seconds), event.finish_reason)
            case ToolCalled() if (turn := _whole(event.turn)) in turns:
                turns[turn] = replace(turns[turn], tool=_text(event.tool, WORD_CHARS))
            case ToolReturned() if (turn := _whole(event.turn)) in turns:
                before = turns[turn]
                turns[turn] = replace(
                    before,
                    tool=_text(event.tool, WORD_CHARS),
                    ok=event.ok,
                    exit_code=_whole_or_none(event.exit_code),
                    timed_out=before.timed_out or event.timed_out,
                    output_chars=_whole(before.output_chars + len(event.output)),
                    tool_s=_real(before.tool_s + event.seconds),
                )
            case _:
                pass
    return turns


def _attempt(number: int, event: Flagged) -> AttemptSummary:
    return AttemptSummary(
        number=number,
        turn=_whole_or_none(event.turn),
        rule=_text(event.rule, WORD_CHARS),
        family=_text(event.family, WORD_CHARS),
        excerpt=_text(event.excerpt, MESSAGE_CHARS),
        succeeded=event.succeeded,
        evidence=_text(event.evidence, MESSAGE_CHARS),
        version=_whole_or_none(event.version),
    )


def _status(verified: Verified | None, masked: Masked | None, retried: Retried | None, closed: Closed | None) -> tuple[RolloutStatus, str]:
    if retried:
        return "retried", retried.error
    if verified and verified.status == "unscored":
        return "unscored", verified.reason
    if masked:
        return "masked", masked.reason
    if verified:
        return "scored", ""
    return ("closed", "") if closed else ("running", "")


def _text(text: str, limit: int) -> str:
    """What every database takes: no NUL, no lone surrogate, of bounded length."""
    text = text[:limit].replace("\0", "\ufffd")
    return text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _whole(number: int) -> int:
    return max(-MOST, min(number, MOST))


def _whole_or_none(number: int | None) -> int | None:
    return None if number is None else _whole(number)


def _real(number: float) -> float:
    """A finite one; 0 for what is none. A trace may hold whole numbers that no float can."""
    try:
        found = float(number)
    except OverflowError:
        return 0.0
    return found if math.isfinite(found) else 0.0


def _numbers(components: Any) -> dict[str, float]:
    if not isinstance(components, dict):
        return {}
    return {_text(str(name), WORD_CHARS): _real(value) for name, value in list(components.items())[:20] if isinstance(value, int | float)}


def _count(tests: Any, *, passed: bool) -> int:
    if not isinstance(tests, dict):
        return 0
    return sum(outcome == "passed" for outcome in tests.values()) if passed else len(tests)
