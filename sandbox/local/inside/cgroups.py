"""Memory and CPU bounds by control groups, version 1 or 2, where the machine lets us make them.

The keeper makes one base group per provider (`bases`) and gives it to the sandboxes' user; the spawner makes a group per
sandbox below it by directory descriptor, and uses the groups of ended sandboxes again, because making one costs more than
moving into it.
"""

from __future__ import annotations

import errno
import os

from podgym.sandbox.local.inside.bases import SPAWNER, put

__all__ = ["Group", "Groups", "count_ooms"]

_PERIOD_US = 100_000


def count_ooms(events: int) -> int:
    """The counter in an open memory.oom_control (version 1) or memory.events (version 2)."""
    _, _, found = (b"\n" + os.pread(events, 4096, 0)).partition(b"\noom_kill ")
    return int(found.split(b"\n", 1)[0] or 0)


class Group:
    """One sandbox's groups, open for moving into and for the memory events."""

    def __init__(self, name: str, bases: dict[str, int]) -> None:
        self._files: dict[str, int] = {}
        self._set: dict[str, int] = {}
        self.events = -1
        self.procs: list[int] = []
        self.ooms = 0
        for role, base in bases.items():
            os.mkdir(name, dir_fd=base)
            folder = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=base)
            self.procs.append(self._open(folder, "cgroup.procs"))
            if role in ("memory", "unified"):
                self._files["memory"] = self._open(folder, "memory.max" if role == "unified" else "memory.limit_in_bytes")
                events = "memory.events" if role == "unified" else "memory.oom_control"
                self.events = os.open(events, os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
            if role == "unified":
                try:
                    self._files["cpu.max"] = self._open(folder, "cpu.max")
                except FileNotFoundError:
                    pass  # Only memory was handed on.
            elif role == "cpu":
                self._files["cpu"] = self._open(folder, "cpu.cfs_quota_us")
            os.close(folder)

    @staticmethod
    def _open(folder: int, name: str) -> int:
        return os.open(name, os.O_WRONLY | os.O_CLOEXEC, dir_fd=folder)

    def bound(self, memory: int, milli_cpus: int) -> None:
        """Set the limits; what is set already is not written again."""
        quota = milli_cpus * _PERIOD_US // 1000
        for key, fd in self._files.items():
            value = memory if key == "memory" else quota
            if self._set.get(key) != value:
                text = f"{value} {_PERIOD_US}" if key == "cpu.max" else str(value)
                os.pwrite(fd, text.encode(), 0)
                self._set[key] = value
        self.ooms = self.count_ooms()

    def close(self) -> None:
        """Let go of the files; the directories are removed with the base."""
        for fd in (*self.procs, *self._files.values(), *((self.events,) if self.events >= 0 else ())):
            os.close(fd)

    def count_ooms(self) -> int:
        """Processes that the kernel has killed here for memory."""
        return count_ooms(self.events) if self.events >= 0 else 0


class Groups:
    """The groups of one provider, made on demand and kept for the next sandbox."""

    def __init__(self, bases: dict[str, str]) -> None:
        self._bases = {role: os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC) for role, path in bases.items()}
        self._idle: list[Group] = []
        self._made = 0
        if "unified" in bases:
            put(f"{bases['unified']}/{SPAWNER}/cgroup.procs", "0")

    def prove(self) -> None:
        """Have a process join a group as a sandbox's does. Raises `OSError`; then no groups are used."""
        group = self.take(1 << 30, 1000)
        if group is None:
            return
        pid = os.fork()
        if pid == 0:
            try:
                for fd in group.procs:
                    os.write(fd, b"0")
                os._exit(0)
            except OSError as error:
                os._exit(error.errno or errno.EIO)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if code:
            raise OSError(code, f"joining a group failed: {os.strerror(code)}")
        self.give(group)

    def forget(self) -> None:
        """Use none."""
        for fd in self._bases.values():
            os.close(fd)
        self._bases.clear()

    def take(self, memory: int, milli_cpus: int) -> Group | None:
        """A group with these limits; None where groups cannot be made."""
        if not self._bases:
            return None
        while self._idle:
            group = self._idle.pop()
            try:
                group.bound(memory, milli_cpus)
            except OSError:
                group.close()  # What its last sandbox left is still charged, and more than the new limit.
            else:
                return group
        self._made += 1
        group = Group(f"s{self._made}", self._bases)
        group.bound(memory, milli_cpus)
        return group

    def give(self, group: Group) -> None:
        """Keep an empty group for the next sandbox."""
        self._idle.append(group)
