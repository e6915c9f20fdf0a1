"""What ended rollouts lead to: the scheduler is told, the tally counts, the index gets its rows, trajectories wait on the shelf.

It also sees when a run cannot succeed: nothing can be judged any more, or no task is left.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from podgym.errors import PodgymError
from podgym.rollout.ending import RunFailed
from podgym.rollout.result import RolloutResult
from podgym.rollout.schedule import Outcome
from podgym.rollout.scheduler import Scheduler
from podgym.rollout.shelf import Shelf
from podgym.rollout.tally import Tally
from podgym.traces.index import IndexWriter

__all__ = ["Intake"]

_log = logging.getLogger(__name__)


class Intake:
    """Each rollout is taken exactly once."""

    def __init__(self, *, scheduler: Scheduler, tally: Tally, shelf: Shelf, index: IndexWriter) -> None:
        self._scheduler, self._tally, self._shelf, self._index = scheduler, tally, shelf, index
        self._last_trouble = ""

    def take(self, where: str, result: RolloutResult, *, lost: bool = False) -> BaseException | None:
        """One result from the worker `where`; what must end the run, if anything."""
        settled = self._scheduler.finished(
            Outcome(
                result.rollout_id,
                result.status,
                reward=result.reward,
                reason=result.reason,
                oldest_version=result.oldest_version,
                newest_version=result.newest_version,
                trainable=result.trainable,
                where=where,
                lost=lost,
            )
        )
        if result.summary is not None:
            self._index.add(result.summary)
        if result.message and result.status == "unscored":
            _log.warning("Rollout %s on %s: %s", result.rollout_id, where, result.message)
            self._last_trouble = result.message
        self._tally.ended(result, settled, training=result.summary is not None and result.summary.step is not None)
        if settled.fate == "kept" and result.trajectories:
            self._shelf.put(result.rollout_id, result.trajectories)
        if settled.group is not None and settled.group.fate != "ready":
            self._shelf.forget(settled.group.rollouts)
        return _fatal(result)

    def lose(self, where: str, rollouts: Sequence[str]) -> None:
        """The worker `where` died with these in flight."""
        self._tally.lost(rollouts)
        for rollout_id in rollouts:
            message = f"{where} died while it ran."
            self.take(where, RolloutResult(rollout_id, "unscored", reason="sandbox_lost", message=message), lost=True)

    def hopeless(self, *, unscored_bound: int, steps_left: bool) -> RunFailed | None:
        """Why the run cannot go on, where so many tries in a row were unscored or, with `steps_left`, every task was set aside."""
        if self._scheduler.unscored_streak >= unscored_bound:
            return RunFailed(
                f"The last {self._scheduler.unscored_streak} tries all failed for reasons of infrastructure. The last one: "
                f"{self._last_trouble or 'their process died.'}",
                remedy="Correct that and resume the run; run.stop_after_unscored is the bound.",
            )
        if steps_left and self._scheduler.exhausted:
            names = ", ".join(self._scheduler.set_aside[:5])
            return RunFailed(
                f"Every task was set aside because none of its rollouts could be judged ({names}). The last failure: {self._last_trouble}",
                remedy="Correct that and submit the job anew.",
            )
        return None


def _fatal(result: RolloutResult) -> BaseException | None:
    error = result.fatal
    if error is None:
        return None
    _log.error("Rollout %s failed", result.rollout_id, exc_info=error)
    if isinstance(error, PodgymError):
        return error
    return RunFailed(
        f"Rollout {result.rollout_id} failed with {type(error).__name__}: {error}.",
        remedy="This is a defect of podgym or of the environment type; the run's log has the traceback. Correct it and resume.",
    )
