"""What has to be built before tests run: siblings that are used through their build, and the package itself where its tests are.

A file that a package's entries name and that is not in the repository is made by its build; so is one that is, where its directory
is one of output alone, or has a source of the same name beside it: without a new build, tests would miss the fix. Whether tests use
the build of their own package is told by what they import: such a path, or the package's own name or directory.
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

__all__ = ["BUILT", "Build", "build_script", "builds_before", "package_build", "sibling_builds", "uses_build"]

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
_OUTPUT: Final = BUILT - {"lib", "build", "out", "bin"}
"""Directories that nobody writes sources into."""
_SETTINGS: Final = re.compile(
    r"(vitest|vite|jest|babel)([.-][\w-]+)*\.(config|workspace|preset)\.|\.?babelrc|babel\.config\.|\.swcrc|jest\.json$"
)
_CODE: Final = re.compile(r"\.[cm]?[jt]sx?$")
_MAX_FILES: Final = 300
_MAX_SETTINGS: Final = 100_000
_MAX_SIBLINGS: Final = 40


@dataclass(frozen=True, slots=True)
class Build:
    """One shell line in one directory."""

    directory: str
    line: str
    kept: tuple[str, ...] = ()
    """Committed directories below it that it makes anew. It runs before tests alone, so that the image has them as base has, and they
    stay where it fails."""


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


def _made_entry(package: Manifest, tree: Tree) -> bool:
    """Whether what those who import a package get is made by its build."""
    found = [_resolved(entry, package.directory, tree) for entry in package.runtime_entries]
    there = [path for path in found if path is not None]
    return _is_output(there[0], package, tree) if there else bool(found)


def _resolved(path: str, directory: str, tree: Tree) -> str | None:
    """The file of the repository that `path` leads to."""
    target = normal(path, directory)
    return next((f"{target}{end}" for end in _ENDINGS if f"{target}{end}" in tree), None) if target is not None else None


def _is_output(path: str, package: Manifest, tree: Tree) -> bool:
    """Whether a file of the repository is what a build of the package made."""
    inside = path.removeprefix(_prefix(package.directory))
    top, _, rest = inside.partition("/")
    if top not in BUILT or not rest or (inside == path and package.directory):
        return False
    stem = re.sub(r"\.\w+$", "", rest)
    return top in _OUTPUT or any(join(package.directory, f"src/{stem}{end}") in tree for end in _ENDINGS)


def _prefix(directory: str) -> str:
    return f"{directory}/" if directory else ""


def _committed(package: Manifest, tree: Tree, below: str) -> tuple[str, ...]:
    """Directories of what a build of the package made that are in the repository, as seen from `below`; none where its entries are
    not among that."""
    entries = package.runtime_entries
    if entries and all(_resolved(entry, package.directory, tree) is None for entry in entries):
        return ()
    start, skipped = _prefix(package.directory), len(_prefix(below))
    found = {path.partition("/")[0] for path in tree.below(package.directory) if _is_output(f"{start}{path}", package, tree)}
    return tuple(path for one in sorted(found) if not re.search(r"\s", path := f"{start}{one}"[skipped:]))


def package_build(package: Manifest, name: str, tree: Tree, manager: Manager) -> Build:
    """By the script of that name."""
    return Build(package.directory, manager.run(name), _committed(package, tree, package.directory))


def sibling_builds(workspace: Workspace, package: Manifest, tree: Tree, manager: Manager, manifests: Mapping[str, Manifest]) -> list[Build]:
    """Builds of the members that a package uses, in order. Where one of them has no script, that of the root."""
    found: list[Build] = []
    if "preconstruct dev" in " ".join(workspace.root.scripts.values()):
        return []  # which leads from each entry to its source
    siblings = [one for one in workspace.siblings(package) if one.directory != workspace.directory and _made_entry(one, tree)]
    settings = _settings(package, workspace.root, tree) if siblings else []
    made = [one for one in siblings if not _aliased(one.name, settings)]
    for one in made[:_MAX_SIBLINGS]:
        name = build_script(one, tree, manifests)
        if name:
            found.append(package_build(one, name, tree, manager))
    if len(found) < len(made) or len(made) > _MAX_SIBLINGS:
        name = build_script(workspace.root, tree, manifests)
        if name:
            kept = tuple(path for one in made for path in _committed(one, tree, workspace.directory))
            return [Build(workspace.directory, manager.run(name), kept)]
    return found


def _aliased(name: str, settings: Iterable[str]) -> bool:
    """Whether the settings of a test runner have a name as a key, or as what is to be found: it leads to a source."""
    key = rf"['\"^]{re.escape(name)}(?:[$/(][^'\"\n]{{0,40}})?['\"]\s*:|\bfind:\s*(?:['\"]|/\^?){re.escape(name)}['\"$/]"
    return bool(name) and any(re.search(key, text) for text in settings)


def _settings(package: Manifest, root: Manifest, tree: Tree) -> list[str]:
    """Texts of what test runners are told in the directories of both, and of files there that it imports."""
    found = [str(one.raw.get("jest", "")) for one in (package, root)]
    for directory in dict.fromkeys([package.directory, root.directory]):
        inside = {path for path in tree.below(directory) if "/" not in path}
        texts = [tree.read(join(directory, path)) or "" for path in sorted(inside) if _SETTINGS.match(path)]
        named = dict.fromkeys(name for text in texts for name in re.findall(r"from\s+['\"]\./([\w.-]{1,80})['\"]", text))
        beside = [f"{name}{end}" for name in named for end in _ENDINGS[:5] if f"{name}{end}" in inside]
        found += [*texts, *(tree.read(join(directory, path)) or "" for path in beside)]
    return [text[:_MAX_SETTINGS] for text in found]


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
    made = _made_entry(package, tree) and not _mapped(package, root, tree)
    for path in [one for one in tests if _CODE.search(one)][:_MAX_FILES]:
        text = tree.read(path)
        if text is None or len(text) > 500_000:
            continue
        directory = posixpath.dirname(path)
        for name in _IMPORT.findall(text):
            if name.startswith("."):
                if _is_built(name, directory, package, tree, made=made):
                    return True
            elif made and package.name and (name == package.name or name.startswith(f"{package.name}/")):
                return True
        if made and any(re.search(rf"['\"/]{re.escape(entry.removeprefix('./'))}['\"`]", text) for entry in package.runtime_entries[:10]):
            return True
    return False


def _is_built(name: str, directory: str, package: Manifest, tree: Tree, *, made: bool) -> bool:
    target = normal(name, directory)
    if target is None:
        return False
    if target == package.directory:
        return made
    there = _resolved(name, directory, tree)
    if there is not None:
        return _is_output(there, package, tree)
    inside = target.removeprefix(f"{package.directory}/") if package.directory else target
    if inside == target and package.directory:
        return False
    stem = re.sub(r"\.[cm]?jsx?$", "", target)
    if any(f"{stem}{end}" in tree for end in (".ts", ".tsx", ".mts", ".cts")):
        return False  # `./x.js` for `x.ts`
    return inside.partition("/")[0] in BUILT


def _builds(command: Command) -> bool:
    """Whether a program that can start a browser is told to build, which needs none."""
    return command.program in ("ng", "ember") and any(one.text in ("build", "b") for one in command.words[1:2])


def builds_before(commands: Sequence[Command], first: int, tree: Tree) -> list[Build]:
    """What runs before a test runner in its script, without what only checks."""
    found: list[Build] = []
    for one in commands[:first]:
        if is_check(one, tree) or delegated(one) or recognise(one, tree) is not None or (one.program in BROWSERS and not _builds(one)):
            continue
        found.append(Build(one.directory, one.shell))
    return list(dict.fromkeys(found))
