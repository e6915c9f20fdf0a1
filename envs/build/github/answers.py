"""The fields of GitHub's answers that are read. What is missing or of another kind is a `MalformedAnswer` that names it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from podgym.envs.build.github.errors import MalformedAnswer

__all__ = ["Comment", "Commit", "Event", "Issue", "Pull", "Repository", "read"]


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _User(_Answer):
    login: str = ""
    type: str = "User"


class Repository(_Answer):
    """Of `/repos/OWNER/NAME`."""

    full_name: str
    clone_url: str
    html_url: str
    default_branch: str = ""
    private: bool = False


class _PullMark(_Answer):
    merged_at: datetime | None = None


class Issue(_Answer):
    """An issue, or the issue's half of a pull request."""

    number: int
    title: str
    state: str = ""
    body: str | None = None
    html_url: str = ""
    created_at: datetime
    updated_at: datetime | None = None
    closed_at: datetime | None = None
    pull_request: _PullMark | None = None
    user: _User | None = None


class Comment(_Answer):
    """On an issue."""

    id: int = 0
    body: str | None = None
    created_at: datetime
    updated_at: datetime | None = None
    user: _User | None = None

    @property
    def by_bot(self) -> bool:
        """Whether a program wrote it."""
        return self.user is not None and (self.user.type == "Bot" or self.user.login.endswith("[bot]"))


class _Place(_Answer):
    full_name: str = ""


class _SourceIssue(Issue):
    repository: _Place | None = None


class _Source(_Answer):
    type: str = ""
    issue: _SourceIssue | None = None


class _Rename(_Answer):
    before: str = Field(default="", alias="from")
    to: str = ""


class Event(_Answer):
    """Of an issue's timeline; the kinds have few fields in common."""

    event: str = ""
    created_at: datetime | None = None
    commit_id: str | None = None
    commit_url: str | None = None
    source: _Source | None = None
    rename: _Rename | None = None


class _End(_Answer):
    ref: str = ""
    sha: str


class Pull(_Answer):
    """A pull request."""

    number: int
    title: str
    body: str | None = None
    html_url: str = ""
    created_at: datetime
    merged_at: datetime | None = None
    merge_commit_sha: str | None = None
    commits: int | None = None
    base: _End
    head: _End


class _Person(_Answer):
    date: datetime | None = None


class _CommitText(_Answer):
    message: str = ""
    author: _Person | None = None
    committer: _Person | None = None


class _Id(_Answer):
    sha: str = Field(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")


class Commit(_Id):
    """One commit."""

    commit: _CommitText
    parents: tuple[_Id, ...] = ()

    @property
    def dates(self) -> list[datetime]:
        """When it was written and committed, as far as it says."""
        people = (self.commit.author, self.commit.committer)
        return [person.date for person in people if person is not None and person.date is not None]

    @property
    def identity(self) -> tuple[str, datetime | None]:
        """What stays when it is rebased."""
        return self.commit.message.strip(), self.commit.author.date if self.commit.author is not None else None


_Kind = TypeVar("_Kind", bound=_Answer)


def read(kind: type[_Kind], data: Mapping[str, Any], what: str) -> _Kind:
    """An answer as its kind. Raises `MalformedAnswer`."""
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise MalformedAnswer(
            f"GitHub's answer about {what} has no usable {place or 'content'}: {first['msg']}.",
            remedy="Check that the URL is that of GitHub's REST API, version 3.",
        ) from error
