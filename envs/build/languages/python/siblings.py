"""Other projects of the same repository that a project is installed with: named by a path, or in uv's and Poetry's words by a source.

What is such a project's name is none of an index's, where the same name may be a stranger's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from posixpath import join, normpath
from typing import Any, Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from podgym.envs.build.languages.python.project import Project, Reader

__all__ = ["Siblings", "find_siblings"]

_METADATA: Final = ("pyproject.toml", "setup.py")
_MAX_PROJECTS: Final = 300
_MAX_SIBLINGS: Final = 30


@dataclass(frozen=True, slots=True)
class Siblings:
    """What was found."""

    targets: tuple[str, ...] = ()
    """Directories relative to the repository, with extras: `libs/common[fast]`."""
    names: frozenset[str] = frozenset()
    """Canonical names of those, and of what is named as one and cannot be found."""

    def without(self, lines: Iterable[str]) -> tuple[str, ...]:
        """Requirements but for those that are met by a sibling."""
        return tuple(line for line in lines if canonicalize_name(Requirement(line).name) not in self.names)


def find_siblings(project: Project, paths: Sequence[str], read: Reader, named: Iterable[str]) -> Siblings:
    """Those of `named` (paths with extras, relative to the repository) and of the project's sources. `paths` are the whole repository's."""
    homes = {path.rpartition("/")[0] for path in paths if path.rpartition("/")[2] in _METADATA}
    sources = _sources(project, read)
    places: dict[str, str] = {}
    names = {canonicalize_name(name) for name, source in sources.items() if _is_local(source)}
    for text in (*named, *_paths(sources), *_members(project, read, homes, sources)):
        path, bracket, extras = text.partition("[")
        place = normpath(path)
        place = "" if place == "." else place
        if place in homes and place != project.root and len(places) < _MAX_SIBLINGS:
            places[place] = max(places.get(place, ""), f"{bracket}{extras}")
    for place in places:
        if name := Project(place, [path for path in paths if path.startswith(f"{place}/")] if place else paths, read).name:
            names.add(canonicalize_name(name))
    names.discard(canonicalize_name(project.name) if project.name else "")
    return Siblings(tuple(f"{place or '.'}{extras}" for place, extras in places.items()), frozenset(names))


def _sources(project: Project, read: Reader) -> dict[str, list[Mapping[str, Any]]]:
    """uv's, of the project and of the workspaces above it; several of one name have markers."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    directory = project.root
    while True:
        own = project if directory == project.root else Project(directory, [join(directory, "pyproject.toml")], read)
        for name, value in own.table("tool", "uv", "sources").items():
            entries = [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, dict)]
            for one in entries:
                path = {"path": normpath(join(directory, one["path"]))} if isinstance(one.get("path"), str) else {}
                found.setdefault(name, []).append({**one, **path})
        if not directory:
            return found
        directory = directory.rpartition("/")[0]


def _is_local(entries: Sequence[Mapping[str, Any]]) -> bool:
    return any(isinstance(one.get("path"), str) or one.get("workspace") is True for one in entries)


def _paths(sources: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[str]:
    for entries in sources.values():
        yield from (str(one["path"]) for one in entries if isinstance(one.get("path"), str))


def _members(project: Project, read: Reader, homes: set[str], sources: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[str]:
    """Directories of the workspace's members that are named as sources and that the project asks for."""
    wanted = {canonicalize_name(name) for name, entries in sources.items() if any(one.get("workspace") is True for one in entries)}
    if not wanted:
        return
    text = "\n".join(map(str, (project.project, project.table("dependency-groups"), project.table("tool", "uv").get("dev-dependencies"))))
    asked = {canonicalize_name(name) for name in re.findall(r"[A-Za-z0-9][\w.-]*", text)}
    for home in sorted(homes, key=lambda home: (home.count("/"), home))[:_MAX_PROJECTS]:
        if home == project.root:
            continue
        name = Project(home, [join(home, "pyproject.toml")], read).name
        if name and canonicalize_name(name) in wanted & asked:
            yield home or "."
