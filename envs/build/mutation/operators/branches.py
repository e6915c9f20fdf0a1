"""Branches that are not there any more, or stand in each other's place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from podgym.envs.build.mutation.dialect import Dialect
from podgym.envs.build.mutation.syntax import CASES, IFS, TERNARIES, parent_of
from podgym.verifiers.decoys.edits import Edit
from podgym.verifiers.decoys.part import Part

__all__ = ["BRANCHES"]

_DEFAULTS: Final = (b"default", b"_")


def removed_else(part: Part, dialect: Dialect) -> Iterator[Edit]:
    """Nothing happens where the condition does not hold."""
    if part.kind in ("else_clause", "elif_clause"):
        above = parent_of(part)
        if above is None or (dialect.values and not _is_statement(above)) or above.kind not in IFS:
            return
        yield Edit(_end_before(part, above), part.end, b"")
    elif part.kind == "if_statement" and (other := part.field("alternative")) is not None and other.kind != "else_clause":
        word = next((token for token in part.tokens if token.text == b"else"), None)
        if word is not None:
            yield Edit(_end_before(word, part), other.end, b"")


def removed_case(part: Part, dialect: Dialect) -> Iterator[Edit]:
    """One case of several, not the default."""
    above = parent_of(part)
    if part.kind not in CASES or above is None or _is_default(part):
        return
    others = [one for one in above.parts if one.kind in CASES | {"default_case", "switch_default"} and one.start != part.start]
    if not others or (dialect.values and not any(_is_default(one) for one in others)):
        return
    line, stop = part.data.rfind(b"\n", 0, part.start) + 1, part.data.find(b"\n", part.end)
    if not part.data[line : part.start].strip() and stop >= 0 and not part.data[part.end : stop].strip():
        yield Edit(line, stop + 1, b"")
    else:
        yield Edit(part.start, part.end, b"")


def swapped_branches(part: Part, dialect: Dialect) -> Iterator[Edit]:
    """The value for the other case."""
    if part.kind not in TERNARIES:
        return
    one, other = part.field("consequence"), part.field("alternative")
    if one is None and len(part.parts) == 3:
        one, other = part.parts[0], part.parts[2]
    if one is not None and other is not None and one.text != other.text:
        yield Edit(one.start, other.end, other.text + part.data[one.end : other.start] + one.text)


def narrowed_handler(part: Part, dialect: Dialect) -> Iterator[Edit]:
    """One kind of exception less is handled."""
    if part.kind != "except_clause":
        return
    value = part.field("value")
    kinds = value.parts[0] if value is not None and value.kind == "as_pattern" and value.parts else value
    if kinds is not None and kinds.kind == "tuple" and len(kinds.parts) > 1:
        for kept in (kinds.parts[0], kinds.parts[-1]):
            yield Edit(kinds.start, kinds.end, kept.text)


def _is_statement(part: Part) -> bool:
    above = parent_of(part)
    return above is not None and above.kind == "expression_statement"


def _is_default(part: Part) -> bool:
    texts = [token.text for token in part.tokens[:2]]
    return any(text.startswith(_DEFAULTS[0]) or text == _DEFAULTS[1] for text in texts)


def _end_before(part: Part, above: Part) -> int:
    """Where what stands before it ends, so that no empty line is left."""
    return max((token.end for token in above.tokens if token.end <= part.start), default=part.start)


BRANCHES: Final = {
    "removed else": removed_else,
    "removed case": removed_case,
    "swapped branches": swapped_branches,
    "narrowed handler": narrowed_handler,
}
