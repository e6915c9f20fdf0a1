"""The issue as it could be read before anybody had begun to mend it."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from podgym.envs.build.github.answers import Comment, Event, Issue

__all__ = ["IssueText", "text_of"]

_REMARK: Final = re.compile(r"<!--.*?-->", re.DOTALL)
_TO_FIX: Final = r"(?:pull|pulls|commit|commits|compare|releases|actions)"
_ID: Final = re.compile(r"(?<![0-9A-Za-z/_-])[0-9a-f]{7,64}(?![0-9A-Za-z_-])")
_COMMENTS: Final = 30
_COMMENT_CHARACTERS: Final = 8000
_CHARACTERS: Final = 60_000


@dataclass(frozen=True, slots=True)
class IssueText:
    """What is told, and how much was not."""

    text: str
    comments: int
    left_out: int
    """Comments that came later, were changed later, or are a program's."""


def text_of(
    issue: Issue,
    comments: Sequence[Comment],
    events: Sequence[Event],
    *,
    until: datetime,
    repository: str,
    fixes: Collection[int] = (),
    commits: Collection[str] = (),
) -> IssueText:
    """Title, body and the comments of before `until`, without what points to the pull requests `fixes` and to `commits`."""

    def clean(text: str) -> str:
        return _clean(text, repository, fixes, commits)

    kept = []
    for comment in comments:
        if comment.created_at >= until or (comment.updated_at or comment.created_at) >= until or comment.by_bot:
            continue
        if (text := clean(comment.body or "")[:_COMMENT_CHARACTERS]).strip():
            kept.append(text)
    shown = kept[:_COMMENTS]
    parts = [f"# {' '.join(clean(_title(issue, events, until)).split())}", clean(issue.body or "")]
    parts += [f"---\n\n{text}" for text in shown]
    whole = "\n\n".join(part.strip() for part in parts if part.strip())[:_CHARACTERS]
    return IssueText(whole + "\n", len(shown), len(comments) - len(shown))


def _title(issue: Issue, events: Sequence[Event], until: datetime) -> str:
    """As it was: what it was later renamed from is in the timeline."""
    later = [event for event in events if event.event == "renamed" and event.rename and event.created_at and event.created_at >= until]
    first = min(later, key=lambda event: event.created_at or until, default=None)
    return first.rename.before if first is not None and first.rename is not None and first.rename.before else issue.title


def _clean(text: str, repository: str, fixes: Collection[int], commits: Collection[str]) -> str:
    text = _REMARK.sub("", text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", ""))
    own = re.escape(repository)
    text = re.sub(rf"<?https?://[^\s<>)\]]*?/{own}/{_TO_FIX}/[^\s<>)\]]*>?", "", text, flags=re.IGNORECASE)
    text = re.sub(r"<?https?://[^\s<>)\]]*\.(?:patch|diff)\b[^\s<>)\]]*>?", "", text)
    for number in fixes:
        text = re.sub(rf"(?i)(?:\b(?:pr|pull request|fixed (?:by|in)|see)\s*)?(?:\b{own})?(?:(?<![\w&])#|\bgh-){number}(?!\d)", "", text)
    ids = tuple(commits)
    text = _ID.sub(lambda match: "" if any(one.startswith(match[0]) for one in ids) else match[0], text)
    text = re.sub(r"\[([^\]]*)\]\(\s*\)", r"\1", text)
    text = re.sub(r"(?<=\S)[ \t]+(?=\n)|\(\s*\)|\[\s*\](?!\()", "", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip()
