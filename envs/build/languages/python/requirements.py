"""Lists of requirements from the many places where Python projects keep them, as plain PEP 508 lines.

What cannot be had from a package index (options, direct URLs) is left out, or taken by name where there is one, and each such
decision leaves a note. Paths are kept apart: they name the project itself, or another one of its repository.
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
_MAX_CONSTRAINTS = 1500
_HERE = re.compile(
    r"^(?:file:(?://)?)?(?:(?:/?(?:\{(?:root:uri|toxinidir|tox_root)\}|\$\{?(?:PWD|PROJECT_ROOT|GITHUB_WORKSPACE|CI_PROJECT_DIR)\}?)"
    r"|\.(?=/|$))/*)?"
)
"""What stands for the project's directory before a path."""
_FOLDER = re.compile(r"[\w.-]{1,100}(?:/[\w.-]{1,100}){1,9}/?(?:\[[\w\s,.-]{0,300}\])?")
"""A path without a dot before it, which no name of a distribution looks like."""
_ANY_VERSION = re.compile(r"([A-Za-z0-9](?:[\w.-]{0,100}[A-Za-z0-9])?)\s*[<>=!~]=?\s*[\w.*]{1,40}$")
_ELSEWHERE = re.compile(r"(?!file:)[\w+]{2,}:|git\+")


class Requirements:
    """Requirements in the order met, each once. `project` is the project's own name, never taken from an index; `root` is its directory."""

    def __init__(self, *, project: str = "", root: str = "", notes: list[str] | None = None) -> None:
        self.root = root
        self.project = canonicalize_name(project) if project else ""
        self.notes: list[str] = notes if notes is not None else []
        self.own_extras: list[str] = []
        """Extras of the project itself that a requirement asked for."""
        self.paths: list[str] = []
        """Other projects that are named by a path, with their extras: `libs/common[fast]`, relative to the repository."""
        self._constraints: dict[str, str] = {}
        self._lines: dict[str, str] = {}
        self._files: set[str] = set()

    @property
    def lines(self) -> tuple[str, ...]:
        """PEP 508 lines."""
        return tuple(self._lines.values())

    @property
    def constraints(self) -> tuple[str, ...]:
        """PEP 508 lines of constraints files."""
        return tuple(self._constraints.values())

    @property
    def names(self) -> frozenset[str]:
        """Canonical names."""
        return frozenset(canonicalize_name(Requirement(line).name) for line in self._lines.values())

    def add(self, line: str) -> None:
        """Take one PEP 508 line, or note why it is left out."""
        text = line.strip()
        if not text:
            return
        if re.match(r"(-e|--editable)\b|\.{1,2}(/|\[|$)|file:", text) or _FOLDER.fullmatch(text):
            self.add_path(text)
            return
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            named = _ANY_VERSION.match(text)
            if named is None:
                self.notes.append(f"left out {text!r}: not a requirement")
                return
            # Such as `pytz>dev`, which installers of its time understood.
            self.notes.append(f"took {named[1]} in any version: {text!r} says none that can be read")
            requirement = Requirement(named[1])
        if self.project and canonicalize_name(requirement.name) == self.project:
            self.own_extras += sorted(requirement.extras)
            return
        if requirement.url and re.match(r"file:|\{root:uri\}", requirement.url):
            if self.add_path(f"{requirement.url}[{','.join(sorted(requirement.extras))}]"):
                return
            requirement.url = None  # where a package of Conda's was built, say
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
            elif constraint := re.match(r"(?:-c|--constraint)[\s=]*(\S+)", line):
                self.add_constraints(normpath(join(dirname(path), constraint[1])), read)
            elif re.match(r"-(?!e\b|-editable\b)|(?!file:)[\w+]+://|git\+|(?:-e|--editable)[\s=]+(?!file:)[\w+]+:", line):
                self.add_option(line)
            else:
                self.add(re.sub(r"\s--[\w-]+[=\s].*$", "", line))

    def add_constraints(self, path: str, read: Callable[[str], str | None]) -> None:
        """Take a file of constraints: versions for what other lines bring."""
        for raw in (read(path) or "").replace("\\\n", " ").splitlines()[:_MAX_CONSTRAINTS]:
            line = re.sub(r"(^|\s)#.*$|\s--[\w-]+[=\s].*$", "", raw).strip()
            try:
                requirement = Requirement(line)
            except InvalidRequirement:
                continue
            if requirement.specifier and not requirement.url and canonicalize_name(requirement.name) != self.project:
                requirement.extras = set()
                self._constraints.setdefault(str(requirement), str(requirement))

    def add_path(self, text: str, directory: str = "") -> bool:
        """Take a path that stands where a requirement may, relative to the project's `directory`: itself for its extras, or another one.
        False for one that is not in the repository."""
        named = re.sub(r"^(-e|--editable)[\s=]*", "", text.strip()).strip("\"' ")
        match = re.fullmatch(r"([^\[\];#]{0,300})(?:#[^\[\]]{0,200})?(?:\[([\w\s,.-]{0,300})\])?\s*(?:[;#].*)?", named)
        if match is None:
            return True
        if _ELSEWHERE.match(match[1]):
            self.add_option(named)
            return True
        path = normpath(join(self.root, directory, _HERE.sub("", match[1].strip()) or "."))
        extras = [extra for extra in re.split(r"[\s,]+", match[2] or "") if extra]
        if path == (self.root or "."):
            self.own_extras += extras
        elif not path.startswith(("/", "..")) and re.fullmatch(r"[\w./+-]+", path):
            self.paths.append(f"{path}[{','.join(extras)}]" if extras else path)
        else:
            self.notes.append(f"left out {text!r}: a path that is not in the repository")
            return False
        return True

    def take(self, other: Requirements) -> None:
        """Take all of another's but what has a name that is known."""
        known = self.names
        self.add_all(line for line in other.lines if canonicalize_name(Requirement(line).name) not in known)
        self.own_extras += other.own_extras
        self.take_around(other)

    def take_around(self, other: Requirements) -> None:
        """Take another's paths and constraints."""
        self.paths += other.paths
        for line in other.constraints:
            self._constraints.setdefault(line, line)

    def add_option(self, line: str) -> None:
        """Note an option or a bare URL; the `#egg=` of a URL names what to take from the index."""
        egg = re.search(r"#egg=([\w.-]+)", line)
        if egg:
            self.add(egg[1])
        elif not line.startswith(("-c", "--constraint", "-i", "--index", "--extra-index", "--find-links", "-f")):
            self.notes.append(f"left out {line!r}")


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
            named = details.get("extras")
            extras = f"[{','.join(map(str, named))}]" if named and isinstance(named, list) else ""
            if isinstance(details.get("path"), str):
                into.add_path(details["path"] + extras)
                continue
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
