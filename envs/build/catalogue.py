"""Base images by toolchain and version, under their public names; and which of them can be had where the task is built.

An exact version is worth little where it is not there: projects say which versions they accept, so a present one that is accepted
goes before an absent one that is preferred. Where no accepted one is present the preferred one is named all the same, because it
may be pulled; `nearest` is for when that failed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

__all__ = ["IMAGES", "BaseImage", "Catalogue", "Tool", "version_key"]

Tool = Literal["python", "go", "rust", "java", "node", "native"]


@dataclass(frozen=True, slots=True)
class BaseImage:
    """One toolchain's image."""

    tool: Tool
    version: str
    name: str


def _images(tool: Tool, pattern: str, versions: str) -> tuple[BaseImage, ...]:
    return tuple(BaseImage(tool, version, pattern.format(version)) for version in versions.split())


IMAGES: Final[tuple[BaseImage, ...]] = (
    *_images("python", "python:{}-bookworm", "3.8 3.9 3.10 3.11 3.12 3.13 3.14"),
    *_images("go", "golang:{}-bullseye", "1.16 1.17 1.18 1.19"),
    *_images("go", "golang:{}-bookworm", "1.20 1.21 1.22 1.23 1.24 1.25 1.26"),
    *_images("rust", "rust:{}-bullseye", "1.56 1.60 1.63 1.65 1.68"),
    *_images("rust", "rust:{}-bookworm", " ".join(f"1.{minor}" for minor in range(70, 96))),
    *_images("java", "maven:3-eclipse-temurin-{}", "8 11 17 21 25"),
    *_images("node", "node:{}-bullseye", "10 12 14"),
    *_images("node", "node:{}-bookworm", "16 18 20 22 24"),
    *_images("native", "gcc:{}-bookworm", "12 13 14 15"),
)
"""Oldest first for each tool."""


def version_key(version: str) -> tuple[int, ...]:
    """For comparing dotted versions; what is not a number counts as 0."""
    return tuple(int(part) for part in re.findall(r"\d+", version))


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The images to choose from."""

    images: Sequence[BaseImage] = IMAGES
    present: frozenset[str] | None = None
    """Names that need no pull; None where that is not known, and then all count as present."""
    mirror: str = ""
    """Goes before every name, such as `registry.example.org/library/`."""
    absent: frozenset[str] = field(default_factory=frozenset)
    """Names that could not be pulled."""

    def without(self, *names: str) -> Catalogue:
        """The same, where these images cannot be had."""
        return replace(self, absent=self.absent | set(names))

    def only(self, tool: Tool, name: str) -> Catalogue:
        """The same, where `tool` has no other image than `name`."""
        return replace(self, images=tuple(image for image in self.images if image.tool != tool or image.name == name))

    def of(self, tool: Tool) -> tuple[BaseImage, ...]:
        """All that may be had, oldest first."""
        return tuple(image for image in self.images if image.tool == tool and image.name not in self.absent)

    def here(self, tool: Tool) -> tuple[BaseImage, ...]:
        """Those that need no pull, oldest first."""
        return tuple(image for image in self.of(tool) if self.present is None or {image.name, f"{self.mirror}{image.name}"} & self.present)

    def choose(self, tool: Tool, accepts: Callable[[str], bool], *, prefer: str = "") -> BaseImage | None:
        """The image of the version `prefer` (or the newest accepted one), of those that are accepted and present if there are
        any. None where no version is accepted."""
        accepted = [image for image in self.of(tool) if accepts(image.version)]
        present = set(self.here(tool))
        pool = [image for image in accepted if image in present] or accepted
        if not pool:
            return None
        wanted = version_key(prefer) if prefer else ()
        if not wanted:
            return pool[-1]
        exact = [image for image in pool if version_key(image.version) == wanted[: len(version_key(image.version))]]
        return exact[-1] if exact else self._nearest(pool, wanted)

    def nearest(self, tool: Tool, version: str) -> BaseImage | None:
        """The image of the present version next to `version`, a newer one before an older one."""
        pool = self.here(tool) or self.of(tool)
        return self._nearest(pool, version_key(version)) if pool else None

    @staticmethod
    def _nearest(pool: Sequence[BaseImage], wanted: tuple[int, ...]) -> BaseImage:
        newer = [image for image in pool if version_key(image.version) >= wanted[: len(version_key(image.version))]]
        return newer[0] if newer else pool[-1]
