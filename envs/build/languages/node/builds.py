"""What has to be built before tests run: siblings that are used through their build, and the package itself where its tests are.

A file that a package's entries name and that is not in the repository is made by its build. Whether tests use the build of their
own package is told by what they import: a path that is not in the repository, or the package's own name or directory.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from podgym.envs.build.languages.node.checks import is_check
from podgym.envs.build.languages.node.command import Command, delegated
from podgym.envs.build.languages.node.layout import Workspace
from podgym.envs.build.languages.node.manager import Manager
from podgym.envs.build.languages.node.manifest import Manifest, join, normal
from podgym.envs.build.languages.node.runners import BROWSERS, recognise
from podgym.envs.build.languages.node.scripts import Scripts
from podgym.envs.build.tree import Tree

__all__ = ["BUILT", "Build", "build_script", "builds_before", "sibling_builds", "uses_build"]

_SCRIPTS: Final = ("build", "compile", "build:lib", "build:all", "dist", "bundle", "transpile", "build:node", "tsc", "prepack", "prepare",
                   "prepublishOnly", "prepublish")  # fmt: skip
_HOOKS: Final = frozenset({"prepack", "prepare", "prepublishOnly", "prepublish"})
_ENDINGS: Final = ("", ".js", ".mjs", ".cjs", ".ts", ".mts", ".cts", ".tsx", ".jsx", ".json", ".node", ".d.ts", "/index.js", "/index.ts",
                   "/index.mjs", "/index.cjs", "/index.tsx", "/index.jsx", "/package.json")  # fmt: skip
_IMPORT: Final = re.compile(
    r"(?:\brequire(?:\.resolve)?\(\s*|\bfrom\s*|\bimport\s*\(?\s*|jest\.mock\(\s*|proxyquire\w*\(\s*)['\"]([^'\"\n]{1,300})['\"]"
)
BUILT: Final = frozenset({
    "dist", "lib", "build", "out", "es", "esm", "cjs", "umd", "output", "built", "_build", "bin", "dist-node", "compiled",
})  # fmt: skip
_SETTINGS: Final = re.compile(
    r"(vitest|vite|jest|babel)([.-][\w-]+)*\.(config|workspace|preset)\.|\.?babelrc|babel\.config\.|\.swcrc|jest\.json$"
)
_CODE: Final = re.compile(r"\.[cm]?[jt]sx?$")
_MAX_FILES: Final = 300
_MAX_SIBLINGS: Final = 40


@dataclass(frozen=True, slots=True)
class Build:
    """One shell line in one directory."""

    directory: str
    line: str


def build_script(package: Manifest, tree: Tree, manifests: Mapping[str, Manifest]) -> str:
    """Name of the script that builds a package; empty where it has none."""
    for name in _SCRIPTS:
        if name not in package.scripts:
            continue
        if name not in _HOOKS:
            return name
        commands = Scripts(tree, manifests).expand(package, name)
        if any(not is_check(one, tree) and recognise(one, tree) is None and one.program not in BROWSERS for one in commands):
            return name
    return ""


def _missing_entry(package: Manifest, tree: Tree) -> bool:
    """Whether what those who import a package get is not in the repository."""
    entries = package.runtime_entries
    return bool(entries) and not any(_resolves(entry, package.directory, tree) for entry in entries)


def _resolves(path: str, directory: str, tree: Tree) -> bool:
    target = normal(path, directory)
    return target is not None and any(f"{target}{end}" in tree for end in _ENDINGS)


def sibling_builds(workspace: Workspace, package: Manifest, tree: Tree, manager: Manager, manifests: Mapping[str, Manifest]) -> list[Build]:
    """Builds of the members that a package uses, in order. Where one of them has no script, that of the root."""
    found: list[Build] = []
    if "preconstruct dev" in " ".join(workspace.root.scripts.values()):
        return []  # which leads from each entry to its source
    missing = [one for one in workspace.siblings(package) if one.directory != workspace.directory and _missing_entry(one, tree)]
    for one in missing[:_MAX_SIBLINGS]:
        name = build_script(one, tree, manifests)
        if name:
            found.append(Build(one.directory, manager.run(name)))
    if len(found) < len(missing) or len(missing) > _MAX_SIBLINGS:
        name = build_script(workspace.root, tree, manifests)
        if name:
            return [Build(workspace.directory, manager.run(name))]
    return found


def _mapped(package: Manifest, root: Manifest, tree: Tree) -> bool:
    """Whether the settings of a test runner say where the package's own name leads."""
    if not package.name:
        return False
    texts = [str(one.raw.get("jest", "")) for one in (package, root)]
    for directory in dict.fromkeys([package.directory, root.directory]):
        inside = [path for path in tree.below(directory) if "/" not in path]
        texts += [tree.read(join(directory, path)) or "" for path in inside if _SETTINGS.match(path)]
        if any("tsconfigPaths" in text or "tsconfig-paths" in text or "pathsToModuleNameMapper" in text for text in texts):
            texts += [tree.read(join(directory, path)) or "" for path in inside if path.startswith("tsconfig")]
    return any(re.search(rf"['\"^/]{re.escape(package.name)}['\"$/(]", text) for text in texts)


def uses_build(package: Manifest, root: Manifest, tests: Iterable[str], tree: Tree) -> bool:
    """Whether tests of a package import what its build makes."""
    missing = _missing_entry(package, tree) and not _mapped(package, root, tree)
    for path in [one for one in tests if _CODE.search(one)][:_MAX_FILES]:
        text = tree.read(path)
        if text is None or len(text) > 500_000:
            continue
        directory = posixpath.dirname(path)
        for name in _IMPORT.findall(text):
            if name.startswith("."):
                if _is_built(name, directory, package, tree, missing=missing):
                    return True
            elif missing and package.name and (name == package.name or name.startswith(f"{package.name}/")):
                return True
        if missing and any(
            re.search(rf"['\"/]{re.escape(entry.removeprefix('./'))}['\"`]", text) for entry in package.runtime_entries[:10]
        ):
            return True
    return False


def _is_built(name: str, directory: str, package: Manifest, tree: Tree, *, missing: bool) -> bool:
    target = normal(name, directory)
    if target is None or _resolves(name, directory, tree):
        return False
    if target == package.directory:
        return missing
    inside = target.removeprefix(f"{package.directory}/") if package.directory else target
    if inside == target and package.directory:
        return False
    stem = re.sub(r"\.[cm]?jsx?$", "", target)
    if any(f"{stem}{end}" in tree for end in (".ts", ".tsx", ".mts", ".cts")):
        return False  # `./x.js` for `x.ts`
    return inside.partition("/")[0] in BUILT


def builds_before(commands: Sequence[Command], first: int, tree: Tree) -> list[Build]:
    """What runs before a test runner in its script, without what only checks."""
    found: list[Build] = []
    for one in commands[:first]:
        if is_check(one, tree) or delegated(one) or recognise(one, tree) is not None or one.program in BROWSERS:
            continue
        found.append(Build(one.directory, one.shell))
    return list(dict.fromkeys(found))
