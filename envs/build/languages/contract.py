"""What a language's module knows: which files are tests, how the project is built and tested, and whose a test id is.

A module reads build files the way their tools do and runs nothing. It says what it cannot do by a `BuildError`, and what it had
to guess or leave out by a note in the plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Protocol

from podgym.envs.build.catalogue import Catalogue
from podgym.envs.build.ci import CiFacts
from podgym.envs.build.plan import BuildPlan
from podgym.envs.build.tree import Tree
from podgym.verifiers.protection import Language

__all__ = ["LanguageModule", "PlanRequest", "PathKinds"]


class PathKinds(Protocol):
    """Tells tests from source among the paths of one repository."""

    def is_test(self, path: str) -> bool:
        """True for a test, its data, and the helpers that tests are written with."""
        ...

    def is_runnable(self, path: str) -> bool:
        """True for a test whose outcome its runner reports (a helper or a data file has none)."""
        ...

    def is_mixed(self, path: str) -> bool:
        """True for a source that may hold tests of its own, which its runner reports; grading tells the two apart by syntax."""
        ...


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """All that a plan is made from."""

    base: Tree
    """As the agent finds it."""
    fixed: Tree
    """With the fix and its tests: a dependency that the fix's tests need is named here only."""
    changed_source: tuple[str, ...]
    changed_tests: tuple[str, ...]
    """The runnable ones that stand after the fix."""
    committed: datetime
    ci: CiFacts
    """Of the base commit."""
    catalogue: Catalogue
    toolchain: str = ""
    """A version that was asked for, in place of the one that the files suggest."""
    without: frozenset[str] = frozenset()
    """Build systems that cannot be had, as `BuildPlan.build_system` names them: where files of another one are there it is taken."""
    suite_timeout_s: float = 900.0
    step_timeout_s: float = 1800.0
    exports: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """For every step: where a closed network has its indexes and proxies, and whose certificates it trusts."""


class LanguageModule(Protocol):
    """One language."""

    @property
    def name(self) -> Language:
        """One of the eight."""
        ...

    def test_paths(self, tree: Tree) -> PathKinds:
        """For the paths of base and fix together."""
        ...

    def plan(self, request: PlanRequest) -> BuildPlan:
        """Raises `BuildError` (stage plan)."""
        ...

    def owns(self, path: str, identity: str) -> bool:
        """Whether a test id of a report may come from this test file; where a report does not tell, True."""
        ...
