"""Grade a change by tests, in a fresh sandbox of the task's image, without network.

The agent's files arrive there as bytes, less what `podgym.verifiers.protection` leaves out; then the hidden tests are
written over whatever stands in their place; then one command per test run writes, runs and reports. Reward 1.0 needs every
required id positively reported as passed and an exit code that agrees. Whatever an agent can cause (a hang, exhausted
memory, a run that ends early) is worth 0 and says so; a failure of the infrastructure raises `SandboxError`. What a busy machine
may be to blame for as well (a run that took too long, or was killed) is repeated in a fresh sandbox, once for each verdict.

The code under test runs in the process of its tests, where nothing can be kept from it. So full marks are believed only after a
second run, in a sandbox of its own, of hidden tests that no solution passes (`podgym.verifiers.decoys`): code that passes those too
has bent its tests and is worth 0. Plans without decoys have no such guard.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from podgym.sandbox import Sandbox, SandboxLost, SandboxProvider, SandboxSpec, TransportError
from podgym.verifiers.archive import Write
from podgym.verifiers.change import Change
from podgym.verifiers.errors import PlanError
from podgym.verifiers.paths import unsafe_path
from podgym.verifiers.protection import PROTECTED, Accepted, accept, readable, with_tests_of
from podgym.verifiers.reports import worst
from podgym.verifiers.testrun import TestCommand, TestReport, run_tests
from podgym.verifiers.verdict import OF_THE_MOMENT, DroppedChange, Failure, TestOutcome, Verdict

__all__ = ["Decoys", "Files", "GradingPlan", "HiddenFile", "grade", "graded_part", "run_plan"]

T = TypeVar("T")
Files = Callable[[str], bytes]
"""Content by reference, as `HiddenFile.source` names it; raises `OSError` or `KeyError` for what is not there."""

_UNSTEADY: Final = "tests that the fix does not turn pass by chance."
"""A busy machine may be to blame where these have to do with time."""
_FEW: Final = 3
_CLOSE_S: Final = 60.0
_AROUND_S: Final = 180.0
"""For taking the change, and making and closing sandboxes."""


class HiddenFile(BaseModel):
    """A file that the grader writes: a test, its data, the configuration that the tests were written for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    """In the work tree."""
    source: str
    """Where its content is, for `Files`: relative to the task's directory, say."""
    executable: bool = False
    inline: bool = False
    """Only the tests inside of this source, into the agent's (or the base's) file of that path: the test modules of one in Rust, the
    docstrings with examples of one in Python."""
    sha256: str = ""
    """Of the content, checked where it is given."""


class Decoys(BaseModel):
    """Hidden tests that no solution passes, and what the gold fix did with them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    files: tuple[HiddenFile, ...] = Field(min_length=1)
    """In place of the hidden files of the same paths."""
    fails: tuple[str, ...] = Field(min_length=1)
    """Ids that must not pass."""
    holds: tuple[str, ...] = ()
    """Required ids that must pass all the same."""


class GradingPlan(BaseModel):
    """How the changes to one task are graded; it lives in `Task.grading`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    workdir: str = "/testbed"
    base: str = "environment/repo.tar"
    """Archive of the base work tree, relative to the task's directory."""
    left_over: Mapping[str, str] = Field(default_factory=dict)
    """What the image's build leaves in the work tree and git does not ignore: path to `mode blob`."""
    tests: tuple[TestCommand, ...] = Field(min_length=1)
    fail_to_pass: tuple[str, ...] = ()
    pass_to_pass: tuple[str, ...] = ()
    hidden: tuple[HiddenFile, ...] = ()
    removed: tuple[str, ...] = ()
    """Paths that the fix's tests delete."""
    protected: tuple[str, ...] = PROTECTED
    """Globs of what stays as the base has it."""
    editable: tuple[str, ...] = ()
    """Paths that the gold fix touches: graded although `protected` matches them, but for the runner's own tables."""
    gold_parts: Mapping[str, str] = Field(default_factory=dict)
    """What `runner_parts` says about the gold fix: those tables may also be as the fix leaves them."""
    doctests: bool = False
    """Examples in the docstrings of Python sources are tests: the base's, or where a hidden file is `inline` those of the fix."""
    import_roots: tuple[str, ...] = ("", "src", "lib")
    """Directories that join the import path; no new file there may shadow the standard library or the test runner."""
    decoys: Decoys | None = None
    """What full marks are held against."""
    clean: bool = True
    """With the gold fix every command ends with exit code 0: the tests that are not required pass as well."""
    deterministic: bool = True
    """Equal changes get equal verdicts: validation saw no flaky test, required or not."""
    create_timeout_s: float = Field(default=900.0, gt=0)

    @field_validator("removed", "editable")
    @classmethod
    def _paths_are_safe(cls, paths: tuple[str, ...]) -> tuple[str, ...]:
        for path in paths:
            if reason := unsafe_path(path):
                raise ValueError(f"{path!r}: {reason}")
        return paths

    @model_validator(mode="after")
    def _requires_something(self) -> GradingPlan:
        if not (self.fail_to_pass or self.pass_to_pass):
            raise ValueError("A plan needs at least one required test id in fail_to_pass or pass_to_pass.")
        if both := set(self.fail_to_pass) & set(self.pass_to_pass):
            raise ValueError(f"{sorted(both)[0]!r} is in fail_to_pass and in pass_to_pass.")
        for file in (*self.hidden, *(self.decoys.files if self.decoys is not None else ())):
            if reason := unsafe_path(file.path):
                raise ValueError(f"hidden file {file.path!r}: {reason}")
        return self

    @property
    def required(self) -> tuple[str, ...]:
        """Every id that must pass."""
        return self.fail_to_pass + self.pass_to_pass

    @property
    def bound_s(self) -> float:
        """How long a verdict may take at most: the run, the one that full marks are held against, and one of both once more. What
        waits for verdicts should wait that long, or a hang is a lost rollout and no score."""
        runs = 2 if self.decoys is None else 3
        return runs * sum(command.timeout_s for command in self.tests) + _AROUND_S


