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
        executable = Path(path).resolve()
        if not executable.is_file():
            raise ImageError(f"Configured Python {version} is not a file: {path}.", remedy="Correct `pythons` of the local provider.")
        found[version] = Interpreter(version, executable)
    for candidate in _candidates():
        executable = candidate.resolve()
        match = _EXECUTABLE.fullmatch(executable.name)
        if match and match[1] not in found and _is_program(executable):
            found[match[1]] = Interpreter(match[1], executable)
    return found


def _candidates() -> Iterator[Path]:
    yield Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    uv = Path(os.environ.get("UV_PYTHON_INSTALL_DIR") or Path.home() / ".local" / "share" / "uv" / "python")
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    for root in (uv, pyenv):
        if root.is_dir():
            yield from sorted(root.glob("*/bin/python3.*"), reverse=True)
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        if folder and Path(folder).is_dir():
            yield from sorted(Path(folder).glob("python3.*"))


def _is_program(path: Path) -> bool:
    """False for the shims of version managers, which are scripts."""
    try:
        with path.open("rb") as file:
            return file.read(4) == b"\x7fELF" and os.access(path, os.X_OK)
    except OSError:
        return False
