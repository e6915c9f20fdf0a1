"""Everything about a fix that can be had without a sandbox: its parts, its plan, and the repository that the agent gets.

All of it is plain reading and writing of files, so it runs in a thread while other builds wait for their sandboxes.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from podgym.envs.code.detect import detect
from podgym.envs.code.errors import BuildError
from podgym.envs.code.facts import PythonFacts
from podgym.envs.code.history import Fix, read_fix
from podgym.envs.code.instruction import instruction_from_issue, instruction_from_message
from podgym.envs.code.options import BuildOptions
from podgym.envs.code.plan import ARCHIVE, CA_FILE, PythonPlan, plan_python
from podgym.envs.code.split import Split, split_fix
from podgym.envs.repository import (
    Certificate,
    RepositoryError,
    SourceRepository,
    TreeEntry,
    build_repository,
    open_source,
    pack_repository,
)
from podgym.envs.repository.source import FileChange
from podgym.verifiers import BaseFile, BaseTree, Change, ChangedFile
from podgym.verifiers.archive import Write
from podgym.verifiers.basetree import SYMLINK
from podgym.verifiers.protection import accept, runner_parts

__all__ = ["Prepared", "Progress", "as_build_error", "prepare", "read_plan"]

Progress = Callable[[str], None]
_MAX_TEXT_BYTES = 2 << 20


@dataclass(frozen=True, slots=True)
class Prepared:
    """A fix taken apart."""

    fix: Fix
    location: str
    facts: PythonFacts
    plan: PythonPlan
    instruction: str
    hidden: tuple[Write, ...]
    """Test files as they are after the fix."""
    removed: tuple[str, ...]
    """Test files that the fix deletes."""
    changed_files: tuple[str, ...]
    """The runnable ones of `hidden`, as test ids begin."""
    gold: Change
    gold_patch: bytes
    tests_patch: bytes
    gold_parts: dict[str, str]
    """What `runner_parts` says of the files of `gold` that change how tests are run."""
    certificate: Certificate | None = None


def read_plan(source: str | Path, commit: str, *, issue: str | None, options: BuildOptions) -> Prepared:
    """Facts and plan alone, nothing written. Raises `BuildError`, `RepositoryError`."""
    with _open(source, options) as repository:
        return _take_apart(repository, commit, issue, options)


def prepare(
    source: str | Path, commit: str, environment: Path, *, issue: str | None, options: BuildOptions, progress: Progress
) -> Prepared:
    """Take the fix apart and write the certified base repository to `environment/repo.tar`.

    Raises `BuildError`, `RepositoryError`, `CertificateError`.
    """
    progress("opening the repository")
    with _open(source, options) as repository:
        prepared = _take_apart(repository, commit, issue, options)
        progress("building the repository that the agent gets")
        checkout = environment / "checkout"
        certificate = build_repository(
            repository,
            prepared.fix.base,
            checkout,
            history=options.history,
            submodules=options.submodules,
            follow_urls=options.follow_urls,
            gold_patch=prepared.gold_patch,
        )
    pack_repository(checkout, environment / ARCHIVE)
    shutil.rmtree(checkout)
    if options.ca_bundle is not None:
        shutil.copyfile(options.ca_bundle, environment / CA_FILE)
    return Prepared(**{name: getattr(prepared, name) for name in Prepared.__slots__ if name != "certificate"}, certificate=certificate)


def _open(source: str | Path, options: BuildOptions) -> SourceRepository:
    # One generation more than the agent gets: the fix itself.
    depth = None if options.history == "full" else options.history + 1
    return open_source(source, options.cache_dir, depth=depth, follow_urls=options.follow_urls)


def _take_apart(repository: SourceRepository, commit: str, issue: str | None, options: BuildOptions) -> Prepared:
    fix = read_fix(repository, commit, parent=options.parent)
    base = {entry.path: entry for entry in repository.list_tree(fix.base)}
    after = {**base, **{entry.path: entry for entry in _entries(fix.changes)}}
    split = split_fix(fix, sorted(after))
    instruction = instruction_from_message(fix.message) if issue is None else instruction_from_issue(issue)

    def read(path: str) -> str | None:
        # What the fix changes is read as it is after it, so that a requirement that its tests need is there.
        sha, entry = (fix.sha, after.get(path)) if path in changed else (fix.base, base.get(path))
        if entry is None or entry.kind != "blob" or entry.mode == "120000":
            return None
        data = repository.read(sha, path)
        return data.decode("utf-8", "replace") if len(data) <= _MAX_TEXT_BYTES else None

    changed = {change.path for change in fix.changes if change.status != "deleted"}
    if not any(path.endswith(".py") for path in after):
        raise BuildError("There is no Python file in the repository.", stage="plan", reason="not_python", remedy="Choose a Python project.")
    facts = detect(sorted(after), read, changed_source=[change.path for change in split.source], changed_tests=split.runnable)
    plan = options.plan or plan_python(
        facts,
        committed=fix.committed,
        python=options.python,
        available=options.pythons,
        mirror=options.mirror,
        install_timeout_s=options.install_timeout_s,
        install_env=options.install_env,
        ca_bundle=options.ca_bundle is not None,
    )
    tree = BaseTree(
        {path: BaseFile(int(entry.mode, 8), entry.id) for path, entry in base.items() if entry.kind == "blob"},
        lambda path: repository.read(fix.base, path),
    )
    gold, tests, gold_parts = _halves(repository, fix, split, tree)
    _ = gold.diff_text  # made now, while the repository is open
    return Prepared(
        fix=fix,
        location=repository.location,
        facts=facts,
        plan=plan,
        instruction=instruction,
        hidden=tuple(Write(c.path, repository.read(fix.sha, c.path), int(c.new_mode, 8)) for c in tests if c.status != "deleted"),
        removed=tuple(c.path for c in tests if c.status == "deleted"),
        changed_files=tuple(facts.changed_tests),
        gold=gold,
        gold_patch=repository.patch(fix.base, fix.sha, sorted((*gold.files, *gold.deleted))),
        tests_patch=repository.patch(fix.base, fix.sha, [change.path for change in tests]),
        gold_parts=gold_parts,
    )


def _entries(changes: Sequence[FileChange]) -> list[TreeEntry]:
    return [
        TreeEntry(c.path, c.new_mode, "commit" if c.new_mode == "160000" else "blob", c.new_id) for c in changes if c.status != "deleted"
    ]


def _halves(repository: SourceRepository, fix: Fix, split: Split, tree: BaseTree) -> tuple[Change, list[FileChange], dict[str, str]]:
    """The gold change, the tests together with whatever of the fix configures the runner, and `Prepared.gold_parts`.

    Settings of the runner are not for an agent to find, and hidden tests may not run without them: where the fix changes them in a
    file of settings, that file is hidden and written with the tests, as the fix has it. A build file that is a program (a Makefile,
    say) is the fix's own work even where that decides about tests; an agent's version of it is graded with the tables of the base
    or with the very ones of the fix, and no others, so no hidden test may depend on a table that only the fix has.
    """
    paths = {change.path for change in split.source}
    gold = Change(
        files={c.path: ChangedFile(int(c.new_mode, 8), repository.read(fix.sha, c.path)) for c in split.source if c.status != "deleted"},
        deleted=tuple(sorted(c.path for c in split.source if c.status == "deleted")),
        base=tree,
    )
    hidden = {change.path for change in split.tests}
    dropped = {one.path for one in accept(gold, hidden=hidden, editable=paths).dropped}
    settings = [change for change in split.source if change.path in dropped and re.search(r"\.(toml|cfg|ini)$|(^|/)\.[\w.]+$", change.path)]
    kept = {change.path for change in settings}
    rest = Change(
        files={path: file for path, file in gold.files.items() if path not in kept},
        deleted=tuple(path for path in gold.deleted if path not in kept),
        base=tree,
    )
    parts = _own_parts(rest, tree)
    refused = accept(rest, hidden=hidden | kept, editable=paths - kept, gold_parts=parts).dropped
    if refused:
        raise BuildError(
            f"The fix changes {refused[0].path!r}, which a solution may not ({refused[0].reason}).",
            stage="split",
            reason="gold_fails",
            remedy="Choose another commit.",
        )
    if not paths - kept:
        raise BuildError(
            f"Commit {fix.sha[:12]} changes tests and their configuration only, so there is nothing to solve.",
            stage="split",
            reason="only_test_change",
            remedy="Choose a commit that changes source and tests together.",
        )
    return rest, [*split.tests, *settings], parts


def _own_parts(gold: Change, tree: BaseTree) -> dict[str, str]:
    """What `runner_parts` says of the fix where it says something else of the base; most fixes have none."""
    plain = {path: file.data for path, file in gold.files.items() if file.mode != SYMLINK}
    found = runner_parts(plain)
    before = runner_parts({path: tree.read(path) for path in found if path in tree.files})
    return {path: part for path, part in found.items() if before.get(path) != part}


def as_build_error(error: RepositoryError) -> BuildError:
    """A repository's failure in the terms of a build."""
    if error.problem == "commit":
        return BuildError(error.message, stage="resolve", reason="commit_missing", remedy=error.remedy)
    if error.problem in ("missing", "not_git", "network", "auth", "timeout"):
        return BuildError(error.message, stage="resolve", reason="source", remedy=error.remedy)
    return BuildError(error.message, stage="repository", reason="repository", remedy=error.remedy)
