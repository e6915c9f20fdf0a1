"""What is computed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from podgym.envs.build.mutation.dialect import Dialect
from podgym.envs.build.mutation.syntax import INTEGERS, STRINGS, operator_of, parent_of
from podgym.verifiers.decoys.edits import Edit
from podgym.verifiers.decoys.part import Part

__all__ = ["ARITHMETIC"]

_SWAPPED: Final = {
    b"+": b"-", b"-": b"+", b"*": b"/", b"/": b"*", b"//": b"*", b"%": b"*", b"**": b"*", b"<<": b">>", b">>": b"<<", b"&": b"|",
    b"|": b"&", b"^": b"&", b">>>": b">>",
}  # fmt: skip
_ASSIGNED: Final = {
    b"+=": b"-=", b"-=": b"+=", b"*=": b"/=", b"/=": b"*=", b"//=": b"*=", b"|=": b"&=", b"&=": b"|=", b"<<=": b">>=", b">>=": b"<<=",
    b"^=": b"|=", b"%=": b"/=",
}  # fmt: skip
_ASSIGNMENTS: Final = frozenset(
    {
        "augmented_assignment", "augmented_assignment_expression", "assignment_expression", "assignment_statement",
        "compound_assignment_expr",
    }
)  # fmt: skip
_STEPS: Final = frozenset({"update_expression", "inc_statement", "dec_statement"})
_ORDERED: Final = frozenset({b"-", b"/", b"//", b"%"})


def swapped_arithmetic(part: Part, dialect: Dialect) -> Iterator[Edit]:
    """`+` for `-`; not between texts."""
    operator = operator_of(part)
    if operator is None or _text(part.field("left")) or _text(part.field("right")):
        return
    if (sign := _SWAPPED.get(operator.text)) is not None:
        yield Edit(operator.start, operator.end, sign)


def swapped_operands(part: Part, dialect: Dialect) -> Iterator[Edit]:
    """`b - a` for `a - b`."""
    operator, left, right = operator_of(part), part.field("left"), part.field("right")
    if operator is None or left is None or right is None or operator.text not in _ORDERED or _text(left) or left.text == right.text:
        return
    if left.kind == "identifier" or right.kind == "identifier":
        between = part.data[left.end : right.start]
        if not {left.kind, right.kind} & {"binary_expression", "binary_operator"}:
            yield Edit(left.start, right.end, right.text + between + left.text)


def wrong_assignment(part: Part, dialect: Dialect) -> Iterator[Edit]:
    """`-=` for `+=`."""
    if part.kind not in _ASSIGNMENTS or (operator := part.field("operator")) is None or _text(part.field("right")):
        return
    if (sign := _ASSIGNED.get(operator.text)) is not None:
        yield Edit(operator.start, operator.end, sign)


def wrong_step(part: Part, dialect: Dialect) -> Iterator[Edit]:
    """`--` for `++`; not in the head of a loop, which would never end."""
    parent = parent_of(part)
    if part.kind not in _STEPS or parent is None or parent.kind in ("for_statement", "for_clause", "comma_expression"):
        return
    for token in part.tokens:
        if token.text in (b"++", b"--"):
            yield Edit(token.start, token.end, b"--" if token.text == b"++" else b"++")


def dropped_sign(part: Part, dialect: Dialect) -> Iterator[Edit]:
    """`x` for `-x`."""
    if part.kind not in ("unary_operator", "unary_expression") or not part.text.startswith((b"-", b"~")) or not part.parts:
        return
    inner = part.parts[-1]
    if inner.kind not in INTEGERS or inner.text not in (b"1", b"0"):
        yield Edit(part.start, part.end, inner.text)


def _text(part: Part | None) -> bool:
    if part is None:
        return False
    return part.kind in STRINGS or any(one.kind in STRINGS for one in part.walk(limit=12))


ARITHMETIC: Final = {
    "swapped arithmetic": swapped_arithmetic,
    "swapped operands": swapped_operands,
    "wrong assignment": wrong_assignment,
    "wrong step": wrong_step,
    "dropped sign": dropped_sign,
}
