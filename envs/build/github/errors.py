"""What can go wrong between an issue's name and the commit that closed it."""

from __future__ import annotations

from podgym.errors import PodgymError

__all__ = ["GitHubError", "GitHubMissing", "GitHubRefused", "GitHubUnavailable", "MalformedAnswer", "RateLimited", "Unresolved"]


class GitHubError(PodgymError):
    """Any of them."""


class GitHubRefused(GitHubError, PermissionError):
    """The token is not good, or not good for this."""


class GitHubMissing(GitHubError, LookupError):
    """There is nothing of that name, or nothing that the caller may see: GitHub does not tell the two apart."""


class GitHubUnavailable(GitHubError, ConnectionError):
    """The server cannot be reached or keeps failing."""


class RateLimited(GitHubError, TimeoutError):
    """The limit lasts longer than is waited. `reset_s` is when it ends, in seconds since 1970, where that was said."""

    def __init__(self, message: str, *, remedy: str = "", reset_s: float | None = None) -> None:
        super().__init__(message, remedy=remedy)
        self.reset_s = reset_s


class MalformedAnswer(GitHubError, ValueError):
    """The server answered with what is not its API."""


class Unresolved(GitHubError, ValueError):
    """The issue is there, and no commit can be said to have closed it."""
