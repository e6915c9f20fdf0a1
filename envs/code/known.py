"""Verdicts that a build has found already: of no change at all, and of the gold fix.

They lie beside the hidden tests and spare the first rollouts of a task a grading each. They count only for the very task
that they were found for: its digest is in the file. A file that says anything but 0 for no change, or more than one change's 1, is
not believed; that the one is the gold fix is what `podgym env check` proves.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from podgym.verifiers import EMPTY_DIGEST, Change, GradingPlan, TestOutcome, Verdict, VerdictCache

__all__ = ["KNOWN", "known_verdicts", "read_known", "remember"]

KNOWN = "tests/verdicts.json"


def known_verdicts(plan: GradingPlan, *, digest: str, gold: Change, without: Mapping[str, TestOutcome]) -> bytes:
    """The file: `without` are the outcomes of base+tests (none where that gave no report, and then no change at all is left to be graded
    when it comes); with the gold fix every required test passed."""
    solved = Verdict(
        status="scored",
        reward=1.0,
        components={"fail_to_pass": 1.0, "pass_to_pass": 1.0},
        tests=dict.fromkeys(plan.required, "passed"),
        diff=gold.diff_text,
    )
    verdicts = {gold.digest: solved.model_dump(mode="json")}
    if without:
        verdicts[EMPTY_DIGEST] = _nothing(plan, without).model_dump(mode="json")
    return json.dumps({"task": digest, "verdicts": verdicts}).encode() + b"\n"


def _nothing(plan: GradingPlan, without: Mapping[str, TestOutcome]) -> Verdict:
    outcomes: dict[str, TestOutcome] = {id_: without.get(id_, "missing") for id_ in plan.required}
    failing = [id_ for id_, outcome in outcomes.items() if outcome != "passed"]
    shown = ", ".join(f"{id_} {outcomes[id_]}" for id_ in failing[:5])
    return Verdict(
        status="scored",
        reward=0.0,
        failure="failed",
        components={"fail_to_pass": _share(plan.fail_to_pass, outcomes), "pass_to_pass": _share(plan.pass_to_pass, outcomes)},
        tests=outcomes,
        message=f"{len(failing)} of {len(outcomes)} required tests did not pass: {shown}{' …' if len(failing) > 5 else ''}",
    )


def _share(identities: tuple[str, ...], outcomes: Mapping[str, TestOutcome]) -> float:
    return sum(outcomes[identity] == "passed" for identity in identities) / len(identities) if identities else 1.0


def read_known(data: bytes, *, digest: str) -> dict[str, Verdict]:
    """Verdicts of a file by the digest of their change; none of a file for another task. Raises `ValueError` for a damaged one."""
    try:
        found = json.loads(data)
    except RecursionError as error:
        raise ValueError("It is nested too deeply.") from error
    if not isinstance(found, dict) or not isinstance(verdicts := found.get("verdicts"), dict):
        raise ValueError("It has no table of verdicts.")
    if found.get("task") != digest:
        return {}
    return {change: Verdict.model_validate(verdict) for change, verdict in verdicts.items()}


def remember(data: bytes, cache: VerdictCache, *, digest: str) -> int:
    """Put the verdicts of a file into `cache`; how many were taken. One that is not to be believed gives none."""
    try:
        verdicts = read_known(data, digest=digest)
    except ValueError:
        return 0
    rewards = {change: verdict.reward for change, verdict in verdicts.items()}
    if rewards.pop(EMPTY_DIGEST, 0.0) != 0.0 or len(rewards) > 1 or any(reward != 1.0 for reward in rewards.values()):
        return 0
    return sum(cache.put(digest, change, verdict) for change, verdict in verdicts.items())
