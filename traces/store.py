"""Where runs live on disk. One folder per run holds everything the run made:

    <root>/<run_id>/job.toml state.json summary.json metrics.jsonl log index.sqlite checkpoints/ traces/<2 hex>/<rollout_id>.trace

Small files are replaced atomically, so that a reader sees the old one or the new one; `metrics.jsonl` grows by whole lines. Ids may
come from a URL: only names that match `ID` and folders that are no links are ever joined to the root.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import socket
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from podgym.traces.errors import RecordNotFound, TraceCorrupt, TraceStoreError

__all__ = ["RunDir", "RunState", "RunStatus", "RunStore", "write_atomically"]

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,199}", re.ASCII)
RunStatus = Literal["queued", "running", "finished", "failed", "stopped"]


class RunState(BaseModel):
    """What `state.json` says. A run that says `running` and whose process is gone has crashed."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    status: RunStatus
    name: str = ""
    started_s: float = 0.0
    """Unix time."""
    ended_s: float | None = None
    error: str = ""
    pid: int | None = None
    """Of the driver, on `host`."""
    pid_started: int | None = None
    """The kernel's start time of that process, so that a reused pid is not taken for it."""
    host: str = ""
    details: dict[str, Any] = {}
    """Whatever else the job keeps: step, Ray job id, address."""

    @classmethod
    def of_this_process(cls, *, name: str, **fields: Any) -> RunState:
        """`running`, owned by the calling process."""
        return cls(
            status="running",
            name=name,
            started_s=time.time(),
            pid=os.getpid(),
            pid_started=_started(os.getpid()),
            host=socket.gethostname(),
            **fields,
        )

    @property
    def crashed(self) -> bool:
        """It says `running`, and on this machine its process does not run."""
        if self.status != "running" or self.pid is None or self.host != socket.gethostname():
            return False
        started = _started(self.pid)
        return started is None or (self.pid_started is not None and started != self.pid_started)


def _started(pid: int) -> int | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


class _MetricsLine(BaseModel):
    """One line of `metrics.jsonl`; JSON has no NaN, and says null."""

    step: int = Field(ge=0, lt=1 << 31)
    at_s: FiniteFloat
    values: dict[str, FiniteFloat | None]


def write_atomically(path: Path, data: bytes) -> None:
    """Replace `path`. Raises `TraceStoreError`; the old file then stands."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        try:
            temporary.write_bytes(data)
            temporary.replace(path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        remedy = (
            "Free space there and try again."
            if error.errno in (errno.ENOSPC, errno.EDQUOT)
            else "Check that the folder is there and writable."
        )
        raise TraceStoreError(f"{path} cannot be written: {error.strerror or error}.", remedy=remedy) from error


class RunDir:
    """One run's folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.id = path.name
        self.job_path = path / "job.toml"
        self.log_path = path / "log"
        self.metrics_path = path / "metrics.jsonl"
        self.traces_path = path / "traces"
        self.checkpoints_path = path / "checkpoints"
        self.index_path = path / "index.sqlite"

    def __repr__(self) -> str:
        return f"RunDir({str(self.path)!r})"

    @property
    def index_url(self) -> str:
        """SQLAlchemy URL of the run's own index."""
        return f"sqlite:///{self.index_path.absolute()}"

    def trace_path(self, rollout_id: str) -> Path:
        """Where the trace of a rollout is or will be. Raises `RecordNotFound` for an id that is no file name."""
        _checked(rollout_id, "rollout")
        return self.traces_path / f"{zlib.crc32(rollout_id.encode()) & 0xFF:02x}" / f"{rollout_id}.trace"

    def trace_paths(self) -> Iterator[Path]:
        """Every trace there is, in a stable order, one folder in memory at a time."""
        if self.traces_path.is_dir():
            for folder in sorted(path for path in self.traces_path.iterdir() if path.is_dir()):
                yield from sorted(folder.glob("*.trace"))

    def state(self) -> RunState | None:
        """None for a run that has not said anything yet. Raises `TraceCorrupt`."""
        data = self._read_json("state.json")
        try:
            return None if data is None else RunState.model_validate(data)
        except ValidationError as error:
            raise TraceCorrupt(f"{self.path / 'state.json'} is not a run's state: {error.errors()[0]['msg']}.") from error

    def write_state(self, state: RunState) -> None:
        """Replace `state.json`."""
        write_atomically(self.path / "state.json", state.model_dump_json(indent=2).encode())

    def status(self) -> str:
        """A `RunStatus`, or `crashed`, or `unknown` where there is no readable state."""
        try:
            state = self.state()
        except TraceCorrupt:
            return "unknown"
        if state is None:
            return "unknown"
        return "crashed" if state.crashed else state.status

    def summary(self) -> dict[str, Any] | None:
        """What `summary.json` says. Raises `TraceCorrupt`."""
        data = self._read_json("summary.json")
        if data is not None and not isinstance(data, dict):
            raise TraceCorrupt(f"{self.path / 'summary.json'} is not a summary.")
        return data

    def write_summary(self, summary: dict[str, Any]) -> None:
        """Replace `summary.json`."""
        write_atomically(self.path / "summary.json", orjson.dumps(summary, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY))

    def append_metrics(self, step: int, at_s: float, values: Mapping[str, float]) -> None:
        """One line of `metrics.jsonl`: the numbers of one step, and when (Unix time). Raises `TraceStoreError`."""
        line = orjson.dumps({"step": step, "at_s": at_s, "values": dict(values)}, option=orjson.OPT_SERIALIZE_NUMPY) + b"\n"
        try:
            with self.metrics_path.open("ab+") as file:
                if size := file.seek(0, os.SEEK_END):
                    file.seek(size - 1)
                    if file.read(1) != b"\n":  # A process was killed, or the disk was full, in the middle of a line.
                        line = b"\n" + line
                file.write(line)
        except OSError as error:
            raise TraceStoreError(f"{self.metrics_path} cannot be written: {error.strerror or error}.") from error

    def metrics(self) -> Iterator[tuple[int, float, dict[str, float]]]:
        """Step, time and numbers of every line that is whole, oldest first. Raises `TraceStoreError`."""
        try:
            with self.metrics_path.open("rb") as file:
                for line in file:
                    try:
                        row = _MetricsLine.model_validate_json(line)
                    except ValidationError:
                        continue
                    yield row.step, row.at_s, {name: value for name, value in row.values.items() if value is not None}
        except FileNotFoundError:
            return
        except OSError as error:
            raise TraceStoreError(f"{self.metrics_path} cannot be read: {error.strerror or error}.") from error

    def _read_json(self, name: str) -> Any:
        try:
            return orjson.loads((self.path / name).read_bytes())
        except FileNotFoundError:
            return None
        except orjson.JSONDecodeError as error:
            raise TraceCorrupt(
                f"{self.path / name} is not JSON: {error}.", remedy="Delete it; the run's traces are not touched by that."
            ) from error


