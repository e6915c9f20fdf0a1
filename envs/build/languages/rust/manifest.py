"""Cargo.toml files as cargo reads them: which package a file belongs to, which workspace a package belongs to, and its targets."""

from __future__ import annotations

import posixpath
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from podgym.envs.build.tree import Tree

__all__ = ["MANIFEST", "Cargo", "Package", "Target", "table", "texts"]

MANIFEST: Final = "Cargo.toml"
_MAX_MANIFESTS: Final = 2000
_MAX_DEPTH: Final = 64
_DEPENDENCIES: Final = ("dependencies", "dev-dependencies", "dev_dependencies", "build-dependencies", "build_dependencies")


def table(value: object, *keys: str) -> dict[str, Any]:
    """The table at `keys` below `value`; empty where there is none."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def texts(value: object) -> list[str]:
    """The strings of a list, or of one string."""
    items = value if isinstance(value, list) else [value]
    return [item for item in items if isinstance(item, str)]


@dataclass(frozen=True, slots=True)
class Target:
    """Something that a package is compiled to."""

    kind: str
    """`lib`, `bin`, `test`, `bench` or `example`."""
    name: str
    path: str
    """Of its root source, relative to the repository."""
    harness: bool = True
    required: tuple[str, ...] = ()
    """Features without which it is left out."""
    declared: bool = False
    """The manifest names it, so that cargo misses it where it is not there."""


@dataclass(frozen=True, slots=True)
class Package:
    """A package of the repository."""

    directory: str
    name: str
    manifest: Mapping[str, Any]
    targets: tuple[Target, ...] = ()
    build_script: str = ""
    """Relative to the repository."""

    def kind(self, kind: str) -> list[Target]:
        """Its targets of one kind."""
        return [target for target in self.targets if target.kind == kind]

    @property
    def features(self) -> frozenset[str]:
        """What may be named after `--features`: its features and its optional dependencies."""
        found = set(table(self.manifest, "features"))
        for dependencies in dependency_tables(self.manifest):
            found |= {name for name, value in dependencies.items() if isinstance(value, dict) and value.get("optional") is True}
        return frozenset(found)


def dependency_tables(manifest: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """All tables of dependencies of a manifest."""
    places: list[object] = [manifest, *table(manifest, "target").values()]
    for place in places:
        for name in _DEPENDENCIES:
            if found := table(place, name):
                yield found
    if found := table(manifest, "workspace", "dependencies"):
        yield found


@dataclass(frozen=True, slots=True)
class Cargo:
    """The packages of one tree."""

    tree: Tree
    notes: list[str] = field(default_factory=list)
    _manifests: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By directory."""
    _packages: dict[str, Package] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Read all manifests."""
        paths = self.tree.named(MANIFEST)
        if len(paths) > _MAX_MANIFESTS:
            self.notes.append(f"read {_MAX_MANIFESTS} of {len(paths)} Cargo.toml files")
        for path in paths[:_MAX_MANIFESTS]:
            try:
                self._manifests[posixpath.dirname(path)] = tomllib.loads(self.tree.read(path) or "")
            except (ValueError, RecursionError):
                self.notes.append(f"{path} is no TOML")
        for directory, manifest in self._manifests.items():
            name = table(manifest, "package").get("name") or table(manifest, "project").get("name")
            if isinstance(name, str) and re.fullmatch(r"[\w-]{1,200}", name):
                targets = tuple(_targets(self.tree, directory, name, manifest))
                self._packages[directory] = Package(directory, name, manifest, targets, _build_script(self.tree, directory, manifest))

    @property
    def packages(self) -> Mapping[str, Package]:
        """By directory."""
        return self._packages

    def manifest(self, directory: str) -> Mapping[str, Any]:
        """That of a directory; empty where there is none."""
        return self._manifests.get(directory, {})

    def package_of(self, path: str) -> Package | None:
        """The package that a file belongs to: that of the nearest manifest, or the one that names the file as a target."""
        for directory in _above(posixpath.dirname(path)):
            if directory in self._packages:
                return self._packages[directory]
            if directory in self._manifests:
                break
        return next((package for package in self._packages.values() if any(target.path == path for target in package.targets)), None)

    def root_of(self, directory: str) -> str:
        """The directory of the workspace that a package belongs to; its own where there is none."""
        named = table(self.manifest(directory), "package").get("workspace")
        if isinstance(named, str) and (stated := _join(directory, named)) in self._manifests:
            return stated
        for above in _above(directory):
            workspace = self.manifest(above).get("workspace")
            if isinstance(workspace, dict) and not _excluded(directory, above, workspace):
                return above
        return directory

    def members(self, root: str) -> list[Package]:
        """Packages whose workspace is at `root`, the nearest to it first."""
        found = [package for package in self._packages.values() if self.root_of(package.directory) == root and self._listed(package, root)]
        return sorted(found, key=lambda package: (package.directory.count("/"), package.directory))

    def _listed(self, package: Package, root: str) -> bool:
        if package.directory == root:
            return True
        globs = [_join(root, glob) for glob in texts(table(self.manifest(root), "workspace").get("members", []))]
        if any(_matches(package.directory, glob) for glob in globs):
            return True
        # Packages that members depend on by path are members too.
        for other in self._packages.values():
            for dependencies in dependency_tables(other.manifest):
                for value in dependencies.values():
                    path = value.get("path") if isinstance(value, dict) else None
                    if isinstance(path, str) and _join(other.directory, path) == package.directory:
                        return True
        return False


def _above(directory: str) -> Iterator[str]:
    """The directory and those above it, the repository's own last."""
    for _ in range(_MAX_DEPTH):
        yield directory
        if not directory:
            return
        directory = posixpath.dirname(directory)


