from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podgym.verifiers.errors import ReportError
from podgym.verifiers.reports import junit, parse_junit, parsed, visible, worst


def suite(*cases: str) -> bytes:
    return f"<testsuites><testsuite name='pytest'>{''.join(cases)}</testsuite></testsuites>".encode()


def case(file: str, classname: str, name: str, inner: str = "") -> str:
    return f"<testcase file={quoteattr(file)} classname={quoteattr(classname)} name={quoteattr(name)}>{inner}</testcase>"


SOURCE = """
import pytest


@pytest.fixture
def bad_setup():
    raise RuntimeError("setup")


@pytest.fixture
def bad_teardown():
    yield
    raise RuntimeError("teardown")


def test_pass():
    pass


def test_fail():
    assert False


def test_setup(bad_setup):
    pass


def test_teardown(bad_teardown):
    pass


def test_both(bad_teardown):
    assert False


@pytest.mark.skip
def test_skip():
    pass


@pytest.mark.xfail
def test_xfail():
    assert False


@pytest.mark.xfail(strict=True)
def test_xpass_strict():
    pass


class TestOuter:
    class TestInner:
        @pytest.mark.parametrize("text", ["a/b", "c::d", "e.f", "<&>", "\\x1b[0m"])
        def test_param(self, text):
            pass
"""


def test_pytest_itself_agrees_about_every_id_and_outcome(tmp_path: Path) -> None:
    (tmp_path / "pkg/tests").mkdir(parents=True)
    (tmp_path / "pkg/tests/test_kinds.py").write_text(SOURCE)
    (tmp_path / "pkg/tests/test_broken.py").write_text("import no_such_module\n")
    (tmp_path / "base_cases.py").write_text("class Shared:\n    def test_shared(self):\n        pass\n")
    (tmp_path / "test_inherits.py").write_text("from base_cases import Shared\n\n\nclass TestHeir(Shared):\n    pass\n")
    report = tmp_path / "report.xml"
    options = ["-p", "no:cacheprovider", f"--junitxml={report}", "-o", "junit_family=xunit1", "--continue-on-collection-errors"]
    command = [sys.executable, "-m", "pytest", *options, "-rA", "-q", "--rootdir", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env={"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"})
    found = parse_junit(report.read_bytes())
    prefix = "pkg/tests/test_kinds.py::"
    assert {key.removeprefix(prefix): value for key, value in found.items() if key.startswith(prefix)} == {
        "test_pass": "passed",
        "test_fail": "failed",
        "test_setup": "error",
        "test_teardown": "error",
        "test_both": "error",
        "test_skip": "skipped",
        "test_xfail": "skipped",
        "test_xpass_strict": "failed",
        "TestOuter::TestInner::test_param[a/b]": "passed",
        "TestOuter::TestInner::test_param[c::d]": "passed",
        "TestOuter::TestInner::test_param[e.f]": "passed",
        "TestOuter::TestInner::test_param[<&>]": "passed",
        "TestOuter::TestInner::test_param[\\x1b[0m]": "passed",
    }
    assert found["test_inherits.py::TestHeir::test_shared"] == "passed"
    assert [value for key, value in found.items() if "test_broken" in key] == ["error"]
    printed = {line.split(" ", 1)[1] for line in done.stdout.splitlines() if line.startswith("PASSED ")}
    assert printed <= {*found, "pkg/tests/test_kinds.py::test_teardown"}


def test_an_id_reported_twice_counts_as_the_worse() -> None:
    good, bad = case("t.py", "t", "test_a"), case("t.py", "t", "test_a", "<failure/>")
    assert parse_junit(suite(good, bad)) == parse_junit(suite(bad, good)) == {"t.py::test_a": "failed"}
    assert worst([]) == "missing"


def test_ids_without_a_file() -> None:
    assert parse_junit(suite('<testcase classname="pkg.T" name="m"/>')) == {"pkg.T::m": "passed"}
    assert parse_junit(suite('<testcase classname="" name="whole program"/>')) == {"whole program": "passed"}
    assert list(parse_junit(suite(case("a/t.py", "", "a.t"), case("a/t.py", "", "setUpClass (T)"), '<testcase name="a.t"/>'))) == [
        "a/t.py",
        "a/t.py::setUpClass (T)",
    ]


