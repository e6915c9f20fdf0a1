"""The Rust module of the builder."""

from __future__ import annotations

from typing import Final

from podgym.envs.build.languages.contract import LanguageModule, PathKinds, PlanRequest
from podgym.envs.build.languages.rust.paths import RustPaths, owns
from podgym.envs.build.languages.rust.plan import plan_rust
from podgym.envs.build.plan import BuildPlan
from podgym.envs.build.tree import Tree
from podgym.verifiers.protection import Language

__all__ = ["RUST"]


class _Rust:
    """`LanguageModule`."""

    @property
    def name(self) -> Language:
        """`rust`."""
        return "rust"

    def test_paths(self, tree: Tree) -> PathKinds:
        """By the rules of `paths`."""
        return RustPaths(tree)

    def plan(self, request: PlanRequest) -> BuildPlan:
        """Raises `BuildError` (stage plan)."""
        return plan_rust(request)

    def owns(self, path: str, identity: str) -> bool:
        """By the rules of `paths`."""
        return owns(path, identity)


RUST: Final[LanguageModule] = _Rust()
