"""The Go module of the builder."""

from __future__ import annotations

from typing import Final

from podgym.envs.build.languages.contract import LanguageModule, PathKinds, PlanRequest
from podgym.envs.build.languages.go.paths import GoPaths, owns
from podgym.envs.build.languages.go.plan import plan_go
from podgym.envs.build.plan import BuildPlan
from podgym.envs.build.tree import Tree
from podgym.verifiers.protection import Language

__all__ = ["GO"]


class _Go:
    """`LanguageModule`."""

    @property
    def name(self) -> Language:
        """`go`."""
        return "go"

    def test_paths(self, tree: Tree) -> PathKinds:
        """By the rules of `paths`."""
        return GoPaths()

    def plan(self, request: PlanRequest) -> BuildPlan:
        """Raises `BuildError` (stage plan)."""
        return plan_go(request)

    def owns(self, path: str, identity: str) -> bool:
        """By the rules of `paths`."""
        return owns(path, identity)


GO: Final[LanguageModule] = _Go()
