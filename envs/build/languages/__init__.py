"""One module a language: which files are tests, and how a project is built and tested."""

from __future__ import annotations

import importlib
from functools import cache
from typing import Final, cast

from podgym.envs.build.languages.contract import LanguageModule
from podgym.verifiers.protection import Language

__all__ = ["language_module"]

_PLACES: Final[dict[Language, tuple[str, str]]] = {
    "python": ("python", "PYTHON"),
    "java": ("java", "JAVA"),
    "go": ("go", "GO"),
    "rust": ("rust", "RUST"),
    "javascript": ("node", "JAVASCRIPT"),
    "typescript": ("node", "TYPESCRIPT"),
    "c": ("native", "C"),
    "cpp": ("native", "CPP"),
}


@cache
def language_module(language: Language) -> LanguageModule:
    """The module of a language, imported when it is first asked for."""
    package, name = _PLACES[language]
    return cast(LanguageModule, getattr(importlib.import_module(f"{__name__}.{package}"), name))
