"""What a name in a test stands for: a value that is written out, or a column of a table that the test goes through.

A name counts only where it is read as what is expected, and nowhere else (what goes into the code under test is never changed, nor
the name of a test).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from podgym.verifiers.decoys.grammar import Grammar, call_of
from podgym.verifiers.decoys.part import Part, unwrapped
from podgym.verifiers.decoys.values import entries, is_value

__all__ = ["Names", "declarations"]

_DECLARING: Final = frozenset(
    {
        "short_var_declaration",
        "var_spec",
        "const_spec",
        "let_declaration",
        "const_item",
        "static_item",
        "variable_declarator",
        "init_declarator",
    }
)
_FIELDS: Final = frozenset({"selector_expression", "field_expression", "member_expression", "field_access"})
_WANTED: Final = re.compile(rb"(?i)^_?(want|expect|exp(?![a-z]))|(want|expected|expect)(ed)?$")
_AROUND_NAMES: Final = frozenset(
    {"reference_declarator", "reference_pattern", "lexical_declaration", "required_parameter", "parenthesized_expression"}
)
_ITERATING: Final = frozenset({"iter", "into_iter", "values"})
_FIXED: Final = re.compile(rb"\b(sizeof|len|countof|array_size|arraysize|nelems?|elements|dim)\s*\(|\.(length|size|len)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Declared:
    start: int
    value: Part
    whole: Part


@dataclass(frozen=True, slots=True)
class _Table:
    rows: tuple[Part, ...]
    fields: tuple[bytes, ...] = ()
    """Names of what a row holds by its place."""


def declarations(root: Part) -> dict[bytes, list[_Declared]]:
    """What names are declared to be, anywhere in a file."""
    found: dict[bytes, list[_Declared]] = {}
    for part in root.walk(limit=200_000):
        if part.kind in _DECLARING:
            name, value = part.field("name", "left", "pattern", "declarator"), part.field("value", "right")
            if name is not None and value is not None:
                whole = Part(part.node.parent, part.data, part.shift) if part.node.parent is not None else part
                found.setdefault(_innermost(name), []).append(_Declared(part.start, unwrapped(value), whole))
    return found


def _innermost(name: Part) -> bytes:
    """Of `*const x[]` it is `x`; of a tuple nothing."""
    for _ in range(8):
        inner = name.field("declarator") or (name.parts[-1] if len(name.parts) == 1 else None)
        if inner is None:
            break
        name = inner
    return name.text if name.text.replace(b"_", b"a").replace(b"$", b"a").isalnum() else b""


@dataclass(slots=True)
class Names:
    """Of one test."""

    grammar: Grammar
    body: Part
    root: Part
    declared: dict[bytes, list[_Declared]]
    others: tuple[tuple[int, int], ...] = ()
    """Where the other tests stand, whose names are their own."""
    allowed: list[tuple[int, int]] = field(default_factory=list)
    """Where a name may be read: as what is expected, and in what is said of a failure."""
    titles: list[tuple[int, int]] = field(default_factory=list)
    """Where a name becomes part of a test's."""
    _tables: dict[bytes, _Table] = field(default_factory=dict)
    _columns: dict[bytes, list[Part]] = field(default_factory=dict)

    def meanings(self, side: Part) -> Iterator[Part]:
        """Values that a side of a comparison stands for."""
        side = unwrapped(side)
        if side.kind == "identifier":
            if side.text in self._columns:
                values = self._columns[side.text]
            else:
                known = self._declaration(side.text)
                values = [known.value] if known is not None and self.body.start <= known.start < self.body.end else []
        elif side.kind in _FIELDS:
            values = self._column(side)
        else:
            return
        if values and self._only_expected(side):
            yield from (value for value in values if is_value(self.grammar, value))

    def loop(self, part: Part) -> Part | None:
        """The body of a loop that is gone through in any case; its names are known from then on."""
        body = part.field("body")
        clause = next((one for one in part.parts if one.kind in ("range_clause", "for_clause")), part)
        pattern, over = clause.field("left", "pattern", "name", "declarator"), clause.field("right", "value")
        if body is None:
            return None
        if over is None:
            # Counted: its bounds are written out, or those of a table.
            header = _FIXED.sub(b"", part.data[part.start : body.start]).removeprefix(b"for").lstrip().removeprefix(b"(")
            return body if b";" in header and b"(" not in header else None
        if over.kind in ("range_expression", "int_literal"):
            return body
        table = self.table(over)
        if table is None:
            return None
        if pattern is not None:
            names = pattern.parts if pattern.kind == "expression_list" else [pattern]
            if pattern.kind != "expression_list" or len(names) == 2:
                self.bind(names[-1], table)
        return body

    def bind(self, pattern: Part, table: _Table) -> None:
        """A loop's variable, or the variables that it is taken apart into."""
        for _ in range(4):
            if pattern.kind in _AROUND_NAMES:
                pattern = pattern.field("pattern") or pattern.parts[-1]
        if pattern.kind in ("tuple_pattern", "array_pattern", "structured_binding_declarator"):
            for index, name in enumerate(pattern.parts):
                self._columns[name.text.lstrip(b"&")] = [cell for row in table.rows for cell in _cells(self.grammar, row, index, b"")]
        elif pattern.kind == "object_pattern":
            for name in pattern.parts:
                key = name.field("key") or name
                bound = name.field("value") or name
                self._columns[bound.text] = [cell for row in table.rows for cell in _cells(self.grammar, row, None, key.text)]
        else:
            self._tables[pattern.text] = table

    def table(self, over: Part) -> _Table | None:
        """The rows of what a loop goes over, where it is written out and not empty."""
        over = unwrapped(over)
        whole = over
        for _ in range(4):
            call = call_of(self.grammar, over)
            if over.kind in ("reference_expression", "pointer_expression") and over.parts:
                over = unwrapped(over.parts[-1])
            elif call is not None and call.receiver is not None and call.word in _ITERATING and not call.arguments:
                over = unwrapped(call.receiver)
            elif over.kind == "identifier":
                known = self._declaration(over.text)
                if known is None:
                    return None
                over, whole = known.value, known.whole
            else:
                break
        rows = tuple(value for _, value in entries(self.grammar, over))
        return _Table(rows, self._fields(over, whole)) if rows else None

    def _declaration(self, name: bytes) -> _Declared | None:
        """In the test, or outside of all tests; a name that is declared twice is not known."""
        inside = [one for one in self.declared.get(name, []) if self.body.start <= one.start < self.body.end]
        if inside:
            return inside[0] if len(inside) == 1 else None
        outside = [one for one in self.declared.get(name, []) if not any(start <= one.start < end for start, end in self.others)]
        return outside[0] if len(outside) == 1 else None

    def _column(self, side: Part) -> list[Part]:
        key, row = side.field("field", "property"), side.field("operand", "object", "value", "argument")
        if key is None or row is None:
            return []
        if row.kind in ("subscript_expression", "index_expression"):
            over = row.field("argument", "operand", "object") or row.parts[0]
            table = self.table(over)
        else:
            table = self._tables.get(row.text)
        if table is None:
            return []
        index = table.fields.index(key.text) if key.text in table.fields else int(key.text) if key.text.isdigit() else None
        return [cell for one in table.rows for cell in _cells(self.grammar, one, index, key.text)]

    def _fields(self, over: Part, whole: Part) -> tuple[bytes, ...]:
        """Names of a structure's fields in their order, as a literal's type or its declaration has them."""
        kind = over.field("type") or whole.field("type")
        for _ in range(4):
            if kind is not None and kind.kind in ("slice_type", "array_type", "implicit_length_array_type", "map_type", "pointer_type"):
                kind = kind.field("element", "value") or (kind.parts[-1] if kind.parts else None)
        if kind is None:
            return ()
        named = kind.field("name") or kind
        if not any(part.kind == "field_declaration" for part in kind.walk(limit=500)):
            name = named.text
            kind = next((one for one in self.root.walk(limit=50_000) if _defines(one, name)), None)
        if kind is None:
            return ()
        found: list[bytes] = []
        for part in kind.walk(limit=2000):
            if part.kind == "field_declaration":
                found += [Part(node, part.data, part.shift).text for node in part.node.children_by_field_name("name")]
                found += [_innermost(Part(node, part.data, part.shift)) for node in part.node.children_by_field_name("declarator")]
        return tuple(found)

    def _only_expected(self, side: Part) -> bool:
        pattern = re.compile(rb"(?<![\w.])" + re.escape(side.text) + rb"(?!\w)")
        name = re.split(rb"\.|->", side.text)[-1]
        places = [match.start() + self.body.start for match in pattern.finditer(self.body.text)]
        if any(start <= at < end for at in places for start, end in self.titles):
            return False
        if _WANTED.search(name):
            return True
        inner = [at for at in places if not any(start <= at < end for start, end in self.allowed)]
        # Where it is declared, or bound by a loop.
        return len(inner) <= (1 if side.kind == "identifier" else 0)


def _defines(part: Part, name: bytes) -> bool:
    if part.kind not in ("type_spec", "struct_specifier", "type_definition"):
        return False
    known = part.field("name") or part.field("declarator")
    return known is not None and known.text == name and any(inner.kind == "field_declaration" for inner in part.walk(limit=500))


def _cells(grammar: Grammar, row: Part, index: int | None, key: bytes) -> list[Part]:
    held = entries(grammar, row)
    if any(name for name, _ in held):
        return [value for name, value in held if name == key]
    return [held[index][1]] if index is not None and index < len(held) else []
