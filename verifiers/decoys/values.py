"""Values that are written out in a source: what they are made of, and another one in place of each.

A value is a literal, a list, object or structure of values, or what a well-known constructor makes of values. Names of constants
may stand among them; a call of anything else makes the whole computed.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from typing import Final

from podgym.verifiers.decoys.edits import Edit
from podgym.verifiers.decoys.grammar import Grammar, call_of
from podgym.verifiers.decoys.literals import another_character, another_number, another_text
from podgym.verifiers.decoys.part import Part, unwrapped

__all__ = ["another_value", "entries", "is_value", "leaves", "members"]

_NUMBERS: Final = frozenset(
    {
        "int_literal", "float_literal", "integer_literal", "number", "number_literal", "decimal_integer_literal", "hex_integer_literal",
        "octal_integer_literal", "binary_integer_literal", "decimal_floating_point_literal",
    }
)  # fmt: skip
_TEXTS: Final = frozenset({"interpreted_string_literal", "raw_string_literal", "string_literal", "string", "template_string"})
_CHARACTERS: Final = frozenset({"rune_literal", "char_literal", "character_literal"})
_TRUTHS: Final = frozenset({"true", "false", "boolean_literal"})
_NOTHING: Final = frozenset({"null", "undefined"})
_LEAVES: Final = _NUMBERS | _TEXTS | _CHARACTERS | _TRUTHS | _NOTHING
_INERT: Final = frozenset({"nil", "null_literal", "nullptr", "class_literal", "unit_expression"})
"""Written out, but with nothing of the same type in their place."""
_MEMBERS: Final[dict[str, tuple[str, ...]]] = {
    "composite_literal": ("body",), "keyed_element": ("value",), "struct_expression": ("body",), "field_initializer": ("value",),
    "pair": ("value",), "array_creation_expression": ("value",), "initializer_pair": ("value",), "compound_literal_expression": ("value",),
    "type_cast_expression": ("value",), "cast_expression": ("value",), "type_conversion_expression": ("operand",),
    "reference_expression": ("value",),
}  # fmt: skip
"""Nodes whose value lies in a field."""
_FIRST: Final = frozenset({"as_expression", "satisfies_expression", "user_defined_literal", "non_null_expression"})
_LISTS: Final = frozenset(
    {
        "literal_value", "literal_element", "array_expression", "tuple_expression", "field_initializer_list", "array", "object",
        "array_initializer", "initializer_list", "parenthesized_expression", "expression_list", "concatenated_string",
    }
)  # fmt: skip
_CONSTANT: Final = re.compile(rb"[A-Z][A-Z0-9_]*")
_MAKERS: Final = frozenset(
    {
        ("", "Some"), ("", "Ok"), ("", "Err"), ("", "vec"), ("Box", "new"), ("Rc", "new"), ("Arc", "new"), ("Cow", "Borrowed"),
        ("Cow", "Owned"), *((owner, "from") for owner in ("String", "Vec", "HashMap", "BTreeMap", "HashSet", "BTreeSet", "PathBuf", "Cow")),
        *((owner, "of") for owner in ("List", "Set", "Map", "Optional", "Array", "ImmutableList", "ImmutableSet", "ImmutableMap")),
        ("Arrays", "asList"), ("Collections", "singletonList"), ("Collections", "singleton"), ("Buffer", "from"), ("Array", "from"),
        ("", "BigInt"), ("std", "string"), ("", "string"), ("std", "make_pair"), ("std", "make_tuple"), ("std", "string_view"),
        *(("", name) for name in ("BigDecimal", "BigInteger", "Integer", "Long", "Date", "Map", "Set", "ArrayList", "HashSet")),
        *(("", f"{kind}{bits}") for kind in ("int", "uint", "float", "complex") for bits in ("", "8", "16", "32", "64", "128")),
        ("", "byte"), ("", "rune"), ("time", "Duration"),
    }
)  # fmt: skip
_METHODS: Final = frozenset({"to_string", "to_owned", "into", "as_bytes", "to_vec", "as_str", "as_ref", "as_slice", "clone"})
_DEPTH: Final = 40
_CONTENT: Final = ("_content", "fragment")


def members(grammar: Grammar, part: Part) -> list[Part] | None:
    """The values that a node is made of; None for what is a leaf, or no value."""
    if part.kind in _MEMBERS:
        return [value for name in _MEMBERS[part.kind] if (value := part.field(name)) is not None]
    if part.kind in _LISTS:
        return part.parts
    if part.kind in _FIRST:
        return part.parts[:1]
    if part.kind in ("unary_expression", "pointer_expression"):
        sign = part.data[part.start : part.start + 1]
        inner = part.parts
        return inner[-1:] if sign in (b"-", b"&", b"+") and inner else None
    if part.kind == "binary_expression":
        left, right, operator = part.field("left"), part.field("right"), part.field("operator")
        joins = operator is not None and operator.text == b"+"
        return [left, right] if joins and left and right and _ends_in_text(left) and _ends_in_text(right) else None
    call = call_of(grammar, part)
    if call is not None:
        if call.receiver is not None and call.word in _METHODS and not call.arguments:
            return [call.receiver]
        owner = call.owner if call.receiver is not None else ""
        if (owner, call.word) in _MAKERS and (call.receiver is None or owner):
            return list(call.arguments)
    return None


def _ends_in_text(part: Part) -> bool:
    """A text, or texts that are joined: what `+` says of them has one meaning."""
    for _ in range(_DEPTH):
        part = unwrapped(part)
        if part.kind in _TEXTS:
            return True
        if part.kind != "binary_expression":
            return False
        right, left = part.field("right"), part.field("left")
        if right is None or left is None or unwrapped(right).kind not in _TEXTS:
            return False
        part = left
    return False


def _constant(part: Part) -> bool:
    if part.kind in ("identifier", "field_identifier", "type_identifier", "property_identifier"):
        return _CONSTANT.fullmatch(part.text) is not None
    if part.kind in ("selector_expression", "scoped_identifier", "qualified_identifier", "field_access", "member_expression"):
        last = part.field("field", "name", "property")
        first = part.field("operand", "object", "path", "scope")
        qualified = first is not None and first.kind in ("identifier", "namespace_identifier", "type_identifier")
        return last is not None and qualified and last.text[:1].isupper()
    return False


def is_value(grammar: Grammar, part: Part) -> bool:
    """Whether a node is written out, and something in it can be changed."""
    found = False
    waiting = [(part, 0)]
    while waiting:
        one, depth = waiting.pop()
        if one.kind == "template_string" and any(inner.kind == "template_substitution" for inner in one.parts):
            return False
        if one.kind in _LEAVES:
            found = True
            continue
        if one.kind in _INERT or _constant(one):
            continue
        inner_ones = members(grammar, one) if depth < _DEPTH else None
        if inner_ones is None:
            return False
        found = found or (grammar.name in ("javascript", "typescript", "tsx") and one.kind in ("array", "object") and not inner_ones)
        waiting += [(inner, depth + 1) for inner in inner_ones]
    return found


def leaves(grammar: Grammar, part: Part, limit: int = 40) -> Iterator[Part]:
    """The literals of a value, in the order of its text."""
    waiting = [part]
    while waiting and limit > 0:
        one = waiting.pop()
        if one.kind in _LEAVES:
            limit -= 1
            yield one
            continue
        inner = members(grammar, one)
        if inner == [] and one.kind in ("array", "object"):
            limit -= 1
            yield one
        waiting += reversed(inner or [])


def another_value(grammar: Grammar, leaf: Part, rng: random.Random) -> Edit | None:
    """A literal with another in its place; None for one that has none."""
    text = leaf.text
    if leaf.kind in _NUMBERS:
        other = another_number(text, rng)
        return Edit(leaf.start, leaf.end, other) if other is not None and other != text else None
    if leaf.kind in _TRUTHS:
        return Edit(leaf.start, leaf.end, {b"true": b"false", b"false": b"true"}.get(text, b"!" + text))
    if leaf.kind in _NOTHING:
        return Edit(leaf.start, leaf.end, b"false")
    if leaf.kind in ("array", "object"):
        return Edit(leaf.start, leaf.end, b"[0]" if leaf.kind == "array" else b"{ x: 0 }")
    if leaf.kind in _CHARACTERS:
        other = another_character(text, rng)
        return Edit(leaf.start, leaf.end, other) if other is not None and other != text else None
    return _other_text(leaf, rng)


def _other_text(leaf: Part, rng: random.Random) -> Edit | None:
    parts = leaf.parts
    choices = [(at, part) for at, part in enumerate(parts) if part.kind.endswith(_CONTENT)]
    rng.shuffle(choices)
    for at, part in choices:
        # The first letter after an escape might become a part of it.
        first = 1 if at and parts[at - 1].kind == "escape_sequence" else 0
        if (other := another_text(part.text, rng, first=first)) is not None:
            return Edit(part.start, part.end, other)
    if leaf.text[-1:] in (b'"', b"'") and not leaf.text.endswith(b'"""') and not leaf.text.startswith((b"r", b"R", b"br")):
        return Edit(leaf.end - 1, leaf.end - 1, b"x")
    if leaf.text == b"``":
        return Edit(leaf.end - 1, leaf.end - 1, b"x")
    return None


def entries(grammar: Grammar, row: Part) -> list[tuple[bytes, Part]]:
    """What a structure, an object or a list holds, each with its name where it has one."""
    row = unwrapped(row)
    for _ in range(4):
        inner = members(grammar, row)
        wraps = row.kind in ("composite_literal", "struct_expression", "reference_expression", "literal_element", "unary_expression")
        if not inner or len(inner) != 1 or not (wraps or row.kind in ("keyed_element", "compound_literal_expression", "pair")):
            break
        row = unwrapped(inner[0])
    found: list[tuple[bytes, Part]] = []
    for part in members(grammar, row) or []:
        key = part.field("key", "field", "designator") if part.kind in _MEMBERS else None
        value = part.field("value") if key is not None else part
        if value is not None:
            found.append((key.text.strip(b"\"' .") if key is not None else b"", value))
    return found
