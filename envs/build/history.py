"""The fix commit as data: which parent is the state before it, and which files differ."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from podgym.envs.build.errors import BuildError
from podgym.envs.repository.source import CommitInfo, FileChange, SourceRepository

__all__ = ["Fix", "merged_messages", "read_fix"]

_MAX_MERGED = 50
_MAX_BEFORE = 5000


@dataclass(frozen=True, slots=True)
class Fix:
    """A commit, and the parent that it is compared with."""

    sha: str
    base: str
    message: str
    committed: datetime
    changes: tuple[FileChange, ...]


def read_fix(source: SourceRepository, commit: str, *, parent: int | None = None, base: str | None = None) -> Fix:
    """What `commit` changed against its first parent, which for a merge is all that it brought in; `parent` (from 1) chooses another one,
    `base` names an earlier commit for a fix of several commits.

    Raises `RepositoryError` for a commit that is not there, and `BuildError` for the first commit of a history, a `parent` that the
    commit has not, and a commit that changes nothing.
    """
    sha = source.resolve(commit)
    info = source.commit(sha)
    if base is not None:
        return _fix(source, sha, source.resolve(base), info)
    if not info.parents:
        raise BuildError(
            f"Commit {sha[:12]} has no parent, so there is no state before the fix.",
            stage="resolve",
            reason="root_commit",
            remedy="Choose a commit that mends something that an earlier commit has.",
        )
    if parent is not None and not 1 <= parent <= len(info.parents):
        raise BuildError(
            f"Commit {sha[:12]} has {len(info.parents)} parent(s); parent {parent} is not one of them.",
            stage="resolve",
            reason="merge_commit",
            remedy=f"Use --parent 1{f' to {len(info.parents)}' if len(info.parents) > 1 else ''}, or leave it out.",
        )
    return _fix(source, sha, info.parents[(parent or 1) - 1], info)


def merged_messages(source: SourceRepository, fix: Fix) -> list[str]:
    """Messages of the commits that a merge brought in, the oldest first; none for a commit that is no merge."""
    parents = source.parents(fix.sha)
    sides = [parent for parent in parents if parent != fix.base]
    if len(parents) < 2 or not sides or fix.base not in parents:
        return []
    before = set(_line(source, fix.base, _MAX_BEFORE))
    found: list[str] = []
    for sha in _line(source, sides[0], _MAX_MERGED):
        if sha in before:
            break
        found.append(source.message(sha))
    return found[::-1]


def _line(source: SourceRepository, sha: str, most: int) -> Iterator[str]:
    """A commit and its first parents."""
    cut = source.cut
    for _ in range(most):
        yield sha
        parents = () if sha in cut else source.parents(sha)
        if not parents:
            return
        sha = parents[0]


def _fix(source: SourceRepository, sha: str, base: str, info: CommitInfo) -> Fix:
    changes = tuple(source.changed_files(base, sha))
    if not changes:
        raise BuildError(
            f"Commit {sha[:12]} changes no file against {base[:12]}.",
            stage="split",
            reason="empty_commit",
            remedy="Choose a commit that changes source and tests.",
        )
    return Fix(sha, base, info.message, datetime.fromtimestamp(info.committer_time, UTC), changes)
