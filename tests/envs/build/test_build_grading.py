"""What is asked of a change to a built task."""

from __future__ import annotations

import pytest

from podgym.envs import VERIFY_S
from podgym.envs.build.grading import _timeout_s
from podgym.verifiers import Decoys, GradingPlan, HiddenFile, TestCommand

DECOYS = Decoys(files=(HiddenFile(path="t.py", source="t"),), fails=("a",))


@pytest.mark.parametrize(("slowest_s", "timeout_s"), [(0, 20), (4, 20), (5, 60), (36, 180), (37, 540), (300, 540), (360, 540), (400, 1080)])
def test_time_for_a_run_is_a_step(slowest_s: float, timeout_s: float) -> None:
    assert _timeout_s(slowest_s) == timeout_s


def test_a_hang_is_graded_before_whoever_waits_gives_up() -> None:
    """The longest run that a build makes by default takes five minutes."""
    command = TestCommand(framework="unittest", timeout_s=_timeout_s(300))
    assert GradingPlan(tests=(command,), fail_to_pass=("a",), decoys=DECOYS).bound_s <= VERIFY_S
