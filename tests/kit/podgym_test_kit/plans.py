"""Plans of repositories that are dictionaries."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from podgym.envs.build.catalogue import Catalogue
from podgym.envs.build.ci import CiFacts
from podgym.envs.build.languages.contract import LanguageModule, PlanRequest
from podgym.envs.build.plan import BuildPlan
from podgym.envs.build.tree import Tree

__all__ = ["COMMITTED", "plan_of", "request", "tree"]

COMMITTED = datetime(2024, 5, 10, tzinfo=UTC)


def tree(files: Mapping[str, str]) -> Tree:
    data = {path: text.encode() for path, text in files.items()}
    return Tree(data, data.get)


def request(
    files: Mapping[str, str],
    fixed: Mapping[str, str] | None = None,
    *,
    source: Sequence[str] = (),
    tests: Sequence[str] = (),
    committed: datetime = COMMITTED,
    ci: CiFacts | None = None,
    catalogue: Catalogue | None = None,
    toolchain: str = "",
    exports: Mapping[str, str] | None = None,
) -> PlanRequest:
    """`fixed` are the files that the fix adds or changes."""
    return PlanRequest(
        base=tree(files),
        fixed=tree({**files, **(fixed or {})}),
        changed_source=tuple(source),
        changed_tests=tuple(tests),
        committed=committed,
        ci=ci or CiFacts(),
        catalogue=catalogue or Catalogue(),
        toolchain=toolchain,
        exports=exports or {},
    )


def plan_of(module: LanguageModule, asked: PlanRequest) -> BuildPlan:
    """The plan, whose scripts are shell, and which is the same after it was written and read."""
    made = module.plan(asked)
    for text in (*(step.run for step in made.steps), *(command.script for command in (*made.tests, *made.changed))):
        subprocess.run(["sh", "-n"], input=text.encode(), check=True)
    assert BuildPlan.model_validate_json(made.model_dump_json()) == made
    return made
