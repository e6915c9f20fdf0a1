"""Who may ask, and what a browser may do with the answer.

Without a token only requests whose Host header names this machine's loopback are answered, so that a web site which points
its own name at 127.0.0.1 reads nothing. With a token every request carries it, as a bearer or in a cookie that a visit
to `/?token=...` sets; an empty token fits nothing. The content policy lets pages run this server's scripts only and talk to nobody else.
"""

from __future__ import annotations

import hmac
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from podgym.console.api.answers import Answer

__all__ = ["COOKIE", "Guard", "LOOPBACK"]

COOKIE = "podgym_token"
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class Guard:
    """ASGI middleware around everything."""

    def __init__(self, app: ASGIApp, *, token: str | None) -> None:
        self._app = app
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or refuse."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = self._refusal(scope)

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await (answer or self._app)(scope, receive, guarded)

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        headers = Headers(scope=scope)
        if self._token is None:
            if _host(headers.get("host", "")) in LOOPBACK:
                return None
            return Answer(
                {"error": "This server answers on the loopback address only.", "remedy": "Open http://127.0.0.1 with its port."}, 421
            )
        query = parse_qs(scope["query_string"].decode("latin-1"))
        if "token" in query and self._fits(query["token"][-1]):
            rest = urlencode([(name, value) for name, values in query.items() if name != "token" for value in values])
            response = RedirectResponse(scope["path"] + (f"?{rest}" if rest else ""), status_code=303)
            response.set_cookie(COOKIE, self._token, httponly=True, samesite="strict", path="/")
            return response
        kind, _, given = headers.get("authorization", "").partition(" ")
        if (kind.lower() == "bearer" and self._fits(given.strip())) or self._fits(_cookie(headers.get("cookie", ""))):
            return None
        return Answer({"error": "A token is needed.", "remedy": "Open the address that `podgym view` printed, with its ?token=."}, 401)

    def _fits(self, given: str) -> bool:
        assert self._token is not None
        return bool(given) and hmac.compare_digest(given.encode(), self._token.encode())


def _host(header: str) -> str:
    if header.startswith("["):
        return header[1:].partition("]")[0].lower()
    return header.partition(":")[0].lower()


def _cookie(header: str) -> str:
    try:
        morsel = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel else ""
