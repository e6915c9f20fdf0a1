"""What a condition asks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from podgym.envs.build.mutation.dialect import Dialect
from podgym.envs.build.mutation.syntax import COMPARISONS, condition_of, operator_of
from podgym.verifiers.decoys.edits import Edit
from podgym.verifiers.decoys.part import Part

__all__ = ["CONDITIONS"]

_BOUNDARY: Final = {b"<": b"<=", b"<=": b"<", b">": b">=", b">=": b">"}
_FLIPPED: Final = {
    b"<": b">=", b"<=": b">", b">": b"<=", b">=": b"<", b"==": b"!=", b"!=": b"==", b"===": b"!==", b"!==": b"===",
    b"in": b"not in", b"not in": b"in", b"is": b"is not", b"is not": b"is",
}  # fmt: skip
_LOGIC: Final = {b"&&": b"||", b"||": b"&&", b"and": b"or", b"or": b"and", b"??": b"||"}
_NOTS: Final = frozenset({"not_operator", "unary_expression"})


def _sign(part: Part, table: dict[bytes, bytes]) -> Iterator[Edit]:
    operator = operator_of(part)
    if operator is not None and (text := table.get(operator.text)) is not None:
        yield Edit(operator.start, operator.end, text)


def boundary(part: Part, dialect: Dialect) -> Iterator[Edit]:
    """`<` for `<=`."""
    return _sign(part, _BOUNDARY)


def flipped_comparison(part: Part, dialect: Dialect) -> Iterator[Edit]:
    """`==` for `!=`."""
    return _sign(part, _FLIPPED)


def wrong_logic(part: Part, dialect: Dialect) -> Iterator[Edit]:
    """`and` for `or`."""
    return _sign(part, _LOGIC)


def negated_condition(part: Part, dialect: Dialect) -> Iterator[Edit]:
    """The other branch is taken. A comparison is left to `flipped_comparison`, a negation to `dropped_negation`."""
    condition = condition_of(part)
    if condition is None or _is_not(condition):
        return
    operator = operator_of(condition)
    if operator is None or operator.text not in COMPARISONS:
        yield Edit(condition.start, condition.end, dialect.negated(condition.text))


def dropped_negation(part: Part, dialect: Dialect) -> Iterator[Edit]:
    """`x` for `not x`."""
    if _is_not(part) and (inner := part.field("argument", "operand") or (part.parts[-1] if part.parts else None)) is not None:
        yield Edit(part.start, part.end, inner.text)


def dropped_condition(part: Part, dialect: Dialect) -> Iterator[Edit]:
    """One of two conditions is not looked at."""
    operator = operator_of(part)
    left, right = part.field("left"), part.field("right")
    if operator is None or operator.text not in (b"&&", b"||", b"and", b"or") or left is None or right is None:
        return
    if any(one.kind in ("let_condition", "let_chain") for one in part.walk(limit=200)):
        return
    yield Edit(part.start, part.end, left.text)
    yield Edit(part.start, part.end, right.text)


def _is_not(part: Part) -> bool:
    return part.kind in _NOTS and part.text.startswith((b"!", b"not ", b"not("))


CONDITIONS: Final = {
    "boundary": boundary,
    "flipped comparison": flipped_comparison,
    "wrong logic": wrong_logic,
    "negated condition": negated_condition,
    "dropped negation": dropped_negation,
    "dropped condition": dropped_condition,
}
