"""What a funnel came to: how many lines reached which stage, by language; how long they took; why the others ended."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence

from pydantic import BaseModel, ConfigDict

from podgym.envs.build.funnel.row import Row

__all__ = ["FunnelSummary", "LanguageSummary", "ReasonCount", "reached", "summarise"]

STAGES = ("attempted", "detected", "built", "tests_run", "validated", "certified")
UNKNOWN = "unknown"
_REASONS = 10
_RAN = frozenset({"already_passing", "failing_after", "flaky", "gold_fails"})
"""Reasons of the stage `validate` that need a report to be told."""
_NOT_BUILT = frozenset({"sandbox", "image"})


class LanguageSummary(BaseModel):
    """The lines of one language. Each stage counts those that got through it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    language: str
    attempted: int
    detected: int
    """Language and build system are known, and a plan was made."""
    built: int
    """The image is."""
    tests_run: int
    """With the fix, and their report was read."""
    validated: int
    """Tests turn from failing to passing, the same each time."""
    certified: int
    """Nothing of the fix is in the image: a task came of it."""
    seconds_median: float | None = None
    """Of those that were certified."""
    seconds_p90: float | None = None
    image_bytes_median: int | None = None
    """What one task adds to its base image, work tree included."""
    image_bytes_p90: int | None = None


class ReasonCount(BaseModel):
    """How often lines ended for one reason."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stage: str
    reason: str
    count: int
    example: str
    """What the first of them said, cut to its first line."""


class FunnelSummary(BaseModel):
    """See the module."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    total: LanguageSummary
    languages: tuple[LanguageSummary, ...]
    """The commonest first."""
    reasons: tuple[ReasonCount, ...]
    """The ten commonest."""
    bad_lines: int = 0
    model_calls: int = 0
    without_model_call: int = 0
    """Certified, and no model was asked."""


def summarise(rows: Sequence[Row]) -> FunnelSummary:
    """Of all rows, those of earlier runs of the same funnel included."""
    names = Counter(row.language or UNKNOWN for row in rows)
    return FunnelSummary(
        total=_of("all", rows),
        languages=tuple(_of(name, [row for row in rows if (row.language or UNKNOWN) == name]) for name, _ in names.most_common()),
        reasons=_reasons(rows),
        bad_lines=sum(row.stage == "line" for row in rows),
        model_calls=sum(row.model_calls for row in rows),
        without_model_call=sum(row.status == "validated" and not row.model_calls for row in rows),
    )


def reached(row: Row) -> int:
    """How many of `STAGES` a row got through."""
    if row.status == "validated":
        return 6
    if not row.build_system or row.stage in ("line", "resolve", "split", "plan"):
        return 1
    if row.stage == "certify" or (row.stage == "write" and row.tests.total):
        return 5
    if row.stage == "validate" and row.reason not in _NOT_BUILT:
        return 4 if row.reason in _RAN else 3
    return 2


def _of(language: str, rows: Sequence[Row]) -> LanguageSummary:
    stages = [reached(row) for row in rows]
    counts = {stage: sum(one > number for one in stages) for number, stage in enumerate(STAGES)}
    done = [row for row in rows if row.status == "validated"]
    seconds = [row.seconds for row in done]
    sizes = [row.image_bytes for row in done if row.image_bytes is not None]
    return LanguageSummary(
        language=language,
        **counts,
        seconds_median=round(statistics.median(seconds), 1) if seconds else None,
        seconds_p90=round(_p90(seconds), 1) if seconds else None,
        image_bytes_median=round(statistics.median(sizes)) if sizes else None,
        image_bytes_p90=round(_p90(sizes)) if sizes else None,
    )


def _p90(values: Iterable[float]) -> float:
    """By nearest rank: the least value that nine tenths do not exceed."""
    ordered = sorted(values)
    return ordered[math.ceil(0.9 * len(ordered)) - 1]


def _reasons(rows: Sequence[Row]) -> tuple[ReasonCount, ...]:
    failed = [row for row in rows if row.status == "failed"]
    counts = Counter((row.stage, row.reason) for row in failed)
    first = {(row.stage, row.reason): row.message.partition("\n")[0] for row in reversed(failed)}
    return tuple(
        ReasonCount(stage=stage, reason=reason, count=count, example=first[stage, reason])
        for (stage, reason), count in counts.most_common(_REASONS)
    )
