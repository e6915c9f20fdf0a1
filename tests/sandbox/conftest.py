"""Every provider as a parameter: a test that takes `kit`, `own_kit` or `sandbox` runs against each.

A provider joins by one entry in `OPENERS` (and a marker where it needs something that a machine may lack).
"""

from __future__ import annotations

import asyncio
import itertools
import mmap
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

import coverage
import pytest
import pytest_asyncio

from podgym.sandbox import Sandbox, SandboxProvider, SandboxSpec, TransportError
from podgym.sandbox.local import LocalConfig, LocalProvider, inside, spawning


@dataclass(frozen=True)
class Kit:
    """A provider, and an image of it that has a shell and coreutils."""

    provider: SandboxProvider
    image: str
    has_interfaces: bool = False
    """Without a network it has them all the same, and what they reach is decided elsewhere."""
    bounds_processes: bool = True

    def spec(self, **changes: Any) -> SandboxSpec:
        return SandboxSpec(**{"image": self.image, "labels": {"run": "conformance"}, **changes})

    async def create(self, **changes: Any) -> Sandbox:
        return await self.provider.create(self.spec(**changes))


DOCKER_IMAGE = "debian:bookworm"


def docker_provider(**changes: Any) -> SandboxProvider:
    """Skips the test where no engine answers or it lacks the image."""
    pytest.importorskip("docker", reason="the Docker SDK is not installed (extra [docker])")
    from podgym.sandbox.docker import DockerConfig, DockerProvider

    try:
        return DockerProvider(DockerConfig(**{"build_network": "host", "connect_timeout_s": 30.0, **changes}))
    except TransportError as error:
        pytest.skip(f"no Docker engine: {error.message}")


@pytest.fixture(scope="session")
def docker_kit() -> Callable[..., Kit]:
    """Opens providers on Docker, which the test closes."""
    return lambda **changes: Kit(docker_provider(**changes), DOCKER_IMAGE)


@pytest.fixture(scope="session")
def image_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("images")


def _local(cache: Path, scratch: Path) -> Kit:
    return Kit(LocalProvider(LocalConfig(isolation="require", cache=cache, scratch=scratch)), "host")


def _docker(cache: Path, scratch: Path) -> Kit:
    return Kit(docker_provider(), DOCKER_IMAGE)


def _kubernetes(cache: Path, scratch: Path, commands: str = "mux") -> Kit:
    """On the real node of a cluster that has `DOCKER_IMAGE`; skips the test where there is none."""
    if "KUBECONFIG" not in os.environ:
        pytest.skip("no KUBECONFIG")
    pytest.importorskip("kubernetes", reason="the Kubernetes client is not installed (extra [k8s])")
    from podgym.k8s.config import KubernetesConfig
    from podgym.k8s.provider import KubernetesProvider

    selector = {"type": "real"} if os.environ.get("PODGYM_TEST_NODES", "real") == "real" else {}
    config = KubernetesConfig(
        commands=commands,
        node_selector=selector,
        image_pull_policy="IfNotPresent",
        start_timeout_s=120,
        cpu_request=0.01,
        memory_request=0.05,
    )
    return Kit(KubernetesProvider(config), f"docker.io/library/{DOCKER_IMAGE}", has_interfaces=True, bounds_processes=False)


OPENERS: dict[str, Callable[[Path, Path], Kit]] = {
    "local": _local,
    "docker": _docker,
    "mux": _kubernetes,
    "oneshot": partial(_kubernetes, commands="oneshot"),
}
MARKS = {"docker": pytest.mark.docker, "mux": pytest.mark.cluster, "oneshot": pytest.mark.cluster}


PARAMETERS = [pytest.param(name, marks=MARKS.get(name, ())) for name in OPENERS]


@pytest_asyncio.fixture(params=PARAMETERS, scope="session", loop_scope="session")
async def kit(
    request: pytest.FixtureRequest, image_cache: Path, tmp_path_factory: pytest.TempPathFactory, measured_helper: None
) -> AsyncIterator[Kit]:
    """One provider for the whole session."""
    opened = OPENERS[request.param](image_cache, tmp_path_factory.mktemp("scratch"))
    yield opened
    await opened.provider.close()


@pytest_asyncio.fixture(params=PARAMETERS, loop_scope="session")
async def own_kit(request: pytest.FixtureRequest, image_cache: Path, tmp_path: Path) -> AsyncIterator[Kit]:
    """A provider for this test alone."""
    opened = OPENERS[request.param](image_cache, tmp_path / "scratch")
    yield opened
    await opened.provider.close()


@pytest_asyncio.fixture(loop_scope="session")
async def sandbox(kit: Kit) -> AsyncIterator[Sandbox]:
    made = await kit.create()
    yield made
    await made.close()


@pytest.fixture
async def local(image_cache: Path, tmp_path: Path) -> AsyncIterator[Callable[..., LocalProvider]]:
    """Makes local providers that are closed after the test."""
    made: list[LocalProvider] = []

    def make(**changes: Any) -> LocalProvider:
        config = LocalConfig(**{"isolation": "require", "cache": image_cache, "scratch": tmp_path / "scratch", **changes})
        made.append(LocalProvider(config))
        return made[-1]

    yield make
    for provider in made:
        await provider.close()


