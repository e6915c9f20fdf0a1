"""GitHub's REST API: one request at a time, with its limits kept and its failures told apart.

A primary limit says when it ends (`x-ratelimit-reset`), a secondary one how long to wait (`retry-after`, or a minute, doubled each
time). Both are waited for as far as the budget goes, and so are failures of the server and the network, with jitter. The token goes to
the API's own origin and nowhere else: neither a redirect nor a link to the next page can lead it away.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urlsplit

import orjson

from podgym.envs.build.github.errors import (
    GitHubError,
    GitHubMissing,
    GitHubRefused,
    GitHubUnavailable,
    MalformedAnswer,
    RateLimited,
)
from podgym.envs.build.github.options import GitHubOptions

if TYPE_CHECKING:
    import httpx

__all__ = ["GitHubClient"]

_PAGE: Final = 100
_SECONDARY_S: Final = 60.0
_REDIRECTS: Final = 5
_NEXT: Final = re.compile(r'<([^>]*)>\s*;[^,]*\brel="?next"?')
_LIMITED: Final = re.compile(r"rate limit|abuse detection", re.IGNORECASE)
_AGAIN: Final = frozenset({408, 425, 500, 502, 503, 504, 520, 522, 524})


class GitHubClient:
    """Use it as a context manager, or `close` it."""

    def __init__(
        self,
        options: GitHubOptions,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.time,
    ) -> None:
        import httpx

        token = os.environ.get(options.token_variable, "").strip()
        self._options, self._sleep, self._clock = options, sleep, clock
        self._authorised = bool(token)
        self._left_s = options.budget_s
        self._base = options.url.rstrip("/")
        headers = {"accept": "application/vnd.github+json", "x-github-api-version": "2022-11-28", "user-agent": "podgym"}
        self._client: httpx.AsyncClient = httpx.AsyncClient(
            timeout=options.timeout_s, headers=headers | ({"authorization": f"Bearer {token}"} if token else {})
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Idempotent."""
        await self._client.aclose()

    async def get(self, path: str) -> dict[str, Any]:
        """One object, at a path such as `/repos/o/n`. Raises a `GitHubError`."""
        data, _ = await self._ask(f"{self._base}{path}")
        if not isinstance(data, dict):
            raise MalformedAnswer(f"{path} gave {type(data).__name__} and not an object.", remedy=self._check_url())
        return data

    async def pages(self, path: str) -> AsyncIterator[dict[str, Any]]:
        """The entries of a list, page after page. Raises a `GitHubError`."""
        url: str | None = f"{self._base}{path}{'&' if '?' in path else '?'}per_page={_PAGE}"
        for _ in range(self._options.pages):
            if url is None:
                return
            data, headers = await self._ask(url)
            if not isinstance(data, list):
                raise MalformedAnswer(f"{path} gave {type(data).__name__} and not a list.", remedy=self._check_url())
            for entry in data:
                if isinstance(entry, dict):
                    yield entry
            following = _NEXT.search(headers.get("link", ""))
            url = self._own(following[1]) if following is not None else None

    async def _ask(self, url: str) -> tuple[Any, Mapping[str, str]]:
        """The answer's content and headers."""
        failures = limits = 0
        while True:
            try:
                status, headers, body = await self._fetch(url)
                if status == 200:
                    return _parsed(url, body), headers
            except GitHubUnavailable as error:
                failure: GitHubError = error
            except MalformedAnswer as error:
                failure = error
            else:
                said = _message(body)
                if (wait_s := self._limit_s(status, headers, said, limits)) is not None:
                    limits += 1
                    await self._wait(wait_s, said, headers)
                    continue
                if status not in _AGAIN:
                    raise self._refusal(status, url, said)
                failure = GitHubUnavailable(f"{url} failed with status {status}: {said}", remedy="Try again later.")
            failures += 1
            if failures > self._options.retries:
                raise failure
            pause_s = min(60.0, 0.5 * 2.0 ** (failures - 1)) * random.uniform(0.5, 1.5)
            if pause_s > self._left_s:
                raise failure
            self._left_s -= pause_s
            await self._sleep(pause_s)

    async def _fetch(self, url: str) -> tuple[int, Mapping[str, str], bytes]:
        import httpx

        for _ in range(_REDIRECTS):
            try:
                async with self._client.stream("GET", url) as answer:
                    body = b""
                    async for piece in answer.aiter_bytes():
                        body += piece
                        if len(body) > self._options.answer_bytes:
                            raise MalformedAnswer(
                                f"{url} gave more than {self._options.answer_bytes} bytes.", remedy="Raise `answer_bytes`, or look at it."
                            )
            except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
                raise GitHubUnavailable(
                    f"{url} cannot be reached: {type(error).__name__} {error}".strip() + ".", remedy="Check the network and the API's URL."
                ) from error
            if answer.status_code not in (301, 302, 303, 307, 308):
                return answer.status_code, answer.headers, body
            url = self._own(str(answer.url.join(answer.headers.get("location", ""))))
        raise GitHubUnavailable(f"{url} leads from one place to the next without an end.", remedy=self._check_url())

    def _own(self, url: str) -> str:
        """A URL that the server named, where it is the server's own."""
        here, there = urlsplit(self._base), urlsplit(url)
        if (here.scheme, here.netloc) != (there.scheme, there.netloc):
            raise MalformedAnswer(
                f"{self._base} leads to {url!r}, which is another server; the token is not taken there.", remedy=self._check_url()
            )
        return url

    def _limit_s(self, status: int, headers: Mapping[str, str], said: str, before: int) -> float | None:
        """How long a limit asks to wait; None where the answer is about something else."""
        if status not in (403, 429):
            return None
        after = _seconds(headers.get("retry-after"))
        if after is not None:
            return after
        if headers.get("x-ratelimit-remaining") == "0":
            reset = _seconds(headers.get("x-ratelimit-reset"))
            # A second more, because clocks differ.
            return max(0.0, reset - self._clock()) + 1.0 if reset is not None else _SECONDARY_S
        if status == 429 or _LIMITED.search(said):
            return _SECONDARY_S * 2.0**before
        return None

    async def _wait(self, wait_s: float, said: str, headers: Mapping[str, str]) -> None:
        if wait_s > self._left_s:
            more = "" if self._authorised else f" Set {self._options.token_variable}: with a token the limit is much higher."
            raise RateLimited(
                f"GitHub's limit lasts {wait_s:.0f} s more, and {self._left_s:.0f} s are left to wait ({said or 'no message'}).",
                remedy=f"Try again later, or raise `budget_s`.{more}",
                reset_s=_seconds(headers.get("x-ratelimit-reset")),
            )
        self._left_s -= wait_s
        await self._sleep(wait_s + random.uniform(0.0, min(1.0, 0.1 * wait_s)))

    def _refusal(self, status: int, url: str, said: str) -> GitHubError:
        variable = self._options.token_variable
        if status == 401:
            return GitHubRefused(f"GitHub does not take the token ({said}).", remedy=f"Put a valid one into {variable}.")
        if status == 403:
            return GitHubRefused(
                f"GitHub refuses {url} ({said}).", remedy=f"Give {variable} the right to read the repository's contents, issues and pulls."
            )
        if status in (404, 410, 451):
            hint = "or that the token may see it" if self._authorised else f"or put a token into {variable} where the repository is private"
            return GitHubMissing(f"There is nothing at {url} ({said}).", remedy=f"Check the name, {hint}.")
        return MalformedAnswer(f"{url} answered with status {status}: {said}", remedy=self._check_url())

    def _check_url(self) -> str:
        return f"Check that {self._base} is GitHub's REST API (an Enterprise server has it at /api/v3)."


def _parsed(url: str, body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise MalformedAnswer(f"{url} gave no JSON: {body[:80]!r}.", remedy="Check the API's URL, and proxies on the way.") from error


def _message(body: bytes) -> str:
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError:
        data = body.decode("utf-8", "replace")
    said = data.get("message", "") if isinstance(data, dict) else data
    return " ".join(str(said).split())[:300]


def _seconds(text: str | None) -> float | None:
    """Of a header; None where it holds no number."""
    return float(text) if text is not None and re.fullmatch(r"\s*\d{1,12}(\.\d+)?\s*", text) else None
