"""Makes builds of rows: each row's commits in a scratch repository, a line for the funnel, and afterwards what was wrong with the row.

The network is used where a repository is named by URL: by the caller, or by the row where the caller said to follow it. Scratch
repositories lie in the funnel's folder under the same names every time, so that an import that was stopped goes on.
"""

from __future__ import annotations

import hashlib
import itertools
import re
import shutil
import tarfile
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import tomli_w
from pydantic import JsonValue

from podgym.envs.build import BuildOptions
from podgym.envs.build.funnel import BadLine, Line, Row, Source
from podgym.envs.formats.comparison import compare
from podgym.envs.formats.directory import is_own, read_directory
from podgym.envs.formats.kinds import format_of, read_mapping
from podgym.envs.formats.problem import Problem, RowError
from podgym.envs.formats.reading import read_items
from podgym.envs.formats.row import Format, TaskRow
from podgym.envs.formats.scratch import Commits, make_commits
from podgym.envs.harbor import TaskError, task_directories
from podgym.envs.harbor.layout import TASK
from podgym.envs.repository import RepositoryError, open_source
from podgym.envs.repository.git import redact
from podgym.envs.repository.remote import is_remote

__all__ = ["SCRATCH", "Imported", "Prepared", "finish", "prepare_rows"]

SCRATCH: Final = ".import"
"""In the folder of an import: its scratch repositories."""
_ARCHIVE: Final = "environment/repo.tar"
_UNPACKED_BYTES: Final = 32 << 30
_FIELD: Final = re.compile(r"\{(repo|owner|org|name)\}")


class Imported(Row):
    """What came of a row: a build's report, and what was wrong with the row."""

    format: str = ""
    instance: str = ""
    """Its id in its data set."""
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Prepared:
    """A row that is ready to be built, or why it is not."""

    number: int
    line: Source
    row: TaskRow | None = None
    commits: Commits | None = None
    location: str = ""
    """Of its repository, without credentials."""
    problem: Problem | None = None


def prepare_rows(
    file: Path,
    *,
    kind: Format | None,
    repo: str | None,
    follow: bool,
    folder: Path,
    given: Mapping[str, JsonValue],
    chosen: Collection[str] = (),
    limit: int | None = None,
) -> Iterator[Prepared]:
    """The rows of a file, or the Harbor tasks of a directory. `repo` says where repositories are (see `_location`); `given` are
    options of all builds; `chosen` are the ids that are wanted, by default all, and `limit` is how many. Raises `TaskError` for a file
    that cannot be read."""
    wanted = (one for one in _found(file, kind) if not chosen or (not isinstance(one[1], RowError) and one[1][0].id in chosen))
    for number, found in itertools.islice(wanted, limit):
        if isinstance(found, RowError):
            yield _refused(number, None, found)
            continue
        row, directory = found
        try:
            yield _prepared(number, row, directory, repo=repo, follow=follow, folder=folder, given=given)
        except RowError as error:
            yield _refused(number, row, error)
        except RepositoryError as error:
            yield _refused(number, row, RowError("repository", error.message, remedy=error.remedy))


def finish(prepared: Sequence[Prepared], rows: Sequence[Row], folder: Path) -> tuple[Imported, ...]:
    """What came of each; tasks learn where they are from, and scratch repositories are removed."""
    by_line = {row.line: row for row in rows}
    done = tuple(_finished(one, by_line[one.number]) for one in prepared if one.number in by_line)
    shutil.rmtree(folder / SCRATCH, ignore_errors=True)
    return done


def _found(file: Path, kind: Format | None) -> Iterator[tuple[int, tuple[TaskRow, Path | None] | RowError]]:
    if file.is_dir():
        directories = [file] if (file / "instruction.md").is_file() else task_directories(file)
        for number, directory in enumerate(directories, 1):
            try:
                yield number, (read_directory(directory), directory)
            except TaskError as error:
                yield number, RowError("broken_row", error.message, remedy=error.remedy)
        return
    for number, item in read_items(file):
        if not isinstance(item, Mapping):
            yield number, RowError("broken_row", item or "It is no object.")
        elif kind is None and format_of(item) is None:
            keys = ", ".join(list(map(str, item))[:8])
            yield (
                number,
                RowError("unknown_format", f"It looks like no data set that is known; its keys are {keys}.", remedy="Say --format."),
            )
        else:
            yield number, (read_mapping(item, kind), None)


