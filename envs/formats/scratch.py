"""Makes the commits of a row in a bare repository of its own, by git plumbing: nothing is checked out and nothing is run.

The repository borrows the objects of the source and writes beside them what the row adds, so the source stays as it is. Of an ordinary row
comes one commit on its base: the fix and the tests. A row whose patch is a bug comes as two: the broken state without the tests that
find the bug, which has no history (the history is the solution), and on it the sound state that the source has. Equal rows
over equal sources make equal commits.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from podgym.envs.formats.problem import RowError
from podgym.envs.formats.row import RowFile, TaskRow
from podgym.envs.repository import RepositoryError, SourceRepository
from podgym.envs.repository.git import Git
from podgym.envs.repository.layout import write_skeleton

__all__ = ["Commits", "make_commits"]

_WHO: Final = "podgym <podgym@localhost>"
_FOUND_TESTS: Final = 50
"""Test files that the ids of a row may name."""
_WORD: Final = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Commits:
    """What was made of a row."""

    base: str
    fix: str
    fix_paths: frozenset[str]
    """Files of the row's fix."""
    test_paths: frozenset[str]
    """Files of the row's tests."""


def make_commits(row: TaskRow, source: SourceRepository, git_dir: Path) -> Commits:
    """Write the row's commits to `git_dir`, which is made. Raises `RowError`."""
    try:
        base = source.resolve(row.base)
    except RepositoryError as error:
        if error.problem != "commit":
            raise
        raise RowError("base_missing", f"The base commit {row.base[:60]!r} is not in {source.location}.", remedy=error.remedy) from error
    scratch = _Scratch(source, git_dir, base)
    return _broken(row, scratch) if row.bug_patch else _mended(row, scratch)


def _mended(row: TaskRow, scratch: _Scratch) -> Commits:
    before = scratch.load(scratch.base)
    if row.fix_files:
        fixed = scratch.write(row.fix_files)
    else:
        fixed = scratch.apply(row.fix_patch, RowError("fix_does_not_apply", "The fix does not apply to the base commit"))
    tested = fixed
    if row.test_patch:
        tested = scratch.apply(row.test_patch, RowError("tests_do_not_apply", "The tests do not apply to the base commit with the fix"))
    if row.test_files:
        tested = scratch.write(row.test_files)
    fix_paths, test_paths = scratch.changed(before, fixed), scratch.changed(fixed, tested)
    if not fix_paths:
        raise RowError("empty_fix", "The row's fix changes no file.")
    when = max(scratch.base_time_s + 1, int(row.created.timestamp()) if row.created else 0)
    fix = scratch.commit(tested, [scratch.base], when, f"Fix of {row.id}")
    return Commits(scratch.base, fix, fix_paths, test_paths)


def _broken(row: TaskRow, scratch: _Scratch) -> Commits:
    sound = scratch.load(scratch.base)
    broken = scratch.apply(row.bug_patch, RowError("fix_does_not_apply", "The row's bug does not apply to its base commit"))
    fix_paths = scratch.changed(sound, broken)
    tests = _tests_named(row, scratch, fix_paths)
    if not tests:
        raise RowError("empty_tests", "The row's test ids name no file that is there, so the tests cannot be told from the source.")
    without = scratch.write([RowFile(path, None) for path in tests])
    base = scratch.commit(without, [], scratch.base_time_s, f"State of {row.id}")
    fix = scratch.commit(sound, [base], scratch.base_time_s + 1, f"Fix of {row.id}")
    return Commits(base, fix, fix_paths, frozenset(tests))


def _tests_named(row: TaskRow, scratch: _Scratch, fix_paths: frozenset[str]) -> list[str]:
    """The files that the ids of tests that turn name: by their path, else by a name that their text has."""
    paths = set(scratch.paths())
    named = {path for name in row.fail_to_pass if (path := re.split(r"::|#| > ", name)[0]) in paths}
    if named or not row.fail_to_pass:
        return sorted(named - fix_paths)[:_FOUND_TESTS]
    leaves = {words[-1] for name in row.fail_to_pass if (words := _WORD.findall(re.sub(r"\[.*\]$", "", name)))}
    found = scratch.holding([leaf for leaf in sorted(leaves) if len(leaf) > 5][:200])
    return sorted(path for path in found - fix_paths if re.search(r"test|spec", path, re.IGNORECASE))[:_FOUND_TESTS]


