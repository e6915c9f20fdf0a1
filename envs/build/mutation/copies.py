"""Whether a repository holds the lines around a mutation a second time: in a bundle, a single header, a file that was copied.

Such a copy is in the agent's tree as it is, with the right line in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from podgym.envs.build.mutation.edits import Mutation

__all__ = ["Copies"]

_AROUND: Final = 2
"""Lines before and after, blank ones not counted."""
_LEAST_BYTES: Final = 60
"""Shorter pieces are alike by chance."""


class Copies:
    """Of one commit's sources, whatever they are for."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._texts = {path: b"\n".join(_lines(data)) for path, data in files.items()}

    def place(self, path: str, data: bytes, mutation: Mutation) -> str:
        """Another file that has the lines of `data` where `mutation` is; empty where there is none."""
        first = data.count(b"\n", 0, mutation.start)
        last = data.count(b"\n", 0, max(mutation.start, mutation.end - 1))
        lines = data.split(b"\n")
        before = _lines(b"\n".join(lines[:first]))[-_AROUND:]
        after = _lines(b"\n".join(lines[last + 1 :]))[:_AROUND]
        piece = b"\n".join([*before, *_lines(b"\n".join(lines[first : last + 1])), *after])
        if len(piece) < _LEAST_BYTES:
            return ""
        return next((other for other, text in self._texts.items() if other != path and piece in text), "")


def _lines(data: bytes) -> list[bytes]:
    return [line.strip() for line in data.split(b"\n") if line.strip()]
