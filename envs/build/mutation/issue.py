"""The text of a synthesised issue, written by rules from what failing tests show."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final

from podgym.envs.build.mutation.evidence import Evidence, spoken

__all__ = ["written_by_rules"]

_LISTED: Final = 8
_SHOWN: Final = 16
"""Lines of a test, where the run says nothing."""
_TITLES: Final = (
    "Regression: {what}",
    "{what}: wrong result",
    "{what} does not work any more",
    "Wrong behaviour: {what}",
)
_OPENINGS: Final = (
    "Something that used to work does not any more in {project}.",
    "After a recent change, {project} misbehaves.",
    "I ran into a regression in {project}.",
    "{project} gives wrong results in a case that its own tests describe.",
)
_ENDINGS: Final = (
    "Please find the cause and mend it. Nothing else should change its behaviour.",
    "The tests of the project show it and are right: please mend the source, not the tests.",
    "What its tests expect is what is meant, so the fix belongs into the source.",
)


def written_by_rules(evidence: Evidence, *, seed: int, tests_visible: bool = True) -> str:
    """The same for equal evidence and seed."""
    rng = random.Random(f"{seed} {evidence.failing[0] if evidence.failing else ''}")
    what = spoken(evidence.failing[0])
    parts = [
        f"# {rng.choice(_TITLES).format(what=what)[:120]}",
        rng.choice(_OPENINGS).format(project=evidence.project),
    ]
    shown = list(dict.fromkeys(map(spoken, evidence.failing)))[:_LISTED]
    more = len(evidence.failing) - len(shown)
    parts.append("What does not hold any more:")
    parts.append("\n".join((*(f"- {_line(one)}" for one in shown), *([f"- and {more} more"] if more else []))))
    if evidence.said:
        parts.append("What the run says:")
        parts.append(_block(evidence.said))
    elif tests_visible and (piece := next(iter(evidence.tests.values()), "")):
        parts.append("To see it:")
        parts.append(_block(piece.split("\n")[:_SHOWN]))
    parts.append(rng.choice(_ENDINGS if tests_visible else _ENDINGS[:1]))
    return "\n\n".join(parts) + "\n"


def _block(lines: Sequence[str]) -> str:
    return "\n".join(("```", *(line.replace("```", "'''") for line in lines), "```"))


def _line(text: str) -> str:
    return " ".join(text.replace("`", "'").split())[:200]
