"""The digest of a task: what decides about a change is in it, and tasks that were built long ago keep theirs."""

from __future__ import annotations

import pytest

from podgym.envs.code import task_digest
from podgym.sandbox import SandboxSpec
from podgym.verifiers import GradingPlan

SPEC = SandboxSpec(image="debian:bookworm", labels={"run": "x"})
PLAN = GradingPlan(tests=({"framework": "pytest"},), fail_to_pass=("t.py::a",), pass_to_pass=("t.py::b",))
KNOWN = "421a0bd6ebfa12e2bc380ce4528c9c03468fd02aa1b6810a7e0b29e70ad6d115"


def test_a_task_of_an_older_release_keeps_its_digest() -> None:
    assert task_digest(PLAN, SPEC) == KNOWN


@pytest.mark.parametrize(
    "change",
    [
        {"fail_to_pass": ("t.py::c",)},
        {"doctests": True},
        {"clean": False},
        {"deterministic": False},
        {"removed": ("old.py",)},
    ],
)
def test_whatever_decides_is_in_it(change: dict[str, object]) -> None:
    assert task_digest(PLAN.model_copy(update=change), SPEC) != KNOWN


def test_labels_and_lifetimes_are_not() -> None:
    assert task_digest(PLAN, SPEC.model_copy(update={"labels": {}, "lifetime_s": 1.0})) == KNOWN
