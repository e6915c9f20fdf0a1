"""C: cmocka, Unity, Check, GLib, munit, libtap, `assert`, macros of a project's own, and programs that return an exit code."""

from __future__ import annotations

import re
from typing import Final

from podgym.verifiers.decoys.edits import Edit
from podgym.verifiers.decoys.grammar import Found, Grammar, added_at_end, opposites
from podgym.verifiers.decoys.languages.native import LEAVES, native_tests

__all__ = ["GRAMMAR"]

_FAILURES: Final = ((b"unity.h", b"TEST_FAIL();"), (b"cmocka.h", b"fail();"), (b"check.h", b"ck_abort();"))


def _added(test: Found, numbers: tuple[int, int]) -> Edit | None:
    """The framework's own failure; a program returns another exit code."""
    known = next((statement for header, statement in _FAILURES if header in test.body.data), None)
    if test.exits and known is None:
        return added_at_end(test.body, b"if (%d != %d) return 1;" % numbers, leaves=LEAVES)
    return added_at_end(test.body, known, leaves=LEAVES) if known is not None and not test.exits else None


GRAMMAR: Final = Grammar(
    name="c",
    module="tree_sitter_c",
    tests=native_tests,
    added=_added,
    turned=opposites(
        {
            "assert_int_equal": "assert_int_not_equal", "assert_string_equal": "assert_string_not_equal", "assert_true": "assert_false",
            "assert_null": "assert_non_null", "assert_ptr_equal": "assert_ptr_not_equal", "assert_memory_equal": "assert_memory_not_equal",
            "TEST_ASSERT_TRUE": "TEST_ASSERT_FALSE", "TEST_ASSERT_NULL": "TEST_ASSERT_NOT_NULL",
            "TEST_ASSERT_EQUAL": "TEST_ASSERT_NOT_EQUAL",
            "ck_assert_int_eq": "ck_assert_int_ne", "ck_assert_str_eq": "ck_assert_str_ne", "ck_assert_ptr_eq": "ck_assert_ptr_ne",
            "ck_assert_uint_eq": "ck_assert_uint_ne", "ck_assert_ptr_null": "ck_assert_ptr_nonnull", "ck_assert_int_lt": "ck_assert_int_ge",
            "g_assert_true": "g_assert_false", "g_assert_null": "g_assert_nonnull",
        }
    ),
    equal=frozenset({"is", "is_int", "is_string", "cmp_ok"}),
    holds=frozenset({"ok", "ok1", "CHECK", "ASSERT", "TEST_ASSERT", "TEST_CHECK", "TEST_CHECK_", "fail_unless", "mu_check"}),
    refuses=frozenset({"fail_if", "TEST_ASSERT_UNLESS"}),
    failing=re.compile(rb"abort|_?exit|_Exit|fail|FAIL|TEST_FAIL\w*|ck_abort\w*|\w*(?:fail|error|FAIL)\w*"),
)  # fmt: skip