def _join(directory: str, path: str) -> str:
    joined = posixpath.normpath(posixpath.join(directory or ".", path))
    return "" if joined == "." else joined


def _excluded(directory: str, root: str, workspace: Mapping[str, Any]) -> bool:
    prefixes = [_join(root, path) for path in texts(workspace.get("exclude", []))]
    if any(_matches(directory, _join(root, glob)) for glob in texts(workspace.get("members", [])) if "*" not in glob):
        return False
    return any(directory == prefix or directory.startswith(f"{prefix}/") for prefix in prefixes if prefix)


def _matches(directory: str, glob: str) -> bool:
    parts = []
    for part in glob.split("/"):
        parts.append(".*" if part == "**" else re.escape(part).replace(r"\*", "[^/]*").replace(r"\?", "[^/]"))
    return re.fullmatch("/".join(parts), directory) is not None


def _build_script(tree: Tree, directory: str, manifest: Mapping[str, Any]) -> str:
    named = table(manifest, "package").get("build")
    if named is False:
        return ""
    path = _join(directory, named if isinstance(named, str) else "build.rs")
    return path if path in tree else ""


def _targets(tree: Tree, directory: str, name: str, manifest: Mapping[str, Any]) -> Iterator[Target]:
    """What cargo finds by itself, and what the manifest names."""
    library = table(manifest, "lib")
    path = _join(directory, library["path"] if isinstance(library.get("path"), str) else "src/lib.rs")
    if path in tree:
        yield Target("lib", _text(library.get("name")) or name.replace("-", "_"), path, library.get("harness") is not False)
    prefix = f"{directory}/" if directory else ""
    package = table(manifest, "package")
    for kind, folder in (("bin", "src/bin"), ("test", "tests"), ("bench", "benches"), ("example", "examples")):
        declared = list(_declared(tree, directory, kind, folder, manifest))
        yield from declared
        automatic = package.get("auto" + {"bench": "benches"}.get(kind, f"{kind}s"))
        # Up to the edition of 2015 a manifest that names one target of a kind names all of them.
        if automatic is False or (automatic is None and declared and str(package.get("edition", "2015")) == "2015"):
            continue
        taken = {target.name for target in declared} | {target.path for target in declared}
        for stem, path in _discovered(tree, prefix, kind, folder, name):
            if stem not in taken and path not in taken:
                yield Target(kind, stem, path)


def _declared(tree: Tree, directory: str, kind: str, folder: str, manifest: Mapping[str, Any]) -> Iterator[Target]:
    """Those that the manifest names, of which a later one of the same name hides the one before."""
    entries = manifest.get(kind)
    found: dict[str, Target] = {}
    for entry in entries if isinstance(entries, list) else []:
        stem = _text(table(entry).get("name"))
        if not stem:
            continue
        own = table(entry).get("path")
        guesses = [own] if isinstance(own, str) else [f"{folder}/{stem}.rs", f"{folder}/{stem}/main.rs", "src/main.rs"]
        path = next((joined for guess in guesses if (joined := _join(directory, guess)) in tree), "")
        if path:
            required = tuple(texts(table(entry).get("required-features", [])))
            found[stem] = Target(kind, stem, path, table(entry).get("harness") is not False, required, declared=True)
    yield from found.values()


def _discovered(tree: Tree, prefix: str, kind: str, folder: str, name: str) -> Iterator[tuple[str, str]]:
    """Names and paths of what cargo finds without being told."""
    if kind == "bin" and f"{prefix}src/main.rs" in tree:
        yield name, f"{prefix}src/main.rs"
    for below in tree.below(f"{prefix}{folder}"):
        if match := re.fullmatch(r"([^/]+)\.rs|([^/]+)/main\.rs", below):
            yield match[1] or match[2], f"{prefix}{folder}/{below}"


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
