"""The spawner: one small single-threaded process per provider that forks the init of each sandbox.

It runs as PID 1 of its own PID namespace and, for a driver that is root, as an unprivileged user in a user namespace of
its own, inside the template root. Its end is therefore the end of every sandbox, by the kernel. Private network
namespaces are made once and used again (making one costs more than everything else about a sandbox); one that still
remembers connections is not.
"""

from __future__ import annotations

import _socket
import gc
import marshal
import os
import resource
import select
import sys

from podgym.sandbox.local.inside import kernel, wire
from podgym.sandbox.local.inside.cgroups import Group, Groups
from podgym.sandbox.local.inside.init import CLOSE_ON_EXEC, RESERVE, Init
from podgym.sandbox.local.inside.kernel import signal
from podgym.sandbox.local.inside.plain import kill_descendants, make_plain_root
from podgym.sandbox.local.inside.root import HOLD, Template, make_root, make_template

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from typing import Any, NoReturn

__all__ = ["spawn"]

_NAMESPACES = kernel.CLONE_NEWNS | kernel.CLONE_NEWPID | kernel.CLONE_NEWIPC | kernel.CLONE_NEWUTS


class _Child:
    __slots__ = ("group", "ident", "network", "scratch")

    def __init__(self, ident: int, group: Group | None, network: int, scratch: str | None) -> None:
        self.ident = ident
        self.group = group
        self.network = network
        self.scratch = scratch


def spawn(control: socket, config: dict[str, Any]) -> NoReturn:
    """Set up, report to the driver, and serve until the driver closes the control socket."""
    try:
        groups = Groups(config["bases"])
        template = _enter(config) if config["isolated"] else []
    except OSError as error:
        control.send(marshal.dumps({"problem": str(error), "errno": error.errno}))
        os._exit(1)
    unbounded = config["unbounded"]
    try:
        groups.prove()
    except OSError as error:
        groups.forget()
        unbounded = str(error)
    control.send(marshal.dumps({"unbounded": unbounded}))
    gc.collect()
    gc.freeze()
    gc.disable()
    _Spawner(control, config, groups, template).serve()


def _enter(config: dict[str, Any]) -> Template:
    """Leave the machine: template root, then an unprivileged user in its own user namespace."""
    uid = config["uid"]
    if not config["privileged"]:
        _map_user(os.getuid() if uid is None else uid, "/proc")
        return make_template(config)
    kernel.unshare(kernel.CLONE_NEWNS)
    template = make_template(config)
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    kernel.prctl(kernel.PR_SET_DUMPABLE, 1)
    kernel.unshare(kernel.CLONE_NEWUSER | kernel.CLONE_NEWNS)
    _map_user(uid, f"{HOLD}/proc")
    return template


def _map_user(uid: int, proc: str, *, inside: int = 0) -> None:
    for file, text in (("setgroups", "deny"), ("uid_map", f"{inside} {uid} 1"), ("gid_map", f"{inside} {uid} 1")):
        fd = os.open(f"{proc}/self/{file}", os.O_WRONLY | os.O_CLOEXEC)
        os.write(fd, text.encode())
        os.close(fd)