class _Scratch:
    """A bare repository whose index is the state that is being made."""

    def __init__(self, source: SourceRepository, git_dir: Path, base: str) -> None:
        self._source, self.base = source, base
        self.base_time_s = source.commit(base).committer_time
        write_skeleton(git_dir, bare=True, object_format="sha256" if len(base) == 64 else "sha1")
        common = source.common_dir
        (git_dir / "objects/info/alternates").write_text(f"{_escaped(common / 'objects')}\n")
        shallow = common / "shallow"
        if shallow.is_file():
            (git_dir / "shallow").write_bytes(shallow.read_bytes())
        if (common / "modules").is_dir():
            (git_dir / "modules").symlink_to(common / "modules")
        # Versions are made from tags, and those of the future are told apart by whoever builds.
        tags = source.git.run("for-each-ref", "--format=%(objectname) %(refname)", "refs/tags/")
        (git_dir / "packed-refs").write_bytes(tags)
        self._git = Git(git_dir)
        if source.url:
            self._git.run("config", f"--file={git_dir / 'config'}", "remote.origin.url", source.url)

    def load(self, commit: str) -> str:
        """Begin with a commit; its tree."""
        self._git.run("read-tree", commit)
        return self.tree()

    def tree(self) -> str:
        """The state as a tree."""
        return self._git.run("write-tree", "--missing-ok").decode().strip()

    def apply(self, patch: bytes, failure: RowError) -> str:
        """The state with a patch. Raises `failure`, with what git says."""
        if not patch.strip():
            raise RowError("empty_fix" if failure.kind == "fix_does_not_apply" else "empty_tests", "The row has no patch.")
        try:
            self._git.run("apply", "--cached", "--whitespace=nowarn", "-", stdin=patch if patch.endswith(b"\n") else patch + b"\n")
        except RepositoryError as error:
            said = error.message.partition("exit code ")[2].partition(": ")[2] or error.message
            raise RowError(failure.kind, f"{failure.message}: {' '.join(said.split())[:300]}") from error
        return self.tree()

    def write(self, files: Sequence[RowFile]) -> str:
        """The state with whole files written or removed, modes kept."""
        modes = self._modes()
        lines = []
        for file in files:
            if file.data is None:
                lines.append(f"0 {'0' * len(self.base)}\t{file.path}")
            else:
                found = self._git.run("hash-object", "-w", "--stdin", stdin=file.data).decode().strip()
                lines.append(f"{modes.get(file.path, '100644')} {found}\t{file.path}")
        try:
            said = "".join(f"{line}\0" for line in lines).encode("utf-8", "surrogateescape")
            self._git.run("update-index", "-z", "--index-info", stdin=said)
            return self.tree()
        except RepositoryError as error:
            raise RowError("tests_do_not_apply", f"The row's files cannot be written: {error.message}") from error

    def paths(self) -> list[str]:
        """Of all files of the state."""
        return list(self._modes())

    def _modes(self) -> dict[str, str]:
        entries = self._git.run("ls-files", "-z", "--stage").decode("utf-8", "surrogateescape").split("\0")[:-1]
        return {path: head.split(" ")[0] for head, _, path in (entry.partition("\t") for entry in entries)}

    def holding(self, words: Sequence[str]) -> set[str]:
        """Files of the state that have one of the words."""
        if not words:
            return set()
        patterns = [part for word in words for part in ("-e", word)]
        try:
            said = self._git.run("grep", "--cached", "-z", "-l", "-w", "-F", "-I", *patterns)
        except RepositoryError:
            return set()  # Git says so where there is none.
        return set(said.decode("utf-8", "surrogateescape").split("\0")[:-1])

    def changed(self, old: str, new: str) -> frozenset[str]:
        """Paths that differ between two trees."""
        said = self._git.run("diff-tree", "-r", "-z", "--name-only", "--no-renames", old, new)
        return frozenset(said.decode("utf-8", "surrogateescape").split("\0")[:-1])

    def commit(self, tree: str, parents: Sequence[str], time_s: int, message: str) -> str:
        """A commit, made without anybody's settings."""
        lines = [f"tree {tree}", *(f"parent {parent}" for parent in parents)]
        lines += [f"{role} {_WHO} {time_s} +0000" for role in ("author", "committer")]
        data = "\n".join([*lines, "", _printable(message), ""]).encode("utf-8", "replace")
        return self._git.run("hash-object", "-t", "commit", "-w", "--stdin", stdin=data).decode().strip()


def _printable(text: str) -> str:
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def _escaped(path: Path) -> str:
    """As git reads a line of `alternates`."""
    text = str(path)
    if text.startswith(("#", '"')) or "\n" in text:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    return text
