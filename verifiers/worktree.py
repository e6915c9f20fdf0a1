"""How an agent's work tree leaves its sandbox: as one tar stream where it is small, as hashes and then the differing files
where it is not. What git ignores by the base's rules is left out before it is counted or fetched.

The sandbox is the agent's, so nothing it says is trusted further than this: it decides what of the agent's own work is graded.
Its processes are ended first, so that the stream is of one moment and nobody changes the tree while it is read; in a sandbox that
does not know its processes (`podgym.sandbox.Freezable`), those whose working directory is in the work tree are stopped, as far as
one uid and one pass can. The driver reads the stream with its own parser and its own bounds. The shell uses `tar`, and for large
trees `find`, `sha1sum` and `chmod`, as GNU or busybox have them; the small case starts one process.
"""

from __future__ import annotations

import fnmatch
import secrets
import shlex
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

from podgym.sandbox import CommandResult, Freezable, Sandbox
from podgym.verifiers.archive import read_archive
from podgym.verifiers.basetree import SYMLINK, BaseTree
from podgym.verifiers.errors import ArchiveError
from podgym.verifiers.ignore import ignored
from podgym.verifiers.reports.parsed import visible
from podgym.verifiers.verdict import DroppedChange

__all__ = ["ChangeLimits", "ChangedFile", "Excluded", "Snapshot", "snapshot"]

_ALWAYS: Final = (".git", "__pycache__", ".pytest_cache", "*.pyc", "*.pyo", "*.egg-info", "*.dist-info")
_UNLESS_TRACKED: Final = (
    ".hg",
    ".svn",
    ".mypy_cache",
    ".ruff_cache",
    ".hypothesis",
    ".tox",
    ".nox",
    ".venv",
    ".eggs",
    "node_modules",
    ".coverage",
)
_SMALL_BYTES: Final = 2 << 20
_SMALL_FILES: Final = 2_000
_STREAM_BYTES: Final = 8 << 20

# Shell built-ins alone: a fork costs a millisecond, and this runs after every rollout.
_STOP: Final = """\
w=$PWD; cd -P . && r=$PWD; k=" 1 $$ "; q=$PPID
while [ "$q" -gt 1 ] 2>/dev/null && read -r s 2>/dev/null </proc/$q/stat; do k="$k$q "; s=${s##*) }; s=${s#* }; q=${s%% *}; done
for d in /proc/[0-9]*; do n=${d#/proc/}
case $k in *" $n "*) ;; *) cd -P "$d/cwd" 2>/dev/null && case $PWD/ in "$r"/*) kill -STOP "$n" 2>/dev/null;; esac;; esac; done
cd "$w" || exit 96
"""
_MAX_LEVELS: Final = 512
"""Of directories: paths of at most 1024 characters have no more, and tools take the square of their number."""
_MAX_DROPPED: Final = 200
_ODD: Final = shlex.quote("*[\\\\\n\r]*")
_ODD_CHARACTERS: Final = frozenset("\\\n\r")
"""Of paths that `sha1sum` escapes, or does not, as it likes: they are listed by NUL bytes alone, and fetched to be compared."""
# Only what cannot be read: on an overlay, chmod copies a file up even where it changes nothing.
_REPAIR: Final = (
    f"find . -maxdepth {_MAX_LEVELS} ! -type l \\( ! -perm -400 -o -type d ! -perm -500 \\) -exec chmod u+rwX {{}} \\; 2>/dev/null\n"
)


@dataclass(frozen=True, slots=True)
class ChangedFile:
    """A file that is new or differs: `mode` is 0o100644, 0o100755 or 0o120000 (then `data` is the link's target)."""

    mode: int
    data: bytes


@dataclass(frozen=True, slots=True)
class ChangeLimits:
    """Bounds on one change. Beyond the first, a file is dropped; beyond the others, the whole change is refused."""

    file_bytes: int = 8 << 20
    total_bytes: int = 32 << 20
    files: int = 2_000
    tree_files: int = 200_000
    """Files in the agent's whole work tree."""


class Excluded:
    """Names that are never part of a change: git's own, caches, and installed metadata, which names pytest's plug-ins.

    Tools' directories that the base tree itself tracks are not excluded.
    """

    def __init__(self, base: BaseTree) -> None:
        self.patterns = (*_ALWAYS, *(name for name in _UNLESS_TRACKED if name not in base.names))
        self._exact = frozenset(pattern for pattern in self.patterns if "*" not in pattern)
        self._globs = tuple(pattern for pattern in self.patterns if "*" in pattern)

    def __contains__(self, path: object) -> bool:
        if not isinstance(path, str):
            return False
        parts = path.split("/")
        return not self._exact.isdisjoint(parts) or any(
            fnmatch.fnmatchcase(part, glob) for part in parts if "." in part for glob in self._globs
        )


