"""What a user writes for an issue or a pull request."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from podgym.envs.build.github.errors import Unresolved

__all__ = ["IssueReference", "parse_reference"]

_SHORT: Final = re.compile(r"(?P<owner>[A-Za-z0-9](?:[A-Za-z0-9-]{0,38}))/(?P<name>[A-Za-z0-9._-]{1,100})#(?P<number>[1-9][0-9]{0,9})")
_URL: Final = re.compile(
    r"(?P<web>https?://[^/\s]+)/(?P<owner>[A-Za-z0-9][A-Za-z0-9-]{0,38})/(?P<name>[A-Za-z0-9._-]{1,100})/(?:issues|pull|pulls)/"
    r"(?P<number>[1-9][0-9]{0,9})(?:[/?#].*)?"
)


@dataclass(frozen=True, slots=True)
class IssueReference:
    """One number of one repository; pull requests and issues share their numbers."""

    owner: str
    name: str
    number: int
    web: str = ""
    """Of the server that a URL names, such as `https://github.com`; empty where none was named."""

    @property
    def repository(self) -> str:
        """`owner/name`."""
        return f"{self.owner}/{self.name}"

    def __str__(self) -> str:
        return f"{self.repository}#{self.number}"


def parse_reference(text: str) -> IssueReference:
    """Of `owner/name#123` or the page's URL. Raises `Unresolved` for anything else."""
    match = _SHORT.fullmatch(text.strip()) or _URL.fullmatch(text.strip())
    if match is None or match["name"] in (".", ".."):
        raise Unresolved(f"{text!r} names no issue.", remedy="Write owner/name#123, or the URL of the issue or the pull request.")
    parts = match.groupdict()
    return IssueReference(parts["owner"], parts["name"], int(parts["number"]), parts.get("web") or "")
