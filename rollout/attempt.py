"""One rollout: a policy, a sandbox, three tools, and a verdict, written down as events while it happens.

Token in, token out: what the policy sampled is appended as it is, and an observation adds the dialect's tokens after it.

How it may end:

* the agent's doing (finish, a limit, calls that cannot be read): the sandbox is judged as it is;
* the infrastructure's (`SandboxError`, `PolicyUnavailable`, `RoutesError` for routes that cannot be true, `PlanError` and `TaskError` for
  a task that cannot be judged as it is): the trace gets `Retried` and `AttemptLost` is raised, so that the driver starts the rollout
  anew; on the last attempt it gets an unscored verdict and `Masked`, and is returned;
* cancellation: `Masked`, then the cancellation goes on;
* anything else is a defect of podgym or of the environment type, and is raised as it is.

In each case the trace ends with `Closed`, and the sandbox is closed. The hack monitor reads the trace as it grows and adds what
it finds; a reward is never its to change.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Literal

from podgym.envs import Environment, Task
from podgym.envs.harbor import TaskError
from podgym.errors import PodgymError
from podgym.policy import Policy, PolicyUnavailable, RoutesError
from podgym.rollout.dialects.contract import Dialect
from podgym.rollout.lifetime import bounded, open_sandbox
from podgym.rollout.limits import RolloutLimits
from podgym.rollout.turns import Stop, Turns
from podgym.rollout.watching import task_facts
from podgym.sandbox import ImageError, IsolationError, QuotaError, SandboxError, SandboxLost, SandboxProvider
from podgym.traces import Trace
from podgym.traces.events import Claimed, Closed, Created, Masked, Retried, Verified
from podgym.verifiers import PlanError, UnscoredReason, Verdict
from podgym.verifiers.monitor import Watch

__all__ = ["HACK", "AttemptLost", "AttemptResult", "Hacks", "run_attempt"]

Stage = Literal["create", "prepare", "turns", "verify"]
Hacks = Literal["count", "mask"]
"""What follows from an attempt to cheat: it is counted; or a rollout in which one seems to have worked is also left out of training."""
HACK = "hack"
"""Why such a rollout is masked."""


class AttemptLost(PodgymError):
    """An infrastructure failure ended an attempt; another one may succeed. The failure itself is the cause."""

    def __init__(self, message: str, *, stage: Stage, reason: UnscoredReason, error: str, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.stage: Stage = stage
        self.reason: UnscoredReason = reason
        self.error = error
        """Class name of the failure."""


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """How a rollout ended; its trace holds the rest."""

    verdict: Verdict
    stop: Stop
    turns: int
    tokens: int
    """Of the whole sequence."""
    sampled_tokens: int
    seconds: float
    masked: str = ""
    """Why it takes no part in training, where it does not."""


async def run_attempt(
    *,
    task: Task,
    environment: Environment,
    provider: SandboxProvider,
    policy: Policy,
    dialect: Dialect,
    limits: RolloutLimits,
    created: Created,
    trace: Trace,
    last: bool = False,
    shell: Literal["auto", "sh"] = "auto",
    seed: int | None = None,
    hacks: Hacks = "count",
) -> AttemptResult:
    """Play `task` once and judge it.

    `created` opens the trace unless that has it already; its `temperature` is the sampling's. `last` says that no
    other attempt follows: an infrastructure failure is then an unscored result. `shell="sh"` keeps the bash tool to the sandbox's
    `sh`. `hacks` is what follows from attempts to cheat. Raises `AttemptLost` unless `last`.
    """
    attempt = _Attempt(
        task=task,
        environment=environment,
        provider=provider,
        policy=policy,
        dialect=dialect,
        limits=limits,
        created=created,
        trace=trace,
        shell=shell,
        seed=seed,
    )
    watch = Watch(task_facts(task))
    trace.follow(watch.observe)
    if not len(trace):
        trace.append(created)
    try:
        verdict = await attempt.play()
    except asyncio.CancelledError:
        attempt.end("cancelled", masked="cancelled")
        raise
    except _INFRASTRUCTURE as error:
        reason = _reason(error)
        if not last:
            trace.append(Retried(at_s=time.time(), error=type(error).__name__, message=str(error)))
            attempt.end("error")
            raise AttemptLost(
                f"Rollout {created.rollout_id} of task {task.id} was lost while in {attempt.stage}: {error}",
                stage=attempt.stage,
                reason=reason,
                error=type(error).__name__,
            ) from error
        verdict = Verdict.unscored(reason, str(error))
        attempt.stop = "error"
        attempt.judged(verdict)
    except BaseException:
        attempt.end("error", masked="error")
        raise
    hacked = HACK if hacks == "mask" and watch.worked else ""
    return attempt.end(attempt.stop, masked=verdict.reason or hacked, verdict=verdict)


class _Attempt:
    """What `run_attempt` knows while it runs."""

    def __init__(
        self,
        *,
        task: Task,
        environment: Environment,
        provider: SandboxProvider,
        policy: Policy,
        dialect: Dialect,
        limits: RolloutLimits,
        created: Created,
        trace: Trace,
        shell: Literal["auto", "sh"],
        seed: int | None,
    ) -> None:
        self.stage: Stage = "create"
        self.stop: Stop = "error"
        self._task, self._environment, self._provider = task, environment, provider
        self._limits, self._trace, self._shell = limits, trace, shell
        self._started = time.monotonic()
        self._turns = Turns(policy=policy, dialect=dialect, limits=limits, created=created, trace=trace, seed=seed)

    async def play(self) -> Verdict:
        """Sandbox, turns, verdict."""
        limits, task = self._limits, self._task
        async with open_sandbox(self._provider, task.sandbox, create_s=limits.create_s, close_s=limits.close_s) as sandbox:
            self.stage = "prepare"
            async with bounded(limits.prepare_s, f"Preparing task {task.id}", limit="prepare_s"):
                await self._environment.prepare(task, sandbox)
            self._trace.append(
                Claimed(
                    at_s=time.time(),
                    provider=type(self._provider).__name__.removesuffix("Provider").lower(),
                    image=task.sandbox.image,
                    create_s=time.monotonic() - self._started,
                )
            )
            self.stage = "turns"
            self.stop = await self._turns.play(task.instruction, sandbox, shell=self._shell)
            self.stage = "verify"
            verifying = time.monotonic()
            async with bounded(limits.verify_s, f"Verifying task {task.id}", limit="verify_s"):
                verdict = await self._environment.verify(task, sandbox, self._trace, self._provider)
            self.judged(verdict, seconds=time.monotonic() - verifying)
            return verdict

    def judged(self, verdict: Verdict, *, seconds: float = 0.0) -> None:
        """Write the verdict down."""
        dump = verdict.model_dump(mode="json")
        self._trace.append(
            Verified(
                at_s=time.time(),
                status=verdict.status,
                reward=verdict.reward,
                reason=verdict.reason or "",
                diff=verdict.diff,
                verdict=dump,
                seconds=seconds,
            )
        )

    def end(self, stop: Stop, *, masked: str = "", verdict: Verdict | None = None) -> AttemptResult:
        """Write the last events."""
        turns, seconds = self._turns, time.monotonic() - self._started
        if masked:
            self._trace.append(Masked(at_s=time.time(), reason=masked))
        self._trace.append(Closed(at_s=time.time(), stop=stop, turns=turns.count, sampled_tokens=turns.sampled, seconds=seconds))
        return AttemptResult(
            verdict=verdict or Verdict.unscored("cancelled", masked),
            stop=stop,
            turns=turns.count,
            tokens=turns.tokens,
            sampled_tokens=turns.sampled,
            seconds=seconds,
            masked=masked,
        )


_INFRASTRUCTURE = (SandboxError, PolicyUnavailable, RoutesError, PlanError, TaskError)
_REASONS: tuple[tuple[type[PodgymError], UnscoredReason], ...] = (
    (SandboxLost, "sandbox_lost"),
    (ImageError, "image"),
    (IsolationError, "isolation"),
    (QuotaError, "quota"),
    (PlanError, "grader"),
    (TaskError, "grader"),
)


def _reason(error: PodgymError) -> UnscoredReason:
    return next((reason for kind, reason in _REASONS if isinstance(error, kind)), "transport")
