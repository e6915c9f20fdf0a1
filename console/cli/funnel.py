"""`podgym env build --from` and `--scan`: many builds, a line on stderr as each ends, a table at the end."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from podgym.console.cli.output import err, print_json, print_table, print_text, say, shown_path

if TYPE_CHECKING:
    from podgym.envs.build import BuildOptions
    from podgym.envs.build.funnel import Event, FunnelSummary, LanguageSummary, Pool, Row, Source
    from podgym.envs.build.scan import Scan

__all__ = ["build_many", "print_rows", "print_summary", "run_lines"]

Where = tuple[str, dict[str, Any]]


def build_many(
    source: str | None,
    tip: str | None,
    out_dir: Path,
    *,
    file: Path | None,
    count: int | None,
    given: dict[str, Any],
    options: BuildOptions,
    single: Mapping[str, object],
    how: Mapping[str, Any],
    as_json: bool,
) -> int:
    """Build every line of `file`, or the last `count` fixes of `source`. Exit 0 where all were attempted.

    `given` are options for all; `single`: those of the command that are for one build; `how`: see `run_lines`.
    """
    mode = "--from" if file is not None else "--scan"
    for name, value in single.items():
        if value not in (None, False):
            raise typer.BadParameter(f"It is for one build, not for {mode}.", param_hint=f"--{name.replace('_', '-')}")
    scan = None
    if file is not None:
        from podgym.envs.build.funnel import read_lines

        if source is not None or tip is not None or count is not None:
            raise typer.BadParameter("Its lines name repositories and commits; give no other.", param_hint="--from")
        lines = list(read_lines(file, given))
    else:
        if source is None:
            raise typer.BadParameter("Give the repository whose history is to be read.", param_hint="PATH_OR_URL")
        scan = _scanned(source, tip or "HEAD", count or 1, options)
        lines = list(_lines_of(scan, source, given))
    rows = run_lines(lines, out_dir, **how)
    print_rows(rows, out_dir, scan=scan, as_json=as_json)
    return 0


def _scanned(source: str, tip: str, count: int, options: BuildOptions) -> Scan:
    from podgym.envs.build.scan import scan_history

    say(f"reading the history of {source}")
    scan = scan_history(source, tip, count, options=options)
    passed = ", ".join(f"{number} {reason}" for reason, number in scan.passed_over.items())
    say(f"{len(scan.found)} of {scan.looked_at} commits change tests and source" + (f"; passed over: {passed}" if passed else ""))
    return scan


def _lines_of(scan: Scan, source: str, given: dict[str, Any]) -> Iterator[Source]:
    from podgym.envs.build.funnel import Line
    from podgym.envs.repository.remote import is_remote

    repo = source if is_remote(source) else str(Path(source.removeprefix("file://")).expanduser().absolute())
    for number, found in enumerate(scan.found, 1):
        dated = {} if found.as_of is None else {"as_of": found.as_of.isoformat()}
        yield Line(number=number, repo=repo, commit=found.commit, options={**dated, **given, "parent": 1})


def run_lines(
    lines: Sequence[Source], out_dir: Path, *, provider: Where, workers: int, cluster: str | None, timeout_s: float
) -> tuple[Row, ...]:
    """Build them all, telling on stderr. One worker is this process; several are Ray tasks, of a Ray of our own or a cluster's."""
    import asyncio

    from podgym.envs.build.funnel import Bounds, run_funnel

    _check_provider(provider)
    out_dir = out_dir.absolute()
    with _pool(workers, cluster) as pool, _told(len(lines)) as tell:
        funnel = run_funnel(
            lines, out_dir, pool=pool, workers=workers, provider=provider, bounds=Bounds(timeout_s=timeout_s), tell=tell
        )  # fmt: skip
        return asyncio.run(funnel)


