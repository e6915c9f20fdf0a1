"""Which provider `auto` takes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from podgym.sandbox import ImageError, ImageRecipe, SandboxProvider, SandboxSpec, TransportError
from podgym.sandbox.auto import AutoProvider
from podgym.sandbox.local import LocalConfig, LocalProvider
from podgym.sandbox.providers import ProviderError, open_provider


class Containers:
    """An engine that has some images, can pull others, and refuses the rest."""

    def __init__(self, *, has: set[str], pulls: set[str], down: bool = False) -> None:
        self._has, self._pulls, self._down = has, pulls, down
        self.asked: list[str] = []
        self.closed = False

    async def create(self, spec: SandboxSpec) -> Containers:
        self.asked.append(spec.image)
        if self._down:
            raise TransportError("The engine does not answer.")
        if spec.image not in self._has | self._pulls:
            raise ImageError("No such image.")
        return self

    async def close(self) -> None:
        self.closed = True

    async def bases(self) -> frozenset[str]:
        return frozenset(self._has)


@pytest_asyncio.fixture
async def local(tmp_path: Path) -> AsyncIterator[LocalProvider]:
    provider = LocalProvider(LocalConfig(cache=tmp_path / "cache", scratch=tmp_path / "scratch"))
    yield provider
    await provider.close()


def spec(base: str) -> SandboxSpec:
    return SandboxSpec(image="x", recipe=ImageRecipe(base=base))


async def test_what_is_there_goes_before_what_can_be_pulled_and_that_before_this_machine(local) -> None:
    (base, *_) = sorted(await local.bases())
    containers = Containers(has={"here:1"}, pulls={"pulled:1"})
    auto = AutoProvider(containers, local)
    assert isinstance(auto, SandboxProvider)
    assert await auto.bases() == await local.bases() | {"here:1"}
    for name, chosen in {"here:1": containers, "pulled:1": containers, base: local, f"mirror.example.org/{base}": local}.items():
        assert await auto.provider_for(spec(name)) is chosen, name
        assert await auto.provider_for(spec(name)) is chosen
    assert await auto.provider_for(SandboxSpec(image="host")) is local
    assert await auto.provider_for(spec("nowhere:1")) is containers, "whose error says more"
    assert containers.asked == ["pulled:1", base, f"mirror.example.org/{base}", "nowhere:1"], "each is tried once"
    await auto.close()
    assert containers.closed


async def test_an_engine_that_fails_is_not_passed_over(local) -> None:
    (base, *_) = sorted(await local.bases())
    containers = Containers(has=set(), pulls=set(), down=True)
    assert await AutoProvider(containers, local).provider_for(spec(base)) is containers


async def test_without_an_engine_everything_is_local(local) -> None:
    auto = AutoProvider(None, local)
    assert await auto.provider_for(spec("nowhere:1")) is local
    sandbox = await auto.create(SandboxSpec(image="host"))
    assert (await sandbox.run("echo yes", timeout_s=20)).stdout.text() == "yes\n"
    await auto.close()


def test_it_is_opened_by_name_and_takes_no_options() -> None:
    assert isinstance(open_provider("auto", {}), AutoProvider)
    with pytest.raises(ProviderError, match="takes no options, got pull"):
        open_provider("auto", {"pull": "never"})
