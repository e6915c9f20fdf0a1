"""A job in this process: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from podgym.console.cli.output import err, print_json, print_text, say, shown_path
from podgym.console.jobs.drive import drive
from podgym.console.jobs.steps import outcome_line, step_header, step_line
from podgym.console.jobs.submission import Submission
from podgym.rollout.ending import RunStopped
from podgym.rollout.report import StepReport
from podgym.traces.store import RunDir

__all__ = ["run_here", "showing_steps"]


def run_here(submission: Submission, *, as_json: bool) -> int:
    """Run to the end. Returns the exit code."""

    def began(run: RunDir) -> None:
        say(f"Run {run.id}, kept in {shown_path(run.path)}.")

    with showing_steps() as stepped:
        try:
            summary = drive(submission, on_start=began, on_step=stepped)
        except RunStopped as stopped:  # before there was anything to sum up
            say(str(stopped))
            return 130
    print_json(summary) if as_json else print_text(outcome_line(summary))
    if summary.status == "stopped":
        say(f"Go on with: podgym job resume {summary.run_id}")
        return 130
    return 0 if summary.status == "finished" else 1


@contextmanager
def showing_steps() -> Iterator[Callable[[StepReport], None]]:
    """What to call with each step: lines on stderr, and under them a bar where that is a terminal."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err(), transient=True) as bar:
        task = bar.add_task("starting", total=None)
        lines = _Lines(lambda text: bar.console.print(text, markup=False, highlight=False))

        def stepped(report: StepReport) -> None:
            lines(report)
            bar.update(task, description=f"solved {report.solve_rate:.2f}", completed=report.step, total=report.steps)

        yield stepped


class _Lines:
    """The header once, then a line for each step."""

    def __init__(self, write: Callable[[str], object] = say) -> None:
        self._write = write
        self._begun = False

    def __call__(self, report: StepReport) -> None:
        if not self._begun:
            self._write(step_header())
            self._begun = True
        self._write(step_line(report))
