"""A model at work on one failing plan, within a budget.

It gets the plan, the stage and the end of the log, and a sandbox made of the image's last good layer, with the network. It looks
around, tries things, and ends with a proposal: changes to the plan, as data. Nothing that it did in the sandbox counts; the plan
with its changes is built from scratch by whoever asked. A call that is none, a proposal that will not do and a turn without a call
are answered, and cost a call.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from podgym.envs.build.catalogue import Catalogue
from podgym.envs.build.plan import INSTALL_LOG, BuildPlan
from podgym.envs.build.repair.failure import BuildFailure, log_lines
from podgym.envs.build.repair.model.contract import Message, ModelError, RepairModel, Reply
from podgym.envs.build.repair.model.proposal import ProposalError, applied
from podgym.envs.build.repair.model.tools import RepairTools, arguments_of, tools
from podgym.envs.build.repair.remedies.remedy import tool_of
from podgym.sandbox import ImageRecipe, SandboxError, SandboxProvider, SandboxSpec

__all__ = ["Mended", "ModelBudget", "last_good", "mend"]

_LOG: Final = 12_000
_PLAN: Final = 24_000
_SYSTEM: Final = f"""\
You mend the build plan of a source repository. A plan is data: a base image, Debian packages, `dependencies` steps (run with only the
manifests in /testbed), `install` steps (with the whole repository there), and test commands. Steps are `sh` scripts that run as root in
/testbed with the network; tests run later without it, in fresh sandboxes. The plan below failed. You have a sandbox as it was before the
failing step. Find out why it fails, try what helps, and call `finish` with the smallest change to the plan. It will be built from scratch
with your change: what you do in the sandbox is lost. Do not change the repository's files, and do not skip, weaken or fake its tests.
Steps may append one line to {INSTALL_LOG} for what is worth telling."""


class ModelBudget(BaseModel):
    """What one plan's mending may cost."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    calls: int = Field(default=30, ge=1)
    tokens: int = Field(default=400_000, ge=1)
    """In both directions, as the service counts them; four characters are one where it does not."""
    seconds: float = Field(default=1200.0, gt=0)
    command_s: float = Field(default=300.0, gt=0)
    """Of one command in the sandbox."""
    output_bytes: int = Field(default=8 << 10, ge=256)
    """Of what one command shows."""


@dataclass(frozen=True, slots=True)
class Mended:
    """What came of it, and what it cost."""

    plan: BuildPlan | None
    """The changed plan; None where the model had none to propose."""
    because: str = ""
    """Why the plan was changed, or why there is none."""
    calls: int = 0
    tokens: int = 0
    seconds: float = 0.0
    messages: tuple[Message, ...] = ()
    """The whole conversation."""


def last_good(plan: BuildPlan, failure: BuildFailure) -> ImageRecipe:
    """The plan's recipe without the failing step and what follows it, and with the repository to look at."""
    recipe = plan.recipe
    if failure.stage == "tests":
        return recipe
    if failure.step is None:
        return recipe.model_copy(update={"packages": (), "before": (), "after": ()})
    shared = len(recipe.before)
    return recipe.model_copy(update={"before": recipe.before[: failure.step], "after": recipe.after[: max(0, failure.step - shared)]})


async def mend(
    plan: BuildPlan,
    failure: BuildFailure,
    *,
    spec: SandboxSpec,
    provider: SandboxProvider,
    model: RepairModel,
    catalogue: Catalogue,
    budget: ModelBudget | None = None,
) -> Mended:
    """Ask `model` once; `spec` is the failing plan's, with its context. Never raises for what the model or the sandbox does."""
    session = _Session(plan, failure, catalogue, budget or ModelBudget(), model)
    recipe = last_good(plan, failure)
    try:
        image = f"podgym/{recipe.digest(Path(spec.context) if spec.context else None)}"
        update = {"recipe": recipe, "image": image, "network": "full", "lifetime_s": session.budget.seconds + 300.0}
        async with asyncio.timeout(session.budget.seconds + 60.0):
            sandbox = await provider.create(spec.model_copy(update=update))
            session.start()
            try:
                return await session.run(RepairTools(sandbox, timeout_s=session.budget.command_s, output_bytes=session.budget.output_bytes))
            finally:
                await sandbox.close()
    except SandboxError as error:
        return session.ended(None, f"The sandbox failed: {error.message}")
    except TimeoutError:
        return session.ended(None, f"The {session.budget.seconds:g} seconds are spent.")


