"""Whatever this machine has: containers where a Docker engine answers and the base image can be had, else the local provider.

The choice is made once for each base image, so all sandboxes of a task are of one kind.
"""

from __future__ import annotations

import asyncio

from podgym.sandbox.contract import KnowsBases, Sandbox, SandboxProvider, SandboxSpec
from podgym.sandbox.errors import ImageError, SandboxError
from podgym.sandbox.local import LocalProvider

__all__ = ["AutoProvider"]


class AutoProvider:
    """`containers` is None where no engine answers."""

    def __init__(self, containers: SandboxProvider | None, local: LocalProvider) -> None:
        self._containers, self._local = containers, local
        self._chosen: dict[str, SandboxProvider] = {}
        self._choosing = asyncio.Lock()

    async def create(self, spec: SandboxSpec) -> Sandbox:
        """See `SandboxProvider.create`."""
        return await (await self.provider_for(spec)).create(spec)

    async def close(self) -> None:
        """See `SandboxProvider.close`."""
        try:
            await self._local.close()
        finally:
            if self._containers is not None:
                await self._containers.close()

    async def bases(self) -> frozenset[str]:
        """See `KnowsBases`: those of both."""
        found = await self._local.bases()
        return found | await _bases(self._containers)

    async def provider_for(self, spec: SandboxSpec) -> SandboxProvider:
        """The provider that makes this spec's sandboxes."""
        if self._containers is None:
            return self._local
        base = spec.recipe.base if spec.recipe is not None else spec.image
        async with self._choosing:
            if base not in self._chosen:
                self._chosen[base] = await self._choose(self._containers, base)
        return self._chosen[base]

    async def _choose(self, containers: SandboxProvider, base: str) -> SandboxProvider:
        if base == "host":
            return self._local
        if base in await _bases(containers):
            return containers
        try:
            sandbox = await containers.create(SandboxSpec(image=base))
            await sandbox.close()
        except ImageError:
            here = await self._local.bases()
            return self._local if any(base == one or base.endswith(f"/{one}") for one in here) else containers
        except SandboxError:
            return containers
        return containers


async def _bases(provider: SandboxProvider | None) -> frozenset[str]:
    return await provider.bases() if isinstance(provider, KnowsBases) else frozenset()
