"""Image layers of the local provider: what a recipe's copies and steps wrote to the directories that it keeps.

A layer is a directory `<digest>/` with one numbered tree per kept directory and `done`. Steps and copies run inside a
sandbox whose kept directories are the new layer, so that nothing in an archive or a step can write elsewhere. A layer
appears by one rename under a lock; equal recipes over equal files are one layer, and tasks that share their
dependencies (`before_copies`, `before`) share that layer.
"""

from __future__ import annotations

import asyncio
import fcntl
import functools
import json
import os
import shlex
import tarfile
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from podgym.sandbox.contract import Limits, SandboxSpec
from podgym.sandbox.errors import ImageError
from podgym.sandbox.images import BUILD_LOG_CHARACTERS, INSTALL_LOG, Copy, ImageRecipe, Step
from podgym.sandbox.local.drafts import draft_name, remove_drafts, remove_tree
from podgym.sandbox.local.lookup import kept_directories, layer_name
from podgym.sandbox.local.packages import missing_packages
from podgym.sandbox.local.sandbox import LocalSandbox
from podgym.sandbox.local.toolchains import Toolchain, Toolchains

__all__ = ["Image", "LayerStore"]

LOG_TAIL = 4000
COPY_TIMEOUT_S = 600.0


@dataclass(frozen=True, slots=True)
class Image:
    """What a sandbox is made from."""

    layers: tuple[str, ...]
    """Directory names, top first."""
    kept: tuple[str, ...]
    env: dict[str, str]
    toolchain: Toolchain | None


Build = Callable[[SandboxSpec, Image, str, bool], Awaitable[LocalSandbox]]
"""Opens a sandbox over an image whose kept directories are a new layer; the flag: its other files go to disk."""


class LayerStore:
    """The layers below one directory."""

    def __init__(self, root: Path, *, build: Build, isolated: bool, lock_timeout_s: float) -> None:
        self._root = root
        self._build = build
        self._isolated = isolated
        self._lock_timeout_s = lock_timeout_s
        self._known: dict[tuple[object, ...], Image] = {}

    def find(self, spec: SandboxSpec) -> Image | None:
        """The image, if this process has met it and its context has not changed since."""
        recipe = spec.recipe
        if recipe is None:
            if spec.image != "host":
                raise ImageError(
                    f"The local provider knows no image {spec.image!r}.",
                    remedy="Give the task a recipe, name the image 'host', or use the docker provider.",
                )
            return Image((), (), {}, None)
        return self._known.get(recipe.stamp(Path(spec.context) if spec.context is not None else None))

    async def make(self, spec: SandboxSpec, toolchains: Toolchains) -> Image:
        """The image, with its layers made where they are missing. Raises `ImageError`."""
        recipe = spec.recipe
        assert recipe is not None
        if not self._isolated and (recipe.before or recipe.after or recipe.writable):
            raise ImageError(
                f"Image {spec.image!r} is made by commands that would change this machine itself, because sandboxes are not isolated here.",
                remedy="Let podgym isolate sandboxes (`podgym doctor` says what is missing), or use the docker provider.",
            )
        # Finding one may run compilers for their version.
        toolchain = await asyncio.to_thread(functools.partial(toolchains.find, recipe.base, image=spec.image))
        context = Path(spec.context) if spec.context is not None else None
        # Without isolation no step runs, and what a toolchain is set up by lies in the sandbox's tree already.
        image = Image((), _kept(recipe, toolchain if self._isolated else None), dict(recipe.env), toolchain)
        base = recipe.model_copy(update={"copies": (), "after": ()})
        if recipe.before or recipe.before_copies:
            image = await self._layer(image, base, context, copies=recipe.before_copies, steps=recipe.before, first=0)
        if recipe.copies or recipe.after:
            image = await self._layer(image, recipe, context, copies=recipe.copies, steps=recipe.after, first=len(recipe.before))
        self._known[recipe.stamp(context)] = image
        return image

    async def _layer(
        self, below: Image, recipe: ImageRecipe, context: Path | None, *, copies: tuple[Copy, ...], steps: tuple[Step, ...], first: int
    ) -> Image:
        name = layer_name(recipe, context, below.toolchain.identity if below.toolchain is not None else "")
        image = replace(below, layers=(name, *below.layers))
        if (self._root / name / "done").exists():
            return image
        async with self._locked(name):
            if not (self._root / name / "done").exists():
                await self._fill(name, below, recipe, context=context, copies=copies, steps=steps, first=first)
        return image

    async def _fill(
        self,
        name: str,
        below: Image,
        recipe: ImageRecipe,
        *,
        context: Path | None,
        copies: tuple[Copy, ...],
        steps: tuple[Step, ...],
        first: int,
    ) -> None:
        draft = draft_name(name)
        folder = self._root / draft
        missing = await asyncio.to_thread(missing_packages, recipe.packages)
        await asyncio.to_thread(remove_drafts, self._root, name)
        folder.mkdir()
        status = self._root.stat()
        for index in range(len(below.kept)):
            (folder / str(index)).mkdir()
            os.chown(folder / str(index), status.st_uid, status.st_gid)
        os.chown(folder, status.st_uid, status.st_gid)
        longest = max((step.timeout_s for step in steps), default=0.0) + COPY_TIMEOUT_S
        spec = SandboxSpec(
            image="build", workdir=recipe.workdir, network="full", lifetime_s=longest * (len(steps) + 1), limits=_BUILD_LIMITS
        )
        try:
            sandbox = await self._build(spec, below, draft, bool(steps))
            try:
                if missing and not below.layers and self._isolated:
                    await _tell_missing(sandbox, missing, below.kept)
                for copy in copies:
                    assert context is not None
                    await _copy(sandbox, copy, context, below.kept)
                for index, step in enumerate(steps, first):
                    await _step(sandbox, index, step)
            finally:
                await sandbox.close()
            for leftover in folder.glob("w*"):
                await asyncio.to_thread(remove_tree, leftover)
            (folder / "done").write_text(_record(recipe, below.toolchain, missing))
            remove_tree(self._root / name)
            folder.rename(self._root / name)
        finally:
            if folder.exists():
                await asyncio.to_thread(remove_tree, folder)

    @asynccontextmanager
    async def _locked(self, name: str) -> AsyncIterator[None]:
        until = time.monotonic() + self._lock_timeout_s
        with (self._root / f"{name}.lock").open("w") as file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > until:
                        raise ImageError(
                            f"Another process has been building image layer {name} for {self._lock_timeout_s:g} s.",
                            remedy=f"End it, or raise image_lock_timeout_s. The lock is {file.name}.",
                        ) from None
                await asyncio.sleep(0.05)
            yield


