"""What an audit knows of a task: base and fix, the lines to search for, the project's names. From a task directory or a data set's row."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from podgym.envs.audit.testnames import hidden_names
from podgym.envs.repository.gold import added_lines

__all__ = ["HiddenContent", "Needles", "Subject", "patch_parts"]

_HEADER = re.compile(rb"^diff --git a/(.*) b/(.*)$", re.MULTILINE)
_STRING = re.compile(rb"\"((?:[^\"\\]|\\.){12,200})\"|'((?:[^'\\]|\\.){12,200})'")
_MIN_STRING_BYTES = 16


@dataclass(frozen=True, slots=True)
class HiddenContent:
    """A test file that must not be in the image."""

    path: str
    """In the work tree."""
    data: bytes


@dataclass(frozen=True, slots=True)
class Subject:
    """One task, as far as it is known; empty values are what nobody said."""

    task: str = ""
    digest: str = ""
    base: str = ""
    """Full commit id."""
    fix: str = ""
    gold_patch: bytes = b""
    test_patch: bytes = b""
    hidden: tuple[HiddenContent, ...] = ()
    test_names: tuple[str, ...] = ()
    """Ids of the tests that decide and fail before the fix."""
    instruction: str = ""
    workdir: str = ""
    """Absolute directory of the project in the image; empty: to be found."""
    repository: str = ""
    """`owner/name`, a URL or a path."""
    pull: int = 0
    """Number of the pull request."""
    shallow: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Commits where history was cut off knowingly: of the project under the empty path, of submodules under theirs."""
    built: tuple[str, ...] = ()
    """Absolute directories that the build of ours writes to, outside of the work tree: a library there is made of base."""
    ours: bool = False
    """Built by podgym: the git directory must be of exactly the kind that podgym makes."""

    @property
    def needles(self) -> Needles:
        """What to search the image for."""
        return Needles.of(self)

    @property
    def short_name(self) -> str:
        """The repository's last name, in lower case."""
        return PurePosixPath(self.repository.rstrip("/").removesuffix("/.git")).name.removesuffix(".git").lower()

    @property
    def new_tests(self) -> frozenset[str]:
        """Names and titles that only the hidden tests have and that nobody would say by chance, see `testnames`."""
        text = self.test_patch or b"\n".join(hidden.data for hidden in self.hidden)
        return hidden_names(self.test_names, text, difference=bool(self.test_patch), solution=self.gold_patch)


@dataclass(frozen=True, slots=True)
class Needles:
    """Pieces of text, each with the files of the solution or of the tests that have it.

    Lines are compared without indentation. String constants of added lines are looked for in compiled files, where lines are gone.
    """

    gold: Mapping[bytes, frozenset[str]]
    strings: Mapping[bytes, frozenset[str]]
    tests: Mapping[bytes, frozenset[str]]
    fix: bytes = b""

    @classmethod
    def of(cls, subject: Subject) -> Needles:
        """From the patches and the hidden files of a subject."""
        gold: dict[bytes, set[str]] = {}
        strings: dict[bytes, set[str]] = {}
        tests: dict[bytes, set[str]] = {}
        removed = {line[1:].strip() for line in subject.gold_patch.split(b"\n") if line.startswith((b"-", b" "))}
        for path, part in patch_parts(subject.gold_patch).items():
            for line in added_lines(part) - removed:
                gold.setdefault(line, set()).add(path)
                for match in _STRING.finditer(line):
                    text = match[1] or match[2]
                    if len(text) >= _MIN_STRING_BYTES and b"\\" not in text:
                        strings.setdefault(text, set()).add(path)
        for path, part in patch_parts(subject.test_patch).items():
            for line in added_lines(part):
                tests.setdefault(line, set()).add(path)
        if not subject.test_patch:
            for hidden in subject.hidden:
                # A patch of one hunk whose every line is added.
                whole = b"@@ -0,0 +1,%d @@\n+" % (hidden.data.count(b"\n") + 1) + hidden.data.replace(b"\n", b"\n+")
                for line in added_lines(whole):
                    tests.setdefault(line, set()).add(hidden.path)
        known = b"\n".join(removed)
        return cls(
            gold={line: frozenset(paths) for line, paths in gold.items()},
            strings={text: frozenset(paths) for text, paths in strings.items() if text not in known},
            tests={line: frozenset(paths) for line, paths in tests.items() if line not in gold},
            fix=subject.fix.encode() if len(subject.fix) >= 40 else b"",
        )

    @property
    def all(self) -> frozenset[bytes]:
        """Every piece."""
        return frozenset({*self.gold, *self.strings, *self.tests, *([self.fix] if self.fix else [])})


def patch_parts(patch: bytes) -> dict[str, bytes]:
    """New path of each file of a git patch, and its part; one part without a name for a patch without headers."""
    found = list(_HEADER.finditer(patch))
    if not found:
        return {"": patch} if patch.strip() else {}
    ends = [match.start() for match in found[1:]] + [len(patch)]
    return {match[2].decode("utf-8", "replace"): patch[match.start() : end] for match, end in zip(found, ends, strict=True)}
