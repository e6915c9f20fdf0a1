"""Each format read: reports that real runners wrote (`samples/`), the cases they can hold, and what must be refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podgym.verifiers.errors import ReportError
from podgym.verifiers.reports import PARSERS, ParsedReport, ReportFile, ReportFormat, parse_report, visible, worst

SAMPLES = Path(__file__).parent / "samples"


def parse(format: ReportFormat, *documents: bytes | str, root: str = "/project") -> ParsedReport:
    files = [ReportFile(document.encode() if isinstance(document, str) else document) for document in documents]
    return parse_report(format, files, root=root)


def sample(format: ReportFormat, name: str) -> dict[str, str]:
    """Outcomes of a sample that agrees with itself."""
    found = parse(format, (SAMPLES / name).read_bytes())
    assert found.disagreement == ""
    return dict(found.outcomes)


OUTER = {"ok": "passed", "bad": "failed", "later": "skipped", "some day": "skipped"}
VITEST = {f"v/a.test.mjs::outer > {name}": outcome for name, outcome in OUTER.items()} | {"v/a.test.mjs::top": "passed"}
GOOGLE = {
    "unit.cpp::Calc::Adds": "passed",
    "unit.cpp::Calc::Fails": "failed",
    "unit.cpp::Calc::Skips": "skipped",
    "unit.cpp::Calc::DISABLED_Later": "skipped",
    "unit.cpp::Few/Each::Adds/0": "passed",
    "unit.cpp::Few/Each::Adds/1": "passed",
}
REAL: dict[tuple[ReportFormat, str], dict[str, str]] = {
    ("jest-json", "jest.json"): {f"j/a.test.js::outer > {name}": outcome for name, outcome in OUTER.items()}
    | {"j/a.test.js::outer > inner > same": "failed", "j/a.test.js::esc \\x1b[31m": "passed", "j/b.test.js": "error"},
    ("jest-json", "vitest.json"): VITEST | {"v/b.test.mjs": "error"},
    ("junit", "vitest.xml"): VITEST | {"v/b.test.mjs": "failed"},
    ("tap", "vitest.tap"): {
        "v/a.test.mjs": "failed",
        "v/a.test.mjs > outer": "failed",
        **{f"v/a.test.mjs > outer > {name}": outcome for name, outcome in OUTER.items()},
        "v/a.test.mjs > top": "passed",
        "v/b.test.mjs": "failed",
    },
    ("mocha-json", "mocha.json"): {
        "m/a.js::outer ok": "passed",
        "m/a.js::outer bad": "failed",
        "m/a.js::outer later": "skipped",
        "m/a.js::outer pending": "skipped",
        'm/a.js::outer hooked "before each" hook for "one"': "failed",
    },
    ("tap", "mocha.tap"): {
        "outer ok": "passed",
        "outer bad": "failed",
        "outer later": "skipped",
        "outer pending": "skipped",
        'outer hooked "before each" hook for "one"': "failed",
    },
    ("junit", "node.xml"): {
        "top": "passed",
        "d::i": "passed",
        "d::e::j": "failed",
        "d::k": "skipped",
        "d::l": "skipped",
        "p::sub": "passed",
    },
    ("tap", "node.tap"): {
        "top": "passed",
        "d > i": "passed",
        "d > e > j": "failed",
        "d > e": "failed",
        "d > k": "skipped",
        "d > l": "skipped",
        "d": "failed",
        "p > sub": "passed",
        "p": "passed",
    },
    ("gtest-xml", "catch2.xml"): {"adds": "failed", "passes": "passed", "known": "passed"},
    ("junit", "catch2-junit.xml"): {
        "c.global::adds": "passed",
        "c.global::adds/one": "passed",
        "c.global::adds/two": "failed",
        "c.global::passes": "passed",
        "c.global::known": "skipped",
    },
    ("gtest-xml", "doctest.xml"): {"math::adds": "passed", "math::wrong": "failed", "skipped": "skipped", "passes": "passed"},
    ("gtest-xml", "doctest-2.3.xml"): {
        "math::adds": "passed",
        "math::wrong": "failed",
        "math::warns": "passed",
        "math::parts": "failed",
        "math::off": "skipped",
        "math::throws": "failed",
        "math::may fail": "passed",
        "math::should fail": "passed",
        "math::should fail, and does not": "failed",
        "math::fails once": "passed",
        "math::fails twice": "failed",
    },
    ("junit", "doctest-junit.xml"): {
        "d.cpp::adds": "passed",
        "d.cpp::warns": "passed",
        "d.cpp::no asserts": "passed",
        "d.cpp::parts/first": "passed",
        "d.cpp::parts/second": "failed",
        "d.cpp::throws": "error",
        "d.cpp::told": "passed",
        "d.cpp::may fail": "failed",
    },
    ("junit", "gtest.xml"): GOOGLE,
    ("junit", "gtest-listed.xml"): {
        "unit.cpp::Calc::Adds": "skipped",
        "unit.cpp::Calc::Fails": "skipped",
        "unit.cpp::Few/Each::Adds/0": "skipped",
        "unit.cpp::Few/Each::Adds/1": "skipped",
    },
    ("junit", "gtest-skipped.xml"): {"unit.cpp::Calc::Adds": "skipped", "unit.cpp::Calc::Fails": "skipped"},
    ("gtest-xml", "gtest.xml"): {identity.removeprefix("unit.cpp::").replace("::", "."): outcome for identity, outcome in GOOGLE.items()},
    ("gtest-xml", "gtest-listed.xml"): {
        "Calc.Adds": "skipped",
        "Calc.Fails": "skipped",
        "Few/Each.Adds/0": "skipped",
        "Few/Each.Adds/1": "skipped",
    },
    ("gtest-xml", "gtest-skipped.xml"): {"Calc.Adds": "skipped", "Calc.Fails": "skipped"},
    ("junit", "meson.xml"): {
        "demo::demo:passes": "passed",
        "demo::slow - demo:fails": "failed",
        "demo::demo:skips": "skipped",
        "demo::demo:xf": "passed",
        "demo.demo:tapped::1 - one": "passed",
        "demo.demo:tapped::2 - two": "failed",
    },
}


@pytest.mark.parametrize(("format", "name"), REAL)
def test_reports_of_real_runners(format: ReportFormat, name: str) -> None:
    assert sample(format, name) == REAL[format, name]


def test_doctest_counts_assertions_and_its_failures_must_be_there() -> None:
    text = (SAMPLES / "doctest-junit.xml").read_text()
    assert not parse("junit", text.replace('tests="10"', 'tests="77"')).disagreement
    assert "announces 4 failures in 'unit' and holds 5" in parse("junit", text.replace('failures="4"', 'failures="3"')).disagreement
    other = text.replace(' doctest_version="2.4.9"', "")
    assert parse("junit", other).outcomes["d.cpp::warns"] == "failed"


@pytest.mark.parametrize("name", ["gtest-listed.xml", "gtest-skipped.xml", "gtest.xml"])
def test_reports_of_googletest_that_meson_copied(name: str) -> None:
    """Meson takes over the suites and puts the names of its own before theirs."""
    text = (SAMPLES / name).read_text()
    suites = text[text.index("<testsuite ") : text.rindex("</testsuites>")].replace('<testsuite name="', '<testsuite name="demo.unit.')
    copied = parse("junit", f'<testsuites tests="6" errors="0" failures="0">{suites}</testsuites>')
    assert list(copied.outcomes.values()) == list(REAL["junit", name].values())


def test_surefire_in_several_files_with_reruns_and_nested_classes() -> None:
    found = parse("junit", *(path.read_bytes() for path in sorted((SAMPLES / "surefire").iterdir())))
    assert found == ParsedReport(
        {
            "x.BrokenTest": "error",
            "x.CalcTest::adds": "passed",
            "x.CalcTest::many(int)[1]": "passed",
            "x.CalcTest::many(int)[2]": "passed",
            "x.CalcTest::flaky": "failed",
            "x.CalcTest::later": "skipped",
            "x.CalcTest::wrong": "failed",
            "x.CalcTest$Inner::deep": "passed",
        }
    )


def test_a_writer_that_miscounts_is_not_believed() -> None:
    assert "announces 4" in parse("junit", (SAMPLES / "mocha.xml").read_bytes()).disagreement


def cases(*inner: str, **attributes: object) -> str:
    stated = "".join(f" {key}={quoteattr(str(value))}" for key, value in {"name": "s", **attributes}.items())
    return f"<testsuites><testsuite{stated}>{''.join(inner)}</testsuite></testsuites>"


@pytest.mark.parametrize(
    ("inner", "identity", "outcome"),
    [
        ('<testcase classname="a.B" name="c"/>', "a.B::c", "passed"),
        ('<testcase classname="t" name="t"/>', "t", "passed"),
        ('<testcase name="t" status="run"/>', "s::t", "passed"),
        ('<testcase name="t" status="notrun" classname="g"><skipped/></testcase>', "g::t", "skipped"),
        ('<testcase name="t" status="fail" classname="g"/>', "g::t", "failed"),
        ('<testcase name="t" result="suppressed" classname="g"/>', "g::t", "skipped"),
        ('<testcase name="t" classname="crate::bin"><flakyFailure/></testcase>', "crate::bin::t", "passed"),
        ('<testcase name="t" classname="g"><failure/><rerunFailure/></testcase>', "g::t", "failed"),
        ('<testcase name="t" classname="g"><rerunFailure/></testcase>', "g::t", "failed"),
        ('<testcase name="t" classname="g"><system-out>&lt;failure/></system-out></testcase>', "g::t", "passed"),
        ('<testcase name="t" classname="g"><x><failure/></x></testcase>', "g::t", "passed"),
        ('<testcase file="/project/a/b.js" classname="g" name="t"/>', "a/b.js::g::t", "passed"),
        ('<testcase file="a.js" classname="a.js" name="t"/>', "a.js::t", "passed"),
        ('<testcase classname="/project/a.js" name="t"/>', "a.js::t", "passed"),
        ('<testcase classname="g" name="t"/><testcase classname="g" name="t"><failure/></testcase>', "g::t", "failed"),
    ],
)
def test_cases_of_junit(inner: str, identity: str, outcome: str) -> None:
    assert parse("junit", cases(inner)).outcomes == {identity: outcome}


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (cases('<testcase classname="g" name="t"/>', tests=2), "announces 2"),
        (cases('<testcase classname="g" name="t"/>', tests=0), "announces 0"),
        (cases('<testcase classname="g" name="t"/>', tests=1, failures=1), "announces 1"),
        (cases('<testcase classname="g" name="t"><error/></testcase>', tests=1, failures=0, errors=0), "announces 0"),
        ('<testsuites tests="3"><testsuite><testcase classname="g" name="t"/></testsuite></testsuites>', "announces 3"),
    ],
)
def test_counts_of_junit(document: str, said: str) -> None:
    assert said in parse("junit", document).disagreement


def go(*events: dict[str, object]) -> str:
    return "".join(json.dumps(event) + "\n" for event in events)


def event(action: str, test: str = "", package: str = "m/p", **more: object) -> dict[str, object]:
    return {"Action": action, "Package": package, **({"Test": test} if test else {}), **more}


@pytest.mark.parametrize(
    ("document", "outcomes"),
    [
        (go(event("run", "TestT"), event("pass", "TestT"), event("pass")), {"m/p::TestT": "passed"}),
        (go(event("run", "TestT"), event("skip", "TestT"), event("pass")), {"m/p::TestT": "skipped"}),
        (go(event("run", "TestT"), event("fail", "TestT"), event("fail")), {"m/p::TestT": "failed"}),
        (go(event("run", "TestT"), event("fail")), {"m/p::TestT": "error"}),
        (go(event("run", "TestT"), event("pass", "TestT"), event("fail")), {"m/p::TestT": "passed", "m/p": "error"}),
        (go(event("run", "TestT"), event("pass", "TestT")), {"m/p::TestT": "passed", "m/p": "error"}),
        (go(event("start"), event("output", Output="no test files"), event("skip")), {}),
        (go(event("run", "TestT/a b#01"), event("pass", "TestT/a b#01"), event("pass")), {"m/p::TestT/a b#01": "passed"}),
        (go(*[event(action, "TestT") for action in ("run", "pass", "run", "fail")], event("fail")), {"m/p::TestT": "failed"}),
        ("FAIL\tm/p [build failed]\nok\n" + go(event("run", "TestT", "m/q"), event("pass", "TestT", "m/q"), event("pass", package="m/q")),
         {"m/q::TestT": "passed", "m/p": "error"}),
        ('{"Action":"build-fail","ImportPath":"m/p"}\n' + go(event("fail", FailedBuild="m/p")), {"m/p": "error"}),
        # What testing.RunTests runs within a test is that test's to judge.
        (go(event("run", "TestT"), event("run", "signature"), event("fail", "signature"), event("pass", "TestT"), event("pass")),
         {"m/p::TestT": "passed", "m/p::signature": "failed"}),
        (go(event("run", "TestT"), event("run", "TestT/in"), event("fail", "TestT/in"), event("pass", "TestT"), event("pass")),
         {"m/p::TestT": "passed", "m/p::TestT/in": "failed"}),
        ("{not json\n{}\n[]\nnull\n" + go(event("run", "TestT"), event("pass", "TestT"), event("pass")), {"m/p::TestT": "passed"}),
    ],
)  # fmt: skip
def test_events_of_go(document: str, outcomes: dict[str, str]) -> None:
    found = parse("go-json", document)
    assert (dict(found.outcomes), found.disagreement) == (outcomes, "")


def test_ends_without_starts_and_packages_that_contradict_their_tests() -> None:
    assert "never started" in parse("go-json", go(event("pass", "TestT"), event("pass"))).disagreement
    assert (
        "never started"
        in parse("go-json", go(event("run", "TestT"), event("pass", "TestT"), event("pass", "TestT"), event("pass"))).disagreement
    )
    assert "passed, and that" in parse("go-json", go(event("run", "TestT"), event("fail", "TestT"), event("pass"))).disagreement
    with pytest.raises(ReportError, match="no event"):
        parse("go-json", "PASS\nok\n")


CARGO = """
   Compiling demo v0.1.0
     Running unittests src/lib.rs (target/debug/deps/demo-0123456789abcdef)

