"""What is called, and with what."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from podgym.envs.build.mutation.dialect import Dialect
from podgym.envs.build.mutation.syntax import INTEGERS, STRINGS, arguments_of, called
from podgym.verifiers.decoys.edits import Edit
from podgym.verifiers.decoys.part import Part

__all__ = ["CALLING"]

_PAIRS: Final = (
    "min max", "Min Max", "any all", "some every", "any_match all_match", "anyMatch allMatch", "startswith endswith",
    "startsWith endsWith", "starts_with ends_with", "HasPrefix HasSuffix", "TrimPrefix TrimSuffix", "TrimLeft TrimRight", "lower upper",
    "toLowerCase toUpperCase", "ToLower ToUpper", "to_lowercase to_uppercase", "tolower toupper", "floor ceil", "Floor Ceil",
    "lstrip rstrip", "trimStart trimEnd", "trim_start trim_end", "removeprefix removesuffix", "strip_prefix strip_suffix",
    "ljust rjust", "padStart padEnd", "indexOf lastIndexOf", "IndexOf LastIndexOf", "Index LastIndex", "find rfind", "split rsplit",
    "partition rpartition", "first last", "front back", "push_front push_back", "pop_front pop_back", "shift pop", "unshift push",
    "findIndex findLastIndex", "union intersection", "keys values", "begin rbegin", "isupper islower", "isUpperCase isLowerCase",
    "lower_bound upper_bound", "addFirst addLast", "getFirst getLast", "takeWhile dropWhile", "take skip", "is_some is_none",
    "is_ok is_err", "saturating_add saturating_sub", "wrapping_add wrapping_sub", "checked_add checked_sub", "isPresent isEmpty",
    "After Before", "isAfter isBefore", "encode decode",
)  # fmt: skip
_KIN: Final = {
    one.encode(): other.encode() for pair in _PAIRS for one, other in (pair.split(" "), reversed(pair.split(" ")))
}  # fmt: skip
_CONVERSIONS: Final = frozenset(
    {
        b"strip", b"lstrip", b"rstrip", b"lower", b"upper", b"casefold", b"copy", b"title", b"trim", b"toLowerCase", b"toUpperCase",
        b"trimStart", b"trimEnd", b"reverse", b"trim_end", b"trim_start", b"rev", b"abs", b"reversed", b"sorted", b"stripTrailing",
    }
)  # fmt: skip
_FUNCTIONS: Final = frozenset(
    {b"TrimSpace", b"ToLower", b"ToUpper", b"Abs", b"abs", b"sorted", b"reversed", b"Clean", b"tolower", b"toupper"}
)
_SIMPLE: Final = frozenset(
    {"identifier", "attribute", "member_expression", "selector_expression", "field_expression", "field_access", "true", "false"}
) | INTEGERS | STRINGS  # fmt: skip


def wrong_function(part: Part, dialect: Dialect) -> Iterator[Edit]:
    """`endswith` for `startswith`."""
    named = called(part)
    if named is not None and (other := _KIN.get(named[0].text)) is not None:
        yield Edit(named[0].start, named[0].end, other)


def dropped_conversion(part: Part, dialect: Dialect) -> Iterator[Edit]:
    """`x` for `x.strip()`."""
    named, arguments = called(part), arguments_of(part)
    if named is None or arguments is None:
        return
    name, receiver = named
    if not arguments and receiver is not None and name.text in _CONVERSIONS and receiver.start == part.start:
        yield Edit(part.start, part.end, receiver.text)
    elif len(arguments) == 1 and name.text in _FUNCTIONS and arguments[0].kind not in ("keyword_argument", "list_splat"):
        yield Edit(part.start, part.end, arguments[0].text)


def swapped_arguments(part: Part, dialect: Dialect) -> Iterator[Edit]:
    """Two neighbours in the wrong order; where types are checked, two of one form."""
    named = called(part)
    if named is not None and named[0].text in (b"min", b"max", b"Min", b"Max", b"isinstance"):
        return
    for left, right in pairwise(arguments_of(part) or []):
        if left.kind not in _SIMPLE or right.kind not in _SIMPLE or left.text == right.text or (dialect.typed and left.kind != right.kind):
            continue
        yield Edit(left.start, right.end, right.text + part.data[left.end : right.start] + left.text)


def dropped_argument(part: Part, dialect: Dialect) -> Iterator[Edit]:
    """A named argument is left to its default."""
    found = arguments_of(part) or []
    for index, argument in enumerate(found):
        if argument.kind == "keyword_argument" and index:
            yield Edit(found[index - 1].end, argument.end, b"")


def dropped_wait(part: Part, dialect: Dialect) -> Iterator[Edit]:
    """What is not awaited is a promise."""
    if dialect.awaits and part.kind == "await_expression" and len(part.parts) == 1:
        yield Edit(part.start, part.end, part.parts[0].text)


CALLING: Final = {
    "wrong function": wrong_function,
    "dropped conversion": dropped_conversion,
    "swapped arguments": swapped_arguments,
    "dropped argument": dropped_argument,
    "dropped wait": dropped_wait,
}
