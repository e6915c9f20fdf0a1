"""Makes one build in a process of its own, within bounds, and takes in what comes of it.

The process has its own group, temporary directory and output directory. However it ends, there is a report, and nothing of it is left:
its sandboxes end with it, its directories are removed here, and half-made image layers as soon as no process holds them.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from podgym.envs.build.funnel.job import OUT, REPORT, Job
from podgym.envs.build.funnel.row import LostReason, lost_report
from podgym.envs.build.funnel.scratch import Scratch, sweep_scratch
from podgym.envs.build.funnel.usage import free_bytes, used_bytes
from podgym.envs.build.report import BuildReport
from podgym.sandbox.local import LocalConfig, reap
from podgym.sandbox.local.drafts import remove_tree

__all__ = ["Progress", "run_job"]

Progress = Callable[[str], None]
_MAIN: Final = "podgym.envs.build.funnel.child_main"
_LOOK_S: Final = 2.0
"""Between two looks at the disk."""
_DETAILS: Final = 4000


class _Ended(Exception):
    """The build was ended from here."""

    def __init__(self, reason: LostReason, message: str) -> None:
        super().__init__(message)
        self.reason: LostReason = reason


async def run_job(job: Job, progress: Progress = lambda _: None) -> BuildReport:
    """The report of one build, which is made in a process of its own. Its task ends up in the funnel's folder."""
    build = _Child(job, progress)
    try:
        return await build.run()
    except OSError as error:
        return build.lost("not_started", f"The build could not be started: {error}.")
    finally:
        await asyncio.shield(asyncio.to_thread(build.clear))


