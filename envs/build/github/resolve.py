"""From `owner/name#123` to the commit that closed it, the commit before, and the issue's text of that time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlsplit

from pydantic import BaseModel, ConfigDict

from podgym.envs.build.github.answers import Comment, Commit, Event, Issue, Pull, Repository, read
from podgym.envs.build.github.client import GitHubClient
from podgym.envs.build.github.closing import closing_of, mentioned
from podgym.envs.build.github.errors import GitHubMissing, Unresolved
from podgym.envs.build.github.merging import Merge, merge_of
from podgym.envs.build.github.options import GitHubOptions
from podgym.envs.build.github.reference import IssueReference, parse_reference
from podgym.envs.build.github.text import text_of

__all__ = ["ResolvedIssue", "resolve_issue"]


class ResolvedIssue(BaseModel):
    """All that a build needs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    repository: str
    """`owner/name`, as the server calls it now."""
    url: str
    """To clone from; without a token, which git gets by its own ways."""
    issue: int
    """Whose text it is: for a pull request the issue that it closes, where it closes one."""
    pull: int | None
    """The pull request; None where a commit closed the issue by itself."""
    fix: str
    """Commit with the whole fix."""
    base: str
    """Commit before it."""
    parent: int | None
    """Of a merge commit: which of its parents `base` is, from 1."""
    merged: str
    """`merge`, `squash`, `rebase`, or `commit` where there was no pull request."""
    commits: int
    """From base to fix: more than one for a pull request that was rebased, and then `base` is no parent of `fix`."""
    text: str
    notes: tuple[str, ...] = ()
    provenance: dict[str, str]


async def resolve_issue(
    reference: str | IssueReference,
    *,
    options: GitHubOptions | None = None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    clock: Callable[[], float] = time.time,
) -> ResolvedIssue:
    """Ask GitHub. Raises a `GitHubError`."""
    named = parse_reference(reference) if isinstance(reference, str) else reference
    chosen = options or _options_for(named)
    async with GitHubClient(chosen, sleep=sleep, clock=clock) as client:
        return await _Resolver(client, named).run()


def _options_for(named: IssueReference) -> GitHubOptions:
    """Of the server that a URL names."""
    host = urlsplit(named.web).netloc.lower()
    if not host or host in ("github.com", "www.github.com"):
        return GitHubOptions()
    return GitHubOptions(url=f"{named.web}/api/v3")


