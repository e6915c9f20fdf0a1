"""Images for containers: found, pulled, or built from a recipe under a tag that is its digest."""

from __future__ import annotations

import asyncio
import fcntl
import io
import os
import re
import secrets
import tarfile
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import BinaryIO

from podgym.sandbox.contract import SandboxSpec
from podgym.sandbox.docker.config import DockerConfig
from podgym.sandbox.docker.engine import Engine
from podgym.sandbox.docker.network import BuildNetwork
from podgym.sandbox.dockerfile import BuildSettings, dockerfile
from podgym.sandbox.errors import ImageError
from podgym.sandbox.images import BUILD_LOG_CHARACTERS, ImageRecipe

__all__ = ["Images"]

_LOG_CHARACTERS = 4000
_CA_FILE = ".podgym-ca.pem"
_STEP = re.compile(r"^Step (\d+)/(\d+) : ")
_OF_ENGINE = re.compile(r"\s*(---> (Running in )?|Removing intermediate container )[0-9a-f]+\s*")
_PACKAGES_TIMEOUT_S = 1800.0
_PROXIES = frozenset(name for each in ("HTTP", "HTTPS", "FTP", "NO", "ALL") for name in (f"{each}_PROXY", f"{each}_PROXY".lower()))
"""Build arguments that every step gets unasked."""


class Images:
    """Each image is made at most once at a time on this machine, however many sandboxes and processes ask for it."""

    def __init__(self, engine: Engine, config: DockerConfig) -> None:
        self._engine = engine
        self._config = config
        self._locks: dict[str, asyncio.Lock] = {}
        self._known: set[str] = set()
        self._names: dict[tuple[object, ...], str] = {}
        self._network = BuildNetwork(engine, config)

    async def ensure(self, spec: SandboxSpec) -> str:
        """The name to start containers from. Raises `ImageError` with the failing step and the end of its log."""
        context = Path(spec.context) if spec.context else None
        name = await self._name(spec.recipe, context) if spec.recipe is not None else spec.image
        if name in self._known:
            return name
        async with self._locks.setdefault(name, asyncio.Lock()):
            if name not in self._known:
                await self._make(name, spec.recipe, context)
                self._known.add(name)
        return name

    def forget(self, name: str) -> None:
        """Look again for an image that the engine no longer has."""
        self._known.discard(name)

    async def _name(self, recipe: ImageRecipe, context: Path | None) -> str:
        stamp = recipe.stamp(context)
        if stamp not in self._names:
            self._names[stamp] = f"podgym/{await asyncio.to_thread(recipe.digest, context)}"
        return self._names[stamp]

    async def _make(self, name: str, recipe: ImageRecipe | None, context: Path | None) -> None:
        if await self._engine.call(self._engine.has_image, name):
            return
        if recipe is not None:
            async with self._locked(name):
                if not await self._engine.call(self._engine.has_image, name):
                    await self._build(recipe, context, name)
        elif self._config.pull == "missing":
            try:
                async with asyncio.timeout(self._config.build_timeout_s):
                    await self._engine.call(self._engine.pull, name)
            except TimeoutError:
                raise ImageError(
                    f"Image {name!r} was not pulled within {self._config.build_timeout_s:g} s.", remedy="Pull it, or raise build_timeout_s."
                ) from None
        else:
            raise ImageError(f"Image {name!r} is not here, and pulling is off.", remedy='Pull or build it, or set pull = "missing".')

    async def _build(self, recipe: ImageRecipe, context: Path | None, tag: str) -> None:
        network = await self._network.before(recipe.base)
        try:
            await self._build_on(network, recipe, context, tag)
        except ImageError as error:
            other = await self._network.after(network, recipe.base, error)
            if other == network:
                raise
            await self._build_on(other, recipe, context, tag)

    async def _build_on(self, network: str | None, recipe: ImageRecipe, context: Path | None, tag: str) -> None:
        bundle = self._config.build_ca_bundle
        file = f".podgym-{secrets.token_hex(8)}"
        args = tuple(sorted(self._config.build_args.keys() - _PROXIES))
        settings = BuildSettings(args=args, ca_bundle=_CA_FILE if bundle is not None else None)
        text = dockerfile(recipe, settings)
        build = _Build(recipe, text.splitlines(), tag, total_s=self._config.build_timeout_s)
        headers = await self._engine.call(self._engine.credentials)
        with tempfile.TemporaryFile() as archive:
            try:
                await asyncio.to_thread(_pack, archive, {file: text.encode()}, recipe, context, bundle)
            except OSError as error:
                raise ImageError(
                    f"The context of {tag} cannot be packed: {error}", remedy="Check the task's files and disk space."
                ) from error
            size = archive.tell()
            archive.seek(0)
            answer = self._engine.build(archive, size, tag=tag, file=file, headers=headers, network=network)
            try:
                async with build.bound as bound, aclosing(answer) as messages:
                    async for message in messages:
                        build.take(message, bound)
            except TimeoutError:
                raise build.failed(
                    "did not end in time", remedy="Raise the step's timeout_s, or the provider's build_timeout_s.", timed_out=True
                ) from None

    @asynccontextmanager
    async def _locked(self, name: str) -> AsyncIterator[None]:
        """Keep other processes of this user from building the same image."""
        path = Path(tempfile.gettempdir(), f"podgym-{os.geteuid()}-{name.replace('/', '-')}.lock")
        until = time.monotonic() + self._config.build_timeout_s
        while (file := _lock(path)) is None:
            if time.monotonic() > until:
                raise ImageError(
                    f"Another process has been building {name} for {self._config.build_timeout_s:g} s.",
                    remedy=f"End it, or raise build_timeout_s. The lock is {path}.",
                )
            await asyncio.sleep(0.1)
        try:
            yield
        finally:
            _unlock(path, file)


