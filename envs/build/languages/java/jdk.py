"""Which JDK a project is built and tested with, of those that can be had.

A JDK compiles for older releases, so the newest level that any module asks for is the least one; `javac` drops the oldest levels, and
each Gradle runs on JDKs up to a certain one, so there is a most one too. Between them what the project pins, then what its CI uses,
then the level itself decides. Where only JDKs are there whose compiler has dropped a level, the oldest of them is taken, and a compiler
that raises levels (see `tools`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from podgym.envs.build.catalogue import BaseImage, Catalogue
from podgym.envs.build.errors import BuildError
from podgym.envs.build.tree import Tree

__all__ = ["JavaNeeds", "Jdk", "choose_jdk", "major", "pinned_java"]

_FLOORS: Final = ((5, 8), (6, 11), (7, 19))
"""The last JDK whose compiler still takes a language level."""
_NEWEST: Final = 99
_TIMES: Final = ((2018, 8), (2021, 11), (2023, 17))
"""What projects that say nothing were built with, before a year's end."""


def major(text: str) -> int | None:
    """`8` of `1.8`, `8.0.302-open` or `zulu-8.56`; `17` of `17`, `17.0.9-tem`, `temurin-17.0.5+8`, `VERSION_17`; None of anything else."""
    piece = next((part for part in re.split(r"[-@=\s_]+", text.strip()) if part[:1].isdigit()), "")
    match = re.match(r"(?:1\.(?=\d(?!\d)))?(\d{1,2})(?!\d)", piece)
    number = int(match[1]) if match else 0
    return number if 1 < number < _NEWEST else None


@dataclass(frozen=True, slots=True)
class JavaNeeds:
    """What a project's files say."""

    levels: tuple[int, ...] = ()
    """Language levels of the modules that are built, main and test."""
    least: int = 0
    """An older JDK does not do: an enforcer, or the build tool itself."""
    most: int = _NEWEST
    """A newer JDK does not do: of the build tool itself."""
    pinned: int | None = None
    pinned_by: str = ""
    ci: tuple[int, ...] = ()
    notes: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Jdk:
    """The choice."""

    image: BaseImage
    why: str
    wanted: int
    """What it would be if all could be had."""
    notes: tuple[str, ...] = ()

    @property
    def version(self) -> int:
        """Of the image's JDK."""
        return major(self.image.version) or 0


def choose_jdk(needs: JavaNeeds, catalogue: Catalogue, *, committed: datetime, asked: str = "") -> Jdk:
    """Raises `BuildError` (no_toolchain) where the catalogue has no JDK at all."""
    stated = [level for level in needs.levels if 1 < level < _NEWEST]
    least = max([needs.least, *stated])
    ceiling = min([needs.most, *(last for level, last in _FLOORS if any(one <= level for one in stated))])
    notes = list(needs.notes)
    if asked:
        wanted, why = major(asked) or 0, "asked for"
    else:
        wanted, why = _wanted(needs, least, committed)

    def accepts(version: str) -> bool:
        number = major(version) or 0
        return number == wanted if asked else least <= number <= max(ceiling, least)

    image = catalogue.choose("java", accepts, prefer=str(wanted))
    if not asked and image not in (here := catalogue.here("java")):
        # A newer JDK that is there does too, with a compiler that raises old levels.
        later = [one for one in here if least <= (major(one.version) or 0) <= needs.most]
        image = later[0] if later else image
    if image is None:
        image = catalogue.nearest("java", str(max(wanted, least) if wanted <= ceiling else wanted))
        if image is None:
            raise BuildError(
                "No base image with a JDK can be had.",
                stage="plan",
                reason="no_toolchain",
                remedy="Name a mirror that has one, or pull `maven:3-eclipse-temurin-17`.",
            )
        notes.append(f"no base image with a JDK of {least} to {ceiling if ceiling < _NEWEST else 'the newest'}: taking {image.name}")
    other = "" if major(image.version) == wanted else f" ({wanted}; {image.version} is there)"
    return Jdk(image, why + other, wanted, tuple(notes))


def _wanted(needs: JavaNeeds, least: int, committed: datetime) -> tuple[int, str]:
    if needs.pinned is not None and needs.pinned >= least:
        return needs.pinned, needs.pinned_by
    usable = sorted(version for version in needs.ci if least <= version <= needs.most)
    if usable:
        return usable[0], f"the oldest of CI's ({', '.join(map(str, sorted(set(needs.ci))))}) that does"
    if least:
        return least, "the newest language level of its modules" if least in needs.levels else "the least that its build takes"
    return next((version for year, version in _TIMES if committed.year <= year), 21), "its files say nothing: usual at its time"


def pinned_java(tree: Tree, directories: Iterable[str]) -> tuple[int, str] | None:
    """The version that a version manager's file pins, nearest directory first, and that file."""
    for directory in directories:
        prefix = f"{directory}/" if directory else ""
        for name, pattern in (
            (".sdkmanrc", r"^\s*java\s*=\s*(\S+)"),
            (".java-version", r"^\s*(\S+)"),
            (".tool-versions", r"^\s*java\s+(\S+)"),
            ("mise.toml", r"^\s*java\s*=\s*[\"']([^\"']+)"),
            (".mise.toml", r"^\s*java\s*=\s*[\"']([^\"']+)"),
            ("system.properties", r"^\s*java\.runtime\.version\s*=\s*(\S+)"),
        ):
            match = re.search(pattern, tree.read(f"{prefix}{name}") or "", re.MULTILINE)
            version = major(match[1]) if match else None
            if version is not None:
                return version, f"{prefix}{name}"
    return None
