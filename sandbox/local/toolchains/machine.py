"""All toolchains of this machine: the one that an image asks for, and the images that can be had."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from podgym.sandbox.errors import ImageError
from podgym.sandbox.local.pythons import find_pythons
from podgym.sandbox.local.toolchains.kinds import KINDS
from podgym.sandbox.local.toolchains.names import wanted_of
from podgym.sandbox.local.toolchains.native import read_release, system
from podgym.sandbox.local.toolchains.places import Places
from podgym.sandbox.local.toolchains.python import describe_python
from podgym.sandbox.local.toolchains.toolchain import Toolchain, accepts, combined, numbers

__all__ = ["Toolchains"]

_RELEASES: Final = ("bookworm", "bullseye")
"""Distributions that public images of a language's versions are named after."""
_AT_ONCE: Final = 8
"""Compilers of one language that are asked for their version at once."""


class Toolchains:
    """What is installed. Directories are listed when it is made; versions are asked for once, when they matter. Safe between threads."""

    def __init__(
        self, pythons: Mapping[str, str], directories: Iterable[tuple[str, Sequence[str]]] = (), *, places: Places | None = None
    ) -> None:
        self._pythons = {version: describe_python(found) for version, found in find_pythons(pythons).items()}
        self._places = places or Places.of_this_process(dict(directories))
        self._roots = {tool: _roots(tool, self._places) for tool in KINDS}
        self._found: dict[str, tuple[Toolchain, ...]] = {}
        self._asking = {tool: threading.Lock() for tool in KINDS}

    @property
    def directories(self) -> tuple[Path, ...]:
        """Of all toolchains, whatever their version, that are more than a program of the distribution."""
        pythons = (folder for python in self._pythons.values() for folder in python.directories)
        return tuple(dict.fromkeys([*pythons, *(root for tool, kind in KINDS.items() if kind.marks for root in self._roots[tool])]))

    def find(self, base: str, *, image: str) -> Toolchain | None:
        """What sandboxes of `image` get; None for `host`. May run compilers for their version. Raises `ImageError`."""
        wanted = wanted_of(base)
        if wanted is None:
            return None
        parts = []
        for tool, version in wanted.parts:
            part = self._best(tool, version)
            if part is None:
                raise self._missing(image, tool, version)
            parts.append(part)
        return combined(parts)

    def has(self, base: str) -> bool:
        """Whether `find` finds it. Raises `ImageError` for a base that the local provider does not know."""
        wanted = wanted_of(base)
        return wanted is None or all(self._best(tool, version) is not None for tool, version in wanted.parts)

    def versions(self) -> dict[str, tuple[str, ...]]:
        """What is installed of each tool, the oldest first; asks all of them, at once."""
        tools = ("python", *KINDS)
        with ThreadPoolExecutor(len(tools)) as pool:
            every = zip(tools, pool.map(self._of, tools), strict=True)
            return {tool: tuple(sorted({one.version for one in found}, key=lambda one: (numbers(one), one))) for tool, found in every}

    def bases(self) -> frozenset[str]:
        """Public names of base images that sandboxes can have here."""
        names = [f"python:{version}" for version in self._pythons]
        names += [f"golang:{_digits(found, 2)}" for found in self._of("go")]
        names += [f"rust:{_digits(found, 2)}" for found in self._of("rust") if "-" not in found.version]
        names += [f"node:{_digits(found, 1)}" for found in self._of("node")]
        names += [f"gcc:{_digits(found, 1)}" for found in self._of("gcc")]
        names += [f"{name}-{release}" for name in names for release in _RELEASES]
        for java in {_digits(found, 1) for found in self._of("java")}:
            names += [f"eclipse-temurin:{java}", f"openjdk:{java}"]
            names += [f"maven:{_digits(maven, 1)}-eclipse-temurin-{java}" for maven in self._of("maven")]
            names += [f"gradle:{_digits(gradle, 1)}-jdk{java}" for gradle in self._of("gradle")]
        release = read_release()
        for tag in (release.get("VERSION_CODENAME"), release.get("VERSION_ID")):
            if tag and release.get("ID") in ("debian", "ubuntu"):
                names.append(f"{release['ID']}:{tag}")
                names += [f"buildpack-deps:{tag}"] if self._of("gcc") else []
        return frozenset(names)

    def _of(self, tool: str) -> tuple[Toolchain, ...]:
        if tool == "python":
            return tuple(self._pythons.values())
        if tool == "system":
            return (system(),)
        with self._asking[tool]:
            if tool not in self._found:
                with ThreadPoolExecutor(_AT_ONCE) as pool:
                    described = pool.map(KINDS[tool].describe, self._roots[tool])
                    self._found[tool] = tuple(found for found in described if found is not None)
            return self._found[tool]

    def _best(self, tool: str, version: str) -> Toolchain | None:
        """The newest that the version allows; without one, the machine's default."""
        fitting = [found for found in self._of(tool) if accepts(version, found.version)]
        if not version:
            return fitting[0] if fitting else None
        return max(fitting, key=lambda found: numbers(found.version), default=None)

    def _missing(self, image: str, tool: str, version: str) -> ImageError:
        have = ", ".join(sorted({found.version for found in self._of(tool)}, key=numbers)) or "none"
        if tool == "python":
            return ImageError(
                f"Image {image!r} wants Python {version}, which this machine lacks (found: {have}).",
                remedy=f"Install it (`uv python install {version}`), name it in `pythons` of the local provider, or use docker.",
            )
        return ImageError(
            f"Image {image!r} wants {KINDS[tool].title} {version}".rstrip() + f", which this machine lacks (found: {have}).",
            remedy="Install it, name its directory in `toolchains` of the local provider, use a base image of what is here, or use docker.",
        )


def _roots(tool: str, places: Places) -> tuple[Path, ...]:
    """Each once, by its real path."""
    kind = KINDS[tool]
    if not kind.marks:
        return tuple(dict.fromkeys(kind.roots(places)))
    found: dict[Path, None] = {}
    for root in (*map(Path, places.configured.get(tool, ())), *kind.roots(places)):
        try:
            real = root.resolve(strict=True)
            if places.is_dedicated(real) and any((real / mark).exists() for mark in kind.marks):
                found.setdefault(real)
        except (OSError, RuntimeError):
            continue
    return tuple(found)


def _digits(toolchain: Toolchain, count: int) -> str:
    return ".".join(map(str, numbers(toolchain.version)[:count]))
