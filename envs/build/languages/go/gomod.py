"""go.mod and go.work files, and which module a file belongs to."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from podgym.envs.build.catalogue import version_key
from podgym.envs.build.tree import Tree

__all__ = ["GoMod", "Modules", "parse_gomod"]

_WORD: Final = re.compile(r'"[^"\n]*"|`[^`\n]*`|=>|[^\s()"`]+|[()]')
_MAX_MODULES: Final = 1000


@dataclass(frozen=True, slots=True)
class GoMod:
    """What one file says."""

    module: str = ""
    go: str = ""
    toolchain: str = ""
    requires: frozenset[tuple[str, str]] = frozenset()
    replaces: tuple[str, ...] = ()
    """Directories of the machine that replace modules."""
    uses: tuple[str, ...] = ()
    """Directories of a workspace."""


def parse_gomod(text: str) -> GoMod:
    """Reads go.mod or go.work; lines that are neither are passed over."""
    single: dict[str, str] = {}
    requires: set[tuple[str, str]] = set()
    replaces: list[str] = []
    uses: list[str] = []
    for words in _entries(text):
        match words:
            case ["module" | "go" | "toolchain" as key, value, *_]:
                single[key] = value
            case ["require", name, version, *_]:
                requires.add((name, version))
            case ["replace", *_, "=>", target] if target.startswith((".", "/")):
                replaces.append(target)
            case ["use", directory, *_]:
                uses.append(directory)
            case _:
                pass
    toolchain = single.get("toolchain", "").removeprefix("go")
    return GoMod(single.get("module", ""), single.get("go", ""), toolchain, frozenset(requires), tuple(replaces), tuple(uses))


def _entries(text: str) -> Iterator[list[str]]:
    """The words of each entry, those of a block with the block's own word before them."""
    block = ""
    for line in text.splitlines():
        words = [word.strip('"`') for word in _WORD.findall(line.partition("//")[0])]
        if block and words[:1] == [")"]:
            block = ""
        elif block and words:
            yield [block, *words]
        elif words[1:2] == ["("]:
            block = "" if words[-1] == ")" else words[0]
            yield [words[0], *(word for word in words[2:] if word != ")")]
        elif words:
            yield words


class Modules:
    """The modules of one tree; those below vendor/ and testdata/ are nobody's."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        found = [path for path in tree.named("go.mod") if not {"vendor", "testdata", "node_modules"} & set(path.split("/")[:-1])]
        self.directories = tuple(posixpath.dirname(path) for path in found[:_MAX_MODULES])
        self._known = frozenset(self.directories)
        self._parsed: dict[str, GoMod] = {}

    def of(self, path: str) -> str | None:
        """The directory of the module that a file belongs to."""
        directory = posixpath.dirname(path)
        while True:
            if directory in self._known:
                return directory
            if not directory:
                return None
            directory = posixpath.dirname(directory)

    def read(self, directory: str) -> GoMod:
        """Its go.mod."""
        if directory not in self._parsed:
            self._parsed[directory] = parse_gomod(self.tree.read(_in(directory, "go.mod")) or "")
        return self._parsed[directory]

    def workspace(self, directory: str) -> tuple[str, GoMod] | None:
        """The workspace above a module's directory: where it is, and what it says."""
        while True:
            if (text := self.tree.read(_in(directory, "go.work"))) is not None:
                return directory, parse_gomod(text)
            if not directory:
                return None
            directory = posixpath.dirname(directory)

    def in_workspace(self, directory: str) -> bool:
        """Whether there is a workspace above a module, and it uses it."""
        found = self.workspace(directory)
        if found is None:
            return False
        top, work = found
        return any(posixpath.normpath(posixpath.join(top or ".", use)) == (directory or ".") for use in work.uses)

    def packages(self, directory: str) -> list[str]:
        """Directories with tests of one module, relative to it, as the pattern `./...` finds them."""
        found = set()
        for path in self.tree.below(directory):
            if path.endswith("_test.go"):
                package = posixpath.dirname(path)
                parts = package.split("/") if package else []
                if not any(part.startswith(("_", ".")) or part in ("testdata", "vendor") for part in parts):
                    found.add(package)
        return [package for package in sorted(found) if self.of(_in(directory, _in(package, "x"))) == directory]


def least_go(files: Iterable[GoMod]) -> str:
    """The oldest Go that all of these files take."""
    return max((file.go for file in files if re.match(r"\d+\.\d+", file.go)), key=version_key, default="")


def differing(before: GoMod, after: GoMod) -> Mapping[str, str]:
    """Modules that the second file requires and the first does not, with their versions."""
    return dict(sorted(after.requires - before.requires))


def _in(directory: str, path: str) -> str:
    return f"{directory}/{path}" if directory else path
