"""From a failure to changed plans, the most promising first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from podgym.envs.build.catalogue import Catalogue
from podgym.envs.build.plan import BuildPlan
from podgym.envs.build.repair.classify import classify
from podgym.envs.build.repair.failure import BuildFailure
from podgym.envs.build.repair.remedies.flags import FLAGS
from podgym.envs.build.repair.remedies.javascript import JAVASCRIPT
from podgym.envs.build.repair.remedies.jvm import JVM
from podgym.envs.build.repair.remedies.machine import MACHINE, once_more
from podgym.envs.build.repair.remedies.packages import PACKAGES
from podgym.envs.build.repair.remedies.python import PYTHON
from podgym.envs.build.repair.remedies.remedy import Case, Remedy, Table, another_system
from podgym.envs.build.repair.remedies.surroundings import SURROUNDINGS
from podgym.envs.build.repair.remedies.toolchains import TOOLCHAINS, neighbours

__all__ = ["Remedy", "remedies"]

_TABLES: Final[tuple[Table, ...]] = (PACKAGES, PYTHON, TOOLCHAINS, FLAGS, JAVASCRIPT, JVM, MACHINE, SURROUNDINGS)
"""Where several have remedies for one kind of cause, this is their order."""


_SEVERAL_SYSTEMS: Final = frozenset({"java", "native"})
"""Tools whose projects may be built by one build system or another."""


def remedies(plan: BuildPlan, failure: BuildFailure, *, tried: frozenset[str], catalogue: Catalogue) -> Iterator[Remedy]:
    """Changed plans to try, best first, none of a name in `tried`, and none that changes nothing as far as it can be told.

    The first remedy of the surest cause comes first; a cause's second one competes with the next cause's first.
    """
    case = Case(plan, failure, classify(failure, plan), catalogue)
    ranked: list[tuple[int, int, Remedy]] = []
    for rank, cause in enumerate(case.causes):
        position = rank
        for table in _TABLES:
            if (make := table.get(cause.kind)) is not None:
                for remedy in make(case, cause):
                    ranked.append((position, rank, remedy))
                    position += 1
    ranked.sort(key=lambda one: one[:2])
    seen = set(tried)
    for remedy in (*(remedy for _, _, remedy in ranked), *_last_resorts(case)):
        if remedy.name not in seen and (remedy.plan != plan or remedy.without):
            seen.add(remedy.name)
            yield remedy


def _last_resorts(case: Case) -> Iterator[Remedy]:
    """Where a step failed for no reason that is known: once more as it was, then by another build system (of two that a repository has
    files of, one is often left behind), then with another version of the toolchain."""
    if case.failure.stage == "image" and not case.failure.timed_out:
        yield once_more(case)
        if case.failure.step is not None:
            if case.tool in _SEVERAL_SYSTEMS:
                yield another_system(case, "Nothing in the log says why.")
            yield from neighbours(case)
