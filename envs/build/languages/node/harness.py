"""The files of the repository that a program of a test script is made of: those that its words name, and those that these load.

Where the program's exit status is the test, they decide, and most have no name that says so. They stay as the base has them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Final

from podgym.envs.build.languages.node.command import Command
from podgym.envs.build.languages.node.flags import NODE
from podgym.envs.build.languages.node.manifest import join, normal
from podgym.envs.build.languages.node.runners import NODES
from podgym.envs.build.languages.node.shell import word
from podgym.envs.build.tree import Tree
from podgym.verifiers import PROTECTED
from podgym.verifiers.paths import PathGlobs

__all__ = ["exact", "is_held", "kept_files", "stand_ins"]

_SHELLS: Final = frozenset({"sh", "bash", "dash", "ksh", "zsh"})
_INTERPRETERS: Final = NODES | _SHELLS | {"python", "python2", "python3", "ruby", "perl", "php", "coffee", "lsc"}
_CODE_FLAGS: Final = frozenset({"-e", "--eval", "-p", "--print", "-pe", "-c", "--check", "-m"})
_FILE_FLAGS: Final = frozenset({
    "-r", "--require", "--import", "--loader", "--experimental-loader", "-c", "--config", "-f", "--file", "-P", "--project", "--gulpfile",
    "--gruntfile", "--env-file",
})  # fmt: skip
_SETTINGS: Final = {
    "gulp": "gulpfile", "grunt": "gruntfile", "jake": "jakefile", "cake": "cakefile", "just": "justfile", "make": "makefile",
    "gmake": "makefile", "task": "taskfile",
}  # fmt: skip
_ENDINGS: Final = (".js", ".mjs", ".cjs", ".ts", ".mts", ".cts", ".tsx", ".json", "/index.js", "/index.mjs", "/index.cjs", "/index.ts")
_QUOTED: Final = re.compile(r"['\"`]([\w@./-]{1,200})(?=['\"`])")
_BARE: Final = re.compile(r"(?<![\w@.-])(?:[\w@.-]{0,200}/[\w@./-]{1,200}|[\w@.-]{1,200}\.(?:sh|[cm]?js|ts|py)\b)")
_SCRIPT: Final = re.compile(r"\.(?:[cm]?[jt]sx?|sh|py|coffee|ls)$")
_TOOLS: Final = re.compile(r"\.?(?:scripts?|tool(?:s|ing)?|tasks?|gulp[\w.-]*|grunt[\w.-]*|build|ci|dev|harness)", re.IGNORECASE)
_PRODUCT: Final = frozenset({"", "app", "bin", "dist", "lib", "packages", "source", "src"})
_CONFIGURES: Final = re.compile(r"\.(?:json5?|ya?ml|toml)$|rc$|conf(?:ig)?\b", re.IGNORECASE)
_MAX: Final = 60
_MAX_NAMES: Final = 2000


def exact(command: Command, tree: Tree) -> Command:
    """With the endings of the files that `node` runs and loads: a new file that has the name without one would go before them."""
    if command.program not in NODES:
        return command
    main, words, before = _main(command), list(command.words), ""
    for at, one in enumerate(command.words):
        path = normal(one.text, command.directory)
        if path and one.plain and at and (one.text == main or (before in _FILE_FLAGS and one.text.startswith("."))):
            found = _of_word(one.text, command, tree) or path
            words[at] = one if found == path else word(one.text.rstrip("/") + found.removeprefix(path))
        before = one.text
    return replace(command, words=tuple(words))


def is_held(command: Command, tree: Tree, changed_source: Collection[str]) -> bool:
    """Whether what a program is stays out of a solution's reach: its files are known, and the fix changes none of them."""
    if any(path in changed_source for path in _entries(command, tree)):
        return False
    main = _main(command)
    if main is None:
        return True
    return _of_word(main, command, tree) is not None or _is_protected(main, command.directory)


def _main(command: Command) -> str | None:
    """The word that names the file that is run; None where code is given, or a program that is installed."""
    texts = [one.text for one in command.words]
    if command.program not in _INTERPRETERS:
        return texts[0] if texts and "/" in texts[0] else None
    code = {"-c"} if command.program in _SHELLS else _CODE_FLAGS
    at = 1
    while at < len(texts) and texts[at].startswith("-"):
        if texts[at] in code:
            return None
        at += 2 if texts[at] in _FILE_FLAGS or (command.program in NODES and texts[at] in NODE.valued) else 1
    return texts[at] if at < len(texts) else ""


def _is_protected(text: str, directory: str) -> bool:
    path = normal(text, directory)
    return bool(path) and path in PathGlobs(PROTECTED)


