"""`LocalProvider`: sandboxes by Linux namespaces, made by a small helper process.

The driver never forks. It starts a helper (`inside/`) once, hands it one end of a socket pair per sandbox, and from then
on talks with the sandbox's own init over the other end. The helper and everything that it made end with the driver,
however the driver ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import marshal
import os
import pwd
import socket
from pathlib import Path
from typing import Any

from podgym.sandbox.contract import SandboxSpec
from podgym.sandbox.errors import ImageError, IsolationError, QuotaError, SandboxLost, TransportError
from podgym.sandbox.local.binds import Binds, masks
from podgym.sandbox.local.config import LocalConfig
from podgym.sandbox.local.inside import wire
from podgym.sandbox.local.isolation import remedy_for
from podgym.sandbox.local.layers import Image, LayerStore
from podgym.sandbox.local.reaping import provider_name, reap
from podgym.sandbox.local.sandbox import LocalSandbox
from podgym.sandbox.local.spawning import Spawner
from podgym.sandbox.local.starts import Starts
from podgym.sandbox.local.toolchains import Toolchains

__all__ = ["LocalProvider"]

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class LocalProvider:
    """Sandboxes of this machine. Bound to the event loop of its first `create`."""

    def __init__(self, config: LocalConfig | None = None) -> None:
        self._config = config or LocalConfig()
        self._toolchains = Toolchains(self._config.pythons, self._config.toolchains.items())
        self._binds = Binds(self._toolchains.directories, self._config.expose)
        self._starts = Starts(self._config.starts_at_once)
        self._numbers = itertools.count(1)
        self._starting = asyncio.Lock()
        self._spawner: Spawner | None = None
        self._store: LayerStore | None = None
        self._sandboxes: dict[int, LocalSandbox] = {}
        self._burying: asyncio.Future[None] | None = None
        self._closed = False

    @property
    def config(self) -> LocalConfig:
        """What it was made with."""
        return self._config

    @property
    def isolated(self) -> bool:
        """Whether sandboxes are isolated from the machine; known after the first `create`."""
        return self._spawner is not None and self._spawner.isolated

    @property
    def unbounded(self) -> str:
        """Why memory and CPU of a whole sandbox are not bounded here; empty where they are. Known after the first `create`."""
        return self._spawner.unbounded if self._spawner is not None else ""

    async def create(self, spec: SandboxSpec) -> LocalSandbox:
        """See `SandboxProvider.create`."""
        spawner, store = await self._started(spec)
        image = store.find(spec) or await store.make(spec, self._toolchains)
        return await self._open(spawner, spec, image, build=None, on_disk=self._config.storage == "disk")

    async def bases(self) -> frozenset[str]:
        """See `KnowsBases.bases`: public images whose toolchains are installed here."""
        return await asyncio.to_thread(self._toolchains.bases)

    async def close(self) -> None:
        """See `SandboxProvider.close`."""
        self._closed = True
        async with self._starting:
            spawner, self._spawner = self._spawner, None
            sandboxes = list(self._sandboxes.values())
            for sandbox in sandboxes:
                sandbox.lose("closed", "was closed with its provider")
            self._sandboxes.clear()
            if self._burying is not None:
                await self._burying
            if spawner is not None:
                await spawner.close(timeout_s=self._config.close_timeout_s)
            for sandbox in sandboxes:
                if not sandbox.gone.done():
                    sandbox.gone.set_result((9, False))

    async def _started(self, spec: SandboxSpec) -> tuple[Spawner, LayerStore]:
        if self._closed:
            raise TransportError("The local provider is closed.", remedy="Create a new provider.")
        if self._spawner is not None and self._store is not None:
            return self._spawner, self._store
        async with self._starting:
            if self._closed:
                raise TransportError("The local provider is closed.", remedy="Create a new provider.")
            if self._spawner is None or self._store is None:
                self._spawner = await self._start(spec.labels.get("run", ""))
                # Bound to this helper: an image whose making outlives it fails, and is made anew by those who wait.
                build = functools.partial(self._open_build, self._spawner)
                self._store = LayerStore(
                    self._spawner.layers,
                    build=build,
                    isolated=self._spawner.isolated,
                    lock_timeout_s=self._config.image_lock_timeout_s,
                )
            return self._spawner, self._store

    async def _start(self, run: str) -> Spawner:
        _own_folder(self._config.scratch)
        await asyncio.to_thread(reap, config=self._config)
        layout = {
            "expose": list(self._config.expose),
            "mask": masks(self._config, self._binds),
            "toolchains": {name: str(path) for path, name in self._binds.mounts.items()},
        }
        spawner = await Spawner.start(self._config, name=provider_name(run), layout=layout)
        spawner.listen(self._gone, self._spawner_ended)
        return spawner

    async def _open_build(self, spawner: Spawner, spec: SandboxSpec, image: Image, build: str, on_disk: bool) -> LocalSandbox:
        return await self._open(spawner, spec, image, build=build, on_disk=on_disk)

    async def _open(self, spawner: Spawner, spec: SandboxSpec, image: Image, *, build: str | None, on_disk: bool) -> LocalSandbox:
        request = marshal.dumps(self._describe(spawner, spec, image, build))
        ident = next(self._numbers)
        ours, theirs = socket.socketpair()
        new = wire.NEW.pack(
            ident,
            spec.network == "none" and spawner.isolated,
            on_disk,
            spec.limits.memory_bytes,
            spec.limits.processes,
            max(10, round(1000 * min(spec.limits.cpus, os.cpu_count() or 1))),
        )
        sandbox = LocalSandbox(ident, ours, starts=self._starts, end=self._end, toolchain=image.toolchain)
        self._sandboxes[ident] = sandbox
        asked = False
        try:
            async with asyncio.timeout(self._config.start_timeout_s):
                with theirs:
                    sandbox.link.send(wire.frame(wire.SPEC, 0, request))
                    await spawner.request(theirs, new)
                asked = True
                kind, payload = await sandbox.link.ready
        except BaseException as error:
            if not asked:
                self._gone(ident, 0, False)  # The helper never heard of it, and will never say that it has ended.
            # Why it was not made goes before what may be wrong with its end; the helper ends it at the latest with itself.
            with contextlib.suppress(TransportError):
                await sandbox.close()
            if isinstance(error, TimeoutError):
                raise TransportError(
                    f"A local sandbox was not ready within {self._config.start_timeout_s:g} s.",
                    remedy="Run fewer sandboxes at once, or raise start_timeout_s.",
                ) from error
            if isinstance(error, SandboxLost):
                raise TransportError("A local sandbox ended while it was made.", remedy="Retry; is the machine out of memory?") from error
            raise
        if kind == wire.FAILED:
            with contextlib.suppress(TransportError):
                await sandbox.close()
            raise _creation_error(wire.ERROR_HEAD.unpack_from(payload)[0], payload[wire.ERROR_HEAD.size :].decode())
        return sandbox

    def _describe(self, spawner: Spawner, spec: SandboxSpec, image: Image, build: str | None) -> dict[str, Any]:
        uid, home = _user(spec.user)
        env = {"PATH": PATH, "HOME": home, "LANG": "C.UTF-8"}
        toolchain = image.toolchain
        if toolchain is not None:
            env |= toolchain.environment(PATH, isolated=spawner.isolated)
        env |= {**image.env, **spec.env}
        if toolchain is not None:
            env["PATH"] = toolchain.on_path(env["PATH"])
        limits = spec.limits
        return {
            "workdir": spec.workdir,
            "home": home,
            "uid": uid,
            "env": env,
            "layers": image.layers,
            "kept": image.kept,
            "build": build,
            "size": min(limits.disk_bytes, limits.memory_bytes // 2),
            "disk": limits.disk_bytes,
            "memory": limits.memory_bytes,
            "lifetime_s": spec.lifetime_s,
            "read_limit": self._config.read_limit_bytes,
            "binds": self._binds.of(toolchain.directories) if toolchain is not None else [],
            "links": toolchain.links if toolchain is not None else [],
            "files": [
                *(toolchain.files if toolchain is not None else ()),
                *(_name_service() if spec.network == "full" and spawner.isolated else ()),
            ],
        }

    async def _end(self, sandbox: LocalSandbox) -> None:
        if self._sandboxes.get(sandbox.ident) is not sandbox:
            return
        try:
            async with asyncio.timeout(self._config.close_timeout_s):
                await asyncio.shield(sandbox.gone)
        except TimeoutError:
            raise TransportError(
                f"Local sandbox {sandbox.ident} did not end within {self._config.close_timeout_s:g} s.",
                remedy="A process may hang in the kernel; closing the provider ends it for good.",
            ) from None

    def _gone(self, ident: int, status: int, oom: bool) -> None:
        sandbox = self._sandboxes.pop(ident, None)
        if sandbox is not None and not sandbox.gone.done():
            sandbox.gone.set_result((status, oom))

    def _spawner_ended(self) -> None:
        """The helper died under us, and all sandboxes with it; the next `create` starts another."""
        dead, self._spawner = self._spawner, None
        if dead is not None:
            self._burying = asyncio.ensure_future(dead.close(timeout_s=self._config.close_timeout_s))
        sandboxes = list(self._sandboxes.values())
        self._sandboxes.clear()
        for sandbox in sandboxes:
            if not sandbox.gone.done():
                sandbox.gone.set_result((9, False))
            sandbox.lose("node", "was lost because the local sandbox helper died")


def _user(name: str) -> tuple[int, str]:
    if name in ("root", "0"):
        return 0, "/root"
    if name.isdigit():
        return int(name), "/home/user"
    try:
        return pwd.getpwnam(name).pw_uid, f"/home/{name}"
    except KeyError:
        raise ImageError(
            f"User {name!r} is not known to the local provider.", remedy="Use a numeric uid, or 'root', in the task's sandbox."
        ) from None


def _name_service() -> list[tuple[str, str, int]]:
    """The resolver's configuration as `Toolchain.files` are, where /etc/resolv.conf leads out of what sandboxes see."""
    target = Path("/etc/resolv.conf").resolve()
    if target.is_relative_to("/etc") or not target.is_file():
        return []
    return [(str(target), target.read_text(), 0o644)]


def _own_folder(path: Path) -> None:
    path.mkdir(mode=0o711, parents=True, exist_ok=True)
    if path.stat().st_uid != os.geteuid() or path.is_symlink():
        raise TransportError(f"Scratch directory {path} belongs to another user.", remedy="Set `scratch` to a directory of your own.")


def _creation_error(code: int, text: str) -> Exception:
    error = OSError(code, text)
    if isinstance(error, PermissionError):
        return IsolationError(f"A sandbox could not be isolated: {text}.", remedy=remedy_for(code))
    if isinstance(error, BlockingIOError) or code in (12, 23, 24, 28, 122):
        return QuotaError(f"A sandbox could not be made: {text}.", remedy="Run fewer sandboxes at once, or free memory or disk space.")
    return ImageError(f"A sandbox's file system could not be made: {text}.", remedy="Check the recipe's workdir and writable directories.")
