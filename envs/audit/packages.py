"""Recognises installed and cached packages by where they lie and what their metadata says, in eight ecosystems.

Nothing is imported or run. A package is a name, a version and a place; whether it is a copy of the project under audit is judged
later, so that what a layer holds is the same for every task.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from email.parser import HeaderParser
from typing import Any, Literal

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

__all__ = ["Ecosystem", "Package", "canonical", "is_newer", "read_package"]

Ecosystem = Literal["python", "java", "go", "rust", "javascript", "c"]
"""TypeScript is JavaScript's, C++ is C's."""

METADATA_BYTES = 1 << 20

_CACHES = re.compile(
    r"(^|/)(\.cache/|_cacache/|\.npm/|wheels/|\.m2/repository/|\.gradle/caches/|registry/cache/|pkg/mod/cache/|\.yarn/|yarn/|"
    r"pnpm/store/|\.pnpm-store/|store/v\d+/|(mini|ana)?(conda|forge)\w*/pkgs/|pkgs/[^/]+/info/|uv/)|!/"
)


@dataclass(frozen=True, slots=True)
class Package:
    """One package as it lies somewhere."""

    ecosystem: Ecosystem
    name: str
    """In the ecosystem's canonical spelling; Java: `group:artifact`."""
    version: str
    """Empty where nothing says it."""
    place: str
    local: bool = False
    """Installed from a directory of the image: editable, or built there."""

    @property
    def cached(self) -> bool:
        """Kept to be installed, rather than installed."""
        return _CACHES.search(self.place) is not None


Read = Callable[[], bytes]
"""The content of the file, up to `METADATA_BYTES`."""


def read_package(place: str, read: Read) -> Package | None:
    """The package that the file at `place` tells of; None for any other file, and for metadata that cannot be read."""
    for pattern, reader in _READERS:
        match = pattern.search(place)
        if match is not None:
            return reader(match, place, read)
    return None


def canonical(ecosystem: Ecosystem, name: str) -> str:
    """`name` as `Package.name` has it."""
    if ecosystem == "python":
        return str(canonicalize_name(name))
    if ecosystem in ("rust", "c"):
        return re.sub(r"^lib(?=[a-z0-9])", "", name.lower().replace("_", "-")) if ecosystem == "c" else name.lower().replace("_", "-")
    return name.lower() if ecosystem == "javascript" else name


def is_newer(version: str, own: str) -> bool | None:
    """Whether a package is younger than the work tree's own version; None where that cannot be told.

    A local part (`1+editable`) makes a version no younger than one without: tools add theirs to what they build from a work tree.
    """
    if not version or not own:
        return None
    try:
        found, known = Version(version.lstrip("v")), Version(own.lstrip("v"))
        return (found if known.local else Version(found.public)) > known
    except InvalidVersion:
        left, right = _numbers(version), _numbers(own)
        return None if left is None or right is None else left > right


def _numbers(version: str) -> tuple[int, ...] | None:
    match = re.match(r"v?(\d+(?:\.\d+)*)", version)
    return tuple(int(part) for part in match[1].split(".")[:8]) if match else None


def _python(match: re.Match[str], place: str, read: Read) -> Package | None:
    headers = HeaderParser().parsestr(read().decode("utf-8", "replace").partition("\n\n")[0])
    name, version = headers.get("Name", ""), headers.get("Version", "")
    return Package("python", canonical("python", name.strip()), version.strip(), place) if name.strip() else None


def _conda(match: re.Match[str], place: str, read: Read) -> Package | None:
    data = _json(read)
    return Package("python", canonical("python", str(data["name"])), str(data.get("version", "")), place) if data.get("name") else None


def _npm(match: re.Match[str], place: str, read: Read) -> Package | None:
    data = _json(read)
    return Package("javascript", str(data["name"]).lower(), str(data.get("version", "")), place) if data.get("name") else None


def _npm_cache(match: re.Match[str], place: str, read: Read) -> Package | None:
    found = re.search(rb"request-cache:https?://[^\"\s]*?/((?:@[^/\"\s]+/)?[^/\"\s]+)/-/[^/\"\s]+?-(\d[^/\"\s]*)\.tgz", read())
    return Package("javascript", found[1].decode("utf-8", "replace").lower(), found[2].decode("utf-8", "replace"), place) if found else None


