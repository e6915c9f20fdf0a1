"""Images as data: a recipe that every provider can make an image from.

A provider with real images turns the recipe into a Dockerfile; the local provider runs the same steps once in a
writable sandbox and keeps what they wrote. Two equal recipes over equal context files are one image: its tag is the
digest of both, so an image is built once per machine and never stale.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from podgym.sandbox.errors import ImageError
from podgym.sandbox.values import Directory, PackageName, Variables

__all__ = ["BUILD_LOG_CHARACTERS", "INSTALL_LOG", "Copy", "ImageRecipe", "Step"]

BUILD_LOG_CHARACTERS: Final = 65_536
"""What an `ImageError` keeps of the end of a failing step's log; its message has less."""
INSTALL_LOG: Final = "/opt/podgym/install.log"
"""In an image that keeps its directory: what could not be installed, a line each."""


class Copy(BaseModel):
    """A file or directory of the context that is laid into the image. A `.tar` is unpacked at `target`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    """Relative to the context; must not leave it."""
    target: str
    """Absolute directory in the image for a `.tar` or a directory, absolute file path otherwise."""


class Step(BaseModel):
    """One shell command of the build, run as root with the network, in `ImageRecipe.workdir`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: str
    timeout_s: float = Field(default=1800.0, gt=0)


class ImageRecipe(BaseModel):
    """Base, then `before` (dependencies: the layers that tasks of one repository share), copies, then `after`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: str
    """A public image name such as `python:3.11-bookworm`. The local provider reads it as the toolchain to expose."""
    workdir: Directory = "/workspace"
    env: Variables = Field(default_factory=dict)
    packages: tuple[PackageName, ...] = ()
    """Of Debian, installed first; one that the distribution does not have is left out. The local provider installs none: its
    sandboxes see what the machine has. Either way what is left out is said in `INSTALL_LOG`."""
    before_copies: tuple[Copy, ...] = ()
    before: tuple[Step, ...] = ()
    copies: tuple[Copy, ...] = ()
    after: tuple[Step, ...] = ()
    writable: tuple[str, ...] = ()
    """Absolute directories besides `workdir` that steps or the agent write to (a virtual environment, say); they are there before
    the first step. The local provider keeps exactly these and `workdir`; images made by Docker keep everything."""

    def stamp(self, context: Path | None) -> tuple[object, ...]:
        """Identity of the recipe over its context, from file status only: while it is the same, so is the digest."""
        stamps: list[object] = [self.model_dump_json(), context]
        if context is not None:
            for copy in (*self.before_copies, *self.copies):
                source = context / copy.source
                for path in sorted(source.rglob("*")) if source.is_dir() else [source]:
                    try:
                        status = path.stat()
                    except OSError:
                        stamps.append((path, None))
                    else:
                        stamps.append((path, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns))
        return tuple(stamps)

    def digest(self, context: Path | None) -> str:
        """16 hex digits over the recipe and every context file that it copies.

        Raises `ImageError` for a copy whose source is missing or leaves the context.
        """
        sha = hashlib.sha256(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode())
        for copy in (*self.before_copies, *self.copies):
            if context is None:
                raise ImageError(
                    f"Recipe copies {copy.source!r}, but its task has no context directory.",
                    remedy="Load the task from its directory.",
                )
            root = context.resolve()
            source = (root / copy.source).resolve()
            if root not in (source, *source.parents) or not source.exists():
                raise ImageError(
                    f"Recipe copies {copy.source!r}, which is not inside {root}.",
                    remedy="Rebuild the task, or restore its environment/ directory.",
                )
            files = [source] if source.is_file() else sorted(p for p in source.rglob("*") if p.is_file())
            for file in files:
                sha.update(f"{file.relative_to(root)}\0{file.stat().st_mode & 0o111:o}\0".encode())
                with file.open("rb") as data:
                    sha.update(hashlib.file_digest(data, "sha256").digest())
        return sha.hexdigest()[:16]
