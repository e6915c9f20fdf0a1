"""Which failures are tried again, with a pool that is told what to report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from podgym.envs.build.funnel import Job, Line, run_funnel
from podgym.envs.build.funnel.row import lost_report
from podgym.envs.build.report import BuildReport


class ToldPool:
    def __init__(self, *reasons: str) -> None:
        self.reasons = list(reasons)
        self.running = self.most = 0

    async def build(self, job: Job, progress: Any) -> BuildReport:
        import asyncio

        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(0)
        self.running -= 1
        reason: Any = self.reasons.pop(0) if self.reasons else ""
        if not reason:
            (Path(job.folder) / f"task-{job.key}").mkdir()
            return BuildReport(status="validated", out=f"{job.folder}/task-{job.key}", seconds=2.0)
        return lost_report(job.source, job.commit, reason, "told").model_copy(update={"seconds": 1.0})


LINE = Line(number=1, repo="/a", commit="x")


@pytest.mark.parametrize(
    ("reasons", "reason", "seconds", "left"),
    [
        (("sandbox",), "", 3.0, 0),
        (("sandbox", "sandbox", "crashed"), "sandbox", 2.0, 1),
        (("lost", "crashed"), "crashed", 2.0, 0),
        (("crashed", "crashed"), "crashed", 1.0, 1),
        (("already_passing",), "already_passing", 1.0, 0),
    ],
)
async def test_what_is_the_machines_is_tried_once_more(
    tmp_path: Path, reasons: tuple[str, ...], reason: str, seconds: float, left: int
) -> None:
    pool = ToldPool(*reasons)
    (tmp_path / ".funnel/of-a-killed-one").mkdir(parents=True)
    (row,) = await run_funnel([LINE], tmp_path, pool=pool, workers=1)
    assert (row.reason, row.seconds, len(pool.reasons)) == (reason, seconds, left)
    assert not (tmp_path / ".funnel").exists()
    again = ToldPool()
    (row,) = await run_funnel([LINE], tmp_path, pool=again, workers=1)
    assert (row.status == "validated") == (reason in ("", "sandbox", "lost"))


@pytest.mark.parametrize("workers", [1, 3, 50])
async def test_no_more_at_once_than_is_allowed(tmp_path: Path, workers: int) -> None:
    lines = [Line(number=number, repo="/a", commit=str(number)) for number in range(20)]
    pool = ToldPool()
    rows = await run_funnel(lines, tmp_path, pool=pool, workers=workers)
    assert [row.line for row in rows] == list(range(20)) and pool.most == min(workers, 20)