def _maven(match: re.Match[str], place: str, read: Read) -> Package | None:
    group = match["group"].replace("/", ".")
    return Package("java", f"{group}:{match['artifact']}", match["version"], place)


def _gradle(match: re.Match[str], place: str, read: Read) -> Package | None:
    return Package("java", f"{match['group']}:{match['artifact']}", match["version"], place)


def _properties(match: re.Match[str], place: str, read: Read) -> Package | None:
    found = dict(re.findall(r"(?m)^\s*(groupId|artifactId|version)\s*[=:]\s*(\S+)", read().decode("utf-8", "replace")))
    if "groupId" not in found or "artifactId" not in found:
        return None
    return Package("java", f"{found['groupId']}:{found['artifactId']}", found.get("version", ""), place)


def _go(match: re.Match[str], place: str, read: Read) -> Package | None:
    path = re.sub(r"!([a-z])", lambda found: found[1].upper(), match["path"])
    return Package("go", path, match["version"], place[: match.end()].rstrip("/"))


def _rust(match: re.Match[str], place: str, read: Read) -> Package | None:
    return Package("rust", canonical("rust", match["name"]), match["version"], place)


def _pkgconfig(match: re.Match[str], place: str, read: Read) -> Package | None:
    found = re.search(r"(?m)^Version:\s*(\S+)", read().decode("utf-8", "replace"))
    return Package("c", canonical("c", match["name"]), found[1] if found else "", place)


def _shared(match: re.Match[str], place: str, read: Read) -> Package | None:
    # A soname's numbers are the interface's, not the release's.
    return Package("c", canonical("c", match["name"]), "", place)


def _headers(match: re.Match[str], place: str, read: Read) -> Package | None:
    return Package("c", canonical("c", match["name"]), "", place[: match.end()].rstrip("/"))


def _json(read: Read) -> dict[str, Any]:
    try:
        data = json.loads(read())
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


_MAVEN_NAME = r"(?P<artifact>[^/]+)/(?P<version>[^/]+)/(?P=artifact)-(?P=version)(?:-[\w.]+)?\.(?:jar|pom|war|aar)$"

_READERS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], str, Read], Package | None]], ...] = tuple(
    (re.compile(pattern), reader)
    for pattern, reader in (
        (r"(^|/)[^/]+\.(?:dist-info/METADATA|egg-info/PKG-INFO|egg-info)$|(^|/)EGG-INFO/PKG-INFO$", _python),
        (r"(^|/)conda-meta/[^/]+\.json$|(^|/)info/index\.json$", _conda),
        (r"(^|/)node_modules/(?:@[^/]+/)?[^/]+/package\.json$|!/package/package\.json$", _npm),
        (r"(^|/)store/v\d+/(?:files|index)/[0-9a-f]{2}/[^/]+\.json$", _npm),
        (r"(^|/)_cacache/index-v\d+/", _npm_cache),
        (rf"(^|/)repository/(?P<group>[^!]+?)/{_MAVEN_NAME}", _maven),
        (r"(^|/)modules-2/files-2\.1/(?P<group>[^/]+)/(?P<artifact>[^/]+)/(?P<version>[^/]+)/[0-9a-f]+/", _gradle),
        (r"(^|/)META-INF/maven/[^/]+/[^/]+/pom\.properties$", _properties),
        (r"(^|/)pkg/mod/cache/download/(?P<path>[^!@]+(?:![a-z][^!@]*)*)/@v/(?P<version>v[^/]+)\.zip$", _go),
        (r"(^|/)pkg/mod/(?!cache/)(?P<path>[^@]+)@(?P<version>v[^/]+)/", _go),
        (r"(^|/)registry/src/[^/]+/(?P<name>[^/]+?)-(?P<version>\d[^/]*)/Cargo\.toml$", _rust),
        (r"(^|/)(?P<name>[A-Za-z][^/]*?)-(?P<version>\d[^/]*)\.crate$", _rust),
        (r"(^|/)pkgconfig/(?P<name>[^/]+)\.pc$", _pkgconfig),
        (r"(^|/)lib(?:64)?/(?:[^/]+-linux-[^/]+/)?lib(?P<name>[^/]+?)(?:\.so(?:\.[\d.]+)?|\.a)$", _shared),
        (r"(^|/)include/(?P<name>[A-Za-z][^/]*?)(?:/|\.h(?:pp|xx|h)?$)", _headers),
    )
)
