"""The file system of a sandbox: a template made once by the spawner, and one root per sandbox made from it.

The template is a tmpfs that holds read-only binds of the machine's programs, a minimal `/dev`, and under `/.podgym`
what the spawner needs (image layers, scratch space, toolchains). The spawner pivots into it, so the rest of the
machine is already out of reach there. A sandbox's root is a fresh tmpfs, or a scratch directory, with those binds,
its own `/proc`, and an overlay for each directory that its image keeps; all else on it is writable and its own. What all
sandboxes see of the template, `/dev` too, is read-only: for a driver that is not root it belongs to the sandboxes' user.
"""

from __future__ import annotations

import os

from podgym.sandbox.local.inside import kernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["HOLD", "Template", "make_root", "make_template"]

HOLD = "/.podgym"
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
DEVICE_LINKS = (
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
    ("shm", "/run/shm"),
)
FOLDERS = (("tmp", 0o1777), ("root", 0o700), ("home", 0o755), ("run", 0o755), ("run/shm", 0o1777), ("var", 0o755), ("var/tmp", 0o1777))

Template = list[tuple[str, str, str]]
"""What every root has: ("bind" | "link", path without the leading slash, link target)."""


def make_template(config: dict[str, Any]) -> Template:
    """Build the template in the current (private) mount namespace and pivot into it."""
    kernel.mount("none", "/", "", kernel.MS_REC | kernel.MS_PRIVATE)
    exposed = [(path, os.readlink(path) if os.path.islink(path) else "") for path in config["expose"] if os.path.lexists(path)]
    binds: list[tuple[str, str, bool]] = [(path, path, True) for path, link in exposed if not link]
    binds += [(path, f"{HOLD}/{name}", True) for name, path in config["toolchains"].items()]
    binds += [(config["layers"], f"{HOLD}/layers", False), (config["scratch"], f"{HOLD}/scratch", False), ("/proc", f"{HOLD}/proc", False)]
    binds += [(f"/dev/{name}", f"/dev/{name}", False) for name in DEVICES if os.path.exists(f"/dev/{name}")]
    top = "/tmp"
    links = [(f"/dev/{name}", link) for name, link in DEVICE_LINKS] + [(path, link) for path, link in exposed if link]
    _bind_all(binds, top)
    for path, link in links:
        os.makedirs(os.path.dirname(top + path), exist_ok=True)
        os.symlink(link, top + path)
    # Devices are written to all the same, and terminals are in each sandbox's own `/dev/pts`.
    kernel.set_read_only(f"{top}/dev")
    for path in config["mask"]:
        if os.path.isdir(top + path):
            kernel.mount("tmpfs", top + path, "tmpfs", kernel.MS_NOSUID, "size=4k,mode=755")
    for _, target, frozen in binds:
        if frozen:
            kernel.set_read_only(top + target)
    kernel.pivot_root(top)
    return [("link" if link else "bind", path[1:], link) for path, link in exposed]


def _bind_all(binds: list[tuple[str, str, bool]], top: str) -> None:
    """Cover `top` with a tmpfs and bind everything into it."""
    # The sources stay reachable by descriptor when the tmpfs covers the directory that they are in.
    handles = [os.open(source, os.O_PATH | os.O_CLOEXEC) for source, _, _ in binds]
    kernel.mount("tmpfs", top, "tmpfs", kernel.MS_NOSUID, "mode=755,size=1m")
    for folder in ("dev", "proc", HOLD[1:], f"{HOLD[1:]}/new"):
        os.mkdir(f"{top}/{folder}", 0o755)
    kernel.mount("tmpfs", f"{top}/dev", "tmpfs", kernel.MS_NOSUID, "mode=755,size=64k")
    os.mkdir(f"{top}/dev/pts", 0o755)
    for handle, (source, target, _) in zip(handles, binds, strict=True):
        if os.path.isdir(f"/proc/self/fd/{handle}"):
            os.makedirs(top + target, 0o755, exist_ok=True)
        else:
            os.close(os.open(top + target, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))
        try:
            kernel.mount(f"/proc/self/fd/{handle}", top + target, "", kernel.MS_BIND | kernel.MS_REC)
        except OSError as error:
            raise OSError(error.errno, f"bind {source}: {os.strerror(error.errno or 0)}") from error
        os.close(handle)


