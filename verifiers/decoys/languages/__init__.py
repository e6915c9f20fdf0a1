"""One table a language, by the suffix of a file."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Final

from podgym.verifiers.decoys.grammar import Grammar

__all__ = ["grammar_of"]

_MODULES: Final = {
    "go": (".go",),
    "rust": (".rs",),
    "java": (".java",),
    "javascript": (".js", ".mjs", ".cjs", ".jsx"),
    "typescript": (".ts", ".mts", ".cts"),
    "tsx": (".tsx",),
    "c": (".c",),
    "cpp": (".cc", ".cpp", ".cxx", ".c++", ".C", ".hpp", ".hh", ".h"),
}


@cache
def _grammar(name: str) -> Grammar:
    module = {"tsx": "typescript"}.get(name, name)
    found = import_module(f"podgym.verifiers.decoys.languages.{module}")
    grammar: Grammar = found.TSX if name == "tsx" else found.GRAMMAR
    return grammar


def grammar_of(path: str) -> Grammar | None:
    """The language of a file; None for one that has no table here."""
    if path.endswith((".d.ts", ".min.js")):
        return None
    name = next((name for name, suffixes in _MODULES.items() if path.endswith(suffixes)), None)
    return _grammar(name) if name is not None else None
