"""Finds the fixes in a history: the commits of its first-parent line that change tests and source, newest first.

Each commit is compared with its first parent, so a merge counts as what it brought in. What a build would refuse before it has a plan is
passed over and counted by reason; what may fail later is for the build to find out. The walk has a bound, because a history may have a
million commits and none of the kind that is looked for.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, computed_field

from podgym.envs.build.errors import BuildError
from podgym.envs.build.options import BuildOptions
from podgym.envs.build.prepare import Prepared, as_build_error, read_plan
from podgym.envs.repository import RepositoryError, SourceRepository, open_source
from podgym.envs.repository.git import Git

__all__ = ["Found", "Scan", "scan_history"]

_LEAST_LOOKED_AT: Final = 2000
_LOOKED_AT_EACH: Final = 50
"""For each commit that is wanted."""
_EPOCH: Final = timedelta(days=180)
"""How much older than what it is built with a commit may be."""
_CHANGES: Final = 400
"""A commit that changes more files is an import or a release, not a fix."""
_SKIPPED_STAGES: Final = frozenset({"resolve", "split"})


class Found(BaseModel):
    """A commit to build a task from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    commit: str
    committed: datetime
    language: str = ""
    epoch: str = ""
    """Equal for commits whose images share the layer of dependencies; empty where no plan could be made."""
    as_of: datetime | None = None
    """When what no lock file holds is resolved: for all commits of an epoch when the newest of them was made."""


class Scan(BaseModel):
    """What was found."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tip: str
    found: tuple[Found, ...]
    """Newest first."""
    looked_at: int
    passed_over: dict[str, int]
    """Why, and how many."""

    @computed_field  # type: ignore[prop-decorator]  # mypy takes no decorator over a property
    @property
    def epochs(self) -> int:
        """How many sets of dependencies the found commits have."""
        return len({one.epoch for one in self.found if one.epoch})


def scan_history(
    source: str | Path,
    tip: str,
    count: int,
    *,
    options: BuildOptions,
    progress: Callable[[int, int], None] = lambda _looked_at, _found: None,
) -> Scan:
    """The last `count` fixes up to `tip`. Raises `BuildError` for a repository or a commit that is not there."""
    depth = None if options.history == "full" else options.history + 1
    try:
        with open_source(source, options.cache_dir, depth=depth, follow_urls=options.follow_urls) as repository:
            sha = repository.resolve(tip)
            tip_s = repository.commit(sha).committer_time
            # One time for all: what is left to differ between plans is what the files say.
            alike = options.model_copy(update={"parent": 1, "as_of": options.as_of or datetime.fromtimestamp(tip_s, UTC)})
            return _scan(repository, source, sha, count, options=alike, progress=progress)
    except RepositoryError as error:
        raise as_build_error(error) from error


def _scan(
    repository: SourceRepository, source: str | Path, tip: str, count: int, *, options: BuildOptions, progress: Callable[[int, int], None]
) -> Scan:
    found: list[Found] = []
    passed_over: Counter[str] = Counter()
    looked_at = 0
    for commit, parent in _line(repository, tip, max(_LEAST_LOOKED_AT, _LOOKED_AT_EACH * count)):
        looked_at += 1
        one = _judged(repository, source, commit, parent, options)
        if isinstance(one, Found):
            found.append(one)
        else:
            passed_over[one] += 1
        progress(looked_at, len(found))
        if len(found) >= count:
            break
    return Scan(tip=tip, found=tuple(_dated(found)), looked_at=looked_at, passed_over=dict(passed_over.most_common()))


def _dated(found: Sequence[Found]) -> Iterator[Found]:
    """The same, each with the time that its dependencies are of; an epoch that lasts too long is several."""
    newest: dict[str, datetime] = {}
    for one in found:
        if not one.epoch:
            yield one
            continue
        begun = newest.get(one.epoch)
        if begun is None or begun - one.committed > _EPOCH:
            begun = newest[one.epoch] = one.committed
        yield one.model_copy(update={"as_of": begun, "epoch": f"{one.epoch}-{begun:%Y%m%d}"})


def _line(repository: SourceRepository, tip: str, limit: int) -> Iterator[tuple[str, str]]:
    """Commits and their first parents, empty where there is none or the history was cut off."""
    shallow = repository.common_dir / "shallow"
    git = Git(repository.git_dir, shallow_file=shallow if shallow.is_file() else None)
    with git.stream("rev-list", "--first-parent", "--parents", f"--max-count={limit}", tip, "--") as out:
        for line in out:
            commit, *parents = line.decode().split()
            yield commit, parents[0] if parents else ""


def _judged(repository: SourceRepository, source: str | Path, commit: str, parent: str, options: BuildOptions) -> Found | str:
    """The commit, or why it is passed over."""
    if not parent:
        return "root_commit"
    changes = repository.changed_files(parent, commit)
    if len(changes) > _CHANGES:
        return "too_many_changes"
    if len(changes) < 2 and not any(change.path.endswith(".rs") for change in changes):
        # Tests and source in one file are a matter of Rust alone.
        return "one_file" if changes else "empty_commit"
    try:
        prepared = read_plan(source, commit, issue=None, options=options)
    except BuildError as error:
        if error.stage in _SKIPPED_STAGES or error.reason == "unsupported_language":
            return error.reason
        return Found(commit=commit, committed=datetime.fromtimestamp(repository.commit(commit).committer_time, UTC))
    except RepositoryError as error:
        return as_build_error(error).reason
    return Found(commit=commit, committed=prepared.fix.committed, language=prepared.plan.language, epoch=_epoch(prepared))


def _epoch(prepared: Prepared) -> str:
    """Of all that goes into the image before the repository does."""
    plan = prepared.plan
    said: list[object] = [plan.base, plan.packages, [step.model_dump() for step in plan.dependencies]]
    said += [(path, prepared.request.base.read(path)) for path in sorted(plan.manifests)]
    return hashlib.sha256(json.dumps(said, default=list).encode("utf-8", "surrogatepass")).hexdigest()[:16]