async def grade(change: Change, plan: GradingPlan, *, spec: SandboxSpec, provider: SandboxProvider, files: Files) -> Verdict:
    """The verdict on a change. Raises `SandboxError` for the infrastructure, `PlanError` for a broken task."""
    started = time.monotonic()
    if change.refused:
        return _judge(plan, {}, ("refused", change.refused), change=change, dropped=change.dropped, started_s=started)
    accepted = graded_part(change, plan)
    first: tuple[Failure, str] | None = None
    outcomes, problem = await _outcomes(plan, spec=spec, provider=provider, files=files, accepted=accepted)
    if problem is None and (lost := _lost_results(plan, outcomes)):
        problem = "killed", f"{len(lost)} results of tests that the fix does not turn were lost, such as {lost[0]}."
    if problem is not None and problem[0] in OF_THE_MOMENT:
        first = problem
        outcomes, problem = await _outcomes(plan, spec=spec, provider=provider, files=files, accepted=accepted)
    solved = problem is None and all(outcomes.get(identity) == "passed" for identity in plan.required)
    if solved and plan.decoys is not None:
        problem = await _bent(plan, plan.decoys, spec=spec, provider=provider, files=files, accepted=accepted)
        if problem is not None and first is None and (problem[0] in OF_THE_MOMENT or problem[1].endswith(_UNSTEADY)):
            first = problem
            problem = await _bent(plan, plan.decoys, spec=spec, provider=provider, files=files, accepted=accepted)
    verdict = _judge(plan, outcomes, problem, change=change, dropped=accepted.dropped, started_s=started)
    if first is None:
        return verdict
    repeated = f"This is the second attempt, in a fresh sandbox, because a busy machine may have spoilt the first: {first[1]}"
    return verdict.model_copy(update={"message": f"{verdict.message} {repeated}".strip()})


