"""The Data Scheduler's rules, one at a time; `test_scheduler_properties.py` has what must hold for any history."""

from __future__ import annotations

import json

import pytest

from podgym.rollout.schedule import Assignment, Outcome, ScheduleConfig, SchedulerError
from podgym.rollout.scheduler import Scheduler

TASKS = [f"task-{number}" for number in range(10)]


def make(**options: object) -> Scheduler:
    config = {"group_size": 2, "groups_per_step": 2, "max_attempts": 2, **options}
    return Scheduler(TASKS, ScheduleConfig.model_validate(config), seed=1)


def score(scheduler: Scheduler, assignment: Assignment, reward: float, version: int = 0):
    return scheduler.finished(Outcome(assignment.rollout_id, "scored", reward=reward, oldest_version=version, newest_version=version))


def lose(scheduler: Scheduler, assignment: Assignment, where: str = "worker-0"):
    return scheduler.finished(Outcome(assignment.rollout_id, "unscored", reason="sandbox_lost", where=where))


def test_groups_with_signal_make_a_batch():
    scheduler = make()
    wave = scheduler.next_assignments(4)
    assert [(item.group_id, item.index) for item in wave] == [
        ("g000000", 0), ("g000000", 1), ("g000001", 0), ("g000001", 1),
    ]  # fmt: skip
    for item in wave:
        assert not scheduler.batch_ready()
        score(scheduler, item, float(item.index))
    assert scheduler.batch_ready()
    batch = scheduler.take_batch()
    assert [group.rewards for group in batch.groups] == [(0.0, 1.0), (0.0, 1.0)]
    assert batch.looked_at == 2
    assert scheduler.step == 1
    scheduler.trained(1)
    assert scheduler.next_assignments(1)[0].step == 1


def test_groups_without_signal_are_replaced_by_new_prompts():
    scheduler = make()
    first, second = scheduler.next_assignments(4)[:2], scheduler.next_assignments(0)
    assert second == []
    score(scheduler, first[0], 1.0)
    settled = score(scheduler, first[1], 1.0)
    assert settled.group is not None
    assert settled.group.fate == "uninformative"
    more = scheduler.next_assignments(100)
    assert len({item.group_id for item in more}) == 3, "the limit of four open groups has room for the dropped one's successor"
    assert not scheduler.batch_ready()


def test_a_batch_goes_out_short_rather_than_never():
    scheduler = make(max_groups_per_step=3, max_in_flight_groups=3)
    for item in scheduler.next_assignments(6):
        score(scheduler, item, 1.0)
    assert scheduler.batch_ready()
    assert scheduler.take_batch().groups == ()
    assert not scheduler.batch_ready()


def test_a_failed_try_is_retried_then_masked_and_never_scored():
    scheduler = make()
    item = scheduler.next_assignments(1)[0]
    assert lose(scheduler, item).fate == "retried"
    again = scheduler.next_assignments(1)[0]
    assert (again.rollout_id, again.attempt, again.avoid) == ("g000000-0-try1", 1, "worker-0")
    assert lose(scheduler, again).fate == "masked"
    other = scheduler.next_assignments(1)[0]
    settled = score(scheduler, other, 1.0)
    assert settled.group is not None
    assert settled.group.rewards == (1.0,), "the masked member has no reward"
    assert settled.group.fate == "uninformative"


def test_what_dies_with_a_process_is_no_sign_that_nothing_can_be_judged():
    scheduler = make()
    first, second = scheduler.next_assignments(2)
    assert scheduler.finished(Outcome(first.rollout_id, "unscored", lost=True)).fate == "retried"
    assert scheduler.unscored_streak == 0
    lose(scheduler, second)
    assert scheduler.unscored_streak == 1


def test_a_task_that_only_fails_is_set_aside():
    scheduler = Scheduler(["only"], ScheduleConfig(group_size=2, groups_per_step=1, max_attempts=1, max_task_failures=2))
    while True:
        wave = scheduler.next_assignments(8)
        if not wave:
            break
        for item in wave:
            lose(scheduler, item)
    assert scheduler.set_aside == ("only",)
    assert scheduler.exhausted
    assert scheduler.unscored_streak >= 4


def test_tasks_always_solved_come_up_less():
    scheduler = make(groups_per_step=1, max_in_flight_groups=1, group_size=4)
    seen = dict.fromkeys(TASKS, 0)
    for _ in range(200):
        wave = scheduler.next_assignments(4)
        seen[wave[0].task_id] += 1
        for item in wave:
            easy = item.task_id == "task-3"
            score(scheduler, item, 1.0 if easy else float(item.index % 2))
        if scheduler.batch_ready():
            scheduler.take_batch()
            scheduler.trained(0)
    assert 0 < seen["task-3"] < min(count for task, count in seen.items() if task != "task-3")


