"""C++: what is changed in tests of GoogleTest, Catch2 and Boost."""

from __future__ import annotations

from typing import Any

SOURCE = r"""#include <gtest/gtest.h>
namespace {
TEST(Calc, Add) {
  EXPECT_EQ(add(1, 2), 3);
  ASSERT_STREQ("bob", name(1));
  EXPECT_EQ(one(), two());
  EXPECT_TRUE(even(2)) << "said";
  EXPECT_DOUBLE_EQ(0.5, half(1));
  EXPECT_THAT(list(), ElementsAre(1, 2));
  EXPECT_EQ(names(), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(std::string("x"), text());
  for (const auto& c : cases()) { EXPECT_EQ(c, 1); }
  struct C { int a; int want; } table[] = {{1, 2}, {3, 4}};
  for (const auto& t : table) EXPECT_EQ(twice(t.a), t.want);
  EXPECT_THROW(f(), std::runtime_error);
}
TEST_F(Fixture, Size) { ASSERT_EQ(3u, v.size()); }
}
TEST_CASE("adds [x]", "[tag]") {
  SECTION("one") { REQUIRE(add(1, 2) == 3); }
  CHECK_FALSE(odd(2));
  REQUIRE_THAT(name(), Equals("bob"));
}
BOOST_AUTO_TEST_CASE(boosts) { BOOST_CHECK_EQUAL(add(1, 2), 3); BOOST_TEST(add(1, 2) == 3); }
"""

CHANGES = {
    "Calc.Add": [
        "EXPECT_EQ(add(1, 2), @);",
        'ASSERT_STREQ("@", name(1));',
        "EXPECT_DOUBLE_EQ(@, half(1));",
        "EXPECT_THAT(list(), ElementsAre(@, 2));",
        "EXPECT_THAT(list(), ElementsAre(1, @));",
        'EXPECT_EQ(names(), (std::vector<std::string>{"@", "b"}));',
        'EXPECT_EQ(names(), (std::vector<std::string>{"a", "@"}));',
        'EXPECT_EQ(std::string("@"), text());',
        "struct C { int a; int want; } table[] = {{1, @}, {3, 4}};",
        "struct C { int a; int want; } table[] = {{1, 2}, {3, @}};",
        "EXPECT_THROW(f(), std::bad_cast);",
        "EXPECT_NE(add(1, 2), 3);",
        'ASSERT_STRNE("bob", name(1));',
        "EXPECT_NE(one(), two());",
        'EXPECT_TRUE(!(even(2))) << "said";',
        'EXPECT_FALSE(even(2)) << "said";',
        "EXPECT_THAT(list(), ::testing::Not(ElementsAre(1, 2)));",
        'EXPECT_NE(names(), (std::vector<std::string>{"a", "b"}));',
        'EXPECT_NE(std::string("x"), text());',
        "for (const auto& t : table) EXPECT_NE(twice(t.a), t.want);",
        "EXPECT_THROW(f(), std::runtime_error); if (# != #) throw #;",
    ],
    "Fixture.Size": [
        "TEST_F(Fixture, Size) { ASSERT_EQ(@, v.size()); }",
        "TEST_F(Fixture, Size) { ASSERT_NE(3u, v.size()); }",
        "TEST_F(Fixture, Size) { ASSERT_EQ(3u, v.size()); if (# != #) throw #; }",
    ],
    "adds [x]": [
        'SECTION("one") { REQUIRE(add(1, 2) == @); }',
        'REQUIRE_THAT(name(), Equals("@"));',
        'SECTION("one") { REQUIRE(add(1, 2) != 3); }',
        'SECTION("one") { REQUIRE_FALSE(add(1, 2) == 3); }',
        "CHECK_FALSE(!(odd(2)));",
        "CHECK(odd(2));",
        'REQUIRE_THAT(name(), !Equals("bob"));',
        'REQUIRE_THAT(name(), Equals("bob")); if (# != #) throw #;',
    ],
    "boosts": [
        "BOOST_AUTO_TEST_CASE(boosts) { BOOST_CHECK_EQUAL(add(1, 2), @); BOOST_TEST(add(1, 2) == 3); }",
        "BOOST_AUTO_TEST_CASE(boosts) { BOOST_CHECK_NE(add(1, 2), 3); BOOST_TEST(add(1, 2) == 3); }",
        "BOOST_AUTO_TEST_CASE(boosts) { BOOST_CHECK_EQUAL(add(1, 2), 3); BOOST_TEST(add(1, 2) == 3); if (# != #) throw #; }",
    ],
}


def test_cpp(changes: Any) -> None:
    assert changes("tests/calc_test.cpp", SOURCE) == CHANGES
