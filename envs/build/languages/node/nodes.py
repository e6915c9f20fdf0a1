"""Which version of Node a project is built with.

What a project pins (`.nvmrc` and its like, `volta`) goes first, then what its CI tests, then the long-term release of the
commit's time: old tools break on later ones as often as new tools need them. `engines` bounds all of these.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
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
_NAMES: Final = {
    "argon": 4, "boron": 6, "carbon": 8, "dubnium": 10, "erbium": 12, "fermium": 14, "gallium": 16, "hydrogen": 18, "iron": 20,
    "jod": 22, "krypton": 24,
}  # fmt: skip
_TOOLS: Final = (
    "vitest", "vite", "jest", "mocha", "ava", "tap", "jasmine", "jsdom", "typescript", "tsup", "rollup", "esbuild", "unbuild", "execa",
    "undici", "tsx", "@vitejs/plugin-react", "tinypool", "rolldown", "tsdown", "c8", "nyc", "uvu", "babel-jest", "@angular/cli",
)  # fmt: skip
"""Whose own `engines` say on what the tests run at all."""


@dataclass(frozen=True, slots=True)
class ChosenNode:
    """An image, and why."""

    image: BaseImage
    why: str

    @property
    def major(self) -> int:
        """Such as 20."""
        return version_key(self.image.version)[0]


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
    """The image for some packages of a workspace; None where the catalogue has none at all."""
    if asked:
        image = catalogue.choose("node", lambda version: version == asked) or catalogue.nearest("node", asked)
        return ChosenNode(image, "asked for") if image else None
    ranges = [one.engines["node"] for one in (workspace.root, *packages) if one.engines.get("node")]
    tools = _tool_ranges(tree, workspace)
    wanted, why = _pinned(tree, workspace, packages)
    if not wanted:
        wanted, why = _of_ci(ci, ranges, committed)
    if not wanted:
        wanted, why = _of_date(committed), "the long-term release of the commit's time"

    def accepts(bounds: Sequence[str]) -> BaseImage | None:
        def fits(version: str) -> bool:
            return all(accepts_major(one, version_key(version)[0]) for one in bounds)

        return catalogue.choose("node", fits, prefer=wanted)

    image = accepts([*ranges, *tools]) or accepts(ranges)
    if image is None and ranges:
        notes.append(f"no image has a Node that {' and '.join(sorted(set(ranges)))[:200]} accepts")
    image = image or catalogue.nearest("node", wanted)
    if image is None:
        return None
    if version_key(image.version)[0] != version_key(wanted)[0]:
        why = f"{why}, {wanted}, is not to be had or not accepted"
    return ChosenNode(image, why)


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


def _of_ci(versions: Sequence[str], ranges: Sequence[str], committed: datetime) -> tuple[str, str]:
    """The newest even version that CI tests; of a later one than was out for long, the one of that time."""
    majors = {int(major) for version in versions if (major := _major(version.lstrip("^~>=< ")))}
    fits = {major for major in majors if all(accepts_major(one, major) for one in ranges)} or majors
    even = [major for major in fits if major % 2 == 0]
    if not fits:
        return "", ""
    known = [major for major in even if major <= int(_of_date(committed))]
    return str(max(known or even or fits)), "CI"


def _of_date(committed: datetime) -> str:
    day = committed.date()
    return str(max((major for major, since in _LTS_SINCE if since <= day), default=10))


def _tool_ranges(tree: Tree, workspace: Workspace) -> list[str]:
    """What the test and build tools in an npm lock file say of Node."""
    packages: dict[str, object] = {}
    for lock in ("package-lock.json", "npm-shrinkwrap.json"):
        path = join(workspace.directory, lock)
        if path in tree:
            packages = table(table(parse_json(tree.read(path))).get("packages"))
    found = []
    for name in _TOOLS:
        engines = table(table(packages.get(f"node_modules/{name}")).get("engines")).get("node")
        if isinstance(engines, str):
            found.append(engines)
    return found