running 4 tests
test tests::adds ... ok
test tests::later ... ignored, not yet
test tests::panics - should panic ... ok
test tests::wrong ... FAILED

failures:

test result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s

     Running tests/more.rs (target/debug/deps/more-fedcba9876543210)

running 1 test
test adds ... ok

test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s

   Doc-tests demo

running 2 tests
test src/lib.rs - add (line 3) ... ok
test src/lib.rs - add (line 9) - compile ... ok

test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s

running 1 test
test src/lib.rs - sub (line 7) ... FAILED

test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s
"""
BLOCK = "running 1 test\ntest a ... ok\ntest result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n"


def test_the_text_of_cargo() -> None:
    assert parse("libtest", CARGO) == ParsedReport(
        {
            "demo/src/lib.rs::tests::adds": "passed",
            "demo/src/lib.rs::tests::later": "skipped",
            "demo/src/lib.rs::tests::panics": "passed",
            "demo/src/lib.rs::tests::wrong": "failed",
            "more/tests/more.rs::adds": "passed",
            "demo/doc::src/lib.rs - add": "passed",
            "demo/doc::src/lib.rs - add - compile": "passed",
            "demo/doc::src/lib.rs - sub": "failed",
        }
    )


@pytest.mark.parametrize(
    ("document", "outcomes", "disagrees"),
    [
        (BLOCK, {"a": "passed"}, False),
        ("running 1 test\ntest a ...\nprinted\nok\n" + BLOCK.split("\n", 2)[2], {"a": "passed"}, False),
        ("running 1 test\ntest a ... printed\nFAILED\ntest result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out\n",
         {"a": "failed"}, False),
        ("running 1 test\ntest b ... bench:   12 ns/iter (+/- 1)\n"
         "test result: ok. 0 passed; 0 failed; 0 ignored; 1 measured; 0 filtered out\n",
         {"b": "passed"}, False),
        ("running 2 tests\ntest a ... ok\n", {"a": "passed", "test binary": "error"}, False),
        (BLOCK + "test b ... ok\n", {"a": "passed", "b": "passed"}, True),
        (BLOCK.replace("1 passed", "2 passed"), {"a": "passed"}, True),
        (BLOCK.replace("test result", "test b ... ok\ntest result"), {"a": "passed", "b": "passed"}, True),
        ("     Running unittests src/main.rs (/t/deps/x-0123456789abcdef)\n" + BLOCK + BLOCK, {"x/src/main.rs::a": "passed"}, True),
        ("     Running unittests src/main.rs (/t/deps/x-0123456789abcdef)\nerror: killed\n", {"x/src/main.rs": "error"}, False),
        ('{"type":"suite","event":"started","test_count":2}\n{"type":"test","event":"started","name":"a"}\n'
         '{"type":"test","name":"a","event":"ok"}\n{"type":"test","name":"b","event":"failed","stdout":"x"}\n'
         '{"type":"suite","event":"failed","passed":1,"failed":1,"ignored":0,"measured":0}\n', {"a": "passed", "b": "failed"}, False),
        ('{"type":"suite","event":"started","test_count":1}\n{"type":"test","event":"started","name":"a"}\n',
         {"test binary": "error"}, False),
        ('{"type":"suite","event":"ok","passed":"x"}\n' + BLOCK, {"a": "passed"}, True),
    ],
)  # fmt: skip
def test_blocks_of_libtest(document: str, outcomes: dict[str, str], disagrees: bool) -> None:
    found = parse("libtest", document)
    assert (dict(found.outcomes), bool(found.disagreement)) == (outcomes, disagrees)


def test_a_run_around_one_of_the_same_tests_is_not_believed() -> None:
    """A constructor may print the first line of the report and an exit handler the rest."""
    real = f"running 2 tests\ntest a ... ok\ntest b ... FAILED\n{sums(1, 1)}"
    found = parse("libtest", f"running 2 tests\n{real}test a ... ok\ntest b ... ok\n{sums(2)}")
    assert "within another" in found.disagreement


def sums(passed: int, failed: int = 0) -> str:
    return f"test result: {'FAILED' if failed else 'ok'}. {passed} passed; {failed} failed; 0 ignored; 0 measured; 0 filtered out\n"


UI = "     Running tests/ui.rs (/t/deps/ui-0123456789abcdef)\n\n"
LIB = "     Running unittests src/lib.rs (/t/deps/x-0123456789abcdef)\n\nrunning 1 test\ntest a ... ok\n\n" + sums(1)
TRYBUILD = "test tests/ui/a.rs ... ok\ntest tests/ui/b.rs [should fail to compile] ... {}\n\n\n\n"
WHOLE = "\nrunning 2 tests\ntest [ui] ui/a.rs ... ok\n{}test [ui] ui/b.rs ... ok\n\n" + sums(2)
CARGO_INSIDE = "   Compiling y v0.1.0\n" + UI.replace("ui", "y") + "running 2 tests\ntest f ... ok\ntest g ... FAILED\n" + sums(1, 1)
PASSING, BOTH = {"ui/tests/ui.rs::ui": "passed"}, {"ui/tests/ui.rs::ui": "passed", "ui/tests/ui.rs::own": "passed"}


@pytest.mark.parametrize(
    ("document", "outcomes"),
    [
        # Files that trybuild compiles: beside other tests, alone, and while another test ends.
        (f"running 2 tests\n{TRYBUILD.format('ok')}test ui ... ok\ntest own ... ok\n{sums(2)}", BOTH),
        (f"running 1 test\n{TRYBUILD.format('mismatch')}ACTUAL OUTPUT:\nerror\n\ntest ui ... FAILED\n{sums(0, 1)}",
         {"ui/tests/ui.rs::ui": "failed"}),
        (f"running 1 test\ntest ui ...     Checking x v0.1.0\n\n\n{TRYBUILD.format('ok')}ok\n{sums(1)}", PASSING),
        (f"running 1 test\ntest ui ... {TRYBUILD.format('error')}Expected test case to fail to compile.\nFAILED\n{sums(0, 1)}",
         {"ui/tests/ui.rs::ui": "failed"}),
        (f"running 2 tests\ntest tests/ui/a.rs ... test own ... ok\nok\ntest ui ... ok\n{sums(2)}", BOTH),
        # A whole harness in the test's process, or in one of its own.
        (f"running 1 test\n{WHOLE.format('')}test ui ... ok\n{sums(1)}", PASSING),
        (f"running 1 test\ntest ui ... {WHOLE.format('')}\nok\n{sums(1)}", PASSING),
        (f"running 2 tests\n{WHOLE.format('test own ... ok' + chr(10))}test ui ... ok\n{sums(2)}", BOTH),
        (f"running 1 test\n{CARGO_INSIDE}test ui ... ok\n{sums(1)}", PASSING),
        (f"running 1 test\n{CARGO_INSIDE}{CARGO_INSIDE}{UI.replace('ui', 'z')}test ui ... ok\n{sums(1)}", PASSING),
        # Files may be all that a harness has, and are its tests then.
        (f"running 1 test\ntest tests/ui/a.rs ... ok\n{sums(1)}", {"ui/tests/ui.rs::tests/ui/a.rs": "passed"}),
    ],
)  # fmt: skip
def test_what_tests_print_of_tests_of_their_own_is_none_of_the_report(document: str, outcomes: dict[str, str]) -> None:
    found = parse("libtest", f"{LIB}\n{UI}{document}\n   Doc-tests x\n\nrunning 1 test\ntest src/lib.rs - a (line 3) ... ok\n{sums(1)}")
    assert found.disagreement == ""
    assert dict(found.outcomes) == {"x/src/lib.rs::a": "passed", **outcomes, "x/doc::src/lib.rs - a": "passed"}


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ("running 1 test\ntest ui ... ok\ntest forged ... ok\n" + sums(1), "announces 1 passed tests of 'ui/tests/ui.rs' and holds 2"),
        ("running 2 tests\ntest ui ... ok\n" + sums(1), "announces 2 tests of 'ui/tests/ui.rs' and holds 1"),
        ("running 1 test\ntest tests/a.rs ... ok\ntest ui ... FAILED\n" + sums(1), ""),
        ("running 1 test\ntest ui ... FAILED\nrunning 1 test\ntest ui ... ok\n" + sums(1), ""),
        ("running 1 test\nrunning 5 tests\ntest ui ... FAILED\n" + sums(5) + "test ui ... ok\n" + sums(1), "holds 1"),
    ],
)
def test_what_tests_print_hides_no_failure(document: str, said: str) -> None:
    found = parse("libtest", UI + document)
    failed = {"failed", "error"} & set(found.outcomes.values())
    assert said in found.disagreement and (found.disagreement or failed)


def test_programs_that_end_without_their_sums_are_errors_and_hide_no_other() -> None:
    dead = "".join(
        f"     Running tests/t{number}.rs (/t/deps/t{number}-0123456789abcdef)\nrunning 2 tests\ntest f ... ok\n" for number in range(40)
    )
    found = parse("libtest", f"{dead}{LIB}{dead.replace('/t', '/u')}{UI}error: killed\n")
    assert found.disagreement == ""
    errors = [name for name, outcome in found.outcomes.items() if outcome == "error"]
    assert len(errors) == 81 and found.outcomes["ui/tests/ui.rs"] == "error" and found.outcomes["x/src/lib.rs::a"] == "passed"


@pytest.mark.parametrize(
    ("document", "outcomes", "said"),
    [
        ("1..2\nok 1 - a\nnot ok 2 - b\n", {"a": "passed", "b": "failed"}, ""),
        ("TAP version 13\nok 1\nok\nok 3 c\n1..3\n", {"1": "passed", "2": "passed", "c": "passed"}, ""),
        ("1..4\nok 1 - a # SKIP no\nnot ok 2 - b # TODO later\nok 3 - c # todo\nok 4 - d \\# skip is text\n",
         {"a": "skipped", "b": "skipped", "c": "skipped", "d # skip is text": "passed"}, ""),
        ("1..0 # SKIP nothing here\n", {}, ""),
        ("ok 1 - a\n", {"a": "passed"}, "without a plan"),
        ("1..3\nok 1 - a\n", {"a": "passed"}, "announces 3"),
        ("1..1\nok 1 - a\nok 2 - b\n", {"a": "passed", "b": "passed"}, "announces 1"),
        ("1..1\n1..1\nok 1 - a\n", {"a": "passed"}, "two plans"),
        ("1..2\nok 1 - a\nBail out! no disk\n", {"a": "passed"}, "bailed out: 'no disk'"),
        ("1..1\n# ok 2 - comment\nok 1 - a\n  ---\n  x: |\n    ok 9 - inside\n  ...\nprinted ok 3\n", {"a": "passed"}, ""),
        ("    ok 1 - x\n    1..1\nok 1 - p\n1..1\n", {"p > x": "passed", "p": "passed"}, ""),
        ("    ok 1 - x\n    1..2\nok 1 - p\n1..1\n", {"p > x": "passed", "p": "passed"}, "announces 2"),
        ("1..1\nok 1 - same\n", {"same": "passed"}, ""),
        ("1..2\nok 1 - same\nnot ok 2 - same\n", {"same": "failed"}, ""),
    ],
)  # fmt: skip
def test_streams_of_tap(document: str, outcomes: dict[str, str], said: str) -> None:
    found = parse("tap", document)
    assert (dict(found.outcomes), found.disagreement != "") == (outcomes, said != "")
    assert said in found.disagreement


def test_several_files_say_which_they_are() -> None:
    files = [ReportFile(b"1..1\nok 1 - a\n", "t/one"), ReportFile(b"1..1\nok 1 - a\n", "t/two")]
    assert list(parse_report("tap", files).outcomes) == ["t/one::a", "t/two::a"]
    document = b'<testsuites tests="1"><testsuite name="S"><testcase name="C" status="run" result="completed"/></testsuite></testsuites>'
    assert list(parse_report("gtest-xml", [ReportFile(document, "bin1"), ReportFile(document, "bin2")]).outcomes) == [
        "bin1::S.C",
        "bin2::S.C",
    ]


@pytest.mark.parametrize(
    ("inner", "outcomes", "agrees"),
    [
        ('<testcase name="C" status="run" result="completed"/>', {"S.C": "passed"}, True),
        ('<testcase name="C/0" status="run"/>', {"S.C/0": "passed"}, True),
        ('<testcase name="C" status="notrun" result="suppressed"/>', {"S.C": "skipped"}, True),
        ('<testcase name="C" status="run" result="skipped"><skipped/></testcase>', {"S.C": "skipped"}, True),
        ('<testcase name="C" status="run" result="completed"><failure/></testcase>', {"S.C": "failed"}, False),
        ("", {}, False),
    ],
)
def test_cases_of_googletest(inner: str, outcomes: dict[str, str], agrees: bool) -> None:
    found = parse("gtest-xml", f'<testsuites tests="1" failures="0"><testsuite name="S">{inner}</testsuite></testsuites>')
    assert (dict(found.outcomes), found.disagreement == "") == (outcomes, agrees)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"testResults": [], "numTotalTests": 1}, "announces 1"),
        ({"testResults": [], "success": True}, ""),
        ({"testResults": [{"name": "/project/a.js", "status": "failed", "assertionResults": []}], "success": True}, "says `success`"),
        ({"testResults": [{"name": "a", "assertionResults": [{"title": "t", "status": "failed"}]}], "numFailedTests": 0}, "announces 0"),
    ],
)
def test_counts_of_jest(document: dict[str, object], said: str) -> None:
    assert said in parse("jest-json", json.dumps(document)).disagreement
    assert bool(said) == bool(parse("jest-json", json.dumps(document)).disagreement)


@pytest.mark.parametrize(
    ("format", "document"),
    [
        ("jest-json", []), ("jest-json", {}), ("jest-json", {"testResults": [1]}), ("jest-json", {"testResults": [{"name": 1}]}),
        ("jest-json", {"testResults": [{"name": "a", "assertionResults": 1}]}),
        ("jest-json", {"testResults": [{"name": "a", "assertionResults": [1]}]}),
        ("jest-json", {"testResults": [{"name": "a", "assertionResults": [{"title": "t", "status": "great"}]}]}),
        ("jest-json", {"testResults": [{"name": "a", "assertionResults": [{"title": "t", "status": []}]}]}),
        ("jest-json", {"testResults": [{"name": "a", "assertionResults": [{"title": 1, "status": "passed"}]}]}),
        ("mocha-json", []), ("mocha-json", {"stats": 1}), ("mocha-json", {"stats": {}}),
        ("mocha-json", {"stats": {}, "passes": [1], "pending": [], "failures": [], "tests": []}),
        ("mocha-json", {"stats": {}, "passes": [{"fullTitle": 1}], "pending": [], "failures": [], "tests": []}),
    ],
)  # fmt: skip
def test_other_json_is_refused(format: ReportFormat, document: object) -> None:
    with pytest.raises(ReportError):
        parse(format, json.dumps(document))


def test_mocha_tests_that_are_in_no_list_did_not_end() -> None:
    document = {"stats": {"passes": 1}, "passes": [{"fullTitle": "a"}], "pending": [], "failures": [], "tests": [{"fullTitle": "b"}]}
    assert parse("mocha-json", json.dumps(document)).outcomes == {"a": "passed", "b": "error"}
    document["stats"] = {"passes": 2}
    assert "announces 2 passes" in parse("mocha-json", json.dumps(document)).disagreement


ENTITIES = b"""<?xml version="1.0"?><!DOCTYPE t [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY x SYSTEM "file:///etc/passwd">]><testsuites><testsuite><testcase classname="&b;" name="&x;"/></testsuite></testsuites>"""


@pytest.mark.parametrize("format", ["junit", "gtest-xml"])
@pytest.mark.parametrize(
    ("document", "said"),
    [
        (ENTITIES, "document type or an entity"),
        (b"<testsuites><testsuite>", "not well-formed"),
        (b"<html/>", "root is"),
        (b"", "not well-formed"),
        (b"<testsuites>" + b"<testsuite>" * 100, "nested deeper"),
        (b'<testsuites><testsuite name="s"><testcase name="' + b"n" * 5000 + b'"/></testsuite></testsuites>', "names a test"),
        (b"<testsuites>&unknown;</testsuites>", "not well-formed"),
    ],
)
def test_xml_that_is_no_report(format: ReportFormat, document: bytes, said: str) -> None:
    with pytest.raises(ReportError, match=said):
        parse(format, document)


@pytest.mark.parametrize("bad", [b"\x1b[31m", b"\xff\xfe\xfd", b"\0", b"\xed\xa0\x80", b"\x85"])
def test_printed_bytes_that_xml_does_not_know_cost_no_report(bad: bytes) -> None:
    document = b'<testsuites><testsuite name="s"><testcase classname="g" name="t"><system-out>' + bad + b"</system-out></testcase>"
    assert parse("junit", document + b"</testsuite></testsuites>").outcomes == {"g::t": "passed"}


BIG = """
import resource, sys
from podgym.verifiers.errors import ReportError
from podgym.verifiers.reports import ReportFile, parse_junit, parse_report
format, start, unit, end = sys.argv[1:5]
data = start.encode() + unit.encode() * (int(sys.argv[5]) // len(unit)) + end.encode()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    print(len(parse_junit(data) if format == "pytest" else parse_report(format, [ReportFile(data)]).outcomes))
except ReportError as error:
    print(error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.parametrize(
    ("format", "start", "unit", "end"),
    [
        ("jest-json", '{"testResults":[', "{},", "{}]}"),
        ("jest-json", "", "[", ""),
        ("mocha-json", '{"stats":{},"tests":[', '"a",', '""]}'),
        ("go-json", "", '{"Action":"output","Package":"p","Output":"x"}\n', ""),
        ("go-json", "{", "[", "\n"),
        ("libtest", "running 1 test\n", "test a ... ok\n", ""),
        ("tap", "", "ok\n", "1..1\n"),
        ("junit", '<testsuites><testsuite name="s">', '<testcase name="t"/>', "</testsuite></testsuites>"),
        ("junit", '<testsuites><testsuite name="s">', "<x a='b'>", ""),
        ("gtest-xml", '<testsuites><testsuite name="s"><testcase name="t">', "<failure/>", "</testcase></testsuite></testsuites>"),
        ("gtest-xml", '<testsuites a="', "y", '"/>'),
        *(
            (format, f'<testsuites><testsuite><testcase name="t" {key}="', "a.", '"/></testsuite></testsuites>')
            for format in ("pytest", "junit", "gtest-xml")
            for key in ("classname", "file")
        ),
        *(
            (format, f'<testsuites><testsuite name="{"n" * 100_000}">', '<testcase name="t"/>', "</testsuite></testsuites>")
            for format in ("pytest", "junit", "gtest-xml")
        ),
        ("pytest", "<testsuites><testsuite>", '<testcase name="t"/>', "</testsuite></testsuites>"),
        ("pytest", "<testsuites><testsuite>", '<testcase file="t.py"><failure/>', ""),
    ],
)
def test_megabytes_of_anything_are_read_in_bounded_memory(format: str, start: str, unit: str, end: str) -> None:
    arguments = [sys.executable, "-c", BIG, format, start, unit, end, str(16 << 20)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=110)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout.split("\n")[-2]) < 300, done.stdout


@given(st.text(max_size=30))
def test_ids_never_break_a_terminal(name: str) -> None:
    shown = visible(name)
    assert visible(shown) == shown
    assert all(character.isprintable() or character.isspace() for character in shown)
    assert not set(shown) & set("\x1b\x07\r\n\x00\u202e\u200b\x9b")


names = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp", "Zs"]), min_size=1, max_size=12)
tests = st.lists(st.tuples(names, st.sampled_from(["passed", "failed", "skipped"])), min_size=1, max_size=12)


def expected(found: list[tuple[str, str]]) -> dict[str, str]:
    outcomes: dict[str, list[str]] = {}
    for name, outcome in found:
        outcomes.setdefault(visible(name), []).append(outcome)
    return {name: worst(said) for name, said in outcomes.items()}


@given(tests)
def test_go_comes_back(found: list[tuple[str, str]]) -> None:
    ends = {"passed": "pass", "failed": "fail", "skipped": "skip"}
    found = [(f"Test{name.replace('/', '|')}", outcome) for name, outcome in found]
    events = [part for name, outcome in found for part in (event("run", name), event(ends[outcome], name))]
    failed = any(outcome == "failed" for _, outcome in found)
    report = parse("go-json", go(*events, event("fail" if failed else "pass")))
    assert (dict(report.outcomes), report.disagreement) == ({f"m/p::{name}": o for name, o in expected(found).items()}, "")


@given(tests)
def test_tap_comes_back(found: list[tuple[str, str]]) -> None:
    found = [(name.replace("\\", "/").replace("#", "+").replace("{", "("), outcome) for name, outcome in found]
    lines = [
        f"{'not ok' if outcome == 'failed' else 'ok'} {n} - x{name}{' # SKIP' * (outcome == 'skipped')}"
        for n, (name, outcome) in enumerate(found, 1)
    ]
    report = parse("tap", "\n".join([f"1..{len(found)}", *lines]))
    assert (dict(report.outcomes), report.disagreement) == ({f"x{name}": o for name, o in expected(found).items()}, "")


@given(tests)
def test_libtest_comes_back(found: list[tuple[str, str]]) -> None:
    said = {"passed": "ok", "failed": "FAILED", "skipped": "ignored"}
    counts = [sum(outcome == kind for _, outcome in found) for kind in said]
    lines = [f"test {name} ... {said[outcome]}" for name, outcome in found]
    sums = f"test result: ok. {counts[0]} passed; {counts[1]} failed; {counts[2]} ignored; 0 measured; 0 filtered out"
    report = parse("libtest", "\n".join([f"running {len(found)} tests", *lines, sums]))
    assert (dict(report.outcomes), report.disagreement) == (expected(found), "")


@given(tests)
def test_jest_comes_back(found: list[tuple[str, str]]) -> None:
    results = [{"ancestorTitles": ["d"], "title": name, "status": outcome} for name, outcome in found]
    document = {"numTotalTests": len(found), "testResults": [{"name": "/project/a.js", "assertionResults": results}]}
    report = parse("jest-json", json.dumps(document))
    assert dict(report.outcomes) == {f"a.js::d > {name}": o for name, o in expected(found).items()}


@given(tests)
def test_junit_comes_back(found: list[tuple[str, str]]) -> None:
    inner = {"passed": "", "failed": "<failure/>", "skipped": "<skipped/>"}
    written = [f"<testcase classname='g:' name={quoteattr(name)}>{inner[outcome]}</testcase>" for name, outcome in found]
    report = parse("junit", cases(*written, tests=len(found)))
    assert (dict(report.outcomes), report.disagreement) == ({f"g:::{name}": o for name, o in expected(found).items()}, "")


@pytest.mark.parametrize("format", PARSERS)
@given(data=st.one_of(st.binary(max_size=300), st.text("ok not1.2{}[]<>/:\"'=tesuicanmr \n-#", max_size=300).map(str.encode)))
@settings(max_examples=150)
def test_bytes_are_a_report_or_refused(format: ReportFormat, data: bytes) -> None:
    for document in (
        data,
        b"<testsuites>" + data + b"</testsuites>",
        b'{"testResults":' + data + b"}",
        b"1..1\n" + data,
        BLOCK.encode() + data,
    ):
        try:
            found = parse(format, document)
        except ReportError:
            continue
        assert all(identity and visible(identity) == identity for identity in found.outcomes)
