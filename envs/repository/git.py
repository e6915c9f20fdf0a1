"""The one way git is run: on an explicit repository, in an environment made from nothing, with every door to code shut.

A repository's own configuration, attributes, hooks, replacement refs, grafts and promisor remotes are input from outside.
Three things keep them from running or changing anything: the environment below holds no more than git needs, the
settings on the command line outrank the repository's, and only plumbing is used, with external diff, textconv and
filters switched off or not configured. Local commands may use no transport at all, so a missing object is an error and
never a fetch.

Memory is bounded: large files are streamed instead of held (above 8 MiB, by the settings), and where the system can limit
another process, no command may hold more than `MEMORY_BYTES`, whatever a repository does to make it.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO

from podgym.envs.repository.errors import RepositoryError

__all__ = ["LOCAL_TIMEOUT_S", "MEMORY_BYTES", "Git", "finish", "pipes", "redact"]

LOCAL_TIMEOUT_S = 300.0
"""Bound on one command that works on a local repository."""

MEMORY_BYTES = 4 << 30
"""Bound on what one command holds (not on the files that it maps)."""

_SETTINGS = (
    "advice.graftFileDeprecated=false",
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.fsync=none",
    "core.attributesFile=/dev/null",
    "core.excludesFile=/dev/null",
    "core.commitGraph=false",
    "core.multiPackIndex=false",
    "core.untrackedCache=false",
    "core.pager=cat",
    "core.askPass=true",
    "core.autocrlf=false",
    "core.bigFileThreshold=8m",
    "core.deltaBaseCacheLimit=32m",
    "core.packedGitLimit=32m",
    "core.packedGitWindowSize=1m",
    "core.protectHFS=true",
    "core.protectNTFS=true",
    "core.quotePath=true",
    "credential.helper=",
    "diff.external=",
    "gc.auto=0",
    "http.lowSpeedLimit=1",
    "http.lowSpeedTime=300",
    "maintenance.auto=false",
    "pack.deltaCacheSize=16m",
    "pack.useBitmaps=false",
    "pack.useSparse=false",
    "pack.windowMemory=32m",
    "protocol.ext.allow=never",
    "safe.directory=*",
    "submodule.recurse=false",
    "transfer.fsckObjects=false",
)
_PASSED = (
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
    "GIT_SSL_CAINFO",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "SSH_AUTH_SOCK",
    "HOME",
)
"""What a transfer over the network takes from the caller's environment; local commands take nothing but PATH."""

_PROMPTS_OFF = {"GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "true", "SSH_ASKPASS": "true", "SSH_ASKPASS_REQUIRE": "never"}
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")


def redact(text: str) -> str:
    """`text` with user names and passwords taken out of its URLs."""
    return _CREDENTIALS.sub("", text)


@cache
def _program() -> str:
    found = shutil.which("git")
    if found is None:
        raise RepositoryError("The program git is not on PATH.", problem="git", remedy="Install git 2.36 or newer.")
    return found


@cache
def _environment() -> Mapping[str, str]:
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": "/nonexistent",
        "LC_ALL": "C",
        "TZ": "UTC",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_GRAFT_FILE": os.devnull,
        "GIT_SHALLOW_FILE": "",
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_ALLOW_PROTOCOL": "none",
        **_PROMPTS_OFF,
    }


