"""Settings of the local provider."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

__all__ = ["LocalConfig"]


def _default_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "podgym" / "images"


def _default_scratch() -> Path:
    return Path(tempfile.gettempdir()) / f"podgym-{os.getuid()}"


class LocalConfig(BaseModel):
    """How `LocalProvider` makes sandboxes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    isolation: Literal["require", "prefer", "off"] = "prefer"
    """`require`: refuse to start where namespaces cannot be made. `prefer`: warn once and go on without. `off`: never
    isolate; commands then run as the driver's user and see the machine, and images that are made by commands are refused."""
    cache: Path = Field(default_factory=_default_cache)
    """Where image layers are kept."""
    scratch: Path = Field(default_factory=_default_scratch)
    """Where sandboxes keep files that are not in memory; one directory per provider, removed at its end."""
    storage: Literal["memory", "disk"] = "memory"
    """Where a sandbox's own files live. In memory they count towards its memory limit and are bounded together by the
    smaller of `disk_bytes` and half of `memory_bytes`; on disk only each file is bounded."""
    expose: tuple[str, ...] = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc")
    """Directories of the machine that every sandbox sees, read-only."""
    hide: tuple[str, ...] = ()
    """Directories below exposed ones that sandboxes see empty; the driver's working directory and the cache always are."""
    pythons: dict[str, str] = Field(default_factory=dict)
    """Interpreters by minor version (`{"3.12": "/opt/python3.12/bin/python3.12"}`), before those that are found."""
    toolchains: dict[Literal["go", "rust", "node", "java", "maven", "gradle"], tuple[str, ...]] = Field(default_factory=dict)
    """Directories of installations by tool (`{"go": ["/data/go1.22"]}`), before those that are found."""
    host_uid: int = Field(default=60639, gt=0)
    """The unprivileged user that sandboxes are to the machine when the driver is root; must be mapped and unused."""
    cgroups: bool = True
    """Bound memory and CPU by control groups where they can be made; otherwise memory is bounded per process."""
    read_limit_bytes: int = Field(default=256 << 20, gt=0)
    """The largest file that `read` returns."""
    start_timeout_s: float = Field(default=20.0, gt=0)
    """Bound on starting the provider, and on making one sandbox."""
    starts_at_once: int | None = Field(default=None, gt=0)
    """Commands that may be in their first milliseconds at once, the others waiting; two per CPU where it is not given."""
    close_timeout_s: float = Field(default=10.0, gt=0)
    """Bound on ending one sandbox, and on ending the provider."""
    image_lock_timeout_s: float = Field(default=3600.0, gt=0)
    """How long to wait while another process builds the same image."""

    @field_validator("cache", "scratch")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        """The processes that use them work in other directories than the one that named them."""
        return path.absolute()
