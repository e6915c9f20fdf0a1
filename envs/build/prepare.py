"""Everything about a fix that can be had without a sandbox: its parts, its plan, and the repository that the agent gets.

All of it is plain reading and writing of files, so it runs in a thread while other builds wait for their sandboxes.
"""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

from podgym.envs.build.ci import read_ci
from podgym.envs.build.detect import _is_build_file, detect_language, other_languages
from podgym.envs.build.errors import BuildError, Reason
from podgym.envs.build.history import Fix, merged_messages, read_fix
from podgym.envs.build.instruction import instruction_from_issue, instruction_from_message
from podgym.envs.build.languages import language_module
from podgym.envs.build.languages.contract import LanguageModule, PathKinds, PlanRequest
from podgym.envs.build.manifests import write_manifests
from podgym.envs.build.options import BuildOptions
from podgym.envs.build.plan import ARCHIVE, CA_BUNDLE, CA_FILE, CA_VARIABLES, MANIFESTS, BuildPlan
from podgym.envs.build.split import Split, split_fix
from podgym.envs.build.states import Overlay, State
from podgym.envs.build.testdata import data_readers
from podgym.envs.build.tree import Tree
from podgym.envs.repository import (
    Certificate,
    History,
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
from podgym.verifiers.protection import accept, readable, runner_parts, with_tests_of

__all__ = ["Prepared", "Progress", "as_build_error", "prepare", "read_plan"]

Progress = Callable[[str], None]
_SUITE_TIMEOUT_S = {"python": 300.0}
_COMPILED_SUITE_TIMEOUT_S = 900.0
"""They build before they test."""
_NOT_OF_ITS_KIND: Final[frozenset[Reason]] = frozenset({"no_build_file", "unsupported_build", "no_test_change"})
"""A project of another language may be meant, one of whose files the fix changes too."""
_OF_PYTHON: Final = ("pyproject.toml", "setup.py", "setup.cfg")


@dataclass(frozen=True, slots=True)
class Prepared:
    """A fix taken apart."""

    fix: Fix
    location: str
    module: LanguageModule
    kinds: PathKinds
    request: PlanRequest
    """What the plan was made from, for making another one."""
    plan: BuildPlan
    instruction: str
    hidden: tuple[Write, ...]
    """Test files as they are after the fix."""
    inline: frozenset[str]
    """Those of `hidden` of which only the test modules are meant; they are in `gold` too."""
    removed: tuple[str, ...]
    """Test files that the fix deletes."""
    changed_tests: tuple[str, ...]
    """The runnable ones of `hidden`, or the tests that read its data; relative to the repository."""
    gold: Change
    gold_patch: bytes
    tests_patch: bytes
    gold_parts: dict[str, str]
    """What `runner_parts` says of the files of `gold` that change how tests are run."""
    spliced: tuple[Write, ...] = ()
    """The files of `inline` as they are at base, with the fix's test modules."""
    certificate: Certificate | None = None

    def owns(self, identity: str) -> bool:
        """Whether a test id may come from one of the changed test files."""
        return any(self.module.owns(path, identity) for path in self.changed_tests)

    def owns_new(self, identity: str) -> bool:
        """Whether a test id comes from inside a source that the fix adds, which no other solution need have."""
        known = self.gold.base.files if self.gold.base is not None else {}
        new = [path for path in self.gold.files if path not in known and self.kinds.is_mixed(path)]
        return any(self.module.owns(path, identity) for path in new) and not self.owns(identity)

    @property
    def runs_examples(self) -> bool:
        """Whether examples in docstrings are tests."""
        return any(path.endswith(".py") and self.kinds.is_mixed(path) for path in self.request.base.paths)

    @property
    def overlays(self) -> Mapping[State, Overlay]:
        """What is laid over the base for each state."""
        whole = tuple(write for write in self.hidden if write.path not in self.inline)
        return {
            "base": Overlay(),
            "base+tests": Overlay((*whole, *self.spliced), self.removed),
            "base+tests+fix": Overlay(self.gold.writes(), self.gold.deleted).then(Overlay(self.hidden, self.removed)),
        }


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
        certificate, note = _built(repository, prepared, checkout, options)
        if note:
            prepared = replace(prepared, plan=prepared.plan.model_copy(update={"notes": (*prepared.plan.notes, note)}))
        if prepared.plan.manifests:
            write_manifests(environment / MANIFESTS, prepared.request.base, prepared.plan.manifests)
    pack_repository(checkout, environment / ARCHIVE)
    shutil.rmtree(checkout)
    if options.ca_bundle is not None:
        shutil.copyfile(options.ca_bundle, environment / CA_FILE)
    return replace(prepared, certificate=certificate)


def _built(repository: SourceRepository, prepared: Prepared, checkout: Path, options: BuildOptions) -> tuple[Certificate, str]:
    """The repository that the agent gets: base alone, with a note, where objects of older commits are missing."""

    def build(history: History) -> Certificate:
        return build_repository(
            repository,
            prepared.fix.base,
            checkout,
            history=history,
            submodules=options.submodules,
            follow_urls=options.follow_urls,
            gold_patch=prepared.gold_patch,
        )

    try:
        return build(options.history), ""
    except RepositoryError as error:
        if error.problem != "incomplete" or options.history != "full":
            raise
        try:
            return build(1), "the source lacks a part of its history: the agent gets the base commit alone"
        except RepositoryError:
            raise error from None


def _open(source: str | Path, options: BuildOptions) -> SourceRepository:
    # One generation more than the agent gets: the fix itself.
    depth = None if options.history == "full" else options.history + 1
    return open_source(source, options.cache_dir, depth=depth, follow_urls=options.follow_urls)


def _take_apart(repository: SourceRepository, commit: str, issue: str | None, options: BuildOptions) -> Prepared:
    fix = read_fix(repository, commit, parent=options.parent, base=options.base)
    base = {entry.path: entry for entry in repository.list_tree(fix.base)}
    module, kinds, split, request, plan = _planned_in_a_language(repository, fix, base, options)
    instruction = _told(repository, fix) if issue is None else instruction_from_issue(issue)
    tree = BaseTree(
        {path: BaseFile(int(entry.mode, 8), entry.id) for path, entry in base.items() if entry.kind == "blob"},
        lambda path: repository.read(fix.base, path),
    )
    gold, tests, gold_parts = _halves(repository, fix, split, tree)
    _ = gold.diff_text  # made now, while the repository is open
    inline = {change.path for change in split.inline}
    hidden = [change for change in (*tests, *split.inline) if change.status != "deleted"]
    return Prepared(
        fix=fix,
        location=repository.location,
        module=module,
        kinds=kinds,
        request=request,
        plan=plan,
        instruction=instruction,
        hidden=tuple(Write(change.path, repository.read(fix.sha, change.path), int(change.new_mode, 8)) for change in hidden),
        inline=frozenset(inline),
        removed=tuple(change.path for change in tests if change.status == "deleted"),
        changed_tests=split.runnable,
        gold=gold,
        gold_patch=repository.patch(fix.base, fix.sha, sorted((*gold.files, *gold.deleted))),
        tests_patch=repository.patch(fix.base, fix.sha, [change.path for change in tests]) if tests else b"",
        gold_parts=gold_parts,
        spliced=tuple(
            Write(
                change.path,
                with_tests_of(change.path, repository.read(fix.base, change.path), repository.read(fix.sha, change.path)),
                int(change.old_mode, 8),
            )
            for change in split.inline
        ),
    )


def _told(repository: SourceRepository, fix: Fix) -> str:
    """By the commit's message; where a merge's says nothing, by that of the first commit that it brought in and that does."""
    try:
        return instruction_from_message(fix.message)
    except BuildError as error:
        for message in merged_messages(repository, fix):
            with contextlib.suppress(BuildError):
                return instruction_from_message(message)
        raise error


def _planned_in_a_language(
    repository: SourceRepository, fix: Fix, base: Mapping[str, TreeEntry], options: BuildOptions
) -> tuple[LanguageModule, PathKinds, Split, PlanRequest, BuildPlan]:
    """By the module of the language that most of the fix is in; where the project is not one of its kind, of another one of the fix's.

    Nothing is tried in place of what was asked for. Raises as the first language did.
    """
    after = {**base, **{entry.path: entry for entry in _entries(fix.changes)}}
    both, deleted = _tree(repository, fix.sha, after, fix), {change.path for change in fix.changes if change.status == "deleted"}
    fixed = _tree(repository, fix.sha, {path: entry for path, entry in after.items() if path not in deleted}, fix)
    at_base = _tree(repository, fix.base, base, None)
    changed = [change.path for change in fix.changes]
    first = options.language or detect_language(both, changed)
    asked = options.language or options.toolchain or options.plan
    refused: list[BuildError] = []
    for language in (first, *(() if asked else other_languages(changed, first))):
        module = language_module(language)
        kinds = module.test_paths(both)
        try:
            split = split_fix(
                fix,
                kinds,
                has_tests=partial(_inline_differs, repository, fix, kinds),
                readers=partial(data_readers, fixed, kinds),
            )
            if refused and module.name == "python" and not _in_python_project(both, split.runnable):
                continue  # whose module plans any tree, built or not
            request = PlanRequest(
                base=at_base,
                fixed=fixed,
                changed_source=tuple(change.path for change in split.source),
                changed_tests=split.runnable,
                committed=options.as_of or fix.committed,
                ci=read_ci(at_base),
                catalogue=options.catalogue,
                toolchain=options.toolchain or "",
                suite_timeout_s=options.suite_timeout_s or _SUITE_TIMEOUT_S.get(module.name, _COMPILED_SUITE_TIMEOUT_S),
                step_timeout_s=options.install_timeout_s,
                exports={**(dict.fromkeys(CA_VARIABLES, CA_BUNDLE) if options.ca_bundle is not None else {}), **options.install_env},
            )
            return module, kinds, split, request, options.plan or _planned(module, request, options)
        except BuildError as error:
            if not refused and error.reason not in _NOT_OF_ITS_KIND:
                raise
            refused.append(error)
    raise refused[0]


def _in_python_project(tree: Tree, tests: Sequence[str]) -> bool:
    """Whether a build file of Python's is above one of the tests."""
    above = {"/".join(parts[:count]) for parts in (path.split("/") for path in tests) for count in range(len(parts))}
    return any(_is_build_file(tree, f"{directory}/{name}".lstrip("/")) for directory in above for name in _OF_PYTHON)


def _planned(module: LanguageModule, request: PlanRequest, options: BuildOptions) -> BuildPlan:
    plan = module.plan(request)
    kept = {} if options.limits is None else {"limits": options.limits}
    return plan.model_copy(update={"mirror": options.mirror, "ca_bundle": options.ca_bundle is not None, **kept})


def _tree(repository: SourceRepository, sha: str, entries: Mapping[str, TreeEntry], fix: Fix | None) -> Tree:
    """Files of `entries` at `sha`; where `fix` is given, those that it does not change are read at its base, which is cheaper to keep."""
    changed = {change.path for change in fix.changes if change.status != "deleted"} if fix is not None else set()

    def read(path: str) -> bytes | None:
        entry = entries.get(path)
        if entry is None or entry.kind != "blob" or entry.mode == "120000":
            return None
        return repository.read(sha if fix is None or path in changed else fix.base, path)

    return Tree([path for path, entry in entries.items() if entry.kind == "blob"], read)


def _inline_differs(repository: SourceRepository, fix: Fix, kinds: PathKinds, change: FileChange) -> bool:
    """Whether the tests inside of a source change; one that the fix adds has its tests and its code in one, and is the fix's."""
    path = change.path
    if not kinds.is_mixed(path) or change.status != "modified" or "120000" in (change.old_mode, change.new_mode):
        return False
    before, after = repository.read(fix.base, path), repository.read(fix.sha, path)
    if not (readable(path, before) and readable(path, after)):
        return False
    return with_tests_of(path, before, after) != with_tests_of(path, before, before)


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
    spliced = [change.path for change in split.inline]
    dropped = {one.path for one in accept(gold, hidden=hidden, spliced=spliced, editable=paths).dropped}
    settings = [change for change in split.source if change.path in dropped and re.search(r"\.(toml|cfg|ini)$|(^|/)\.[\w.]+$", change.path)]
    kept = {change.path for change in settings}
    rest = Change(
        files={path: file for path, file in gold.files.items() if path not in kept},
        deleted=tuple(path for path in gold.deleted if path not in kept),
        base=tree,
    )
    parts = _own_parts(rest, tree)
    refused = accept(rest, hidden=hidden | kept, spliced=spliced, editable=paths - kept, gold_parts=parts).dropped
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
