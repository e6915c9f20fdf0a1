from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podgym.envs.build.languages.python.paths import PythonTestPaths
from podgym.envs.build.mutation.copies import Copies
from podgym.envs.build.mutation.edits import Mutation
from podgym.envs.build.mutation.evidence import Evidence, gather, names_of, spoken, tells
from podgym.envs.build.mutation.issue import written_by_rules
from podgym.envs.build.mutation.judging import baseline_of, judge
from podgym.envs.build.mutation.parts import main_part
from podgym.envs.build.mutation.planting import plant, version_tag
from podgym.envs.build.mutation.queue import MutantQueue
from podgym.envs.build.mutation.saying import said_in, talkative
from podgym.envs.build.mutation.sources import mutable, mutable_paths, without_copies
from podgym.envs.build.mutation.writing import ChatWriter, WriterError, unfit
from podgym.envs.build.repair.model import Reply, ScriptedModel
from podgym.envs.build.tree import Tree
from podgym.envs.repository import build_repository, certify, open_source
from podgym.verifiers import ReportSource, TestCommand, TestReport


def report(duration_s: float = 1.0, problem=None, **outcomes) -> TestReport:
    return TestReport(outcomes, problem=problem, duration_s=duration_s)


def test_the_baseline_is_what_all_runs_agree_on() -> None:
    found = baseline_of([report(a="passed", b="passed", c="failed"), report(2.0, a="passed", b="failed", c="failed", d="passed")])
    assert (found.stable, found.flaky, found.total, found.duration_s) == (("a",), ("b", "d"), 4, 2.0)


@pytest.mark.parametrize(
    ("seen", "outcome", "failing"),
    [
        (report(a="passed", b="passed", c="passed", d="failed"), "survived", ()),
        (report(a="failed", b="passed", c="passed"), "bug", ("a",)),
        (report(a="failed", b="passed"), "bug", ("a", "c")),
        (report(b="passed", c="passed"), "broken", ("a",)),
        (report(a="skipped", b="passed", c="passed"), "broken", ("a",)),
        (report(problem="no_report"), "broken", ()),
        (report(problem="disagrees", a="failed"), "broken", ()),
        (report(problem="timed_out"), "hung", ()),
    ],
)
def test_what_a_run_says_of_a_mutation(seen: TestReport, outcome: str, failing: tuple[str, ...]) -> None:
    found = judge(seen, ("a", "b", "c"), share=0.5)
    assert (found.outcome, found.failing) == (outcome, failing)


def test_a_mutation_that_fails_most_is_no_bug() -> None:
    stable = tuple("abcdefgh")
    seen = TestReport({name: "failed" if name < "f" else "passed" for name in stable})
    assert judge(seen, stable, share=0.5).outcome == "everything" and judge(seen, stable, share=0.7).outcome == "bug"


def mutation(number: int, operator: str = "boundary", place: str = "f:1") -> Mutation:
    return Mutation(operator, number, b"<", b"<=", number, place)


def test_the_queue_turns_to_files_and_operators_that_give_bugs() -> None:
    good = [mutation(number, "good", f"f:{number}") for number in range(20)]
    bad = [mutation(number, "bad", f"g:{number}") for number in range(20)]
    queue = MutantQueue.of({"a": [*good, *bad], "b": [*bad]}, seed=0, per_place=2, per_file=100)
    for _ in range(40):
        for mutant in queue.take(1):
            queue.told(mutant, "bug" if mutant.mutation.operator == "good" else "survived")
    left = [mutant.mutation.operator for mutants in queue.waiting.values() for mutant in mutants]
    assert left.count("good") == 0 and len(left) == 20


def test_the_queue_keeps_bounds_and_ends() -> None:
    queue = MutantQueue.of({"a": [mutation(number) for number in range(30)]}, seed=0, per_place=3, per_file=9)
    taken = 0
    while batch := queue.take(2):
        for mutant in batch:
            queue.told(mutant, "bug")
        taken += len(batch)
    assert taken in (3, 4)  # the second of a portion is out before the first is told


