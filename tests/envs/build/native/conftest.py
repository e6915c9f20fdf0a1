"""Plans of little repositories in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
from podgym_test_kit.plans import plan_of, request, tree

from podgym.envs.build.ci import CiFacts
from podgym.envs.build.languages.native import C
from podgym.envs.build.plan import BuildPlan

Planner = Callable[..., BuildPlan]


@pytest.fixture
def plan() -> Planner:
    def make(
        files: Mapping[str, str],
        *,
        changed: tuple[str, ...] = (),
        ci: CiFacts | None = None,
        toolchain: str = "",
        exports: Mapping[str, str] | None = None,
        without: frozenset[str] = frozenset(),
    ) -> BuildPlan:
        kinds = C.test_paths(tree(files))
        changed = changed or tuple(files)
        source, tests = [path for path in changed if not kinds.is_test(path)], [path for path in changed if kinds.is_runnable(path)]
        asked = request(files, source=source, tests=tests, ci=ci, toolchain=toolchain, exports=exports)
        return plan_of(C, replace(asked, without=without))

    return make
