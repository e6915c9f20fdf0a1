"""The POMs of a repository as Maven connects them: parents, modules, what each module needs of the others.

Only edges inside the repository count. A property is replaced as far as the repository's own POMs tell its value.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from functools import cached_property
from typing import Final

from podgym.envs.build.languages.java.pom import Coordinates, Pom, read_pom
from podgym.envs.build.tree import Tree

__all__ = ["Reactor"]

_MAX_POMS: Final = 3000
_MAX_DEPTH: Final = 32
_PROPERTY: Final = re.compile(r"\$\{([^${}]+)\}")
_MAX_VALUE: Final = 4096
_FOREIGN: Final = re.compile(r"(?:^|/)(?:src/(?:test|it|main)/|target/|node_modules/|archetype-resources/)")
"""POMs below these are data of tests and templates."""


class Reactor:
    """All POMs of one repository."""

    def __init__(self, tree: Tree) -> None:
        self.poms: dict[str, Pom] = {}
        self.notes: list[str] = []
        modules: list[str] = [path for path in tree.named("pom.xml") if not _FOREIGN.search(path)]
        if len(modules) > _MAX_POMS:
            self.notes.append(f"{len(modules)} POMs; the first {_MAX_POMS} are read")
        waiting, seen = modules[:_MAX_POMS], set[str]()
        while waiting and len(seen) < 2 * _MAX_POMS:
            path = waiting.pop(0)
            text = tree.read(path) if path not in seen else None
            seen.add(path)
            if text is None:
                continue
            pom = read_pom(path, text)
            if pom is None:
                self.notes.append(f"{path} cannot be read as a POM")
                continue
            self.poms[path] = pom
            waiting += [
                near for near in (*(module.pom for module in pom.modules), pom.parent_path) if near in tree and near not in self.poms
            ]

    def holds(self, artifact: str) -> bool:
        """Whether a POM of the repository has this artifact id."""
        return artifact in self._by_artifact

    def parent(self, pom: Pom) -> Pom | None:
        """The parent, where it is in the repository."""
        stated = pom.parent
        near = self.poms.get(pom.parent_path)
        if stated is None:
            return None
        if near is not None and near is not pom and near.own.artifact == stated.artifact:
            return near
        found = self._by_artifact.get(stated.artifact, [])
        return next((one for one in found if one is not pom and one.own.group == stated.group), None)

    def line(self, pom: Pom) -> list[Pom]:
        """The POM and its parents in the repository, nearest first."""
        found = [pom]
        while len(found) < _MAX_DEPTH and (parent := self.parent(found[-1])) is not None and parent not in found:
            found.append(parent)
        return found

    def outer_parent(self, pom: Pom) -> Coordinates | None:
        """The parent that is not in the repository, at the end of the line."""
        return self.line(pom)[-1].parent

    def value(self, pom: Pom, text: str) -> str:
        """`text` with its properties replaced, as far as they are known."""
        for _ in range(_MAX_DEPTH):
            replaced = _PROPERTY.sub(lambda match: self._property(pom, match[1], match[0]), text)
            if replaced == text or len(replaced) > _MAX_VALUE:
                return text
            text = replaced
        return text

    def _property(self, pom: Pom, name: str, unknown: str) -> str:
        line = self.line(pom)
        for one in line:
            if name in one.properties:
                return one.properties[name]
        own, parent = pom.own, pom.parent
        known = {
            "groupId": own.group,
            "artifactId": own.artifact,
            "version": own.version,
            "parent.version": parent.version if parent else "",
            "parent.groupId": parent.group if parent else "",
        }
        short = name.removeprefix("project.").removeprefix("pom.")
        value = known.get(short, "")
        return value if value and unknown not in value else unknown

    @cached_property
    def _by_artifact(self) -> dict[str, list[Pom]]:
        found: dict[str, list[Pom]] = {}
        for pom in self.poms.values():
            found.setdefault(pom.own.artifact, []).append(pom)
        return found

    @cached_property
    def _aggregators(self) -> dict[str, list[tuple[Pom, str]]]:
        """Of each POM: those that list it as a module, and under which profile."""
        found: dict[str, list[tuple[Pom, str]]] = {}
        for pom in self.poms.values():
            for module in pom.modules:
                if module.pom in self.poms and module.pom != pom.path:
                    found.setdefault(module.pom, []).append((pom, module.profile))
        return found

    def root(self, pom: Pom) -> tuple[Pom, tuple[str, ...]]:
        """The outermost POM whose build reaches this one, and the profiles that it takes."""
        profiles: list[str] = []
        seen = {pom.path}
        while True:
            above = [entry for entry in self._aggregators.get(pom.path, []) if entry[0].path not in seen]
            if not above:
                return pom, tuple(dict.fromkeys(profiles))
            pom, profile = min(above, key=lambda entry: (entry[1] != "", entry[0].path.count("/"), entry[0].path))
            seen.add(pom.path)
            if profile:
                profiles.append(profile)

    def members(self, root: Pom, profiles: Iterable[str] = ()) -> list[Pom]:
        """The POMs that a build of `root` reaches, the root first."""
        active = {"", *profiles}
        found, waiting = [root], [root]
        while waiting:
            for module in waiting.pop(0).modules:
                pom = self.poms.get(module.pom)
                if pom is not None and pom not in found and module.profile in active:
                    found.append(pom)
                    waiting.append(pom)
        return found

    def owner(self, path: str) -> Pom | None:
        """The module that a file belongs to: the deepest one above it; of what only lists modules, the one that states the directory."""
        found = self._above(path)
        if found is None or found.own.kind == "pom":
            directory = posixpath.dirname(path)
            while directory:
                if directory in self._elsewhere:
                    return self._elsewhere[directory]
                directory = posixpath.dirname(directory)
        return found

    def _above(self, path: str) -> Pom | None:
        directory = path
        while directory:
            directory = posixpath.dirname(directory)
            pom = self.poms.get(f"{directory}/pom.xml" if directory else "pom.xml")
            if pom is not None:
                return pom
        return None

    @cached_property
    def _elsewhere(self) -> dict[str, Pom]:
        """Directories of sources outside of the module that states them; of several modules the one whose tests are there too."""
        found: dict[str, Pom] = {}
        for pom in sorted(self.poms.values(), key=lambda one: one.project.first("build", "testSourceDirectory") is None):
            for place in self.outside(pom):
                found.setdefault(place, pom)
        return found

    def outside(self, pom: Pom) -> list[str]:
        """Directories of sources that a module states and that are not its own."""
        found = []
        for name in ("sourceDirectory", "testSourceDirectory"):
            stated = self.value(pom, pom.project.value("build", name))
            stated = re.sub(r"^\$\{(?:project\.)?basedir\}/", "", stated)
            place = posixpath.normpath(posixpath.join(pom.directory or ".", stated)) if stated else ""
            own = not pom.directory or f"{place}/".startswith(f"{pom.directory}/")
            if place and not own and not place.startswith(("../", "/")) and "$" not in place:
                found.append(place)
        return found

    @cached_property
    def _needs(self) -> dict[str, list[Pom]]:
        found: dict[str, list[Pom]] = {}
        for pom in self.poms.values():
            needed: dict[str, Pom] = {}
            line = self.line(pom)
            for ancestor in line:
                if ancestor is not pom:
                    needed[ancestor.path] = ancestor
                for stated in (*ancestor.dependencies, *ancestor.imports, *ancestor.built_with):
                    for one in self._by_artifact.get(self.value(pom, stated.artifact), []):
                        group = self.value(pom, stated.group)
                        if one not in line and ("$" in group or group == self.value(one, one.own.group)):
                            needed[one.path] = one
            found[pom.path] = list(needed.values())
        return found

    def upstream(self, poms: Iterable[Pom]) -> list[Pom]:
        """What these modules need of the repository, themselves not included unless another one needs them; what others need first."""
        order: list[Pom] = []
        state: dict[str, bool] = {}
        chosen = list(poms)
        waiting: list[tuple[Pom, bool]] = [(pom, False) for pom in reversed(chosen)]
        while waiting:
            pom, done = waiting.pop()
            if done:
                order.append(pom)
            elif pom.path not in state:
                state[pom.path] = True
                waiting.append((pom, True))
                waiting.extend((needed, False) for needed in reversed(self._needs[pom.path]) if needed.path not in state)
        needed_by_others = {needed.path for pom in order for needed in self._needs[pom.path]}
        return [pom for pom in order if pom not in chosen or pom.path in needed_by_others]

    def levels(self, poms: Iterable[Pom]) -> list[list[Pom]]:
        """These modules in groups: those of one group need none of each other, and each only those of groups before it."""
        chosen = list(poms)
        depth = {pom.path: 0 for pom in chosen}
        order = [pom for pom in self.upstream(chosen) if pom.path in depth]
        order += [pom for pom in chosen if pom not in order]
        for pom in order:
            below = [depth[one.path] for one in self.upstream([pom]) if one.path in depth and one is not pom]
            depth[pom.path] = max(below, default=-1) + 1
        return [[pom for pom in chosen if depth[pom.path] == level] for level in sorted(set(depth.values()))]
