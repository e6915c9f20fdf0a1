"""Debian packages that shell commands install by name.

Ubuntu's own names stay: what the image's distribution lacks is left out while it is installed. Left out here is what the toolchain's
image brings in a version of its own (a second Python, Node or JDK), kernels, and other architectures.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

__all__ = ["is_package", "packages_of"]

_TOOLS: Final = frozenset(("apt", "apt-get", "apt-fast", "aptitude", "nala"))
_WITH_VALUE: Final = frozenset(
    ("-o", "--option", "-t", "--target-release", "--default-release", "-c", "--config-file", "-a", "--host-architecture")
)
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9.+-]{1,99}")
_OWN: Final = re.compile(
    r"python[23]?\.\d+(-\w+)*|python-(dev|pip|setuptools|virtualenv)|pypy3?|node(js)?|npm|yarn|openjdk-\d+-\S+|(default|oracle-java\d+)-\S*(jdk|jre)\S*"
    r"|maven|gradle|golang(-\S+)?|rustc|cargo|rustup|docker\S*|containerd\S*|snapd|linux-(headers|image|modules|tools)\S*|nvidia-\S+|cuda-\S+"
    r"|google-chrome\S*|crossbuild-essential-\S+|(gcc|g\+\+|gfortran|binutils|libc6)-\S+-linux-\S+|\S*mingw\S*|qemu\S*|wine\S*|sudo|apt-utils|software-properties-common"
)
_WRAPPED: Final = 12
"""Words before `apt-get` that may belong to `sudo`, `env`, `retry` and the like."""


def is_package(name: str) -> bool:
    """Whether it can be a package's name, and not one of a toolchain."""
    return bool(_NAME.fullmatch(name)) and not _OWN.fullmatch(name)


def packages_of(command: Sequence[str]) -> Iterator[str]:
    """Names that one simple command installs, in order."""
    place = next((index for index, word in enumerate(command[:_WRAPPED]) if word.rpartition("/")[2] in _TOOLS), None)
    if place is None or command[0] in ("echo", "printf", "which", "command", "type", "man", "grep", "test", "["):
        return
    words = iter(command[place + 1 :])
    installing = False
    for word in words:
        if word in _WITH_VALUE:
            next(words, None)
        elif word.startswith("-"):
            continue
        elif not installing:
            if word not in ("install", "satisfy"):
                return
            installing = True
        elif name := _name(word):
            yield name


def _name(word: str) -> str:
    """A package's name without its version, release and architecture."""
    if word.startswith((".", "/", "~")) or word.endswith(".deb"):
        return ""
    name, _, architecture = re.split(r"[=/]", word.strip(",;'\""))[0].partition(":")
    if architecture and architecture not in ("amd64", "native", "any", "all"):
        return ""
    return name if is_package(name) else ""
