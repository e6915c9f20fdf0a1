"""Which mutation is tried next: those of files and operators that led to bugs before those that did not.

Nothing but what it was told decides, so equal seeds and equal outcomes give equal orders.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from podgym.envs.build.mutation.edits import Mutation
from podgym.envs.build.mutation.judging import Outcome

__all__ = ["Mutant", "MutantQueue"]


@dataclass(frozen=True, slots=True)
class Mutant:
    """A mutation of a file of the host."""

    path: str
    mutation: Mutation

    @property
    def place(self) -> tuple[str, str]:
        """The definition that it is in."""
        return self.path, self.mutation.place or f":{self.mutation.line}"


@dataclass(slots=True)
class _Score:
    """How often something was tried, and led to a bug."""

    tried: int = 0
    found: int = 0

    @property
    def hope(self) -> float:
        return (self.found + 1.0) / (self.tried + 2.0)


@dataclass(slots=True)
class MutantQueue:
    """Hands out mutants, and is told what became of them."""

    waiting: dict[str, list[Mutant]]
    per_place: int
    per_file: int
    _rng: random.Random
    _files: dict[str, _Score] = field(default_factory=dict)
    _operators: dict[str, _Score] = field(default_factory=dict)
    _places: Counter[tuple[str, str]] = field(default_factory=Counter)
    _out: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, found: Mapping[str, Sequence[Mutation]], *, seed: int, per_place: int, per_file: int) -> MutantQueue:
        """Of mutations by path, each file's in the order of worth."""
        rng = random.Random(seed)
        paths = sorted(found)
        rng.shuffle(paths)
        waiting = {path: [Mutant(path, one) for one in found[path]] for path in paths}
        return cls(waiting, per_place, per_file, rng)

    def take(self, number: int) -> list[Mutant]:
        """The next ones; fewer where there are no more."""
        taken: list[Mutant] = []
        while len(taken) < number and (mutant := self._next()) is not None:
            taken.append(mutant)
        return taken

    def told(self, mutant: Mutant, outcome: Outcome) -> None:
        """What became of one that was taken."""
        self._out[mutant.path] -= 1
        for table, key in ((self._files, mutant.path), (self._operators, mutant.mutation.operator)):
            score = table.setdefault(key, _Score())
            score.tried += 1
            score.found += outcome == "bug"
        if outcome == "bug":
            self._places[mutant.place] += 1

    def _next(self) -> Mutant | None:
        best: tuple[float, str] | None = None
        for path, mutants in self.waiting.items():
            found = self._files.get(path, _Score()).found
            if not mutants or found >= self.per_file:
                continue
            # One that is being tried counts half a failure, so that several at once are of several files.
            hope = self._hope(self._files, path) / (1 + self._out[path]) / (1 + found / 4)
            if best is None or hope > best[0]:
                best = (hope, path)
        if best is None:
            return None
        mutants = self.waiting[best[1]]
        window = [one for one in mutants[:24] if self._places[one.place] < self.per_place]
        if not window:
            del mutants[:24]
            return self._next()
        chosen = max(window, key=lambda one: self._hope(self._operators, one.mutation.operator) + self._rng.random() * 0.3)
        mutants.remove(chosen)
        self._out[best[1]] += 1
        return chosen

    @staticmethod
    def _hope(table: Mapping[str, _Score], key: str) -> float:
        return table[key].hope if key in table else 0.5
