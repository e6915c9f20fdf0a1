"""What an agent changed: whole files against the base tree, with an identity of its own.

A `Change` is made from what the agent's sandbox streams out (`podgym.verifiers.worktree`), and is all that ever leaves that
sandbox: no process, no git metadata, no file outside the work tree. It is applied elsewhere by writing files whole.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from podgym.sandbox import Sandbox
from podgym.verifiers.archive import Write
from podgym.verifiers.basetree import SYMLINK, BaseFile, BaseTree, BaseTrees, blob_id
from podgym.verifiers.diffs import file_diff
from podgym.verifiers.ignore import TooManyPaths, ignored
from podgym.verifiers.paths import link_escapes, unsafe_path
from podgym.verifiers.reports.parsed import visible
from podgym.verifiers.verdict import DroppedChange
from podgym.verifiers.worktree import ChangedFile, ChangeLimits, Excluded, Snapshot, reaches, snapshot

__all__ = ["EMPTY_DIGEST", "BaseFile", "BaseTree", "BaseTrees", "Change", "ChangedFile", "ChangeLimits", "take_change"]

MAX_DIFF_CHARACTERS: Final = 256 << 10
_MAX_TOPS: Final = 200
_LIMITS: Final = ChangeLimits()


@dataclass(frozen=True)
class Change:
    """New and different files, and deleted paths, against `base`. Picklable where the base's reader is."""

    files: Mapping[str, ChangedFile] = field(default_factory=dict)
    deleted: tuple[str, ...] = ()
    dropped: tuple[DroppedChange, ...] = ()
    """What was found and is not part of the change."""
    refused: str = ""
    """Why nothing of it can be graded; the agent caused it, so it is worth 0."""
    base: BaseTree | None = field(default=None, compare=False, repr=False)

    @property
    def empty(self) -> bool:
        """Nothing was changed that could be graded."""
        return not (self.files or self.deleted or self.refused)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the sorted paths with modes and content digests; equal for equal effects on the base."""
        sha = hashlib.sha256(b"podgym change 1\n")
        entries = [(path, f"{file.mode:o} {hashlib.sha256(file.data).hexdigest()}") for path, file in self.files.items()]
        entries += [(path, "deleted") for path in self.deleted]
        for path, text in sorted(entries):
            sha.update(f"{path}\0{text}\n".encode("utf-8", "surrogateescape"))
        if self.refused:
            sha.update(f"refused\0{self.refused}\n".encode())
        return sha.hexdigest()

    @cached_property
    def diff_text(self) -> str:
        """Unified diff against the base, at most 256 Ki characters."""
        parts: list[str] = []
        room = MAX_DIFF_CHARACTERS
        for path in sorted({*self.files, *self.deleted}):
            file = self.files.get(path)
            before = self.base.files.get(path) if self.base is not None else None
            part = file_diff(
                path,
                self._before(path) if before is not None else None,
                file.data if file is not None else None,
                old_mode=before.mode if before is not None else 0o100644,
                new_mode=file.mode if file is not None else 0o100644,
            )
            if len(part) > room:
                parts.append(f"{part[:room]}\n[... diff cut ...]\n")
                break
            room -= len(part)
            parts.append(part)
        return "".join(parts)

    def _before(self, path: str) -> bytes:
        try:
            return self.base.read(path) if self.base is not None else b""
        except KeyError:
            return b""

    def writes(self) -> tuple[Write, ...]:
        """The files, as a sandbox takes them."""
        return tuple(Write(path, file.data, file.mode) for path, file in self.files.items())

    @classmethod
    def of(cls, files: Mapping[str, bytes | ChangedFile], *, deleted: Iterable[str] = (), base: BaseTree | None = None) -> Change:
        """A change made by hand (a gold patch, say): contents by path, an executable bit where `base` has one."""
        made: dict[str, ChangedFile] = {}
        for path, content in files.items():
            known = base.files.get(path) if base is not None else None
            if isinstance(content, ChangedFile):
                made[path] = content
            else:
                made[path] = ChangedFile(0o100755 if known is not None and known.mode == 0o100755 else 0o100644, content)
        return cls(files=made, deleted=tuple(sorted(deleted)), base=base)


EMPTY_DIGEST: Final = Change().digest
"""Of the change that changes nothing."""


async def take_change(
    sandbox: Sandbox, base: BaseTree, *, workdir: str | None = None, limits: ChangeLimits = _LIMITS, timeout_s: float = 120.0
) -> Change:
    """What the agent's work tree in `sandbox` has that `base` does not, and the reverse.

    Ignored, cached and unsafe files are left out; whatever the agent can do to prevent this makes a refused change, and
    only a failure of the sandbox itself raises (`SandboxError`).
    """
    try:
        return await _take(sandbox, base, workdir=workdir, limits=limits, timeout_s=timeout_s)
    except TooManyPaths as error:
        return Change(refused=f"The change is too large: {error.message}", base=base)


async def _take(sandbox: Sandbox, base: BaseTree, *, workdir: str | None, limits: ChangeLimits, timeout_s: float) -> Change:
    excluded = Excluded(base)
    found = await snapshot(sandbox, base, workdir=workdir, limits=limits, excluded=excluded, timeout_s=timeout_s)
    if found.refused:
        return Change(refused=found.refused, base=base)
    changed: dict[str, ChangedFile] = {}
    for path, file in found.files.items():
        before = base.files.get(path)
        if path in excluded or (before is not None and before.mode == file.mode and before.blob == blob_id(file.data)):
            continue
        reason = unsafe_path(path)
        if not reason and file.mode == SYMLINK and link_escapes(path, file.data.decode("utf-8", "surrogateescape")):
            reason = "the symbolic link leads out of the work tree"
        if not reason and reaches(path, found.files):
            reason = "one of its directories is a file"
        if reason:
            found.drop(path, reason)
        else:
            changed[path] = file
    left_out = found.ignored
    if left_out is None:
        left_out = await ignored(base, [path for path in changed if path not in base.files])
    for path in left_out:
        changed.pop(path, None)
    deleted = tuple(sorted(path for path in base.files if path not in found.files and path not in found.same and path not in excluded))
    count, size = len(changed) + len(deleted), sum(len(file.data) for file in changed.values())
    refused = ""
    if count > limits.files:
        refused = f"The change is too large: it touches {count} files; at most {limits.files} are graded."
    elif size > limits.total_bytes:
        refused = f"The change is too large: {size} bytes; at most {limits.total_bytes} are graded."
    if refused:
        return Change(refused=refused, base=base)
    return Change(files=dict(sorted(changed.items())), deleted=deleted, dropped=_dropped(found, left_out), base=base)


def _dropped(found: Snapshot, left_out: Collection[str]) -> tuple[DroppedChange, ...]:
    """What is told of what was left out: at most so many entries, and files that git ignores by their first directory."""
    told = list(found.dropped)
    if found.more_dropped:
        told.append(DroppedChange(path="...", reason=f"{found.more_dropped} more were left out"))
    first = {path.partition("/")[0]: path for path in sorted(left_out, reverse=True)}
    tops = Counter(path.partition("/")[0] for path in left_out)
    for top in sorted(first)[:_MAX_TOPS]:
        path, reason = (f"{top}/", f"git ignores {tops[top]} files in it, by the base's rules")
        if tops[top] == 1:
            path, reason = first[top], "git ignores it, by the base's rules"
        told.append(DroppedChange(path=visible(path), reason=reason))
    return tuple(told)
