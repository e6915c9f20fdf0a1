"""Options of the Docker provider, as `[sandbox.options]` of a job gives them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

__all__ = ["DockerConfig"]


def _own_bundle() -> Path | None:
    named = os.environ.get("SSL_CERT_FILE")
    return Path(named) if named and Path(named).is_file() else None


class DockerConfig(BaseModel):
    """Every wait is bounded by one of these."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base_url: str | None = None
    """Engine to use, such as `unix:///run/docker.sock`; by default what DOCKER_HOST says."""
    runtime: str | None = None
    """Container runtime, such as `runsc` for gVisor."""
    network: str = "bridge"
    """The engine's network that sandboxes with the network join."""
    pull: Literal["missing", "never"] = "missing"
    """Whether images without a recipe are pulled."""
    build_network: str | None = None
    """Network of image builds, such as `host` or `bridge`. By default the engine's own, or `host` where containers on the engine's
    default network reach nothing that those on the host's network reach; that is tried once, before the first build."""
    build_args: dict[str, str] = Field(default_factory=dict)
    """Environment of every build's steps, such as HTTPS_PROXY or PIP_INDEX_URL. All but proxies are kept in the image's
    history, so no secrets."""
    build_ca_bundle: Path | None = Field(default_factory=_own_bundle)
    """PEM file with the certificates that a build's steps trust; what SSL_CERT_FILE names, where it is set. Images do not keep it,
    and their names do not depend on it. Empty for none."""
    capabilities: tuple[str, ...] = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID")
    """All that root inside keeps: enough to install packages, too little to leave."""
    concurrency: int = Field(default=32, ge=1)
    """Calls to the engine in flight at once."""
    connect_timeout_s: float = Field(default=10.0, gt=0)
    """The engine's first answer."""
    call_timeout_s: float = Field(default=120.0, gt=0)
    """One call to the engine: creating, starting, removing a container, starting a command."""
    build_timeout_s: float = Field(default=3600.0, gt=0)
    """One image build or pull."""

    @field_validator("build_ca_bundle", mode="before")
    @classmethod
    def _none(cls, path: Any) -> Any:
        """TOML has no null."""
        return None if path == "" else path
