"""Local sandboxes under load, beside the same work without sandboxes.

    python benchmarks/sandbox.py [--json] [--sandboxes 64] [--rounds 20]

Every way of running commands is measured twice.

In rounds (`commands_per_s`, `p50_ms`, `p99_ms`): every round asks all places for `true` at once and waits for all answers.
A command's latency counts from the start of its round, so that waiting for a runtime that handles one command at a time is
counted as the waiting that it is. One warm-up round is not counted; the ways take turns, round by round, so that a busy
machine slows all of them.

Freely (`free_per_s`, `free_p50_ms`, `free_p99_ms`): each place runs one command after another and waits for no other place,
as rollouts do. A command's latency counts from when it was asked for. A way that blocks the event loop answers each command
soon and asks for the next one late, so that here its commands per second say what its latencies do not.

* `podgym`: `LocalProvider` with isolation required; one sandbox each.
* `subprocess`: `subprocess.run(["sh", "-c", "true"])` on one thread each. No isolation, no time limit kills children.
* `swerex_execute`: SWE-ReX's `LocalRuntime.execute(Command(command="true", shell=True))`, one runtime each, all in one event
  loop. `execute` blocks the loop that it runs in, so this runs one command at a time. No isolation.
* `swerex_threads`: the same, each runtime in an event loop of its own on a thread of its own: as parallel as SWE-ReX can be
  within one process. No isolation.
* `swerex_session`: SWE-ReX's bash session, as SWE-agent drives it: `run_in_session(BashAction(command="true"))`. No isolation.

`no_slower_than_swerex` compares the medians of rounds with the fastest of SWE-ReX's three.

CPU is what this process and its ended children used; a sandbox's processes are counted when the provider has closed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

Command = Callable[[], Awaitable[object]]


@dataclass
class Samples:
    latencies_s: list[float] = field(default_factory=list)
    elapsed_s: float = 0.0

    def summary(self) -> dict[str, float]:
        ordered = sorted(self.latencies_s)
        return {
            "per_s": round(len(ordered) / self.elapsed_s, 1),
            "p50_ms": round(statistics.median(ordered) * 1000, 2),
            "p99_ms": round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))] * 1000, 2),
        }


async def round_of(commands: list[Command], into: Samples | None) -> None:
    started = time.perf_counter()
    ends: list[float] = []

    async def one(command: Command) -> None:
        await command()
        ends.append(time.perf_counter() - started)

    await asyncio.gather(*(one(command) for command in commands))
    if into is not None:
        into.latencies_s += ends
        into.elapsed_s += time.perf_counter() - started


async def freely(commands: list[Command], rounds: int) -> dict[str, float]:
    """Every place on its own; figures under names that begin with `free_`."""
    samples = Samples()

    async def one(command: Command) -> None:
        for _ in range(rounds):
            asked = time.perf_counter()
            await command()
            samples.latencies_s.append(time.perf_counter() - asked)

    started = time.perf_counter()
    await asyncio.gather(*(one(command) for command in commands))
    samples.elapsed_s = time.perf_counter() - started
    return {f"free_{key}": value for key, value in samples.summary().items()}


def cpu_s() -> float:
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


async def open_podgym(count: int, scratch: str) -> tuple[list[Command], Callable[[], Awaitable[None]], dict[str, Any]]:
    from podgym.sandbox import SandboxSpec
    from podgym.sandbox.local import LocalConfig, LocalProvider

    provider = LocalProvider(LocalConfig(isolation="require", scratch=f"{scratch}/scratch", cache=f"{scratch}/cache"))
    spec = SandboxSpec(image="host")
    await (await provider.create(spec)).close()
    creation = Samples()
    sandboxes: list[Any] = []

    async def create() -> None:
        sandboxes.append(await provider.create(spec))

    for _ in range(3):
        await asyncio.gather(*(sandbox.close() for sandbox in sandboxes))
        sandboxes.clear()
        await round_of([create] * count, creation)
    figures = creation.summary()
    facts = {"creates_per_s": figures["per_s"], "create_p50_ms": figures["p50_ms"], "create_p99_ms": figures["p99_ms"]}
    commands = [lambda sandbox=sandbox: sandbox.run("true", timeout_s=60) for sandbox in sandboxes]
    return commands, provider.close, facts


async def open_subprocess(count: int) -> tuple[list[Command], Callable[[], Awaitable[None]], dict[str, Any]]:
    pool = ThreadPoolExecutor(count)
    loop = asyncio.get_running_loop()

    def run() -> None:
        subprocess.run(["sh", "-c", "true"], capture_output=True, check=True, timeout=60)

    async def close() -> None:
        pool.shutdown()

    return [lambda: loop.run_in_executor(pool, run)] * count, close, {}


async def open_swerex_execute(count: int) -> tuple[list[Command], Callable[[], Awaitable[None]], dict[str, Any]]:
    from swerex.runtime.abstract import Command as RexCommand
    from swerex.runtime.local import LocalRuntime

    runtimes = [LocalRuntime() for _ in range(count)]
    request = RexCommand(command="true", shell=True, timeout=60)

    async def close() -> None:
        for runtime in runtimes:
            await runtime.close()

    return [lambda runtime=runtime: runtime.execute(request) for runtime in runtimes], close, {}


async def open_swerex_threads(count: int) -> tuple[list[Command], Callable[[], Awaitable[None]], dict[str, Any]]:
    from swerex.runtime.abstract import Command as RexCommand
    from swerex.runtime.local import LocalRuntime

    request = RexCommand(command="true", shell=True, timeout=60)
    here = asyncio.get_running_loop()
    threads = [ThreadPoolExecutor(1) for _ in range(count)]

    def opened() -> tuple[asyncio.AbstractEventLoop, LocalRuntime]:
        return asyncio.new_event_loop(), LocalRuntime()

    places = [(thread, *thread.submit(opened).result()) for thread in threads]

    def run(loop: asyncio.AbstractEventLoop, runtime: LocalRuntime) -> None:
        loop.run_until_complete(runtime.execute(request))

    async def close() -> None:
        for thread, loop, runtime in places:
            await here.run_in_executor(thread, lambda loop=loop, runtime=runtime: loop.run_until_complete(runtime.close()))
            await here.run_in_executor(thread, loop.close)
            thread.shutdown()

    return [lambda place=place: here.run_in_executor(place[0], run, *place[1:]) for place in places], close, {}


async def open_swerex_session(count: int) -> tuple[list[Command], Callable[[], Awaitable[None]], dict[str, Any]]:
    from swerex.runtime.abstract import BashAction, CreateBashSessionRequest
    from swerex.runtime.local import LocalRuntime

    runtimes = [LocalRuntime() for _ in range(count)]
    creation = Samples()
    await round_of(
        [lambda runtime=runtime: runtime.create_session(CreateBashSessionRequest(startup_timeout=60)) for runtime in runtimes], creation
    )
    figures = creation.summary()
    facts = {"creates_per_s": figures["per_s"], "create_p50_ms": figures["p50_ms"], "create_p99_ms": figures["p99_ms"]}

    async def close() -> None:
        for runtime in runtimes:
            await runtime.close()

    return [lambda runtime=runtime: runtime.run_in_session(BashAction(command="true", timeout=60)) for runtime in runtimes], close, facts


async def measure(count: int, rounds: int, session_rounds: int, scratch: str) -> dict[str, Any]:
    opened = {
        "podgym": await open_podgym(count, scratch),
        "subprocess": await open_subprocess(count),
        "swerex_execute": await open_swerex_execute(count),
        "swerex_threads": await open_swerex_threads(count),
    }
    if session_rounds:
        opened["swerex_session"] = await open_swerex_session(count)
    samples = {name: Samples() for name in opened}
    for number in range(rounds + 1):
        for name, (commands, _, _) in opened.items():
            if name != "swerex_session" or number <= session_rounds:
                await round_of(commands, samples[name] if number else None)
    figures = {}
    for name, (commands, close, facts) in opened.items():
        free = await freely(commands, session_rounds if name == "swerex_session" else rounds)
        await close()
        figures[name] = {
            **facts,
            **{("commands_per_s" if key == "per_s" else key): value for key, value in samples[name].summary().items()},
            **free,
        }
    return figures


async def cpu_figures(count: int, rounds: int, scratch: str) -> dict[str, float]:
    """CPU of one sandbox's life and of one command, from two runs that differ in nothing but the commands."""
    from podgym.sandbox import SandboxSpec
    from podgym.sandbox.local import LocalConfig, LocalProvider

    async def use(sandboxes: int, commands: int) -> float:
        before = cpu_s()
        provider = LocalProvider(LocalConfig(isolation="require", scratch=f"{scratch}/scratch", cache=f"{scratch}/cache"))

        async def life() -> None:
            sandbox = await provider.create(SandboxSpec(image="host"))
            for _ in range(commands):
                await sandbox.run("true", timeout_s=60)
            await sandbox.close()

        await asyncio.gather(*(life() for _ in range(sandboxes)))
        await provider.close()
        return cpu_s() - before

    start, bare, busy = await use(1, 0), await use(count, 0), await use(count, rounds)
    return {
        "cpu_ms_per_create_and_close": round((bare - start) / (count - 1) * 1000, 2),
        "cpu_ms_per_command": round((busy - bare) / (count * rounds) * 1000, 2),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="Local sandboxes beside subprocess and SWE-ReX.")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--sandboxes", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument(
        "--session-rounds", type=int, default=1, help="rounds of SWE-ReX's bash sessions, which take a minute to start; 0: none"
    )
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as scratch:
        figures = asyncio.run(measure(options.sandboxes, options.rounds, min(options.session_rounds, options.rounds), scratch))
        figures["podgym"] |= asyncio.run(cpu_figures(options.sandboxes, options.rounds, scratch))
    ours, theirs = figures["podgym"]["p50_ms"], min(figures[name]["p50_ms"] for name in figures if name.startswith("swerex"))
    report = {
        "sandboxes": options.sandboxes,
        "rounds": options.rounds,
        "machine": {"cpus": os.cpu_count(), "kernel": platform.release(), "python": platform.python_version()},
        "load_1m": round(os.getloadavg()[0], 2),
        **figures,
        "p50_ratio_to_fastest_swerex": round(ours / theirs, 3),
        "no_slower_than_swerex": ours <= theirs,
    }
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        for name in figures:
            print(f"{name:16}", "  ".join(f"{key} {value}" for key, value in figures[name].items()))
        print(f"p50 is {report['p50_ratio_to_fastest_swerex']} of the fastest of SWE-ReX's")
    return 0 if report["no_slower_than_swerex"] else 1


if __name__ == "__main__":
    sys.exit(main())