def kept_files(commands: Iterable[Command], base: Tree, fixed: Tree) -> tuple[str, ...]:
    """Of programs whose exit status counts, the files that no rule about names holds and that the fix does not change."""
    changed = {path for path in fixed.paths if path not in base}
    known = PathGlobs(PROTECTED)
    found: dict[str, None] = {}
    for command in commands:
        entries = _entries(command, base)
        loaded = [one for path in entries for one in _loaded(path, command, base)]
        arguments = [path for path in _named(command, base) if path not in entries and _is_aside(path, command)]
        found |= dict.fromkeys([*entries, *arguments, *loaded])
    return tuple(path for path in found if path not in known and path not in changed and base.read(path) == fixed.read(path))[:_MAX]


def stand_ins(paths: Iterable[str], tree: Tree) -> tuple[str, ...]:
    """Files that `node` would load in place of these where they are asked for without their ending, and that are not there."""
    found: dict[str, None] = {}
    for path in paths:
        stem = path.rpartition(".")[0]
        if re.search(r"\.[cm]?[jt]sx?$", path):
            found[stem] = None
            if stem.endswith("/index"):
                found |= dict.fromkeys(f"{stem.removesuffix('/index')}{end}" for end in ("", ".js", ".json", ".node"))
    return tuple(path for path in found if path not in tree and not tree.below(path))


def _entries(command: Command, tree: Tree) -> list[str]:
    """What is run and what its options load; the settings of a program that has its own."""
    texts = [one.text for one in command.words]
    main = _main(command)
    words = [*([main] if main else []), *(text for flag, text in pairwise(texts) if flag in _FILE_FLAGS)]
    words += [text for text in texts[1:] if text.partition("=")[0] in _FILE_FLAGS and "=" in text]
    found = [path for text in words if (path := _of_word(text, command, tree)) is not None]
    if (stem := _SETTINGS.get(command.program)) is not None:
        inside = [path for path in tree.below(command.directory) if "/" not in path and path.lower().startswith(stem)]
        found += [join(command.directory, path) for path in inside]
    return list(dict.fromkeys(found))


def _named(command: Command, tree: Tree) -> list[str]:
    texts = [*(one.text for one in command.words), *(part for _, value in command.env for part in value.text.split())]
    return [path for text in texts if (path := _of_word(text, command, tree)) is not None]


def _of_word(text: str, command: Command, tree: Tree) -> str | None:
    plain = text.partition("=")[2] if text.startswith("-") else text
    return _file(plain, command.directory, tree, endings=command.program in NODES) if plain else None


def _file(text: str, directory: str, tree: Tree, *, endings: bool) -> str | None:
    path = normal(text, directory) if not text.startswith("/") and len(text) < 1000 else None
    if not path:
        return None
    tries = [path, *(f"{path}{end}" for end in _ENDINGS)] if endings else [path]
    return next((one for one in tries if one in tree and tree.read(one) is not None), None)


def _loaded(entry: str, command: Command, tree: Tree) -> list[str]:
    """Files beside a program, or among tools, that it names: by `require`, `source`, or to be started."""
    text = (tree.read(entry) or "")[:200_000]
    shell = not re.search(r"\.[cm]?[jt]sx?$", entry)
    home = entry.rpartition("/")[0]
    found: dict[str, None] = {}
    for name in list(dict.fromkeys((_BARE if shell else _QUOTED).findall(text)))[:_MAX_NAMES]:
        places: Sequence[str] = (home, command.directory) if not shell or name.startswith((".", "/")) else (command.directory, home)
        if name.startswith(".") or "/" in name or _SCRIPT.search(name):
            tries = (_file(name.lstrip("/"), place, tree, endings=not shell) for place in places)
            path = next((one for one in tries if one is not None), None)
            if path is not None and _is_tool(path, entry, command):
                found[path] = None
    return list(found)


def _top(path: str, command: Command) -> str:
    """The first directory of a path below its package."""
    home = command.directory.rpartition("/")[2]
    if path.startswith(f"{command.directory}/") and _TOOLS.fullmatch(home):
        return home  # it is started where the tools are
    return path.removeprefix(f"{command.directory}/" if command.directory else "").rpartition("/")[0].partition("/")[0]


def _is_tool(path: str, entry: str, command: Command) -> bool:
    top = _top(path, command)
    return top not in _PRODUCT and (top == _top(entry, command) or _TOOLS.fullmatch(top) is not None)


def _is_aside(path: str, command: Command) -> bool:
    """Whether an argument is no part of what is tested."""
    return _top(path, command) not in _PRODUCT or _CONFIGURES.search(path.rpartition("/")[2]) is not None
