"""Which parts of an agent's change are graded.

Tests, their data, the runner's configuration and the build are the base's (or the hidden tests'), whatever the agent did
to them: dropping the agent's version is what restores them, because grading starts from the image. A file that the gold
fix itself touches (`editable`) may be changed, but for the runner's own tables in it, and never a hidden test.

What is left is one tree together with what stays of the base: where a file of the base stays, nothing of the agent's is below it,
and where files stay in a directory, no file of the agent's takes its place.
"""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from podgym.verifiers.basetree import SYMLINK, BaseTree
from podgym.verifiers.change import Change, ChangedFile
from podgym.verifiers.paths import PathGlobs, import_shadows
from podgym.verifiers.protection.inline import readable
from podgym.verifiers.protection.languages import PROTECTED
from podgym.verifiers.protection.shadows import stands_in
from podgym.verifiers.protection.tables import runner_part, runner_parts
from podgym.verifiers.reports.parsed import visible
from podgym.verifiers.verdict import DroppedChange
from podgym.verifiers.worktree import reaches

__all__ = ["Accepted", "accept"]


@dataclass(frozen=True, slots=True)
class Accepted:
    """The part of a change that is graded, and what was left out."""

    files: Mapping[str, ChangedFile]
    deleted: tuple[str, ...]
    dropped: tuple[DroppedChange, ...]
    base: BaseTree | None = field(default=None, compare=False, repr=False)


def accept(
    change: Change,
    *,
    hidden: Collection[str],
    protected: Sequence[str] = PROTECTED,
    editable: Collection[str] = (),
    import_roots: Collection[str] = ("", "src", "lib"),
    gold_parts: Mapping[str, str] | None = None,
    spliced: Collection[str] = (),
) -> Accepted:
    """Split a change. `hidden` are the paths that the grader writes or removes itself, `spliced` those that it writes a part of, and
    `gold_parts` what `runner_parts` says about the gold fix."""
    rules = _Rules(
        change,
        hidden,
        PathGlobs(protected),
        editable=frozenset(editable),
        import_roots=frozenset(import_roots),
        gold_parts=gold_parts or {},
    )
    files: dict[str, ChangedFile] = {}
    deleted: list[str] = []
    dropped = list(change.dropped)
    for path in (*change.files, *change.deleted):
        file = change.files.get(path)
        if reason := rules.against(path, file):
            dropped.append(DroppedChange(path=visible(path), reason=reason))
        elif file is not None:
            files[path] = file
        else:
            deleted.append(path)
    for path, reason in _displaced(files, deleted, change.base, spliced).items():
        del files[path]
        dropped.append(DroppedChange(path=visible(path), reason=reason))
    return Accepted(files, tuple(deleted), tuple(dropped), change.base)


def _displaced(files: Collection[str], deleted: Collection[str], base: BaseTree | None, spliced: Collection[str]) -> dict[str, str]:
    """New files that cannot be where a file or a directory of the base stays, with the reason."""
    known = base.files if base is not None else {}
    new = [path for path in files if path not in known]
    if not new:
        return {}
    stays = (known.keys() - set(deleted)) | set(spliced)
    folders = _folders(stays)
    below = {path: "a file stays in the place of one of its directories" for path in new if reaches(path, stays)}
    return below | {path: "a directory stays in its place" for path in new if path in folders}


class _Rules:
    """What one change is held against; the base tree is only walked where the change has new files."""

    def __init__(
        self,
        change: Change,
        hidden: Collection[str],
        globs: PathGlobs,
        *,
        editable: frozenset[str],
        import_roots: frozenset[str],
        gold_parts: Mapping[str, str],
    ) -> None:
        self._base = change.base if change.base is not None else BaseTree({}, lambda _: b"")
        self._hidden, self._globs, self._editable = frozenset(hidden), globs, editable
        self._hidden_folders = _folders(hidden)
        self._hidden_names = {path.casefold() for path in hidden}
        self._gold_parts = gold_parts
        grading = set(hidden)
        if any(path not in self._base.files for path in change.files):
            grading.update(path for path in self._base.files if path in globs)
        self._modules = {path.removesuffix(".py") for path in grading if path.endswith(".py")}
        self._folders = _folders(grading)
        self._roots = import_roots | {self._import_root(path) for path in hidden}

    def _import_root(self, path: str) -> str:
        """The first directory above a test that is no package: test runners put it on the import path."""
        folder = posixpath.dirname(path)
        while folder and f"{folder}/__init__.py" in self._base.files:
            folder = posixpath.dirname(folder)
        return folder

    def _before(self, path: str) -> bytes:
        return self._base.read(path) if path in self._base.files and path not in self._base.left_over else b""

    def against(self, path: str, file: ChangedFile | None) -> str:
        """Why this part is not graded; empty where it is. `file` is None for a deletion."""
        known = path in self._base.files
        if path.casefold() in self._hidden_names:
            return "the hidden tests decide about this path"
        if file is not None and (path in self._hidden_folders or reaches(path, self._hidden)):
            return "it stands where hidden tests are written"
        if file is not None and not readable(path, file.data) and known and readable(path, self._before(path)):
            return "its braces do not match, so its tests cannot be restored"
        if path in self._editable:
            configures = file is not None and _configures(path, file, self._before(path), self._gold_parts.get(path))
            return "it changes how tests are run" if configures else ""
        if path in self._globs:
            return "tests and configuration are the base commit's" if known else "new tests and configuration are not graded"
        if file is None or known:
            return ""
        if reason := stands_in(path, self._base.folders):
            return reason
        if path in self._folders:
            return "it stands in place of a directory of tests"
        module = path.removesuffix("/__init__.py")
        if module != path and f"{module}.py" in self._base.files and module not in self._modules:
            return ""  # a module that became a package; what it shadows it shadowed before
        return import_shadows(path, modules=self._modules, folders=self._folders, roots=self._roots)


def _folders(paths: Collection[str]) -> set[str]:
    found: set[str] = set()
    for path in paths:
        end = path.rfind("/")
        while end > 0 and path[:end] not in found:
            found.add(path[:end])
            end = path.rfind("/", 0, end)
    return found


def _configures(path: str, file: ChangedFile, before: bytes, gold: str | None) -> bool:
    """Whether the part that decides about tests is neither the base's nor the gold fix's, or cannot be read.

    A link has no part of its own: what it leads to decides, and that may be any file.
    """
    try:
        part = runner_part(path, file.data)
        if part is None:
            return False
    except ValueError:
        return True
    if file.mode == SYMLINK:
        return True
    if gold is not None and runner_parts({path: file.data}).get(path) == gold:
        return False
    try:
        return part != runner_part(path, before)
    except ValueError:
        return True
