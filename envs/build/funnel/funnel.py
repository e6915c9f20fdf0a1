"""Many builds, at most so many at once: lines in, a row for each out, in the journal as soon as it is there.

Builds begin in the order of the lines. What the journal has already is not built again; of two lines that ask for the same the second is
a row that says so. A funnel that is stopped has every row that ended, and goes on from there.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from pydantic import JsonValue

from podgym.envs.build.funnel.job import WORK, Bounds, Job, job_of
from podgym.envs.build.funnel.journal import Journal
from podgym.envs.build.funnel.line import BadLine, Line, Source
from podgym.envs.build.funnel.pool import Pool
from podgym.envs.build.funnel.row import Row, bad_row, row_of, twin_row
from podgym.envs.build.report import BuildReport

__all__ = ["Event", "run_funnel"]

_TRIES: Final = 2
_ONCE_MORE: Final = frozenset({"sandbox", "lost"})
"""Of the reasons that are the machine's, those that may be gone a moment later."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to one line."""

    kind: Literal["started", "said", "ended", "known"]
    """`known`: its row is from an earlier run."""
    line: Source
    text: str = ""
    row: Row | None = None


@dataclass(slots=True)
class _State:
    rows: dict[int, Row] = field(default_factory=dict)
    """By position among the lines."""
    seen: dict[str, int] = field(default_factory=dict)
    """Key to the number of the line that asked first."""


async def run_funnel(
    lines: Iterable[Source],
    folder: Path,
    *,
    pool: Pool,
    workers: int,
    provider: tuple[str, dict[str, JsonValue]] = ("auto", {}),
    bounds: Bounds | None = None,
    tell: Callable[[Event], None] = lambda _: None,
) -> tuple[Row, ...]:
    """The rows of all lines, in their order. Tasks and journal are in `folder`. Raises `FunnelError`."""
    state = _State()
    pending = enumerate(lines)
    with Journal(folder) as journal:
        # Of a funnel that was killed: no other one is in this folder now.
        await asyncio.to_thread(shutil.rmtree, folder / WORK, ignore_errors=True)

        async def work() -> None:
            for position, line in pending:
                row = _settled(line, journal, state, tell)
                if row is None:
                    assert isinstance(line, Line)
                    tell(Event("started", line))
                    job = job_of(line, folder, provider=provider, bounds=bounds or Bounds())
                    row = row_of(line, await _built(job, line, pool, tell))
                    journal.add(row)
                    tell(Event("ended", line, row=row))
                state.rows[position] = row

        async with asyncio.TaskGroup() as group:
            for _ in range(max(1, workers)):
                group.create_task(work())
    return tuple(state.rows[position] for position in sorted(state.rows))


async def _built(job: Job, line: Line, pool: Pool, tell: Callable[[Event], None]) -> BuildReport:
    """The report of a build, of the second try where the first one failed for the machine's reasons."""
    spent = 0.0
    for left in reversed(range(_TRIES)):
        report = await pool.build(job, lambda text: tell(Event("said", line, text)))
        spent += report.seconds
        if report.status != "failed" or report.reason not in _ONCE_MORE or not left:
            break
        tell(Event("said", line, f"trying again after {report.reason}"))
    return report.model_copy(update={"seconds": round(spent, 3)})


def _settled(line: Source, journal: Journal, state: _State, tell: Callable[[Event], None]) -> Row | None:
    """The row of a line that needs no build."""
    if isinstance(line, BadLine):
        row = bad_row(line)
    elif (first := state.seen.setdefault(line.key, line.number)) != line.number:
        row = twin_row(line, first)
    elif (known := journal.find(line.key)) is not None:
        row = known.model_copy(update={"line": line.number})
        tell(Event("known", line, row=row))
        return row
    else:
        return None
    tell(Event("ended", line, row=row))
    return row
