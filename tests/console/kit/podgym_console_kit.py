"""What jobs of the command line's tests import in the run's processes."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

import podgym.policy.contract as policy_contract
from podgym.envs import Task
from podgym.policy import Sample, SampleRequest, VersionSpan
from podgym.policy.tokenizer import ByteTokenizer
from podgym.sandbox import Sandbox, SandboxProvider, SandboxSpec
from podgym.traces import Trace, Trajectory
from podgym.traces.events import ToolReturned
from podgym.verifiers import Verdict

TOKENIZER = ByteTokenizer()
OBSERVED, END = TOKENIZER.special["<obs>"], TOKENIZER.special["<end>"]


class Echo:
    """The agent should make a command write `right`."""

    def __init__(self, *, tasks: int = 4, defect: bool = False, image: str = "host") -> None:
        self._count, self._defect, self._image = tasks, defect, image

    def tasks(self) -> Iterator[Task]:
        for number in range(self._count):
            yield Task(id=f"echo-{number}", environment="echo", instruction="Say right.", sandbox=SandboxSpec(image=self._image))

    async def prepare(self, task: Task, sandbox: Sandbox) -> None:
        pass

    async def verify(self, task: Task, sandbox: Sandbox, trace: Trace, provider: SandboxProvider) -> Verdict:
        if self._defect:
            raise KeyError("a defect of the type")
        said = "".join(event.output for event in trace.events(ToolReturned))
        return Verdict(status="scored", reward=float("right" in said))


class Noting:
    """A provider whose sweeping leaves a note."""

    def __init__(self, *, note: str) -> None:
        self._note = note

    async def create(self, spec: SandboxSpec) -> Sandbox:
        raise NotImplementedError

    async def reap(self, run_id: str) -> int:
        Path(self._note).write_text(run_id)
        return 1

    async def close(self) -> None:
        pass


def right(text: str) -> str:
    """A script."""
    return "finish" if "<obs>" in text else "bash echo right"


class Learner:
    """A policy that is right half of the time, each answer `delay_s` late."""

    def __init__(self, checkpoint: Path | None = None, *, delay_s: float = 0.0, note: str = "") -> None:
        """`note` names a file to write where podgym was imported from."""
        if note:
            Path(note).write_text(str(policy_contract.__file__))
        self.version = 0 if checkpoint is None else int(json.loads((checkpoint / "weights.json").read_text()))
        self._delay_s = delay_s
        self._random = random.Random(self.version)

    async def sample(self, request: SampleRequest) -> Sample:
        await asyncio.sleep(self._delay_s)
        text = "finish" if OBSERVED in request.tokens.tolist() else f"bash echo {self._random.choice(('right', 'wrong'))}"
        tokens = np.asarray([*TOKENIZER.encode(text), END], dtype=np.int32)
        logprobs = np.full(len(tokens), -0.5, dtype=np.float32)
        rows = len(request.tokens) + len(tokens) - 1 - request.routes_from
        routes = np.tile(np.asarray([[[0, 1]]], dtype=np.uint8), (rows, 1, 1))
        return Sample(tokens, logprobs, "stop", (VersionSpan(0, len(tokens), self.version),), routes)

    def train(self, groups: Sequence[Sequence[Trajectory]]) -> dict[str, float]:
        self.version += 1
        return {"gap_with_replay": 0.001, "gap_without_replay": 0.003}

    def save(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "weights.json").write_text(json.dumps(self.version))

    async def close(self) -> None:
        pass
