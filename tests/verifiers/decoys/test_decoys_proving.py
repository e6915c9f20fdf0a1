"""Decoys are kept as far as a run with the fix shows that they work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from podgym.verifiers import TestReport
from podgym.verifiers.decoys import Proven, prove_decoys

TEST = b"func Test%s(t *testing.T) {\n\tif f() != %d {\n\t\tt.Fail()\n\t}\n}\n\n"
SOURCE = b"package a\n\n" + TEST % (b"X", 300) + TEST % (b"Y", 400)
FILES = {"a_test.go": SOURCE}
Says = Callable[[Mapping[str, bytes]], TestReport]


def report(**outcomes: str) -> TestReport:
    said: dict[str, Any] = {f"m::{name}": outcome for name, outcome in outcomes.items()}
    return TestReport(outcomes=said, exit_code=int("failed" in outcomes.values()))


class Runs:
    def __init__(self, says: Says) -> None:
        self.says = says
        self.seen: list[Mapping[str, bytes]] = []

    async def __call__(self, changed: Mapping[str, bytes]) -> TestReport:
        self.seen.append(changed)
        return self.says(changed)


async def prove(says: Says, files: Mapping[str, bytes] = FILES, ids: tuple[str, ...] = ("m::TestX",), **more: Any) -> tuple[Proven, Runs]:
    runs = Runs(says)
    return await prove_decoys(runs, files, fail_to_pass=ids, pass_to_pass=more.pop("beside", ("m::TestY",)), **more), runs


async def test_one_run_is_enough_where_it_fails() -> None:
    proven, runs = await prove(lambda _: report(TestX="failed", TestY="passed"))
    assert (proven.fails, proven.holds, proven.note) == (("m::TestX",), ("m::TestY",), "")
    assert runs.seen == [proven.files]


async def test_what_breaks_the_build_is_chosen_anew() -> None:
    def says(changed: Mapping[str, bytes]) -> TestReport:
        if b"!= 300" not in changed["a_test.go"] and b"==" not in changed["a_test.go"]:
            return TestReport(problem="no_report", message="It does not build.")
        return report(TestX="failed", TestY="passed")

    proven, runs = await prove(says)
    assert len(runs.seen) == 2 and proven.fails == ("m::TestX",)
    assert b"if f() == 300" in proven.files["a_test.go"]


async def test_tries_are_bounded_and_say_why_there_is_nothing() -> None:
    proven, runs = await prove(lambda _: report(TestX="passed", TestY="passed"))
    assert len(runs.seen) == 3 and proven.fails == () and proven.files == {}
    assert proven.note == "no decoys: the changed tests pass with the fix"
    proven, runs = await prove(lambda _: TestReport(problem="timed_out", message="Too slow."), rounds=2)
    assert len(runs.seen) == 2 and proven.note == "no decoys: Too slow."
    proven, runs = await prove(lambda _: report(), files={"data.json": b"{}"})
    assert runs.seen == [] and "no test that the fix turns was found" in proven.note


async def test_a_report_with_a_problem_is_no_proof() -> None:
    def says(_: Mapping[str, bytes]) -> TestReport:
        return TestReport(outcomes={"m::TestX": "failed"}, problem="disagrees", message="It disagrees.")

    assert (await prove(says))[0].note == "no decoys: It disagrees."


async def test_a_failure_elsewhere_is_not_theirs() -> None:
    """It may have come by chance; honest changes must not be held against it."""
    proven, _ = await prove(lambda _: report(TestX="failed", TestZ="failed", TestY="failed"), beside=("m::TestZ", "m::TestY"))
    assert proven.fails == ("m::TestX",) and proven.holds == ()


async def test_ids_that_are_gone_must_not_come_back() -> None:
    proven, _ = await prove(lambda _: report(TestX="failed"), ids=("m::TestX", "m::TestX/3"), beside=())
    assert proven.fails == ("m::TestX", "m::TestX/3")


async def test_where_no_id_is_told_a_failure_has_to_come_twice() -> None:
    said = iter([report(one="failed", two="failed", three="passed"), report(one="failed", two="passed", three="passed")])
    proven, runs = await prove(lambda _: next(said), ids=("m::one", "m::two"), beside=("m::three",))
    assert len(runs.seen) == 2 and runs.seen[0] == runs.seen[1]
    assert (proven.fails, proven.holds) == (("m::one",), ("m::three",))


async def test_a_file_that_breaks_the_others_is_left_out_at_last() -> None:
    files = {"a_test.go": SOURCE.replace(b"TestY", b"TestA"), "b_test.go": SOURCE.replace(b"TestX", b"TestB").replace(b"TestY", b"TestC")}

    def says(changed: Mapping[str, bytes]) -> TestReport:
        if "b_test.go" in changed:
            return TestReport(problem="no_report", message="It does not build.")
        return report(TestX="failed", TestA="failed")

    ids = ("m::TestX", "m::TestA", "m::TestB")
    proven, runs = await prove(says, files=files, ids=ids, beside=())
    assert len(runs.seen) <= 3
    assert proven.note or "b_test.go" not in proven.files


async def test_python_is_run_once() -> None:
    files = {"test_a.py": b"def test_x():\n    assert f() == 31\n"}
    proven, runs = await prove(lambda _: TestReport(outcomes={"test_a.py::test_x": "passed"}), files=files, ids=("test_a.py::test_x",))
    assert len(runs.seen) == 1 and proven.note.startswith("no decoys")


@pytest.mark.parametrize("outcome", ["failed", "error"])
async def test_python_parameters(outcome: Any) -> None:
    files = {"test_a.py": b"@pytest.mark.parametrize('a,want', [(1, 'x')])\ndef test_x(a, want):\n    assert f(a) == want\n"}
    ids = ("test_a.py::test_x[1-x]",)
    said = TestReport(outcomes={"test_a.py::test_x[1-q]": outcome}, exit_code=1)
    proven, _ = await prove(lambda _: said, files=files, ids=ids, beside=())
    assert proven.fails == ("test_a.py::test_x[1-q]", "test_a.py::test_x[1-x]")
