"""Which new files git would leave out, by the base tree's own .gitignore files and the driver's git.

The agent's .gitignore, its git configuration and its git take no part. git is asked only where there are new files and the
base has a .gitignore at all; it works on a directory that holds nothing but those.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Final

from podgym.sandbox import TransportError
from podgym.verifiers.basetree import BaseTree
from podgym.verifiers.errors import VerifierError

__all__ = ["TooManyPaths", "ignored"]

_ENVIRONMENT: Final = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null", "LC_ALL": "C"}
_MAX_PARTS: Final = 2_000_000
"""Directories and names of all paths together; git looks at each, and half a minute does for them on a slow machine."""


class TooManyPaths(VerifierError, ValueError):
    """More new files, or deeper ones, than git is asked about."""


async def ignored(base: BaseTree, paths: Iterable[str], *, timeout_s: float = 30.0) -> set[str]:
    """Those of `paths` that git ignores. Raises `VerifierError` where the driver has no working git, `TooManyPaths`, `TransportError`."""
    wanted = list(paths)
    rules = [path for path in base.files if PurePosixPath(path).name == ".gitignore" and path not in base.left_over]
    if not wanted or not rules:
        return set()
    if (parts := sum(path.count("/") + 1 for path in wanted)) > _MAX_PARTS:
        raise TooManyPaths(
            f"{len(wanted)} new files have {parts} directories and names; at most {_MAX_PARTS} are looked at.",
            remedy="Remove what is not part of the change.",
        )
    folder = await asyncio.to_thread(_lay_out, base, rules)
    try:
        process = await asyncio.create_subprocess_exec(
            "git", "-c", "core.excludesFile=/dev/null", "check-ignore", "--no-index", "-z", "--stdin",
            cwd=folder, env={"PATH": os.environ.get("PATH", os.defpath), **_ENVIRONMENT},
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        listing = b"".join(path.encode("utf-8", "surrogateescape") + b"\0" for path in wanted)
        try:
            out, err = await asyncio.wait_for(process.communicate(listing), timeout_s)
        except TimeoutError as error:
            process.kill()
            await process.wait()
            raise TransportError(
                f"git check-ignore did not end within {timeout_s:g} s.", remedy="Check how busy the driver's machine is."
            ) from error
    except FileNotFoundError as error:
        raise VerifierError("The driver has no git, which decides about ignored files.", remedy="Install git where podgym runs.") from error
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, True)
    if process.returncode not in (0, 1):
        raise VerifierError(f"git check-ignore failed: {err.decode('utf-8', 'replace').strip()}.", remedy="Check the driver's git.")
    return {path.decode("utf-8", "surrogateescape") for path in out.split(b"\0") if path}


def _lay_out(base: BaseTree, rules: list[str]) -> str:
    """A directory with the rules and the least that git takes for a repository; `git init` would cost a process."""
    root = Path(tempfile.mkdtemp(prefix="podgym-ignore-"))
    for name in ("objects", "refs"):
        (root / ".git" / name).mkdir(parents=True)
    (root / ".git" / "HEAD").write_text("ref: refs/heads/base\n")
    for path in rules:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(base.read(path))
    return str(root)
