"""Which modules of a Maven repository a fix is tested in: those of its tests, then those of its source."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from podgym.envs.build.errors import BuildError
from podgym.envs.build.languages.java.paths import SOURCES, JavaTestPaths, class_of, is_integration, source_set
from podgym.envs.build.languages.java.pom import Pom
from podgym.envs.build.languages.java.reactor import Reactor
from podgym.envs.build.tree import Tree

__all__ = ["Scope", "find_scope"]

_MAX_MODULES: Final = 8
_MAX_SUBCLASSES: Final = 40
_MAX_READ: Final = 3000


@dataclass(frozen=True)
class Scope:
    """What is built and tested."""

    reactor: Reactor
    root: Pom
    profiles: tuple[str, ...]
    tested: tuple[Pom, ...]
    upstream: tuple[Pom, ...]
    """Of the repository, what the tested modules need; in the order that they are built in."""
    members: tuple[Pom, ...]
    """All that a build of the root takes."""
    changed: tuple[str, ...]
    """Classes that the changed tests stand for."""
    warm: tuple[str, ...]
    """For each tested module a class of tests that the base has."""
    integration: bool
    """Whether Failsafe runs some of the changed tests."""
    notes: tuple[str, ...]

    @property
    def built(self) -> tuple[Pom, ...]:
        """In order."""
        return (*self.upstream, *(pom for pom in self.tested if pom not in self.upstream))

    def place(self, pom: Pom) -> str:
        """Its directory relative to the root's; `.` for the root."""
        return posixpath.relpath(pom.directory or ".", self.root.directory or ".")

    def file(self, pom: Pom) -> str:
        """Its POM relative to the root's directory."""
        return posixpath.relpath(pom.path, self.root.directory or ".")

    def selector(self, pom: Pom) -> str:
        """For `-pl`."""
        return self.place(pom) if posixpath.basename(pom.path) == "pom.xml" else f":{pom.own.artifact}"


def find_scope(base: Tree, fixed: Tree, *, changed_source: Sequence[str], changed_tests: Sequence[str]) -> Scope:
    """Raises `BuildError` where no POM can be read."""
    reactor = Reactor(fixed)
    notes = list(reactor.notes)
    code = [path for path in changed_source if path.endswith(SOURCES) or "/src/main/" in f"/{path}"]
    tests, sources = _owners(reactor, changed_tests), _owners(reactor, code)
    main = (tests or sources or [pom for pom in reactor.poms.values() if pom.path == "pom.xml"] or [*reactor.poms.values()][:1])[:1]
    if not main:
        raise BuildError("No POM can be read.", stage="plan", reason="no_build_file", remedy="Mend the POM, or name another build system.")
    root, profiles = reactor.root(main[0])
    members = reactor.members(root, profiles)
    wanted = list(dict.fromkeys([*tests, *(pom for pom in sources if pom.own.kind != "pom")]))
    outside = [pom for pom in wanted if pom not in members]
    tested = [pom for pom in wanted if pom in members] or main
    for pom in outside:
        notes.append(f"{pom.path} is not part of the build of {root.path}: its tests are left out")
    if len(tested) > _MAX_MODULES:
        notes.append(f"the fix touches {len(tested)} modules: the tests of {_MAX_MODULES} are run")
        tested = tested[:_MAX_MODULES]
    upstream = [pom for pom in reactor.upstream(tested) if pom in members]
    kinds = JavaTestPaths(fixed)
    changed = _classes(fixed, kinds, [path for path in changed_tests if reactor.owner(path) in tested])
    warm = [name for pom in tested if (name := _warm(base, reactor, pom, changed_tests))]
    return Scope(
        reactor=reactor,
        root=root,
        profiles=profiles,
        tested=tuple(tested),
        upstream=tuple(upstream),
        members=tuple(members),
        changed=changed,
        warm=tuple(dict.fromkeys(warm)),
        integration=any(_by_failsafe(reactor, path) for path in changed_tests),
        notes=tuple(notes),
    )


def _owners(reactor: Reactor, paths: Sequence[str]) -> list[Pom]:
    found = {pom.path: pom for path in paths if (pom := reactor.owner(path)) is not None}
    return list(found.values())


def _by_failsafe(reactor: Reactor, path: str) -> bool:
    pom = reactor.owner(path)
    if pom is None or not any(one.plugin("maven-failsafe-plugin") for one in reactor.line(pom)):
        return False
    return is_integration(path) or source_set(path) not in ("", "test")


def _classes(tree: Tree, kinds: JavaTestPaths, paths: Sequence[str]) -> tuple[str, ...]:
    """Classes of the files; for an abstract one those that extend it."""
    found: dict[str, None] = {}
    for path in paths:
        name, text = class_of(path), tree.read(path) or ""
        if not re.search(rf"\b(?:abstract\s+class|interface|trait)\s+{re.escape(name)}\b", text):
            found[name] = None
            continue
        extends = re.compile(rf"\b(?:extends|implements|:)\s[^{{]*\b{re.escape(name)}\b")
        others = [one for one in tree.paths if one.endswith(SOURCES) and one not in paths and kinds.is_test(one)][:_MAX_READ]
        heirs = [class_of(one) for one in others if extends.search(tree.read(one) or "")]
        found.update(dict.fromkeys(heirs[:_MAX_SUBCLASSES] or [name]))
    return tuple(name for name in found if re.fullmatch(r"[\w$]+", name))


def _warm(base: Tree, reactor: Reactor, pom: Pom, changed: Sequence[str]) -> str:
    """A small class of tests of the module in the base: its own run fetches what only a run of tests fetches."""
    kinds = JavaTestPaths(base)
    for path in changed:
        if path in base and reactor.owner(path) is pom and kinds.is_runnable(path) and not is_integration(path):
            return class_of(path)
    others = (path for path in base.paths if path.endswith(SOURCES) and not is_integration(path) and reactor.owner(path) is pom)
    for path in sorted(others, key=lambda path: (not class_of(path).endswith(("Test", "Tests", "Spec")), path))[:_MAX_READ]:
        if kinds.is_runnable(path) and "abstract class" not in (base.read(path) or ""):
            return class_of(path)
    return ""
