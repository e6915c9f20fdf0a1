"""C++: GoogleTest and GoogleMock, Catch2, doctest, Boost.Test, and what C has."""

from __future__ import annotations

import re
from typing import Final

from podgym.verifiers.decoys.edits import Edit
from podgym.verifiers.decoys.grammar import Found, Grammar, added_at_end, opposites
from podgym.verifiers.decoys.languages.c import GRAMMAR as C
from podgym.verifiers.decoys.languages.native import LEAVES, native_tests
from podgym.verifiers.decoys.part import Call

__all__ = ["GRAMMAR"]

_PAIRS: Final = {"EQ": "NE", "STREQ": "STRNE", "TRUE": "FALSE", "LT": "GE", "GT": "LE", "STRCASEEQ": "STRCASENE"}
_LEVELS: Final = ("CHECK", "REQUIRE", "WARN")


def _special(call: Call) -> Edit | None:
    """The exception that is expected; the other one is thrown by nothing that a test would call."""
    if not call.word.endswith(("_THROW", "_THROWS_AS")) or len(call.arguments) != 2 or b"bad_cast" in call.arguments[1].text:
        return None
    kind = call.arguments[1]
    return Edit(kind.start, kind.end, b"std::bad_cast")


def _added(test: Found, numbers: tuple[int, int]) -> Edit | None:
    """Thrown: every framework takes that for a failure, and so does what runs a program."""
    return added_at_end(test.body, b"if (%d != %d) throw %d;" % (*numbers, numbers[0]), leaves=LEAVES)


def _refused(call: Call, matcher: bytes) -> bytes | None:
    if call.word in ("EXPECT_THAT", "ASSERT_THAT"):
        return b"::testing::Not(" + matcher + b")"
    return b"!" + matcher if call.word in ("REQUIRE_THAT", "CHECK_THAT") else None


GRAMMAR: Final = Grammar(
    name="cpp",
    module="tree_sitter_cpp",
    tests=native_tests,
    added=_added,
    turned=opposites(
        {
            **{name: other for name, other in C.turned.items() if name < other},
            **{f"{level}_{name}": f"{level}_{other}" for level in ("EXPECT", "ASSERT") for name, other in _PAIRS.items()},
            **{level: f"{level}_FALSE" for level in _LEVELS},
            **{f"{level}_THROWS": f"{level}_NOTHROW" for level in _LEVELS},
            **{f"{level}_ANY_THROW": f"{level}_NO_THROW" for level in ("EXPECT", "ASSERT")},
            **{f"{level}_{name}": f"{level}_{other}" for level in _LEVELS for name, other in (("EQ", "NE"), ("LT", "GE"), ("GT", "LE"))},
            **{f"BOOST_{level}_EQUAL": f"BOOST_{level}_NE" for level in _LEVELS},
            **{f"BOOST_{level}_LT": f"BOOST_{level}_GE" for level in _LEVELS},
        }
    ),
    equal=C.equal,
    holds=C.holds,
    refuses=C.refuses | {f"{level}_FALSE" for level in _LEVELS},
    failing=re.compile(rb"ADD_FAILURE\w*|" + C.failing.pattern),
    refused=_refused,
    special=_special,
)  # fmt: skip