class _Spawner:
    def __init__(self, control: socket, config: dict[str, Any], groups: Groups, template: Template) -> None:
        self._control = control
        self._isolated: bool = config["isolated"]
        self._scratch = f"{HOLD}/scratch" if self._isolated else config["scratch"]
        self._layers: str = config["layers"]
        self._descriptors: int = config["descriptors"]
        self._groups = groups
        self._template = template
        self._children: dict[int, _Child] = {}
        self._removals: dict[int, tuple[_Child, int, int]] = {}
        self._networks: list[int] = []
        self._fresh: dict[int, int] = {}
        self._back, self._back_child = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)

    def serve(self) -> NoReturn:
        wake, wake_write = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(wake_write, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        poll = select.poll()
        for fd in (self._control.fileno(), self._back.fileno(), wake):
            poll.register(fd, select.POLLIN)
        while True:
            for fd, _ in poll.poll():
                if fd == wake:
                    os.read(wake, 4096)
                    self._reap()
                elif fd == self._back.fileno():
                    self._take_network()
                else:
                    self._command()

    def _command(self) -> None:
        try:
            message, fd = receive_fd(self._control)
        except ConnectionError:
            message, fd = b"", -1
        if not message:
            self._stop()
        channel = _socket.socket(fileno=fd)
        new = wire.New(message)
        try:
            self._create(channel, new)
        except OSError as error:
            channel.send(wire.frame(wire.FAILED, 0, wire.ERROR_HEAD.pack(error.errno or 5), str(error).encode()))
            self._report(_Child(new.ident, None, -1, None), 0, 0)
        channel.close()

    def _stop(self) -> NoReturn:
        if not self._isolated:
            kill_descendants()
        os._exit(0)

    def _create(self, channel: socket, new: wire.New) -> None:
        group = self._groups.take(new.memory, new.milli_cpus)
        scratch = f"{self._scratch}/{new.ident}" if new.on_disk or not self._isolated else None
        if scratch is not None:
            os.mkdir(scratch, 0o755)
        network = self._networks.pop() if new.private and self._networks else -1
        child = _Child(new.ident, group, network, scratch)
        try:
            pid = kernel.clone(_NAMESPACES) if self._isolated else os.fork()
        except OSError:
            self._release(child)
            if scratch is not None:
                os.rmdir(scratch)
            raise
        if pid == 0:
            try:
                self._become_init(channel, new, child)
            except OSError as error:
                channel.send(wire.frame(wire.FAILED, 0, wire.ERROR_HEAD.pack(error.errno or 5), str(error).encode()))
            except BaseException:
                sys.excepthook(*sys.exc_info())
                raise
            finally:
                os._exit(1)
        self._children[pid] = child

    def _become_init(self, channel: socket, new: wire.New, child: _Child) -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        self._control.close()
        events = -1
        if child.group is not None:
            for fd in child.group.procs:
                os.write(fd, b"0")
            events = child.group.events
        spec = _receive_spec(channel)
        root = ""
        if self._isolated:
            make_root(self._template, spec, scratch=child.scratch)
            if new.private:
                self._join_network(new.ident, child.network)
            kernel.set_hostname(b"sandbox")
            _confine(spec["uid"])
        else:
            assert child.scratch is not None
            root = make_plain_root(spec, child.scratch, self._layers)
            kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
            os.setsid()
        _close_all_but({channel.fileno(), *({events} if events >= 0 else ())})
        # Without a user namespace of its own, a sandbox would be counted together with all else of its user.
        spec["processes"] = new.processes if self._isolated else 0
        spec["descriptors"] = self._descriptors
        _set_limits(spec, memory_bound=child.group is not None)
        kernel.lock_down()
        Init(channel, spec, root=root, events=events).serve()

    def _join_network(self, ident: int, network: int) -> None:
        if network >= 0:
            kernel.setns(network, kernel.CLONE_NEWNET)
            fd = os.open("/proc/net/sockstat", os.O_RDONLY | os.O_CLOEXEC)
            _, _, waiting = os.read(fd, 4096).partition(b" tw ")
            os.close(fd)
            if waiting.startswith(b"0 "):
                return
        kernel.unshare(kernel.CLONE_NEWNET)
        kernel.loopback_up()
        fd = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        rights = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, fd.to_bytes(4, sys.byteorder))
        self._back_child.sendmsg([ident.to_bytes(4, "little")], [rights])
        os.close(fd)

    def _take_network(self) -> None:
        message, fd = receive_fd(self._back)
        ident = int.from_bytes(message, "little")
        for child in self._children.values():
            if child.ident == ident:
                if child.network >= 0:
                    os.close(child.network)
                child.network = fd
                return
        self._networks.append(fd)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            if pid in self._removals:
                self._report(*self._removals.pop(pid))
                continue
            child = self._children.pop(pid, None)
            if child is None:
                continue
            oom = 0
            if child.group is not None:
                oom = int(status != 0 and child.group.count_ooms() > child.group.ooms)
            self._release(child)
            if child.scratch is None:
                self._report(child, status, oom)
            else:
                remover = os.posix_spawnp("rm", ["rm", "-rf", child.scratch], {"PATH": "/usr/bin:/bin"})
                self._removals[remover] = (child, status, oom)

    def _release(self, child: _Child) -> None:
        if child.group is not None:
            self._groups.give(child.group)
        if child.network >= 0:
            self._networks.append(child.network)

    def _report(self, child: _Child, status: int, oom: int) -> None:
        try:
            self._control.send(wire.GONE.pack(child.ident, status, oom))
        except ConnectionError:
            self._stop()


def receive_fd(source: socket) -> tuple[bytes, int]:
    """One message with one descriptor."""
    message, ancillary, _, _ = source.recvmsg(4096, 64, CLOSE_ON_EXEC)
    return message, int.from_bytes(ancillary[0][2][:4], sys.byteorder) if ancillary else -1


def _receive_spec(channel: socket) -> dict[str, Any]:
    """The first frame, which the driver sends at once after asking for the sandbox; blocking is short."""
    data = b""
    while len(data) < wire.HEADER.size:
        data += _more(channel, wire.HEADER.size - len(data))
    size, _, _ = wire.HEADER.unpack(data)
    data = b""
    while len(data) < size:
        data += _more(channel, size - len(data))
    spec: dict[str, Any] = marshal.loads(data)
    return spec


def _more(channel: socket, size: int) -> bytes:
    data = channel.recv(size)
    if not data:
        os._exit(0)
    return data


def _confine(uid: int) -> None:
    """A user namespace without privilege over this sandbox's own mounts, in which no other can be made."""
    kernel.unshare(kernel.CLONE_NEWUSER)
    _map_user(0, "/proc", inside=uid)
    fd = os.open("/proc/sys/user/max_user_namespaces", os.O_WRONLY | os.O_CLOEXEC)
    os.write(fd, b"0")
    os.close(fd)
    kernel.drop_capabilities(keep=uid == 0)


def _close_all_but(kept: set[int]) -> None:
    low = 3
    for fd in sorted(kept):
        os.closerange(low, fd)
        low = fd + 1
    os.closerange(low, 1 << 16)


def _set_limits(spec: dict[str, Any], *, memory_bound: bool) -> None:
    limits = [(resource.RLIMIT_FSIZE, spec["disk"], 0), (resource.RLIMIT_CORE, 0, 0)]
    if spec["processes"]:
        limits.append((resource.RLIMIT_NPROC, spec["processes"], RESERVE))
    if not memory_bound:
        limits.append((resource.RLIMIT_DATA, spec["memory"], 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (spec["descriptors"], resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    for kind, wanted, reserve in limits:
        _, most = resource.getrlimit(kind)
        soft, hard = (value if most == resource.RLIM_INFINITY else min(value, most) for value in (wanted, wanted + reserve))
        resource.setrlimit(kind, (soft, hard))
