"""Which Debian package (bookworm's names) brings a pkg-config module, a CMake package, a header, a library or a program.

Only well-known ones: a name that is missing here is unknown, not absent. Lookups ignore case where the tools that name things do,
and know the ways in which names are spelled (`glib-2.0`, `libfoo`, `foo >= 1.2`).
"""

from __future__ import annotations

import re
from typing import Final

from podgym.envs.build.languages.native.debian import CMAKE, HEADERS, LIBRARIES, PKGCONFIG, PROGRAMS

__all__ = [
    "TEST_LIBRARIES",
    "package_for_cmake",
    "package_for_header",
    "package_for_library",
    "package_for_pkgconfig",
    "package_for_program",
    "package_for_test_library",
]


TEST_LIBRARIES: Final = frozenset(
    {
        "libgtest-dev", "libgmock-dev", "googletest", "catch2", "doctest-dev", "check", "libcmocka-dev", "libcunit1-dev", "libcppunit-dev",
        "libcriterion-dev", "libcpputest-dev", "libboost-test-dev", "libunittest++-dev", "libbenchmark-dev",
    }
)  # fmt: skip
_PC_LOWER: Final = {name.lower(): package for name, package in PKGCONFIG.items()}
_HEADER_LOWER: Final = {name.lower(): package for name, package in HEADERS.items()}


def package_for_pkgconfig(module: str) -> str | None:
    """The package of a pkg-config module, as `dependency('x')`, `PKG_CHECK_MODULES` and `pkg-config --libs` name it."""
    name = re.split(r"[<>=]", module, maxsplit=1)[0].strip()
    low = name.lower()
    return PKGCONFIG.get(name) or _PC_LOWER.get(low) or _PC_LOWER.get(low.removeprefix("lib")) or _PC_LOWER.get(f"lib{low}")


def package_for_cmake(name: str) -> str | None:
    """The package of a CMake package, as `find_package` names it."""
    low = name.strip().lower()
    if low.startswith(("qt5", "qt6")):
        return CMAKE.get(low) or CMAKE[low[:3]]
    return CMAKE.get(low) or _PC_LOWER.get(low)


def package_for_header(include: str) -> str | None:
    """The package of a header, as an `#include` names it."""
    name = include.strip().strip('<>"').lower()
    while name:
        if (package := _HEADER_LOWER.get(name)) is not None:
            return package
        head = name.rstrip("/").rpartition("/")[0]
        name = f"{head}/" if head else ""
    return None


def package_for_library(name: str) -> str | None:
    """The package of a library, as `-l`, `AC_CHECK_LIB` and `find_library` name it."""
    bare = re.sub(r"^lib|\.(so|a)[.\d]*$", "", name.strip()) if re.search(r"\.(so|a)[.\d]*$", name) else name.strip().removeprefix("-l")
    return LIBRARIES.get(bare) or LIBRARIES.get(bare.removeprefix("lib"))


def package_for_program(name: str) -> str | None:
    """The package of a command."""
    return PROGRAMS.get(name.rpartition("/")[2])


def package_for_test_library(name: str) -> str | None:
    """The package of a test framework, by its CMake or pkg-config name; None for anything else."""
    package = package_for_cmake(name) or package_for_pkgconfig(name)
    return package if package in TEST_LIBRARIES else None
