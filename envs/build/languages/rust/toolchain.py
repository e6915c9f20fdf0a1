"""Which Rust compiles a repository of some date, by rust-toolchain files, `rust-version`, editions and the lock file's format.

A newer compiler takes older code, so what the files name is the least that will do; the best is the one that its authors had. Rust
appears every six weeks, which tells the stable version of any day. Code for a nightly compiler is given the stable one that this
nightly became, with the unstable features allowed.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from podgym.envs.build.catalogue import BaseImage, Catalogue, version_key
from podgym.envs.build.errors import BuildError
from podgym.envs.build.languages.rust.manifest import Cargo, Package, table
from podgym.envs.build.tree import Tree

__all__ = ["Toolchain", "choose_toolchain", "stable_on"]

_FIRST: Final = date(2015, 5, 14)
_CYCLE: Final = timedelta(days=42)
_EDITIONS: Final = {"2018": "1.31", "2021": "1.56", "2024": "1.85"}
_LOCKS: Final = {"3": "1.53", "4": "1.78"}
_UNSTABLE: Final = re.compile(r"^\s*#!\[feature\(", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Toolchain:
    """The image, and why."""

    image: BaseImage
    why: str
    unstable: bool = False
    """Features of nightly compilers are used."""
    newer: bool = False
    """The compiler is newer than the code, so that its warnings may be new too."""
    outdated: bool = False
    """The project asks for a newer one than there is."""


def stable_on(day: date) -> str:
    """The stable version of a day."""
    return f"1.{max(0, (day - _FIRST) // _CYCLE)}"


def choose_toolchain(
    trees: Iterable[Tree], packages: Iterable[Package], root: str, *, committed: datetime, asked: str, catalogue: Catalogue
) -> Toolchain:
    """The image; where none is new enough the newest, because most code compiles all the same.

    Raises `BuildError` (no_toolchain) where there is none, or none of the version that was asked for.
    """
    trees, packages = list(trees), list(packages)
    day = committed.astimezone(UTC).date()
    channel = next((found for tree in trees if (found := _channel(tree, root))), "")
    least, why_least = _least(trees, packages, root)
    unstable = channel.startswith(("nightly", "dev")) or any(
        _UNSTABLE.search(tree.read(target.path) or "")
        for tree in trees
        for package in packages
        for target in package.targets
        if target.kind not in ("bench", "example")
    )
    best, why = stable_on(day), "the stable version of the commit's date"
    if asked:
        best, why = asked, "asked for"
    elif re.match(r"\d+\.\d+", channel):
        best, why = channel, "pinned by rust-toolchain"
    elif channel.startswith("nightly"):
        match = re.fullmatch(r"nightly-(\d{4})-(\d\d)-(\d\d)", channel)
        best, why = _became(_day(match.groups(), day) if match else day), f"what {channel} became"
    if not asked and version_key(least) > version_key(best):
        best, why = least, why_least
    image = catalogue.choose("rust", lambda version: version_key(version) >= version_key(asked or least)[:2], prefer=_minor(best))
    outdated = image is None and not asked
    image = image or (catalogue.nearest("rust", best) if outdated else None)
    if image is None:
        raise BuildError(
            f"There is no base image with Rust {best} or newer.",
            stage="plan",
            reason="no_toolchain",
            remedy="Add an image to the catalogue, name a version with --toolchain, or choose an earlier commit.",
        )
    if version_key(image.version)[:2] != version_key(best)[:2]:
        why = f"the nearest image to {_minor(best)}, {why}"
    return Toolchain(image, why, unstable, version_key(image.version) > version_key(stable_on(day)), outdated)


def _minor(version: str) -> str:
    return ".".join(map(str, version_key(version)[:2]))


def _day(parts: Iterable[str], otherwise: date) -> date:
    try:
        year, month, day = map(int, parts)
        return date(year, month, day)
    except ValueError:
        return otherwise


def _became(day: date) -> str:
    """The version that a nightly compiler of a day became."""
    return f"1.{version_key(stable_on(day))[1] + 2}"


def _channel(tree: Tree, root: str) -> str:
    """That of the nearest rust-toolchain file at or above `root`."""
    directory = tree.nearest(f"{root}/x" if root else "x", "rust-toolchain", "rust-toolchain.toml")
    if directory is None:
        names = ("rust-toolchain", "rust-toolchain.toml")
        directory = "" if any(name in tree for name in names) else None
    if directory is None:
        return ""
    prefix = f"{directory}/" if directory else ""
    for name in ("rust-toolchain", "rust-toolchain.toml"):
        text = tree.read(f"{prefix}{name}")
        if text is None:
            continue
        try:
            channel = table(tomllib.loads(text), "toolchain").get("channel")
        except (ValueError, RecursionError):
            channel = text.strip()
        if isinstance(channel, str) and re.fullmatch(r"[\w.-]{1,60}", channel):
            return channel
    return ""


def _least(trees: Iterable[Tree], packages: Iterable[Package], root: str) -> tuple[str, str]:
    """The oldest version that the files allow, and what says so."""
    found = [("1.0", "any version will do")]
    for tree in trees:
        cargo = Cargo(tree)
        shared = table(cargo.manifest(root), "workspace", "package")
        for package in packages:
            settings = table(package.manifest, "package")
            for key, versions in (("rust-version", None), ("edition", _EDITIONS)):
                value = settings.get(key)
                if isinstance(value, dict):
                    value = shared.get(key)
                if isinstance(value, str | int | float):
                    version = versions.get(str(value), "") if versions is not None else str(value)
                    if re.match(r"\d+\.\d+", version):
                        found.append((version, f"{key} {value}"))
        lock = tree.read(f"{root}/Cargo.lock" if root else "Cargo.lock") or ""
        if (match := re.search(r"^version = (\d+)$", lock, re.MULTILINE)) and match[1] in _LOCKS:
            found.append((_LOCKS[match[1]], f"a lock file of format {match[1]}"))
    return max(found, key=lambda pair: version_key(pair[0]))