def test_stale_groups_are_dropped_where_they_wait_and_where_they_end():
    scheduler = make(max_staleness=1, max_in_flight_groups=8)
    wave = scheduler.next_assignments(8)
    for item in wave[:6]:
        score(scheduler, item, float(item.index))
    assert scheduler.take_batch().groups
    assert scheduler.trained(1) == ()
    dropped = scheduler.trained(2)
    assert [group.fate for group in dropped] == ["stale"]
    score(scheduler, wave[6], 0.0)
    settled = score(scheduler, wave[7], 1.0)
    assert settled.group is not None
    assert settled.group.fate == "stale"


def test_stale_groups_are_kept_where_the_job_says_so():
    scheduler = make(max_staleness=0, stale="keep")
    for item in scheduler.next_assignments(8):
        score(scheduler, item, float(item.index))
    scheduler.take_batch()
    assert scheduler.trained(9) == ()
    assert scheduler.batch_ready()


def test_on_policy_scheduling_starts_nothing_while_training():
    scheduler = make(pipelined=False)
    wave = scheduler.next_assignments(100)
    assert len(wave) == 4, "no more groups than one step trains on"
    for item in wave:
        score(scheduler, item, float(item.index))
    scheduler.take_batch()
    assert scheduler.next_assignments(100) == []
    scheduler.trained(1)
    assert len(scheduler.next_assignments(100)) == 4


def test_on_policy_scheduling_drops_what_older_weights_sampled():
    scheduler = make(pipelined=False, max_groups_per_step=2, stale="keep")
    first = scheduler.next_assignments(100)
    for item in first[:2]:
        score(scheduler, item, float(item.index))
    flat = first[2:]
    for _ in range(2):
        for item in flat[:2]:
            score(scheduler, item, 0.0)
        flat = scheduler.next_assignments(100)
        if scheduler.batch_ready():
            break
    scheduler.take_batch()
    assert scheduler.next_assignments(100) == [], "nothing begins while it trains"
    scheduler.trained(1)
    settled = [score(scheduler, item, float(item.index), version=0) for item in flat]
    assert settled[-1].group is not None
    assert settled[-1].group.fate == "stale"


def test_fewer_groups_in_flight_than_a_step_needs_are_refused():
    with pytest.raises(ValueError, match="max_in_flight_groups is 1, but a step needs groups_per_step = 2"):
        ScheduleConfig(groups_per_step=2, max_in_flight_groups=1)


def test_a_reward_that_takes_no_part_in_training_masks_its_member():
    scheduler = make(group_size=3, groups_per_step=1)
    first, second, third = scheduler.next_assignments(3)
    scheduler.trained(9)
    settled = scheduler.finished(Outcome(first.rollout_id, "scored", reward=1.0, trainable=False))
    assert settled.fate == "masked"
    score(scheduler, second, 0.0, version=9)
    settled = score(scheduler, third, 0.0, version=9)
    assert settled.group is not None
    assert (settled.group.fate, settled.group.rewards) == ("uninformative", (0.0, 0.0)), "its reward is no signal, its version no age"


def test_an_evaluation_goes_first_and_holds_batches_back():
    scheduler = make()
    for item in scheduler.next_assignments(4):
        score(scheduler, item, float(item.index))
    assert scheduler.batch_ready()
    scheduler.begin_evaluation("before", ["held-out-0", "held-out-1"], rollouts=1, temperature=0.5, split="test")
    assert not scheduler.batch_ready()
    with pytest.raises(SchedulerError, match="'before' is not complete"):
        scheduler.begin_evaluation("again", [], rollouts=1, temperature=1.0)
    with pytest.raises(SchedulerError, match="No evaluation is complete"):
        scheduler.take_evaluation()
    wave = scheduler.next_assignments(2)
    assert [(item.task_id, item.split, item.temperature, item.step) for item in wave] == [
        ("held-out-0", "test", 0.5, None), ("held-out-1", "test", 0.5, None),
    ]  # fmt: skip
    score(scheduler, wave[0], 1.0)
    lose(scheduler, wave[1])
    lose(scheduler, scheduler.next_assignments(1)[0])
    assert scheduler.evaluation_done()
    report = scheduler.take_evaluation()
    assert (report.name, report.rewards, report.unscored) == ("before", (1.0,), 1)
    assert scheduler.batch_ready()


