"""Which features tests are run with: what CI, Makefile and justfile say, and what the changed tests ask for, or ask to be without."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from podgym.envs.build.ci import CiFacts
from podgym.envs.build.ci.shell import expand
from podgym.envs.build.languages.rust.configuration import configuration
from podgym.envs.build.languages.rust.gates import needs_of
from podgym.envs.build.languages.rust.manifest import Package
from podgym.envs.build.tree import Tree

__all__ = ["Features", "features_of", "test_arguments"]

_TEST: Final = re.compile(
    r"\bcargo\s+(?:\+\S+\s+)?(?:hack\s+)?(?:(?:--\S+\s+)*)(?:test|t|nextest\s+run|nextest|tarpaulin|llvm-cov(?:\s+nextest|\s+test)?)\b([^;&|\n]*)"
)
_VARIABLE: Final = re.compile(r"\$\((\w+)\)|\{\{\s*(\w+)\s*\}\}")
_ASSIGNED: Final = re.compile(r"^(?:export[ \t]+|readonly[ \t]+)?(\w{1,80})[ \t]*[:?]{0,2}=[ \t]*([^\n]{0,2000})$", re.MULTILINE)
_RECIPES: Final = (
    "Makefile",
    "GNUmakefile",
    "makefile",
    "justfile",
    "Justfile",
    ".justfile",
    "Makefile.toml",
    "xtask.sh",
    "test.sh",
    "ci.sh",
)
_LESS: Final = re.compile(r"(?:no|without|disable|only)[-_].+|.+[-_](?:off|disabled)", re.IGNORECASE)
"""A feature that takes something away, and its tests with it."""
_MAX_CANDIDATES: Final = 3


@dataclass(frozen=True, slots=True)
class Features:
    """Of one run of cargo."""

    everything: bool = False
    named: tuple[str, ...] = ()
    without_default: bool = False

    @property
    def words(self) -> tuple[str, ...]:
        """Arguments of cargo."""
        if self.everything:
            return ("--all-features",)
        words = ("--no-default-features",) if self.without_default else ()
        return (*words, "--features", ",".join(self.named)) if self.named else words


def test_arguments(ci: CiFacts, tree: Tree, root: str) -> tuple[list[Features], int]:
    """Features that tests are run with, and the number of threads where one is asked for (else 0)."""
    found: list[Features] = []
    threads = 0
    lines = [expand(step.line, dict(step.env)) for step in ci.steps] or list(ci.commands)
    lines += _aliases(configuration(tree, (root,)), lines)
    prefix = f"{root}/" if root else ""
    for name in _RECIPES:
        for place in dict.fromkeys((prefix, "")):
            lines += _recipes(tree.read(f"{place}{name}") or "")
    for line in lines:
        for match in _TEST.finditer(line):
            words = _split(match[1])
            own, _, rest = _partition(words, "--")
            features = _features(own)
            if features is None:
                continue
            if features not in found:
                found.append(features)
            number = re.search(r"--test-threads[ =](\d{1,3})\b", " ".join(rest))
            threads = threads or (int(number[1]) if number else 0)
    return found, threads


def _aliases(text: str, lines: Sequence[str]) -> list[str]:
    """Commands of cargo's own configuration that these lines call by a name."""
    called = {name for line in lines for name in re.findall(r"\bcargo\s+(?:\+\S+\s+)?([\w-]{2,60})", line)}
    aliases = re.findall(r"^[ \t]*([\w-]{2,60})[ \t]*=[ \t]*[\"']([^\"'\n]{1,300})[\"']", text.partition("[alias]")[2], re.MULTILINE)
    return [f"cargo {value}" for name, value in aliases if name in called]


def _recipes(text: str) -> list[str]:
    """Lines of a file of recipes, with the variables that it sets itself."""
    text = text.replace("\\\n", " ")
    known = {name: value.strip().strip("\"'") for name, value in _ASSIGNED.findall(text)}
    plain = {name: value for name, value in known.items() if "$" not in value and "{{" not in value}
    lines = [line for line in text.splitlines() if _TEST.search(line)]
    return [expand(_VARIABLE.sub(lambda found: plain.get(found[1] or found[2], found[0]), line), plain) for line in lines]


def features_of(
    stated: Sequence[Features], packages: Sequence[Package], trees: tuple[Tree, Tree], tests: Sequence[str], source: Sequence[str]
) -> tuple[Features, ...]:
    """What to try, in this order: all features where CI does so, those that it names together with those that the changed files
    are compiled with, those alone, and the default. `trees` are those of base and fix."""
    known = frozenset().union(*(package.features for package in packages))

    def is_known(feature: str) -> bool:
        package, slash, own = feature.partition("/")
        return feature in known or bool(slash and any(package == one.name and own.rstrip() in one.features for one in packages))

    asked = needs_of(packages, trees, tests)
    wanted = dict.fromkeys((*asked.wanted, *needs_of(packages, trees, source).wanted))
    unwanted = set(asked.unwanted) - set(asked.wanted)
    needed = [feature for feature in wanted if is_known(feature) and feature not in unwanted]
    found: list[Features] = []
    if any(one.everything for one in stated) and not unwanted & known:
        found.append(Features(everything=True))
    with_names = [one for one in stated if one.named and not one.without_default and not unwanted & {*one.named}]
    with_names = [one for one in with_names if not any(map(_LESS.fullmatch, one.named))]
    named = max((tuple(filter(is_known, one.named)) for one in with_names), key=len, default=())
    if named or needed:
        found.append(Features(named=tuple(dict.fromkeys((*named, *needed)))))
    if stated and all(one.without_default for one in stated):
        found += [Features(named=tuple(filter(is_known, one.named)), without_default=True) for one in stated]
    rest = (Features(named=tuple(needed)), Features())
    return tuple(dict.fromkeys((*found[: _MAX_CANDIDATES - 1], *rest)))


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text, comments=True)
    except ValueError:
        return text.split()


def _partition(words: list[str], mark: str) -> tuple[list[str], str, list[str]]:
    place = words.index(mark) if mark in words else len(words)
    return words[:place], mark, words[place + 1 :]


def _features(words: Sequence[str]) -> Features | None:
    """None where the words hold something that only CI can fill in, or tests that are not run on this machine."""
    text = " ".join(words)
    if "$" in text or "{{" in text or "--target" in words or "--doc" in words:
        return None
    named: list[str] = []
    for place, word in enumerate(words):
        if word in ("--features", "-F") and place + 1 < len(words):
            named += re.split(r"[,\s]+", words[place + 1])
        elif word.startswith(("--features=", "-F=")):
            named += re.split(r"[,\s]+", word.partition("=")[2])
    good = tuple(name for name in dict.fromkeys(named) if re.fullmatch(r"[\w.+/-]{1,100}", name))
    return Features("--all-features" in words, good, "--no-default-features" in words)
