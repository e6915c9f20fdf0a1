"""Options that several commands share, and how their values are read."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = [
    "Address", "AsJson", "BuildTimeout", "Cluster", "Directory", "Options", "Provider", "ProviderOptions", "Sets", "Workers", "pairs",
]  # fmt: skip

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Directory = Annotated[Path, typer.Option("--directory", "-d", help="Where runs are kept.")]
Address = Annotated[
    str | None, typer.Option("--address", envvar="PODGYM_ADDRESS", help="A Ray cluster's dashboard, such as http://head:8265.")
]
Sets = Annotated[list[str] | None, typer.Option("--set", metavar="a.b=c", help="Override a key of the job; any number of times.")]
Options = Annotated[
    list[str] | None, typer.Option("--option", "-o", metavar="k=v", help="Option of the environment type; any number of times.")
]
Provider = Annotated[str, typer.Option("--provider", envvar="PODGYM_PROVIDER", help="auto, local, docker, or package.module:Class.")]
ProviderOptions = Annotated[
    list[str] | None, typer.Option("--provider-option", metavar="k=v", help="Option of the provider; any number of times.")
]
Workers = Annotated[int, typer.Option("--workers", min=1, help="Builds at once; from two on, Ray tasks.")]
Cluster = Annotated[
    str | None, typer.Option("--ray", metavar="ADDRESS", help="Build on a Ray cluster (auto, host:port, ray://host:port), not here.")
]
BuildTimeout = Annotated[float, typer.Option("--build-timeout", min=1.0, help="Seconds for one build of many.")]


def pairs(items: list[str] | None, flag: str) -> dict[str, Any]:
    """`k=v` pairs; a value is TOML where it can be, else text. Raises a usage error."""
    found: dict[str, Any] = {}
    for item in items or ():
        name, sign, value = item.partition("=")
        if not sign or not name.strip():
            raise typer.BadParameter(f"{item!r} is not of the form name=value.", param_hint=flag)
        try:
            found[name.strip()] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            found[name.strip()] = value
    return found