def _prepared(
    number: int,
    row: TaskRow,
    directory: Path | None,
    *,
    repo: str | None,
    follow: bool,
    folder: Path,
    given: Mapping[str, JsonValue],
) -> Prepared:
    for missing, what in ((row.id, "an id"), (row.base, "a base commit")):
        if not missing:
            raise RowError("broken_row", f"It does not have {what}.")
    place = folder / SCRATCH / _name_of(row, directory)
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    if directory is not None and is_own(directory):
        location: str | Path = _unpacked(directory, place / "source")
        shown = row.repo
    else:
        location = _location(row, repo, follow=follow)
        shown = redact(str(location))
    options = BuildOptions.model_validate(dict(given))
    with open_source(location, options.cache_dir, follow_urls=options.follow_urls) as source:
        commits = make_commits(row, source, place / "repo")
    line = Line(
        number=number,
        repo=str(place.absolute() / "repo"),
        commit=commits.fix,
        issue=row.instruction or None,
        name=re.sub(r"[^A-Za-z0-9._@+-]+", "-", row.id).strip(".-_@+")[:190] or f"row-{number}",
        options={**given, "parent": 1},
    )
    return Prepared(number, line, row, commits, shown)


def _name_of(row: TaskRow, directory: Path | None) -> str:
    """Equal for equal rows, so that an import that was stopped finds its builds again."""
    said = (row.id, row.repo, row.base, row.created, directory, row.fix_patch, row.test_patch, row.fix_files, row.test_files)
    return hashlib.sha256(repr(said).encode("utf-8", "backslashreplace")).hexdigest()[:20]


def _location(row: TaskRow, repo: str | None, *, follow: bool) -> str:
    """Where a row's repository is: a path or URL in which `{repo}`, `{owner}` (or `{org}`) and `{name}` stand for the row's, or without
    one of them the repository of all rows; else, with `follow`, what the row itself names."""
    owner, _, name = row.repo.removesuffix(".git").rstrip("/").rpartition("/")
    owner = re.split(r"[/:]", owner)[-1]
    parts = {"repo": f"{owner}/{name}" if owner else name, "owner": owner, "org": owner, "name": name}
    if repo is not None:
        if any(part in ("", ".", "..") or part.startswith("-") for part in (name, *([owner] if owner else []))) and _FIELD.search(repo):
            raise RowError("no_repository", f"The row's repository {row.repo[:80]!r} cannot be looked up.")
        return _FIELD.sub(lambda match: parts[match[1]], repo)
    if follow and (is_remote(row.repo) or Path(row.repo).is_absolute()):
        return row.repo
    raise RowError(
        "no_repository",
        f"Where the repository {row.repo[:80]!r} is to be had was not said.",
        remedy="Give --repo, a path or URL with {repo}, {owner} or {name} in it; or --follow, where the row names a URL.",
    )


def _unpacked(directory: Path, place: Path) -> Path:
    """The repository that a task of podgym's carries."""
    archive = directory / _ARCHIVE
    try:
        with tarfile.open(archive) as tar:
            total = 0
            for member in tar:
                total += member.size
                if total > _UNPACKED_BYTES or member.issparse():
                    raise RowError("repository", f"{archive} unpacks to more than {_UNPACKED_BYTES} bytes.")
            tar.extractall(place, filter="data")
    except (OSError, tarfile.TarError) as error:
        raise RowError("repository", f"The repository in {archive} cannot be unpacked: {error}.") from error
    return place


def _refused(number: int, row: TaskRow | None, error: RowError) -> Prepared:
    line = BadLine(number=number, message=str(error), repo=row.repo if row else "", commit=row.base if row else "", reason=error.kind)
    if row is not None:
        line = line.model_copy(update={"language": row.language})
    return Prepared(number, line, row, problem=Problem(kind=error.kind, message=str(error)))


def _finished(one: Prepared, made: Row) -> Imported:
    known: dict[str, Any] = made.model_dump()
    if one.row is not None:
        known |= {"format": one.row.format, "instance": one.row.id}
    if one.row is None or one.commits is None:
        return Imported(**known, problems=(one.problem,) if one.problem is not None else ())
    problems = compare(one.row, one.commits, made)
    if made.status != "failed":
        said = {
            "source": one.location,
            "repo": one.row.repo,
            "format": one.row.format,
            "instance": one.row.id,
            "pull": str(one.row.pull or ""),
        }
        _tell_origin(Path(made.out), {name: value for name, value in said.items() if value})
    return Imported(**{**known, "source": one.location}, problems=problems)


def _tell_origin(directory: Path, said: Mapping[str, str]) -> None:
    """Where a task is from, in place of its scratch repository."""
    file = directory / TASK
    table = tomllib.loads(file.read_text(encoding="utf-8"))
    provenance = table["metadata"]["podgym"]["provenance"]
    if said.items() <= provenance.items():
        return
    provenance.update(said)
    staging = file.with_name(f".{TASK}.new")
    staging.write_text(tomli_w.dumps(table), encoding="utf-8")
    staging.replace(file)
