"""The warm start in a process of its own, so that building tasks beside it has an interpreter to itself.

That process says how far it is, and at last why it failed, over a pipe; it prints nothing. A Ctrl-C on the terminal reaches only the
process that started it, which ends it.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from pathlib import Path

from podgym.console.demo.workshop import DemoError, demo_error
from podgym.policy.warmstart import WarmStartConfig

__all__ = ["teach"]

_END_S = 120.0
"""An interpreter with torch in it takes its time to end where other processes hold the processors."""


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why the process gives up."""

    message: str
    remedy: str


async def teach(
    directory: Path, seed: int, projects: Sequence[int], *, config: WarmStartConfig, progress: Callable[[int, float], None]
) -> None:
    """`make_checkpoint` elsewhere; `progress` is called here with step and loss. Raises `DemoError` where that process fails."""
    spawn = multiprocessing.get_context("spawn")
    receiver, sender = spawn.Pipe(duplex=False)
    process = spawn.Process(target=_teach, args=(sender, directory, seed, tuple(projects), config), daemon=True)
    with _deaf_to_interrupts():
        process.start()
    sender.close()
    try:
        while (message := await asyncio.to_thread(_receive, receiver)) is not None:
            if isinstance(message, _Failure):
                raise DemoError(message.message, remedy=message.remedy)
            progress(*message)
        await asyncio.to_thread(process.join, _END_S)
        if process.exitcode != 0:
            raise DemoError(
                f"The warm start's process ended with {process.exitcode}.", remedy="`podgym doctor` may tell what the machine lacks."
            )
    finally:
        process.kill()  # and with it the pipe that a thread may still read
        receiver.close()


@contextlib.contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """A process that is started meanwhile never sees SIGINT; one that comes here meanwhile is seen afterwards."""
    resource_tracker.ensure_running()  # it would unblock them as it starts
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _receive(receiver: Connection) -> tuple[int, float] | _Failure | None:
    try:
        message: tuple[int, float] | _Failure = receiver.recv()
    except (EOFError, OSError):
        return None
    return message


def _teach(sender: Connection, directory: Path, seed: int, projects: tuple[int, ...], config: WarmStartConfig) -> None:
    try:
        import torch

        from podgym.console.demo.teacher import make_checkpoint

        torch.set_num_threads(1)
        make_checkpoint(directory, seed, projects, config=config, progress=lambda step, loss: sender.send((step, loss)))
    except Exception as error:  # noqa: BLE001 - it is raised where the process was started
        failure = demo_error(error, "The warm start failed")
        with contextlib.suppress(OSError):
            sender.send(_Failure(failure.message, failure.remedy))
    finally:
        sender.close()
