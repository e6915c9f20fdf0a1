"""A model's last word: changes to the plan, as data, which a build from scratch has to prove."""

from __future__ import annotations

import re
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from podgym.envs.build.catalogue import Catalogue
from podgym.envs.build.plan import BuildPlan
from podgym.envs.build.repair.edits import with_base, with_exports, with_note
from podgym.envs.build.repair.remedies.remedy import tool_of
from podgym.sandbox import Step
from podgym.sandbox.values import PackageName
from podgym.verifiers import TestCommand

__all__ = ["Proposal", "ProposalError", "applied"]

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,100}")
_MAX_TEXT: Final = 32 << 10


class ProposalError(ValueError):
    """Not a change of this plan; the message goes back to the model."""


class StepChange(BaseModel):
    """A step more, or another one in the place of one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: int
    """Number of one of the plan's steps."""
    place: Literal["before", "after", "instead"] = "before"
    run: str = Field(min_length=1, max_length=_MAX_TEXT)


class Proposal(BaseModel):
    """See the module."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    because: str = Field(default="", max_length=2000)
    packages: tuple[PackageName, ...] = Field(default=(), max_length=100)
    """Debian's, to install too."""
    remove_packages: tuple[str, ...] = Field(default=(), max_length=100)
    toolchain: str = ""
    """Another version of the language's tools, of those in the catalogue."""
    env: dict[str, str] = Field(default_factory=dict)
    """For steps and tests."""
    steps: tuple[StepChange, ...] = Field(default=(), max_length=20)
    test_script: str = Field(default="", max_length=_MAX_TEXT)
    """In place of the first test program's; empty leaves it as it is."""

    @property
    def empty(self) -> bool:
        """Whether it changes nothing."""
        return self == Proposal(because=self.because)


def applied(proposal: Any, plan: BuildPlan, *, catalogue: Catalogue) -> BuildPlan:
    """The plan with what a model proposed. Raises `ProposalError`."""
    try:
        wanted = Proposal.model_validate(proposal)
    except ValidationError as error:
        lines = "; ".join(f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors()[:5])
        raise ProposalError(f"The proposal is not as it should be: {lines}.") from error
    if wanted.empty:
        raise ProposalError("The proposal changes nothing.")
    changed = _packages(plan, wanted)
    changed = _steps(changed, wanted.steps)
    if wanted.toolchain:
        image = catalogue.choose(tool_of(plan), lambda version: version == wanted.toolchain)
        if image is None:
            there = ", ".join(image.version for image in catalogue.of(tool_of(plan)))
            raise ProposalError(f"There is no toolchain {wanted.toolchain!r}; there are {there}.")
        changed = with_base(changed, image, wanted.because or "A model chose it.")
    for name, value in wanted.env.items():
        if not _NAME.fullmatch(name) or "\0" in value or len(value) > _MAX_TEXT:
            raise ProposalError(f"{name!r} cannot be an environment variable.")
    if wanted.env:
        changed = with_exports(changed, wanted.env)
    if wanted.test_script:
        changed = _tests(changed, wanted.test_script)
    if changed == plan:
        raise ProposalError("The proposal changes nothing.")
    return with_note(changed, f"A model changed the plan: {' '.join(wanted.because.split()) or 'it did not say why'}.")


def _packages(plan: BuildPlan, wanted: Proposal) -> BuildPlan:
    kept = [name for name in plan.packages if name not in wanted.remove_packages]
    return plan.model_copy(update={"packages": tuple(dict.fromkeys((*kept, *wanted.packages)))})


def _steps(plan: BuildPlan, changes: tuple[StepChange, ...]) -> BuildPlan:
    """Numbers are those of the plan as it was; a plan without steps has one place, 0, after the repository."""
    steps = plan.steps
    places: list[list[Step]] = [[step] for step in steps] or [[]]
    shared = len(plan.dependencies)
    for change in changes:
        if not 0 <= change.at < len(places):
            raise ProposalError(f"There is no step {change.at}; the plan's are numbered from 0 to {len(places) - 1}.")
        if "\0" in change.run:
            raise ProposalError("A step has a NUL byte.")
        run = change.run if change.run.lstrip().startswith("set -e") else f"set -eu\n{change.run}"
        step = Step(run=run, timeout_s=steps[change.at].timeout_s if steps else 1800.0)
        place = places[change.at]
        if change.place == "instead":
            place[:] = [step]
        elif change.place == "before":
            place.insert(0, step)
        else:
            place.append(step)
    dependencies = [step for place in places[:shared] for step in place]
    install = [step for place in places[shared:] for step in place]
    return plan.model_copy(update={"dependencies": tuple(dependencies), "install": tuple(install)})


def _tests(plan: BuildPlan, script: str) -> BuildPlan:
    first = plan.tests[0]
    if first.framework != "program":
        raise ProposalError(f"The tests are run by podgym's own runner for {first.framework}; there is no script to change.")
    if "{report}" in first.script and "{report}" not in script:
        raise ProposalError("The test script must write its report to {report}, as the present one does.")
    try:
        command = TestCommand.model_validate({**first.model_dump(), "script": script})
    except ValidationError as error:
        raise ProposalError(f"The test script will not do: {error.errors()[0]['msg']}") from error
    return plan.model_copy(update={"tests": (command, *plan.tests[1:]), "changed": ()})
