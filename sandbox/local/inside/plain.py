"""A sandbox without namespaces: a directory tree, for machines that give no better and a configuration that allows it.

Paths that the driver names are taken relative to the tree. Nothing is hidden from the commands; what they start is
found again at the end because this init adopts orphans.
"""

from __future__ import annotations

import os
import time

from podgym.sandbox.local.inside.kernel import signal
from podgym.sandbox.local.inside.root import FOLDERS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["count_descendants", "kill_descendants", "make_plain_root", "stop_descendants"]


def make_plain_root(spec: dict[str, Any], scratch: str, layers: str) -> str:
    """Make the tree under `scratch`, point the environment at it, and return it."""
    top = f"{scratch}/root"
    os.mkdir(top, 0o755)
    for folder, mode in FOLDERS:
        os.mkdir(f"{top}/{folder}")
        os.chmod(f"{top}/{folder}", mode)
    for target, text, mode in spec["files"]:
        os.makedirs(os.path.dirname(top + target), exist_ok=True)
        with open(top + target, "w") as file:
            file.write(text)
            os.fchmod(file.fileno(), mode)
    for target, link in spec["links"]:
        os.makedirs(os.path.dirname(top + target), exist_ok=True)
        os.symlink(link, top + target)
    for index, path in enumerate(spec["kept"]):
        target = top + path
        build = spec["build"]
        if build:
            os.makedirs(f"{layers}/{build}/{index}", exist_ok=True)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            if os.path.isdir(target):
                os.rmdir(target)
            os.symlink(f"{layers}/{build}/{index}", target)
        else:
            os.makedirs(target, exist_ok=True)
        for layer in reversed(spec["layers"]):
            source = f"{layers}/{layer}/{index}"
            pid = os.posix_spawnp("cp", ["cp", "-a", f"{source}/.", f"{target}/"], {"PATH": "/usr/bin:/bin"})
            if os.waitpid(pid, 0)[1]:
                raise OSError(5, f"copy of {source} failed; is the disk full?")
    for folder in (spec["home"], spec["workdir"]):
        os.makedirs(top + folder, exist_ok=True)
    environment = spec["env"]
    linked = {os.path.dirname(target) for target, _ in spec["links"]}
    entries = environment["PATH"].split(":")
    environment["PATH"] = ":".join(top + entry if entry in linked else entry for entry in entries)
    environment["HOME"] = top + environment["HOME"]
    environment.setdefault("TMPDIR", f"{top}/tmp")
    return top


def _descendants() -> dict[int, bytes]:
    """Every descendant and its state, a letter as in `ps`."""
    children: dict[int, list[tuple[int, bytes]]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    state, parent = file.read().rpartition(b")")[2].split()[:2]
            except (FileNotFoundError, ProcessLookupError):
                continue
            children.setdefault(int(parent), []).append((int(name), state))
    found: dict[int, bytes] = {}
    queue = list(children.get(os.getpid(), ()))
    while queue:
        pid, state = queue.pop()
        found[pid] = state
        queue += children.get(pid, ())
    return found


def count_descendants() -> int:
    """How many descendants there are, those that only wait to be reaped left out."""
    return sum(state not in (b"Z", b"X") for state in _descendants().values())


def _signal(pids: dict[int, bytes], number: int) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def stop_descendants(deadline: float) -> None:
    """Kill every descendant once none is left that could fork or wake another: all are seen stopped, or time is up."""
    while True:
        found = _descendants()
        _signal(found, signal.SIGSTOP)
        after = _descendants()
        if (after.keys() <= found.keys() and not {b"R", b"S", b"D", b"I"} & set(after.values())) or time.monotonic() >= deadline:
            _signal(after, signal.SIGKILL)
            return


def kill_descendants() -> None:
    """Kill every descendant and wait for each; they are our children once their parents have gone."""
    while True:
        found = _descendants()
        if not found:
            return
        _signal(found, signal.SIGKILL)
        while True:
            try:
                if not os.waitpid(-1, os.WNOHANG)[0]:
                    break
            except ChildProcessError:
                return
