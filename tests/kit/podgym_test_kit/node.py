"""Repositories of JavaScript and TypeScript as dictionaries; what is not text is written as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from podgym.envs.build.catalogue import Catalogue
from podgym.envs.build.ci import CiFacts
from podgym.envs.build.languages.node import TYPESCRIPT
from podgym.envs.build.plan import BuildPlan
from podgym.envs.build.tree import Tree
from podgym_test_kit import plans

__all__ = ["plan", "tree"]

_COMMITTED = datetime(2025, 6, 1, tzinfo=UTC)


def _texts(files: Mapping[str, Any]) -> dict[str, str]:
    return {path: text if isinstance(text, str) else json.dumps(text) for path, text in files.items()}


def tree(files: Mapping[str, Any]) -> Tree:
    return plans.tree(_texts(files))


def plan(
    files: Mapping[str, Any],
    *changed: str,
    fixed: Mapping[str, Any] | None = None,
    ci: CiFacts | None = None,
    catalogue: Catalogue | None = None,
) -> BuildPlan:
    """For a fix that changes or adds some tests."""
    given = {**files, **(fixed or {})}
    added = {path: "test('x', () => {});" for path in changed if path not in given}
    asked = plans.request(
        _texts(files),
        _texts({**(fixed or {}), **added}),
        source=["src/index.js"],
        tests=changed,
        committed=_COMMITTED,
        ci=ci,
        catalogue=catalogue,
    )
    return plans.plan_of(TYPESCRIPT, asked)
