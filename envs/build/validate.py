"""Run a fix's tests in three states of the project, and derive which tests a solution must turn and which it must keep.

The states are base, base with the fix's tests, and both with the fix; each has sandboxes of its own without a network, under the
limits that the task's sandboxes have, and each run a fresh one unless runs are slow. An id counts as FAIL_TO_PASS where it passes with
the fix and does not without, as PASS_TO_PASS where it passes in both. In compiled languages one missing name takes its whole unit away:
tests that are not there with the fix's tests alone count as they did at base.
An id that disagrees with itself between repeated runs of one state is flaky and counts as neither. Tests that fail in
every state are nobody's business.
"""

from __future__ import annotations

import asyncio
import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from podgym.envs.build.errors import BuildError, Reason
from podgym.envs.build.running import run_again
from podgym.envs.build.states import Overlay, State
from podgym.sandbox import SandboxProvider, SandboxSpec
from podgym.verifiers.testrun import TestCommand, TestReport
from podgym.verifiers.verdict import TestOutcome

__all__ = ["Owner", "Validation", "validate"]

Owner = Callable[[str], bool]
"""Whether a test id may come from a test file of the fix."""

_LOG_CHARACTERS = 64 << 10
_LISTED = 5
_IN_ORDER = 2
"""Runs of one state before its tests are run from the last file to the first."""
_KEEP_S = 60.0
"""Seconds of a run whose sandbox serves the next run of that state as well: most of them went into building what the fix touches."""


@dataclass(frozen=True, slots=True)
class Validation:
    """What the runs showed; ids in the order of the report."""

    fail_to_pass: tuple[str, ...]
    pass_to_pass: tuple[str, ...]
    flaky: tuple[str, ...]
    scope: Literal["suite", "changed"]
    """Whether the whole suite was run, or only the changed test files because the whole took too long or was none of theirs."""
    total: int
    passed: int
    """Of the run with the fix."""
    commands: tuple[TestCommand, ...]
    """What was run; grading runs the same."""
    notes: tuple[str, ...] = ()
    seconds: Mapping[State, float] = field(default_factory=dict)
    clean: bool = True
    """The commands end with exit code 0 with the fix."""
    without: Mapping[str, TestOutcome] = field(default_factory=dict)
    """Outcomes of base+tests."""


async def validate(
    provider: SandboxProvider,
    spec: SandboxSpec,
    commands: Sequence[TestCommand],
    *,
    overlays: Mapping[State, Overlay],
    changed: Sequence[TestCommand] = (),
    changed_files: Sequence[str],
    owned: Owner,
    new: Owner = lambda _: False,
    repeats: int = 1,
    progress: Callable[[str], None] = lambda _: None,
) -> Validation:
    """Run `commands` in the three states; where they do not end in time, or run none of the changed tests, `changed` in their place.

    `changed_files` are the changed test files, `owned` tells their ids, and `new` those inside of sources that the fix adds, which are not
    required; `repeats` is how often the tests run with and without the fix.

    Raises `BuildError` (stage validate), and `SandboxError` for a failure of the infrastructure.
    """
    runs = _Runs(provider=provider, spec=spec, commands=commands, overlays=overlays, repeats=repeats)
    progress("building the image, then running the tests with the fix")
    after = await runs.state("base+tests+fix")
    scope: Literal["suite", "changed"] = "changed" if tuple(changed) == tuple(commands) else "suite"
    if scope == "suite" and changed and (why := _beyond(after[0], owned)):
        progress(f"the whole suite {why}: running the changed test files")
        runs.commands = tuple(changed)
        alone = await runs.state("base+tests+fix")
        if after[0].problem == "timed_out" or not (alone[0].problem or _beyond(alone[0], owned)):
            scope, after = "changed", alone
        else:
            runs.commands = tuple(commands)
    for report in after:
        _must_report(report)
    progress("running the tests without the fix")
    before, base = await asyncio.gather(runs.state("base+tests"), runs.state("base"))
    return _judge(after, before, base, changed_files=changed_files, owned=owned, new=new, scope=scope, commands=runs.commands)


