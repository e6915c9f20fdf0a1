"""Lists of requirements from the many places where Python projects keep them, as plain PEP 508 lines.

What cannot be had from a package index (paths, options, direct URLs) is left out, or taken by name where there is one,
and each such decision leaves a note.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from posixpath import dirname, join, normpath
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

__all__ = ["Requirements", "poetry_specifier"]

_MAX_DEPTH = 8


class Requirements:
    """Requirements in the order met, each once. `project` is the project's own name, never taken from an index."""

    def __init__(self, *, project: str = "", notes: list[str] | None = None) -> None:
        self.project = canonicalize_name(project) if project else ""
        self.notes: list[str] = notes if notes is not None else []
        self.own_extras: list[str] = []
        """Extras of the project itself that a requirement asked for."""
        self._lines: dict[str, str] = {}
        self._files: set[str] = set()

    @property
    def lines(self) -> tuple[str, ...]:
        """PEP 508 lines."""
        return tuple(self._lines.values())

    @property
    def names(self) -> frozenset[str]:
        """Canonical names."""
        return frozenset(canonicalize_name(Requirement(line).name) for line in self._lines.values())

    def add(self, line: str) -> None:
        """Take one PEP 508 line, or note why it is left out."""
        text = line.strip()
        if not text:
            return
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            self.notes.append(f"left out {text!r}: not a requirement")
            return
        if self.project and canonicalize_name(requirement.name) == self.project:
            self.own_extras += sorted(requirement.extras)
            return
        if requirement.url:
            self.notes.append(f"took {requirement.name} from the index, not from {requirement.url}")
            requirement.url = None
        self._lines.setdefault(str(requirement), str(requirement))

    def add_all(self, lines: Iterable[object]) -> None:
        """Take every line that is text."""
        for line in lines:
            if isinstance(line, str):
                self.add(line)

    def add_file(self, path: str, read: Callable[[str], str | None]) -> None:
        """Take a requirements file and those that it includes; `read` gives a file's text by path, or None."""
        if path in self._files:
            return
        self._files.add(path)
        text = read(path)
        if text is None:
            self.notes.append(f"left out {path!r}: not in the repository")
            return
        for raw in text.replace("\\\n", " ").splitlines():
            line = re.sub(r"(^|\s)#.*$", "", raw).strip()
            include = re.match(r"(?:-r|--requirement)[\s=]*(\S+)", line)
            if include:
                self.add_file(normpath(join(dirname(path), include[1])), read)
            elif re.match(r"(-e|--editable)\b|\.{1,2}(/|\[|$)", line):
                self.own_extras += _extras_of_path(line)
            elif line.startswith("-") or re.match(r"[\w+]+://|git\+", line):
                self.add_option(line)
            else:
                self.add(re.sub(r"\s--[\w-]+[=\s].*$", "", line))

    def add_option(self, line: str) -> None:
        """Note an option or a bare URL; the `#egg=` of a URL names what to take from the index."""
        egg = re.search(r"#egg=([\w.-]+)", line)
        if egg:
            self.add(egg[1])
        elif not line.startswith(("-c", "--constraint", "-i", "--index", "--extra-index", "--find-links", "-f")):
            self.notes.append(f"left out {line!r}")


def _extras_of_path(line: str) -> list[str]:
    extras = re.search(r"\[([\w\s,.-]+)\]", line)
    return [extra.strip() for extra in extras[1].split(",")] if extras else []


def add_group(into: Requirements, groups: Mapping[str, Any], name: str, *, depth: int = 0) -> None:
    """Take a PEP 735 dependency group and those that it includes."""
    wanted = canonicalize_name(name)
    group = next((value for key, value in groups.items() if canonicalize_name(key) == wanted), None)
    if not isinstance(group, list) or depth > _MAX_DEPTH:
        into.notes.append(f"left out dependency group {name!r}: not defined, or it includes itself")
        return
    for entry in group:
        if isinstance(entry, str):
            into.add(entry)
        elif isinstance(entry, dict) and isinstance(entry.get("include-group"), str):
            add_group(into, groups, entry["include-group"], depth=depth + 1)


def add_poetry(into: Requirements, table: Mapping[str, Any]) -> None:
    """Take a table of Poetry dependencies (`name = "^1.2"` or `name = {version = …, extras = …, markers = …}`)."""
    for name, value in table.items():
        if canonicalize_name(name) == "python":
            continue
        choices = value if isinstance(value, list) else [value]
        for choice in choices:
            details = choice if isinstance(choice, dict) else {"version": choice}
            if details.get("optional"):
                continue
            if "path" in details:
                into.notes.append(f"left out {name!r}: a path")
                continue
            named = details.get("extras")
            extras = f"[{','.join(map(str, named))}]" if named and isinstance(named, list) else ""
            markers = [str(details["markers"])] if details.get("markers") else []
            if isinstance(details.get("python"), str):
                markers += [f"python_version {part}" for part in _python_marker(details["python"])]
            suffix = f" ; {' and '.join(f'({marker})' for marker in markers)}" if markers else ""
            into.add(f"{name}{extras}{poetry_specifier(str(details.get('version', '*')))}{suffix}")


def _python_marker(constraint: str) -> list[str]:
    parts = poetry_specifier(constraint).split(",")
    return [re.sub(r"^([<>=!~]+)(.*)$", r'\1 "\2"', part) for part in parts if part and "|" not in part]


def poetry_specifier(constraint: str) -> str:
    """A Poetry version constraint as a PEP 440 specifier; empty where any version will do or it cannot be said."""
    if "||" in constraint or "|" in constraint:
        return ""
    parts = [part for part in re.split(r"\s*,\s*|\s+(?=[\^~<>=!])", constraint.strip()) if part and part != "*"]
    return ",".join(filter(None, (_poetry_part(part.replace(" ", "")) for part in parts)))


def _poetry_part(part: str) -> str:
    match = re.fullmatch(r"(\^|~(?!=))?(.+)", part)
    if match is None or match[1] is None:
        return part if re.match(r"[<>=!~]", part) else f"=={part}"
    try:
        version = Version(match[2].removesuffix(".*"))
    except InvalidVersion:
        return ""
    release = list(version.release)
    place = 0
    if match[1] == "^":
        place = next((index for index, number in enumerate(release) if number), len(release) - 1)
    elif len(release) > 1:
        place = 1
    upper = [*release[:place], release[place] + 1]
    return f">={version},<{'.'.join(map(str, upper))}"
