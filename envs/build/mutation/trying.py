"""The loop over mutations: try a portion, make tasks of the bugs among them, until there are enough.

Portions are as large as may run at once, and what a portion showed decides about the next one, so equal seeds try equal mutations.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from podgym.envs.build.errors import BuildError
from podgym.envs.build.mutation.evidence import gather
from podgym.envs.build.mutation.finishing import Finisher, Proven
from podgym.envs.build.mutation.host import Host
from podgym.envs.build.mutation.issue import written_by_rules
from podgym.envs.build.mutation.judging import Baseline, Judgement, Outcome, judge
from podgym.envs.build.mutation.options import MutationOptions
from podgym.envs.build.mutation.planting import Tag
from podgym.envs.build.mutation.queue import Mutant, MutantQueue
from podgym.envs.build.mutation.reading import read_mutations
from podgym.envs.build.mutation.taking import take
from podgym.envs.build.mutation.writing import IssueWriter, WriterError, unfit
from podgym.envs.build.options import BuildOptions
from podgym.envs.build.report import BuildReport
from podgym.envs.build.running import run_commands
from podgym.envs.build.states import Overlay
from podgym.envs.harbor import TaskError
from podgym.envs.repository import CertificateError, RepositoryError
from podgym.sandbox import SandboxError, SandboxProvider, SandboxSpec
from podgym.verifiers import TestCommand
from podgym.verifiers.archive import Write

__all__ = ["Field", "Trial", "Workshop"]

_LEAST_S: Final = {"python": 20.0, "javascript": 20.0, "typescript": 60.0}
_LEAST_COMPILED_S: Final = 120.0
_SLOWER: Final = 4.0
"""How much longer than the unchanged project's a mutant's run may take."""
_LEAKS: Final = 3
"""After so many tasks that give their solution away, and none that does not, all do: a copy of the project is in the image, say."""
_WRITTEN: Final = 2
"""How often a model is asked for one issue."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One mutation that was tried."""

    mutant: Mutant
    outcome: Outcome
    why: str = ""
    seconds: float = 0.0
    task: str = ""


@dataclass(frozen=True, slots=True)
class _Found:
    mutant: Mutant
    judgement: Judgement
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """Where mutations are tried."""

    source: str
    out_dir: Path
    staging: Path
    tag: Tag | None
    host: Host
    spec: SandboxSpec
    """Of the image of the unchanged project."""
    baseline: Baseline
    repairs: tuple[str, ...] = ()


