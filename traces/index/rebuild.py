"""The index from nothing but the run's files."""

from __future__ import annotations

from dataclasses import replace

from podgym.traces.errors import TraceError
from podgym.traces.file import TraceReader
from podgym.traces.index.queries import Index
from podgym.traces.index.writer import IndexWriter
from podgym.traces.store import RunDir
from podgym.traces.summary import summarise

__all__ = ["rebuild_index"]

BATCH = 500


def rebuild_index(run: RunDir, *, url: str | None = None) -> tuple[int, list[str]]:
    """Index every trace of `run` (into its own SQLite file where no `url` is given), replacing rows of the same rollouts.

    Returns how many rollouts were indexed, and one line for each trace that cannot be read, has no first event or fits no
    database. The numbers of steps come from `metrics.jsonl`. Raises `IndexUnusable`.
    """
    done, left_out = 0, []
    with Index(url or run.index_url) as index, IndexWriter(index, run.id) as writer:
        state = run.state()
        if state is not None:
            writer.run(name=state.name, status=run.status(), started_s=state.started_s, ended_s=state.ended_s, details=state.details)
        for step, at_s, values in run.metrics():
            writer.metrics(step, values, at_s=at_s)
        for path in run.trace_paths():
            try:
                with TraceReader(path) as reader:
                    summary = replace(summarise(entry.event for entry in reader.events()), run_id=run.id)
            except (TraceError, LookupError) as error:
                left_out.append(f"{path.name}: {error}")
                continue
            writer.add(summary)
            done += 1
            if done % BATCH == 0:
                writer.flush()
        writer.flush()
        refused = writer.left_out
    return done - sum(line.startswith("rollout ") for line in refused), left_out + refused
