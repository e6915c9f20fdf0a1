"""The versions that a lock file of uv, Poetry, PDM or Pipenv or a `pylock.toml` (PEP 751) names, as constraints for an installer.

What does not come from an index (git, a URL, a path) has none, nor has what only an index of its own has (`2.1+cpu`). Of several
versions of one package each has its marker; where the file does not say which is for what, the package has none either.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from packaging.markers import InvalidMarker, Marker
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

__all__ = ["LOCKS", "Lock", "read_lock"]

LOCKS: Final = ("uv.lock", "poetry.lock", "pdm.lock", "pylock.toml", "Pipfile.lock")
_MAX_PACKAGES: Final = 1500
_SOURCES: Final = {"registry", "legacy", "type", "url", "reference", "name"}
"""Keys of a `source` that is an index, in the words of uv and of Poetry."""
_ELSEWHERE: Final = frozenset({"git", "hg", "svn", "bzr", "url", "path", "file", "vcs", "directory", "archive"})
"""Keys of an entry that does not come from an index, in the words of PDM, Pipenv and PEP 751."""


@dataclass(frozen=True, slots=True)
class Lock:
    """One lock file."""

    path: str
    constraints: tuple[str, ...]
    """PEP 508 lines, sorted: equal ones make equal layers."""


def read_lock(directory: str, read: Callable[[str], str | None], *, project: str = "", notes: list[str]) -> Lock | None:
    """Of the project in `directory`, or of the nearest one above it that has one; `project` is its own name, which is not constrained."""
    while True:
        for name in LOCKS:
            path = f"{directory}/{name}" if directory else name
            text = read(path)
            if text is None:
                continue
            try:
                lines = _constraints(_document(name, text), canonicalize_name(project) if project else "")
            except (ValueError, RecursionError) as error:  # of TOML and of JSON
                notes.append(f"{path} cannot be read: {error}")
                continue
            if len(lines) <= _MAX_PACKAGES:
                return Lock(path, lines)
            notes.append(f"{path} names {len(lines)} versions and is not obeyed")
        if not directory:
            return None
        directory = directory.rpartition("/")[0]


def _constraints(document: Mapping[str, Any], project: str) -> tuple[str, ...]:
    found: dict[str, dict[str, str]] = {}
    elsewhere: set[str] = set()
    for name, entry in _entries(document):
        version = entry.get("version")
        if not _of_an_index(entry):
            elsewhere.add(name)
        elif isinstance(version, str) and _is_public(version):
            found.setdefault(name, {})[version] = _marker(entry)
    lines = []
    for name, versions in found.items():
        if name == project or name in elsewhere:
            continue
        if len(versions) == 1:
            lines.append(f"{name}=={next(iter(versions))}")
        elif all(versions.values()):
            lines += [f"{name}=={version} ; {marker}" for version, marker in versions.items()]
    return tuple(sorted(lines))


def _document(name: str, text: str) -> Mapping[str, Any]:
    """Pipenv's JSON in the form of the others. Raises `ValueError`."""
    if name != "Pipfile.lock":
        return tomllib.loads(text)
    document = json.loads(text)
    groups = document.values() if isinstance(document, dict) else ()
    return {
        "package": [
            {**entry, "name": package, "version": str(entry.get("version", "")).removeprefix("==")}
            for group in groups
            if isinstance(group, dict)
            for package, entry in group.items()
            if isinstance(entry, dict)
        ]
    }


def _entries(document: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    packages = document.get("package", document.get("packages"))
    for entry in packages if isinstance(packages, list) else ():
        if isinstance(entry, dict) and isinstance(name := entry.get("name"), str) and re.fullmatch(r"[A-Za-z0-9][\w.-]*", name, re.ASCII):
            yield canonicalize_name(name), entry


def _of_an_index(entry: Mapping[str, Any]) -> bool:
    source = entry.get("source", {})
    if not isinstance(source, dict) or source.get("type", "legacy") != "legacy" or source.keys() - _SOURCES:
        return False
    # uv has no type, and a `url` of an archive; PDM says where a package comes from in the entry itself.
    return ("type" in source or "url" not in source) and not _ELSEWHERE & entry.keys()


def _is_public(text: str) -> bool:
    if not re.fullmatch(r"[\w.!+-]+", text, re.ASCII):
        return False  # a version may stand between spaces
    try:
        return Version(text).local is None
    except InvalidVersion:
        return False


def _marker(entry: Mapping[str, Any]) -> str:
    """When an entry is meant; empty where that is not said in one line."""
    value = entry.get("resolution-markers") or entry.get("markers") or entry.get("marker") or ""
    text = " or ".join(f"({one})" for one in value) if isinstance(value, list) and all(isinstance(one, str) for one in value) else value
    try:
        marker = str(Marker(text)) if isinstance(text, str) and text else ""
    except InvalidMarker:
        return ""
    return marker if marker.isprintable() else ""  # what it quotes may hold line breaks
