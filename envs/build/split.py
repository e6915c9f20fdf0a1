"""Which of the files that a fix changes are its tests, and which are the fix.

The language's module tells by path. A source that holds its own tests is both: its test modules (Rust) or the docstrings with examples
(Python, where they are run) belong to the tests and the rest of it to the fix, told apart by syntax. Where a fix changes nothing of its
tests but data, the tests that read it are run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from podgym.envs.build.errors import BuildError
from podgym.envs.build.history import Fix
from podgym.envs.build.languages.contract import PathKinds
from podgym.envs.repository.source import FileChange
from podgym.verifiers.paths import unsafe_path

__all__ = ["Split", "split_fix"]

SYMLINK, SUBMODULE = "120000", "160000"


@dataclass(frozen=True, slots=True)
class Split:
    """The two halves of a fix; every changed path is in exactly one."""

    tests: tuple[FileChange, ...]
    source: tuple[FileChange, ...]
    runnable: tuple[str, ...]
    """Test files that stand after the fix and that a runner reports on; where the fix changes none, those that read its data."""
    inline: tuple[FileChange, ...] = ()
    """Those of `source` whose own tests change too."""


def split_fix(
    fix: Fix,
    kinds: PathKinds,
    *,
    has_tests: Callable[[FileChange], bool] = lambda _: False,
    readers: Callable[[Sequence[str]], Sequence[str]] = lambda _: (),
) -> Split:
    """Separate the fix's tests from its source; `has_tests` tells for a source file whether its own tests change, `readers`
    which tests read some of the changed files.

    Raises `BuildError` where either half is empty, and for changes that a task cannot carry: submodules, and links
    among the tests.
    """
    _check_paths(fix, kinds)
    tests = tuple(change for change in fix.changes if kinds.is_test(change.path))
    source = tuple(change for change in fix.changes if not kinds.is_test(change.path))
    inline = tuple(change for change in source if change.status != "deleted" and has_tests(change))
    if not tests and not inline:
        raise BuildError(
            f"Commit {fix.sha[:12]} changes no test ({_listed(source)}), so nothing can tell whether the problem is solved.",
            stage="split",
            reason="no_test_change",
            remedy="Choose a commit that changes source and tests together.",
        )
    if not source:
        raise BuildError(
            f"Commit {fix.sha[:12]} changes tests only ({_listed(tests)}), so there is nothing to solve.",
            stage="split",
            reason="only_test_change",
            remedy="Choose a commit that changes source and tests together.",
        )
    runnable = tuple(change.path for change in tests if change.status != "deleted" and kinds.is_runnable(change.path))
    if not runnable and not inline:
        runnable = tuple(readers([change.path for change in tests if change.status != "deleted"]))
    if not runnable and not inline:
        raise BuildError(
            f"Commit {fix.sha[:12]} leaves no changed test file that can be run, nor data that one is seen to read ({_listed(tests)}).",
            stage="split",
            reason="no_test_change",
            remedy="Choose a commit that adds or changes a test file.",
        )
    return Split(tests, source, (*runnable, *(change.path for change in inline)), inline)


def _check_paths(fix: Fix, kinds: PathKinds) -> None:
    for change in fix.changes:
        if reason := unsafe_path(change.path):
            shown = change.path.encode("utf-8", "backslashreplace").decode()
            raise BuildError(
                f"Commit {fix.sha[:12]} changes {shown!r}, which a task cannot carry: {reason}.",
                stage="split",
                reason="unsupported_file",
                remedy="Choose another commit.",
            )
        modes = {change.old_mode, change.new_mode}
        if SUBMODULE in modes or (SYMLINK in modes and kinds.is_test(change.path)):
            kind = "a submodule" if SUBMODULE in modes else "a symbolic link among the tests"
            raise BuildError(
                f"Commit {fix.sha[:12]} changes {kind}, {change.path!r}, which a task cannot carry.",
                stage="split",
                reason="unsupported_file",
                remedy="Choose another commit.",
            )


def _listed(changes: tuple[FileChange, ...], limit: int = 3) -> str:
    names = [change.path.encode("utf-8", "replace").decode() for change in changes[:limit]]
    return ", ".join(names) + (f" and {len(changes) - limit} more" if len(changes) > limit else "")
