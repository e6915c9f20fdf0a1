"""Statements that are not there any more."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from podgym.envs.build.mutation.dialect import Dialect
from podgym.envs.build.mutation.syntax import CALLS, IFS, LEAVING, parent_of, removal, statements_of
from podgym.verifiers.decoys.edits import Edit
from podgym.verifiers.decoys.part import Part

__all__ = ["STATEMENTS"]

_EXPRESSIONS: Final = frozenset({"expression_statement"})
_ASSIGNING: Final = frozenset(
    {
        "assignment", "augmented_assignment", "assignment_expression", "augmented_assignment_expression", "compound_assignment_expr",
        "assignment_statement", "update_expression", "inc_statement", "dec_statement",
    }
)  # fmt: skip
_MEMBERS: Final = frozenset(
    {
        "attribute", "member_expression", "selector_expression", "field_expression", "field_access", "subscript", "index_expression",
        "array_access", "subscript_expression", "pointer_expression", "unary_expression",
    }
)  # fmt: skip
_ERROR: Final = re.compile(rb"\berr\w*\b")
_FAILURE: Final = re.compile(rb"\berr\b")


def removed_call(part: Part, dialect: Dialect) -> Iterator[Edit]:
    """A call for its effect."""
    inner = _inner(part)
    if inner is not None and inner.kind == "await_expression" and inner.parts:
        inner = inner.parts[0]
    if inner is not None and inner.kind in CALLS and not inner.text.startswith((b"super", b"this(")):
        yield removal(part, dialect)


def removed_assignment(part: Part, dialect: Dialect) -> Iterator[Edit]:
    """An assignment to an attribute or an element, or an update."""
    inner = part if part.kind in _ASSIGNING else _inner(part)
    if inner is None or inner.kind not in _ASSIGNING or (inner is part and _wrapped(part)):
        return
    target = inner.field("left", "argument") or (inner.parts[0] if inner.parts else None)
    while target is not None and target.kind == "expression_list" and len(target.parts) == 1:
        target = target.parts[0]
    updates = inner.kind not in ("assignment", "assignment_expression", "assignment_statement")
    if target is not None and (target.kind in _MEMBERS or updates):
        yield removal(part, dialect)


def removed_guard(part: Part, dialect: Dialect) -> Iterator[Edit]:
    """A condition that ends a function or a turn of a loop early, or refuses bad input."""
    if part.kind not in IFS or part.field("alternative") is not None or (body := part.field("consequence")) is None:
        return
    inner = [_inner(one) or one for one in statements_of(body)]
    condition = part.field("condition")
    if not inner or len(inner) > 2 or inner[-1].kind not in LEAVING or condition is None:
        return
    if dialect.strict and _ERROR.search(condition.text) and part.field("initializer") is None:
        return  # nothing would read the variable
    above = parent_of(part)
    statement = above if above is not None and above.kind in _EXPRESSIONS else part
    if part.kind == "if_expression" and statement is part:
        return
    yield removal(statement, dialect)


def swallowed_error(part: Part, dialect: Dialect) -> Iterator[Edit]:
    """`return nil` for `return err`; a handler that does not raise again."""
    if part.kind == "return_statement" and dialect.name == "go":
        values = part.parts[0].parts if part.parts and part.parts[0].kind == "expression_list" else part.parts
        if values and _FAILURE.search(values[-1].text):
            yield Edit(values[-1].start, values[-1].end, b"nil")
    if part.kind not in ("except_clause", "catch_clause"):
        return
    body = part.field("body") or next((one for one in part.parts if one.kind == "block"), None)
    last = statements_of(body)[-1:] if body is not None else []
    if last and last[0].kind in ("raise_statement", "throw_statement"):
        yield removal(last[0], dialect)


def wrong_jump(part: Part, dialect: Dialect) -> Iterator[Edit]:
    """`break` for `continue`; not at the end of a case."""
    names = {
        "break_statement": b"continue",
        "continue_statement": b"break",
        "break_expression": b"continue",
        "continue_expression": b"break",
    }
    above = parent_of(part)
    if part.kind in names and not part.parts and above is not None and "case" not in above.kind and not above.kind.startswith("switch"):
        word = part.tokens[0]
        yield Edit(word.start, word.end, names[part.kind])


def removed_cleanup(part: Part, dialect: Dialect) -> Iterator[Edit]:
    """What should happen in any case does not."""
    if part.kind == "defer_statement":
        yield removal(part, dialect)
    above = parent_of(part)
    if part.kind == "finally_clause" and above is not None and any(one.kind in ("except_clause", "catch_clause") for one in above.parts):
        yield Edit(part.start, part.end, b"")


def _inner(part: Part) -> Part | None:
    return part.parts[0] if part.kind in _EXPRESSIONS and len(part.parts) == 1 else None


def _wrapped(part: Part) -> bool:
    """Whether it is a piece of a larger statement, which then is the one to look at."""
    above = parent_of(part)
    return above is None or above.kind not in ("block", "statement_list", "expression_case", "default_case")


STATEMENTS: Final = {
    "removed call": removed_call,
    "removed assignment": removed_assignment,
    "removed guard": removed_guard,
    "swallowed error": swallowed_error,
    "wrong jump": wrong_jump,
    "removed cleanup": removed_cleanup,
}
