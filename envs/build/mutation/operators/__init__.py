"""Operators: each finds in one piece of syntax what it could change, and depends on nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from podgym.envs.build.mutation.dialect import Dialect
from podgym.envs.build.mutation.operators.arithmetic import ARITHMETIC
from podgym.envs.build.mutation.operators.branches import BRANCHES
from podgym.envs.build.mutation.operators.calls import CALLING
from podgym.envs.build.mutation.operators.conditions import CONDITIONS
from podgym.envs.build.mutation.operators.statements import STATEMENTS
from podgym.envs.build.mutation.operators.values import VALUES
from podgym.verifiers.decoys.edits import Edit
from podgym.verifiers.decoys.part import Part

__all__ = ["OPERATORS", "Operator"]

Operator = Callable[[Part, Dialect], Iterable[Edit]]

OPERATORS: Final[dict[str, Operator]] = {**CONDITIONS, **ARITHMETIC, **VALUES, **CALLING, **STATEMENTS, **BRANCHES}
"""By name."""
