"""Formats of C and C++: reports that the tools themselves wrote (`samples/`), what they can hold, and what must be refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podgym.verifiers.errors import ReportError
from podgym.verifiers.reports import COARSE, PARSERS, ParsedReport, ReportFile, ReportFormat, parse_report, visible, worst

SAMPLES = Path(__file__).parent / "samples"
NATIVE: tuple[ReportFormat, ...] = ("automake", "check-xml", "cmocka-xml", "boost-xml", "exit-code", "mixed")


def parse(format: ReportFormat, **files: str | bytes) -> ParsedReport:
    """Of files by their names; `/` is spelled `__`."""
    given = [
        ReportFile(text.encode() if isinstance(text, str) else text, name.replace("__", "/") if name != "alone" else "")
        for name, text in files.items()
    ]
    return parse_report(format, given, root="/project")


def sample(format: ReportFormat, name: str) -> dict[str, str]:
    found = parse(format, alone=(SAMPLES / name).read_bytes())
    assert found.disagreement == ""
    return dict(found.outcomes)


BOOST = {
    "top": "passed",
    "inner/good": "passed",
    "inner/bad": "failed",
    "inner/dies": "error",
    "inner/empty": "passed",
    "inner/needs": "skipped",
    "inner/data/_0": "passed",
    "inner/data/_1": "failed",
}


def test_check() -> None:
    assert sample("check-xml", "check.xml") == {
        "Money & <co>::Core::good": "passed",
        "Money & <co>::Core::bad": "failed",
        "Money & <co>::Limits::crash": "error",
        "Money & <co>::Limits::loop": "passed",
        "Money & <co>::Limits::loop[1]": "failed",
        "Money & <co>::Limits::loop[2]": "passed",
    }
    named = parse("check-xml", unit=(SAMPLES / "check.xml").read_bytes())
    assert next(iter(named.outcomes)) == "unit::Money & <co>::Core::good"


def test_cmocka() -> None:
    group = {"first group::good": "failed", "first group::bad": "failed", "first group::skipped": "skipped", "first group::crash": "failed"}
    assert sample("cmocka-xml", "cmocka-group.xml") == group
    assert sample("cmocka-xml", "cmocka.xml") == {**group, "second::good": "passed", "third": "error"}
    assert next(iter(parse("cmocka-xml", unit__first=(SAMPLES / "cmocka-group.xml").read_bytes()).outcomes)) == "unit::first group::good"


def test_criterion_writes_plain_junit() -> None:
    assert sample("junit", "criterion.xml") == {
        "other::good": "passed",
        "core::skips": "skipped",
        "core::good": "passed",
        "core::later": "skipped",
        "core::crash": "error",
        "core::bad": "failed",
    }


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("boost-report.xml", {"inner/known": "passed"}),
        ("boost-log.xml", {"inner/known": "failed", "inner/off": "skipped"}),
        ("boost-junit.xml", {"inner/known": "failed", "inner/off": "skipped"}),
    ],
)
def test_boost(name: str, more: dict[str, str]) -> None:
    assert sample("boost-xml", name) == BOOST | more


def test_automake_with_the_driver_for_tap() -> None:
    folder = SAMPLES / "automake"
    files = [ReportFile(path.read_bytes(), str(path.relative_to(folder).with_suffix(""))) for path in sorted(folder.rglob("*.*"))]
    found = parse_report("automake", files)
    assert found == ParsedReport(
        {
            "tests/bad": "failed",
            "tests/good": "passed",
            "tests/hard": "error",
            "tests/known": "passed",
            "tests/points::adds": "passed",
            "tests/points::subtracts": "failed",
            "tests/points::3": "skipped",
            "tests/points::later": "passed",
            "tests/points::5": "passed",
            "tests/single::alone": "passed",
            "tests/skips": "skipped",
            "tests/surprise": "failed",
        }
    )


@pytest.mark.parametrize(
    ("trs", "log", "outcomes", "disagrees"),
    [
        (":test-result: PASS\n", "", {"a": "passed"}, False),
        (":global-test-result: SKIP\n:recheck: no\n", "", {"a": "skipped"}, False),
        (":test-result: PASS 1 - one\n:test-result: FAIL 2\n", "", {"a::one": "passed", "a::2": "failed"}, False),
        (":test-result: PASS\n:test-result: FAIL\n", "PASS: a.tap 1 - x\n", {"a::1": "passed", "a::2": "failed"}, False),
        (":test-result: PASS\n:test-result: FAIL\n", "PASS: a.tap 1 - x\nPASS: a.tap 2 - y\n", {"a::1": "passed", "a::2": "failed"}, False),
        (":test-result: PASS\n", "PASS: me too\n", {"a": "passed"}, False),
        (":test-result: PASS\n:global-test-result: FAIL\n", "", {"a": "passed"}, True),
        (":test-result: FAIL\n:global-test-result: PASS\n", "", {"a": "failed"}, True),
        (":test-result: PASS 1 - x\n:test-result: FAIL 2 - x\n", "", {"a::x": "failed"}, False),
    ],
)
def test_results_of_automake(trs: str, log: str, outcomes: dict[str, str], disagrees: bool) -> None:
    found = parse_report("automake", [ReportFile(trs.encode(), "a"), ReportFile(log.encode(), "a")])
    assert (dict(found.outcomes), bool(found.disagreement)) == (outcomes, disagrees)


@pytest.mark.parametrize(
    ("document", "outcomes"),
    [
        ("a\t0\nb c\t1\nd\t77\ne\t139\n", {"a": "passed", "b c": "failed", "d": "skipped", "e": "error"}),
        ("a\t0\na\t1\n", {"a": "failed"}),
        ("a\t1\na\t0\n", {"a": "failed"}),
        ("", {}),
    ],
)
def test_exit_codes_say_that_they_are_coarse(document: str, outcomes: dict[str, str]) -> None:
    assert parse("exit-code", alone=document).outcomes == {f"{name}{COARSE}": outcome for name, outcome in outcomes.items()}


def test_several_formats_in_one_report() -> None:
    files = {
        "junit/ctest": '<testsuite tests="1"><testcase classname="all" name="all"/></testsuite>',
        "check-xml/unit": "",
        "exit-code/programs": "make test\t0\n",
        "automake/tests/a": ":test-result: FAIL\n",
    }
    found = parse_report("mixed", [ReportFile(text.encode(), name) for name, text in files.items()])
    assert found == ParsedReport({"all": "passed", f"make test{COARSE}": "passed", "tests/a": "failed"})
    with pytest.raises(ReportError, match="none of the formats"):
        parse_report("mixed", [ReportFile(b"x", "mixed/junit/x")])


@pytest.mark.parametrize(
    ("format", "document"),
    [
        ("automake", "PASS: a\n"),
        ("automake", ":test-result: FINE\n"),
        ("automake", ""),
        ("check-xml", "<suite/>"),
        ("check-xml", "<testsuites><suite><title>s</title><test result='success'><id/></test></suite></testsuites>"),
        ("check-xml", f"<testsuites><suite><title>s</title><test result='success'><id>{'x' * 5000}</id></test></suite></testsuites>"),
        ("cmocka-xml", ""),
        ("cmocka-xml", "<testsuites><testsuite name='a' tests='1'>"),
        ("cmocka-xml", "<testsuites/>rest<"),
        ("boost-xml", "<TestSuite/>"),
        ("boost-xml", "<TestResult><TestSuite name='m'><TestCase name='a' result='passed'/>"),
        ("boost-xml", "<!DOCTYPE x><TestResult/>"),
        ("exit-code", "a\t0\nb\t0"),
        ("exit-code", "a 0\n"),
        ("exit-code", "a\t256\n"),
        ("exit-code", "a\t-1\n"),
        ("exit-code", "\t0\n"),
        ("exit-code", f"{'x' * 5000}\t0\n"),
        ("mixed", "a\t0\n"),
    ],
)
def test_refused(format: ReportFormat, document: str) -> None:
    with pytest.raises(ReportError):
        parse(format, alone=document)


@pytest.mark.parametrize(
    ("format", "document"),
    [
        ("cmocka-xml", "<testsuites><testsuite name='g' tests='2' failures='0' errors='0'><testcase name='a'/></testsuite></testsuites>"),
        ("cmocka-xml", "<testsuites><testsuite name='g' tests='1' failures='1' errors='0'><testcase name='a'/></testsuite></testsuites>"),
        ("boost-xml", "<TestResult><TestSuite test_cases_passed='2'><TestCase name='a' result='passed'/></TestSuite></TestResult>"),
        ("boost-xml",
         "<TestResult><TestSuite test_cases_passed='1' test_cases_failed='1'><TestCase name='a' result='passed'/>"
         "</TestSuite></TestResult>"),
        ("boost-xml", "<testsuite tests='2' failures='0' errors='0'><testcase name='a'/></testsuite>"),
        ("boost-xml", "<testsuite tests='1' failures='1' errors='0'><testcase name='a'/></testsuite>"),
    ],
)  # fmt: skip
def test_counts_that_are_not_those_of_the_cases(format: ReportFormat, document: str) -> None:
    assert parse(format, alone=document).disagreement


@pytest.mark.parametrize(
    ("format", "document", "identity"),
    [
        ("check-xml", "<testsuites><suite><title>s</title><test result='{}'><id>t</id></test></suite></testsuites>", "s::t"),
        ("boost-xml", "<TestResult><TestSuite name='m'><TestCase name='t' result='{}'/></TestSuite></TestResult>", "t"),
    ],
)
def test_a_result_that_is_not_known_is_no_pass(format: ReportFormat, document: str, identity: str) -> None:
    assert parse(format, alone=document.format("splendid")).outcomes == {identity: "error"}


NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
OUTCOMES = st.sampled_from(["passed", "failed", "skipped", "error"])
STATUS = {"passed": 0, "failed": 1, "skipped": 77, "error": 134}


@given(st.lists(st.tuples(NAMES, OUTCOMES), max_size=8))
def test_exit_codes_keep_the_worst_of_each_program(rows: list[tuple[str, str]]) -> None:
    rows = [("".join(name.split()), outcome) for name, outcome in rows if "".join(name.split())]
    found = parse("exit-code", alone="".join(f"{name}\t{STATUS[outcome]}\n" for name, outcome in rows))
    expected: dict[str, list[str]] = {}
    for name, outcome in rows:
        expected.setdefault(visible(name) + COARSE, []).append(outcome)
    assert found.outcomes == {name: worst(outcomes) for name, outcomes in expected.items()}


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from(["PASS", "FAIL", "SKIP", "XFAIL", "XPASS", "ERROR"])), min_size=1, max_size=8
    )
)
def test_automake_keeps_the_worst_of_each_description(rows: list[tuple[str, str]]) -> None:
    text = "".join(f":test-result: {word} {number} - {name}\n" for number, (name, word) in enumerate(rows, 1))
    found = parse("automake", t=text)
    meaning = {"PASS": "passed", "XFAIL": "passed", "SKIP": "skipped", "FAIL": "failed", "XPASS": "failed", "ERROR": "error"}
    for name in {name for name, _ in rows}:
        assert found.outcomes[f"t::{name}"] == worst(meaning[word] for own, word in rows if own == name)


SEEDS = {
    "automake": (SAMPLES / "automake/tests/points.trs").read_bytes(),
    "check-xml": (SAMPLES / "check.xml").read_bytes(),
    "cmocka-xml": (SAMPLES / "cmocka.xml").read_bytes(),
    "boost-xml": (SAMPLES / "boost-report.xml").read_bytes(),
    "exit-code": b"make test\t0\nprogram\t139\n",
    "mixed": b"make test\t0\n",
}


@given(st.sampled_from(NATIVE), st.data())
def test_any_bytes_are_outcomes_or_an_error(format: ReportFormat, data: st.DataObject) -> None:
    """Whole, cut, and changed reports, and plain noise: never anything but a `ReportError`, and no id that cannot be shown."""
    seed = SEEDS[format]
    document = bytearray(
        data.draw(st.one_of(st.binary(max_size=200), st.just(seed), st.integers(0, len(seed)).map(lambda end: seed[:end])))
    )
    for _ in range(data.draw(st.integers(0, 4))):
        if document:
            document[data.draw(st.integers(0, len(document) - 1))] = data.draw(st.integers(0, 255))
    name = data.draw(st.sampled_from(["", "x", "exit-code/x", "junit/x/y", "automake/tests/points"]))
    try:
        found = parse_report(format, [ReportFile(bytes(document), name)])
    except ReportError:
        return
    assert all(identity and identity == visible(identity) for identity in found.outcomes)


def test_every_format_is_known() -> None:
    assert set(NATIVE) <= PARSERS.keys()
