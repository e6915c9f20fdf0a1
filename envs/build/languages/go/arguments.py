"""How CI and Makefiles call `go test`: build tags, and nothing else that would change which tests there are."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from typing import Final

from podgym.envs.build.languages.go.source import constraint_tags, refused_tags
from podgym.envs.build.tree import Tree

__all__ = ["build_tags"]

_TEST: Final = re.compile(r"\bgo\s+test\b([^;&|\n]*)|\bgotestsum\b([^;&|\n]*)")
_RECIPES: Final = ("Makefile", "GNUmakefile", "makefile", "Taskfile.yml", "Taskfile.yaml", "justfile", "magefile.go")
_TAG: Final = re.compile(r"[A-Za-z_][\w.]{0,60}")


def build_tags(tree: Tree, root: str, commands: Iterable[str], go_flags: str, changed_tests: Iterable[str]) -> tuple[str, ...]:
    """Tags of every run of the tests, and those without which a changed test file is left out, but none that leaves another one out."""
    lines = list(commands)
    for place in dict.fromkeys((f"{root}/" if root else "", "")):
        for name in _RECIPES:
            lines += (tree.read(f"{place}{name}") or "").replace("\\\n", " ").splitlines()
    runs = [match[1] or match[2] or "" for line in lines for match in _TEST.finditer(line)]
    tags: dict[str, None] = {}
    if runs and all("-tags" in run for run in runs):
        tags |= dict.fromkeys(next(filter(None, map(_tags, runs)), []))
    tags |= dict.fromkeys(_tags(go_flags))
    refused: set[str] = set()
    for text in (tree.read(path) or "" for path in changed_tests):
        tags |= dict.fromkeys(constraint_tags(text))
        refused |= refused_tags(text)
    return tuple(tag for tag in tags if _TAG.fullmatch(tag) and tag not in refused)


def _tags(arguments: str) -> list[str]:
    """What follows `-tags`; none where only CI can fill it in."""
    try:
        words = shlex.split(arguments)
    except ValueError:
        words = arguments.split()
    for place, word in enumerate(words):
        name, sign, value = word.lstrip("-").partition("=")
        if name == "tags" and word.startswith("-"):
            value = value if sign else "".join(words[place + 1 : place + 2])
            return [] if "$" in value else [tag for tag in re.split(r"[,\s]+", value) if tag]
    return []
