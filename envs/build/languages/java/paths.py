"""Which paths of a Java repository are tests, and which test file an id comes from.

The directory decides: `src/NAME` with a test-like name, or a directory `test` or `tests` of an older layout that is no part of the file's
package; nothing below `src/main` is a test. A file there is runnable where its name is one that runners look for, or where it holds tests
by what it says.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Final

from podgym.envs.build.tree import Tree
from podgym.verifiers.paths import PathGlobs
from podgym.verifiers.protection.languages import TESTS

__all__ = ["SOURCES", "JavaTestPaths", "class_of", "is_integration", "owns", "source_set"]

SOURCES: Final = (".java", ".kt", ".groovy", ".scala")

_SET: Final = re.compile(r"(?:^|/)src/([^/]+)/(?=.)")
_TEST_SET: Final = re.compile(r"(?i)it|.*-?tests?(-.*)?|test.+|.*test.*|.*spec")
_NOT_TEST_SET: Final = frozenset({"main", "latest"})
_DIRECTORY: Final = re.compile(r"(?i)tests?|testing|unit-?tests?|integration-?tests?|it|junit")
_PRODUCT: Final = re.compile(r"(?:^|/)(?:src/main|src/java|src/[a-z]+Main)/")
_NAME: Final = re.compile(r"Test.*|.*Tests?|.*TestCase|.*IT|IT.*|.*ITCase|.*Spec|.*Specification|.*TestNG|.*IntegrationTests?")
_ROOT_NAME: Final = re.compile(r".*Tests?|.*TestCase|Test[A-Z].*|.*IT|.*Spec")
_INTEGRATION: Final = re.compile(r"IT.*|.*IT|.*ITCase")
_SAYS: Final = re.compile(
    r"(?:^|[\s{};])@(?:\w+\.)*(?:\w{0,60}Test|TestFactory|TestTemplate|Property|Theory|RunWith|Suite)\b"
    r"|\bextends\s+[\w.]*(?:TestCase|Specification)\b|:\s*\w+Spec\b"
)
"""An annotation of a project's own that ends with `Test` stands for JUnit's."""
_PACKAGE: Final = re.compile(r"^[ \t]*package[ \t]+([\w.]+)", re.MULTILINE)
_TOPS: Final = frozenset({"com", "org", "net", "io", "de", "main", "java"})
"""Where packages mostly begin, for files that do not say it."""
_COMMENT: Final = re.compile(r"^\s*(?:\*|//|/\*).*$", re.MULTILINE)
_INHERITS: Final = re.compile(r"\bclass\s+\w+(?:<[^{]*>)?\s+extends\s+\w*Test|^\s*class\s+\w+\s*:\s*\w*(?:Test|Spec)", re.MULTILINE)


def source_set(path: str) -> str:
    """`test` of `core/src/test/java/a/B.java`; empty outside such a layout."""
    match = _SET.search(path)
    return match[1] if match else ""


def class_of(path: str) -> str:
    """Name of the class that a source file is named after."""
    return PurePosixPath(path).name.partition(".")[0]


def is_integration(path: str) -> bool:
    """Whether Failsafe looks for it rather than Surefire, by their default names."""
    return _INTEGRATION.fullmatch(class_of(path)) is not None


class JavaTestPaths:
    """Tells tests from source among the paths of one repository."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._globs = PathGlobs(TESTS["java"])

    def is_test(self, path: str) -> bool:
        """See the module."""
        name = source_set(path)
        if name and name not in _NOT_TEST_SET and _TEST_SET.fullmatch(name):
            return True
        if _PRODUCT.search(path) or name == "main":
            return False
        if path in self._globs:
            return True
        *directories, file = path.split("/")
        if any(map(_DIRECTORY.fullmatch, self._above_package(path, directories))):
            return True
        return file.endswith(SOURCES) and _ROOT_NAME.fullmatch(file.partition(".")[0]) is not None

    def _above_package(self, path: str, directories: list[str]) -> list[str]:
        """Directories that are no part of the name of a package (`com/example/test/Runner.java`)."""
        stated = _PACKAGE.search(self._tree.read(path) or "") if path.endswith(SOURCES) else None
        package = stated[1].split(".") if stated else []
        if package and directories[-len(package) :] == package:
            return directories[: -len(package)]
        end = next((place for place, name in enumerate(directories) if name in _TOPS), len(directories))
        return directories[:end]

    def is_runnable(self, path: str) -> bool:
        """A file that holds tests by what it says, or whose class has a test's name and inherits; an abstract one counts for those
        that extend it."""
        if not path.endswith(SOURCES) or not self.is_test(path) or self._is_project_under_test(path):
            return False
        said = self._tree.read(path)
        text = _COMMENT.sub("", said) if said is not None else None
        named = _NAME.fullmatch(class_of(path)) is not None
        return named if text is None else _SAYS.search(text) is not None or (named and _INHERITS.search(text) is not None)

    def is_mixed(self, path: str) -> bool:
        """Never."""
        return False

    @staticmethod
    def _is_project_under_test(path: str) -> bool:
        """Sources of small projects that a plug-in's tests build (`src/it/NAME/src/main/java`, `src/test/resources/…`)."""
        _, _, below = path.partition("src/")
        return "/src/" in f"/{below.partition('/')[2]}" or "/resources/" in f"/{path}"


def owns(path: str, identity: str) -> bool:
    """By the class name: `a.b.FooTest::x` and `a.b.FooTest$Inner::x` come from `…/a/b/FooTest.java`. Names without a package are
    display names, which do not tell; a Kotlin, Groovy or Scala file may hold classes of any name and package."""
    stated, _, _ = identity.partition("::")
    dotted = stated.split("$")[0].split("[")[0].strip()
    stem = PurePosixPath(path).name.partition(".")[0]
    if not re.fullmatch(r"[\w.]+", dotted):
        return True
    package, _, simple = dotted.rpartition(".")
    if not package:
        return simple == stem or " " in stated or not simple[:1].isupper()
    directory = f"/{PurePosixPath(path).parent.as_posix()}"
    inside = directory.endswith("/" + package.replace(".", "/"))
    if path.endswith(".java"):
        return inside and (simple == stem or f".{stem}." in f".{package}.")
    # The package's common beginning may be left out of the directories, so the last part has to do.
    return simple == stem and (inside or not directory.strip("/.") or directory.endswith(f"/{package.rpartition('.')[2]}"))
