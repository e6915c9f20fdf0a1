"""Which version of Node a project is built with.

What a project pins (`.nvmrc` and its like, `volta`) goes first, then what its CI tests, then the long-term releases of the
commit's time: old tools break on later ones as often as new tools need them. `engines` bounds all of these. A present image of one of
those versions is taken as it is; on another one, the wanted Node is installed from npm's registry, which has them all.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from podgym.envs.build.catalogue import BaseImage, Catalogue, version_key
from podgym.envs.build.languages.node.layout import Workspace
from podgym.envs.build.languages.node.manifest import Manifest, join, parse_json, table
from podgym.envs.build.languages.node.semver import accepts_major, parse_version
from podgym.envs.build.tree import Tree

__all__ = ["ChosenNode", "choose_node"]

_LTS_SINCE: Final[tuple[tuple[int, date], ...]] = (
    (10, date(2018, 10, 30)), (12, date(2019, 10, 21)), (14, date(2020, 10, 27)), (16, date(2021, 10, 26)), (18, date(2022, 10, 25)),
    (20, date(2023, 10, 24)), (22, date(2024, 10, 29)), (24, date(2025, 10, 28)), (26, date(2026, 10, 27)),
)  # fmt: skip
_INSTALLABLE: Final = frozenset(range(6, 28, 2))
_OLDEST: Final = 10
"""Of what is chosen without need: much that is installed today runs on no older one."""
_MAINTAINED: Final = timedelta(days=910)
_NAMES: Final = {
    "argon": 4, "boron": 6, "carbon": 8, "dubnium": 10, "erbium": 12, "fermium": 14, "gallium": 16, "hydrogen": 18, "iron": 20,
    "jod": 22, "krypton": 24,
}  # fmt: skip
_TOOLS: Final = (
    "vitest", "vite", "jest", "mocha", "ava", "tap", "jasmine", "jsdom", "typescript", "tsup", "rollup", "esbuild", "unbuild", "execa",
    "undici", "tsx", "@vitejs/plugin-react", "tinypool", "rolldown", "tsdown", "c8", "nyc", "uvu", "babel-jest", "@angular/cli",
)  # fmt: skip
"""Whose own `engines` say on what the tests run at all."""
_PNPM_ENGINES: Final = re.compile(
    r"^  ['\"]?/?((?:@[\w.-]+/)?[\w.-]+)[@/]\d[^\n]*:\n    resolution:[^\n]*\n    engines: \{[^\n}]*node: ['\"]?([^'\"}\n]+)", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class ChosenNode:
    """An image, and the version of Node that runs on it."""

    image: BaseImage
    major: int
    """Such as 20."""
    why: str

    @property
    def installed(self) -> bool:
        """Whether it is another one than the image's own."""
        return version_key(self.image.version)[0] != self.major


@dataclass(frozen=True, slots=True)
class _Wanted:
    best: int
    others: frozenset[int]
    """As good, where one of them is at hand."""
    why: str


def choose_node(
    tree: Tree,
    workspace: Workspace,
    packages: Sequence[Manifest],
    *,
    catalogue: Catalogue,
    ci: Sequence[str],
    committed: datetime,
    asked: str,
    notes: list[str],
) -> ChosenNode | None:
    """The Node for some packages of a workspace; None where the catalogue has no image for any."""
    ranges = [one.engines["node"] for one in (workspace.root, *packages) if one.engines.get("node")]
    wanted = _wanted(tree, workspace, packages, ci=ci, ranges=ranges, committed=committed, asked=asked)
    bounds: Sequence[str] = () if asked else [*ranges, *_tool_ranges(tree, workspace)]
    known = sorted({version_key(image.version)[0] for image in catalogue.images if image.tool == "node"} | _INSTALLABLE | wanted.others)
    pool = _fitting(known, bounds) or _fitting(known, () if asked else ranges)
    if not pool:
        notes.append(f"no Node is known that {' and '.join(sorted(set(ranges)))[:200]} accepts")
        pool = known
    if not pool:
        return None
    best = wanted.best if wanted.best in pool else next((one for one in pool if one > wanted.best), pool[-1])
    why = wanted.why if best == wanted.best else f"{wanted.why}, {wanted.best}, is not to be had or not accepted"
    present = {version_key(image.version)[0] for image in catalogue.here("node")}
    at_hand = sorted(present & wanted.others & set(pool))
    if best not in present and at_hand:
        best, why = at_hand[-1], wanted.why
    image = catalogue.choose("node", lambda version: version_key(version)[0] == best)
    if image is None or (present and best not in present):
        image = catalogue.nearest("node", str(best))
    return None if image is None else ChosenNode(image, best, why)


