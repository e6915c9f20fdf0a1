"""Which directories of the machine sandboxes see besides the exposed ones, and what of the exposed ones they do not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from podgym.sandbox.local.config import LocalConfig

__all__ = ["Binds", "masks"]

_MANAGERS: Final = frozenset({"node-versions", "python", "toolchains", "versions"})
_PARENTS_OF_MANAGERS: Final = frozenset({"candidates", "versions"})


class Binds:
    """Toolchains outside the exposed directories. Those of one version manager share its directory, and so one mount."""

    def __init__(self, directories: Iterable[Path], expose: Sequence[str]) -> None:
        self.mounts: dict[Path, str] = {}
        """Directory of the machine, and the name that the helper has for it."""
        for directory in directories:
            if not any(directory.is_relative_to(path) for path in expose):
                self.mounts.setdefault(_manager(directory), f"tc{len(self.mounts)}")

    def of(self, directories: Iterable[Path]) -> list[tuple[str, str]]:
        """What a sandbox mounts to see these at their own places: name in the helper, and place."""
        found = []
        for directory in directories:
            for folder, name in self.mounts.items():
                if directory.is_relative_to(folder):
                    below = directory.relative_to(folder)
                    found.append((f"{name}/{below}" if below.parts else name, str(directory)))
                    break
        return found


def _manager(directory: Path) -> Path:
    shared = directory.parent.name in _MANAGERS or directory.parent.parent.name in _PARENTS_OF_MANAGERS
    return directory.parent if shared else directory


def masks(config: LocalConfig, binds: Binds) -> list[str]:
    """What to hide below exposed directories, never an exposed directory or a toolchain itself."""
    wanted = {Path(path) for path in config.hide} | {Path.cwd(), config.cache, config.scratch}
    kept = [*(Path(path) for path in config.expose), *binds.mounts, Path("/usr/bin"), Path("/usr/lib"), Path("/usr/lib64")]
    hidden = [path for path in wanted if any(path.is_relative_to(top) for top in config.expose)]
    return [str(path) for path in sorted(hidden) if not any(top.is_relative_to(path) for top in kept)]
