"""Which test files a run of a runner may run, as its words and its settings tell."""

from __future__ import annotations

import re
from typing import Final

from podgym.envs.build.languages.node.builds import BUILT
from podgym.envs.build.languages.node.command import Command
from podgym.envs.build.languages.node.manifest import normal
from podgym.envs.build.languages.node.runners import Run
from podgym.envs.build.languages.node.shell import Word, word
from podgym.envs.build.tree import Tree
from podgym.verifiers.paths import PathGlobs

__all__ = ["SCRIPT", "MAYBE_TYPES", "TYPES", "checks_types", "covers", "expanded", "is_compiled"]

SCRIPT: Final = re.compile(r"\.[cm]?[jt]sx?$")
TYPES: Final = re.compile(
    r"\.(test-d|tst)\.[cm]?tsx?$|(^|/)(test-d|type-?tests?|__type-?tests__|dtslint|types/tests?(?!.*\.(?:test|spec)\.))/"
)
MAYBE_TYPES: Final = re.compile(r"(^|/)tests?/types/.*\.[cm]?tsx?$")
"""Of types where a program for them is there, or else of whatever is called so."""
_TYPE_RUNNERS: Final = frozenset({"tsd", "tsd-check", "tstyche", "dtslint"})


def checks_types(command: Command) -> bool:
    """Whether a command is a program for tests of types, by itself or as a file that `node` runs."""
    return any(one.text.rpartition("/")[2] in _TYPE_RUNNERS for one in command.words[:5])


def covers(run: Run, path: str, tree: Tree) -> bool:
    """Whether a run may run a test file; where its words do not tell, True."""
    places = [*run.files, *_patterns(run)]
    if TYPES.search(path) and run.framework != "vitest":
        return checks_types(run.command)
    if checks_types(run.command):
        return MAYBE_TYPES.search(path) is not None
    if not SCRIPT.search(path):
        return True  # data that any test may read
    if run.framework in ("karma", "uvu", "lab") or is_compiled(run, tree) or (not places and run.framework not in ("jest", "vitest")):
        return True
    if run.framework in ("jest", "vitest"):
        return _inside(run, path, tree) and (not run.files or any(_matches(one.text, path) for one in run.files))
    for one in places:
        place = normal(one.text, run.command.directory)
        if not one.plain or place is None or place in ("", path) or path.startswith(f"{place}/"):
            return True
        if re.search(r"[*?{\[]", place) and path in PathGlobs(
            [f"/{glob}" for glob in expanded(re.sub(r"[@+?!*]\(([^()]*)\)", _group, place))]
        ):
            return True
    return False


def _patterns(run: Run) -> list[Word]:
    """Of the options of some runners that say which files they look for."""
    if run.framework not in ("borp", "mocha", "tap"):
        return []
    texts = [one.text.partition("=")[2] if one.text.startswith("-") else one.text for one in run.choosing]
    return [word(text) for text in texts if text]


def _inside(run: Run, path: str, tree: Tree) -> bool:
    """Whether a file is below the directory that Vitest's options, or the place of Jest's settings, confine a run to."""
    texts = [one.text for one in run.flags]
    names = ("--dir", "--root") if run.framework == "vitest" else ("--rootDir", "--config", "-c")
    for at, text in enumerate(texts):
        name, sign, value = text.partition("=")
        place = normal(value if sign else "".join(texts[at + 1 : at + 2]), run.command.directory) if name in names else None
        if place and name in ("--config", "-c"):
            place = (
                place.rpartition("/")[0]
                if place in tree and not re.search(r"rootDir|roots|projects|preset", tree.read(place) or "")
                else None
            )
        if place and not path.startswith(f"{place}/"):
            return False
    return True


def _group(match: re.Match[str]) -> str:
    return "{" + match[1].replace("|", ",") + "}"


def expanded(glob: str) -> list[str]:
    """A glob for each of its alternatives, unless they are too many."""
    match = re.search(r"\{([^{}]*)\}", glob)
    groups = glob.count("{")
    if match is None or groups > 6 or (groups > 1 and glob.count(",") > 24):
        return [re.sub(r"\[[^\]]*\]", "?", glob)]
    return [one for part in match[1].split(",") for one in expanded(glob[: match.start()] + part + glob[match.end() :])]


def _matches(pattern: str, path: str) -> bool:
    plain = pattern.removeprefix("./")
    if plain in path:
        return True
    try:
        return len(pattern) < 200 and re.search(re.sub(r"[^\w./|()*+?\\^$-]", ".", plain), path) is not None
    except re.error:
        return True


def is_compiled(run: Run, tree: Tree) -> bool:
    """Whether a run's files are made by a build: none of the directories that it names is in the repository."""
    places = []
    for one in run.files:
        fixed = re.split(r"[*?{\[(]", one.text)[0]
        text = fixed if fixed == one.text else fixed.rpartition("/")[0]
        places.append(normal(text, run.command.directory) if one.plain else None)
    known = [place for place in places if place]
    if not known or run.framework in ("jest", "vitest"):
        return False
    prefix = f"{run.command.directory}/" if run.command.directory else ""
    made = all(place.removeprefix(prefix).partition("/")[0] in BUILT or place.removeprefix(prefix).startswith(".") for place in known)
    return made and not any(
        place in tree or tree.below(place) or any(f"{place}.{end}" in tree for end in ("js", "ts", "mjs", "cjs")) for place in known
    )