@dataclass(slots=True)
class Snapshot:
    """What is in the work tree. Every path is as the sandbox gave it, without a leading `./`."""

    files: dict[str, ChangedFile] = field(default_factory=dict)
    """With content: every file of a small tree, the differing ones of a large one."""
    same: set[str] = field(default_factory=set)
    """Known to be as in the base."""
    ignored: set[str] | None = None
    """New paths that git leaves out by the base's rules, and whose content was not fetched; None where git was not asked."""
    dropped: list[DroppedChange] = field(default_factory=list)
    """At most `_MAX_DROPPED`."""
    more_dropped: int = 0
    refused: str = ""

    def drop(self, path: str, reason: str) -> None:
        """Leave a path out, and whatever the base has there in place."""
        self.same.add(path)
        if len(self.dropped) < _MAX_DROPPED:
            self.dropped.append(DroppedChange(path=visible(path)[:1024], reason=reason))
        else:
            self.more_dropped += 1


async def snapshot(
    sandbox: Sandbox, base: BaseTree, *, workdir: str | None, limits: ChangeLimits, excluded: Excluded, timeout_s: float
) -> Snapshot:
    """Read the work tree in one command where the base is small, in at most three otherwise. Raises `SandboxError`."""
    stop = _STOP
    if isinstance(sandbox, Freezable):
        stop = ""
        if left := await sandbox.freeze():
            return Snapshot(refused=f"The work tree could not be read at rest: {left} processes of the sandbox could not be ended.")
    if base.total_bytes <= _SMALL_BYTES and len(base.files) <= _SMALL_FILES:
        excludes = " ".join(f"--exclude={shlex.quote(pattern)}" for pattern in excluded.patterns)
        limit = _STREAM_BYTES + 2 * base.total_bytes
        # The second way is for a tar without --exclude (busybox may be built so), and for files without permission to read.
        for pack in (f"tar -c {excludes} -f - .", f"{_REPAIR}{_walk(excluded)} ! -type d -print0 | xargs -0 -r tar -c -f -"):
            result = await sandbox.run(stop + _bounded(pack, limit), timeout_s=timeout_s, cwd=workdir, output_limit=2 * limit)
            if result.stdout.total >= limit or result.exit_code in (0, 96, 126, 127) or result.timed_out:
                break
        if result.stdout.total < limit:
            found = Snapshot(refused=_failure(result, timeout_s))
            if not found.refused:
                _unpack(found, result, limits)
            return found
    return await _large(sandbox, base, stop=stop, workdir=workdir, limits=limits, excluded=excluded, timeout_s=timeout_s)


async def _large(
    sandbox: Sandbox, base: BaseTree, *, stop: str, workdir: str | None, limits: ChangeLimits, excluded: Excluded, timeout_s: float
) -> Snapshot:
    mark = secrets.token_hex(8)
    bound = 1 + max([limits.file_bytes, *(file.size for file in base.files.values())])
    walk, end = _walk(excluded), f"printf '%s\\0' {mark}"
    script = (
        f'for t in find sha1sum tar xargs; do command -v $t >/dev/null || {{ echo "$t: not found" >&2; exit 127; }}; done\n{stop}'
        f"export LC_ALL=C\n{_REPAIR}"
        f"{walk} -type f -size -{bound}c ! -path {_ODD} -exec sha1sum {{}} +; {end}\n"
        f"{walk} -type f -perm -100 -print0; {end}\n"
        f"{walk} -type l -print0; {walk} -type f -size -{bound}c -path {_ODD} -print0; {end}\n"
        f"{walk} -type f ! -size -{bound}c -print0; {end}\n"
        f"{walk} ! -type f ! -type l ! -type d -print0; {end}\n"
        f"find . -mindepth {_MAX_LEVELS} -maxdepth {_MAX_LEVELS} -print0; {end}"
    )
    result = await sandbox.run(script, timeout_s=timeout_s, cwd=workdir, output_limit=limits.tree_files * 160)
    if failure := _failure(result, timeout_s):
        return Snapshot(refused=failure)
    sections = result.stdout.head.split(f"{mark}\0".encode())
    listed = [section.count(b"\0" if place else b"\n") for place, section in enumerate(sections)]
    if result.stdout.cut or len(sections) != 7 or max(listed) > limits.tree_files:
        return Snapshot(
            refused=f"The work tree is too large: it holds more than {limits.tree_files} files, or names that cannot be listed."
        )
    found = Snapshot()
    executable, fetched, long, special, deep = (_paths(section) for section in sections[1:6])
    wanted = _differing(found, base, sections[0], executable=frozenset(executable))
    wanted += [path for path in fetched if path in base.files or not _odd(found, path)]
    found.ignored = await ignored(base, (path for path in (*wanted, *long) if path not in base.files))
    wanted = [path for path in wanted if path not in found.ignored]
    for path in long:
        if path not in found.ignored:
            found.drop(path, f"it is larger than {bound - 1} bytes")
    for path in special:
        found.drop(path, "it is no file, directory or link")
    for path in deep:
        found.drop(path, f"it is deeper than {_MAX_LEVELS} directories")
    known = sum(file.mode == SYMLINK or _is_odd(path) for path, file in base.files.items())
    if len(wanted) > limits.files + known:
        return Snapshot(refused=f"The change is too large: {len(wanted)} files differ; at most {limits.files} are graded.")
    if wanted:
        listing = "".join(f"./{path}\0" for path in wanted).encode("utf-8", "surrogateescape")
        room = limits.total_bytes + (4 << 20) + 2048 * len(wanted)
        result = await sandbox.run(
            f"xargs -0 -r tar -c -f - | head -c {room}",
            timeout_s=timeout_s,
            cwd=workdir,
            stdin=listing,
            output_limit=2 * room,
        )
        found.refused = _failure(result, timeout_s)
        if result.stdout.total >= room:
            found.refused = f"The change is too large: what differs has more than {limits.total_bytes} bytes."
        if not found.refused:
            _unpack(found, result, limits)
    return found


