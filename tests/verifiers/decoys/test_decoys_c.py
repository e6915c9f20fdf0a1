"""C: what is changed in tests of Check, cmocka and Unity, and in programs."""

from __future__ import annotations

from typing import Any

SOURCE = r"""#include <check.h>
#include "calc.h"
struct row { const char *in; int want; };
static const struct row rows[] = { { "a", 1 }, { .in = "b", .want = 2 } };

START_TEST(test_one)
{
  ck_assert_int_eq(add(1, 2), 3);
  ck_assert_str_eq(name(1), "bob");
}
END_TEST

START_TEST(test_two)
{
  ck_assert(add(1, 2) == 3);
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
    ck_assert_int_eq(size(rows[i].in), rows[i].want);
}
END_TEST

static void test_mocka(void **state)
{
    assert_int_equal(add(1, 2), 0x10);
    assert_true(even(2));
    assert_null(none());
    TEST_ASSERT_EQUAL_INT(3, add(1, 2));
    TEST_ASSERT_EQUAL_STRING("abc", name(2));
    assert(strcmp(name(1), "bob") == 0);
}

int main(void)
{
    if (add(1, 2) != 3)
        return 1;
    if (!even(2)) { fprintf(stderr, "x"); exit(1); }
    run_tests();
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
"""

CHANGES = {
    "test_one": [
        "ck_assert_int_eq(add(1, 2), @);",
        'ck_assert_str_eq(name(1), "@");',
        "ck_assert_int_ne(add(1, 2), 3);",
        'ck_assert_str_ne(name(1), "bob");',
        'ck_assert_str_eq(name(1), "bob"); ck_abort();',
    ],
    "test_two": [
        "ck_assert(add(1, 2) == @);",
        'static const struct row rows[] = { { "a", @ }, { .in = "b", .want = 2 } };',
        'static const struct row rows[] = { { "a", 1 }, { .in = "b", .want = @ } };',
        "ck_assert(add(1, 2) != 3);",
        "ck_assert_int_ne(size(rows[i].in), rows[i].want);",
        "ck_assert_int_eq(size(rows[i].in), rows[i].want); ck_abort();",
    ],
    "test_mocka": [
        "assert_int_equal(add(1, 2), @);",
        "TEST_ASSERT_EQUAL_INT(@, add(1, 2));",
        'TEST_ASSERT_EQUAL_STRING("@", name(2));',
        'assert(strcmp(name(1), "bob") == @);',
        "assert_int_not_equal(add(1, 2), 0x10);",
        "assert_true(!(even(2)));",
        "assert_false(even(2));",
        "assert_non_null(none());",
        'assert(strcmp(name(1), "bob") != 0);',
        'assert(strcmp(name(1), "bob") == 0); ck_abort();',
    ],
    "": [
        "if (add(1, 2) != @)",
        "if (add(1, 2) == 3)",
        'if ( even(2)) { fprintf(stderr, "x"); exit(1); }',
        "return failures == @ ? EXIT_SUCCESS : EXIT_FAILURE;",
        "return failures != 0 ? EXIT_SUCCESS : EXIT_FAILURE;",
    ],
}


def test_c(changes: Any) -> None:
    assert changes("tests/test_calc.c", SOURCE) == CHANGES
