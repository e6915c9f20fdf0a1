"""One installed toolchain, as sandboxes see it: at its own place, read-only, first on PATH."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

__all__ = ["Toolchain", "accepts", "combined", "installed_at", "numbers"]

_SHARED: Final = frozenset({"/bin", "/usr/bin", "/usr/local/bin"})
_NO_VARIABLES: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Toolchain:
    """What a sandbox of an image with this toolchain gets."""

    tool: str
    version: str
    """Dotted numbers; of a pre-release also its channel (`1.97.0-nightly`)."""
    identity: str
    """Part of the name of every layer that is made with it; changes when it is replaced by another version in the same place."""
    directories: tuple[Path, ...] = ()
    """All that it consists of."""
    path: tuple[str, ...] = ()
    """Goes before the usual PATH."""
    env: Mapping[str, str] = field(default_factory=lambda: _NO_VARIABLES)
    """What the public image sets."""
    places: Mapping[str, str] = field(default_factory=lambda: _NO_VARIABLES)
    """Variables that name a directory of the sandbox's own, whose `bin` goes first on PATH."""
    links: tuple[tuple[str, str], ...] = ()
    """Path in the sandbox and program of the machine, for commands that go by another name here."""
    files: tuple[tuple[str, str, int], ...] = ()
    """Path in the sandbox, text and mode of small files that it is set up by."""
    public: tuple[str, ...] = ()
    """Directories on PATH where the public image has its programs."""
    kept: tuple[str, ...] = ()
    """Directories of the sandbox's own that its package manager installs to: images keep them, as the public image would."""

    def environment(self, path: str, *, isolated: bool) -> dict[str, str]:
        """Variables over the usual `path`. Where nothing is isolated, the places would be the machine's, and are left out."""
        places = self.places if isolated else _NO_VARIABLES
        entries = (*(f"{place}/bin" for place in places.values()), *self.path, path)
        return {"PATH": ":".join(entries), **self.env, **places}

    def on_path(self, path: str) -> str:
        """A PATH that was written for the public image, with our directories before the first that has the toolchain there."""
        entries = path.split(":")
        at = next((index for index, entry in enumerate(entries) if entry in self.public), None)
        if at is None or all(entry in entries[:at] for entry in self.path):
            return path
        return ":".join((*entries[:at], *self.path, *entries[at:]))


def installed_at(
    root: Path,
    tool: str,
    version: str,
    *,
    programs: tuple[str, ...] = (),
    env: Mapping[str, str] = _NO_VARIABLES,
    places: Mapping[str, str] = _NO_VARIABLES,
    public: tuple[str, ...] = (),
) -> Toolchain:
    """A toolchain with its programs in `root/bin`.

    Where that holds the distribution's programs, too, only `programs` go first on PATH, because the order of the rest is the
    machine's.
    """
    identity = f"{tool} {version} {root}"
    if f"{root}/bin" not in _SHARED:
        return Toolchain(tool, version, identity, (root,), (f"{root}/bin",), env, places, public=public)
    here = (name for name in programs if (root / "bin" / name).exists())
    links = tuple((f"/opt/{tool}/bin/{name}", f"{root}/bin/{name}") for name in here)
    return Toolchain(tool, version, identity, (root,), (f"/opt/{tool}/bin",), env, places, links, public=public)


def numbers(version: str) -> tuple[int, ...]:
    """For comparing: the dotted numbers at the beginning."""
    return tuple(int(part) for part in re.findall(r"\d+", version.partition("-")[0]))


def accepts(wanted: str, version: str) -> bool:
    """Whether an installed version is what a tag says, at the tag's precision; an empty tag takes any that is released."""
    channel = version.partition("-")[2]
    if channel or (wanted and not wanted[0].isdigit()):
        return bool(wanted) and wanted == channel
    asked = numbers(wanted)
    # `go1.20` is 1.20.0.
    return (numbers(version) + (0,) * len(asked))[: len(asked)] == asked


def combined(parts: Sequence[Toolchain]) -> Toolchain:
    """Several as one, the first before the others."""
    if len(parts) == 1:
        return parts[0]
    return Toolchain(
        tool="+".join(part.tool for part in parts),
        version="+".join(part.version for part in parts),
        identity="\n".join(part.identity for part in parts),
        directories=tuple(dict.fromkeys(folder for part in parts for folder in part.directories)),
        path=tuple(dict.fromkeys(entry for part in parts for entry in part.path)),
        env={name: value for part in reversed(parts) for name, value in part.env.items()},
        places={name: value for part in reversed(parts) for name, value in part.places.items()},
        links=tuple(link for part in parts for link in part.links),
        files=tuple(file for part in parts for file in part.files),
        public=tuple(dict.fromkeys(entry for part in parts for entry in part.public)),
        kept=tuple(dict.fromkeys(path for part in parts for path in part.kept)),
    )
