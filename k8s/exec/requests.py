"""What is said to the supervisor in a pod; it answers as `replies` tells."""

from __future__ import annotations

import math
import os
import shlex
from collections.abc import Iterable, Mapping
from importlib.resources import files
from typing import Final

__all__ = ["BOOTSTRAP", "LEAVE", "drop", "get", "kill", "put", "query", "QUIT", "run", "start", "tail", "tick"]

BOOTSTRAP: Final = """_text=
while IFS= read -r _line && [ "$_line" != '# begin' ]; do _text="$_text$_line
"; done
eval "$_text"
"""
"""The script of the exec: it reads the supervisor from stdin. Any sh takes a pipe byte by byte in `read`, and so leaves what follows."""


QUIT: Final = b"quit\n"
"""Ends it, and no command."""
LEAVE: Final = b"leave\n"
"""Ends it with its commands, and removes its directory."""


def start(directory: str, epoch: str) -> bytes:
    """The supervisor with where its state is, and a name for this stream."""
    text = files(__package__).joinpath("supervisor.sh").read_text("utf-8")
    return f"_dir={shlex.quote(directory)} _epoch={epoch}\n{text}# begin\n".encode()


def run(
    command: str,
    mark: str,
    *,
    script: bytes,
    cwd: str,
    env: Mapping[str, str],
    stdin: bool,
    limit: int,
    file_bytes: int,
    push: bool,
    timeout_s: float,
) -> bytes:
    """A command. `stdin` tells whether `put` came first; `push` has its output follow without being asked for."""
    quoted = shlex.quote(cwd)
    refused = f"printf 'podgym: %s is not a directory that can be entered\\n' {quoted} >&2; _code=126"
    prologue = f"cd -- {quoted} 2>/dev/null || {{ {refused}; }}" + "".join(
        f"\ncommand export {name}={shlex.quote(value)}" for name, value in env.items()
    )
    if file_bytes:
        prologue += f"\nulimit -f {math.ceil(file_bytes / 512)}"
    lines = os.fsencode(prologue).split(b"\n"), script.split(b"\n") if script else []
    head = f"run {command} {mark} {limit} {int(push)} {math.ceil(timeout_s) + 1} {int(stdin)} {len(lines[0])} {len(lines[1])}\n"
    return head.encode() + b"".join(line + b"\n" for part in lines for line in part)


def put(command: str, data: bytes) -> bytes:
    """Bytes for `i.COMMAND` in the state's directory."""
    return f"put {command} {len(data)}\n".encode() + data


def get(command: str, limit: int) -> bytes:
    """The output of a command that has ended."""
    return f"get {command} {limit}\n".encode()


def tail(command: str, stream: str, count: int) -> bytes:
    """The last bytes of stream `o` or `e` of a command that has ended, and the number of all."""
    return f"tail {command} {stream} {count}\n".encode()


def tick(command: str) -> bytes:
    """Look after a command that takes long."""
    return f"tick {command}\n".encode()


def kill(command: str) -> bytes:
    """End a command's process group."""
    return f"kill {command}\n".encode()


def query(command: str) -> bytes:
    """What became of a command of an earlier stream."""
    return f"query {command}\n".encode()


def drop(commands: Iterable[str]) -> bytes:
    """Forget commands whose results have arrived."""
    return f"drop {' '.join(commands)}\n".encode()