def _beyond(report: TestReport, owned: Owner) -> str:
    """What makes a run of the suite no proof of the changed tests; empty where nothing does."""
    if report.problem == "timed_out":
        return "takes too long"
    if report.problem == "nothing_ran" or (report.problem is None and not any(map(owned, report.outcomes))):
        return "has none of the changed tests"
    return ""


class _Runs:
    def __init__(
        self,
        *,
        provider: SandboxProvider,
        spec: SandboxSpec,
        commands: Sequence[TestCommand],
        overlays: Mapping[State, Overlay],
        repeats: int,
    ) -> None:
        self._provider = provider
        self._spec = spec
        self.commands = tuple(commands)
        self._overlays = overlays
        self._repeats = max(1, repeats)

    async def state(self, state: State) -> list[TestReport]:
        """Reports of one state. A run that shows a problem is not repeated."""
        repeats = 1 if state == "base" else self._repeats
        runs = [self._ordered(backwards=number >= _IN_ORDER) for number in range(repeats)]
        some_empty = state != "base+tests+fix"
        reports = await run_again(self._provider, self._spec, runs, self._overlays[state], keep_s=_KEEP_S, some_empty=some_empty)
        return reports if reports[0].problem is None else reports[:1]

    def _ordered(self, *, backwards: bool) -> list[TestCommand]:
        return [command.model_copy(update={"reverse": backwards and command.framework != "program"}) for command in self.commands]


def _must_report(report: TestReport) -> None:
    """Raise for a run with the fix that cannot be believed."""
    if report.problem is None:
        return
    reasons: dict[str, Reason] = {"timed_out": "timeout", "nothing_ran": "nothing_collected"}
    raise BuildError(
        f"With the fix applied, the tests gave no usable report. {report.message}",
        stage="validate",
        reason=reasons.get(report.problem, "no_report"),
        remedy="Look at the log below; a missing dependency or a wrong Python version can be put right by editing the plan.",
        details=report.log[-_LOG_CHARACTERS:],
    )


def _judge(
    after: Sequence[TestReport],
    before: Sequence[TestReport],
    base: Sequence[TestReport],
    *,
    changed_files: Sequence[str],
    owned: Owner,
    new: Owner,
    scope: Literal["suite", "changed"],
    commands: tuple[TestCommand, ...],
) -> Validation:
    notes = []
    first = after[0].outcomes
    flaky = _unstable(after) | _unstable(before)
    if before[0].problem:
        # The bug may end or hang the whole run, or keep it from being built; then the suite as it was before says what passed.
        notes.append(f"base+tests gave no whole report ({before[0].problem})")
    without = _without({} if before[0].problem else before[0].outcomes, base[0].outcomes, first, owned, changed_files)
    if base[0].problem:
        notes.append(f"base gave no whole report ({base[0].problem})")
    passing = [id_ for id_, outcome in first.items() if outcome == "passed" and id_ not in flaky]
    turned = [id_ for id_ in passing if without.get(id_) != "passed"]
    fail_to_pass = tuple(id_ for id_ in turned if not new(id_))
    if len(fail_to_pass) < len(turned):
        notes.append(f"{len(turned) - len(fail_to_pass)} test(s) inside of sources that the fix adds are not required")
    pass_to_pass = tuple(id_ for id_ in passing if without.get(id_) == "passed")
    broken = [id_ for id_, outcome in without.items() if outcome == "passed" and first.get(id_, "missing") in ("failed", "error")]
    if broken:
        notes.append(f"{len(broken)} test(s) pass without the fix and fail with it, such as {broken[0]}")
    if turned and not fail_to_pass:
        raise BuildError(
            f"The only tests that the fix turns are inside of sources that it adds: {_some(turned)}.",
            stage="validate",
            reason="no_test_change",
            remedy="Choose another commit: no other solution need have these.",
        )
    if not fail_to_pass:
        raise _nothing_turned(after[0], before[0], without, changed_files=changed_files, owned=owned, flaky=flaky)
    return Validation(
        fail_to_pass=fail_to_pass,
        pass_to_pass=pass_to_pass,
        flaky=tuple(sorted(flaky)),
        scope=scope,
        total=len(first),
        passed=sum(outcome == "passed" for outcome in first.values()),
        commands=commands,
        notes=tuple(notes),
        seconds={"base": base[0].duration_s, "base+tests": before[0].duration_s, "base+tests+fix": after[0].duration_s},
        clean=after[0].exit_code == 0,
        without={} if before[0].problem else before[0].outcomes,
    )


