"""Where toolchains may lie: PATH, variables of the environment, and the directories of installers and version managers."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from podgym.sandbox.local.toolchains.toolchain import numbers

__all__ = ["Places", "ask", "first_line", "listed"]

_ASK_TIMEOUT_S: Final = 10.0
_USUAL: Final = ("/usr/local/bin", "/usr/bin", "/bin")
_SHARED: Final = ("opt", "srv", "mnt", "var", "tmp", "home")
_TEXT_BYTES: Final = 65_536


@dataclass(frozen=True, slots=True)
class Places:
    """One machine, as far as looking for toolchains goes. Nothing is run, and only names are read."""

    env: Mapping[str, str]
    home: Path
    top: Path = Path("/")
    configured: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Directories by tool, which go first."""

    @classmethod
    def of_this_process(cls, configured: Mapping[str, Sequence[str]]) -> Places:
        """Those of the driver."""
        return cls(dict(os.environ), Path.home(), configured=configured)

    def programs(self, *names: str) -> Iterator[Path]:
        """Programs on PATH, links followed; the shims of version managers among them."""
        for folder in (*self.env.get("PATH", "").split(os.pathsep), *(str(self.top / usual[1:]) for usual in _USUAL)):
            for name in names:
                program = Path(folder, name)
                if not folder.startswith("/"):
                    continue
                try:
                    found = program.resolve(strict=True) if program.is_file() and os.access(program, os.X_OK) else None
                except (OSError, RuntimeError):  # It may not be entered, or its links go round.
                    continue
                if found is not None:
                    yield found

    def named(self, *variables: str) -> Iterator[Path]:
        """Directories that variables name."""
        for name in variables:
            if value := self.env.get(name):
                yield Path(value)

    def below_home(self, *patterns: str) -> Iterator[Path]:
        """Directories below the home directory, newest version first."""
        return _matching(self.home, patterns)

    def below_top(self, *patterns: str) -> Iterator[Path]:
        """Directories below the root directory, newest version first."""
        return _matching(self.top, patterns)

    def is_dedicated(self, root: Path) -> bool:
        """Whether a directory may hold one installation and nothing else, so that it can be shown to sandboxes."""
        return not self.home.is_relative_to(root) and root not in {self.home / ".local", *(self.top / name for name in _SHARED)}


def _matching(top: Path, patterns: Sequence[str]) -> Iterator[Path]:
    for pattern in patterns:
        yield from sorted(listed(top, pattern), key=lambda path: (numbers(path.name.replace("-", ".")), path.name), reverse=True)


def listed(folder: Path, pattern: str) -> list[Path]:
    """What matches below a directory, in any order; nothing where it may not be entered."""
    try:
        return list(folder.glob(pattern))
    except (OSError, RuntimeError):
        return []


def ask(program: Path, *arguments: str) -> str:
    """What an installed program says about itself; empty where it cannot be run."""
    try:
        said = subprocess.run(
            [program, *arguments],
            env={"PATH": os.pathsep.join(_USUAL), "LANG": "C.UTF-8", "HOME": "/nonexistent"},
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_ASK_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return said.stdout[:_TEXT_BYTES].decode("utf-8", "replace")


def first_line(path: Path) -> str:
    """Of a small file; empty where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.readline(_TEXT_BYTES).decode("utf-8", "replace").strip()
    except OSError:
        return ""
