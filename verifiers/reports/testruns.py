"""The runs of libtest's programs, of which one may stand inside another: from `running N tests` to the sums.

A test may print what a test harness prints: trybuild reports each file that it compiles as `test tests/ui/a.rs ... ok`, other tests
start a whole harness in their own process, or cargo in another. What stands between a run's beginning and its sums and is not of that
run's own tests counts for nothing. Sums belong to the innermost open run that announced as many tests and holds their outcomes; a run
whose sums have come is a part of the one around it, and is left out with it; one whose sums never come did not end, so that what
followed stood beside it. Where a run holds more lines than its sums say, names of Rust functions (`module::test`) and other names
(of files) are held against the sums apart, and what is not its own may be that of the run around it, printed meanwhile.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from podgym.verifiers.reports.parsed import Outcomes
from podgym.verifiers.verdict import TestOutcome

__all__ = ["Program", "Runs"]

_FUNCTION: Final = re.compile(r"(?:r#)?\w+(?:::(?:r#)?\w+)*(?: - [a-z ]{1,40})?")
_LINE: Final = re.compile(r" \(line \d{1,9}\)")
_MAX_DEPTH: Final = 16
_WORDS: Final[dict[TestOutcome, str]] = {"passed": "passed", "failed": "failed", "skipped": "ignored"}
_Kinds = tuple[bool, ...]
_Said = tuple[bool, str, TestOutcome]
"""Whether the name can be a function's, the name, and the outcome."""
_ALL: Final = (True, False)
"""Functions and other names."""


@dataclass(slots=True)
class Program:
    """What cargo says that it runs."""

    name: str = ""
    documentation: bool = False
    """Several runs, of tests that are named for their place."""
    began: bool = False
    runs: int = 0
    """Of its own, not of what its tests started."""


@dataclass(slots=True)
class _Run:
    program: Program
    announced: int | None
    waiting: str = ""
    """A test whose outcome comes on a later line."""
    said: list[_Said] = field(default_factory=list)
    lent: list[_Said] = field(default_factory=list)
    """Lines that stood in runs inside of this one, and are not theirs."""
    counted: Counter[tuple[bool, TestOutcome]] = field(default_factory=Counter)
    inside: list[_Run | Program] = field(default_factory=list)
    """Runs that ended in this one, and programs that never began theirs."""
    sums: Mapping[TestOutcome, int] | None = None

    @property
    def mirrored(self) -> bool:
        """Whether a run inside has the very same tests, and some that failed: then this one's outcomes may be made up around the real ones.

        Tests that start their own program again ask it for one of them.
        """
        own = {name for function, name, _ in self.said if function}
        runs = (run for run in self.inside if isinstance(run, _Run))
        return len(own) > 1 and any(
            own == {name for function, name, _ in run.said if function} and any(outcome == "failed" for *_, outcome in run.said)
            for run in runs
        )

    def say(self, name: str, outcome: TestOutcome) -> None:
        """Note a line."""
        function = _FUNCTION.fullmatch(name) is not None
        self.said.append((function, name, outcome))
        self.counted[function, outcome] += 1

    def take(self, lines: Iterable[_Said]) -> None:
        """Lines that were thought to be another run's."""
        for line in lines:
            self.lent.append(line)
            self.counted[line[0], line[2]] += 1