class Git:
    """Runs git on the repository whose git directory is `git_dir`; the work tree, where one matters, is `work_tree`.

    Commits whose ids are in `shallow_file` have no parents for local commands; what the repository's own file of that kind
    says is not heard.
    """

    def __init__(self, git_dir: Path, *, work_tree: Path | None = None, shallow_file: Path | None = None) -> None:
        self.git_dir = git_dir
        self._work_tree = work_tree or git_dir
        self._shallow = {} if shallow_file is None else {"GIT_SHALLOW_FILE": str(shallow_file)}

    def run(self, *args: str, stdin: bytes = b"", timeout_s: float = LOCAL_TIMEOUT_S) -> bytes:
        """What a local command wrote to standard output. Raises `RepositoryError` where it fails or takes too long."""
        with self._bounded(args, timeout_s, self._local()) as process:
            out, err = process.communicate(stdin)
            self._check(process, err, args)
        return out

    def transfer(self, *args: str, timeout_s: float, stdin: bytes = b"", held: Sequence[int] = ()) -> bytes:
        """A command that may use the network (https, http, ssh, git) or another local repository; its standard output.

        `held` are file descriptors (of locks) that stay open as long as the command runs, even should this process be killed.
        """
        env = {**_environment(), "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh", "GIT_SSH_COMMAND": "ssh -o BatchMode=yes"}
        env |= {name: os.environ[name] for name in _PASSED if name in os.environ}
        del env["GIT_SHALLOW_FILE"]
        with self._bounded(args, timeout_s, env, held=held) as process:
            out, err = process.communicate(stdin)
            self._check(process, err, args)
        return out

    @contextmanager
    def stream(self, *args: str, stdin: bytes = b"", timeout_s: float = LOCAL_TIMEOUT_S) -> Iterator[IO[bytes]]:
        """The standard output of a local command while it runs, for output too large to hold.

        `stdin` must fit a pipe (64 KiB). Leaving the block early ends the command without complaint; an exit code other
        than 0 after its last byte is a `RepositoryError`.
        """
        with tempfile.TemporaryFile() as errors, self._bounded(args, timeout_s, self._local(), stderr=errors) as process:
            feed, out = pipes(process)
            feed.write(stdin)
            feed.close()
            yield out
            if not out.read(1):
                process.wait()
                errors.seek(0)
                self._check(process, errors.read(1 << 16), args)

    def pipe(self, args: Sequence[str], into: Git, into_args: Sequence[str], *, stdin: bytes, timeout_s: float) -> None:
        """Feed the output of a command of this repository to a command of another one; both must succeed."""
        with (
            tempfile.TemporaryFile() as errors,
            self._bounded(args, timeout_s, self._local(), stderr=errors) as first,
        ):
            feed, out = pipes(first)
            with into._bounded(into_args, timeout_s, into._local(), stdin=out) as second:
                out.close()
                feed.write(stdin)
                feed.close()
                _, err = second.communicate()
                first.wait()
                errors.seek(0)
                self._check(first, errors.read(1 << 16), args)
                into._check(second, err, into_args)

    def start(
        self,
        args: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        stdin: int | IO[bytes] = subprocess.PIPE,
        stderr: int | IO[bytes] = subprocess.DEVNULL,
        held: Sequence[int] = (),
    ) -> subprocess.Popen[bytes]:
        """A running command in its own process group; the caller ends it with `finish`."""
        settings = [word for setting in _SETTINGS for word in ("-c", setting)]
        return subprocess.Popen(
            [*_limited(), _program(), *settings, f"--git-dir={self.git_dir}", f"--work-tree={self._work_tree}", *args],
            cwd=self._work_tree,
            env=env or self._local(),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=stderr,
            start_new_session=True,
            pass_fds=held,
        )

    def _local(self) -> Mapping[str, str]:
        return {**_environment(), **self._shallow}

    @contextmanager
    def _bounded(
        self,
        args: Sequence[str],
        timeout_s: float,
        env: Mapping[str, str],
        *,
        stdin: int | IO[bytes] = subprocess.PIPE,
        stderr: int | IO[bytes] = subprocess.PIPE,
        held: Sequence[int] = (),
    ) -> Iterator[subprocess.Popen[bytes]]:
        """A running command that has ended on the way out, by force where it still runs or its time was up."""
        process = self.start(args, env=env, stdin=stdin, stderr=stderr, held=held)
        late = threading.Event()

        def stop() -> None:
            late.set()
            _kill(process)

        timer = threading.Timer(timeout_s, stop)
        timer.daemon = True
        timer.start()
        try:
            yield process
        except (RepositoryError, BrokenPipeError):
            if not late.is_set():
                raise
        finally:
            timer.cancel()
            finish(process)
        if late.is_set():
            raise RepositoryError(
                f"`git {args[0]}` on {self.git_dir} took longer than {timeout_s:g} s and was stopped.",
                problem="timeout",
                remedy="Try again with a longer time limit, or clone the repository by hand and give its path.",
            )

    def _check(self, process: subprocess.Popen[bytes], err: bytes, args: Sequence[str]) -> None:
        if process.wait() == 0:
            return
        said = redact(err.decode("utf-8", "replace").strip())
        raise RepositoryError(
            f"`git {args[0]}` on {self.git_dir} failed with exit code {process.returncode}: {said or 'no message'}",
            problem="git",
            remedy="Check the repository with `git fsck`.",
        )


def pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    """Standard input and output of a command that was started with both as pipes."""
    if process.stdin is None or process.stdout is None:
        raise ValueError("The command was started without pipes.")
    return process.stdin, process.stdout


def _limited() -> Sequence[str]:
    """The words before a command that bound its memory from its first instruction on, where the system can (Linux).

    A shell sets the limit, because between fork and exec no Python code is safe in a process with threads; where this
    process itself may have less, that stays.
    """
    if sys.platform != "linux":
        return ()
    return ("/bin/sh", "-c", 'ulimit -d "$0" 2>/dev/null; exec "$@"', str(MEMORY_BYTES >> 10))


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            process.kill()


def finish(process: subprocess.Popen[bytes]) -> None:
    """End a command of `Git.start`, wait for it, and close its pipes."""
    _kill(process)
    process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            try:
                pipe.close()
            except BrokenPipeError:
                continue
