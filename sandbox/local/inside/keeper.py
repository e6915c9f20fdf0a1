"""The keeper: outlives the driver and the spawner by a moment, to remove what only the machine's own user can remove.

It makes the control groups and the scratch directory, starts the spawner, waits until the spawner or the driver has
ended (however that came about), ends the spawner with everything below it, cleans up and exits.
"""

from __future__ import annotations

import _socket
import marshal
import os
import resource
import select
import sys

from podgym.sandbox.local.inside import kernel
from podgym.sandbox.local.inside.bases import make_bases, remove_bases
from podgym.sandbox.local.inside.kernel import signal
from podgym.sandbox.local.inside.plain import kill_descendants
from podgym.sandbox.local.inside.spawner import spawn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from typing import Any

__all__ = ["keep"]


def keep(control_fd: int) -> None:
    """Run until all is over; the driver's configuration is the first message on the control socket."""
    control = _socket.socket(fileno=control_fd)
    message = control.recv(1 << 20)
    if not message:
        return
    config: dict[str, Any] = marshal.loads(message)
    driver = os.pidfd_open(config["owner"])
    if os.getppid() != config["owner"]:
        return
    # A sandbox takes a few descriptors here; inside, commands get back the limit that the driver had.
    config["descriptors"], most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    uid = config["uid"] if config["privileged"] else 0
    os.makedirs(config["scratch"], mode=0o711)
    if uid:
        os.chown(config["scratch"], uid, uid)
    config["bases"], config["unbounded"] = make_bases(config["name"], uid) if config["cgroups"] else ({}, "cgroups is off")
    try:
        pid = _start(control, config)
        control.close()
        spawner = os.pidfd_open(pid)
        poll = select.poll()
        poll.register(driver, select.POLLIN)
        poll.register(spawner, select.POLLIN)
        poll.poll()
        _end(pid, isolated=config["isolated"])
    except OSError as error:
        control.send(marshal.dumps({"problem": str(error), "errno": error.errno}))
    finally:
        remove_bases(config["bases"])
        os.waitpid(os.posix_spawnp("rm", ["rm", "-rf", config["scratch"]], {}), 0)


def _start(control: socket, config: dict[str, Any]) -> int:
    if not config["isolated"]:
        kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
        pid = os.fork()
    elif config["privileged"]:
        pid = kernel.clone(kernel.CLONE_NEWPID)
    else:
        config["uid"] = os.getuid()
        pid = kernel.clone(kernel.CLONE_NEWUSER | kernel.CLONE_NEWNS | kernel.CLONE_NEWPID)
    if pid == 0:
        try:
            kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
            spawn(control, config)
        except BaseException:
            sys.excepthook(*sys.exc_info())
            raise
        finally:
            os._exit(1)
    return pid


def _end(pid: int, *, isolated: bool) -> None:
    if isolated:
        os.kill(pid, signal.SIGKILL)
        # As PID 1 of its namespace it is gone only when everything in it is.
        os.waitpid(pid, 0)
        return
    kill_descendants()