def _bounded(pack: str, limit: int) -> str:
    """Shell that passes on at most `limit` bytes of what `pack` writes, and ends as it did: a sparse file is longer than time."""
    return f'exec 3>&1; c=$({{ {{ {pack}; echo $? >&4; }} | head -c {limit} >&3; }} 4>&1); exit "${{c:-1}}"'


def _walk(excluded: Excluded) -> str:
    names = " -o ".join(f"-name {shlex.quote(pattern)}" for pattern in excluded.patterns)
    return f"find . -maxdepth {_MAX_LEVELS} \\( {names} \\) -prune -o"


def _differing(found: Snapshot, base: BaseTree, listing: bytes, *, executable: Collection[str]) -> list[str]:
    """Paths of the listing of hashes whose content has to be fetched; the others are noted as the same."""
    known = base.sha1_by_path
    wanted: list[str] = []
    for line in listing.split(b"\n"):
        digest, _, name = line.partition(b"  ")
        path = name.decode("utf-8", "surrogateescape").removeprefix("./")
        if not path:
            continue
        before = base.files.get(path)
        same_mode = before is not None and (before.mode == 0o100755) == (path in executable)
        if same_mode and known.get(path) == digest.decode("ascii", "replace"):
            found.same.add(path)
        else:
            wanted.append(path)
    return wanted


def _is_odd(path: str) -> bool:
    return not _ODD_CHARACTERS.isdisjoint(path)


def _odd(found: Snapshot, path: str) -> bool:
    """Whether a new path is of a name that no change may have; it is dropped then."""
    if _is_odd(path):
        found.drop(path, "its name has a backslash or a line break")
        return True
    return False


def _paths(section: bytes) -> list[str]:
    return [path.decode("utf-8", "surrogateescape").removeprefix("./") for path in section.split(b"\0") if path]


def _failure(result: CommandResult, timeout_s: float) -> str:
    """Why the tree could not be read; the agent owns that sandbox and broke it."""
    said = visible(result.stderr.text().strip()[-300:])
    if result.timed_out:
        return f"The work tree could not be read within {timeout_s:g} s: it is too large, or something in the sandbox holds it up."
    if result.exit_code == 127:
        return f"The work tree could not be read, because the sandbox lacks a program that it had: {said}"
    if result.exit_code in (96, 126):
        return f"The work tree is not there any more: {said}"
    return ""


def _unpack(found: Snapshot, result: CommandResult, limits: ChangeLimits) -> None:
    """Members of the archive to files of the snapshot."""
    try:
        for member in read_archive(result.stdout.bytes, max_members=limits.tree_files):
            path = member.path.removeprefix("./").rstrip("/")
            if member.kind == "directory":
                continue
            if path in found.files:
                found.drop(path, "the archive names it twice")
            elif member.kind == "hardlink" and (target := found.files.get(member.link.removeprefix("./"))) is not None:
                found.files[path] = target
            elif member.kind == "file" and len(member.data) > limits.file_bytes:
                found.drop(path, f"it has {len(member.data)} bytes; at most {limits.file_bytes} are graded")
            elif member.kind == "file":
                found.files[path] = ChangedFile(0o100755 if member.mode & 0o100 else 0o100644, bytes(member.data))
            elif member.kind == "symlink":
                found.files[path] = ChangedFile(SYMLINK, member.link.encode("utf-8", "surrogateescape"))
            else:
                found.drop(
                    path,
                    "it is a hard link to something outside" if member.kind == "hardlink" else "it is a device or another special file",
                )
    except ArchiveError as error:
        found.refused = f"The work tree could not be read: {error} The sandbox's tar said: {visible(result.stderr.text().strip()[-300:])}"


def reaches(path: str, files: Collection[str]) -> bool:
    """Whether one of the directories of `path` is among `files`."""
    end = path.rfind("/")
    while end > 0:
        if path[:end] in files:
            return True
        end = path.rfind("/", 0, end)
    return False
