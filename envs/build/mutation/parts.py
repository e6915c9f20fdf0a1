"""Which of a repository's packages, modules or crates mutations are made of, where it has several.

A fix says by its files which part is to be built and tested; without one, the part that has most of both sources and tests is taken.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Final

from podgym.envs.build.tree import Tree
from podgym.verifiers.protection import Language

__all__ = ["main_part"]

_SCRIPTS: Final = ("package.json",)
_MANIFESTS: Final[dict[Language, tuple[str, ...]]] = {
    "python": ("pyproject.toml", "setup.py", "setup.cfg"),
    "java": ("pom.xml", "build.gradle", "build.gradle.kts"),
    "go": ("go.mod",),
    "rust": ("Cargo.toml",),
    "javascript": _SCRIPTS,
    "typescript": _SCRIPTS,
}


def main_part(tree: Tree, sources: Collection[str], tests: Collection[str], language: Language) -> list[str]:
    """Those of `sources` that are the part's; all where no part has tests of its own, or the language has no parts."""
    names = _MANIFESTS.get(language)
    if names is None:
        return list(sources)

    def part(path: str) -> str:
        return tree.nearest(path, *names) or ""

    held, tested = Counter(map(part, sources)), Counter(map(part, tests))
    best = max(sorted(held), key=lambda one: (min(held[one], tested[one]), held[one]), default="")
    return [path for path in sources if part(path) == best] if tested[best] else list(sources)