def _fitting(majors: Sequence[int], bounds: Sequence[str]) -> list[int]:
    return [major for major in majors if all(accepts_major(one, major) for one in bounds)]


def _wanted(
    tree: Tree,
    workspace: Workspace,
    packages: Sequence[Manifest],
    *,
    ci: Sequence[str],
    ranges: Sequence[str],
    committed: datetime,
    asked: str,
) -> _Wanted:
    pinned, why = (_major(asked), "asked for") if asked else _pinned(tree, workspace, packages)
    if pinned:
        return _Wanted(int(pinned), frozenset({int(pinned)}), why)
    majors = {int(major) for version in ci if (major := _major(version.lstrip("^~>=< ")))}
    majors = {max(major, _OLDEST) for major in majors}
    tested = set(_fitting(sorted(majors), ranges)) or majors
    newest = _of_date(committed)
    if tested:
        even = {major for major in tested if major % 2 == 0}
        known = {major for major in even if major <= newest}
        return _Wanted(max(known or even or tested), frozenset(known or even or tested), "CI")
    maintained = frozenset(major for major, since in _LTS_SINCE if since <= committed.date() < since + _MAINTAINED)
    return _Wanted(newest, maintained | {newest}, "the long-term release of the commit's time")


def _pinned(tree: Tree, workspace: Workspace, packages: Sequence[Manifest]) -> tuple[str, str]:
    directories = list(dict.fromkeys([*(one.directory for one in packages), workspace.directory, ""]))
    for directory in directories:
        for name in (".nvmrc", ".node-version", ".tool-versions", "mise.toml", ".mise.toml"):
            text = tree.read(join(directory, name))
            if text is not None and (major := _in_file(name, text)):
                return major, join(directory, name)
    for one in (*packages, workspace.root):
        version = table(one.raw.get("volta")).get("node")
        if isinstance(version, str) and (major := _major(version)):
            return major, "volta"
        engine = table(table(one.raw.get("devEngines")).get("runtime"))
        if engine.get("name") == "node" and (major := _major(str(engine.get("version", "")).lstrip("^~>=v "))):
            return major, "devEngines"
    return "", ""


def _in_file(name: str, text: str) -> str:
    if name in (".nvmrc", ".node-version"):
        lines = [line.split("#")[0].strip() for line in text.splitlines()[:20]]
        return _major(next((line for line in lines if line), ""))
    match = re.search(r"^\s*\"?node(?:js)?\"?\s*(?:=\s*)?[\"'\s]\s*([\w./*-]+)", text, re.MULTILINE)
    return _major(match[1]) if match else ""


def _major(text: str) -> str:
    """The major version that a pin names; empty for `node`, `lts/*` and their like, which name the newest."""
    text = text.strip().lower()
    if text.startswith("lts/"):
        return str(_NAMES[text[4:]]) if text[4:] in _NAMES else _major(text[4:])
    parsed = parse_version(text)
    return str(parsed[0]) if parsed and parsed[0] else ""


def _of_date(committed: datetime) -> int:
    return max((major for major, since in _LTS_SINCE if since <= committed.date()), default=10)


def _tool_ranges(tree: Tree, workspace: Workspace) -> list[str]:
    """What the test and build tools in a lock file say of Node."""
    found = []
    for lock in ("package-lock.json", "npm-shrinkwrap.json"):
        packages = table(table(parse_json(tree.read(join(workspace.directory, lock)))).get("packages"))
        for name in _TOOLS:
            engines = table(table(packages.get(f"node_modules/{name}")).get("engines")).get("node")
            if isinstance(engines, str):
                found.append(engines)
    text = tree.read(join(workspace.directory, "pnpm-lock.yaml")) or ""
    used = {name for package in workspace.packages for name in package.dependencies() if name in _TOOLS}
    for match in _PNPM_ENGINES.finditer(text):
        if match[1] in used:
            found.append(match[2])
    return found
