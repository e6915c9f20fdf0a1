"""Sample requests from many rollouts to one policy's process and back, without the process."""

from __future__ import annotations

import asyncio
import pickle
import threading
from pathlib import Path

import numpy as np
import pytest

from podgym.policy import PolicyError, PolicyUnavailable, Sample, SampleRequest, VersionSpan
from podgym.rollout.policyclient import BatchingPolicy
from podgym.rollout.policyhost import PolicyHost
from podgym.rollout.result import pack_trajectories
from podgym.rollout.wire import pack_answers, pack_requests, unpack_answers, unpack_requests
from podgym.traces import Trajectory


def request(name: str, **changes: object) -> SampleRequest:
    values: dict[str, object] = {"rollout_id": name, "tokens": np.arange(3, dtype=np.int32), "max_tokens": 4, **changes}
    return SampleRequest(**values)


class Echo:
    """Answers with the request's tokens; `bad` fails, `stuck` waits for `release`."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.given_up: list[str] = []
        self.release = asyncio.Event()
        self.closed = False

    async def sample(self, request: SampleRequest) -> Sample:
        self.asked.append(request.rollout_id)
        if request.rollout_id == "bad":
            raise PolicyError("No tokens for that.", remedy="Ask otherwise.")
        if request.rollout_id.startswith("stuck"):
            try:
                await self.release.wait()
            except asyncio.CancelledError:
                self.given_up.append(request.rollout_id)
                raise
        n = len(request.tokens)
        return Sample(request.tokens + 1, np.full(n, -0.25, dtype=np.float32), "stop", (VersionSpan(0, n, 7),))

    async def close(self) -> None:
        self.closed = True


class Learning:
    version = 3

    def train(self, groups: list[list[Trajectory]]) -> dict[str, float]:
        self.version += 1
        return {"groups": float(len(groups)), "trajectories": float(sum(map(len, groups)))}

    def save(self, directory: Path) -> None:
        directory.mkdir()


def trajectory() -> Trajectory:
    ones = np.ones(2, dtype=np.int32)
    return Trajectory("r", "g", "t", ones, ones > 0, ones.astype(np.float32), ones, None, ones > 1, 1.0)


def test_requests_and_answers_survive_packing():
    asked = request("a", temperature=0.5, stop=(1, 2), routes_from=9, seed=4, task_id="t")
    ((key, back),), given_up = unpack_requests(pack_requests([(5, asked)], [2, 3]))
    assert (key, given_up) == (5, [2, 3])
    assert back.tokens.tolist() == [0, 1, 2]
    assert (back.temperature, back.stop, back.routes_from, back.seed, back.task_id) == (0.5, (1, 2), 9, 4, "t")
    routes = np.arange(12, dtype=np.uint16).reshape(3, 2, 2)
    sample = Sample(np.asarray([1, 2], np.int32), np.asarray([0.5, 1], np.float32), "length", (VersionSpan(0, 2, 1),), routes)
    plain = Sample(np.asarray([3], np.int32), np.asarray([0.5], np.float32), "stop", (VersionSpan(0, 1, 1),))
    answers = dict(unpack_answers(pack_answers([(1, sample), (2, PolicyError("x", remedy="y")), (3, plain)])))
    first, third = answers[1], answers[3]
    assert isinstance(first, Sample)
    assert isinstance(third, Sample)
    assert first.routes is not None
    assert first.routes.dtype == np.uint16
    assert first.routes.tolist() == routes.tolist()
    assert (first.finish_reason, first.versions, third.routes) == ("length", (VersionSpan(0, 2, 1),), None)
    assert str(answers[2]) == "x y"


async def test_many_requests_travel_in_few_calls():
    host = PolicyHost(Echo(), gather_s=0.01)
    client = BatchingPolicy(lambda payload, hold_s: host.exchange("c", payload, hold_s), gather_s=0.01)

    async def rollout(number: int) -> None:
        for turn in range(3):
            sample = await client.sample(request(f"r{number}", tokens=np.asarray([number, turn], np.int32)))
            assert sample.tokens.tolist() == [number + 1, turn + 1]

    await asyncio.gather(*(rollout(number) for number in range(50)))
    assert client.calls < 30, "150 samples"
    await client.close()
    await host.close()


async def test_an_error_reaches_the_one_that_asked():
    host = PolicyHost(Echo(), gather_s=0.001)
    client = BatchingPolicy(lambda payload, hold_s: host.exchange("c", payload, hold_s), gather_s=0.001)
    bad, good = await asyncio.gather(client.sample(request("bad")), client.sample(request("good")), return_exceptions=True)
    assert isinstance(bad, PolicyError)
    assert isinstance(good, Sample)
    await client.close()
    with pytest.raises(PolicyUnavailable, match="closed"):
        await client.sample(request("late"))


async def test_a_new_request_does_not_wait_for_the_open_poll():
    policy = Echo()
    host = PolicyHost(policy, gather_s=0.001)
    client = BatchingPolicy(lambda payload, hold_s: host.exchange("c", payload, hold_s), gather_s=0.001, hold_s=30)
    stuck = asyncio.create_task(client.sample(request("stuck")))
    await asyncio.sleep(0.05)
    assert isinstance(await asyncio.wait_for(client.sample(request("quick")), 2), Sample)
    gone = asyncio.create_task(client.sample(request("stuck-too")))
    await asyncio.sleep(0.05)
    gone.cancel()
    policy.release.set()
    assert isinstance(await asyncio.wait_for(stuck, 2), Sample)
    await client.close()
    await host.close()
    assert policy.closed


async def test_what_nobody_waits_for_any_more_is_given_up_where_it_is_sampled():
    policy = Echo()
    host = PolicyHost(policy, gather_s=0.001)
    client = BatchingPolicy(lambda payload, hold_s: host.exchange("c", payload, hold_s), gather_s=0.001, hold_s=30)
    gone, kept = (asyncio.create_task(client.sample(request(name))) for name in ("stuck-gone", "stuck-kept"))
    await asyncio.sleep(0.05)
    gone.cancel()
    await asyncio.sleep(0.1)
    assert policy.given_up == ["stuck-gone"]
    policy.release.set()
    assert isinstance(await asyncio.wait_for(kept, 2), Sample)
    await client.close()
    await host.close()


async def test_a_client_that_stays_away_is_forgotten_with_what_it_asked(monkeypatch: pytest.MonkeyPatch):
    policy = Echo()
    host = PolicyHost(policy, gather_s=0.001)
    assert await host.exchange("dead", pack_requests([(0, request("stuck")), (1, request("quick"))]), 0.0) == b""
    await asyncio.sleep(0.05)
    monkeypatch.setattr("podgym.rollout.policyhost.AWAY_S", 0.0)
    assert await host.exchange("living", pack_requests([(0, request("mine"))]), 5.0) != b""
    await asyncio.sleep(0.01)
    assert policy.given_up == ["stuck"]
    assert await host.exchange("dead", b"", 0.0) == b"", "and its answers are gone too"
    await host.close()


async def test_a_checkpoint_waits_until_an_update_is_whole(tmp_path: Path):
    learner = Learning()
    begun, go = threading.Event(), threading.Event()

    def train(groups: list[list[Trajectory]]) -> dict[str, float]:
        begun.set()
        assert go.wait(5)
        learner.version += 1
        return {}

    learner.train = train
    host = PolicyHost(Echo(), learner)
    training = asyncio.create_task(host.train(pickle.dumps([])))
    await asyncio.to_thread(begun.wait, 5)
    saving = asyncio.create_task(host.save(str(tmp_path / "c")))
    await asyncio.sleep(0.05)
    assert not (tmp_path / "c").exists()
    go.set()
    assert (await training)["version"] == await saving == 4
    await host.close()


async def test_what_a_dead_policy_has_not_answered_is_asked_again_of_the_next():
    asked: list[bytes] = []

    async def dead(payload: bytes, hold_s: float) -> bytes:
        asked.append(payload)
        raise PolicyUnavailable("The policy's process is gone.")

    client = BatchingPolicy(dead, gather_s=0.001)
    waiting = [asyncio.create_task(client.sample(request(f"r{number}"))) for number in range(3)]
    await asyncio.sleep(0.05)
    late = asyncio.create_task(client.sample(request("late")))
    await asyncio.sleep(0.05)
    assert not any(task.done() for task in (*waiting, late))
    assert client.outages == 1
    host = PolicyHost(Echo(), gather_s=0.001)
    await client.connect(lambda payload, hold_s: host.exchange("c", payload, hold_s))
    assert all(isinstance(sample, Sample) for sample in await asyncio.gather(*waiting, late))
    await client.connect(lambda payload, hold_s: host.exchange("d", payload, hold_s))
    assert isinstance(await client.sample(request("more")), Sample)
    await client.close()


async def test_requests_fail_where_no_other_policy_comes():
    async def dead(payload: bytes, hold_s: float) -> bytes:
        raise PolicyUnavailable("The policy's process is gone.")

    client = BatchingPolicy(dead, gather_s=0.001, outage_s=0.05)
    with pytest.raises(PolicyUnavailable, match="gone"):
        await client.sample(request("r"))
    with pytest.raises(PolicyUnavailable, match="gone"):
        await client.sample(request("again"))
    await client.close()


async def test_a_defect_of_the_exchange_reaches_all_that_wait():
    async def broken(payload: bytes, hold_s: float) -> bytes:
        raise KeyError("defect")

    client = BatchingPolicy(broken, gather_s=0.001)
    with pytest.raises(KeyError, match="defect"):
        await client.sample(request("r"))
    await client.close()


async def test_the_host_trains_in_a_thread_and_tells_the_version(tmp_path: Path):
    host = PolicyHost(Echo(), Learning())
    assert await host.version() == 3
    payload = pickle.dumps([[pack_trajectories([trajectory(), trajectory()])], [pack_trajectories([trajectory()])]])
    assert await host.train(payload) == {"groups": 2.0, "trajectories": 3.0, "version": 4.0}
    assert await host.save(str(tmp_path / "c")) == 4
    await host.close()


async def test_a_host_without_a_learner_cannot_train():
    host = PolicyHost(Echo())
    assert await host.version() == 0
    with pytest.raises(PolicyError, match="cannot be trained"):
        await host.train(b"")
    stuck = asyncio.create_task(host.exchange("c", pack_requests([(0, request("stuck"))]), 0.05))
    assert await stuck == b""
    await host.close()