_BUILD_LIMITS = Limits(cpus=64, memory_bytes=1 << 40, processes=65536, disk_bytes=1 << 40)


def _normal(path: str) -> str:
    return os.path.normpath(path)


def _kept(recipe: ImageRecipe, toolchain: Toolchain | None) -> tuple[str, ...]:
    """Kept directories without those below others."""
    paths = kept_directories(recipe, toolchain)
    for path in (*paths, *map(_normal, recipe.writable), _normal(recipe.workdir)):
        if not path.startswith("/") or path == "/" or ":" in path or "," in path or "\\" in path:
            raise ImageError(f"{path!r} cannot be a kept directory.", remedy="Use absolute directories below / without ':', ',' or '\\'.")
    return paths


async def _copy(sandbox: LocalSandbox, copy: Copy, context: Path, kept: tuple[str, ...]) -> None:
    target = _normal(copy.target)
    top = next((path for path in kept if Path(target).is_relative_to(path)), None)
    if top is None:
        raise ImageError(
            f"Recipe copies {copy.source!r} to {copy.target!r}, which the local provider would not keep.",
            remedy=f"Copy below one of {', '.join(kept)}, or add the directory to the recipe's `writable`.",
        )
    source = context / copy.source
    if source.is_file() and source.suffix != ".tar":
        await sandbox.write(target, await asyncio.to_thread(source.read_bytes), mode=0o755 if os.access(source, os.X_OK) else 0o644)
        return
    with tempfile.TemporaryFile() if source.is_dir() else source.open("rb") as archive:
        if source.is_dir():
            await asyncio.to_thread(_pack, source, archive)
        # Relative to a kept directory, because without isolation there is no /testbed but only one in the sandbox's tree.
        place = shlex.quote("./" + str(Path(target).relative_to(top)))
        script = f"exec tar -xf - --no-same-owner -C {place}"
        if target != top:
            script = f"mkdir -p {place} && {script}"
        result = await sandbox.run_with(script, cwd=top, stdin_fd=archive.fileno(), timeout_s=COPY_TIMEOUT_S)
    if result.exit_code or result.timed_out:
        raise ImageError(
            f"Recipe's {copy.source!r} could not be unpacked at {copy.target!r}: {result.stderr.text()[-LOG_TAIL:].strip()}",
            remedy="Rebuild the task; the archive must be a plain tar whose members stay below its top.",
        )


def _pack(source: Path, file: BinaryIO) -> None:
    with tarfile.open(fileobj=file, mode="w") as archive:
        archive.add(source, arcname=".")
    file.seek(0)


def _record(recipe: ImageRecipe, toolchain: Toolchain | None, missing: tuple[str, ...]) -> str:
    """What a layer was made of."""
    made = f"{toolchain.tool} {toolchain.version}" if toolchain is not None else ""
    return json.dumps({"recipe": recipe.model_dump(mode="json"), "toolchain": made, "not_installed": missing})


async def _tell_missing(sandbox: LocalSandbox, missing: tuple[str, ...], kept: tuple[str, ...]) -> None:
    """Say in the image which packages it was made without, where it keeps what is said there."""
    folder = Path(INSTALL_LOG).parent
    if any(folder.is_relative_to(path) for path in kept):
        script = f"mkdir -p {folder} && printf 'not installed: %s\\n' {shlex.join(missing)} >> {INSTALL_LOG}"
        result = await sandbox.run(script, timeout_s=COPY_TIMEOUT_S)
        if result.exit_code:
            raise ImageError(
                f"{INSTALL_LOG} could not be written: {result.stderr.text()[-LOG_TAIL:].strip()}", remedy="Free disk space, then retry."
            )


async def _step(sandbox: LocalSandbox, index: int, step: Step) -> None:
    # In the order in which it was said; on the first line, so that lines keep their numbers.
    result = await sandbox.run(f"exec 2>&1; {step.run}", timeout_s=step.timeout_s)
    if result.exit_code or result.timed_out:
        how = f"did not end within {step.timeout_s:g} s" if result.timed_out else f"failed with exit code {result.exit_code}"
        log = result.stdout.text() + result.stderr.text()
        raise ImageError(
            f"Step {index + 1} of the recipe {how}: {step.run}\n{log[-LOG_TAIL:].strip()}",
            remedy="Correct the step, or raise its timeout_s.",
            step=index,
            log=log[-BUILD_LOG_CHARACTERS:],
            timed_out=result.timed_out,
        )
