"""`run_job`: a job from start to summary, in this process and those that Ray starts for it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any

from podgym.errors import PodgymError
from podgym.rollout.cluster import open_cluster
from podgym.rollout.ending import RunStopped
from podgym.rollout.job import JobConfig, dump_job
from podgym.rollout.leftovers import PREFIX, sweep
from podgym.rollout.loop import Driver
from podgym.rollout.progress import Progress, ResumeError, load_progress
from podgym.rollout.report import RunSummary, StepReport
from podgym.rollout.runlock import holding
from podgym.rollout.runlog import run_log
from podgym.rollout.tasksource import open_sources
from podgym.rollout.watchdog import ProcessId
from podgym.sandbox.local import LocalConfig
from podgym.sandbox.local import reap as reap_local
from podgym.sandbox.providers import open_provider
from podgym.traces.errors import TraceError, TraceStoreError
from podgym.traces.index import Index, IndexWriter
from podgym.traces.store import RunDir, RunState, RunStore, write_atomically

__all__ = ["reap", "run_job", "sweep_run"]

_log = logging.getLogger(__name__)


def run_job(
    job: JobConfig,
    store: RunStore,
    *,
    resume: RunDir | None = None,
    run_id: str | None = None,
    on_start: Callable[[RunDir], None] | None = None,
    on_step: Callable[[StepReport], None] | None = None,
) -> RunSummary:
    """Run `job` in a new folder of `store`, or go on with `resume`, whose job should be `job`.

    `run_id`, from `RunStore.new_id`, names the new folder where the caller must know it beforehand.

    Call it from the main thread where SIGINT and SIGTERM are to stop the run in order; the summary then says `stopped`. Raises a
    `PodgymError` for what makes the run fail; the run's state says so too, and it can be resumed. Raises `ResumeError`, and touches
    nothing, where another process drives the run.
    """
    run = resume or store.create(job.run.name, run_id=run_id)
    with holding(run):
        return _drive(job, run, resumes=resume is not None, on_start=on_start, on_step=on_step)


def _drive(
    job: JobConfig,
    run: RunDir,
    *,
    resumes: bool,
    on_start: Callable[[RunDir], None] | None,
    on_step: Callable[[StepReport], None] | None,
) -> RunSummary:
    progress, before = None, None
    if resumes:
        progress = _resumable(run)
        before = run.state()
    else:
        write_atomically(run.job_path, dump_job(job).encode())
    if before is not None:
        sweep_run(before)
    details = {"address": job.ray.address or "", "cwd": str(Path.cwd())}
    begun = RunState.of_this_process(name=job.run.name, details=details)
    state = _State(run, begun if before is None else begun.model_copy(update={"started_s": before.started_s or begun.started_s}))
    status, error = "failed", ""
    summary: RunSummary | None = None
    try:
        if on_start is not None:
            on_start(run)
        with run_log(run.log_path), _Interrupts() as interrupts, contextlib.ExitStack() as stack:
            try:
                summary = _run(job, run, stack, state=state, progress=progress, interrupts=interrupts, on_step=on_step)
            except (KeyboardInterrupt, SystemExit):  # the latter from Ray's own handler, while it starts
                raise RunStopped("The run was stopped before it began.", remedy=f"`podgym job resume {run.id}` goes on.") from None
        status, error = summary.status, summary.error
    except RunStopped as stopped:
        status, error = "stopped", str(stopped)
        raise
    except BaseException as failure:
        error = str(failure) if isinstance(failure, PodgymError) else f"{type(failure).__name__}: {failure}"
        raise
    finally:
        try:
            state.update(status=status, ended_s=time.time(), error=error)
        except TraceStoreError:
            if status == "finished":
                raise
            _log.exception("The run's state cannot be written")  # what ended the run is raised instead
    return summary


class _State:
    """`state.json` as this life of the run writes it."""

    def __init__(self, run: RunDir, state: RunState) -> None:
        self._run, self.value = run, state
        run.write_state(state)

    def update(self, **fields: Any) -> None:
        self.value = self.value.model_copy(update=fields)
        self._run.write_state(self.value)

    def detail(self, **details: Any) -> None:
        self.update(details={**self.value.details, **details})


def _resumable(run: RunDir) -> Progress | None:
    if run.status() == "running":
        raise ResumeError(f"Run {run.id} is running.", remedy="Stop it first.")
    progress = load_progress(run)
    if run.status() == "finished":
        raise ResumeError(f"Run {run.id} is finished.", remedy="Submit a new job.")
    return progress


def _run(
    job: JobConfig,
    run: RunDir,
    stack: contextlib.ExitStack,
    *,
    state: _State,
    progress: Progress | None,
    interrupts: _Interrupts,
    on_step: Callable[[StepReport], None] | None,
) -> RunSummary:
    sources = open_sources(job, run_id=run.id)
    cluster = open_cluster(job.ray, run_id=run.id)
    stack.callback(cluster.close)
    interrupts.arm()
    state.detail(ray_folder=str(cluster.folder or ""), provider=job.sandbox.provider)
    index = stack.enter_context(Index(run.index_url))
    writer = stack.enter_context(_index_writer(index, run))
    writer.run(name=job.run.name, status="running", environment=job.environment.type, started_s=state.value.started_s)
    if progress is not None:
        asyncio.run(reap(job, run.id))

    def on_processes(processes: Mapping[str, ProcessId]) -> None:
        listed = {name: asdict(process) for name, process in processes.items()}
        state.detail(processes=listed)

    async def main() -> RunSummary:
        driver = Driver(
            job,
            run,
            sources=sources,
            index=writer,
            driver=ProcessId.own(),
            progress=progress,
            on_processes=on_processes,
            on_step=on_step,
        )
        return await _play(driver, job, run, writer, interrupts)

    return asyncio.run(main())


@contextlib.contextmanager
def _index_writer(index: Index, run: RunDir) -> Iterator[IndexWriter]:
    """Closed at the end of the block; what makes the run fail is not hidden by an index that fails for the same reason."""
    writer = IndexWriter(index, run.id, folder=run)
    try:
        yield writer
    except BaseException:
        with contextlib.suppress(TraceError):
            writer.close()
        raise
    writer.close()


async def _play(driver: Driver, job: JobConfig, run: RunDir, writer: IndexWriter, interrupts: _Interrupts) -> RunSummary:
    hurry = asyncio.Event()
    resume = f"`podgym job resume {run.id}` goes on."

    def interrupted() -> None:
        if isinstance(driver.over, RunStopped):
            hurry.set()
        driver.stop(RunStopped("The run was stopped.", remedy=resume))

    status, error = "finished", ""
    failure: BaseException | None = None
    with interrupts.handled_by(interrupted):
        try:
            await driver.play()
        except RunStopped as stopped:
            status, error = "stopped", str(stopped)
        except BaseException as caught:  # noqa: BLE001 - raised again below, after the processes are ended
            status, error = "failed", str(caught)
            failure = caught
        try:
            await _close(driver, hurry)
        except PodgymError as trouble:
            failure = failure or trouble
            status, error = "failed", error or str(trouble)
        if hurry.is_set() or not driver.clean or failure is not None:
            await reap(job, run.id)
    summary = driver.summary(status, error)
    writer.run(status=status, ended_s=time.time())
    if failure is not None:
        with contextlib.suppress(PodgymError):
            run.write_summary(summary.as_dict())
        raise failure
    run.write_summary(summary.as_dict())
    return summary


async def _close(driver: Driver, hurry: asyncio.Event) -> None:
    closing = asyncio.create_task(driver.close())
    hurried = asyncio.create_task(hurry.wait())
    try:
        await asyncio.wait({closing, hurried}, return_when=asyncio.FIRST_COMPLETED)
        if closing.done():
            closing.result()
            return
        closing.cancel()
        await asyncio.gather(closing, return_exceptions=True)
        await driver.kill()
    finally:
        hurried.cancel()


def sweep_run(state: RunState) -> int:
    """End the processes that a run's state names and that still run, and remove its private Ray. Returns how many were killed."""
    killed = 0
    recorded: Mapping[str, Mapping[str, Any]] = state.details.get("processes") or {}
    for entry in recorded.values():
        process = ProcessId(**entry)
        if process.host == socket.gethostname() and process.runs:
            os.kill(process.pid, signal.SIGKILL)
            killed += 1
    folder = Path(str(state.details.get("ray_folder") or ""))
    return killed + (sweep(folder, patience_s=2.0) if folder.name.startswith(PREFIX) else 0)