@given(st.lists(st.sampled_from(["bug", "survived", "broken"]), min_size=1, max_size=40), st.integers(0, 5))
def test_equal_outcomes_give_equal_orders_and_nothing_twice(outcomes: list, seed: int) -> None:
    found = {path: [mutation(number, "xyz"[number % 3], f"f:{number // 4}") for number in range(12)] for path in ("a", "b", "c")}
    orders = []
    for _ in range(2):
        queue, order = MutantQueue.of(found, seed=seed, per_place=2, per_file=5), []
        for outcome in outcomes:
            for mutant in queue.take(1):
                order.append((mutant.path, mutant.mutation.start))
                queue.told(mutant, outcome)
        orders.append(order)
    assert orders[0] == orders[1] and len(set(orders[0])) == len(orders[0])


def test_only_sources_of_the_project_itself_are_changed() -> None:
    ours = ["pkg/a.py", "pkg/sub/b.py", "src/lib.py"]
    others = [
        "pkg/tests/test_a.py", "tests/helper.py", "test_x.py", "conftest.py", "setup.py", "docs/conf.py", "pkg/_vendor/x.py", "vendor/x.py",
        "pkg/x_pb2.py", "pkg/_version.py", "examples/a.py", ".github/x.py", "third_party/y.py", "a.go", "README.md", "benchmarks/b.py",
    ]  # fmt: skip
    assert mutable_paths([*ours, *others], "python", PythonTestPaths([*ours, *others])) == ours
    head = b"a = 1\n" * 20
    assert mutable(head) and mutable(b"# Errors that are generated by the user, once\n" + head)
    assert not mutable(b"# This file was automatically generated.\n" + head) and not mutable(b"// Autogenerated by x\n" + head)
    for data in (b"", b"# Code generated by x. DO NOT EDIT.\n" + head, head + b"\0", head + b"\xff\xfe", head + b"x" * 3000, head * 9000):
        assert not mutable(data)
    assert without_copies(["a", "b", "c"], {"a": "1", "b": "2", "c": "1"}.__getitem__) == ["b"]


def test_the_part_with_most_sources_and_tests_is_taken() -> None:
    sources = ["src/a.rs", "src/b.rs", "util/src/gen.rs", "big/src/a.rs", "big/src/b.rs", "big/src/c.rs"]
    tests = ["tests/a.rs", "tests/b.rs", "big/tests/a.rs"]
    tree = Tree([*sources, *tests, "Cargo.toml", "util/Cargo.toml", "big/Cargo.toml"], lambda _: b"")
    assert main_part(tree, sources, tests, "rust") == ["src/a.rs", "src/b.rs"]
    assert main_part(tree, sources, [], "rust") == sources == main_part(tree, sources, tests, "cpp")


def test_lines_that_stand_in_another_file_are_found() -> None:
    data = b"def f(a, b):\n    whole = a * 2\n\n    if whole < b:\n        return whole\n    return b + 1\n"
    found = Mutation("boundary", data.index(b"<"), b"<", b"<=", 4, "f:1")
    bundle = b"// made\n  def f(a, b):\n      whole = a * 2\n      if whole < b:\n          return whole\n      return b + 1\n"
    assert Copies({"a.py": data, "dist/all.py": bundle}).place("a.py", data, found) == "dist/all.py"
    assert Copies({"a.py": data, "b.py": bundle.replace(b"<", b"<=")}).place("a.py", data, found) == ""
    assert Copies({"a.py": b"x = 1 < 2\n", "b.py": b"x = 1 < 2\n"}).place("a.py", b"x = 1 < 2\n", Mutation("", 6, b"<", b"<=", 1, "")) == ""


