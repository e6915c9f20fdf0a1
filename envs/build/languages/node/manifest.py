"""One `package.json`, parsed: whatever it says in the wrong type is as good as absent."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from podgym.envs.build.tree import Tree

__all__ = ["DEPENDENCY_FIELDS", "Manifest", "join", "normal", "parse_json", "read_manifest", "table"]

DEPENDENCY_FIELDS: Final = ("dependencies", "devDependencies", "optionalDependencies", "peerDependencies")
_MAX_DEPTH: Final = 200


def join(directory: str, path: str) -> str:
    """`path` below a directory of the repository, which is empty at its top."""
    return f"{directory}/{path}" if directory and path else directory or path


def normal(path: str, directory: str = "") -> str | None:
    """A relative path, as seen from `directory`, relative to the top of the repository; None where it leaves that."""
    parts = directory.split("/") if directory else []
    for part in path.split("/"):
        if part == "..":
            if not parts:
                return None
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def parse_json(text: str | None) -> Any:
    """A JSON document; None where there is none, or one nested beyond reason."""
    if text is None or max(text.count("["), text.count("{")) > 2_000_000:
        return None
    try:
        return json.loads(text.removeprefix("\ufeff"))
    except (ValueError, RecursionError):
        return None


def table(value: object) -> dict[str, Any]:
    """A value that should be an object."""
    return value if isinstance(value, dict) else {}


def _strings(value: object) -> dict[str, str]:
    return {key: text for key, text in table(value).items() if isinstance(text, str)}


@dataclass(frozen=True, slots=True)
class Manifest:
    """Of the package in `directory` (empty for the top of the repository)."""

    directory: str = ""
    raw: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def path(self) -> str:
        """Of the file itself."""
        return join(self.directory, "package.json")

    @property
    def name(self) -> str:
        """Empty where it has none."""
        name = self.raw.get("name")
        return name if isinstance(name, str) else ""

    @property
    def version(self) -> str:
        """Empty where it has none."""
        version = self.raw.get("version")
        return version if isinstance(version, str) else ""

    @property
    def scripts(self) -> dict[str, str]:
        """By name."""
        return _strings(self.raw.get("scripts"))

    def dependencies(self, *fields: str) -> dict[str, str]:
        """Ranges by name, of all kinds or of those named; the first kind that names a package counts."""
        found: dict[str, str] = {}
        for kind in fields or DEPENDENCY_FIELDS:
            for name, wanted in _strings(self.raw.get(kind)).items():
                found.setdefault(name, wanted)
        return found

    @property
    def engines(self) -> dict[str, str]:
        """Accepted versions by tool."""
        return _strings(self.raw.get("engines"))

    @property
    def workspaces(self) -> tuple[str, ...]:
        """Globs of the directories of its members."""
        value = self.raw.get("workspaces")
        if isinstance(value, dict):
            value = value.get("packages")
        return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()

    @property
    def entries(self) -> tuple[str, ...]:
        """Files that those who import it get, as written: of `main`, `module`, `types`, `exports` and `bin`."""
        found: list[str] = []
        for key in ("main", "module", "types", "typings", "exports", "bin"):
            _collect(self.raw.get(key), found, 0)
        return tuple(dict.fromkeys(found))

    @property
    def runtime_entries(self) -> tuple[str, ...]:
        """Those that are code."""
        found: list[str] = []
        for key in ("exports", "main", "module", "bin"):
            _collect(self.raw.get(key), found, 0)
        code = (one for one in found if not one.endswith((".d.ts", ".d.mts", ".d.cts", ".json", ".css")) and "*" not in one)
        return tuple(dict.fromkeys(code))


def _collect(value: object, found: list[str], depth: int) -> None:
    if isinstance(value, str):
        if not value.startswith(("http:", "https:")) and "package.json" not in value:
            found.append(value)
    elif isinstance(value, Mapping) and depth < _MAX_DEPTH:
        for key, inner in value.items():
            if key not in ("browser", "deno", "bun", "worker", "workerd", "react-native"):
                _collect(inner, found, depth + 1)
    elif isinstance(value, Sequence) and depth < _MAX_DEPTH:
        for inner in value:
            _collect(inner, found, depth + 1)


def read_manifest(tree: Tree, directory: str, notes: list[str] | None = None) -> Manifest | None:
    """The package in a directory; None where there is none. A file that cannot be read is an empty one, with a note."""
    path = join(directory, "package.json")
    if path not in tree:
        return None
    raw = parse_json(tree.read(path))
    if not isinstance(raw, dict):
        if notes is not None:
            notes.append(f"{path} is not a JSON object")
        raw = {}
    return Manifest(directory, raw)
