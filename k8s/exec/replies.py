"""What the supervisor in a pod says: events, a line each, and the outputs that were asked for, one after another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

__all__ = ["Ended", "Events", "Output"]

_LONGEST_EVENT: Final = 1000


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    exit_code: int
    ooms: int
    """Processes that the container has lost to its memory limit so far; read anew only after a command that failed."""
    empty: bool
    """It wrote nothing."""

    def mark(self, secret: str) -> bytes:
        """What comes after each of its two streams: the last state that the supervisor wrote. A command cannot know it."""
        return f"end {self.exit_code} {self.ooms} {int(self.empty)} {secret}\n".encode()


class Events:
    """Splits what comes on the supervisor's stderr into the words of its lines."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, data: bytes) -> Iterator[list[str]]:
        """The events that are whole now; a line that has no end is dropped."""
        self._pending += data
        *lines, rest = self._pending.split(b"\n")
        self._pending = rest if len(rest) <= _LONGEST_EVENT else bytearray()
        for line in lines:
            if words := line.decode("utf-8", "replace").split():
                yield words


@dataclass(slots=True)
class Output:
    """One output on its way: `streams` streams, each with the mark after it."""

    streams: int
    mark: bytes = b""
    """Empty until it is known: events and outputs come in any order."""
    parts: list[bytes] = field(default_factory=list)
    _pending: bytearray = field(default_factory=bytearray)
    _searched: int = 0

    def feed(self, data: bytes) -> None:
        """The next bytes on the supervisor's stdout."""
        self._pending += data
        self._split()

    def expect(self, mark: bytes) -> None:
        """Say how the streams end."""
        self.mark = mark
        self._split()

    @property
    def whole(self) -> bool:
        """All streams are in `parts`."""
        return len(self.parts) == self.streams

    def _split(self) -> None:
        while self.mark and not self.whole:
            at = self._pending.find(self.mark, self._searched)
            if at < 0:
                self._searched = max(0, len(self._pending) - len(self.mark))
                return
            self.parts.append(bytes(self._pending[:at]))
            del self._pending[: at + len(self.mark)]
            self._searched = 0