def _check_provider(provider: Where) -> None:
    """Say what is wrong with it once, and not for every line."""
    import asyncio

    from podgym.sandbox.providers import open_provider

    async def check() -> None:
        await open_provider(*provider).close()

    asyncio.run(check())


@contextmanager
def _pool(workers: int, cluster: str | None) -> Iterator[Pool]:
    if workers == 1 and cluster is None:
        from podgym.envs.build.funnel import HerePool

        yield HerePool()
        return
    import secrets

    from podgym.envs.build.funnel.raypool import RayPool
    from podgym.rollout.cluster import open_cluster
    from podgym.rollout.job import RaySection

    opened = open_cluster(RaySection(address=cluster), run_id=f"funnel-{secrets.token_hex(4)}")
    try:
        yield RayPool(workers)
    finally:
        opened.close()


@contextmanager
def _told(total: int) -> Iterator[Callable[[Event], None]]:
    """A line for each build that ends, and under them a bar where stderr is a terminal."""
    if not sys.stderr.isatty():
        yield _Lines(total, say)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err(), transient=True) as bar:
        task = bar.add_task("starting", total=total)
        lines = _Lines(total, lambda text: bar.console.print(text, markup=False, highlight=False))

        def told(event: Event) -> None:
            lines(event)
            bar.update(task, completed=lines.done, description=f"{lines.good} tasks" + (f", {event.text}"[:60] if event.text else ""))

        yield told


class _Lines:
    """A line for each row, numbered as they end."""

    def __init__(self, total: int, write: Callable[[str], object]) -> None:
        self._total, self._write = total, write
        self.done = self.good = self._known = 0

    def __call__(self, event: Event) -> None:
        row = event.row
        if row is None:
            return
        self.done += 1
        self.good += row.status != "failed"
        what = row.task or f"{row.source.rstrip('/').rpartition('/')[2] or 'line'} {row.commit[:12]}".strip()
        came = row.status if row.status != "failed" else f"failed in {row.stage}: {row.reason}"
        when = "known from an earlier run" if event.kind == "known" else f"{row.seconds:.0f} s"
        self._write(f"[{self.done}/{self._total}] line {row.line}: {what}{f' ({row.language})' if row.language else ''} {came}, {when}")


def print_rows(rows: Sequence[Row], out_dir: Path, *, scan: Scan | None = None, as_json: bool) -> None:
    """The rows and what they come to: one document, or a table."""
    from podgym.envs.build.funnel import summarise

    summary = summarise(rows)
    if as_json:
        scanned = {} if scan is None else {"scan": scan}
        print_json({"rows": list(rows), "summary": summary, **scanned})
        return
    print_summary(summary)
    if scan is not None:
        say(f"{scan.epochs} sets of dependencies")
    say(f"Tasks and their rows are in {shown_path(out_dir)}.")


def print_summary(summary: FunnelSummary) -> None:
    """For people."""
    several = len(summary.languages) != 1
    languages = (*summary.languages, *([summary.total] if several else []))
    print_table(
        (
            "language", "attempted", "detected", "built", "tests run", "validated", "certified", "median s", "90 % s",
            "image MB", "90 % MB",
        ),
        map(_cells, languages),
        empty="No lines.",
    )  # fmt: skip
    if summary.reasons:
        print_text("\n")
        print_table(
            ("times", "stage", "reason", "for example"),
            [(one.count, one.stage, one.reason, one.example[:100]) for one in summary.reasons],
        )
    if summary.model_calls:
        say(f"{summary.model_calls} model calls; {summary.without_model_call} tasks without any")


def _cells(one: LanguageSummary) -> tuple[object, ...]:
    counts = (one.attempted, one.detected, one.built, one.tests_run, one.validated, one.certified)
    return (one.language, *counts, one.seconds_median, one.seconds_p90, _mb(one.image_bytes_median), _mb(one.image_bytes_p90))


def _mb(size: int | None) -> str | None:
    return None if size is None else f"{size / 1e6:.1f}"
