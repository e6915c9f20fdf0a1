"""The control group that holds all groups of one provider, version 1 or 2, where the machine lets us make one.

In version 2 a group that holds processes hands no controller on to groups below it. The base is therefore made below the
nearest group above this process that does hand memory on; in a scope that was delegated to us, or where there is no such
group, all processes of our own group are first moved into a group below it, where they stay. The spawner joins a group
of its own below the base, because who moves a process must own the nearest group that is above both places.
"""

from __future__ import annotations

import errno
import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["LEAF", "SPAWNER", "make_bases", "make_unified", "memory_limit", "put", "remove_bases", "sweep_bases"]

LEAF = "podgym.leaf"
"""Where the processes of our own group are moved to."""
SPAWNER = "spawner"
"""The spawner's group below the base."""
MOVES = 20
"""How often the group is looked at for processes that were forked while others were moved."""


def make_bases(name: str, uid: int) -> tuple[dict[str, str], str]:
    """Base groups by role ("memory", "cpu", or "unified" for both), and where memory has none, why."""
    bases: dict[str, str] = {}
    why = ""
    for role, mount, path in _memberships():
        try:
            if role != "unified":
                os.mkdir(f"{mount}{path.rstrip('/')}/{name}")
                bases[role] = f"{mount}{path.rstrip('/')}/{name}"
            elif "memory" not in bases:
                bases[role] = make_unified(mount, path, name)
        except OSError as error:
            why = why or (str(error) if role != "cpu" else "")
    if uid:
        for base in bases.values():
            os.chown(base, uid, uid)
            for file in ("cgroup.procs", "cgroup.threads", "cgroup.subtree_control"):
                if os.path.exists(f"{base}/{file}"):
                    os.chown(f"{base}/{file}", uid, uid)
    return bases, "" if "memory" in bases or "unified" in bases else why or "no memory controller is mounted"


def make_unified(mount: str, path: str, name: str) -> str:
    """A base in version 2 for a process whose group is `path` below `mount`. Raises `OSError`."""
    own = f"{mount}{path.rstrip('/')}"
    base = _below_ancestor(mount, own, name) if not _is_delegated(own) else ""
    if not base:
        try:
            _hand_on(own)
            base = f"{own}/{name}"
            os.mkdir(base)
        except OSError:
            base = _below_ancestor(mount, own, name)
            if not base:
                raise
    try:
        _enable(base)
        os.mkdir(f"{base}/{SPAWNER}")
    except OSError:
        os.rmdir(base)
        raise
    return base


def _below_ancestor(mount: str, own: str, name: str) -> str:
    """A group made below the nearest of `own` and those above it that hands memory on; empty where none does or lets us."""
    for place in _upwards(mount, own):
        try:
            if "memory" in _text(f"{place}/cgroup.subtree_control").split() and os.access(f"{place}/cgroup.procs", os.W_OK):
                os.mkdir(f"{place}/{name}")
                return f"{place}/{name}"
        except OSError:
            continue
    return ""


def _upwards(mount: str, place: str) -> Iterator[str]:
    while place.startswith(mount):
        yield place
        place = os.path.dirname(place)


def _is_delegated(group: str) -> bool:
    """As systemd marks what it leaves to whoever runs there."""
    for attribute in ("user.delegate", "trusted.delegate"):
        try:
            if os.getxattr(group, attribute) == b"1":
                return True
        except OSError:
            continue
    return False


def _hand_on(group: str) -> None:
    """Have `group` hand memory on to those below it, its processes moved away where they stand in the way. Raises `OSError`."""
    if "memory" not in _text(f"{group}/cgroup.controllers").split():
        raise OSError(errno.EOPNOTSUPP, f"{group} has no memory controller")
    try:
        _enable(group)
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
    else:
        return
    leaf = f"{group}/{LEAF}"
    os.makedirs(leaf, exist_ok=True)
    for _ in range(MOVES):
        _move(group, leaf)
        try:
            _enable(group)
        except OSError as error:
            problem = error
        else:
            return
    _move(leaf, group)
    try:
        os.rmdir(leaf)
    except OSError:
        pass  # Something else was put there meanwhile.
    raise problem


