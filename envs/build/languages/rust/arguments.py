"""Which features tests are run with: what CI, Makefile and justfile say, and what the changed tests ask for."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from podgym.envs.build.languages.rust.manifest import Package
from podgym.envs.build.tree import Tree

__all__ = ["Features", "features_of", "test_arguments"]

_TEST: Final = re.compile(
    r"\bcargo\s+(?:\+\S+\s+)?(?:(?:--\S+\s+)*)(?:test|t|nextest\s+run|nextest|tarpaulin|llvm-cov(?:\s+nextest|\s+test)?)\b([^;&|\n]*)"
)
_GATE: Final = re.compile(r'#!\[cfg\((?:all\()?\s*feature\s*=\s*"([\w.+/-]{1,100})"\s*(?:,\s*feature\s*=\s*"([\w.+/-]{1,100})"\s*)*')
_MODULE: Final = (
    r'#\[cfg\((?:all\()?\s*feature\s*=\s*"([\w.+/-]{{1,100}})"[^\]]{{0,200}}\]\s*'
    r"(?:#\[[^\]]{{0,200}}\]\s*){{0,10}}(?:pub(?:\([\w\s:]{{1,40}}\))?\s+)?mod\s+{name}\b"
)
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


def test_arguments(commands: Iterable[str], tree: Tree, root: str) -> tuple[list[Features], int]:
    """Features that tests are run with, and the number of threads where one is asked for (else 0)."""
    found: list[Features] = []
    threads = 0
    lines = list(commands)
    prefix = f"{root}/" if root else ""
    for name in _RECIPES:
        for place in dict.fromkeys((prefix, "")):
            lines += (tree.read(f"{place}{name}") or "").replace("\\\n", " ").splitlines()
    for line in lines:
        for match in _TEST.finditer(line):
            words = _split(match[1])
            own, _, rest = _partition(words, "--")
            features = _features(own)
            if features is not None and features not in found:
                found.append(features)
            number = re.search(r"--test-threads[ =](\d{1,3})\b", " ".join(rest))
            threads = threads or (int(number[1]) if number else 0)
    return found, threads


def features_of(stated: Sequence[Features], packages: Sequence[Package], tree: Tree, changed: Iterable[str]) -> tuple[Features, ...]:
    """What to try, in this order: all features where CI does so, those that it names together with those that the changed files
    are compiled with, and the default."""
    known = frozenset().union(*(package.features for package in packages))

    def is_known(feature: str) -> bool:
        package, slash, own = feature.partition("/")
        return feature in known or bool(slash and any(package == one.name and own.rstrip() in one.features for one in packages))

    needed = [feature for feature in _needed(packages, tree, changed) if is_known(feature)]
    found: list[Features] = []
    if any(one.everything for one in stated):
        found.append(Features(everything=True))
    with_names = [one for one in stated if one.named and not one.without_default]
    named = max((tuple(filter(is_known, one.named)) for one in with_names), key=len, default=())
    if named or needed:
        found.append(Features(named=tuple(dict.fromkeys((*named, *needed)))))
    if stated and all(one.without_default for one in stated):
        found += [Features(named=tuple(filter(is_known, one.named)), without_default=True) for one in stated]
    default = Features(named=tuple(needed))
    return tuple(dict.fromkeys((*found[: _MAX_CANDIDATES - 1], default)))


def _needed(packages: Sequence[Package], tree: Tree, changed: Iterable[str]) -> list[str]:
    """Features without which a changed file is not compiled at all."""
    targets = {target.path: target for package in packages for target in package.targets}
    needed: list[str] = []
    for path in changed:
        if not path.endswith(".rs"):
            continue
        if path in targets:
            needed += targets[path].required
        match = _GATE.search((tree.read(path) or "")[:5000])
        needed += [feature for feature in (match.groups() if match else ()) if feature]
        needed += _gates(tree, path)
    return list(dict.fromkeys(needed))


def _gates(tree: Tree, path: str) -> list[str]:
    """Features of the `mod` items that lead to a module's file, up to its package's root."""
    found = []
    directory, _, name = path.rpartition("/")
    stem = name.removesuffix(".rs")
    for _ in range(20):
        if stem in ("lib", "main"):
            break
        if stem == "mod":
            directory, _, stem = directory.rpartition("/")
            continue
        above, _, parent = directory.rpartition("/")
        homes = [f"{directory}/lib.rs", f"{directory}/main.rs", f"{directory}/mod.rs", f"{above}/{parent}.rs" if above else f"{parent}.rs"]
        home = next((one for one in homes if one in tree), None)
        if home is None or not re.fullmatch(r"\w+", stem):
            break
        if match := re.search(_MODULE.format(name=stem), tree.read(home) or ""):
            found.append(match[1])
        directory, _, name = home.rpartition("/")
        stem = name.removesuffix(".rs")
    return found


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
