"""A repository at one commit as builders read it: paths, and the text of the files among them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

__all__ = ["MAX_TEXT_BYTES", "Tree"]

MAX_TEXT_BYTES = 2 << 20
"""A larger file is nobody's build file."""


class Tree:
    """Reads each file at most once. A file that is absent, a link or too large is None."""

    def __init__(self, paths: Iterable[str], read: Callable[[str], bytes | None]) -> None:
        self.paths = tuple(sorted(paths))
        self._names = frozenset(self.paths)
        self._read = read
        self._texts: dict[str, str | None] = {}

    def __contains__(self, path: str) -> bool:
        return path in self._names

    def read(self, path: str) -> str | None:
        """The text of a file, undecodable bytes replaced."""
        if path not in self._texts:
            data = self._read(path) if path in self._names else None
            self._texts[path] = None if data is None or len(data) > MAX_TEXT_BYTES else data.decode("utf-8", "replace")
        return self._texts[path]

    def below(self, directory: str) -> list[str]:
        """Paths below a directory (all for the empty one), relative to it."""
        prefix = f"{directory}/" if directory else ""
        return [path.removeprefix(prefix) for path in self.paths if path.startswith(prefix)]

    def named(self, *names: str) -> list[str]:
        """Paths whose last part is one of `names`, those nearest to the top first."""
        found = (path for path in self.paths if path.rpartition("/")[2] in names)
        return sorted(found, key=lambda path: (path.count("/"), path))

    def nearest(self, path: str, *names: str) -> str | None:
        """The deepest directory at or above `path`'s that holds one of `names`; None where none does."""
        directory = path
        while directory:
            directory = directory.rpartition("/")[0]
            if any((f"{directory}/{name}" if directory else name) in self._names for name in names):
                return directory
        return None
