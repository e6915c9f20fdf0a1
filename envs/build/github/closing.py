"""Which pull request or commit closed an issue, by the issue's timeline.

Nothing in the API says it outright, so marks are weighed: the commit that the closing event names, words such as `fixes #12` in a merged
pull request, and being merged in the same moment in which the issue was closed. A pull request of another repository, and one that was
never merged, closed nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from podgym.envs.build.github.answers import Event, Issue

__all__ = ["Closing", "closing_of", "mentioned"]

_TOGETHER_S: Final = 120.0
_WORDS: Final = r"(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?)"


@dataclass(frozen=True, slots=True)
class Closing:
    """What may have closed an issue, best first."""

    pulls: tuple[int, ...]
    commit: str
    """Named by the last event that closed it; empty where none is."""


def closing_of(issue: Issue, events: Sequence[Event], repository: str) -> Closing:
    """From the timeline."""
    closed = [event for event in events if event.event == "closed"]
    last = closed[-1] if closed else None
    when = issue.closed_at or (last.created_at if last is not None else None)
    weights: dict[int, float] = {}
    for event in events:
        source = event.source.issue if event.event == "cross-referenced" and event.source is not None else None
        if source is None or source.pull_request is None or source.pull_request.merged_at is None:
            continue
        if source.repository is not None and source.repository.full_name.lower() not in ("", repository.lower()):
            continue
        weight = 0.0
        if names(f"{source.title}\n{source.body or ''}", issue.number, repository):
            weight += 4.0
        if _together(source.pull_request.merged_at, when):
            weight += 3.0
        if weight:
            # Of equals the later one: an issue that was opened again was closed by the last.
            weights[source.number] = max(weights.get(source.number, 0.0), weight) + 1e-6 * len(weights)
    commit = last.commit_id if last is not None and last.commit_id else ""
    return Closing(tuple(sorted(weights, key=lambda number: -weights[number])), commit)


def names(text: str, number: int, repository: str) -> bool:
    """Whether a text says that it closes an issue."""
    own = re.escape(repository)
    pattern = rf"\b{_WORDS}\b:?\s+(?:(?:{own})?#|gh-|https?://[^\s/]+/{own}/issues/){number}(?!\d)"
    return re.search(pattern, text, re.IGNORECASE) is not None


def mentioned(text: str, repository: str) -> list[int]:
    """Numbers of the issues of the repository that a text says it closes, in its order."""
    own = re.escape(repository)
    pattern = rf"\b{_WORDS}\b:?\s+(?:(?:{own})?#|gh-|https?://[^\s/]+/{own}/issues/)(\d{{1,10}})(?!\d)"
    return list(dict.fromkeys(int(match[1]) for match in re.finditer(pattern, text, re.IGNORECASE)))


def _together(one: datetime, other: datetime | None) -> bool:
    return other is not None and abs((one - other).total_seconds()) <= _TOGETHER_S
