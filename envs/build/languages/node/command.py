"""A simple command that a package script comes to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from podgym.envs.build.languages.node.shell import Word

__all__ = ["MANAGERS", "Command", "delegated"]

MANAGERS: Final = frozenset({"npm", "yarn", "pnpm", "bun", "cnpm", "yarnpkg", "npm-run"})
"""Run scripts."""
_EVERYWHERE: Final = frozenset({
    "turbo", "lerna", "nx", "wsrun", "ultra", "bolt", "moon", "lage", "ultra-runner", "rush",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Command:
    """A command that a script comes to."""

    directory: str
    """Of the package whose script it is."""
    words: tuple[Word, ...]
    env: tuple[tuple[str, Word], ...] = ()
    via: tuple[str, ...] = ()
    """The names of the scripts that lead here, outermost first."""
    requires: tuple[str, ...] = ()
    """Modules that what measured it would have loaded into it."""

    @property
    def program(self) -> str:
        """The last part of the first word, without the ending of a script."""
        name = self.words[0].text.replace("\\", "/").rpartition("/")[2] if self.words else ""
        return re.sub(r"\.(c|m)?js$|\.cmd$", "", name)

    @property
    def shell(self) -> str:
        """As a shell line."""
        sets = [f"{name}={value.raw}" for name, value in self.env]
        return " ".join([*sets, *(one.raw for one in self.words)])


def delegated(command: Command) -> bool:
    """Whether a command runs a script in every package."""
    texts = [one.text for one in command.words]
    if command.program in _EVERYWHERE:
        return True
    recursive = {"-r", "--recursive", "-w", "-ws", "--workspaces", "--workspace", "workspaces", "workspace", "--filter", "-F", "foreach"}
    return command.program in MANAGERS and any(text.split("=")[0] in recursive for text in texts[1:])
