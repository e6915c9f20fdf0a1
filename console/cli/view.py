"""`podgym view`: the web pages over the runs of one folder."""

from __future__ import annotations

import contextlib
import secrets
from pathlib import Path
from typing import Annotated

import typer

from podgym.console.cli.options import Directory
from podgym.console.cli.output import print_text, say

__all__ = ["view"]

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def view(
    directory: Directory = Path("runs"),
    host: Annotated[str, typer.Option("--host", help="Address to serve; anything but loopback needs a token.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes a free one.")] = 8765,
    token: Annotated[
        str | None, typer.Option("--token", envvar="PODGYM_TOKEN", help="Who has it may look; made up where one is needed.")
    ] = None,
) -> None:
    """Serve web pages with runs, curves and rollouts until Ctrl-C."""
    from podgym.console.api import serve

    if token is not None and not token.strip():
        raise typer.BadParameter("It is empty, so everybody would have it. Leave it out to have one made.", param_hint="--token")
    if token is None and host not in _LOOPBACK:
        token = secrets.token_urlsafe(24)

    def ready(address: str) -> None:
        print_text(address)
        say(f"Runs of {directory} are shown there. Ctrl-C ends it.")

    with contextlib.suppress(KeyboardInterrupt):
        serve(directory, host, port, token=token, ready=ready)
