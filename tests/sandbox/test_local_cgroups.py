"""Where control groups of version 2 are made, on a tree that keeps the kernel's rules, and what is said where none can be made."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from podgym.sandbox import Limits, SandboxSpec
from podgym.sandbox.local import spawning
from podgym.sandbox.local.inside import bases


class Tree:
    """A directory that behaves like a mounted cgroup2: `enabled` groups hand memory and cpu on, `processes` live in groups."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.delegated: set[Path] = set()
        self.stubborn: set[str] = set()
        self.refused: set[Path] = set()
        self._mkdir, self._rmdir = os.mkdir, os.rmdir
        self.group("", controllers="memory cpu")
        monkeypatch.setattr(bases, "put", self._put)
        monkeypatch.setattr(bases, "_is_delegated", lambda group: Path(group) in self.delegated)
        monkeypatch.setattr(os, "mkdir", self._make)
        monkeypatch.setattr(os, "rmdir", self._remove)

    def group(self, path: str, *, controllers: str = "", enabled: str = "", processes: str = "") -> Path:
        folder = self.root / path
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in {"controllers": controllers, "subtree_control": enabled, "procs": processes}.items():
            (folder / f"cgroup.{name}").write_text(text)
        return folder

    def _make(self, path: str, mode: int = 0o777) -> None:
        folder = Path(path)
        if folder.parent in self.refused:
            raise PermissionError(errno.EACCES, "Permission denied", path)
        self._mkdir(path, mode)
        if folder.is_relative_to(self.root):
            self.group(str(folder.relative_to(self.root)), controllers=(folder.parent / "cgroup.subtree_control").read_text())

    def _remove(self, path: str) -> None:
        for file in Path(path).glob("cgroup.*"):
            file.unlink()
        self._rmdir(path)

    def _put(self, path: str, text: str) -> None:
        file = Path(path)
        if file.parent in self.refused:
            raise PermissionError(errno.EACCES, "Permission denied", path)
        if file.name == "cgroup.procs":
            if text in self.stubborn:
                raise OSError(errno.EINVAL, "Invalid argument")
            for other in self.root.rglob("cgroup.procs"):
                other.write_text(" ".join(pid for pid in other.read_text().split() if pid != text))
            file.write_text(f"{file.read_text()} {text}")
        else:
            if text[1:] not in (file.parent / "cgroup.controllers").read_text().split():
                raise OSError(errno.ENOENT, "No such file or directory")
            if (file.parent / "cgroup.procs").read_text().split() and file.parent != self.root:
                raise OSError(errno.EBUSY, "Device or resource busy")
            file.write_text(f"{file.read_text()} {text[1:]}")

    def make(self, path: str) -> str:
        base = Path(bases.make_unified(str(self.root), path, "podgym.base"))
        assert {"memory"} <= set((base / "cgroup.subtree_control").read_text().split())
        assert (base / bases.SPAWNER).is_dir()
        return str(base.relative_to(self.root))


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    return Tree(tmp_path / "unified", monkeypatch)


def test_the_base_is_below_the_nearest_group_that_hands_memory_on(tree: Tree) -> None:
    tree.group("", controllers="memory cpu", enabled="memory cpu")
    tree.group("system.slice", controllers="memory cpu", enabled="memory pids")
    session = tree.group("system.slice/cron.service", controllers="memory", processes="1 2")
    assert tree.make("/system.slice/cron.service") == "system.slice/podgym.base"
    assert (session / "cgroup.procs").read_text() == "1 2"


def test_a_group_that_may_not_be_written_is_passed_over(tree: Tree) -> None:
    tree.group("", controllers="memory cpu", enabled="memory cpu")
    slice_ = tree.group("user.slice", controllers="memory cpu", enabled="memory")
    tree.group("user.slice/session.scope", controllers="memory", processes="1")
    tree.refused.add(slice_)
    assert tree.make("/user.slice/session.scope") == "podgym.base"


def test_a_delegated_scope_keeps_its_sandboxes(tree: Tree) -> None:
    tree.group("", controllers="memory cpu", enabled="memory cpu")
    scope = tree.group("run.scope", controllers="memory cpu", processes="1 2 3")
    tree.delegated.add(scope)
    assert tree.make("/run.scope") == "run.scope/podgym.base"
    assert (scope / "cgroup.procs").read_text().split() == []
    assert (scope / bases.LEAF / "cgroup.procs").read_text().split() == ["1", "2", "3"]
    # The next provider of the same scope is in the leaf.
    (scope / "podgym.base").rename(scope / "podgym.first")
    assert tree.make(f"/run.scope/{bases.LEAF}") == "run.scope/podgym.base"


