"""A commit that nobody fixed, as what mutations are made of and tried on: its plan, its sources, its tests."""

from __future__ import annotations

import re
import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from podgym.envs.build.ci import read_ci
from podgym.envs.build.detect import detect_language
from podgym.envs.build.errors import BuildError
from podgym.envs.build.history import Fix
from podgym.envs.build.languages import language_module
from podgym.envs.build.languages.contract import LanguageModule, PlanRequest
from podgym.envs.build.manifests import write_manifests
from podgym.envs.build.mutation.copies import Copies
from podgym.envs.build.mutation.dialect import dialect_of
from podgym.envs.build.mutation.parts import main_part
from podgym.envs.build.mutation.planting import Planted
from podgym.envs.build.mutation.sources import mutable, mutable_paths, without_copies
from podgym.envs.build.options import BuildOptions
from podgym.envs.build.plan import ARCHIVE, CA_BUNDLE, CA_FILE, CA_VARIABLES, MANIFESTS, BuildPlan
from podgym.envs.build.prepare import Prepared
from podgym.envs.build.tree import Tree
from podgym.envs.repository import Certificate, SourceRepository, TreeEntry, build_repository, pack_repository
from podgym.verifiers import BaseFile, BaseTree, Change

__all__ = ["Host", "lay_out", "read_host", "tree_with"]

_SYMLINK: Final = "120000"
_INLINE: Final = re.compile(rb"#\[\s*cfg\s*\(\s*test\s*\)\s*\]")
_TEST_BYTES: Final = 1 << 20
_TESTS_BYTES: Final = 256 << 20
_SUITE_S: Final = 600.0
_COMPILED_SUITE_S: Final = 1200.0


@dataclass(frozen=True, slots=True)
class Host:
    """Read once; mutations change one of `sources`."""

    sha: str
    entries: dict[str, TreeEntry]
    """Of the commit's tree, by path."""
    prepared: Prepared
    """With no fix: what its plan builds is the project as it is."""
    sources: dict[str, bytes]
    """That may be changed."""
    tests: dict[str, bytes]
    """Runnable test files; in Rust also the sources that hold tests."""
    inline: frozenset[str]
    """Those of `tests` that are sources."""
    copies: Copies

    @property
    def module(self) -> LanguageModule:
        """Of its language."""
        return self.prepared.module