def _move(source: str, target: str) -> None:
    for pid in _text(f"{source}/cgroup.procs").split():
        if pid != "0":  # One of another PID namespace; as a number, 0 is whoever writes it.
            try:
                put(f"{target}/cgroup.procs", pid)
            except OSError:
                continue  # It has ended, or may not be moved; then it still stands in the way and that is said.


def _enable(group: str) -> None:
    put(f"{group}/cgroup.subtree_control", "+memory")
    try:
        put(f"{group}/cgroup.subtree_control", "+cpu")
    except OSError:
        pass  # Memory alone is worth having.


def put(path: str, text: str) -> None:
    """Write one of a group's files; the `OSError` names it."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    except OSError as error:
        raise OSError(error.errno, f"{path}: {error.strerror}") from error
    finally:
        os.close(fd)


def _text(path: str) -> str:
    with open(path) as file:
        return file.read()


def _memberships(text: str = "") -> list[tuple[str, str, str]]:
    """Role, mount point and group of a process, by its /proc/<pid>/cgroup (this one's where none is given); version 1 first."""
    mounts = _mounts()
    found = []
    for line in (text or _text("/proc/self/cgroup")).splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(",") if controllers else ["unified"]:
            if controller in mounts and controller in ("memory", "cpu", "unified") and not path.startswith("/.."):
                found.append((controller, mounts[controller], path))
    return sorted(found, key=lambda membership: membership[0] == "unified")


def _mounts() -> dict[str, str]:
    found: dict[str, str] = {}
    for line in _text("/proc/self/mounts").splitlines():
        _, target, kind, options, *_ = line.split()
        if kind == "cgroup2":
            found.setdefault("unified", target)
        elif kind == "cgroup":
            found |= {option: target for option in options.split(",") if option in ("memory", "cpu")}
    return found


def memory_limit(text: str) -> int | None:
    """The bound on memory of the group of a process, by its /proc/<pid>/cgroup; None where there is none."""
    for role, mount, path in _memberships(text):
        try:
            if role != "cpu":
                return int(_text(f"{mount}{path.rstrip('/')}/{'memory.max' if role == 'unified' else 'memory.limit_in_bytes'}"))
        except (OSError, ValueError):  # `max` is no number.
            continue
    return None


def remove_bases(bases: dict[str, str], *, wait_s: float = 2.0) -> list[str]:
    """Remove base groups and those below them; returns what stayed."""
    stayed = []
    for base in bases.values():
        if not os.path.isdir(base):
            continue
        until = time.monotonic() + wait_s
        while True:
            try:
                for name in os.listdir(base):
                    if os.path.isdir(f"{base}/{name}"):
                        os.rmdir(f"{base}/{name}")
                os.rmdir(base)
            except OSError as error:
                # The kernel lets go of an ended process's group a little after its end.
                if time.monotonic() > until or isinstance(error, PermissionError):
                    stayed.append(base)
                    break
                time.sleep(0.01)
            else:
                break
    return stayed


def sweep_bases(is_dead: Callable[[str], bool]) -> list[str]:
    """Remove base groups whose name `is_dead` accepts, beside the current group or, in version 2, those above it; returns those removed."""
    removed = []
    for role, mount, path in _memberships():
        own = f"{mount}{path.rstrip('/')}"
        for folder in _upwards(mount, own) if role == "unified" else (own,):
            if os.path.isdir(folder):
                names = [name for name in os.listdir(folder) if is_dead(name) and os.path.isdir(f"{folder}/{name}")]
                found = {name: f"{folder}/{name}" for name in names}
                stayed = remove_bases(found, wait_s=0.2)
                removed += [base for base in found.values() if base not in stayed]
    return removed
