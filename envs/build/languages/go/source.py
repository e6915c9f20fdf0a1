"""Go files as far as builds depend on them: imports, build constraints, and what cgo asks of the machine."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from podgym.envs.build.languages.native.debian import LIBRARIES, PKGCONFIG

__all__ = ["constraint_tags", "debian_packages", "imports_of", "refused_tags", "tests_of", "uses_cgo"]

_IMPORT: Final = re.compile(r'^import\s+(?:[\w.]+\s+)?"([^"\s]+)"|^import\s*\(([^)]*)\)', re.MULTILINE)
_QUOTED: Final = re.compile(r'"([^"\s]+)"')
_CGO: Final = re.compile(r'^import\s+"C"', re.MULTILINE)
_PKG_CONFIG: Final = re.compile(r"^\s*(?://|\*)?\s*#cgo\s+(?:[\w!,. ]+\s+)?pkg-config:\s*(.+)$", re.MULTILINE)
_LIBRARY: Final = re.compile(r"^\s*(?://|\*)?\s*#cgo\s+(?P<when>[\w!,. ]*?)\s*LDFLAGS:\s*(?P<flags>.+)$", re.MULTILINE)
_BUILD: Final = re.compile(r"^//go:build\s+(.+)$", re.MULTILINE)
_OLD_BUILD: Final = re.compile(r"^//\s*\+build\s+(.+)$", re.MULTILINE)
_TAG: Final = re.compile(r"!?\s*[\w.]+")

_TEST: Final = re.compile(r"^func (?:Test|Example|Fuzz)(?:[^a-z(\s]\w*)?(?=\()", re.MULTILINE)
_METHOD: Final = re.compile(r"^func \([^)\n]*\) Test\w*\(", re.MULTILINE)
"""A test of a suite, which a function in whatever file runs."""

_KNOWN: Final = re.compile(
    r"aix|android|darwin|dragonfly|freebsd|hurd|illumos|ios|js|linux|nacl|netbsd|openbsd|plan9|solaris|unix|wasip1|windows|zos"
    r"|386|amd64|arm|arm64|loong64|mips\w*|ppc64|ppc64le|riscv64|s390x|wasm|sparc|sparc64"
    r"|cgo|gc|gccgo|race|msan|asan|ignore|purego|appengine|tools|boringcrypto|go\d+(\.\d+)*"
)
_OTHER_SYSTEMS: Final = frozenset({"windows", "darwin", "freebsd", "openbsd", "netbsd", "dragonfly", "solaris", "ios", "android", "aix"})
_PACKAGES: Final = {
    **LIBRARIES,
    **PKGCONFIG,
    "devmapper": "libdevmapper-dev",
    "gpgme": "libgpgme-dev",
    "krb5": "libkrb5-dev",
    "libgit2": "libgit2-dev",
    "libvirt": "libvirt-dev",
    "MagickWand": "libmagickwand-dev",
    "nftables": "libnftables-dev",
    "olm": "libolm-dev",
    "ostree-1": "libostree-dev",
    "pam": "libpam0g-dev",
    "seccomp": "libseccomp-dev",
    "sodium": "libsodium-dev",
    "tesseract": "libtesseract-dev",
    "vips": "libvips-dev",
}
"""By the names of pkg-config and of libraries."""


def imports_of(text: str) -> list[str]:
    """Paths that a file imports."""
    found: list[str] = []
    for single, block in _IMPORT.findall(text[:100_000]):
        found += [single] if single else _QUOTED.findall(re.sub(r"//[^\n]*", "", block))
    return found


def tests_of(text: str) -> list[str]:
    """Functions that `go test` runs; none where the file's tests are methods too."""
    return [] if _METHOD.search(text) else [match[0].removeprefix("func ") for match in _TEST.finditer(text)]


def uses_cgo(text: str) -> bool:
    """Whether a file has C in it."""
    return _CGO.search(text) is not None


def debian_packages(texts: Iterable[str]) -> tuple[list[str], list[str]]:
    """For the C libraries that files name, and the names for which no package is known."""
    found: dict[str, None] = {}
    unknown: dict[str, None] = {}
    for text in texts:
        for line in _PKG_CONFIG.findall(text):
            for name in line.split():
                if name in _PACKAGES:
                    found[_PACKAGES[name]] = None
                elif not name.startswith("-"):
                    unknown[name] = None
        for match in _LIBRARY.finditer(text):
            tags = set(re.split(r"[\s,]+", match["when"].strip()))
            if tags & _OTHER_SYSTEMS and "linux" not in tags:
                continue
            found |= {_PACKAGES[name]: None for name in re.findall(r"-l([\w.+-]+)", match["flags"]) if name in _PACKAGES}
    return list(found), list(unknown)


def constraint_tags(text: str) -> list[str]:
    """Tags of the project's own without which a file is left out of every build on Linux."""
    found: dict[str, None] = {}
    for line in _constraints(text):
        for word in _TAG.findall(line):
            if not word.startswith("!") and not _KNOWN.fullmatch(word):
                found[word] = None
        if any(word in ("linux", "unix", "amd64") for word in _TAG.findall(line)) and "||" in line:
            return []
    return list(found)


def refused_tags(text: str) -> set[str]:
    """Tags of the project's own with which a file is left out."""
    words = (word for line in _constraints(text) if "||" not in line for word in _TAG.findall(line))
    found = {word.removeprefix("!").strip() for word in words if word.startswith("!")}
    return {tag for tag in found if not _KNOWN.fullmatch(tag)}


def _constraints(text: str) -> list[str]:
    head = text[:5000]
    return _BUILD.findall(head) or _OLD_BUILD.findall(head)
