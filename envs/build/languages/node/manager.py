"""Which package manager a workspace is installed with, in which version, and what reads its lock file.

The `packageManager` field names one; else the lock file does, and of several lock files the one whose manager CI calls.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from podgym.envs.build.languages.node.layout import Workspace, read_yaml
from podgym.envs.build.languages.node.manifest import join, table
from podgym.envs.build.languages.node.semver import accepts, parse_version
from podgym.envs.build.tree import Tree

__all__ = ["Manager", "Name", "choose_manager"]

Name = Literal["npm", "yarn", "pnpm", "bun"]

_LOCKS: Final[tuple[tuple[str, Name], ...]] = (
    ("pnpm-lock.yaml", "pnpm"),
    ("yarn.lock", "yarn"),
    ("bun.lock", "bun"),
    ("bun.lockb", "bun"),
    ("npm-shrinkwrap.json", "npm"),
    ("package-lock.json", "npm"),
)
_FIELD: Final = re.compile(r"(npm|yarn|pnpm|bun)(?:@(\d[\w.-]{0,60}))?(?:\+.*)?")
_CALLS: Final[dict[Name, str]] = {
    "npm": r"\bnpm\s+(ci|install|i)\b",
    "yarn": r"\byarn\b(?!\s+dlx)",
    "pnpm": r"\bpnpm\b",
    "bun": r"\bbun\s+(install|i|ci)\b",
}
_PNPM_OF_LOCK: Final = (("9.", "9"), ("6.", "8"), ("5.4", "7"), ("5.3", "6"), ("5.", "5"))
_PNPM_10: Final = datetime(2025, 1, 8)
_PNPM_NEEDS: Final = (
    (12, (18, 0, 0)), (11, (22, 13, 0)), (10, (18, 12, 0)), (9, (18, 12, 0)), (8, (16, 14, 0)), (7, (14, 6, 0)), (6, (12, 17, 0)),
    (5, (10, 16, 0)),
)  # fmt: skip
_PNPM_ON_20: Final = ((8, 4, 0), (7, 33, 0))
"""Of two major versions the first that work on Node 20; no older major one does."""
_YARN_NEEDS: Final = ((4, (18, 12, 0)), (3, (12, 0, 0)))
_YARN_OF_LOCK: Final = (("8", "4"), ("7", "4"), ("6", "3"), ("5", "3"))


@dataclass(frozen=True, slots=True)
class Manager:
    """One package manager for one workspace."""

    name: Name
    version: str = ""
    """What to ask npm's registry for, `10` as well as `10.4.1`; empty for what the image has."""
    lock: str = ""
    """Path of its lock file; empty where there is none."""
    why: str = ""

    @property
    def berry(self) -> bool:
        """Yarn 2 and later."""
        return self.name == "yarn" and not self.version.startswith(("1", "0"))

    @property
    def major(self) -> int:
        """0 where the version is not stated."""
        match = re.match(r"\d{1,9}", self.version)
        return int(match[0]) if match else 0

    @property
    def package(self) -> str:
        """Under which it is published; empty for npm as the image has it."""
        if self.name == "npm" or not self.version:
            return ""
        return f"{'@yarnpkg/cli-dist' if self.berry else self.name}@{self.version}"

    def run(self, script: str) -> str:
        """Shell that runs a script of the package in the current directory."""
        return f"{self.name} run {script}"


def choose_manager(
    tree: Tree, workspace: Workspace, *, node: int, committed: datetime, commands: Sequence[str], versions: Sequence[str], notes: list[str]
) -> Manager:
    """The manager of a workspace that runs on a major version of Node. `commands` are those of CI, `versions` CI's of pnpm."""
    locks = {name: path for lock, name in reversed(_LOCKS) if (path := join(workspace.directory, lock)) in tree}
    named, version = _named(workspace)
    if len(locks) > 1:
        notes.append(f"several lock files: {', '.join(sorted(locks.values()))}")
    if named is not None and (named in locks or not locks):
        name, why = named, "packageManager"
    elif locks:
        name, why = _called(locks, commands), "lock file"
        version = version if name == named else ""
    else:
        name, why = _without_lock(tree, workspace), "no lock file"
        version = ""
    lock = locks.get(name, "")
    match name:
        case "pnpm":
            version = version or _pnpm(tree.read(lock) if lock else None, workspace, versions, committed)
            version = _held(version, _PNPM_NEEDS, node, "pnpm", notes)
            version = _on_20(version) if node >= 20 else version
        case "yarn":
            version = _held(version or _yarn(tree, workspace, lock), _YARN_NEEDS, node, "yarn", notes)
        case "bun":
            version = version or "1"
        case _:
            version = _npm(tree.read(lock) if lock else None, workspace, node)
    return Manager(name, version, lock, why)