class RunStore:
    """All runs under one root."""

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)

    @staticmethod
    def new_id(name: str) -> str:
        """An id that no other run has: when, which job, the milliseconds, chance. Later runs of one job sort after earlier ones."""
        slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "run"
        now = time.time()
        when = time.strftime("%Y%m%d-%H%M%S", time.localtime(now))
        return f"{when}-{slug}-{int(now % 1 * 1000):03x}{secrets.token_hex(1)}"

    def create(self, name: str, *, run_id: str | None = None) -> RunDir:
        """A new run, its folder made; `run_id` comes from `new_id`. Raises `TraceStoreError`."""
        path = self.root / _checked(run_id or self.new_id(name), "run")
        try:
            (path / "traces").mkdir(parents=True)
        except OSError as error:
            raise TraceStoreError(
                f"The run folder {path} cannot be made: {error.strerror}.", remedy="Choose a folder that can be written."
            ) from error
        return RunDir(path)

    def open(self, run_id: str) -> RunDir:
        """A run by its whole id. Raises `RecordNotFound`."""
        path = self.root / _checked(run_id, "run")
        if path.is_symlink() or not path.is_dir():
            raise RecordNotFound(f"There is no run {run_id} under {self.root}.", remedy="`podgym job list` shows what there is.")
        return RunDir(path)

    def find(self, prefix: str) -> RunDir:
        """A run by its id, a prefix of it, or the end of it; `latest` is the newest. Raises `RecordNotFound`."""
        if not prefix.strip():
            raise RecordNotFound("An empty id names no run.", remedy="Give the id or a part of it, or `latest`.")
        runs = self.runs()
        if prefix == "latest" and runs:
            return runs[0]
        found = [run for run in runs if run.id == prefix] or [
            run for run in runs if run.id.startswith(prefix) or run.id.endswith(f"-{prefix}")
        ]
        if len(found) != 1:
            some = ", ".join(run.id for run in found[:5])
            raise RecordNotFound(
                f"{len(found)} runs under {self.root} fit {prefix!r}" + (f": {some}." if found else "."),
                remedy="Give more of the id." if found else "`podgym job list` shows what there is.",
            )
        return found[0]

    def runs(self) -> list[RunDir]:
        """All runs, newest first by id."""
        try:
            with os.scandir(self.root) as entries:
                names = [entry.name for entry in entries if ID.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise TraceStoreError(f"The runs under {self.root} cannot be listed: {error.strerror}.") from error
        return [RunDir(self.root / name) for name in sorted(names, reverse=True)]


def _checked(name: str, what: str) -> str:
    if not ID.fullmatch(name):
        raise RecordNotFound(f"{name[:80]!r} is not the id of a {what}.", remedy="Ids are letters, digits and . _ @ + - only.")
    return name