class _Child:
    def __init__(self, job: Job, progress: Progress) -> None:
        self._job, self._progress = job, progress
        self._started = time.monotonic()
        self._scratch: Scratch | None = None
        self._config = _local_config(job)
        self._pid = 0
        self._whole = False

    async def run(self) -> BuildReport:
        """Raises `OSError` where nothing can be started."""
        job = self._job
        free = free_bytes(self._places)
        if free < job.bounds.free_bytes:
            return self.lost("disk_full", f"Only {free >> 20} MiB are free; no build starts with less than {job.bounds.free_bytes >> 20}.")
        remove_tree(job.work)  # of a funnel that was killed
        job.work.mkdir(parents=True)
        sweep_scratch()
        self._scratch = Scratch()
        log = self._scratch.path / "stderr"
        with log.open("wb") as errors:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", _MAIN, cwd=job.cwd, env={**os.environ, "TMPDIR": str(self._scratch.path)},
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=errors, start_new_session=True, limit=1 << 20,
            )  # fmt: skip
        self._pid = process.pid
        try:
            await self._watched(process)
        except _Ended as ended:
            return self.lost(ended.reason, str(ended), details=_tail(log))
        finally:
            await self._end(process)
        return self._taken(process.returncode or 0, log)

    @property
    def _places(self) -> list[Path]:
        return [Path(self._job.folder), Path(tempfile.gettempdir()), self._config.cache]

    async def _watched(self, process: asyncio.subprocess.Process) -> None:
        """Until the process has ended. Raises `_Ended` where it must be ended."""
        bounds = self._job.bounds
        look = asyncio.create_task(self._look())
        talk = asyncio.create_task(self._talk(process))
        try:
            done, _ = await asyncio.wait((look, talk), timeout=bounds.timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (look, talk):
                task.cancel()
            await asyncio.wait((look, talk))
        if not done:
            raise _Ended("hung", f"It took longer than {bounds.timeout_s:g} s and was ended.")
        done.pop().result()

    async def _talk(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None and process.stdout is not None
        with contextlib.suppress(ConnectionError):
            process.stdin.write(self._job.model_dump_json().encode() + b"\n")
            await process.stdin.drain()
        while True:
            try:
                line = await process.stdout.readline()
            except ValueError:  # longer than any line that it is meant to write
                continue
            if not line:
                await process.wait()
                return
            self._progress(line.decode("utf-8", "replace").strip())

    async def _look(self) -> None:
        """Watch the disk. Raises `_Ended` where this build fills it."""
        bounds = self._job.bounds
        before = free_bytes(self._places)
        while True:
            await asyncio.sleep(_LOOK_S)
            free = free_bytes(self._places)
            if free >= bounds.free_bytes and before - free < bounds.disk_bytes:
                continue
            used = await asyncio.to_thread(used_bytes, self._own())
            if used > bounds.disk_bytes:
                raise _Ended("disk_full", f"It wrote {used >> 20} MiB, of at most {bounds.disk_bytes >> 20}, and was ended.")
            if free < bounds.free_bytes and used > bounds.free_bytes // 4:
                raise _Ended("disk_full", f"Only {free >> 20} MiB were left after it had written {used >> 20}, and it was ended.")

    def _own(self) -> list[Path]:
        drafts = self._config.cache.glob(f"*/draft-*-{self._pid}")
        return [self._job.work, *([self._scratch.path] if self._scratch else []), *drafts]

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        """Ask, wait, kill; the whole group, so that nothing that it started goes on."""
        self._whole = process.returncode == 0
        try:
            if process.returncode is None:
                _signal(process.pid, signal.SIGTERM)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(process.wait(), self._job.bounds.goodbye_s)
        finally:
            _signal(process.pid, signal.SIGKILL)
            if process.stdin is not None:
                process.stdin.close()
        await process.wait()

    def _taken(self, code: int, log: Path) -> BuildReport:
        """What the process reported, its task moved to where it belongs."""
        if code:
            reason: LostReason = "killed" if code == -signal.SIGKILL else "crashed"
            why = "; there may have been too little memory" if reason == "killed" else ""
            ending = f"by signal {-code}" if code < 0 else f"with exit code {code}"
            return self.lost(reason, f"The build's process ended {ending}{why}.", details=_tail(log))
        try:
            report = BuildReport.model_validate_json((self._job.work / REPORT).read_bytes())
        except (OSError, ValidationError) as error:
            return self.lost("crashed", f"The build's process left no report: {error}.", details=_tail(log))
        return report if report.status == "failed" else self._moved(report)

    def _moved(self, report: BuildReport) -> BuildReport:
        made, place = self._job.work / OUT / report.task, Path(self._job.folder) / report.task
        if place.exists() and not (self._job.options.get("overwrite") or _same(made, place)):
            message = f"There is another task at {place} already. Give the line another name, or say --overwrite."
            return report.model_copy(update={"status": "failed", "stage": "write", "reason": "exists", "message": message, "out": ""})
        if place.exists():
            shutil.rmtree(place)
        made.rename(place)
        return report.model_copy(update={"out": str(place)})

    def lost(self, reason: LostReason, message: str, *, details: str = "") -> BuildReport:
        """The report of a build that left none."""
        spent = time.monotonic() - self._started
        report = lost_report(self._job.source, self._job.commit, reason, message, details=details, seconds=spent)
        language = self._job.options.get("language")
        return report.model_copy(update={"language": language}) if isinstance(language, str) else report

    def clear(self) -> None:
        """Remove what the build left."""
        with contextlib.suppress(OSError):
            remove_tree(self._job.work)
        with contextlib.suppress(OSError):
            self._job.work.parent.rmdir()  # where this was the last one
        if self._scratch is not None:
            self._scratch.close()
        if self._scratch is not None and not self._whole:
            with contextlib.suppress(OSError):
                reap(config=self._config)


def _local_config(job: Job) -> LocalConfig:
    """Where the local provider keeps layers, for all providers that may come down to it."""
    try:
        return LocalConfig.model_validate(job.provider[1]) if job.provider[0] == "local" else LocalConfig()
    except ValidationError:
        return LocalConfig()  # The build itself will say what is wrong with them.


def _signal(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _tail(log: Path) -> str:
    try:
        with log.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _DETAILS))
            return file.read().decode("utf-8", "replace").strip()
    except OSError:
        return ""


def _same(made: Path, place: Path) -> bool:
    """Whether a task is the one that an earlier run had made of the same commit before it was stopped."""
    return _origin(made) is not None and _origin(made) == _origin(place)


def _origin(directory: Path) -> tuple[str, str] | None:
    try:
        data = tomllib.loads((directory / "task.toml").read_text(encoding="utf-8"))
        said = data["metadata"]["podgym"]["provenance"]
        return str(said["base"]), str(said["commit"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