def read_host(repository: SourceRepository, commit: str, options: BuildOptions, planted: Planted) -> Host:
    """Facts and plan of a commit. Raises `BuildError`, `RepositoryError`."""
    sha = repository.resolve(commit)
    entries = {entry.path: entry for entry in repository.list_tree(sha)}
    files = {path: entry for path, entry in entries.items() if entry.kind == "blob" and entry.mode != _SYMLINK}

    def read(path: str) -> bytes | None:
        return repository.read(sha, path) if path in files else None

    tree = Tree([path for path, entry in entries.items() if entry.kind == "blob"], read)
    module = language_module(options.language or detect_language(tree, list(files)))
    kinds = module.test_paths(tree)
    named = mutable_paths(without_copies(list(files), lambda path: files[path].id), module.name, kinds)
    sources = {path: data for path in named if mutable(data := repository.read(sha, path))}
    if not sources:
        raise BuildError(
            f"No source of {module.name} in {sha[:12]} may be changed: all are tests, generated, or of others.",
            stage="plan",
            reason="unsupported_language",
            remedy="Choose another commit, or the language with --language.",
        )
    tests = _texts(repository, sha, [path for path in sorted(files) if kinds.is_runnable(path)])
    rust = _texts(repository, sha, [path for path in sorted(files) if path.endswith(".rs")])
    inline = {path: data for path, data in rust.items() if _INLINE.search(data)}
    tested = {**tests, **inline}
    sources = {path: sources[path] for path in main_part(tree, sources, tested, module.name)}
    committed = datetime.fromtimestamp(repository.commit(sha).committer_time, UTC)
    request = PlanRequest(
        base=tree,
        fixed=tree,
        changed_source=tuple(sources),
        changed_tests=tuple(tested),
        committed=options.as_of or committed,
        ci=read_ci(tree),
        catalogue=options.catalogue,
        toolchain=options.toolchain or "",
        suite_timeout_s=options.suite_timeout_s or (_SUITE_S if module.name == "python" else _COMPILED_SUITE_S),
        step_timeout_s=options.install_timeout_s,
        exports={**(dict.fromkeys(CA_VARIABLES, CA_BUNDLE) if options.ca_bundle is not None else {}), **options.install_env},
    )
    blobs = {path: BaseFile(int(entry.mode, 8), entry.id) for path, entry in entries.items() if entry.kind == "blob"}
    plan = options.plan or _planned(module, request, options)
    # The repository is closed when the manifests are written, once for each task.
    manifests = {name: text.encode("utf-8", "surrogateescape") for name in plan.manifests if (text := tree.read(name)) is not None}
    prepared = Prepared(
        fix=Fix(planted.fix, planted.base, "", committed, ()),
        location=repository.location,
        module=module,
        kinds=kinds,
        request=replace(request, base=Tree(tree.paths, manifests.get), fixed=Tree(tree.paths, manifests.get)),
        plan=plan,
        instruction="",
        hidden=(),
        inline=frozenset(),
        removed=(),
        changed_tests=(),
        gold=Change(base=BaseTree(blobs, lambda path: b"")),
        gold_patch=b"",
        tests_patch=b"",
        gold_parts={},
    )
    # The tests of one part of many seldom reach the others.
    within = {path: data for path, data in sources.items() if plan.root and path.startswith(f"{plan.root}/")}
    copies = Copies(_texts(repository, sha, [path for path in sorted(files) if dialect_of(path) is not None]))
    return Host(sha, entries, prepared, within or sources, tested, frozenset(inline), copies)


def lay_out(planted: Planted, prepared: Prepared, environment: Path, options: BuildOptions) -> Certificate:
    """Write the context of an image: the certified repository, the manifests, the certificates of a closed network.

    Raises `RepositoryError`, `CertificateError`.
    """
    checkout = environment / "checkout"
    with planted.open() as repository:
        certificate = build_repository(
            repository,
            planted.base,
            checkout,
            submodules=options.submodules,
            follow_urls=options.follow_urls,
            gold_patch=prepared.gold_patch,
        )
        if prepared.plan.manifests:
            write_manifests(environment / MANIFESTS, prepared.request.base, prepared.plan.manifests)
    pack_repository(checkout, environment / ARCHIVE)
    shutil.rmtree(checkout)
    if options.ca_bundle is not None:
        shutil.copyfile(options.ca_bundle, environment / CA_FILE)
    return certificate


def _texts(repository: SourceRepository, sha: str, paths: Sequence[str]) -> dict[str, bytes]:
    """Files of a fair size, as many as fit in memory easily."""
    found: dict[str, bytes] = {}
    left = _TESTS_BYTES
    for path in paths:
        data = repository.read(sha, path)
        if len(data) <= min(_TEST_BYTES, left):
            found[path] = data
            left -= len(data)
    return found


def _planned(module: LanguageModule, request: PlanRequest, options: BuildOptions) -> BuildPlan:
    plan = module.plan(request)
    kept = {} if options.limits is None else {"limits": options.limits}
    return plan.model_copy(update={"mirror": options.mirror, "ca_bundle": options.ca_bundle is not None, "changed": (), **kept})


def tree_with(tree: Tree, path: str, data: bytes, *, without: Collection[str] = ()) -> Tree:
    """The same with another content of one file, and some files not there."""

    def read(name: str) -> bytes | None:
        if name == path:
            return data
        text = tree.read(name)
        return text.encode("utf-8", "surrogateescape") if text is not None else None

    return Tree([name for name in tree.paths if name not in without], read)