def test_an_inherited_test_belongs_to_the_module_that_collected_it() -> None:
    lone = case("lib/base.py", "tests.test_x.TestA.TestB", "m")
    assert list(parse_junit(suite(lone))) == ["tests/test_x.py::TestA::TestB::m"]
    known = case("tests/lower.py", "tests.lower", "a")
    assert list(parse_junit(suite(known, case("lib/base.py", "tests.lower.helper", "m"))))[1] == "tests/lower.py::helper::m"


def test_only_direct_children_of_a_test_case_decide() -> None:
    assert parse_junit(suite(case("t.py", "t", "a", "<properties><failure/></properties>"))) == {"t.py::a": "passed"}
    assert parse_junit(suite(case("t.py", "t", "a", "<system-out>&lt;failure/&gt;</system-out>"))) == {"t.py::a": "passed"}


BOMB = b"""<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><testsuites>&b;</testsuites>"""


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "well-formed"),
        (b"<testsuites>", "well-formed"),
        (BOMB, "document type"),
        (b'<!DOCTYPE testsuites SYSTEM "file:///etc/passwd"><testsuites/>', "document type"),
        (b"<html/>", "root is <html>"),
        (b"<testsuites>" + b"<a>" * 100, "deeper"),
        (suite('<testcase classname="" name=""/>'), "names a test ''"),
        (suite(case("t.py", "t", "n" * 5000)), "characters"),
        (b'<testsuite podgym="1" tests="2"><testcase name="a"/></testsuite>', "announces 2 tests and holds 1"),
        (b'<testsuite podgym="1" tests="many"/>', "number of tests"),
        ("<?xml version='1.0' encoding='no-such'?><testsuites/>".encode("utf-16"), "report"),
        (suite(case("t.py", "t." * 2049, "n")), "4098 characters.*at most 4096"),
        (suite(case("t/" * 2049, "t", "n")), "4098 characters"),
    ],
)
def test_hostile_documents_are_refused(data: bytes, said: str) -> None:
    with pytest.raises(ReportError, match=said):
        parse_junit(data)


def test_bounds_on_bytes_and_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parsed, "MAX_CASES", 2)
    with pytest.raises(ReportError, match="more than 2 tests"):
        parse_junit(suite(*(case("t.py", "t", f"a{n}") for n in range(3))))
    monkeypatch.setattr(junit, "MAX_REPORT_BYTES", 10)
    with pytest.raises(ReportError, match="at most 10 are read"):
        parse_junit(suite(case("t.py", "t", "a")))


def test_many_files_and_many_names_take_linear_time() -> None:
    files = [case(f"tests/test_{number}.py", f"tests.test_{number}", "a") for number in range(20_000)]
    lone = [case("", "", f"tests.test_{number}") for number in range(20_000)]
    deep = [case("", f"{number}." + "p." * 1900, "a") for number in range(1000)]
    started = time.process_time()
    found = parse_junit(suite(*files, *lone, *deep))
    assert time.process_time() - started < 20
    assert len(found) == 41_000 and found["tests/test_7.py"] == "passed"


names = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=20).filter(lambda text: text.strip() == text)
stems = st.text("abcxyz_", min_size=1, max_size=6)


@given(
    st.lists(
        st.tuples(
            st.lists(stems, min_size=1, max_size=3).map(tuple),
            st.lists(stems, max_size=2).map(tuple),
            names,
            st.sampled_from(["", "<failure/>", "<error/>", "<skipped/>"]),
        ),
        min_size=1,
    )
)
def test_what_a_writer_states_comes_back(tests: list[tuple[tuple[str, ...], tuple[str, ...], str, str]]) -> None:
    meaning = {"": "passed", "<failure/>": "failed", "<error/>": "error", "<skipped/>": "skipped"}
    expected: dict[str, list[str]] = {}
    cases = []
    for path, classes, name, inner in tests:
        file = "/".join(path) + ".py"
        cases.append(case(file, ".".join((*path, *classes)), name, inner))
        expected.setdefault(visible("::".join((file, *classes, name))), []).append(meaning[inner])
    found = parse_junit(suite(*cases))
    assert found == {identity: worst(outcomes) for identity, outcomes in expected.items()}
    assert list(found) == list(expected)


@given(st.binary(max_size=200))
def test_bytes_are_a_report_or_refused(data: bytes) -> None:
    for document in (data, b"<testsuites>" + data + b"</testsuites>"):
        try:
            parse_junit(document)
        except ReportError:
            continue