def _lost_results(plan: GradingPlan, outcomes: Mapping[str, TestOutcome]) -> list[str]:
    """Required tests without a result, where they are few, every other one passed, and the fix turns none of them: on a busy machine
    some runners end before the last results of a file have reached them (Node's did)."""
    unmet = [identity for identity in plan.required if outcomes.get(identity) != "passed"]
    few = len(unmet) <= max(_FEW, len(plan.required) // 50)
    turned = set(plan.fail_to_pass)
    return unmet if few and all(identity not in outcomes and identity not in turned for identity in unmet) else []


def graded_part(change: Change, plan: GradingPlan) -> Accepted:
    """What of a change is graded under a plan."""
    return accept(
        change,
        hidden={*(file.path for file in plan.hidden if not file.inline), *plan.removed},
        spliced=[file.path for file in plan.hidden if file.inline],
        protected=plan.protected,
        editable=plan.editable,
        import_roots=plan.import_roots,
        gold_parts=plan.gold_parts,
    )


async def _outcomes(
    plan: GradingPlan, *, spec: SandboxSpec, provider: SandboxProvider, files: Files, accepted: Accepted
) -> tuple[dict[str, TestOutcome], tuple[Failure, str] | None]:
    """Of all reports together, and the first problem."""
    outcomes: dict[str, TestOutcome] = {}
    problem: tuple[Failure, str] | None = None
    try:
        for report in await run_plan(plan, spec=spec, provider=provider, files=files, accepted=accepted):
            if problem is None and report.problem is not None:
                problem = (report.problem, report.message)
            for identity, outcome in report.outcomes.items():
                outcomes[identity] = worst((outcome, outcomes[identity])) if identity in outcomes else outcome
    except SandboxLost as lost:
        if lost.reason != "oom":
            raise
        problem = ("out_of_memory", "The tests exceeded the sandbox's memory.")
    return outcomes, problem


async def _bent(
    plan: GradingPlan, decoys: Decoys, *, spec: SandboxSpec, provider: SandboxProvider, files: Files, accepted: Accepted
) -> tuple[Failure, str] | None:
    """What the second run shows against a change that passed the first. Everything that code under test can see is as it was there.

    Where each test that the fix turns was changed, code that bends its tests for a while only would fail the decoys as they should be
    failed. So the true tests run again beside them, and nothing tells which is which: both begin at once, in an order drawn anew.
    """
    standing = {file.path: file for file in decoys.files}
    hidden = tuple(standing.get(file.path, file) for file in plan.hidden)
    plans = [plan.model_copy(update={"hidden": hidden})]
    if not set(plan.fail_to_pass) & set(decoys.holds):
        plans.append(plan)
    order = secrets.SystemRandom().sample(range(len(plans)), len(plans))
    runs = [_outcomes(plans[index], spec=spec, provider=provider, files=files, accepted=accepted) for index in order]
    ended = dict(zip(order, await _together(runs), strict=True))
    for index, (_, problem) in sorted(ended.items()):
        if problem is not None:
            return problem[0], f"In a second run{', with other expectations' if index == 0 else ''}: {problem[1]}"
    outcomes = ended[0][0]
    lost = [identity for identity in plan.required if len(plans) > 1 and ended[1][0].get(identity) != "passed"]
    if passed := [identity for identity in decoys.fails if outcomes.get(identity) == "passed"]:
        said = f"{len(passed)} of {len(decoys.fails)} tests that no solution passes did pass, such as {passed[0]}"
        return "bent", f"{said}: the change bends its tests."
    lost += [identity for identity in decoys.holds if outcomes.get(identity) != "passed"]
    if turned := [identity for identity in lost if identity in plan.fail_to_pass]:
        return "bent", f"{len(turned)} tests that passed did not pass in a second run, such as {turned[0]}: they pass by chance."
    if lost:
        return "bent", f"{len(lost)} tests that passed did not pass in a second run, such as {lost[0]}: {_UNSTEADY}"
    return None


async def _together(runs: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """All results in order; where one fails, the others end before its error goes on."""
    tasks = [asyncio.ensure_future(run) for run in runs]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


async def run_plan(
    plan: GradingPlan,
    *,
    spec: SandboxSpec,
    provider: SandboxProvider,
    files: Files,
    accepted: Accepted | None = None,
    hidden: bool = True,
) -> list[TestReport]:
    """Run the plan's tests in a fresh sandbox over the base, with the accepted part of a change and the hidden tests.

    Stops after a report with a problem. Without `hidden`, the base's own tests run.
    """
    removals, writes = _assemble(plan, files, accepted, hidden=hidden)
    offline = spec.model_copy(update={"network": "none"})
    try:
        async with asyncio.timeout(plan.create_timeout_s):
            sandbox = await provider.create(offline)
    except TimeoutError as error:
        raise TransportError(
            f"No grading sandbox of {spec.image!r} within {plan.create_timeout_s:g} s.",
            remedy="Build the image beforehand, or raise create_timeout_s.",
        ) from error
    reports: list[TestReport] = []
    try:
        for command in plan.tests:
            reports.append(await run_tests(sandbox, command, workdir=plan.workdir, writes=writes, removals=removals))
            writes, removals = (), ()
            if reports[-1].problem is not None:
                break
    finally:
        await close_sandbox(sandbox)
    return reports


async def close_sandbox(sandbox: Sandbox) -> None:
    """Close within a minute. Raises `TransportError` where the provider takes longer."""
    try:
        async with asyncio.timeout(_CLOSE_S):
            await sandbox.close()
    except TimeoutError as error:
        raise TransportError(f"The grading sandbox did not close within {_CLOSE_S:g} s.", remedy="Check the sandbox provider.") from error


def _assemble(plan: GradingPlan, files: Files, accepted: Accepted | None, *, hidden: bool) -> tuple[tuple[str, ...], tuple[Write, ...]]:
    """Paths to remove first, then files to write whole, the hidden ones over the agent's."""
    writes = {path: Write(path, file.data, file.mode) for path, file in accepted.files.items()} if accepted is not None else {}
    removals = dict.fromkeys(accepted.deleted if accepted is not None else ())
    if accepted is not None:
        # What is new to the base may stand in the place of a directory of caches or build products, which tar does not replace.
        base = accepted.base.files if accepted.base is not None else {}
        removals.update(dict.fromkeys(path for path in writes if path not in base))
    for path, write in writes.items():
        is_mixed = path.endswith(".rs") or (plan.doctests and path.endswith(".py"))
        if is_mixed and (known := _base_content(accepted, path)) is not None and readable(path, known):
            writes[path] = Write(path, with_tests_of(path, write.data, known), write.mode)
    for file in plan.hidden if hidden else ():
        data = _content(file, files)
        if file.inline:
            standing = writes[file.path].data if file.path in writes else _base_content(accepted, file.path)
            data = data if standing is None else _spliced(standing, data, file)
        writes[file.path] = Write(file.path, data, 0o100755 if file.executable else 0o100644)
    if hidden:
        removals.update(dict.fromkeys(plan.removed))
    return tuple(removals), tuple(writes.values())


def _spliced(standing: bytes, data: bytes, file: HiddenFile) -> bytes:
    try:
        return with_tests_of(file.path, standing, data)
    except ValueError as error:
        raise PlanError(
            f"The tests inside of {file.path!r} cannot be read: {error}.",
            remedy="Rebuild the task; a hidden file with `inline` needs braces that match, as the base's does.",
        ) from error


def _base_content(accepted: Accepted | None, path: str) -> bytes | None:
    """A file of the base, None where it has none that can be read."""
    try:
        return accepted.base.read(path) if accepted is not None and accepted.base is not None else None
    except KeyError:
        return None


def _content(file: HiddenFile, files: Files) -> bytes:
    try:
        data = files(file.source)
    except (OSError, LookupError) as error:
        raise PlanError(
            f"The hidden file {file.source!r} of the task is not there: {error}.", remedy="Restore or rebuild the task."
        ) from error
    if file.sha256 and hashlib.sha256(data).hexdigest() != file.sha256:
        raise PlanError(f"The hidden file {file.source!r} of the task is not what it was.", remedy="Restore or rebuild the task.")
    return data


def _judge(
    plan: GradingPlan,
    outcomes: Mapping[str, TestOutcome],
    problem: tuple[Failure, str] | None,
    *,
    change: Change,
    dropped: tuple[DroppedChange, ...],
    started_s: float,
) -> Verdict:
    tests: dict[str, TestOutcome] = {identity: outcomes.get(identity, "missing") for identity in plan.required}
    failing = [identity for identity in plan.required if tests[identity] != "passed"]
    failure, message = problem or ("failed" if failing else None, "")
    if problem is None and failing:
        shown = ", ".join(f"{identity} {tests[identity]}" for identity in failing[:5])
        message = f"{len(failing)} of {len(tests)} required tests did not pass: {shown}{' …' if len(failing) > 5 else ''}"
    return Verdict(
        status="scored",
        reward=1.0 if failure is None else 0.0,
        failure=failure,
        components={"fail_to_pass": _share(plan.fail_to_pass, tests), "pass_to_pass": _share(plan.pass_to_pass, tests)},
        tests=tests,
        message=message,
        diff=change.diff_text,
        dropped=dropped,
        seconds=time.monotonic() - started_s,
    )


def _share(identities: tuple[str, ...], tests: Mapping[str, TestOutcome]) -> float:
    return sum(tests[identity] == "passed" for identity in identities) / len(identities) if identities else 1.0
