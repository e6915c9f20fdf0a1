"""What of a package's tests needs a browser, a display or a phone, by the name of what starts them."""

from __future__ import annotations

import re
from typing import Final

from podgym.envs.build.languages.node.command import Command
from podgym.envs.build.languages.node.manifest import join
from podgym.envs.build.languages.node.runners import BROWSERS, Run
from podgym.envs.build.tree import Tree

__all__ = ["MODE", "browser_of", "in_browser"]

MODE: Final = "Vitest's browser mode"
_SUBCOMMANDS: Final = {"ng": ("test", "t", "e2e", "e"), "ember": ("test", "t", "exam", "try", "try:one")}
_CONFIG: Final = re.compile(r"vite(st)?\.config\.\w+$")
_ENABLED: Final = re.compile(r"\bbrowser\s*:\s*\{(?:[^{}]|\{[^{}]*\}){0,2000}?\benabled\s*:\s*true\b")
_SEVERAL: Final = re.compile(r"\b(?:projects|workspace)\s*:")
_COMMENT: Final = re.compile(r"^[ \t]*//.*$", re.MULTILINE)
_MAX: Final = 50_000


def browser_of(command: Command) -> str:
    """The program of a command that needs a browser; empty where it needs none."""
    program = command.program
    if program not in BROWSERS or (program in _SUBCOMMANDS and not any(one.text in _SUBCOMMANDS[program] for one in command.words[1:3])):
        return ""
    return "Angular's `ng test`" if program == "ng" else program


def in_browser(run: Run, tree: Tree) -> bool:
    """Whether all that a run of Vitest tests is run in a browser: by its options, or by its settings where they know no other project."""
    if run.framework != "vitest":
        return False
    stated = [one.text for one in run.flags if one.text.startswith("--browser")]
    if stated:
        return not any(text in ("--browser=false", "--browser.enabled=false") for text in stated)
    directory = run.command.directory
    names = [path for path in tree.below(directory) if "/" not in path]
    if any(name.startswith("vitest.workspace.") for name in names):
        return False
    texts = [_COMMENT.sub("", (tree.read(join(directory, name)) or "")[:_MAX]) for name in sorted(names) if _CONFIG.match(name)]
    return any(_ENABLED.search(text) is not None and _SEVERAL.search(text) is None for text in texts)