def test_in_a_container_the_processes_of_the_only_group_are_moved(tree: Tree) -> None:
    container = tree.group("container", controllers="memory cpu", processes="1 7")
    assert bases.make_unified(str(container), "/", "podgym.base") == f"{container}/podgym.base"
    assert (container / bases.LEAF / "cgroup.procs").read_text().split() == ["1", "7"]


@pytest.mark.parametrize("processes", ["5 6", "0 6"])
def test_processes_that_cannot_be_moved_are_left_where_they_were(tree: Tree, processes: str) -> None:
    scope = tree.group("scope", controllers="memory", processes=processes)
    tree.stubborn.add("5")
    with pytest.raises(OSError, match="busy"):
        tree.make("/scope")
    assert sorted((scope / "cgroup.procs").read_text().split()) == sorted(processes.split())
    assert not [path for path in scope.iterdir() if path.is_dir()]


def test_without_a_memory_controller_nothing_is_moved(tree: Tree) -> None:
    tree.group("", controllers="cpu", enabled="cpu")
    scope = tree.group("scope", controllers="cpu", processes="1")
    with pytest.raises(OSError, match="no memory controller"):
        tree.make("/scope")
    assert (scope / "cgroup.procs").read_text() == "1"


def test_a_bound_is_read_from_where_it_was_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bases, "_mounts", lambda: {"unified": str(tmp_path), "memory": str(tmp_path / "v1")})
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "memory.max").write_text("max\n")
    assert bases.memory_limit("0::/a\n") is None
    (tmp_path / "a" / "memory.max").write_text("1000\n")
    assert bases.memory_limit("0::/a\n") == 1000
    assert bases.memory_limit("4:memory:/gone\n0::/../a\n") is None
    (tmp_path / "v1" / "b").mkdir(parents=True)
    (tmp_path / "v1" / "b" / "memory.limit_in_bytes").write_text("2000\n")
    assert bases.memory_limit("4:memory,hugetlb:/b\n0::/a\n") == 2000


async def test_the_bound_is_set(local, bounded) -> None:
    sandbox = await local().create(SandboxSpec(image="host", limits=Limits(memory_bytes=96 << 20)))
    text = (await sandbox.run("cat /proc/self/cgroup", timeout_s=10)).stdout.text()
    assert bases.memory_limit(text) == 96 << 20


UNWRITABLE = """
def refuse(*_):
    pass

import os
real = os.mkdir

def mkdir(path, *rest, **options):
    if str(path).startswith("/sys/fs/cgroup"):
        raise PermissionError(13, "Permission denied", path)
    return real(path, *rest, **options)

os.mkdir = mkdir
"""


async def test_that_nothing_is_bounded_is_said_once(local, refusing, caplog) -> None:
    refusing("clone", UNWRITABLE)
    spawning._warned.clear()
    for _ in range(2):
        provider = local()
        sandbox = await provider.create(SandboxSpec(image="host"))
        assert (await sandbox.run("echo fine", timeout_s=10)).stdout.bytes == b"fine\n"
        assert "denied" in provider.unbounded
    said = [message for message in caplog.messages if "control groups" in message]
    assert len(said) == 1 and "systemd-run --user --scope -p Delegate=yes" in said[0]
    assert (await local(cgroups=False).create(SandboxSpec(image="host"))) and len(caplog.messages) == 1


async def test_groups_that_no_process_can_join_are_not_used(local, refusing) -> None:
    refusing("clone", "def refuse(*_):\n    pass\nimport os\nreal = os.write\n" + REFUSE_JOINING)
    provider = local()
    sandbox = await provider.create(SandboxSpec(image="host"))
    assert (await sandbox.run("echo fine", timeout_s=10)).stdout.bytes == b"fine\n"
    assert "joining a group failed" in provider.unbounded


REFUSE_JOINING = """
def write(fd, data):
    if data == b"0" and "cgroup.procs" in os.readlink(f"/proc/self/fd/{fd}"):
        raise PermissionError(13, "Permission denied")
    return real(fd, data)

os.write = write
"""