def _lock(path: Path) -> int | None:
    """The locked file, or None where another process has it. Who holds the lock removes the file in the end."""
    file = os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(file).st_ino == path.stat().st_ino:
            return file
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(file)
    return None


def _unlock(path: Path, file: int) -> None:
    path.unlink(missing_ok=True)
    os.close(file)


class _Build:
    """Follows a build through the engine's messages: which line it is at, what that said, and how long it may take."""

    def __init__(self, recipe: ImageRecipe, lines: list[str], tag: str, *, total_s: float) -> None:
        self._recipe, self._lines, self._tag = recipe, lines, tag
        self._until_s = asyncio.get_running_loop().time() + total_s
        self._at = 0
        self._log = ""
        self.bound = asyncio.timeout_at(self._until_s)

    def take(self, message: dict[str, object], bound: asyncio.Timeout) -> None:
        """Raises `ImageError` where the message says that the build failed."""
        # The engine colours what came from stderr.
        said = str(message.get("stream", "")).removeprefix("\x1b[91m").removesuffix("\x1b[0m")
        begins = _STEP.match(said)
        # A step may print what looks like the next step's beginning, but not lead out of the file.
        if begins and int(begins[1]) == self._at + 1 <= int(begins[2]) == len(self._lines):
            self._at, self._log = self._at + 1, ""
            bound.reschedule(min(self._until_s, asyncio.get_running_loop().time() + self._bound_s()))
        elif not _OF_ENGINE.fullmatch(said) and (self._log or said.strip()):
            self._log = (self._log + said)[-2 * BUILD_LOG_CHARACTERS :]
        if "error" in message:
            raise self.failed(f"failed: {message['error']}", remedy="Correct it, then build again.")

    def failed(self, how: str, *, remedy: str, timed_out: bool = False) -> ImageError:
        """The error for the line that the build is at."""
        log, end = self._log[-BUILD_LOG_CHARACTERS:], self._log[-_LOG_CHARACTERS:].strip()
        command = self._command()
        if command is not None:
            # The engine repeats the whole command in its message.
            code = re.search(r"returned a non-zero code: (\d+)$", how)
            how = f"failed with exit code {code[1]}" if code else how
        steps = (*self._recipe.before, *self._recipe.after)
        if command is not None and 0 <= command < len(steps):
            text = f"Step {command + 1} of the recipe {how}: {steps[command].run}\n{end}"
            return ImageError(text, remedy=remedy, step=command, log=log, timed_out=timed_out)
        if command == -1:
            text = f"Installing the recipe's packages {how}: {' '.join(self._recipe.packages)}\n{end}"
        else:
            line = self._lines[self._at - 1] if self._at else "its first line"
            text = f"Building {self._tag} from {self._recipe.base} {how} (at {line})\n{end}".strip()
        return ImageError(text, remedy=remedy, log=log, timed_out=timed_out)

    def _command(self) -> int | None:
        """Index of the step that the build is at, -1 for the packages, past the steps for a line of our own; None for no command."""
        if not self._at or not self._lines[self._at - 1].startswith("RUN "):
            return None
        commands = sum(line.startswith("RUN ") for line in self._lines[: self._at])
        return commands - 1 - (1 if self._recipe.packages else 0)

    def _bound_s(self) -> float:
        command, steps = self._command(), (*self._recipe.before, *self._recipe.after)
        if command is None or command >= len(steps):
            return float("inf")
        return steps[command].timeout_s if command >= 0 else _PACKAGES_TIMEOUT_S


def _pack(archive: BinaryIO, texts: dict[str, bytes], recipe: ImageRecipe, context: Path | None, bundle: Path | None) -> None:
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, data in texts.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
        if bundle:
            tar.add(bundle.resolve(), arcname=_CA_FILE, filter=_plain)
        for source in dict.fromkeys(copy.source for copy in (*recipe.before_copies, *recipe.copies)):
            if context is not None:  # `digest` has refused recipes that copy from nowhere
                tar.add((context / source).resolve(), arcname=source, filter=_plain)


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Without what differs between machines and users: the engine's cache of `COPY` goes by names, modes, owners and content."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    if not entry.issym():
        entry.mode = 0o755 if entry.isdir() or entry.mode & 0o111 else 0o644
    return entry
