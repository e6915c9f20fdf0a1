"""Repositories as dictionaries."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

import pytest

from podgym.envs.build.catalogue import Catalogue
from podgym.envs.build.ci import CiFacts
from podgym.envs.build.languages.contract import PlanRequest
from podgym.envs.build.languages.node import TYPESCRIPT
from podgym.envs.build.plan import BuildPlan
from podgym.envs.build.tree import Tree


class MakeTree(Protocol):
    def __call__(self, files: Mapping[str, Any]) -> Tree: ...


class MakePlan(Protocol):
    def __call__(
        self,
        files: Mapping[str, Any],
        *changed: str,
        fixed: Mapping[str, Any] | None = None,
        ci: CiFacts | None = None,
        catalogue: Catalogue | None = None,
    ) -> BuildPlan: ...


def _tree(files: Mapping[str, Any]) -> Tree:
    data = {path: (text if isinstance(text, str) else json.dumps(text)).encode() for path, text in files.items()}
    return Tree(data, data.get)


@pytest.fixture(scope="session")
def tree() -> MakeTree:
    """A tree; what is not text is written as JSON."""
    return _tree


@pytest.fixture(scope="session")
def plan() -> MakePlan:
    """The plan for a fix that changes or adds some tests."""

    def make(
        files: Mapping[str, Any],
        *changed: str,
        fixed: Mapping[str, Any] | None = None,
        ci: CiFacts | None = None,
        catalogue: Catalogue | None = None,
    ) -> BuildPlan:
        after = {**files, **(fixed or {})}
        after |= {path: "test('x', () => {});" for path in changed if path not in after}
        request = PlanRequest(
            base=_tree(files),
            fixed=_tree(after),
            changed_source=("src/index.js",),
            changed_tests=changed,
            committed=datetime(2025, 6, 1, tzinfo=UTC),
            ci=ci or CiFacts(),
            catalogue=catalogue or Catalogue(),
        )
        return TYPESCRIPT.plan(request)

    return make
