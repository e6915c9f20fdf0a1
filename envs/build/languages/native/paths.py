"""Which files of a C or C++ repository are tests: by directory and by name, but not those of copies of other projects."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import Final

__all__ = ["SOURCES", "NativePaths", "owns", "vendored"]

SOURCES: Final = frozenset({"c", "cc", "cpp", "cxx", "c++", "m", "mm", "ixx", "cppm", "cu", "C"})
"""Extensions of what a compiler takes by itself."""
_HEADERS: Final = frozenset({"h", "hh", "hpp", "hxx", "h++", "inl", "inc", "ipp", "tpp", "def"})
_VENDORED: Final = frozenset(
    {
        "third_party", "third-party", "thirdparty", "3rdparty", "3rd_party", "3rd-party", "vendor", "vendored", "external", "externals",
        "extern", "deps", "subprojects", "submodules", "node_modules", "_deps",
    }
)  # fmt: skip
_FRAMEWORK: Final = re.compile(
    r"(?:google-?(?:test|mock|benchmark)|gtest|gmock|catch2?|doctest|unity|cmocka|cpputest|cutest|libcheck)(?:[-_.]?(?:master|main|v?\d[\w.-]*))?"
)
_DIRECTORY: Final = re.compile(
    r"(?:[a-z0-9]+[-_.])*(?:unit|integration|functional|regression|api|auto)?(?:tests?|testsuites?|testcases?|unittests?)(?:[-_.][a-z0-9]+)*"
    r"|t|regress|testdata|testfiles|testlib|testutils?|testhelpers?|specs?"
)
_STEM: Final = re.compile(
    r"(?:[a-z0-9]+[-_.])*(?:unit|auto)?tests?(?:[-_.][a-z0-9]+)*|test\d+|check_[a-z0-9_-]+|testrunner|runtests?|testmain"
)
_CAMEL: Final = re.compile(r"(?:[Uu]nit)?[Tt]ests?[A-Z]\w*|\w*[a-z0-9](?:Unit)?Tests?|tst_\w+|ut_\w+")
"""Names that only their capitals tell from `latest`, and those of Qt's tests."""
_CAMEL_DIRECTORY: Final = re.compile(r"\w*[a-z0-9](?:Unit)?(?:Tests?|TestSuite)")
_HELPER: Final = re.compile(
    r"util|help|common|config|fixture|mock|stub|fake|main|support|base|macro|framework|catch|doctest|gtest|gmock|unity|munit|acutest|greatest|minunit"
    r"|cutest|utest|types|defs|include|pch"
)
_ENDING: Final = re.compile(r"[a-z0-9]+(?:unit)?tests?")
_NOT_TESTS: Final = re.compile(r"test_driver|.*(?:la|fas|shor|ligh|tigh|brigh|smar|nea|grea|quie|sof|lef|righ|con|pro|at|de)tests?")
"""Superlatives and other words that end like tests."""
_OTHER: Final = frozenset({"bats", "t", "test"})
_BUILD: Final = re.compile(
    r"cmakelists\.txt|.*\.cmake(\.in)?|meson\.build|meson_options\.txt|meson\.options|(gnu)?makefile.*|.*\.(am|mk|mak|bazel|bzl|wrap|vcxproj|pro|pri)"
    r"|build|sconscript|wscript|\.git.*|readme.*|licen[sc]e.*|.*\.(md|rst|adoc)|dockerfile|\.clang-.*|conanfile.*|vcpkg.*\.json"
)
_MENTIONED: Final = re.compile(r"[\w./+-]+\.(?:c|cc|cpp|cxx|c\+\+|h|hh|hpp|hxx)\b")


def vendored(path: str) -> bool:
    """Whether a path belongs to another project, of which this one keeps a copy, as one of a test framework."""
    _, *inner = path.lower().split("/")[:-1] or ("",)
    return _copied(path) or any(_FRAMEWORK.fullmatch(part) for part in inner)


def _copied(path: str) -> bool:
    return any(part.lower() in _VENDORED for part in path.split("/")[:-1])


def _named(stem: str) -> bool:
    """Whether a name alone says that a file is a test."""
    low = stem.lower()
    if _NOT_TESTS.fullmatch(low):
        return False
    return any(pattern.fullmatch(text) is not None for pattern, text in ((_STEM, low), (_ENDING, low), (_CAMEL, stem)))


def _extension(path: str) -> str:
    return posixpath.splitext(path)[1].removeprefix(".")


@dataclass(frozen=True, slots=True)
class NativePaths:
    """See the module; nothing depends on the tree."""

    def is_test(self, path: str) -> bool:
        """True for a test, its data, and the helpers that tests are written with."""
        if _copied(path):
            return False
        *directories, name = path.split("/")
        if any(_DIRECTORY.fullmatch(part.lower()) or _CAMEL_DIRECTORY.fullmatch(part) for part in directories):
            return True
        stem, extension = posixpath.splitext(name)
        extension = extension.removeprefix(".")
        if extension.lower() in _OTHER:
            return True
        if extension not in SOURCES and extension.lower() not in _HEADERS | {"sh", "py", "pl"}:
            return False
        return _named(stem)

    def is_runnable(self, path: str) -> bool:
        """True for what may decide an outcome: sources, scripts, and data, which tests in C often are; not for build files, and for
        headers whose name is that of a helper."""
        if not self.is_test(path):
            return False
        name = posixpath.basename(path)
        if _BUILD.fullmatch(name.lower()):
            return False
        stem, extension = posixpath.splitext(name)
        return extension.removeprefix(".").lower() not in _HEADERS or _HELPER.search(stem.lower()) is None

    def is_mixed(self, path: str) -> bool:
        """Never."""
        return False


def owns(path: str, identity: str) -> bool:
    """False only where an id names the source file of the case, and it is another than `path`."""
    if _extension(path) not in SOURCES:
        return True
    mentioned = _MENTIONED.fullmatch(identity.split("::", 1)[0])
    return mentioned is None or posixpath.basename(mentioned[0]) == posixpath.basename(path)