def test_a_planted_commit_has_no_past(history, tmp_path: Path) -> None:
    history.commit("one", {"a.py": "secret = 1\n", "b.py": "b\n", "run.sh": "x\n"})
    history.git("tag", "-a", "-m", "release notes", "v1")
    commit = history.commit("two", {"b.py": "c\n"})
    history.git("tag", "later")
    with open_source(history.path, tmp_path / "cache") as source:
        tag = version_tag(source, f"{commit}~1")
        assert tag is not None and (tag.name, tag.annotated) == ("v1", True)
        planted = plant(source, commit, tmp_path / "p.git", changes={"a.py": b"secret = 2\n", "run.sh": None}, tag=tag)
        again = plant(source, commit, tmp_path / "q.git", changes={"a.py": b"secret = 2\n", "run.sh": None}, tag=tag)
    assert (planted.base, planted.fix) == (again.base, again.fix)
    with planted.open() as repository:
        assert repository.parents(planted.base) == () and repository.parents(planted.fix) == (planted.base,)
        assert {change.path: change.status for change in repository.changed_files(planted.base, planted.fix)} == {
            "a.py": "modified",
            "run.sh": "added",
        }
        build_repository(repository, planted.base, tmp_path / "out")
    certificate = certify(tmp_path / "out", planted.base)
    assert certificate.base == planted.base and (tmp_path / "out/a.py").read_bytes() == b"secret = 2\n"
    assert not (tmp_path / "out/run.sh").exists() and b"v1" in (tmp_path / "out/.git/packed-refs").read_bytes()
    assert b"later" not in (tmp_path / "out/.git/packed-refs").read_bytes()


