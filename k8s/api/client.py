"""Requests to an API server: raw JSON over HTTP/1.1, with pools of connections apart for writes, for watches and for streams.

A request has a deadline, up to which it is made again where that can do no harm: reading, whatever the server says that it did not do, and
writing to names of our own, where a second answer tells what the first would have been.
"""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, Literal

import aiohttp
import orjson

from podgym.k8s.api.credentials import Credentials
from podgym.k8s.api.errors import ApiError, Throttled, Unauthorized, Unreachable, refusal
from podgym.k8s.api.retries import Budget, pause_s

__all__ = ["ApiClient"]

_WRITES: Final = 64
_CONNECT_S: Final = 10.0
_UNAUTHORIZED: Final = 401
_SUCCESS: Final = range(200, 300)
_JSON: Final = "application/json"
_MOST_BYTES: Final = 64 << 20
"""Of one answer; lists come in chunks."""
Params = Mapping[str, str | int]


class ApiClient:
    """Raises `ApiError` from every call; `Unreachable` only when its deadline has passed."""

    def __init__(self, credentials: Credentials, *, servers: tuple[str, ...] = (), rng: random.Random | None = None) -> None:
        self._credentials = credentials
        self._servers = servers or (credentials.server,)
        """All of one cluster; streams are spread over them."""
        self._turn = 0
        self._ssl: ssl.SSLContext | bool | None = None
        self._sessions: dict[str, aiohttp.ClientSession] = {}
        self._budget = Budget()
        self._rng = rng or random.Random()
        self.answers: Counter[tuple[str, int]] = Counter()
        """How many answers there were, by method and status; 0 where none came."""

    async def request(
        self,
        method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"],
        path: str,
        *,
        params: Params | None = None,
        body: Any = None,
        content_type: str = _JSON,
        deadline_s: float = 60.0,
        again: bool = True,
    ) -> dict[str, Any]:
        """The answer's object. With `again` False nothing is made twice but what the server says that it did not do."""
        data = orjson.dumps(body) if body is not None else None
        ends = time.monotonic() + deadline_s
        attempt, renew = 0, False
        while True:
            self._budget.earn()
            try:
                return await self._once(method, path, params, data, content_type, timeout_s=ends - time.monotonic(), renew=renew)
            except Unauthorized:
                if renew:
                    raise
                renew = True  # a token may have been renewed since it was read
            except (Throttled, Unreachable) as error:
                if not again and isinstance(error, Unreachable):
                    raise
                wait_s = pause_s(attempt if self._budget.spend() else 100, error.retry_after_s, self._rng)
                if time.monotonic() + wait_s >= ends:
                    raise
                await asyncio.sleep(wait_s)
                attempt += 1

    @asynccontextmanager
    async def stream(self, path: str, *, params: Params, idle_s: float) -> AsyncIterator[aiohttp.StreamReader]:
        """The body of a GET that has no end of its own; `idle_s` is how long it may say nothing. Raises `ApiError`."""
        try:
            async with self._session("watch").get(
                self._url(path),
                params=params,
                headers=await self._credentials.headers(),
                timeout=aiohttp.ClientTimeout(sock_connect=_CONNECT_S, sock_read=idle_s),
            ) as answer:
                self.answers["WATCH", answer.status] += 1
                if answer.status not in _SUCCESS:
                    raise refusal(
                        answer.status, await answer.content.read(_MOST_BYTES), f"watch {path}", retry_after_s=_retry_after(answer)
                    )
                yield answer.content
        except ApiError:
            raise  # some are an OSError too
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _unreachable(f"watch {path}", error) from error

    async def websocket(self, path: str, *, params: list[tuple[str, str]], protocols: tuple[str, ...]) -> aiohttp.ClientWebSocketResponse:
        """An upgraded connection, on any of the servers. Raises `ApiError`, with what the server says where it refuses."""
        url = self._url(path, spread=True)
        try:
            return await self._session("stream").ws_connect(
                url,
                params=params,
                headers=await self._credentials.headers(),
                protocols=protocols,
                max_msg_size=0,
                compress=0,
                autoping=True,
                timeout=aiohttp.ClientWSTimeout(ws_close=1.0),
            )
        except aiohttp.WSServerHandshakeError as error:
            # The handshake's answer is thrown away with its body; asked without an upgrade, the server says the same in words.
            answer = await self._told(url, params)
            raise answer or refusal(error.status, error.message.encode(), f"open {path}") from error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _unreachable(f"open {path}", error) from error

    async def close(self) -> None:
        """Idempotent."""
        for session in self._sessions.values():
            await session.close()
        self._sessions.clear()

    async def _once(
        self, method: str, path: str, params: Params | None, data: bytes | None, content_type: str, *, timeout_s: float, renew: bool
    ) -> dict[str, Any]:
        what = f"{method} {path}"
        headers = await self._credentials.headers(renew=renew)
        if data is not None:
            headers["content-type"] = content_type
        try:
            async with self._session("write").request(
                method,
                self._url(path),
                params=params,
                data=data,
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=max(0.1, timeout_s), sock_connect=_CONNECT_S),
            ) as answer:
                text = await answer.read()
                self.answers[method, answer.status] += 1
                if answer.status not in _SUCCESS:
                    raise refusal(answer.status, text, what, retry_after_s=_retry_after(answer))
        except ApiError:
            raise  # some are an OSError too
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            self.answers[method, 0] += 1
            raise _unreachable(what, error) from error
        try:
            told = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise ApiError(f"The API server answered {what} with no JSON: {text[:200]!r}.", remedy="Is it one, or a proxy?") from error
        if not isinstance(told, dict):
            raise ApiError(f"The API server answered {what} with no object: {text[:200]!r}.", remedy="Is it one, or a proxy?")
        return told

    async def _told(self, url: str, params: list[tuple[str, str]]) -> ApiError | None:
        try:
            async with self._session("write").get(
                url, params=params, headers=await self._credentials.headers(), timeout=aiohttp.ClientTimeout(total=_CONNECT_S)
            ) as answer:
                if answer.status in (400, *_SUCCESS):  # it would have been upgraded
                    return None
                return refusal(answer.status, await answer.read(), f"open {url.removeprefix(self._credentials.server)}")
        except (aiohttp.ClientError, OSError, TimeoutError):
            return None

    def _url(self, path: str, *, spread: bool = False) -> str:
        if spread:
            self._turn += 1
        return self._servers[self._turn % len(self._servers) if spread else 0] + path

    def _session(self, pool: Literal["write", "watch", "stream"]) -> aiohttp.ClientSession:
        session = self._sessions.get(pool)
        if session is None:
            if self._ssl is None:
                self._ssl = self._credentials.ssl()
            connector = aiohttp.TCPConnector(limit=_WRITES if pool == "write" else 0, ssl=self._ssl, keepalive_timeout=60)
            session = self._sessions[pool] = aiohttp.ClientSession(
                connector=connector, auto_decompress=True, trust_env=False, proxy=self._credentials.proxy
            )
        return session


def _retry_after(answer: aiohttp.ClientResponse) -> float | None:
    try:
        return min(60.0, max(0.0, float(answer.headers["retry-after"])))
    except (KeyError, ValueError):
        return None


def _unreachable(what: str, error: BaseException) -> Unreachable:
    said = " ".join(str(error).split()) or type(error).__name__
    return Unreachable(f"The API server did not answer {what}: {said}.", remedy="Is it there, and the network between?")
