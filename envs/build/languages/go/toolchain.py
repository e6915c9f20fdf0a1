"""Which Go compiles a repository of some date. Newer releases take older code, so what go.mod names is the least that will do;
what no image has can be fetched as a module.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

from podgym.envs.build.catalogue import BaseImage, Catalogue, version_key
from podgym.envs.build.errors import BuildError
from podgym.envs.build.languages.go.gomod import GoMod, least_go
from podgym.envs.build.tree import Tree

__all__ = ["Choice", "choose_go", "needed", "pinned_go", "released_by"]

_FILES: Final = (
    (".go-version", r"^[ \t]*(?:go)?(\d+\.\d+(?:\.\d+)?)[ \t\r]*$"),
    (".tool-versions", r"^[ \t]*(?:golang|go)[ \t]+(\d+\.\d+(?:\.\d+)?)\b"),
    ("mise.toml", r"^[ \t]*[\"']?(?:core:)?go[\"']?[ \t]*=[ \t]*[\"'](\d+\.\d+(?:\.\d+)?)[\"']"),
    (".mise.toml", r"^[ \t]*[\"']?(?:core:)?go[\"']?[ \t]*=[ \t]*[\"'](\d+\.\d+(?:\.\d+)?)[\"']"),
)
"""Of version managers."""
_MAX_TEXT: Final = 20_000
_FIRST: Final = (2012, 1)
"""Go 1.0 is of March 2012; since 1.5 of August 2015 there is a release each February and August."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The image, and why."""

    image: BaseImage
    why: str
    older: str = ""
    """The minor version that would be better, where the image has a newer one."""


def released_by(day: date) -> str:
    """The newest Go of a day."""
    half_years = (day.year - 2015) * 2 + (1 if day.month >= 9 else 0 if day.month >= 3 else -1)
    return f"1.{max(4, 4 + half_years)}"


def needed(files: Iterable[GoMod]) -> str:
    """The release without which go.mod is refused, such as `go1.22.3`; empty where any will do."""
    least = least_go(files)
    parts = version_key(least)
    if parts < (1, 21) or not re.fullmatch(r"\d+\.\d+(\.\d+|rc\d+)?", least):
        return ""
    return f"go{least}" if len(parts) > 2 else f"go{least}.0"


def pinned_go(tree: Tree, directories: Iterable[str]) -> str:
    """The version that a version manager's file pins, in the first of `directories` that has one, or at the top; empty without."""
    for directory in dict.fromkeys((*directories, "")):
        for name, pattern in _FILES:
            text = tree.read(f"{directory}/{name}" if directory else name) or ""
            if match := re.search(pattern, text[:_MAX_TEXT], re.MULTILINE):
                return match[1]
    return ""


def choose_go(
    files: Iterable[GoMod], ci: Iterable[str], *, committed: datetime, asked: str, stated: str = "", catalogue: Catalogue
) -> Choice:
    """`stated` is what a version manager's file says. Where no image is new enough it is the newest, and the build adds what is needed.

    Raises `BuildError` (no_toolchain) where there is none at all.
    """
    files = list(files)
    least = asked or least_go(files)
    pinned = max((file.toolchain for file in files if re.match(r"\d+\.\d+", file.toolchain)), key=version_key, default="")
    by = "the toolchain line of go.mod" if pinned else "a version manager's file"
    pinned = pinned or stated
    named = [version for version in ci if re.fullmatch(r"\d+\.\d+(\.[\dx]+)?", version) and version_key(version) >= version_key(least)[:2]]
    if asked:
        best, why = asked, "asked for"
    elif pinned:
        best, why = pinned, by
    elif named:
        best, why = max(named, key=version_key), "the newest version that CI names"
    else:
        best, why = released_by(committed.astimezone(UTC).date()), "the newest version at the commit's date"
    if version_key(best)[:2] < version_key(least)[:2]:
        best, why = least, "the go line of go.mod"
    prefer = ".".join(map(str, version_key(best)[:2]))
    image = catalogue.choose("go", lambda version: version_key(version) >= version_key(least)[:2], prefer=prefer)
    image = image or catalogue.nearest("go", prefer)
    if image is None:
        raise BuildError(
            "There is no base image with Go.", stage="plan", reason="no_toolchain", remedy="Add one to the catalogue, or let it be pulled."
        )
    if version_key(image.version)[:2] != version_key(best)[:2]:
        why = f"the nearest image to {prefer}, {why}"
    newer = version_key(image.version)[:2] > version_key(best)[:2]
    return Choice(image, why, prefer if newer else "")