async def reap(job: JobConfig, run_id: str) -> int:
    """Remove what dead processes of a run left of its sandboxes, where the provider can find it. Returns how many."""
    if job.sandbox.provider == "local":
        found = len(await asyncio.to_thread(reap_local, run_id, config=LocalConfig(**job.sandbox.options)))
    else:
        provider: Any = open_provider(job.sandbox.provider, job.sandbox.options)
        try:
            found = int(await provider.reap(run_id)) if hasattr(provider, "reap") else 0
        finally:
            await provider.close()
    if found:
        _log.info("%d leftovers of the run's sandboxes are removed.", found)
    return found


class _Interrupts:
    """SIGINT and SIGTERM for the length of a run: `KeyboardInterrupt` before and after the event loop, a call while it runs.

    One that comes while Ray starts may be swallowed there; it is remembered and told to the first handler. Outside the main
    thread nothing is touched.
    """

    def __init__(self) -> None:
        self._here = threading.current_thread() is threading.main_thread()
        self._pending = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> _Interrupts:
        if self._here:
            self._before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
            self.arm()
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def arm(self) -> None:
        for number in self._before:
            signal.signal(number, self._interrupt)

    def _interrupt(self, _signum: int, _frame: FrameType | None) -> None:
        self._pending = True
        raise KeyboardInterrupt

    @contextlib.contextmanager
    def handled_by(self, interrupted: Callable[[], None]) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in self._before:
            loop.add_signal_handler(number, interrupted)
        if self._pending:
            interrupted()
        try:
            yield
        finally:
            for number in self._before:
                loop.remove_signal_handler(number)
            self.arm()
