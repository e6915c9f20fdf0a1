"""Which process owns a sandbox, so that what a dead one left behind is told from what a living one uses.

A process is known by its host, its number and its start time: a new process with an old number is not the owner.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

__all__ = ["left_behind", "own_owner", "start_time"]


def start_time(pid: int) -> int:
    """Clock ticks from boot to the start of a process; 0 when it is not alive."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return 0 if stat[0] in (b"Z", b"X") else int(stat[19])


def own_owner() -> str:
    """This process, as text."""
    return f"{socket.gethostname()}/{os.getpid()}/{start_time(os.getpid())}"


def left_behind(owner: str) -> bool:
    """Whether `owner` (of `own_owner`) is a process of this host that is no more; False for what cannot be told from here."""
    host, *process = owner.rsplit("/", 2)
    if host != socket.gethostname() or len(process) != 2 or not all(number.isdecimal() for number in process):
        return False
    pid, started = (int(number) for number in process)
    return start_time(pid) != started
