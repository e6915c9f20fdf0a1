"""What the name of a container image says about versions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

__all__ = ["image_name", "versions_of_image"]

_TOOLS: Final[dict[str, str]] = {
    "python": "python", "pypy": "python", "node": "node", "javascript-node": "node", "typescript-node": "node", "go": "go", "golang": "go",
    "rust": "rust", "rust-cargo": "rust", "openjdk": "java", "jdk": "java", "java": "java", "eclipse-temurin": "java", "temurin": "java",
    "amazoncorretto": "java", "corretto": "java", "zulu-openjdk": "java", "zulu-openjdk-debian": "java", "sapmachine": "java",
    "adoptopenjdk": "java", "gcc": "gcc", "clang": "clang", "bun": "bun", "deno": "deno", "ruby": "ruby", "php": "php",
    "postgres": "postgres", "uv": "uv", "ibm-semeru-runtimes": "java", "graalvm-community": "java", "graalvm-ce": "java",
}  # fmt: skip
_BUILDERS: Final[dict[str, str]] = {"maven": "maven", "gradle": "gradle", "sbt": "sbt"}
_VERSION: Final = re.compile(r"v?(\d+(?:\.\d+){0,3}(?:-?(?:rc|beta|alpha|a|b)\.?\d*)?)(?![\w.])")
_JDK: Final = re.compile(r"(?:jdk|openjdk|temurin|corretto|java|jre|semeru|zulu)[-_]?(\d+)")


def image_name(image: str) -> str:
    """The name without registry, tag and digest, such as `python` or `cimg/python`; empty where it is an expression."""
    if not image or "$" in image or "<<" in image or any(character.isspace() for character in image):
        return ""
    name = image.partition("@")[0]
    head, _, tail = name.rpartition("/")
    tail = tail.partition(":")[0]
    registry = head.partition("/")[0]
    if "." in registry or ":" in registry or registry == "localhost":
        head = head.partition("/")[2]
    head = head.removeprefix("library/").removeprefix("library")
    return f"{head}/{tail}" if head else tail


def versions_of_image(image: str) -> Iterator[tuple[str, str]]:
    """Pairs of tool and version."""
    name = image_name(image)
    last = name.rpartition("/")[2]
    tag = image.partition("@")[0].rpartition("/")[2].partition(":")[2]
    if tool := _TOOLS.get(last):
        if tool == "java":
            found = _JDK.search(tag) or re.match(r"(\d+)", tag)
        elif "devcontainers" in name or last.endswith("-node"):
            # `1-3.11-bookworm`: the image's own version comes first.
            found = re.match(r"(?:dev-)?(?:\d+-)?v?(\d+(?:\.\d+)*)", tag)
        else:
            found = _VERSION.match(tag)
        if found:
            yield tool, found[1]
    elif builder := _BUILDERS.get(last):
        if (own := _VERSION.match(tag)) is not None:
            yield builder, own[1]
        if (jdk := _JDK.search(tag)) is not None:
            yield "java", jdk[1]