class _Session:
    def __init__(self, plan: BuildPlan, failure: BuildFailure, catalogue: Catalogue, budget: ModelBudget, model: RepairModel) -> None:
        self._plan, self._catalogue, self.budget, self._model = plan, catalogue, budget, model
        self._messages: list[Message] = [
            {"role": "system", "content": _SYSTEM},
            {"role": "user", "content": _task(plan, failure, catalogue)},
        ]
        self._calls = self._tokens = 0
        self._started = time.monotonic()

    def start(self) -> None:
        """The clock, once the sandbox is there."""
        self._started = time.monotonic()

    @property
    def _left_s(self) -> float:
        return self.budget.seconds - (time.monotonic() - self._started)

    def ended(self, plan: BuildPlan | None, because: str) -> Mended:
        seconds = round(time.monotonic() - self._started, 3)
        return Mended(plan, because, self._calls, self._tokens, seconds, tuple(self._messages))

    async def run(self, hands: RepairTools) -> Mended:
        while True:
            if spent := self._spent():
                return self.ended(None, spent)
            self._calls += 1
            try:
                async with asyncio.timeout(self._left_s):
                    reply = await self._model.complete(tuple(self._messages), tools())
            except ModelError as error:
                return self.ended(None, error.message)
            self._tokens += reply.tokens or self._estimate(reply)
            self._messages.append(_assistant(reply))
            if not reply.calls:
                self._messages.append(
                    {"role": "user", "content": "Call a tool: bash, str_replace, or finish with your change to the plan."}
                )
            for call in reply.calls:
                if call.name == "finish":
                    answer = self._finish(arguments_of(call))
                    if isinstance(answer, Mended):
                        return answer
                elif self._left_s <= 0:
                    answer = "The time is spent."
                else:
                    answer = await hands.run(call, timeout_s=self._left_s)
                self._messages.append({"role": "tool", "tool_call_id": call.id, "content": answer})

    def _spent(self) -> str:
        if self._calls >= self.budget.calls:
            return f"The {self.budget.calls} calls are spent."
        if self._tokens >= self.budget.tokens:
            return f"The {self.budget.tokens} tokens are spent."
        return f"The {self.budget.seconds:g} seconds are spent." if self._left_s <= 0 else ""

    def _estimate(self, reply: Reply) -> int:
        return (sum(len(str(message)) for message in self._messages) + len(str(reply))) // 4

    def _finish(self, proposal: dict[str, Any] | str) -> Mended | str:
        if isinstance(proposal, str):
            return proposal
        try:
            changed = applied(proposal, self._plan, catalogue=self._catalogue)
        except ProposalError as error:
            return f"{error} Call finish again."
        return self.ended(changed, str(proposal.get("because") or "A model changed the plan."))


def _assistant(reply: Reply) -> Message:
    message: dict[str, Any] = {"role": "assistant", "content": reply.text}
    if reply.calls:
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}} for call in reply.calls
        ]
    return message


def _task(plan: BuildPlan, failure: BuildFailure, catalogue: Catalogue) -> str:
    steps = "\n".join(
        f"--- step {number} ({'dependencies' if number < len(plan.dependencies) else 'install'}) ---\n{step.run}"
        for number, step in enumerate(plan.steps)
    )
    tests = "\n".join(f"--- tests in {command.cwd}, {command.framework} ---\n{command.script or command.targets}" for command in plan.tests)
    head = plan.model_dump_json(include={"language", "build_system", "toolchain", "framework", "root", "base", "packages", "env", "notes"})
    where = (
        "the tests" if failure.stage == "tests" else f"step {failure.step}" if failure.step is not None else "the base image or packages"
    )
    ended = "it ran out of time" if failure.timed_out else "it ran out of memory" if failure.out_of_memory else "it failed"
    versions = ", ".join(image.version for image in catalogue.of(tool_of(plan)))
    log = "\n".join(log_lines(failure.log))[-_LOG:]
    text = f"Plan: {head}\nToolchains to choose from: {versions}\n{steps}\n{tests}"
    return f"{text[:_PLAN]}\n\nIn {where}: {ended}. The end of the log:\n{log}\n"
