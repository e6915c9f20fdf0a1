"""What the demonstration says while it runs: bars on a terminal, plain lines elsewhere, then a table row per step."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from podgym.rollout.report import RunSummary, StepReport

__all__ = ["Narration"]

_COLUMNS = (
    ("step", 9), ("solve", 6), ("mean", 6), ("reward", 7), ("turns", 6), ("tok/s", 7), ("sbx/s", 6), ("cached", 10),
    ("groups", 7), ("skip", 5), ("gap+R", 8), ("gap-R", 8), ("unscored", 9),
)  # fmt: skip
_PLAIN_EVERY_S = 10.0
_MEAN_OVER = 20


class Narration:
    """Writes to one console."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._recent: list[float] = []
        self._began = time.monotonic()

    def _say(self, text: str) -> None:
        self._console.print(f"[dim]{time.monotonic() - self._began:6.1f} s[/]  {text}")

    @contextmanager
    def preparing(self, tasks: int, steps: int) -> Iterator[tuple[Callable[[], None], Callable[[int, float], None]]]:
        """While tasks are built and the warm start runs; yields what to call after each task and each step."""
        self._say(f"Building {tasks} tasks from generated git histories (allowlisted, certified, validated in sandboxes),")
        self._say(f"and warm-starting a tiny mixture-of-experts model with {steps} steps on partly wrong demonstrations.")
        with self._bars(tasks, steps) as calls:
            yield calls
        self._say("Ready.")

    @contextmanager
    def _bars(self, tasks: int, steps: int) -> Iterator[tuple[Callable[[], None], Callable[[int, float], None]]]:
        columns = (
            TextColumn("         {task.description:<10}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}"),
        )
        terminal = self._console.is_terminal
        with Progress(*columns, console=self._console, disable=not terminal) as bars:
            building, warming = bars.add_task("tasks", total=tasks, note=""), bars.add_task("warm start", total=steps, note="")
            state = {"built": 0, "step": 0, "loss": 0.0, "said": time.monotonic()}

            def plain() -> None:
                if not terminal and time.monotonic() - state["said"] >= _PLAIN_EVERY_S:
                    state["said"] = time.monotonic()
                    self._say(f"tasks {state['built']:.0f}/{tasks}, warm start {state['step']:.0f}/{steps}, loss {state['loss']:.3f}")

            def built() -> None:
                state["built"] += 1
                bars.advance(building)
                plain()

            def learned(step: int, loss: float) -> None:
                state["step"], state["loss"] = step + 1, loss
                bars.update(warming, completed=step + 1, note=f"loss {loss:.3f}")
                plain()

            yield built, learned

    def training(self, steps: int) -> None:
        """Before the first step: what follows, and what the columns mean."""
        self._say("Evaluating, then GRPO with real rollouts: bash, str_replace, finish; hidden tests decide the reward.")
        self._console.print(
            f"[dim]         mean: solve rate over {_MEAN_OVER} steps; cached: verdicts reused; skip: groups without signal;\n"
            "         gap: mean |train - infer logprob| with (+R) and without (-R) routing replay[/]"
        )
        self._console.print("[bold]" + "".join(f"{name:>{width}}" for name, width in _COLUMNS) + "[/]")

    def step(self, report: StepReport) -> None:
        """One row."""
        self._recent = [*self._recent, report.solve_rate][-_MEAN_OVER:]
        unscored = ",".join(f"{reason}:{count}" for reason, count in report.unscored.items()) or "0"
        cells = (
            f"{report.step}/{report.steps}", f"{report.solve_rate:.2f}", f"{sum(self._recent) / len(self._recent):.2f}",
            f"{report.reward:.2f}", f"{report.turns:.1f}", f"{report.tokens_per_s:.0f}", f"{report.sandboxes_per_s:.0f}",
            f"{report.cached}/{report.rollouts}", f"{report.groups}", f"{sum(report.skipped.values())}",
            _gap(report.gap_with_replay), _gap(report.gap_without_replay), unscored,
        )  # fmt: skip
        self._console.print("".join(f"{cell:>{width}}" for cell, (_, width) in zip(cells, _COLUMNS, strict=True)))

    def stopped(self, why: str) -> None:
        """Nothing came of it."""
        self._say(escape(why))

    def ended(self, summary: RunSummary, path: Path, total_s: float) -> None:
        """What came of it, and where to look."""
        self._say(
            f"[bold]{summary.status}[/]: {summary.steps} steps, {summary.rollouts} rollouts, {summary.unscored} unscored, "
            f"{total_s:.0f} s in all ({summary.seconds:.0f} s of rollouts and training)."
        )
        if summary.solve_rate_before is not None and summary.solve_rate_after is not None:
            self._say(f"Held-out solve rate: [bold]{summary.solve_rate_before:.2f} -> {summary.solve_rate_after:.2f}[/]")
        self._say(f"Train-infer gap: {_gap(summary.gap_with_replay)} with routing replay, {_gap(summary.gap_without_replay)} without.")
        self._say(f"Summary: {path / 'summary.json'}")
        self._say("Look at every rollout: [bold]podgym view[/]   or   podgym rollout list " + summary.run_id)


def _gap(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