LOGS = {
    "pytest": (
        "tests/test_a.py::test_adds_up",
        "____ test_adds_up ____\n\n    def test_adds_up():\n>       assert f(1) == 2\nE       assert 3 == 2\nE        +  where 3 = f(1)\n\n"
        "pkg/a.py:7: AssertionError\n    return x + LIMIT\n==== 1 failed ====\n",
        ["assert 3 == 2", "+  where 3 = f(1)"],
    ),
    "go": (
        "example.org/m::TestAdds/case_1",
        '{"Action":"output","Test":"TestAdds/case_1","Output":"=== RUN   TestAdds/case_1\\n"}\n'
        '{"Action":"output","Test":"TestAdds/case_1","Output":"    a_test.go:12: got 3, want 2 for case_1\\n"}\n'
        '{"Action":"output","Output":"--- FAIL: TestAdds/case_1 (0.00s)\\n"}\n{"Action": broken "Output"\n',
        ["a_test.go:12: got 3, want 2 for case 1"],
    ),
    "rust": (
        "lib::tests::adds_up",
        "thread 'tests::adds_up' panicked at src/lib.rs:9:5:\nassertion `left == right` failed\n  left: 3\n right: 2\n"
        "note: run with `RUST_BACKTRACE=1`\n",
        ["thread 'tests::adds up' panicked at src/lib.rs:9:5:", "assertion `left == right` failed", "left: 3", "right: 2"],
    ),
    "jest": (
        "a.test.js > adds up to two",
        "  \x1b[31m● adds up to two\x1b[0m\n\n    expect(received).toBe(expected)\n\n    Expected: 2\n    Received: 3\n\n"
        "      at Object.<anonymous> (a.test.js:3:5)\n",
        ["Expected: 2", "Received: 3"],
    ),
    "java": (
        "org.example.ATest::addsUp",
        "[ERROR] org.example.ATest.addsUp -- Time elapsed: 0.01 s <<< FAILURE!\n"
        "org.opentest4j.AssertionFailedError: expected: <2> but was: <3>\n"
        "\tat org.example.ATest.addsUp(ATest.java:9)\n",
        ["org.opentest4j.AssertionFailedError: expected: <2> but was: <3>"],
    ),
    "gtest": (
        "Suite.AddsUp",
        "[ RUN      ] Suite.AddsUp\n/testbed/a_test.cc:9: Failure\nExpected equality of these values:\n  f(1)\n    Which is: 3\n  2\n",
        ["a_test.cc:9: Failure", "Which is: 3"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", sorted(LOGS))
def test_evidence_is_what_the_failing_test_says(kind: str) -> None:
    identity, log, expected = LOGS[kind]
    found = gather(project="p", language="x", failing=[identity], log=log, tests={}, secrets=[b"    return x + LIMIT", b"return x - LIMIT"])
    assert [line for line in expected if line in found.said] == expected, found.said
    assert not any("LIMIT" in line or "Time elapsed" in line or "RUST_BACKTRACE" in line for line in found.said)
    text = written_by_rules(found, seed=1)
    assert (
        spoken(identity) in text
        and names_of(identity)[-1] not in text.replace(spoken(identity), "")
        and not tells(text, [b"return x + LIMIT"])
    )


@given(st.text(max_size=400), st.text(max_size=60), st.lists(st.text(min_size=1, max_size=30), min_size=1, max_size=4))
def test_any_log_is_evidence_of_a_sort(log: str, secret: str, failing: list[str]) -> None:
    tests, secrets = {"t.py": log.encode("utf-8", "replace")}, [secret.encode("utf-8", "replace")]
    found = gather(project="p", language="x", failing=failing, log=log, tests=tests, secrets=secrets)
    assert not any(tells(line, secrets) for line in found.said)
    assert written_by_rules(found, seed=3) == written_by_rules(found, seed=3)


def test_texts_that_cannot_be_the_issue() -> None:
    secrets, evidence = [b"    if a <= limit:"], Evidence("p", "python", ("t.py::test_x",), ("pkg/a.py:3: ValueError",), {})
    good = "# It breaks\n\nWhen I call it with the limit itself it raises an error, which it should not.\n"
    assert unfit(good, secrets) == ""
    assert "characters" in unfit("# x", secrets) and "characters" in unfit(good * 200, secrets)
    assert "quotes" in unfit(f"{good}\n> if a  <=  limit:\n", secrets)
    assert "names" in unfit(f"{good} See pkg/a.py.", secrets, path="pkg/a.py")
    assert unfit(f"{good} See pkg/a.py.", secrets, path="pkg/a.py", evidence=evidence) == ""


async def test_a_model_sees_the_evidence_and_nothing_else() -> None:
    evidence = Evidence("shop", "python", ("t.py::test_total",), ("assert 3 == 2",), {"t.py": "assert total() == 2"})
    model = ScriptedModel([Reply(" # Total\n\nIs wrong. "), Reply("")])
    writer = ChatWriter(model)
    assert await writer.write(evidence) == "# Total\n\nIs wrong.\n"
    asked = str(model.seen[0][1]["content"])
    assert all(piece in asked for piece in ("shop", "test_total", "assert 3 == 2", "assert total() == 2"))
    with pytest.raises(WriterError, match="no text"):
        await writer.write(evidence)
    with pytest.raises(WriterError):
        await writer.write(evidence)


VITEST = {
    "testResults": [
        {
            "name": "/testbed/a.test.ts",
            "assertionResults": [
                {
                    "fullName": "list adds up",
                    "title": "adds up",
                    "status": "failed",
                    "failureMessages": ["AssertionError: expected 3 to be 2"],
                },
                {"fullName": "list fits", "title": "fits", "status": "passed", "failureMessages": []},
            ],
        }
    ]
}
MOCHA = {"failures": [{"title": "adds up", "fullTitle": "list adds up", "err": {"message": "expected 3 to be 2"}}], "stats": {}}
JUNIT = (
    '<testsuites><testsuite><testcase classname="list" name="adds up"><failure message="expected 3 to be 2">at x</failure></testcase>'
    '<testcase name="fits"/></testsuite></testsuites>'
)


@pytest.mark.parametrize("report", [json.dumps(VITEST), json.dumps(MOCHA), JUNIT, "not ok 1 - list adds up\n  expected 3 to be 2\n"])
def test_messages_that_are_in_the_report_alone_are_said_too(report: str, tmp_path: Path) -> None:
    for source in ({"format": "junit"}, {"format": "junit", "files": ("**/out/*.x",)}):
        place = tmp_path / "report" if "files" not in source else tmp_path / "a/out/b.x"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(report)
        script = "echo running; exit 3" if "files" in source else "echo running {report}; exit 3"
        command = talkative(TestCommand(framework="program", script=script, report=ReportSource.model_validate(source)))
        ran = subprocess.run(
            ["sh", "-c", command.script.replace("{report}", str(place))], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 3
        found = gather(project="p", language="x", failing=["a.test.ts::list > adds up"], log=said_in(ran.stderr), tests={}, secrets=[])
        assert any("expected 3 to be 2" in line for line in found.said), ran.stderr
        assert spoken("a.test.ts::list > adds up") == "list: adds up"


@given(st.text(max_size=300))
def test_any_text_may_be_a_report(text: str) -> None:
    assert said_in(f"log\n=== podgym: a report ===\n{text}").startswith("log")