def _named(workspace: Workspace) -> tuple[Name | None, str]:
    field = workspace.root.raw.get("packageManager")
    if not isinstance(field, str):
        engine = table(table(workspace.root.raw.get("devEngines")).get("packageManager"))
        field = engine.get("name")
        wanted = engine.get("version")
        exact = isinstance(wanted, str) and re.fullmatch(r"[\^~]?\d+(\.\d+)*", wanted)
        field = f"{field}@{str(wanted).lstrip('^~')}" if exact else field
    match = _FIELD.fullmatch(field.strip()) if isinstance(field, str) else None
    if match is None:
        return None, ""
    return next(name for name in _CALLS if name == match[1]), match[2] or ""


def _called(locks: dict[Name, str], commands: Sequence[str]) -> Name:
    if len(locks) == 1:
        return next(iter(locks))
    text = "\n".join(commands)
    called = [name for name in locks if re.search(_CALLS[name], text)]
    pool = called or list(locks)
    return next(name for _, name in _LOCKS if name in pool)


def _without_lock(tree: Tree, workspace: Workspace) -> Name:
    """npm, unless the packages name each other in a way that only others read."""
    if join(workspace.directory, "pnpm-workspace.yaml") in tree:
        return "pnpm"
    if join(workspace.directory, ".yarnrc.yml") in tree:
        return "yarn"
    own = any(wanted.startswith("workspace:") for package in workspace.packages for wanted in package.dependencies().values())
    return "pnpm" if own else "npm"


def _pnpm(lock: str | None, workspace: Workspace, versions: Sequence[str], committed: datetime) -> str:
    match = re.search(r"^lockfileVersion:\s*['\"]?([\d.]+)", lock or "", re.MULTILINE)
    reads = f"{match[1]}." if match else ""
    major = next((major for prefix, major in _PNPM_OF_LOCK if reads.startswith(prefix)), "") if match else ""
    stated = next(
        (version for one in versions if (version := one.strip().lstrip("^~v")) and re.fullmatch(r"\d{1,9}(\.\d{1,9})*", version)), ""
    )
    if stated and (not major or _reads(stated, major)):
        return stated
    if major and major != "9":
        return major
    later = committed.replace(tzinfo=None) >= _PNPM_10
    wanted = workspace.root.engines.get("pnpm", "")
    pool = ("10", "9", "11") if later else ("9", "10", "8")
    fits = (one for one in pool if not wanted or accepts(wanted, (int(one), 999, 0)) or accepts(wanted, (int(one), 0, 0)))
    return next(fits, "10" if later else "9")


def _npm(lock: str | None, workspace: Workspace, node: int) -> str:
    """A newer one than the image has, for workspaces and lock files that it does not know; empty where it does."""
    newer = bool(workspace.members) or re.search(r'"lockfileVersion":\s*[23]', (lock or "")[:2000]) is not None
    return "8" if newer and 12 <= node < 16 else ""


def _reads(version: str, major: str) -> bool:
    """Whether a version of pnpm reads the lock files of a major one."""
    own = int(version.split(".", maxsplit=1)[0])
    return own >= 9 if major == "9" else own == int(major)


def _yarn(tree: Tree, workspace: Workspace, lock: str) -> str:
    settings = table(read_yaml(tree.read(join(workspace.directory, ".yarnrc.yml"))))
    path = settings.get("yarnPath")
    if isinstance(path, str) and (match := re.search(r"yarn-(\d+\.\d+\.\d+)\.c?js$", path)):
        return match[1]
    text = (tree.read(lock) or "") if lock else ""
    if match := re.search(r"^__metadata:\s*\n\s+version:\s*(\d{1,9})", text, re.MULTILINE):
        return next((version for number, version in _YARN_OF_LOCK if match[1] == number), "3" if int(match[1]) < 5 else "4")
    return "4" if settings and not text else "1"


def _on_20(version: str) -> str:
    parsed = parse_version(version)
    if parsed is None or parsed >= _PNPM_ON_20[0]:
        return version
    if "." not in version and parsed[0] >= 7:
        return version  # the newest of a major one
    return "8" if parsed[0] == 8 else version if parsed >= _PNPM_ON_20[1] else "7"


def _held(version: str, needs: Sequence[tuple[int, tuple[int, int, int]]], node: int, name: str, notes: list[str]) -> str:
    """`version`, or the newest major one that runs on this Node."""
    parsed = parse_version(version)
    if parsed is None:
        return version
    needed = next((least for major, least in needs if parsed[0] >= major), (0, 0, 0))
    if (node, 999, 0) >= needed:
        return version
    fits = [major for major, least in needs if (node, 999, 0) >= least and major < parsed[0]]
    if not fits:
        return version
    notes.append(f"{name} {version} does not run on Node {node}; {name} {fits[0]} is used")
    return str(fits[0])
