"""Serving the application until it is interrupted."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import uvicorn

from podgym.console.api.app import create_app
from podgym.console.api.guard import LOOPBACK
from podgym.errors import PodgymError

__all__ = ["ServeError", "serve"]


class ServeError(PodgymError, OSError):
    """The address cannot be served."""


def serve(
    root: Path | str, host: str = "127.0.0.1", port: int = 8765, *, token: str | None = None, ready: Callable[[str], None] | None = None
) -> None:
    """Serve until interrupted; `ready` is told the address to open, token included. Port 0 takes a free one.

    Raises `ServeError` for an address beyond loopback without a token, for an empty token, and for an address that is taken.
    """
    if token is not None and not token.strip():
        raise ServeError("The token is empty, so everybody would have it.", remedy="Give one of some length, or none and serve 127.0.0.1.")
    if token is None and host not in LOOPBACK:
        raise ServeError(f"{host} can be reached from other machines.", remedy="Give a token (--token), or serve 127.0.0.1.")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise ServeError(
            f"{host}:{port} cannot be served: {error.strerror}.", remedy="Choose another --port; 0 takes a free one."
        ) from error
    with listener:
        shown = f"[{host}]" if family == socket.AF_INET6 else host
        address = f"http://{shown}:{listener.getsockname()[1]}/" + (f"?token={token}" if token else "")
        config = uvicorn.Config(create_app(root, token), log_level="warning", access_log=False, timeout_graceful_shutdown=2)
        if ready is not None:
            ready(address)
        uvicorn.Server(config).run(sockets=[listener])