def make_root(template: Template, spec: dict[str, Any], *, scratch: str | None) -> None:
    """Build a sandbox's root in the current (own) mount namespace and pivot into it."""
    hold = f"{HOLD}/new"
    if scratch is None:
        kernel.mount("tmpfs", hold, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, f"size={spec['size']},mode=755")
    else:
        kernel.mount(scratch, hold, "", kernel.MS_BIND)
    top = f"{hold}/root"
    os.mkdir(top, 0o755)
    os.mkdir(f"{hold}/up", 0o755)
    kernel.mount(top, top, "", kernel.MS_BIND)
    os.chdir(top)
    os.umask(0)
    for folder, mode in FOLDERS:
        os.mkdir(folder, mode)
    os.umask(0o022)
    for kind, path, link in template:
        if "/" in path:
            os.makedirs(os.path.dirname(path), exist_ok=True)
        if kind == "link":
            os.symlink(link, path)
        else:
            os.mkdir(path)
            kernel.mount(f"/{path}", path, "", kernel.MS_BIND | kernel.MS_REC)
    os.mkdir("dev")
    kernel.mount("/dev", "dev", "", kernel.MS_BIND | kernel.MS_REC)
    kernel.mount("devpts", "dev/pts", "devpts", kernel.MS_NOSUID | kernel.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620")
    os.mkdir("proc")
    kernel.mount("proc", "proc", "proc", kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC)
    os.makedirs(spec["home"][1:], exist_ok=True)
    for target, text, mode in spec["files"]:
        os.makedirs(os.path.dirname(target[1:]), exist_ok=True)
        with open(target[1:], "w") as file:
            file.write(text)
            os.fchmod(file.fileno(), mode)
    for target, link in spec["links"]:
        os.makedirs(os.path.dirname(target[1:]), exist_ok=True)
        os.symlink(link, target[1:])
    for index, path in enumerate(spec["kept"]):
        _keep(index, path[1:], hold, spec)
    # After what would cover them: a toolchain may lie in a directory that is kept.
    for source, target in spec["binds"]:
        os.makedirs(target[1:], exist_ok=True)
        kernel.mount(f"{HOLD}/{source}", target[1:], "", kernel.MS_BIND | kernel.MS_REC)
    os.makedirs(spec["workdir"][1:], exist_ok=True)
    kernel.pivot_root(top)


def _keep(index: int, target: str, hold: str, spec: dict[str, Any]) -> None:
    """Lay a kept directory: image layers over what the machine or a toolchain has there, under what the sandbox will write."""
    build, up = spec["build"], f"{hold}/up"
    lowers = [path for layer in spec["layers"] if os.listdir(path := f"{HOLD}/layers/{layer}/{index}")]
    found = os.path.isdir(target)
    if not found:
        os.makedirs(target)
    if not lowers and not build and not os.path.isdir(f"/{target}"):
        return  # It is the sandbox's own as it is.
    if found and target not in ("tmp", "root", "home", "run", "var", "var/tmp"):
        lowers.append(f"{hold}/root/{target}")
    upper = f"{HOLD}/layers/{build}/{index}" if build else f"{up}/u{index}"
    if not lowers:
        if build:
            kernel.mount(upper, target, "", kernel.MS_BIND)
        return
    # overlayfs wants its work directory on the file system of the upper one, outside of it.
    work = f"{HOLD}/layers/{build}/w{index}" if build else f"{up}/w{index}"
    for folder in (upper, work):
        if not os.path.isdir(folder):
            os.mkdir(folder)
    options = f"lowerdir={':'.join(lowers)},upperdir={upper},workdir={work},userxattr"
    try:
        kernel.mount("overlay", target, "overlay", kernel.MS_NOSUID | kernel.MS_NODEV, options)
    except OSError:
        pass  # No overlays in user namespaces here, or not on this file system: copy.
    else:
        return
    for lower in reversed(lowers):
        _copy(lower, upper)
    kernel.mount(upper, target, "", kernel.MS_BIND)


def _copy(source: str, target: str) -> None:
    pid = os.posix_spawnp("cp", ["cp", "-a", f"{source}/.", f"{target}/"], {"PATH": "/usr/bin:/bin"})
    if os.waitpid(pid, 0)[1]:
        raise OSError(5, f"copy of {source} failed; is the disk full?")
