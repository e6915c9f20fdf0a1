"""One small change of a source that may make it wrong."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Mutation"]


@dataclass(frozen=True, slots=True)
class Mutation:
    """The bytes `before` at `start` become `after`."""

    operator: str
    start: int
    before: bytes
    after: bytes
    line: int
    """From 1, where it begins."""
    place: str
    """The innermost definition that it lies in, as `name:line`; empty at the top of a file."""

    @property
    def end(self) -> int:
        """Where `before` ends."""
        return self.start + len(self.before)

    def apply(self, data: bytes) -> bytes:
        """The changed source. Raises `ValueError` for a source that the mutation was not found in."""
        if data[self.start : self.end] != self.before:
            raise ValueError(f"{self.before[:60]!r} is not at {self.start}; mutations belong to the very bytes that they were found in.")
        return data[: self.start] + self.after + data[self.end :]
