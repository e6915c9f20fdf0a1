"""The packages of a repository: which belong to one workspace, which one a file belongs to, and which siblings it uses.

A workspace is what npm, yarn and bun name in `workspaces`, pnpm in `pnpm-workspace.yaml`, and lerna in `lerna.json`; nx and turbo
work on top of one of these. A `package.json` that no workspace names is a package where it has scripts or a lock file of its
own; one among tests, fixtures or examples is data.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Final

import yaml

from podgym.envs.build.languages.node.manifest import Manifest, join, normal, parse_json, read_manifest, table
from podgym.envs.build.tree import Tree
from podgym.verifiers.paths import PathGlobs

__all__ = ["LOCKS", "Layout", "Workspace", "read_yaml"]

LOCKS: Final = ("pnpm-lock.yaml", "yarn.lock", "bun.lock", "bun.lockb", "package-lock.json", "npm-shrinkwrap.json")
_DATA: Final = re.compile(
    r"(^|/)(node_modules|fixtures?|__fixtures__|__testfixtures__|__mocks__|test[-_]?data|test|tests|__tests__|templates?|examples?|\.git)(/|$)"
)
_MAX_PACKAGES: Final = 2000


def read_yaml(text: str | None) -> object:
    """A YAML document; None where there is none or it cannot be read."""
    if text is None or len(text) > 1 << 20:
        return None
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError, LookupError, AttributeError, TypeError):  # of odd explicit tags
        return None


def _globs(value: object) -> tuple[str, ...]:
    return tuple(one for one in value if isinstance(one, str) and len(one) < 1000) if isinstance(value, list) else ()


def _braces(glob: str) -> list[str]:
    match = re.search(r"\{([^{}]*)\}", glob)
    groups = glob.count("{")
    if match is None or groups > 4 or (groups > 1 and glob.count(",") > 24):
        return [glob]
    return [one for part in match[1].split(",") for one in _braces(glob[: match.start()] + part + glob[match.end() :])]


class Workspace:
    """A directory in which one installation is made, and the packages that it is made for."""

    def __init__(self, root: Manifest, members: Mapping[str, Manifest], kind: str) -> None:
        self.root = root
        self.members = members
        """By directory, without the root."""
        self.kind = kind
        """`npm` (and yarn and bun), `pnpm`, `lerna`; empty for a package alone."""

    @property
    def directory(self) -> str:
        """Of the root."""
        return self.root.directory

    @property
    def packages(self) -> tuple[Manifest, ...]:
        """The root and the members."""
        return (self.root, *self.members.values())

    @cached_property
    def _named(self) -> dict[str, Manifest]:
        return {package.name: package for package in self.packages if package.name}

    def siblings(self, package: Manifest) -> tuple[Manifest, ...]:
        """The members that a package uses, through others too, each after those that it uses itself."""
        order: dict[str, Manifest] = {}
        visiting: set[str] = {package.directory}

        def visit(one: Manifest) -> None:
            for name in one.dependencies():
                used = self._named.get(name)
                if used is None or used.directory in visiting or used.directory in order:
                    continue
                if len(visiting) > 100:
                    continue
                visiting.add(used.directory)
                visit(used)
                visiting.discard(used.directory)
                order[used.directory] = used

        visit(package)
        return tuple(order.values())


class Layout:
    """All packages of one tree."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.notes: list[str] = []
        directories = [path.rpartition("/")[0] for path in tree.named("package.json") if "node_modules/" not in path]
        if len(directories) > _MAX_PACKAGES:
            self.notes.append(f"only {_MAX_PACKAGES} of {len(directories)} package.json files were read")
        self._directories = directories[:_MAX_PACKAGES]
        self._known = frozenset(self._directories)
        self._manifests: dict[str, Manifest] = {}
        self._workspaces: dict[str, Workspace] = {}

    def manifest(self, directory: str) -> Manifest | None:
        """The package in a directory."""
        if directory not in self._known:
            return None
        if directory not in self._manifests:
            self._manifests[directory] = read_manifest(self.tree, directory, self.notes) or Manifest(directory)
        return self._manifests[directory]

    @cached_property
    def _roots(self) -> tuple[Workspace, ...]:
        """Real workspaces, outermost first."""
        found = []
        for directory in self._directories:
            patterns, kind = self._patterns(directory)
            if patterns and not _DATA.search(directory):
                found.append(self._workspace(directory, patterns, kind))
        return tuple(found)

    def _patterns(self, directory: str) -> tuple[tuple[str, ...], str]:
        pnpm = table(read_yaml(self.tree.read(join(directory, "pnpm-workspace.yaml"))))
        if globs := _globs(pnpm.get("packages")):
            return globs, "pnpm"
        manifest = self.manifest(directory)
        if manifest is not None and manifest.workspaces:
            return manifest.workspaces, "npm"
        path = join(directory, "lerna.json")
        if path in self.tree:
            lerna = table(parse_json(self.tree.read(path)))
            return _globs(lerna.get("packages")) or ("packages/*",), "lerna"
        return (), ""

    def _workspace(self, directory: str, patterns: Iterable[str], kind: str) -> Workspace:
        wanted: list[str] = []
        unwanted: list[str] = []
        for pattern in patterns:
            for one in _braces(pattern.removeprefix("!")):
                path = normal(one)
                if path:
                    (unwanted if pattern.startswith("!") else wanted).append(f"/{path}")
        inside, outside = PathGlobs(wanted), PathGlobs(unwanted)
        members: dict[str, Manifest] = {}
        prefix = f"{directory}/" if directory else ""
        for below in self._directories:
            relative = below.removeprefix(prefix)
            if below != directory and below.startswith(prefix) and relative in inside and relative not in outside:
                member = self.manifest(below)
                if member is not None:
                    members[below] = member
        root = self.manifest(directory) or Manifest(directory)
        return Workspace(root, members, kind)

    def workspace_of(self, directory: str) -> Workspace:
        """Where a package is installed: the innermost workspace that it is a member or the root of, else alone."""
        found = [one for one in self._roots if directory == one.directory or directory in one.members]
        if found:
            return found[-1]
        if directory not in self._workspaces:
            self._workspaces[directory] = Workspace(self.manifest(directory) or Manifest(directory), {}, "")
        return self._workspaces[directory]

    def package_of(self, path: str) -> Manifest | None:
        """The innermost package that a file belongs to; None where the repository has no `package.json` above it."""
        directory = path
        while directory:
            directory = directory.rpartition("/")[0]
            manifest = self.manifest(directory)
            if manifest is not None and self._is_package(manifest):
                return manifest
        return None

    def _is_package(self, manifest: Manifest) -> bool:
        directory = manifest.directory
        if not directory or any(directory in root.members or directory == root.directory for root in self._roots):
            return True
        if _DATA.search(directory):
            return False
        locked = any(join(directory, lock) in self.tree for lock in LOCKS)
        return locked or bool(manifest.scripts) or bool(manifest.dependencies("devDependencies"))
