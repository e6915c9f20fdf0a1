"""`make demo` from the first repository to the summary: generate, build, warm-start, train with real rollouts, evaluate."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import time
from pathlib import Path

from rich.console import Console

from podgym.console.demo.narration import Narration
from podgym.console.demo.school import teach
from podgym.console.demo.settings import QUICK, Settings, make_job
from podgym.console.demo.workshop import build_tasks, demo_error, draw_task_sets
from podgym.policy.warmstart import WarmStartConfig
from podgym.rollout.driver import run_job
from podgym.rollout.ending import RunStopped
from podgym.traces.store import RunStore

__all__ = ["run_demo"]


def run_demo(*, seed: int, directory: Path, quick: bool = False, as_json: bool = False, settings: Settings | None = None) -> int:
    """Run it and tell about it on stderr; with `as_json` print the summary on stdout. Returns the exit code.

    Raises `PodgymError` for what makes it fail.
    """
    settings = settings or (QUICK if quick else Settings())
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # idle threads of one process must not spin on the other's core
    began = time.monotonic()
    narration = Narration(Console(file=sys.stderr, highlight=False, width=None if sys.stderr.isatty() else 120))
    directory = directory.absolute()  # the job names folders that other processes open
    workshop = directory / f".demo-{seed}"
    tasks, checkpoint = workshop / "tasks", workshop / "warm"
    _prepare(settings, seed=seed, tasks=tasks, checkpoint=checkpoint, narration=narration)
    job = make_job(settings, seed=seed, directory=directory, tasks=tasks, checkpoint=checkpoint)
    narration.training(settings.steps)
    try:
        summary = run_job(job, RunStore(directory), on_step=narration.step)
    except RunStopped as stopped:  # before there was anything to sum up
        narration.stopped(str(stopped))
        return 130
    run = RunStore(directory).open(summary.run_id)
    total_s = time.monotonic() - began
    run.write_summary({**summary.as_dict(), "total_seconds": round(total_s, 1), "seed": seed})
    narration.ended(summary, run.path, total_s)
    if as_json:
        sys.stdout.write(json.dumps(run.summary(), indent=2) + "\n")
    return {"finished": 0, "stopped": 130}.get(summary.status, 1)


def _prepare(settings: Settings, *, seed: int, tasks: Path, checkpoint: Path, narration: Narration) -> None:
    """Tasks on one core and the warm start on the other."""
    sets = draw_task_sets(
        seed, held_out=settings.held_out_projects, train=settings.train_projects, demonstrations=settings.demonstration_projects
    )
    warm = WarmStartConfig(steps=settings.warm_steps, batch=settings.warm_batch, rise_steps=20, seed=seed)
    count = 8 * (settings.held_out_projects + settings.train_projects)
    shutil.rmtree(checkpoint, ignore_errors=True)

    async def both() -> None:
        with narration.preparing(count, settings.warm_steps) as (built, learned):
            async with asyncio.TaskGroup() as group:
                group.create_task(teach(checkpoint, seed, sets.demonstrations, config=warm, progress=learned))
                group.create_task(build_tasks(seed, {"held-out": sets.held_out, "train": sets.train}, tasks, built=built))

    try:
        asyncio.run(both())
    except ExceptionGroup as failures:
        raise demo_error(failures.exceptions[0], "The demonstration could not be prepared") from failures
