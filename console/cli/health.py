"""What `podgym doctor` looks at. Every check is bounded, changes nothing, and says what its result means.

`failed` is wrong for everyone, `missing` only for those who want what it is for.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

from podgym.errors import PodgymError

if TYPE_CHECKING:
    from podgym.sandbox.local import LocalConfig

__all__ = ["Finding", "examine"]

_GIB = 1 << 30
_GIT = (2, 30)
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")


class Finding(BaseModel):
    """One line of the report."""

    model_config = ConfigDict(frozen=True)

    name: str
    status: Literal["ok", "missing", "failed"]
    found: str
    meaning: str = ""
    """What it is needed for."""
    remedy: str = ""


def examine() -> list[Finding]:
    """Every check, in order. Takes a few seconds, more where programs that are asked for their version hang: each gets 10 s."""
    checks: tuple[Callable[[], Finding], ...] = (
        _python, _git, _sandboxes, _cgroups, _toolchains, _docker, _ray, _torch,
        _processors, _memory, _disk, _shared_memory, _files, _browser,
    )  # fmt: skip
    return [check() for check in checks]


def _python() -> Finding:
    found = ".".join(map(str, sys.version_info[:3]))
    status: Literal["ok", "failed"] = "ok" if sys.version_info >= (3, 11) else "failed"
    return Finding(
        name="Python", status=status, found=f"{found} in {sys.prefix}", meaning="podgym needs 3.11.", remedy="Install a newer one."
    )


def _git() -> Finding:
    meaning, remedy = "Tasks are made from git repositories.", "Install git 2.30 or newer."
    try:
        done = subprocess.run(["git", "--version"], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        return Finding(name="git", status="failed", found=f"does not run: {error}", meaning=meaning, remedy=remedy)
    numbers = tuple(int(part) for part in re.findall(r"\d+", done.stdout)[:2])
    status: Literal["ok", "failed"] = "ok" if numbers >= _GIT else "failed"
    return Finding(name="git", status=status, found=done.stdout.strip(), meaning=meaning, remedy=remedy)


def _sandboxes() -> Finding:
    meaning = "Local sandboxes are isolated by namespaces; without them commands run as your user and see this machine."
    try:
        tried = _try_sandbox("true")
    except PodgymError as error:
        return Finding(name="local sandboxes", status="missing", found=error.message, meaning=meaning, remedy=error.remedy)
    except OSError as error:
        return Finding(name="local sandboxes", status="failed", found=str(error), meaning=meaning, remedy="See the message.")
    return Finding(
        name="local sandboxes", status="ok", found=f"isolated, made and closed in {1000 * tried.seconds:.0f} ms", meaning=meaning
    )


def _cgroups() -> Finding:
    from podgym.sandbox.local.spawning import UNBOUNDED_REMEDY

    meaning = "Control groups bound memory and CPU of a whole sandbox; without them memory is bounded per process."
    try:
        tried = _try_sandbox("cat /proc/self/cgroup")
    except (PodgymError, OSError) as error:
        return Finding(name="control groups", status="missing", found=str(error), meaning=meaning)
    if tried.unbounded or tried.memory_bytes != tried.asked_bytes:
        found = tried.unbounded or f"a sandbox that asked for {tried.asked_bytes} bytes of memory was bounded by {tried.memory_bytes}"
        return Finding(name="control groups", status="missing", found=found, meaning=meaning, remedy=UNBOUNDED_REMEDY)
    found = f"a sandbox's memory is bounded, {tried.asked_bytes / _GIB:g} GiB as asked"
    return Finding(name="control groups", status="ok", found=found, meaning=meaning)


@dataclass(frozen=True, slots=True)
class _Tried:
    """One sandbox from nothing to closed."""

    seconds: float
    unbounded: str
    """Why no control group bounds it; empty where one does."""
    asked_bytes: int
    memory_bytes: int | None
    """The bound that was found set, where the script wrote its /proc/self/cgroup."""


def _try_sandbox(script: str) -> _Tried:
    from podgym.sandbox.local import LocalConfig

    with tempfile.TemporaryDirectory(prefix="podgym-doctor-") as folder:
        scratch = Path(folder)
        scratch.chmod(0o711)
        return asyncio.run(_in_sandbox(LocalConfig(isolation="require", scratch=scratch / "scratch", cache=scratch / "cache"), script))


async def _in_sandbox(config: LocalConfig, script: str) -> _Tried:
    from podgym.sandbox import SandboxSpec
    from podgym.sandbox.local import LocalProvider
    from podgym.sandbox.local.inside.bases import memory_limit

    provider, spec = LocalProvider(config), SandboxSpec(image="host")
    try:
        await (await provider.create(spec)).close()
        began = time.monotonic()
        sandbox = await provider.create(spec)
        result = await sandbox.run(script, timeout_s=10)
        await sandbox.close()
        return _Tried(
            seconds=time.monotonic() - began,
            unbounded=provider.unbounded,
            asked_bytes=spec.limits.memory_bytes,
            memory_bytes=memory_limit(result.stdout.text()) if result.stdout.head else None,
        )
    finally:
        await provider.close()


def _toolchains() -> Finding:
    from podgym.sandbox.local.toolchains import Toolchains
    from podgym.sandbox.local.toolchains.kinds import KINDS

    meaning = "Local sandboxes can have these; tasks that want others need the docker provider."
    try:
        versions = Toolchains({}).versions()
    except (PodgymError, OSError, RuntimeError) as error:
        remedy = "Correct PATH and the variables that name toolchains (JAVA_HOME, GOROOT and so on)."
        return Finding(name="toolchains", status="failed", found=f"cannot be looked for: {error}", meaning=meaning, remedy=remedy)
    titles = {"python": "Python", **{tool: kind.title.removeprefix("a ") for tool, kind in KINDS.items()}}
    there = [f"{titles[tool]} {', '.join(found)}" for tool, found in versions.items() if found]
    lacking = [titles[tool] for tool, found in versions.items() if not found]
    return Finding(
        name="toolchains",
        status="ok",
        found="; ".join([*there, *([f"no {', no '.join(lacking)}"] if lacking else [])]),
        meaning=meaning,
    )


def _docker() -> Finding:
    meaning = "The docker provider runs sandboxes as containers."
    if importlib.util.find_spec("docker") is None:
        return Finding(
            name="Docker", status="missing", found="the SDK is not installed", meaning=meaning, remedy="pip install 'podgym[docker]'"
        )
    from podgym.sandbox.docker import DockerConfig, DockerProvider

    try:
        provider = DockerProvider(DockerConfig(call_timeout_s=5))
    except PodgymError as error:
        return Finding(name="Docker", status="missing", found=error.message[:200], meaning=meaning, remedy=error.remedy)
    asyncio.run(provider.close())
    return Finding(name="Docker", status="ok", found="the engine answers", meaning=meaning)


def _ray() -> Finding:
    meaning = "Jobs run on Ray; its Jobs API takes those with --address."
    found = _version("ray")
    if found is None:
        return Finding(name="Ray", status="failed", found="not installed", meaning=meaning, remedy="pip install 'ray[default]'")
    whole = importlib.util.find_spec("aiohttp_cors") is not None
    return Finding(
        name="Ray",
        status="ok" if whole else "missing",
        found=found if whole else f"{found} without its dashboard",
        meaning=meaning,
        remedy="" if whole else "pip install 'ray[default]'",
    )


def _torch() -> Finding:
    versions = {name: _version(name) for name in ("torch", "transformers")}
    lacking = [name for name, found in versions.items() if found is None]
    return Finding(
        name="training",
        status="missing" if lacking else "ok",
        found=f"no {' and no '.join(lacking)}" if lacking else ", ".join(f"{name} {found}" for name, found in versions.items()),
        meaning="Sampling from checkpoints and training need torch and transformers.",
        remedy="pip install 'podgym[train]'" if lacking else "",
    )


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _processors() -> Finding:
    count = len(os.sched_getaffinity(0))
    return Finding(name="processors", status="ok", found=str(count), meaning="Sandboxes, sampling and training share them.")


def _memory() -> Finding:
    fields = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    total, free = (int(fields[name].split()[0]) * 1024 for name in ("MemTotal", "MemAvailable"))
    for limit in (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes")):
        if limit.is_file() and (text := limit.read_text().strip()).isdigit():
            total = min(total, int(text))
    enough = min(total, free) >= 2 * _GIB
    return Finding(
        name="memory",
        status="ok" if enough else "missing",
        found=f"{free / _GIB:.1f} GiB free of {total / _GIB:.1f}",
        meaning="The demonstration needs 2 GiB.",
        remedy="" if enough else "Free some, or lower sandbox.concurrency.",
    )


def _disk() -> Finding:
    free = {place: shutil.disk_usage(place).free for place in (Path.cwd(), Path(tempfile.gettempdir()))}
    enough = min(free.values()) >= 2 * _GIB
    return Finding(
        name="disk",
        status="ok" if enough else "missing",
        found=", ".join(f"{amount / _GIB:.1f} GiB free in {place}" for place, amount in free.items()),
        meaning="Runs and images are kept here.",
        remedy="" if enough else "Free 2 GiB, or point TMPDIR and --directory elsewhere.",
    )


def _shared_memory() -> Finding:
    place = Path("/dev/shm")
    size = shutil.disk_usage(place).free if place.is_dir() else 0
    enough = size >= 128 << 20
    return Finding(
        name="/dev/shm",
        status="ok" if enough else "missing",
        found=f"{size / _GIB:.2f} GiB free",
        meaning="Ray keeps its objects there, and goes to the slower disk where it is small.",
        remedy="" if enough else "In a container: --shm-size=1g.",
    )


def _files() -> Finding:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = soft >= 4096
    return Finding(
        name="open files",
        status="ok" if enough else "missing",
        found=f"{soft} (at most {hard})",
        meaning="Each sandbox keeps a few files open.",
        remedy="" if enough else "ulimit -n 65536",
    )


def _browser() -> Finding:
    found = next((path for name in _BROWSERS if (path := shutil.which(name))), None)
    return Finding(
        name="Chromium",
        status="ok" if found else "missing",
        found=found or "not found",
        meaning="Only podgym's own tests of its web pages use it.",
    )
