"""Debian packages that CI installs, as far as the image of a language's toolchain lacks them and they are for this machine."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

__all__ = ["lacking"]

_THERE: Final = frozenset(
    {
        "build-essential", "ca-certificates", "curl", "g++", "gcc", "git", "gnupg", "libc6-dev", "make", "openssh-client", "openssl",
        "pkg-config", "sudo", "tar", "wget",
    }
)  # fmt: skip
_CROSS: Final = re.compile(
    r".*(aarch64|armhf|armel|arm64|armv7|gnueabi|mips|riscv|powerpc|s390x|sparc|i386|i686|mingw|wasm).*|qemu.*|.*multilib|musl-.*"
)
_HEADERS: Final = frozenset({"libssl-dev"})


def lacking(packages: Iterable[str], *, headers: bool = True) -> tuple[str, ...]:
    """Those of `packages` that are to be installed, each once, in order; `headers` says that the image has those of common libraries."""
    there = _THERE | _HEADERS if headers else _THERE
    return tuple(dict.fromkeys(package for package in packages if package not in there and not _CROSS.fullmatch(package)))
