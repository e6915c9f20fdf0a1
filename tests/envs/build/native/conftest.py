"""Plans of little repositories in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import pytest

from podgym.envs.build.catalogue import Catalogue
from podgym.envs.build.ci import CiFacts
from podgym.envs.build.languages.contract import PlanRequest
from podgym.envs.build.languages.native import C
from podgym.envs.build.plan import BuildPlan
from podgym.envs.build.tree import Tree

Planner = Callable[..., BuildPlan]


def tree_of(files: Mapping[str, str]) -> Tree:
    data = {path: text.encode() for path, text in files.items()}
    return Tree(data, data.get)


@pytest.fixture
def plan() -> Planner:
    def make(files: Mapping[str, str], *, changed: tuple[str, ...] = (), ci: CiFacts | None = None, **more: object) -> BuildPlan:
        tree = tree_of(files)
        kinds = C.test_paths(tree)
        changed = changed or tuple(files)
        request = PlanRequest(
            base=tree,
            fixed=tree,
            changed_source=tuple(path for path in changed if not kinds.is_test(path)),
            changed_tests=tuple(path for path in changed if kinds.is_runnable(path)),
            committed=datetime(2024, 5, 1, tzinfo=UTC),
            ci=ci or CiFacts(),
            catalogue=Catalogue(),
            **more,  # type: ignore[arg-type]
        )
        return C.plan(request)

    return make
