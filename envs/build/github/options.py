"""How GitHub is asked."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["GitHubOptions"]


class GitHubOptions(BaseModel):
    """Of GitHub itself or of an Enterprise server."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(default="https://api.github.com", pattern=r"^https?://")
    """Of the REST API; an Enterprise server has it at `https://HOST/api/v3`."""
    token_variable: str = "GITHUB_TOKEN"
    """Environment variable that holds the token. Without one public repositories can be read, sixty requests an hour."""
    timeout_s: float = Field(default=30.0, gt=0)
    """One request."""
    retries: int = Field(default=5, ge=0)
    """After failures of the server or the network, for each request."""
    budget_s: float = Field(default=900.0, gt=0)
    """All that is waited for retries and limits together."""
    pages: int = Field(default=50, ge=1)
    """Of a hundred entries each, at most, of one list."""
    answer_bytes: int = Field(default=32 << 20, gt=0)
    """A larger answer is refused."""
