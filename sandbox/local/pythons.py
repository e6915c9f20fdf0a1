"""Finds Python interpreters on this machine."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from podgym.sandbox.errors import ImageError

__all__ = ["Interpreter", "find_pythons"]

_EXECUTABLE = re.compile(r"python(3\.\d+)")


@dataclass(frozen=True, slots=True)
class Interpreter:
    """One installed Python."""

    version: str
    executable: Path
    """Not a link."""

    @property
    def prefix(self) -> Path:
        """The installation's directory."""
        return self.executable.parent.parent


def find_pythons(configured: Mapping[str, str]) -> dict[str, Interpreter]:
    """Interpreters by minor version: configured ones, the driver's own, uv's, pyenv's, then those on PATH."""
    found: dict[str, Interpreter] = {}
    for version, path in configured.items():
        executable = _resolved(Path(path))
        if executable is None:
            raise ImageError(f"Configured Python {version} is not a file: {path}.", remedy="Correct `pythons` of the local provider.")
        found[version] = Interpreter(version, executable)
    for candidate in _candidates():
        executable = _resolved(candidate)
        match = _EXECUTABLE.fullmatch(executable.name) if executable is not None else None
        if executable is not None and match and match[1] not in found and _is_program(executable):
            found[match[1]] = Interpreter(match[1], executable)
    return found


def _candidates() -> Iterator[Path]:
    yield Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    uv = Path(os.environ.get("UV_PYTHON_INSTALL_DIR") or Path.home() / ".local" / "share" / "uv" / "python")
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    for root in (uv, pyenv):
        yield from sorted(_below(root, "*/bin/python3.*"), reverse=True)
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        if folder:
            yield from sorted(_below(Path(folder), "python3.*"))


def _below(folder: Path, pattern: str) -> list[Path]:
    """None where it may not be entered, as the directories of a PATH that was another user's."""
    try:
        return list(folder.glob(pattern))
    except OSError:
        return []


def _resolved(path: Path) -> Path | None:
    """A file, links followed; None where there is none, or it cannot be reached."""
    try:
        real = path.resolve(strict=True)
        return real if real.is_file() else None
    except (OSError, RuntimeError):  # A loop of links is either, by the version of Python.
        return None


def _is_program(path: Path) -> bool:
    """False for the shims of version managers, which are scripts."""
    try:
        with path.open("rb") as file:
            return file.read(4) == b"\x7fELF" and os.access(path, os.X_OK)
    except OSError:
        return False
