"""What a merged pull request left on the branch: the state before it, and the commit that has all of it.

A merge commit has the state before as its first parent. A squash is one new commit above it. A rebase puts copies of the pull request's
commits there; the merge commit that GitHub names is the last of them, and the state before is as many commits below as there are copies.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from podgym.envs.build.github.answers import Commit
from podgym.envs.build.github.errors import Unresolved

__all__ = ["Merge", "merge_of"]

_LONGEST: Final = 250
"""Commits of a pull request that GitHub lists."""


@dataclass(frozen=True, slots=True)
class Merge:
    """Of one pull request, or of a commit that closed an issue by itself."""

    fix: str
    base: str
    parent: int | None
    """Of a merge commit: which parent is the state before, from 1."""
    how: Literal["merge", "squash", "rebase", "commit"]
    commits: int
    """From base to fix along first parents."""


async def merge_of(last: Commit, own: Sequence[Commit], get: Callable[[str], Awaitable[Commit]]) -> Merge:
    """`last` is the commit that GitHub names as the merge commit, `own` are the pull request's commits, `get` fetches one by its id.

    Raises `Unresolved` for a first commit, which nothing is before.
    """
    if not last.parents:
        raise Unresolved(f"Commit {last.sha[:12]} has no parent, so there is no state before the fix.", remedy="Choose another issue.")
    if len(last.parents) > 1:
        return Merge(last.sha, last.parents[0].sha, 1, "merge", 1)
    if len(own) < 2 or len(own) > _LONGEST or last.identity != own[-1].identity:
        return Merge(last.sha, last.parents[0].sha, None, "squash", 1)
    at = last
    for count, expected in enumerate(reversed(own), 1):
        if at.identity != expected.identity or len(at.parents) != 1:
            # The last commit's message became the squash's.
            return Merge(last.sha, last.parents[0].sha, None, "squash", 1)
        if count == len(own):
            return Merge(last.sha, at.parents[0].sha, None, "rebase", count)
        at = await get(at.parents[0].sha)
    raise AssertionError("unreachable")