class Workshop:
    """Tries mutations and makes tasks of them."""

    def __init__(
        self,
        *,
        provider: SandboxProvider,
        field: Field,
        options: BuildOptions,
        mutation: MutationOptions,
        writer: IssueWriter | None,
        observe: Callable[[Trial], None],
        progress: Callable[[str], None],
    ) -> None:
        self._provider, self._field, self._options, self._mutation = provider, field, options, mutation
        self._host, self._spec, self._baseline = field.host, field.spec, field.baseline
        self._writer, self._observe, self._progress = writer, observe, progress
        least_s = _LEAST_S.get(self._host.module.name, _LEAST_COMPILED_S)
        self._commands = tuple(_bounded(command, self._baseline, least_s) for command in self._host.prepared.plan.tests)
        self._finisher = Finisher(provider, field.out_dir, options, self._commands)
        self._seen: set[tuple[tuple[str, str], tuple[str, ...]]] = set()
        self.existing = 0
        """Tasks of an earlier run that are there already: they count, and are not made again."""
        self._leaks: list[BuildError] = []

    async def work(self) -> list[BuildReport]:
        """Reports of the tasks that were made. Raises `BuildError` where the images of all give the solution away."""
        mutation, reports = self._mutation, list[BuildReport]()
        queue = await asyncio.to_thread(self._queue)
        ends = time.monotonic() + mutation.budget_s if mutation.budget_s is not None else math.inf
        left = mutation.tried
        wanted = mutation.count - self.existing
        while len(reports) < wanted and left > 0 and time.monotonic() < ends:
            portion = queue.take(min(mutation.concurrency, left))
            if not portion:
                break
            left -= len(portion)
            found = await self._portion(portion, queue)
            reports += await self._finished(found[: wanted - len(reports)], queue, self.existing + len(reports))
            if len(self._leaks) >= _LEAKS and not reports:
                raise self._leaks[0]
        return reports

    def _queue(self) -> MutantQueue:
        mutation, sources = self._mutation, self._host.sources
        limit = max(6, min(80, math.ceil(4 * mutation.tried / len(sources))))
        found = read_mutations(sources, seed=mutation.seed, limit=limit)
        if not self._options.overwrite:
            found = {path: [one for one in several if not self._exists(Mutant(path, one))] for path, several in found.items()}
        per_file = mutation.per_file or max(4, math.ceil(2 * mutation.count / max(1, len(found))))
        return MutantQueue.of(found, seed=mutation.seed, per_place=mutation.per_place, per_file=per_file)

    def _exists(self, mutant: Mutant) -> bool:
        exists = (self._field.out_dir / _name(self._host, mutant)).exists()
        self.existing += exists
        return exists

    async def _portion(self, portion: Sequence[Mutant], queue: MutantQueue) -> list[_Found]:
        """The bugs among some mutants."""
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(self._try(mutant)) for mutant in portion]
        bugs: list[_Found] = []
        for mutant, task in zip(portion, running, strict=True):
            judgement, seconds = task.result()
            key = (mutant.place, judgement.failing)
            if judgement.outcome == "bug" and key not in self._seen:
                self._seen.add(key)
                bugs.append(_Found(mutant, judgement, seconds))
                continue
            outcome: Outcome = "repeated" if judgement.outcome == "bug" else judgement.outcome
            queue.told(mutant, outcome)
            self._observe(Trial(mutant, outcome, judgement.why, seconds))
        return bugs

    async def _finished(self, bugs: Sequence[_Found], queue: MutantQueue, already: int) -> list[BuildReport]:
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(self._finish(one.mutant, one.judgement.failing)) for one in bugs]
        reports: list[BuildReport] = []
        for one, task in zip(bugs, running, strict=True):
            report, outcome, why = task.result()
            queue.told(one.mutant, outcome)
            spent = one.seconds + (report.seconds if report is not None else 0.0)
            self._observe(Trial(one.mutant, outcome, why, spent, report.task if report is not None else ""))
            if report is not None:
                reports.append(report)
                self._progress(f"{already + len(reports)} of {self._mutation.count}: {report.task}")
        return reports

    async def _try(self, mutant: Mutant) -> tuple[Judgement, float]:
        started, original = time.monotonic(), self._host.sources[mutant.path]
        if copy := await asyncio.to_thread(self._host.copies.place, mutant.path, original, mutant.mutation):
            return Judgement("unfit", why=f"the same lines stand in {copy}"), time.monotonic() - started
        data = mutant.mutation.apply(original)
        overlay = Overlay((Write(mutant.path, data, int(self._host.entries[mutant.path].mode, 8)),))
        try:
            report = await run_commands(self._provider, self._spec, self._commands, overlay)
        except SandboxError as error:
            return Judgement("unfit", why=str(error)), time.monotonic() - started
        return judge(report, self._baseline.stable, share=self._mutation.share), time.monotonic() - started

    async def _finish(self, mutant: Mutant, failing: Sequence[str]) -> tuple[BuildReport | None, Outcome, str]:
        started = time.monotonic()
        name = _name(self._host, mutant)
        place = Path(await asyncio.to_thread(tempfile.mkdtemp, dir=self._field.staging))
        try:
            taken = await asyncio.to_thread(
                take,
                self._host,
                mutant,
                failing,
                place / "mutant.git",
                source=self._field.source,
                options=self._options,
                tag=self._field.tag,
                hide_tests=self._mutation.hide_tests,
            )
            proven = await self._finisher.prove(taken, failing, self._baseline, place)
            text, calls = await self._instruction(proven, mutant)
            notes = (f"{mutant.mutation.operator} in {mutant.path}:{mutant.mutation.line}",)
            report = await asyncio.to_thread(self._finisher.write, proven, name, text, notes, model_calls=calls)
        except BuildError as error:
            self._leaks += [error] if error.reason == "leak" else []
            return None, "unsteady" if error.reason == "flaky" else "unfit", str(error)
        except (RepositoryError, CertificateError, SandboxError, TaskError) as error:
            return None, "unfit", str(error)
        finally:
            await asyncio.to_thread(shutil.rmtree, place, ignore_errors=True)
        update = {"seconds": round(time.monotonic() - started, 3), "repairs": self._field.repairs}
        return report.model_copy(update=update), "bug", ""

    async def _instruction(self, proven: Proven, mutant: Mutant) -> tuple[str, int]:
        """The issue's text, and how often a model was asked for it."""
        secrets = _lines(self._host.sources[mutant.path], mutant)
        evidence = gather(
            project=self._host.prepared.plan.name or _stem(self._host),
            language=self._host.module.name,
            failing=proven.validation.fail_to_pass,
            log=proven.log,
            tests={path: self._host.tests[path] for path in proven.taken.files},
            secrets=secrets,
        )
        calls = 0
        while self._writer is not None and calls < _WRITTEN:
            calls += 1
            try:
                text = await self._writer.write(evidence)
            except WriterError as error:
                self._progress(str(error))
                break
            if not unfit(text, secrets, path=mutant.path, evidence=evidence):
                return text, calls
        return written_by_rules(evidence, seed=self._mutation.seed, tests_visible=not self._mutation.hide_tests), calls


def _bounded(command: TestCommand, baseline: Baseline, least_s: float) -> TestCommand:
    return command.model_copy(update={"timeout_s": min(command.timeout_s, max(least_s, _SLOWER * baseline.duration_s))})


def _lines(original: bytes, mutant: Mutant) -> tuple[bytes, bytes]:
    """The whole lines that a mutation touches, before and after."""
    mutation = mutant.mutation
    mutated, end = mutation.apply(original), mutation.start + len(mutation.after)
    return _whole(original, mutation.start, mutation.end), _whole(mutated, mutation.start, end)


def _whole(data: bytes, start: int, end: int) -> bytes:
    if end > start and data[end - 1 : end] == b"\n":
        end -= 1
    first, last = data.rfind(b"\n", 0, start) + 1, data.find(b"\n", end)
    return data[first : last if last >= 0 else len(data)]


def _stem(host: Host) -> str:
    location = host.prepared.location.rstrip("/").removesuffix("/.git")
    stem = PurePosixPath(location).name.removesuffix(".git")
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", stem).strip(".-_+")[:120] or "task"


def _name(host: Host, mutant: Mutant) -> str:
    """Says nothing of the mutation."""
    mutation = mutant.mutation
    said = f"{host.sha}\0{mutant.path}\0{mutation.start}\0".encode("utf-8", "surrogateescape") + mutation.before + b"\0" + mutation.after
    return f"{_stem(host)}-{host.sha[:12]}-m{hashlib.sha256(said).hexdigest()[:10]}"
