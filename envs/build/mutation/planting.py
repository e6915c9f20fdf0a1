"""A changed commit as a repository of its own, from which a task's repository is built.

The commit's past holds the file as it was before the change, which is the answer. No rewriting of history would be sure to leave it out
everywhere, so there is none: the changed tree is a root commit, and the agent's repository is its closure, which holds no object but that
tree's. (`history` counts generations above base and cannot do that: base itself would still have the parents whose trees hold the
original.) The fix is the reverse edit, a second commit above it that only the builder sees. What is kept of the past is the name of the
tag that `git describe` gives upstream, because version tools ask for it.

The planted repository borrows the source's objects and is never handed out.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from podgym.envs.repository import RepositoryError, SourceRepository
from podgym.envs.repository.git import Git
from podgym.envs.repository.layout import write_skeleton

__all__ = ["Planted", "Tag", "plant", "version_tag"]

_WHO: Final = "podgym <podgym@localhost>"
_GONE: Final = "0"


@dataclass(frozen=True, slots=True)
class Tag:
    """The last release before a commit."""

    name: str
    annotated: bool


@dataclass(frozen=True, slots=True)
class Planted:
    """Where the changed commit is, and its two commits."""

    git_dir: Path
    base: str
    """The changed tree, without parents."""
    fix: str
    """The original tree, with `base` as its parent."""
    location: str
    url: str
    work_tree: Path | None
    cache_dir: Path

    def open(self) -> SourceRepository:
        """Opened anew for each user, because a reader serves one thread."""
        return SourceRepository(self.git_dir, location=self.location, url=self.url, work_tree=self.work_tree, cache_dir=self.cache_dir)


def version_tag(source: SourceRepository, commit: str) -> Tag | None:
    """What `git describe --tags` names; None where there is no tag."""
    try:
        name = os.fsdecode(source.git.run("describe", "--tags", "--abbrev=0", commit).strip())
    except RepositoryError:
        return None
    return next((Tag(tag.name, tag.annotated) for tag in source.tags(commit) if name in (tag.name, tag.title)), None)


def plant(
    source: SourceRepository,
    commit: str,
    git_dir: Path,
    *,
    changes: Mapping[str, bytes | None],
    tag: Tag | None = None,
) -> Planted:
    """Make `git_dir` (new) with `commit` as a root whose files of `changes` have other contents (None: are not there).

    Raises `RepositoryError`.
    """
    info = source.commit(commit)
    write_skeleton(git_dir, bare=True, object_format="sha1" if len(commit) == 40 else "sha256")
    (git_dir / "objects/info/alternates").write_bytes(os.fsencode(source.common_dir / "objects") + b"\n")
    for name in ("modules", "lfs"):
        if (source.common_dir / name).is_dir():
            (git_dir / name).symlink_to(source.common_dir / name)
    git = Git(git_dir)
    original = git.run("rev-parse", "--verify", f"{commit}^{{tree}}").decode().strip()
    git.run("read-tree", original)
    modes = {entry.path: entry.mode for entry in source.list_tree(commit) if entry.path in changes}
    entries = b""
    for path, data in changes.items():
        blob = git.run("hash-object", "-w", "--stdin", stdin=data).decode().strip() if data is not None else _GONE * len(commit)
        entries += b"%s %s\t%s\0" % ((modes[path] if data is not None else _GONE).encode(), blob.encode(), os.fsencode(path))
    git.run("update-index", "-z", "--index-info", stdin=entries)
    changed = git.run("write-tree", "--missing-ok").decode().strip()
    when = f"{max(info.committer_time, 0)} +0000"
    base = _commit(git, changed, when, ())
    fix = _commit(git, original, when, (base,))
    (git_dir / "refs/heads/main").write_text(f"{fix}\n")
    if tag is not None:
        _tag(git, tag, base, when)
    return Planted(git_dir, base, fix, source.location, source.url, source.work_tree, source.cache_dir)


def _commit(git: Git, tree: str, when: str, parents: tuple[str, ...]) -> str:
    head = "".join((f"tree {tree}\n", *(f"parent {parent}\n" for parent in parents), f"author {_WHO} {when}\ncommitter {_WHO} {when}\n"))
    return git.run("hash-object", "-t", "commit", "-w", "--stdin", stdin=f"{head}\nSnapshot\n".encode()).decode().strip()


def _tag(git: Git, tag: Tag, commit: str, when: str) -> None:
    named = commit
    if tag.annotated:
        said = f"object {commit}\ntype commit\ntag {tag.name}\ntagger {_WHO} {when}\n\n{tag.name}\n"
        named = git.run("hash-object", "-t", "tag", "-w", "--stdin", stdin=os.fsencode(said)).decode().strip()
    git.run("update-ref", f"refs/tags/{tag.name}", named)
