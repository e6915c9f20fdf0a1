"""Numbers, truths, texts, bounds and defaults."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from podgym.envs.build.mutation.dialect import Dialect
from podgym.envs.build.mutation.syntax import BINARY, INTEGERS, STRINGS, arguments_of, called, operator_of, parent_of
from podgym.verifiers.decoys.edits import Edit
from podgym.verifiers.decoys.part import Part

__all__ = ["VALUES"]

_NUMBER: Final = re.compile(rb"(-?)(0|[1-9][0-9]{0,11})([A-Za-z][A-Za-z0-9_]*)?")
_TRUTHS: Final = {b"true": b"false", b"false": b"true", b"True": b"False", b"False": b"True"}
_TRUTH_KINDS: Final = frozenset({"true", "false", "boolean_literal"})
_DEFAULTS: Final = frozenset(
    {
        "default_parameter", "typed_default_parameter", "required_parameter", "optional_parameter", "assignment_pattern",
        "object_assignment_pattern", "optional_parameter_declaration",
    }
)  # fmt: skip
_CONSTANTS: Final = frozenset({"const_spec", "const_item", "static_item", "field_declaration", "enumerator", "public_field_definition"})
_LABELS: Final = frozenset({"switch_label", "case_pattern", "match_pattern", "dimensions_expr", "bitfield_clause", "array_declarator"})
_CONTENT: Final = frozenset({"string_content", "string_fragment", "interpreted_string_literal_content"})
_INDEXED: Final = frozenset({"subscript", "index_expression", "array_access", "subscript_expression"})
_COUNTER: Final = re.compile(
    rb"[ijkn]|idx|index|pos|offset|start|end|begin|first|last|\w+_(?:idx|index|pos|offset)|\w+(?:Index|Offset|Pos)"
)
_CUTS: Final = frozenset({b"slice", b"substring", b"subList", b"substr", b"copyOfRange", b"subarray", b"subSequence"})


def off_by_one(part: Part, dialect: Dialect) -> Iterator[Edit]:
    """One more or one less than a number that is no constant and no default."""
    if _place(part) == "":
        yield from _shifted(part)


def changed_constant(part: Part, dialect: Dialect) -> Iterator[Edit]:
    """Another value of a constant."""
    if _place(part) == "constant":
        yield from _shifted(part)
        yield from _turned(part)


def changed_default(part: Part, dialect: Dialect) -> Iterator[Edit]:
    """Another value for an argument that is not given."""
    if _place(part) == "default":
        yield from _shifted(part)
        yield from _turned(part)


def flipped_truth(part: Part, dialect: Dialect) -> Iterator[Edit]:
    """`True` for `False`."""
    if _place(part) == "":
        yield from _turned(part)


def wrong_text(part: Part, dialect: Dialect) -> Iterator[Edit]:
    """Two letters of a key, or of a text that something is compared with, change places."""
    parent = parent_of(part)
    if part.kind not in STRINGS or parent is None or part.text.startswith((b"f", b"F", b"`")):
        return
    operator = operator_of(parent)
    compared = operator is not None and operator.text in (b"==", b"!=", b"===", b"!==", b"in", b"not in")
    keyed = parent.kind in _INDEXED | {"pair", "keyed_element"} or (parent.kind == "expression_list" and _in_case(parent))
    if not (compared or keyed):
        return
    for content in part.parts:
        if content.kind in _CONTENT and (text := _misspelt(content.text)) is not None and content.end - content.start == len(text):
            yield Edit(content.start, content.end, text)


def wrong_bound(part: Part, dialect: Dialect) -> Iterator[Edit]:
    """A slice or a range that has one element more or less, or is open at an end."""
    if part.kind == "slice":
        yield from _python_slice(part)
    elif part.kind == "slice_expression":
        for name, step in (("start", b" + 1"), ("end", b" - 1")):
            bound = part.field(name)
            if bound is not None:
                yield Edit(bound.start, bound.end, b"")
                if bound.kind not in INTEGERS | BINARY:
                    yield Edit(bound.end, bound.end, step)
    elif part.kind == "range_expression":
        for token in part.tokens:
            if token.text in (b"..", b"..=") and token.end < part.end:
                yield Edit(token.start, token.end, b"..=" if token.text == b".." else b"..")
    elif (named := called(part)) is not None and named[0].text in _CUTS:
        for position, bound in enumerate(arguments_of(part) or []):
            if bound.kind not in INTEGERS | BINARY and not bound.kind.startswith("spread"):
                yield Edit(bound.end, bound.end, b" - 1" if position else b" + 1")


def wrong_index(part: Part, dialect: Dialect) -> Iterator[Edit]:
    """The element beside the one that is meant."""
    if part.kind not in _INDEXED or len(part.parts) < 2:
        return
    index = part.parts[-1]
    if index.kind == "subscript_argument_list" and len(index.parts) == 1:
        index = index.parts[0]
    if index.kind == "identifier" and _COUNTER.fullmatch(index.text):
        yield Edit(index.end, index.end, b" + 1")
        yield Edit(index.end, index.end, b" - 1")


def _python_slice(part: Part) -> Iterator[Edit]:
    colons = [token for token in part.tokens if token.text == b":"]
    if len(colons) != 1:
        return
    for bound in part.parts:
        before = bound.end <= colons[0].start
        yield Edit(bound.start, bound.end, b"")
        if bound.kind not in INTEGERS | BINARY:
            yield Edit(bound.end, bound.end, b" + 1" if before else b" - 1")


def _place(part: Part) -> str | None:
    """Where a literal stands: `default`, `constant`, empty for anywhere else, None where it must stay as it is."""
    node, above = part.node, part.node.parent
    for depth in range(6):
        if above is None:
            return ""
        if above.type in _DEFAULTS and depth < 2:
            return "default" if above.child_by_field_name("pattern") != node else None
        if above.type in _LABELS:
            return None
        if above.type in _CONSTANTS and depth < 3:
            return "constant"
        if above.type in ("assignment", "variable_declarator", "init_declarator") and depth < 2:
            name = above.child_by_field_name("left") or above.child_by_field_name("name") or above.child_by_field_name("declarator")
            text = name.text if name is not None else None
            return "constant" if text is not None and text.isupper() else ""
        node, above = above, above.parent
    return ""


def _shifted(part: Part) -> Iterator[Edit]:
    match = _NUMBER.fullmatch(part.text) if part.kind in INTEGERS else None
    if match is None:
        return
    value = int(match[1] + match[2])
    for other in (value + 1, value - 1):
        if other >= 0 or match[1]:
            yield Edit(part.start, part.end, b"%d" % other + (match[3] or b""))


def _turned(part: Part) -> Iterator[Edit]:
    if part.kind in _TRUTH_KINDS and (other := _TRUTHS.get(part.text)) is not None:
        yield Edit(part.start, part.end, other)


def _misspelt(text: bytes) -> bytes | None:
    """The same letters in another order."""
    for at in range(len(text) // 2, 0, -1):
        pair = text[at - 1 : at + 1]
        if len(pair) == 2 and pair.isalpha() and pair.isascii() and pair[0] != pair[1] and (at < 2 or text[at - 2 : at - 1] != b"\\"):
            return text[: at - 1] + pair[::-1] + text[at + 1 :]
    return None


def _in_case(part: Part) -> bool:
    above = parent_of(part)
    return above is not None and above.kind == "expression_case"


VALUES: Final = {
    "off by one": off_by_one,
    "changed constant": changed_constant,
    "changed default": changed_default,
    "flipped truth": flipped_truth,
    "wrong text": wrong_text,
    "wrong bound": wrong_bound,
    "wrong index": wrong_index,
}