def test_draining_gives_training_up_and_waits_for_what_runs():
    scheduler = make()
    wave = scheduler.next_assignments(3)
    score(scheduler, wave[0], 1.0)
    assert set(scheduler.drain()) == {wave[1].rollout_id, wave[2].rollout_id}
    assert scheduler.next_assignments(100) == []
    settled = score(scheduler, wave[1], 0.0)
    assert settled.fate == "dropped"
    assert settled.group is not None
    assert settled.group.fate == "abandoned"
    assert scheduler.finished(Outcome(wave[2].rollout_id, "cancelled")).fate == "dropped"
    assert scheduler.in_flight == 0


def test_cancelled_rollouts_come_again_without_counting_as_failures():
    scheduler = make(max_attempts=1)
    item = scheduler.next_assignments(1)[0]
    assert scheduler.finished(Outcome(item.rollout_id, "cancelled")).fate == "retried"
    assert scheduler.next_assignments(1)[0].attempt == 1


def test_a_lost_driver_s_rollouts_are_named_and_queued_again():
    scheduler = make()
    wave = scheduler.next_assignments(4)
    score(scheduler, wave[0], 1.0)
    saved = json.loads(json.dumps(scheduler.snapshot()))
    resumed = Scheduler.restore([*TASKS, "new"], ScheduleConfig(group_size=2, groups_per_step=2), saved)
    assert resumed.kept_rollouts() == (wave[0].rollout_id,)
    assert set(resumed.requeue_running()) == {item.rollout_id for item in wave[1:]}
    again = resumed.next_assignments(3)
    assert {item.rollout_id for item in again} == {f"{item.rollout_id}-try1r1" for item in wave[1:]}
    assert resumed.in_flight == 3
    assert resumed.next_assignments(1)[0].rollout_id == "g000002r1-0"


def test_rolling_back_samples_again_what_lost_weights_made():
    scheduler = make(max_in_flight_groups=8)
    wave = scheduler.next_assignments(8)
    for item in wave[:2]:
        score(scheduler, item, float(item.index), version=1)
    for item in wave[2:4]:
        score(scheduler, item, float(item.index), version=3)
    score(scheduler, wave[4], 1.0, version=3)
    dropped = scheduler.roll_back(2, step=2)
    assert dropped == (wave[2].rollout_id, wave[3].rollout_id, wave[4].rollout_id)
    assert (scheduler.version, scheduler.step) == (2, 2)
    again = scheduler.next_assignments(1)[0]
    assert again.rollout_id == "g000002-0-try1"
    scheduler = Scheduler.restore(TASKS, ScheduleConfig(group_size=2, groups_per_step=2, max_in_flight_groups=8), scheduler.snapshot())
    assert score(scheduler, wave[5], 0.0, version=3).fate == "retried", "it was in flight and has tokens of lost weights"
    assert score(scheduler, wave[6], 0.0, version=2).fate == "kept"
    scheduler.trained(3)
    assert score(scheduler, again, 1.0, version=3).fate == "kept", "version 3 is now another one"


def test_rolling_back_gives_up_an_evaluation_of_lost_weights():
    scheduler = make()
    scheduler.trained(3)
    scheduler.begin_evaluation("middle", ["held-out-0", "held-out-1"], rollouts=1, temperature=1.0)
    item = scheduler.next_assignments(1)[0]
    scheduler.roll_back(2, step=2)
    settled = score(scheduler, item, 1.0, version=3)
    assert settled.fate == "dropped"
    scheduler.begin_evaluation("middle", ["held-out-0"], rollouts=1, temperature=1.0)
    assert scheduler.next_assignments(1)[0].split == "evaluation"


def test_an_outcome_that_belongs_to_nothing_is_refused():
    scheduler = make()
    item = scheduler.next_assignments(1)[0]
    score(scheduler, item, 1.0)
    with pytest.raises(SchedulerError, match=r"g000000-0.*no such assignment"):
        score(scheduler, item, 1.0)


def test_a_saved_state_that_cannot_be_read_is_named():
    with pytest.raises(SchedulerError, match="cannot be read"):
        Scheduler.restore(TASKS, ScheduleConfig(), {"version": "many"})


def test_groups_of_one_cannot_be_compared():
    with pytest.raises(ValueError, match="group_size must be at least 2"):
        ScheduleConfig(group_size=1)
