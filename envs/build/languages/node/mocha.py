"""What Mocha does by itself: which files it looks for where nothing names any, and whether its settings load a compiler."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from podgym.envs.build.languages.node.manifest import Manifest, join
from podgym.envs.build.languages.node.runners import LOADERS, Run
from podgym.envs.build.languages.node.shell import Word, word
from podgym.envs.build.tree import Tree

__all__ = ["missed_files", "reads_typescript"]

_SETTINGS: Final = re.compile(r"\.mocharc(\.\w+)?|test/mocha\.opts")
_OPTIONS: Final = re.compile(r"--(config|opts|package|spec|file|sort)\b|-f$")
"""With these it is not to be told by the command alone what it runs."""
_SPEC: Final = re.compile(r"\b(?:spec|file)\b['\"]?\s*[:=]")
_ENDING: Final = re.compile(r"([._-](?:tests?|specs?))?\.[cm]?[jt]sx?$", re.IGNORECASE)
_MAX_CHARACTERS: Final = 100_000
_MAX_FOLDERS: Final = 20


def _settings(package: Manifest, tree: Tree) -> dict[str, str]:
    own = [path for path in tree.below(package.directory) if _SETTINGS.fullmatch(path)]
    found = {path: (tree.read(join(package.directory, path)) or "")[:_MAX_CHARACTERS] for path in own}
    return {**found, "package.json": str(package.raw.get("mocha", ""))[:_MAX_CHARACTERS]}


def reads_typescript(package: Manifest, tree: Tree) -> bool:
    """Whether its settings load what reads TypeScript."""
    return any(re.search(LOADERS, text) for text in _settings(package, tree).values())


def missed_files(run: Run, package: Manifest, changed: Sequence[str], tree: Tree) -> tuple[Word, ...]:
    """Globs of the folders of changed tests, seen from where it runs, that a Mocha without any file would not run; it looks in `test`."""
    settings = _settings(package, tree)
    if run.files or run.choosing or any(_OPTIONS.match(one.text) for one in run.flags):
        return ()
    if any(_names_files(path, text) for path, text in settings.items()):
        return ()
    deep = any(one.text == "--recursive" for one in run.flags) or any("recursive" in text for text in settings.values())
    start = f"{run.command.directory}/" if run.command.directory else ""
    own = [path.removeprefix(start) for path in changed if path.startswith(start) and _ENDING.search(path)]
    default = [path for path in own if re.fullmatch(r"test/.*" if deep else r"test/[^/]*", path) and not re.search(r"tsx?$", path)]
    if not own or set(own) <= set(default):
        return ()
    globs = dict.fromkeys(_glob(path) for path in own if path not in default)
    return tuple(word(one) for one in [*(["test"] if default else []), *globs][:_MAX_FOLDERS])


def _names_files(path: str, text: str) -> bool:
    if path.endswith(".opts"):
        lines = [line.strip() for line in text.splitlines()]
        return any(line and (line.startswith(("--file", "--spec")) or not line.startswith(("-", "#"))) for line in lines)
    return _SPEC.search(text) is not None


def _glob(path: str) -> str:
    folder, _, name = path.rpartition("/")
    ending = match[0] if (match := _ENDING.search(name)) is not None else ""
    return f"{folder}/**/*{ending}" if folder else name