@pytest.fixture
async def bounded(local: Callable[..., LocalProvider]) -> None:
    """Skips the test where no control group can bound a whole sandbox."""
    provider = local()
    await provider.create(SandboxSpec(image="host"))
    if provider.unbounded:
        pytest.skip(f"no control groups can be made here: {provider.unbounded}")


_TRACED_MAIN = """
import mmap, os, runpy, sys
here, names, width = {here!r}, {names!r}, {width}
with open({arcs!r}, "r+b") as file:
    memory = mmap.mmap(file.fileno(), 0)
numbers = {{os.path.join(here, name): at for at, name in enumerate(names)}}

def enter(frame, event, arg):
    number = numbers.get(frame.f_code.co_filename)
    if number is None:
        return None
    base, first = number * width * width, frame.f_code.co_firstlineno
    last = first + width // 2

    def line(frame, event, arg):
        nonlocal last
        if event in ("line", "return"):
            now = frame.f_lineno if event == "line" else first + width // 2
            memory[base + last * width + now] = 1
            last = now
        return line

    return line

sys.settrace(enter)
runpy.run_path(os.path.join(here, "__main__.py"), run_name="__main__")
"""


class HelperArcs:
    """Arcs that forked, confined processes ran: a byte per pair of lines in a mapping that all of them share."""

    WIDTH = 2048
    """Twice the longest module; negative line numbers, which mean entry and exit, are in the upper half."""

    def __init__(self, folder: Path, inside: Path) -> None:
        self._inside = inside
        self._names = sorted(path.name for path in inside.glob("*.py"))
        self._arcs = folder / "arcs"
        with self._arcs.open("wb") as file:
            file.truncate(len(self._names) * self.WIDTH**2)
        text = _TRACED_MAIN.format(here=str(inside), names=self._names, width=self.WIDTH, arcs=str(self._arcs))
        (folder / "__main__.py").write_text(text)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._arcs.unlink()

    def save(self, data_file: str) -> None:
        found: dict[str, set[tuple[int, int]]] = {}
        with self._arcs.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as memory:
            at = memory.find(b"\1")
            while at >= 0:
                number, pair = divmod(at, self.WIDTH**2)
                arc = tuple(n if n < self.WIDTH // 2 else self.WIDTH // 2 - n for n in divmod(pair, self.WIDTH))
                found.setdefault(str(self._inside / self._names[number]), set()).add((arc[0], arc[1]))
                at = memory.find(b"\1", at + 1)
        data = coverage.CoverageData(basename=data_file, suffix="sandbox-helper")
        data.add_arcs(found)
        data.write()


async def eventually(condition: Callable[[], bool], *, within_s: float = 5.0) -> bool:
    """Whether a condition comes true in time."""
    until = time.monotonic() + within_s
    for pause_s in itertools.repeat(0.01):
        if condition():
            return True
        if time.monotonic() > until:
            return False
        await asyncio.sleep(pause_s)
    return False


@pytest.fixture
def soon() -> Callable[..., Awaitable[bool]]:
    return eventually


def running(mark: str) -> list[int]:
    """Processes of the machine whose command line holds `mark`."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                line = (folder / "cmdline").read_bytes()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if mark.encode() in line:
                found.append(int(folder.name))
    return found


@pytest.fixture
def processes_with() -> Callable[[str], list[int]]:
    return running


_PATCHED_MAIN = """
def wrap(name, refuse):
    from podgym.sandbox.local.inside import kernel
    original = getattr(kernel, name)
    def call(*arguments, **options):
        refuse(*arguments)
        return original(*arguments, **options)
    setattr(kernel, name, call)

{refusals}

text = open({real!r}).read()
start = text.rindex("    keep(")
text = text[:start] + "    wrap({name!r}, refuse)\\n" + text[start:]
exec(compile(text, {real!r}, "exec"), {{"__name__": "__main__", "__file__": {real!r}, "wrap": wrap, "refuse": refuse}})
"""


@pytest.fixture
def refusing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Makes the helper's kernel call `name` fail where the function `refuse`, given as source, raises."""

    def break_it(name: str, refusals: str) -> None:
        folder = tmp_path / "refusing"
        folder.mkdir()
        real = Path(inside.__path__[0]) / "__main__.py"
        (folder / "__main__.py").write_text(_PATCHED_MAIN.format(name=name, refusals=refusals, real=str(real)))
        monkeypatch.setattr(spawning, "INSIDE", folder)

    return break_it


@pytest.fixture(autouse=True, scope="session")
def measured_helper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Under `coverage`, the helper (which has no site-packages) reports its lines through shared memory."""
    current = coverage.Coverage.current()
    if current is None:
        yield
        return
    folder = tmp_path_factory.mktemp("measured")
    with HelperArcs(folder, spawning.INSIDE) as arcs, pytest.MonkeyPatch.context() as patch:
        patch.setattr(spawning, "INSIDE", folder)
        yield
        arcs.save(str(current.config.data_file))
