"""What driver tests need to be importable in the run's processes: an environment, policies that cost nothing, sandboxes that are none."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from podgym.envs import Task
from podgym.policy import Sample, SampleRequest, VersionSpan
from podgym.policy.tokenizer import ByteTokenizer
from podgym.sandbox import CommandResult, Sandbox, SandboxLost, SandboxProvider, SandboxSpec, Stream
from podgym.traces import Trace, Trajectory
from podgym.traces.events import Sampled
from podgym.verifiers import Verdict

TOKENIZER = ByteTokenizer()
END = TOKENIZER.special["<end>"]


class Guessing:
    """An environment type: the agent should say `bash echo right`. What it said decides, not the sandbox."""

    def __init__(self, tasks: int = 8, broken: int = 0, defect: bool = False, image: str = "host", look: bool = False) -> None:
        self.count, self.broken, self.defect, self.image, self.look = tasks, broken, defect, image, look

    def tasks(self) -> Iterator[Task]:
        for number in range(self.count):
            yield Task(
                id=f"guess-{number}",
                environment="guessing",
                instruction=f"Guess {number}.",
                sandbox=SandboxSpec(image=self.image),
                split="test" if number % 2 else "train",
                grading={"broken": number < self.broken},
            )

    async def prepare(self, task: Task, sandbox: Sandbox) -> None:
        if task.grading["broken"]:
            raise SandboxLost("The node of this task is gone.", reason="node")

    async def verify(self, task: Task, sandbox: Sandbox, trace: Trace, provider: SandboxProvider) -> Verdict:
        if self.defect:
            raise KeyError("a defect of the type")
        if self.look:
            await sandbox.run("true", timeout_s=5)
        said = "".join(event.text for event in trace.events(Sampled))
        return Verdict(status="scored", reward=float("right" in said))


class NullSandbox:
    """Every command succeeds at once."""

    async def run(
        self,
        script: str,
        *,
        timeout_s: float,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        output_limit: int = 0,
    ) -> CommandResult:
        return CommandResult(0, Stream(b"ok\n", total=3), Stream(b""), timed_out=False, duration_s=0.0)

    async def read(self, path: str) -> bytes:
        raise FileNotFoundError(path)

    async def write(self, path: str, data: bytes, *, mode: int = 0o644) -> None:
        pass

    async def close(self) -> None:
        pass


class NullProvider:
    """Sandboxes that are none."""

    async def create(self, spec: SandboxSpec) -> NullSandbox:
        return NullSandbox()

    async def close(self) -> None:
        pass


class DyingProvider(NullProvider):
    """Its process is killed while it starts, as often as `times` says; `count` is the file that remembers."""

    def __init__(self, count: str, times: int) -> None:
        path = Path(count)
        deaths = len(path.read_text()) if path.exists() else 0
        if deaths < times:
            path.write_text("x" * (deaths + 1))
            os.kill(os.getpid(), signal.SIGKILL)


class BadTokenizer:
    def encode(self, text: str) -> str:
        return text


def finish(text: str) -> str:
    """A script: give up at once."""
    return "finish"


def right(text: str) -> str:
    """A script: the right answer, then finish."""
    return "finish" if "<obs>" in text else "bash echo right"


def cheat(text: str) -> str:
    """A script: the right answer from where it must not come from."""
    return "finish" if "<obs>" in text else "bash git show origin/main:right"


def slow(text: str) -> str:
    """A script: a command that takes long."""
    return "finish" if "<obs>" in text else "bash sleep 20"


class Learning:
    """A policy that guesses right more often with each version. Its checkpoint is one JSON file."""

    def __init__(
        self,
        checkpoint: Path | None = None,
        version: int = 0,
        *,
        delay_s: float = 0.0,
        train_s: float = 0.0,
        die_at: int = -1,
        die_again: bool = False,
    ) -> None:
        self.version = version
        self.delay_s, self.train_s, self.die_at = delay_s, train_s, die_at
        if checkpoint is not None:
            self.version = int(json.loads((checkpoint / "weights.json").read_text())["version"])
            self.die_at = die_at if die_again else -1
        self.random = random.Random(1)

    async def sample(self, request: SampleRequest) -> Sample:
        await asyncio.sleep(self.delay_s)
        first = TOKENIZER.special["<obs>"] not in request.tokens.tolist()
        text = "finish"
        if first and self.random.random() < min(0.9, 0.4 + 0.1 * self.version):
            text = "bash echo right"
        tokens = np.asarray([*TOKENIZER.encode(text), END], dtype=np.int32)
        held = len(request.tokens)
        rows = held + len(tokens) - 1 - request.routes_from
        routes = np.tile(np.asarray([[[0, 1]]], dtype=np.uint8), (rows, 1, 1))
        logprobs = np.full(len(tokens), -0.5, dtype=np.float32)
        return Sample(tokens, logprobs, "stop", (VersionSpan(0, len(tokens), self.version),), routes)

    def train(self, groups: Sequence[Sequence[Trajectory]]) -> dict[str, float]:
        time.sleep(self.train_s)
        assert all(trajectory.reward is not None and trajectory.loss_mask.any() for group in groups for trajectory in group)
        self.version += 1
        if self.version == self.die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return {"gap_with_replay": 0.001, "gap_without_replay": 0.003, "loss": 1.0 / self.version}

    def save(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "weights.json").write_text(json.dumps({"version": self.version}))

    async def close(self) -> None:
        pass
