"""Which standard of C or C++ a build file asks for, and whether the distribution's compiler is too old for it."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["newer_compiler"]

_STANDARD: Final = re.compile(
    r"-std=(?:c|gnu)(\+\+)?(\d\w)\b"
    r"|\bc(?:pp)?_std\s*[=:]\s*['\"]?(?:[\w+]+,)*?(?:c|gnu)(\+\+)?(\d\w)\b"
    r"|\bAX_(CXX)_COMPILE_STDCXX(?:_|\(\s*\[?)(\d\d)\b"
    r"|\b(?:CMAKE_)?C(XX)?_STANDARD[\s\"]+(\d\d)\b"
    r"|\bc(xx)?_std_(\d\d)\b"
)
_NAMES: Final = {"0x": 11, "1x": 11, "1y": 14, "1z": 17, "2a": 20, "2b": 23, "2x": 23, "2c": 26, "2y": 26}
_KNOWN: Final = {"C++": 20, "C": 17}
"""What the distribution's compiler and its libraries have wholly."""


def newer_compiler(text: str) -> str:
    """The standard that a newer compiler than the distribution's is wanted for; empty where none is."""
    newest: dict[str, int] = {}
    for match in _STANDARD.finditer(text):
        groups = match.groups()
        for plus, year in zip(groups[::2], groups[1::2], strict=True):
            number = _NAMES.get(year or "") or int(re.sub(r"\D", "", year or "") or 0)
            if year is not None and number < 80:
                language = "C++" if plus else "C"
                newest[language] = max(newest.get(language, 0), number)
    return next((f"{language}{number}" for language, number in newest.items() if number > _KNOWN[language]), "")
