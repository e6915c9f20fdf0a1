"""Issues and pull requests of GitHub, or of an Enterprise server, as fixes to build tasks from."""

from podgym.envs.build.github.errors import (
    GitHubError,
    GitHubMissing,
    GitHubRefused,
    GitHubUnavailable,
    MalformedAnswer,
    RateLimited,
    Unresolved,
)
from podgym.envs.build.github.options import GitHubOptions
from podgym.envs.build.github.reference import IssueReference, parse_reference
from podgym.envs.build.github.resolve import ResolvedIssue, resolve_issue

__all__ = [
    "GitHubError",
    "GitHubMissing",
    "GitHubOptions",
    "GitHubRefused",
    "GitHubUnavailable",
    "IssueReference",
    "MalformedAnswer",
    "RateLimited",
    "ResolvedIssue",
    "Unresolved",
    "parse_reference",
    "resolve_issue",
]
