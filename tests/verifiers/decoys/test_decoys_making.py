"""Files and ids in, changed files out: which tests an id means, which are left alone, what no text can do to the reader."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podgym.verifiers.decoys import decoy_files
from podgym.verifiers.decoys.reading import read_sources
from podgym.verifiers.decoys.survey import MAX_BYTES, survey

GO = b'package a\n\nimport "testing"\n\n%s'


def go_tests(*numbers: int) -> bytes:
    body = b"".join(b"func Test%d(t *testing.T) {\n\tif got := f(%d); got != %d00 {\n\t\tt.Fail()\n\t}\n}\n\n" % (n, n, n) for n in numbers)
    return GO % body


def differing(one: bytes, other: bytes) -> list[int]:
    assert len(one) == len(other)
    return [at for at, (left, right) in enumerate(zip(one, other, strict=True)) if left != right]


@pytest.mark.parametrize(
    ("path", "source", "identity"),
    [
        ("a/a_test.go", b'package a\nfunc TestX(t *testing.T) { if f() != 3 { t.Fail() } }\n', "example.org/m/a::TestX"),
        ("a/a_test.go", b'package a\nfunc TestX(t *testing.T) { if f() != 3 { t.Fail() } }\n', "example.org/m/a::TestX/sub_case#01"),
        ("a/a_test.go", b"package a\nfunc (s *S) TestX() { s.Equal(3, f()) }\n", "example.org/m/a::TestSuite/TestX"),
        ("src/lib.rs", b"#[cfg(test)]\nmod tests {\n#[test]\nfn x() { assert_eq!(f(), 3); }\n}\n", "calc/src/lib.rs::tests::x"),
        ("tests/it.rs", b"#[test]\nfn x() { assert_eq!(f(), 3); }\n", "it/tests/it.rs::x"),
        ("src/test/java/a/XTest.java", b"class XTest { @Test void x() { assertEquals(3, f()); } }\n", "a.XTest::x()"),
        ("src/test/java/a/XTest.java", b"class XTest { @Test void x() { assertEquals(3, f()); } }\n", "a.XTest::x(int, String)[2]"),
        ("test/x.test.js", b"describe('a', () => { it('b c', () => { expect(f()).toBe(3); }); });\n", "test/x.test.js::a > b c"),
        ("test/x.test.js", b"describe('a', () => { it('b c', () => { expect(f()).toBe(3); }); });\n", "test/x.test.js::a b c"),
        ("test/x.spec.ts", b"it('b (c)', () => { expect(f()).toBe(3); });\n", "b (c)"),
        ("test/x.js", b"const assert = require('assert');\nassert.equal(f(), 3);\n", "test/x.js"),
        ("tests/test_x.c", b"int main(void) { return f() == 3 ? 0 : 1; }\n", "test_x"),
        ("tests/test_x.c", b"int main(void) { CHECK(f() == 3); return 0; }\n", "tests/test_x::point one"),
        ("tests/x.c", b"static void test_x(void **state) { assert_int_equal(f(), 3); }\n", "group::test_x"),
        ("t/x_test.cc", b"TEST(A, B) { EXPECT_EQ(f(), 3); }\n", "unit::A.B"),
        ("t/x_test.cc", b"TEST_P(A, B) { EXPECT_EQ(f(), 3); }\n", "Many/A.B/0"),
        ("t/x.cpp", b'TEST_CASE("adds, twice", "[x]") { REQUIRE(f() == 3); }\n', "unit::adds, twice"),
    ],
)  # fmt: skip
def test_ids_are_told_by_how_they_end(path: str, source: bytes, identity: str) -> None:
    other = b"// nothing\n"
    made = decoy_files({path: source, "other/" + path: other}, [identity])
    assert made[path].tests == (identity,)
    (at,) = differing(source, made[path].data)
    assert source[at : at + 1] == b"3"


def test_a_name_in_two_files_is_the_one_whose_file_the_id_names() -> None:
    source = b"class ATest { @Test void x() { assertEquals(3, f()); } }\n"
    files = {"t/ATest.java": source, "t/BTest.java": source.replace(b"ATest", b"BTest")}
    assert decoy_files(files, ["p.BTest::x()"]).keys() == {"t/BTest.java"}


def test_half_of_several_tests_is_left_as_it_is() -> None:
    source = go_tests(*range(1, 9))
    ids = [f"m::Test{n}" for n in range(1, 9)]
    made = decoy_files({"a_test.go": source, "b.txt": b"x"}, ids)
    assert len(made["a_test.go"].tests) == 4
    assert len(differing(source, made["a_test.go"].data)) == 4
    assert made == decoy_files({"a_test.go": source}, ids)


def test_where_no_id_can_be_told_all_tests_count() -> None:
    made = decoy_files({"a_test.go": go_tests(1, 2, 3, 4)}, ["something else"])
    assert made["a_test.go"].tests == ()
    assert len(differing(go_tests(1, 2, 3, 4), made["a_test.go"].data)) == 2


def test_a_salt_gives_other_decoys() -> None:
    files, ids = {"a_test.go": go_tests(*range(1, 9))}, [f"m::Test{n}" for n in range(1, 9)]
    found = {decoy_files(files, ids, salt=bytes([salt]))["a_test.go"].data for salt in range(3)}
    assert len(found) == 3


def test_later_attempts_are_of_other_kinds_and_files_can_be_left_out() -> None:
    files = {"a_test.go": go_tests(1), "b_test.go": go_tests(2)}
    found = [decoy_files(files, ["m::Test1"], attempts={"a_test.go": tried})["a_test.go"].data for tried in range(3)]
    assert b"!= 100" not in found[0] and b"== 100" in found[1] and b"t.Errorf" in found[2]
    assert decoy_files(files, ["m::Test1"], attempts={"a_test.go": -1}) == {}


def test_ids_beside_are_named_with_the_tests_that_are_theirs() -> None:
    made = decoy_files({"a_test.go": go_tests(1)}, ["m::Test1/a"], beside=["m::Test1", "m::Test2"])
    assert set(made["a_test.go"].tests) == {"m::Test1/a", "m::Test1"}


def test_pytest_ids_leave_other_languages_alone() -> None:
    python = b"def test_x():\n    assert f() == 31\n"
    made = decoy_files({"test_a.py": python, "a_test.go": go_tests(1)}, ["test_a.py::test_x"])
    assert made.keys() == {"test_a.py"}


HOSTILE = {
    "not a language": ("x.txt", b"assert(1)"),
    "broken bytes": ("a.go", b"\xff\xfe\x00func TestX("),
    "a file that is too large": ("a.js", b"test('x', () => {});\n" * (MAX_BYTES // 20)),
    "brackets": ("a.js", b"[" * 200_000),
    "templates": ("a.ts", b"`${" * 60_000),
    "macros in macros": ("a.rs", b"#[test]\nfn x() { " + b"assert!(" * 2000 + b"1" + b")" * 2000 + b"; }"),
    "negations": ("a.go", b"package a\nfunc TestX(t *testing.T) { if " + b"!" * 20_000 + b"x { t.Fail() } }"),
    "sums": ("a.java", b"class A { @Test void x() { assertEquals(f(), " + b'"a" + ' * 4000 + b'"b"); } }'),
    "nested lists": ("a.c", b"int main(void) { assert(f() == " + b"(" * 9000 + b"1" + b")" * 9000 + b"); }"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_bounded(name: str) -> None:
    path, data = HOSTILE[name]
    started = time.monotonic()
    found = survey(path, data)
    assert time.monotonic() - started < 20
    assert found is None or all(0 <= site.edit.start <= site.edit.end <= len(data) for test in found.tests for site in test.sites)


@pytest.mark.parametrize("data", [b"a<b<" * 15_000, b"a=>" * 20_000])
def test_text_that_crashes_a_parser_costs_that_file_alone(data: bytes) -> None:
    good = {f"{name}_test.go": go_tests(1) for name in "abc"}
    found = read_sources({**good, "a/Bad.java": data})
    assert found == read_sources(good) and all(len(one.tests) == 1 for one in found.values())


def test_no_file_asks_no_process(monkeypatch: Any) -> None:
    monkeypatch.setattr("subprocess.run", lambda *_, **__: pytest.fail("started"))
    assert read_sources({}) == {}
    assert decoy_files({"test_a.py": b"def test_x():\n    assert f() == 31\n"}, ["test_a.py::test_x"])


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["a.go", "a.rs", "a.java", "a.js", "a.tsx", "a.c", "a.cc"]),
    st.text("test TEST('x',()=>{}){assert_eq!(f() == 3, \"a\");}\n#[]<>&!?.:$`", max_size=200),
)
def test_any_text_is_read_and_any_change_reads_as_well(path: str, text: str) -> None:
    data = text.encode()
    found = survey(path, data)
    assert found is not None and found == survey(path, data)
    for test in found.tests:
        for site in test.sites[:4]:
            assert 0 <= site.edit.start <= site.edit.end <= len(data)
