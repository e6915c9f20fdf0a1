"""Which names of hidden tests an instruction may not say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podgym.envs.audit.prompt import judge_prompt
from podgym.envs.audit.rules import Tally
from podgym.envs.audit.subject import HiddenContent, Subject
from podgym.envs.audit.testnames import hidden_names, said


def patch(*added: str, kept: str = "") -> bytes:
    head = f"diff --git a/t b/t\n--- a/t\n+++ b/t\n@@ -1 +1,{len(added) + 1} @@\n {kept}\n"
    return (head + "".join(f"+{line}\n" for line in added)).encode()


JS = patch(
    'describe("parser", () => {',
    '  it("throws", () => {});',
    '  it("JavaScript", () => {});',
    '  it("parseHeader", () => {});',
    '  it("handles empty input", () => {});',
    '  it("keeps the order of two equal keys", () => {});',
    kept='  it("reads the first of several headers", () => {});',
)
RUST = patch("#[test]", "fn round_trip() {", "    assert_eq!(round_trip(1), 1);", "}", "fn keeps_empty_lines() {}", "fn quoted_names() {}")


@pytest.mark.parametrize(
    ("ids", "tests", "solution", "names"),
    [
        (("test_calc.py::Order::test_heavier_last[1]",), patch("    def test_heavier_last(self):"), b"", {"test_heavier_last"}),
        (("a.test.js::parser > throws", "a.test.js::parser > JavaScript", "a.test.js::parser > parseHeader"), JS, b"", set()),
        (
            ("a.test.js::parser > handles empty input", "a.test.js::parser > keeps the order of two equal keys"),
            JS, b"", {"keeps the order of two equal keys"},
        ),
        (("a.test.js::parser > reads the first of several headers",), JS, b"", set()),
        (("x/src/lib.rs::tests::round_trip", "x/src/lib.rs::tests::keeps_empty_lines"), RUST, b"", {"keeps_empty_lines"}),
        (("x/src/lib.rs::tests::quoted_names",), RUST, patch("fn quoted_names() {}"), set()),
        (("example.org/a::TestShortNames/one_two", "example.org/a::TestAdd"),
         patch("func TestShortNames(t *testing.T) {", "func TestAdd(t *testing.T) {"), b"", {"TestShortNames"}),
        (("unit.cpp::Calc::AddsTwoNumbers",), patch("TEST(Calc, AddsTwoNumbers) {"), b"", {"AddsTwoNumbers"}),
        (("a.CalcTest::addsNumbers()", "a.CalcTest::serialization()"),
         patch("    void addsNumbers() {", "    void serialization() {"), b"", {"addsNumbers"}),
        (("t.py::test_old_name",), patch("    assert 1", kept="def test_old_name():"), b"", set()),
        # Without ids, or without any text.
        ((), patch("def test_heavier_last(self):", "def latest_version():", "def testing():"), b"", {"test_heavier_last"}),
        (("t.py::test_heavier_last", "lib::round_trip", "a > throws", "a.test.js::a > keeps the order of two equal keys"), b"", b"",
         {"test_heavier_last", "keeps the order of two equal keys"}),
    ],
)  # fmt: skip
def test_names_that_nobody_says_by_chance(ids: tuple[str, ...], tests: bytes, solution: bytes, names: set[str]) -> None:
    assert hidden_names(ids, tests, difference=bool(tests), solution=solution) == names


@pytest.mark.parametrize(
    ("instruction", "rules"),
    [
        ("The parser throws for JavaScript, and parseHeader handles empty input.\n", set()),
        ("It should\nKeep the order of\n two equal keys, as others do.\n", set()),
        ("The test says:\n> Keeps the order\n  of two equal keys\n", {"prompt-test"}),
    ],
)
def test_an_instruction_is_held_against_them(instruction: str, rules: set[str]) -> None:
    titles = ("throws", "JavaScript", "parseHeader", "handles empty input", "keeps the order of two equal keys")
    subject = Subject(test_patch=JS, test_names=tuple(f"a.test.js::parser > {title}" for title in titles), instruction=instruction)
    tally = Tally()
    judge_prompt("instruction", subject, tally, in_history=None, known=frozenset())
    assert {finding.rule for finding in tally.findings} == rules


def test_hidden_files_stand_in_for_a_patch() -> None:
    hidden = (HiddenContent("tests/a.rs", b"fn keeps_empty_lines() {}\nfn round_trip() { round_trip(1) }\n"),)
    subject = Subject(hidden=hidden, test_names=("a/tests/a.rs::keeps_empty_lines", "a/tests/a.rs::round_trip"))
    assert subject.new_tests == {"keeps_empty_lines"}


@given(st.lists(st.text(max_size=40), max_size=5), st.text(max_size=200), st.booleans())
def test_any_text_has_an_answer(ids: list[str], text: str, difference: bool) -> None:
    for name in hidden_names(ids, text.encode("utf-8", "replace"), difference=difference, solution=b""):
        assert said(name, f"({name})") is not None
