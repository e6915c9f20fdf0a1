"""Names of public base images: which toolchains of which versions they bring.

The distribution that a tag names (`bookworm`, `alpine`, `jammy`) is not looked at: under every toolchain lies this machine's.
So any tag of `debian`, `ubuntu` and `buildpack-deps` is this machine, too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from podgym.sandbox.errors import ImageError

__all__ = ["Wanted", "wanted_of"]

_NAME = re.compile(r"(?:(?P<prefix>[A-Za-z0-9._:/-]+)/)?(?P<name>[a-z0-9._-]+)(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?")
_PYTHON = re.compile(r"(3\.\d+)(?:\.\d+)?(?:-[\w.-]+)?")
_VERSION = re.compile(r"(\d+(?:\.\d+){0,3})(?:-[\w.-]+)?")
_JAVA = re.compile(r"(?P<number>\d+)(?:u(?P<update>\d+)|(?P<rest>(?:\.\d+){0,3}))(?:[-_+][\w.-]+)?")
_MAVEN = re.compile(r"(?:(?P<tool>\d+(?:\.\d+){0,2})(?:-|$))?(?:(?P<vendor>[a-z][a-z-]*)-(?P<java>\d+)(?:[-.][\w.-]+)?|[a-z][\w.-]*)?")
_GRADLE = re.compile(r"(?:(?P<tool>\d+(?:\.\d+){0,2})(?:-|$))?(?:jdk-?(?P<java>\d+)(?:-[\w.-]+)?|[a-z][\w.-]*)?")

_BY_VERSION: Final = {"golang": "go", "rust": "rust", "node": "node", "gcc": "gcc"}
_JDKS: Final = frozenset({"eclipse-temurin", "openjdk", "amazoncorretto", "sapmachine", "ibm-semeru-runtimes"})
_SYSTEMS: Final = frozenset({"debian", "ubuntu"})
_KNOWN: Final = (
    "'host' and python:3.X, golang, rust, node, gcc, maven, gradle, eclipse-temurin, openjdk, buildpack-deps, debian and ubuntu images"
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a sandbox of an image must have."""

    parts: tuple[tuple[str, str], ...]
    """Tool and version, the main one first. A version is as precise as the tag; empty is whatever the machine has."""


def wanted_of(base: str) -> Wanted | None:
    """What the base image's name asks for; None for `host`.

    A registry or a mirror before the name does not matter. Raises `ImageError` for a name that the local provider does not know,
    and for one that is pinned by a digest, because no other image is that one.
    """
    if base == "host":
        return None
    found = _NAME.fullmatch(base)
    if found is None or not _is_mirror(found["prefix"] or "", found["name"]):
        raise _unknown(base)
    parts = _parts(found["name"], found["tag"] or "latest")
    if parts is None:
        raise _unknown(base)
    return Wanted(parts)


def _is_mirror(prefix: str, name: str) -> bool:
    """False for an image of somebody's own on the public registry, which is another one of the same name."""
    if name == "rust" and prefix.rsplit("/", maxsplit=1)[-1] == "rustlang":
        return True
    host, _, rest = prefix.partition("/")
    if host == "docker.io":
        return rest in ("", "library")
    return prefix in ("", "library") or "." in host or ":" in host or host == "localhost"


def _parts(name: str, tag: str) -> tuple[tuple[str, str], ...] | None:
    if name == "python":
        return _one("python", _PYTHON.fullmatch(tag))
    if name in _SYSTEMS:
        return (("system", ""),)
    if name == "buildpack-deps":
        return (("system", ""),) if re.search(r"(^|-)(curl|scm)$", tag) else (("gcc", ""),)
    if name == "rust" and tag.startswith("nightly"):
        return (("rust", "nightly"),)
    if name in _BY_VERSION:
        return _one(_BY_VERSION[name], _VERSION.fullmatch(tag)) if tag[0].isdigit() else ((_BY_VERSION[name], ""),)
    if name in _JDKS:
        found = _JAVA.fullmatch(tag)
        if found is None:
            return None if tag[0].isdigit() else (("java", ""),)
        return (("java", found["number"] + (f".0.{found['update']}" if found["update"] else found["rest"] or "")),)
    if name in ("maven", "gradle"):
        both = (_MAVEN if name == "maven" else _GRADLE).fullmatch(tag)
        return (("java", both["java"] or ""), (name, both["tool"] or "")) if both else None
    return None


def _one(tool: str, found: re.Match[str] | None) -> tuple[tuple[str, str], ...] | None:
    return ((tool, found[1]),) if found else None


def _unknown(base: str) -> ImageError:
    return ImageError(
        f"The local provider cannot make a sandbox from base image {base!r}; it knows {_KNOWN}.",
        remedy="Use the docker provider for this task.",
    )
