"""Cargo's own settings in a repository, `.cargo/config.toml`, as far as they decide what tests are compiled for."""

from __future__ import annotations

import platform
import tomllib
from collections.abc import Iterator, Sequence
from typing import Final

from podgym.envs.build.languages.rust.manifest import table, texts
from podgym.envs.build.tree import Tree

__all__ = ["CONFIGURATION", "configuration", "foreign_target", "host_target"]

CONFIGURATION: Final = (".cargo/config.toml", ".cargo/config")
_MACHINES: Final = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}


def configuration(tree: Tree, roots: Sequence[str]) -> str:
    """The text of all files that hold at `roots`."""
    return "\n".join(_files(tree, roots))


def _files(tree: Tree, roots: Sequence[str]) -> Iterator[str]:
    for place in dict.fromkeys((*(f"{root}/" for root in roots if root), "")):
        for name in CONFIGURATION:
            yield tree.read(f"{place}{name}") or ""


def foreign_target(tree: Tree, roots: Sequence[str]) -> str:
    """What is compiled for by default, where this machine can run none of it; empty else."""
    for text in _files(tree, roots):
        try:
            stated = texts(table(tomllib.loads(text), "build").get("target"))
        except (ValueError, RecursionError):
            continue
        if stated:
            return "" if stated in ([host_target()], ["host-tuple"]) else ", ".join(stated)[:100]
    return ""


def host_target() -> str:
    """What this machine runs, and Rust's images have a library for; empty for a machine that they are not made for."""
    machine = _MACHINES.get(platform.machine().lower(), "")
    return f"{machine}-unknown-linux-gnu" if machine else ""
