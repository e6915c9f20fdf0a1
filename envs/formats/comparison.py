"""What was wrong with a row, seen from the build that its repository and patches gave."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from podgym.envs.build.report import BuildReport
from podgym.envs.formats.ids import Ids
from podgym.envs.formats.problem import Problem, problem
from podgym.envs.formats.row import TaskRow
from podgym.envs.formats.scratch import Commits
from podgym.envs.harbor import read_task

__all__ = ["compare"]


def compare(row: TaskRow, commits: Commits, report: BuildReport) -> tuple[Problem, ...]:
    """The row against the build's report."""
    unused = problem("unused", "The row holds something to run, which was not: tests are read by podgym's own runners.", row.unused)
    if report.status == "failed":
        what = f"Nothing could be validated: {report.stage}, {report.reason}. {report.message}"
        return (Problem(kind="not_validated", message=what), *unused)
    if not report.fail_to_pass:
        return tuple(unused)
    return (*_tests(row, report), *_halves(commits, report), *unused)


def _tests(row: TaskRow, report: BuildReport) -> Iterable[Problem]:
    turned, kept, flaky = Ids(report.fail_to_pass), Ids(report.pass_to_pass), Ids(report.flaky)
    meant: set[str] = set()
    wrong: dict[str, list[str]] = {"passes_before": [], "absent": [], "fails_before": [], "flaky": []}

    def look(name: str, *, good: Ids, bad: Ids | None, kind: str, must_be_there: bool) -> None:
        if found := good.find(name):
            meant.update(found)
        elif bad is not None and (found := bad.find(name)):
            meant.update(found)
            wrong[kind].append(name)
        elif flaky.find(name):
            wrong["flaky"].append(name)
        elif must_be_there:
            wrong["absent"].append(name)

    whole = report.scope != "changed"
    for name in row.fail_to_pass:
        look(name, good=turned, bad=kept, kind="passes_before", must_be_there=True)
    for name in row.pass_to_pass:
        look(name, good=kept, bad=turned, kind="fails_before", must_be_there=whole)
    either = Ids((*report.fail_to_pass, *report.pass_to_pass))
    for name in row.passing:
        look(name, good=either, bad=None, kind="", must_be_there=whole)
    yield from problem("passes_before", "FAIL_TO_PASS, but they pass without the fix.", wrong["passes_before"])
    yield from problem("absent", "Listed, but not among the tests that pass with the fix.", wrong["absent"])
    yield from problem("fails_before", "PASS_TO_PASS, but they fail without the fix.", wrong["fails_before"])
    yield from problem("flaky", "They do not give the same result twice.", wrong["flaky"])
    if row.required:
        unlisted = [name for name in report.fail_to_pass if name not in meant]
        yield from problem("unlisted", "They turn from failing to passing, and the row does not list them.", unlisted)


def _halves(commits: Commits, report: BuildReport) -> Iterable[Problem]:
    """Files of which podgym thinks otherwise than the row."""
    hidden = _hidden(Path(report.out))
    yield from problem("tests_in_fix", "Files of the row's fix that are tests, and hidden.", sorted(commits.fix_paths & hidden))
    shown = commits.test_paths - hidden
    yield from problem("source_in_tests", "Files of the row's tests that are none, and for a solution to write.", sorted(shown))


def _hidden(directory: Path) -> frozenset[str]:
    """Files that the task's tests write or remove; those that hold tests and code at once are both."""
    grading: Mapping[str, object] = read_task(directory).grading
    files, removed = grading.get("hidden", ()), grading.get("removed", ())
    paths = [file["path"] for file in files if not file.get("inline")] if isinstance(files, list) else []
    return frozenset((*paths, *(removed if isinstance(removed, list) else ())))