class Runs:
    """All runs of a report."""

    def __init__(self, outcomes: Outcomes) -> None:
        self._outcomes = outcomes
        self._program = Program()
        self._open: list[_Run] = []
        self.ended = 0

    def program(self, program: Program) -> None:
        """Cargo starts another program."""
        self._silent()
        self._program = program

    def begin(self, announced: int | None) -> None:
        """`running N tests`; None where the number is not said."""
        if len(self._open) == _MAX_DEPTH:
            self._commit(self._open.pop(0))
        self._program.began = True
        self._open.append(_Run(self._program, announced))

    def say(self, name: str, outcome: TestOutcome) -> None:
        """A line of a test, whose name it may be."""
        if self._open:
            self._open[-1].say(name, outcome)
            return
        self._outcomes.disagree(f"The test report names {name[:80]!r} outside any run of a test binary.")
        self._add(self._program, name, outcome)

    def wait(self, name: str) -> None:
        """The line of a test without its outcome. A file's does not take the place of a function's, whose own is to come."""
        if self._open:
            run = self._open[-1]
            if not _FUNCTION.fullmatch(run.waiting) or _FUNCTION.fullmatch(name):
                run.waiting = name

    @property
    def waiting(self) -> str:
        """The test whose outcome is to come; empty without one."""
        return self._open[-1].waiting if self._open else ""

    def told(self, outcome: TestOutcome) -> None:
        """The outcome of the test that waits for it."""
        self._open[-1].say(self._open[-1].waiting, outcome)
        self._open[-1].waiting = ""

    def end(self, passed: int, failed: int, ignored: int) -> None:
        """The sums of a run."""
        if not self._open:
            self._outcomes.disagree(f"The test report has sums for {self._program.name[:80]!r} without a run.")
            return
        sums: dict[TestOutcome, int] = {"passed": passed, "failed": failed, "skipped": ignored}
        at, kinds = self._belongs(sums)
        run = self._open[at]
        for above in self._open[at + 1 :]:  # it never ended, and its lines are this one's
            run.take((*above.said, *above.lent))
        del self._open[at:]
        run.sums = sums
        lines = [*run.said, *run.lent]
        run.said, run.lent = [line for line in lines if kinds is None or line[0] in kinds], []
        if not self._open:
            self._program = run.program
            self._commit(run)
            return
        self._open[-1].inside.append(run)
        # Lines that do not fit may be another's, and are not passed over.
        self._open[-1].take(line for line in lines if kinds is None or line[0] not in kinds)

    def _belongs(self, sums: Mapping[TestOutcome, int]) -> tuple[int, _Kinds | None]:
        """The open run whose sums they are, and which of its lines are its own; None for lines that do not fit."""
        total, counted = sum(sums.values()), Counter[tuple[bool, TestOutcome]]()
        fitting = [at for at, run in enumerate(self._open) if run.announced in (None, total)]
        for at in range(len(self._open) - 1, -1, -1):
            counted.update(self._open[at].counted)
            if at in fitting:
                # Files without functions are only thought of inside another run, so that no line hides a function's.
                for kinds in (_ALL, (True,), (False,))[: 3 if at else 2]:
                    if all(sum(counted[kind, outcome] for kind in kinds) == number for outcome, number in sums.items()):
                        return at, kinds
        return max(fitting, default=len(self._open) - 1), None

    def close(self) -> None:
        """Nothing follows."""
        self._silent()
        for run in self._open:
            self._commit(run)
        self._open.clear()
        self._program = Program()

    def _silent(self) -> None:
        """A program that began no run is an error, or a part of the run that it is in."""
        if self._program.name and not self._program.began:
            if self._open:
                self._open[-1].inside.append(self._program)
            else:
                self._dead(self._program)

    def _commit(self, run: _Run) -> None:
        """The outcomes of a run that no other is around."""
        name = run.program.name[:80]
        run.program.runs += 1
        for _, test, outcome in run.said:
            self._add(run.program, test, outcome)
        if run.sums is None:
            self._dead(run.program)
            for inner in run.inside:
                self._commit(inner) if isinstance(inner, _Run) else self._dead(inner)
            return
        self.ended += 1
        if run.program.runs > 1 and run.program.name and not run.program.documentation:
            self._outcomes.disagree(f"The test report has two runs of {name!r}.")
        if run.mirrored:
            self._outcomes.disagree(f"The test report has a run of {name!r} within another, with failures of its own.")
        self._outcomes.count(f"tests of {name!r}", run.announced, sum(run.sums.values()))
        held = Counter(outcome for _, _, outcome in run.said)
        for outcome, number in run.sums.items():
            self._outcomes.count(f"{_WORDS[outcome]} tests of {name!r}", number, held[outcome])

    def _add(self, program: Program, name: str, outcome: TestOutcome) -> None:
        name = name.removesuffix(" - should panic")
        self._outcomes.add((program.name, _LINE.sub("", name) if program.documentation else name), outcome)

    def _dead(self, program: Program) -> None:
        self._outcomes.add((program.name or "test binary",), "error")
