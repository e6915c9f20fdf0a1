"""A mutation as a fix taken apart: the mutated tree is the base, the reverse edit is the fix, the failing tests decide.

Tests stay in the agent's tree unless they are asked away. Either way grading writes its own copies of them over whatever the agent left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from podgym.envs.build.errors import BuildError
from podgym.envs.build.history import read_fix
from podgym.envs.build.mutation.evidence import names_of
from podgym.envs.build.mutation.host import Host, tree_with
from podgym.envs.build.mutation.planting import Planted, Tag, plant
from podgym.envs.build.mutation.queue import Mutant
from podgym.envs.build.options import BuildOptions
from podgym.envs.build.prepare import Prepared
from podgym.envs.repository import open_source
from podgym.verifiers import BaseFile, BaseTree, Change, ChangedFile
from podgym.verifiers.archive import Write
from podgym.verifiers.protection import readable, with_tests_of

__all__ = ["Taken", "take", "test_files"]

_FILES: Final = 8
_MENTIONED_BYTES: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class Taken:
    """What a mutant's task is built from."""

    prepared: Prepared
    planted: Planted
    files: tuple[str, ...]
    """Test files that decide."""


def test_files(host: Host, failing: Sequence[str], mutated: str) -> tuple[str, ...]:
    """Those that hold failing tests. Where ids do not tell, those that name them; the ones with the most first."""
    owned = {path: sum(host.module.owns(path, identity) for identity in failing) for path in host.tests}
    found = [path for path, count in owned.items() if count]
    if len(found) > _FILES:
        names = {name.encode() for identity in failing for name in names_of(identity)}
        total = 0
        named: dict[str, int] = {}
        for path in found:
            total += len(host.tests[path])
            if total <= _MENTIONED_BYTES:
                named[path] = sum(name in host.tests[path] for name in names)
        found = sorted((path for path, count in named.items() if count), key=lambda path: (-named[path], path))[:_FILES]
    # Another source's own tests are restored anyway, as sources that are changed keep the tests of the base.
    return tuple(sorted(path for path in found if path not in host.inline or path == mutated))


def take(
    host: Host,
    mutant: Mutant,
    failing: Sequence[str],
    git_dir: Path,
    *,
    source: str,
    options: BuildOptions,
    tag: Tag | None,
    hide_tests: bool,
) -> Taken:
    """Plant the mutant's repository and take its fix apart. Raises `BuildError`, `RepositoryError`."""
    path, original = mutant.path, host.sources[mutant.path]
    mutated = mutant.mutation.apply(original)
    files = test_files(host, failing, path)
    away = [one for one in files if one not in host.inline] if hide_tests else []
    if hide_tests and (not away or any(one in host.inline for one in files)):
        raise BuildError(
            "The failing tests cannot be taken out of the tree: no file holds them alone.",
            stage="split",
            reason="unsupported_file",
            remedy="Leave the tests in the tree.",
        )
    if path in files and not (readable(path, original) and readable(path, mutated)):
        files = tuple(one for one in files if one != path)
    changes: dict[str, bytes | None] = {path: mutated, **dict.fromkeys(away)}
    with open_source(source, options.cache_dir, follow_urls=options.follow_urls) as opened:
        planted = plant(opened, host.sha, git_dir, changes=changes, tag=tag)
    with planted.open() as repository:
        fix = read_fix(repository, planted.fix)
        entries = [entry for entry in repository.list_tree(planted.base) if entry.kind == "blob"]
        base = {entry.path: BaseFile(int(entry.mode, 8), entry.id) for entry in entries}
        contents = {path: mutated}
        tree = BaseTree(base, lambda name: contents[name])
        gold = Change(files={path: ChangedFile(base[path].mode, original)}, base=tree)
        _ = gold.diff_text
        gold_patch = repository.patch(planted.base, planted.fix, [path])
        tests_patch = repository.patch(planted.base, planted.fix, away) if away else b""
    modes = {one: int(host.entries[one].mode, 8) for one in files}
    request = host.prepared.request
    at_base = tree_with(request.base, path, mutated, without=away)
    prepared = replace(
        host.prepared,
        fix=replace(fix, sha=host.sha),
        request=replace(request, base=at_base),
        hidden=tuple(Write(one, host.tests[one], modes[one]) for one in files),
        inline=frozenset(one for one in files if one in host.inline),
        changed_tests=files,
        gold=gold,
        gold_patch=gold_patch,
        tests_patch=tests_patch,
        spliced=tuple(Write(one, with_tests_of(one, mutated, original), modes[one]) for one in files if one == path),
    )
    return Taken(prepared, planted, files)