def _unstable(reports: Sequence[TestReport]) -> set[str]:
    whole = [report.outcomes for report in reports if not report.problem]
    return {id_ for outcomes in whole for id_ in outcomes if len({one.get(id_) == "passed" for one in whole}) > 1}


def _without(
    before: Mapping[str, TestOutcome],
    base: Mapping[str, TestOutcome],
    after: Mapping[str, TestOutcome],
    owned: Owner,
    changed_files: Sequence[str],
) -> Mapping[str, TestOutcome]:
    """Outcomes without the fix. A test that is not in the report of base+tests counts as it did at base: its unit could not be built or
    loaded with the fix's tests, which says nothing about it. Where nothing would turn then, the tests of the fix's own files do: those
    that are named after one, where there are any."""
    absent = {id_: outcome for id_, outcome in base.items() if id_ not in before}
    found = {**absent, **before}
    if any(outcome == "passed" and found.get(id_) != "passed" for id_, outcome in after.items()):
        return found
    turned = {id_ for id_ in absent if owned(id_) and after.get(id_) == "passed"}
    stems = {posixpath.basename(path).partition(".")[0] for path in changed_files}
    turned = {id_ for id_ in turned if stems.intersection(re.split(r"[^A-Za-z0-9_]+", id_))} or turned
    return {**{id_: outcome for id_, outcome in absent.items() if id_ not in turned}, **before}


def _nothing_turned(
    after: TestReport,
    before: TestReport,
    without: Mapping[str, TestOutcome],
    *,
    changed_files: Sequence[str],
    owned: Owner,
    flaky: set[str],
) -> BuildError:
    """Why no test turned from failing to passing."""
    ours = {id_: outcome for id_, outcome in after.outcomes.items() if owned(id_)}
    failing = [id_ for id_, outcome in ours.items() if outcome in ("failed", "error")]
    if not ours:
        return BuildError(
            f"None of the changed test files ({_some(changed_files)}) shows up in the report with the fix applied.",
            stage="validate",
            reason="nothing_collected",
            remedy="The framework did not find them: check the plan's test command.",
            details=after.log[-_LOG_CHARACTERS:],
        )
    if failing:
        return BuildError(
            f"{len(failing)} test(s) of the fix fail although the fix is applied: {_some(failing)}.",
            stage="validate",
            reason="failing_after",
            remedy="The environment lacks something that they need, or the fix is not the whole of it: look at the log below.",
            details=after.log[-_LOG_CHARACTERS:],
        )
    unsteady = [id_ for id_ in ours if id_ in flaky]
    if unsteady:
        return BuildError(
            f"The only tests that the fix turns do not give the same result twice: {_some(unsteady)}.",
            stage="validate",
            reason="flaky",
            remedy="Choose another commit.",
        )
    return BuildError(
        f"The tests of the fix already pass without it ({sum(without.get(id_) == 'passed' for id_ in ours)} of {len(ours)} pass before).",
        stage="validate",
        reason="already_passing",
        remedy="Choose a commit whose tests fail before it; a refactoring cannot be graded.",
        details=before.log[-_LOG_CHARACTERS:],
    )


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