class _Resolver:
    """One reference."""

    def __init__(self, client: GitHubClient, named: IssueReference) -> None:
        self._client, self._named = client, named
        self._at = f"/repos/{quote(named.owner)}/{quote(named.name)}"
        self._notes: list[str] = []

    async def run(self) -> ResolvedIssue:
        """Raises a `GitHubError`."""
        repository = read(Repository, await self._client.get(self._at), self._named.repository)
        if repository.full_name.lower() != self._named.repository.lower():
            self._notes.append(f"{self._named.repository} is {repository.full_name} now")
            self._at = f"/repos/{quote(repository.full_name)}"
        issue = await self._issue(self._named.number)
        pull: Pull | None
        if issue.pull_request is not None:
            pull = await self._pull(issue.number)
            issue = await self._issue_of(pull, issue, repository.full_name)
            events = await self._events(issue.number)
            merge, own = await self._merged(pull)
        else:
            events = await self._events(issue.number)
            pull, merge, own = await self._closed(issue, events, repository.full_name)
        until = _begun(pull, own)
        comments = [read(Comment, one, f"a comment on #{issue.number}") for one in await self._all(f"/issues/{issue.number}/comments")]
        told = text_of(
            issue,
            comments if issue.pull_request is None else (),
            events,
            until=until,
            repository=repository.full_name,
            fixes=[pull.number] if pull is not None else [],
            commits=[merge.fix, *(commit.sha for commit in own)],
        )
        if told.left_out:
            self._notes.append(f"{told.left_out} comment(s) left out: later than the fix was begun, changed later, or a program's")
        if merge.commits > 1:
            self._notes.append(f"the pull request was rebased: its fix is {merge.commits} commits")
        return ResolvedIssue(
            repository=repository.full_name,
            url=repository.clone_url,
            issue=issue.number,
            pull=pull.number if pull is not None else None,
            fix=merge.fix,
            base=merge.base,
            parent=merge.parent,
            merged=merge.how,
            commits=merge.commits,
            text=told.text,
            notes=tuple(self._notes),
            provenance={
                "issue": issue.html_url or f"{repository.html_url}/issues/{issue.number}",
                **({"pull": pull.html_url or f"{repository.html_url}/pull/{pull.number}"} if pull is not None else {}),
                "created": issue.created_at.isoformat(),
                "known_until": until.isoformat(),
            },
        )

    async def _all(self, path: str) -> list[dict[str, Any]]:
        return [entry async for entry in self._client.pages(f"{self._at}{path}")]

    async def _issue(self, number: int) -> Issue:
        return read(Issue, await self._client.get(f"{self._at}/issues/{number}"), f"#{number}")

    async def _pull(self, number: int) -> Pull:
        pull = read(Pull, await self._client.get(f"{self._at}/pulls/{number}"), f"pull request #{number}")
        if pull.merged_at is None or not pull.merge_commit_sha:
            raise Unresolved(f"Pull request #{number} of {self._named.repository} was not merged.", remedy="Choose one that was merged.")
        return pull

    async def _commit(self, sha: str) -> Commit:
        return read(Commit, await self._client.get(f"{self._at}/commits/{quote(sha)}"), f"commit {sha[:12]}")

    async def _events(self, number: int) -> list[Event]:
        return [read(Event, one, f"the timeline of #{number}") for one in await self._all(f"/issues/{number}/timeline")]

    async def _issue_of(self, pull: Pull, own: Issue, repository: str) -> Issue:
        """The first issue that a pull request says it closes; its own text where there is none."""
        for number in mentioned(f"{pull.title}\n{pull.body or ''}", repository):
            try:
                found = await self._issue(number)
            except GitHubMissing:
                continue
            if found.pull_request is None:
                return found
        self._notes.append(f"pull request #{pull.number} closes no issue, so its own text is the instruction and may tell of the fix")
        return own

    async def _merged(self, pull: Pull) -> tuple[Merge, Sequence[Commit]]:
        assert pull.merge_commit_sha is not None
        own = [read(Commit, one, f"a commit of #{pull.number}") for one in await self._all(f"/pulls/{pull.number}/commits")]
        return await merge_of(await self._commit(pull.merge_commit_sha), own, self._commit), own

    async def _closed(self, issue: Issue, events: Sequence[Event], repository: str) -> tuple[Pull | None, Merge, Sequence[Commit]]:
        """What closed an issue."""
        closing = closing_of(issue, events, repository)
        pulls = list(closing.pulls)
        if closing.commit:
            # A commit that is a pull request's says more than words do.
            try:
                beside = await self._all(f"/commits/{quote(closing.commit)}/pulls")
            except GitHubMissing:
                beside = []
            found = [read(Pull, one, f"a pull request of {closing.commit[:12]}") for one in beside]
            merged = [one for one in found if one.merged_at is not None]
            pulls = [*(one.number for one in merged if one.merge_commit_sha == closing.commit), *(one.number for one in merged), *pulls]
        if pulls:
            chosen, *others = dict.fromkeys(pulls)
            if others:
                self._notes.append(f"pull request #{chosen} is taken; {', '.join(f'#{one}' for one in others)} may belong to the fix too")
            pull = await self._pull(chosen)
            merge, own = await self._merged(pull)
            return pull, merge, own
        if closing.commit:
            try:
                last = await self._commit(closing.commit)
            except GitHubMissing as error:
                raise Unresolved(
                    f"#{issue.number} was closed by commit {closing.commit[:12]}, which is not in {repository}.", remedy=error.remedy
                ) from error
            merge = await merge_of(last, (), self._commit)
            return None, Merge(merge.fix, merge.base, merge.parent, "commit", 1), (last,)
        state = "is still open" if issue.state == "open" else "was closed, and no merged pull request or commit says that it did it"
        raise Unresolved(
            f"{repository}#{issue.number} {state}.", remedy="Name the pull request or, with --commit, the commit that mended it."
        )


def _begun(pull: Pull | None, own: Sequence[Commit]) -> datetime:
    """When the fix was begun: from then on the issue's talk may know it."""
    known = [date for commit in own for date in commit.dates]
    return min([*known, *([pull.created_at] if pull is not None else [])])
