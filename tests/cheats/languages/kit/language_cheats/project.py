"""A little project with a bug, in one language, and the ways in which an agent gets its tests to say yes without the fix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from podgym.sandbox import Copy, Step
from podgym.verifiers import TestCommand

__all__ = ["CACHE", "PROFILE", "Cheat", "Project", "ToolchainMissing"]

CACHE = "/opt/cache"
"""Kept by the image: what compilers leave for the next run."""
PROFILE = "/root/.profile"
"""Read by the plain grader's shell, as by any login in the agent's container."""


class ToolchainMissing(Exception):
    """What is not installed here, or could not be fetched."""


@dataclass(frozen=True)
class Cheat:
    """An attack: files (relative to the work tree, or absolute), then shell."""

    name: str
    files: Mapping[str, str] = field(default_factory=dict)
    script: str = ""
    beside_fix: bool = True
    """The fix scores 1.0 with all of it in place; False where it destroys what the fix needs, or goes on bending the tests beside it."""


@dataclass(frozen=True)
class Project:
    """`base` has the bug, `fix` are the gold fix's files, `hidden` the tests that come with it."""

    language: str
    base: Mapping[str, str]
    fix: Mapping[str, str]
    hidden: Mapping[str, str]
    command: TestCommand
    fail_to_pass: tuple[str, ...]
    pass_to_pass: tuple[str, ...]
    cheats: tuple[Cheat, ...]
    tools: Mapping[str, Path] = field(default_factory=dict)
    """Files and directories of this machine that the image has, by their absolute path there."""
    before: tuple[Step, ...] = ()
    after: tuple[Step, ...] = ()
    """Of the image's build: before and after the work tree is there. They fill `CACHE`."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Of the image."""
    expose: tuple[str, ...] = ()
    """More directories of this machine that sandboxes see."""

    @property
    def copies(self) -> tuple[Copy, ...]:
        """`tools` as the recipe's copies, from the context's `tools/`."""
        return tuple(Copy(source=f"tools/{number}/{path.name}", target=target) for number, (target, path) in enumerate(self.tools.items()))
