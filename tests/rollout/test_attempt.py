"""Whole rollouts: how they go, how they end, and what their traces hold."""

from __future__ import annotations

import asyncio
import logging
import re
from pathlib import Path

import numpy as np
import pytest

from podgym.envs.harbor import TaskError
from podgym.policy import PolicyError, PolicyUnavailable, Sample, VersionSpan
from podgym.policy.tokenizer import ByteTokenizer
from podgym.rollout.attempt import AttemptLost, run_attempt
from podgym.rollout.dialects import CompactDialect
from podgym.rollout.limits import RolloutLimits
from podgym.sandbox import ImageError, IsolationError, QuotaError, SandboxLost, TransportError
from podgym.sandbox.local import LocalConfig, LocalProvider
from podgym.traces import Trace
from podgym.traces.errors import TraceStoreError
from podgym.traces.events import Claimed, Closed, Created, Masked, Prompt, Retried, Sampled, ToolCalled, ToolReturned, Verified
from podgym.traces.trajectory import trajectories
from podgym.verifiers import PlanError, Verdict

TOKENIZER = ByteTokenizer()
END = TOKENIZER.special["<end>"]
SOLVE = (
    "bash cat calc.py",
    "str_replace calc.py\n    return x + 1\n\ndef\n=>\n    return x * 2\n\ndef",
    "str_replace calc.py\nx + 1\n=>\nx * 3",
    "bash cat calc.py; exit 3",
    "finish",
)


class PlayingPolicy:
    """Plays texts, with logprobs, changing versions and routes that follow from positions; remembers what it was asked."""

    def __init__(self, turns, *, part=None, routes=True):
        self.turns = list(turns)
        self.part = part
        self.routes = routes
        self.requests = []
        self.left = []
        self.closed = False

    async def sample(self, request):
        self.requests.append(request)
        if not self.left:
            if not self.turns:
                raise PolicyError("The script is over.")
            turn = self.turns.pop(0)
            if isinstance(turn, BaseException):
                raise turn
            if turn is None:
                await asyncio.sleep(60)
            self.left = [*TOKENIZER.encode(turn), END]
        count = min(len(self.left), request.max_tokens, self.part or len(self.left))
        tokens, self.left = self.left[:count], self.left[count:]
        ended = tokens[-1] == END
        cut = not ended and count == request.max_tokens
        if cut:
            self.left = []
        held = len(request.tokens)
        middle = count // 2
        spans = (VersionSpan(0, count, 7),) if not middle else (VersionSpan(0, middle, 7), VersionSpan(middle, count, 8))
        rows = np.arange(request.routes_from, held + count - 1)
        return Sample(
            tokens=np.asarray(tokens, dtype=np.int32),
            logprobs=-np.arange(1, count + 1, dtype=np.float32),
            finish_reason="stop" if ended else "length" if cut else "aborted",
            versions=spans,
            routes=np.stack([rows % 250, rows % 250 + 1], axis=1).astype(np.uint8)[:, None, :] if self.routes else None,
        )

    async def close(self):
        self.closed = True


@pytest.fixture
def play(plain_provider, calc_environment, make_calc_task):
    """Runs an attempt; `.trace`, `.policy` and `.provider` are what it ran with."""

    class Play:
        trace = Trace()
        provider = plain_provider
        environment = calc_environment
        policy = None
        called = asyncio.Event()

        async def __call__(self, turns=SOLVE, *, limits=None, part=None, last=False, instruction=None, **options):
            self.trace = Trace(sink=lambda record: self.called.set() if record.event.kind == "tool_called" else None)
            self.policy = PlayingPolicy(turns, part=part, routes=options.pop("routes", True))
            task = make_calc_task(**({"instruction": instruction} if instruction else {}))
            return await run_attempt(
                task=task,
                environment=self.environment,
                provider=self.provider,
                policy=self.policy,
                dialect=CompactDialect(TOKENIZER),
                limits=limits or RolloutLimits(command_s=5.0),
                created=Created(rollout_id="r1", run_id="run", group_id="g1", task_id=task.id, environment="calc", temperature=0.7),
                trace=self.trace,
                last=last,
                seed=11,
                **options,
            )

        def kinds(self):
            return [record.event.kind for record in self.trace]

        def outputs(self):
            return [event.output for event in self.trace.events(ToolReturned)]

    return Play()


async def test_a_rollout_from_prompt_to_verdict(play):
    result = await play()
    assert (result.stop, result.turns, result.verdict.reward) == ("finished", 5, 1.0)
    assert play.kinds() == ["created", "claimed", "prompt", *["sampled", "tool_called", "tool_returned"] * 5, "verified", "closed"]
    assert play.outputs()[1:3] == ["ok", "ok"]
    assert play.outputs()[3].endswith("return x * 3\n[exit code 3]")
    (closed,), (claimed,) = play.trace.events(Closed), play.trace.events(Claimed)
    assert (closed.stop, closed.turns, closed.sampled_tokens) == ("finished", 5, result.sampled_tokens)
    assert (claimed.provider, claimed.image) == ("plain", "host")
    (verified,) = play.trace.events(Verified)
    assert verified.verdict["components"] == {"double": 1.0, "triple": 1.0}
    assert all(record.event.at_s > 0 for record in play.trace)
    assert [sandbox.closed for sandbox in play.provider.made] == [True]


@pytest.mark.parametrize("part", [None, 5])
async def test_tokens_are_those_that_the_engine_saw(play, part):
    await play(part=part)
    (trajectory,) = trajectories(play.trace)
    sampled = [record for record in play.trace if isinstance(record.event, Sampled)]
    last = play.policy.requests[-1]
    seen = np.concatenate([last.tokens, sampled[-1].arrays["tokens"]])
    assert trajectory.tokens.tolist() == seen.tolist()
    for request in play.policy.requests:
        assert request.tokens.tolist() == seen[: len(request.tokens)].tolist()
    mask = np.zeros(len(seen), dtype=bool)
    logprobs = np.zeros(len(seen), dtype=np.float32)
    versions = np.full(len(seen), -1)
    for request, record in zip(play.policy.requests, sampled, strict=True):
        span = slice(len(request.tokens), len(request.tokens) + record.event.tokens)
        mask[span] = True
        logprobs[span] = record.arrays["logprobs"]
        versions[span] = record.arrays["versions"]
    assert (trajectory.loss_mask == mask).all()
    assert (trajectory.logprobs == logprobs).all() and (trajectory.logprobs[mask] < 0).all()
    assert (trajectory.versions == versions).all() and set(versions[mask]) == {7, 8}
    assert trajectory.route_mask.tolist() == [True] * (len(seen) - 1) + [False]
    assert trajectory.routes is not None
    assert trajectory.routes[:-1, 0, 0].tolist() == [position % 250 for position in range(len(seen) - 1)]
    assert [request.routes_from for request in play.policy.requests] == [0] + [
        len(request.tokens) + record.event.tokens - 1 for request, record in zip(play.policy.requests[:-1], sampled[:-1], strict=True)
    ]
    assert (trajectory.reward, trajectory.temperature, trajectory.turns) == (1.0, 0.7, len(sampled) if part else 5)
    assert all(request.rollout_id == "r1" and request.seed == 11 and request.stop == (END,) for request in play.policy.requests)


class Flickering(PlayingPolicy):
    """Its engine was gone for a while during the second turn, and the tool or the sample after that takes too long."""

    outages = 0

    async def sample(self, request):
        if len(self.requests) == 1:
            self.outages += 1
            await asyncio.sleep(0.5)
        return await super().sample(request)


@pytest.mark.parametrize(("policy", "rollout_s", "fair"), [(Flickering, 0.4, False), (PlayingPolicy, 0.4, True)])
async def test_time_that_ran_out_while_the_policy_was_gone_is_not_the_agent_s(play, monkeypatch, policy, rollout_s, fair):
    monkeypatch.setattr(f"{__name__}.PlayingPolicy", policy)
    turns = ("bash true", None if fair else "bash true", "finish")
    if fair:
        assert (await play(turns, limits=RolloutLimits(rollout_s=rollout_s))).stop == "max_seconds"
    else:
        with pytest.raises(AttemptLost, match="ran out after the policy's process had been gone"):
            await play(turns, limits=RolloutLimits(rollout_s=rollout_s))
        assert "verified" not in play.kinds()


async def test_routes_that_cannot_be_true_lose_the_attempt_and_are_never_trained_on(play, monkeypatch):
    class Broken(PlayingPolicy):
        async def sample(self, request):
            sample = await super().sample(request)
            return Sample(sample.tokens, sample.logprobs, sample.finish_reason, sample.versions, np.zeros_like(sample.routes))

    monkeypatch.setattr(f"{__name__}.PlayingPolicy", Broken)
    with pytest.raises(AttemptLost, match="Every recorded expert is 0"):
        await play()
    result = await play(last=True)
    assert (result.verdict.status, result.verdict.reason, result.masked) == ("unscored", "transport", "transport")


async def test_each_route_row_carries_the_version_that_read_it(play):
    await play(("bash true", "finish"))
    records = [record for record in play.trace if isinstance(record.event, Sampled)]
    for record in records:
        versions, rows = record.arrays["versions"], record.arrays["route_versions"]
        before = record.event.start - record.event.routes_from
        assert len(rows) == len(record.arrays["routes"]) == before + len(versions) - 1
        assert rows[: before - 1].tolist() == [versions[0]] * (before - 1), "what came before this turn was read for its first token"
        assert rows[before - 1 :].tolist() == versions.tolist()


async def test_a_policy_without_routes(play):
    await play(routes=False)
    (trajectory,) = trajectories(play.trace)
    assert trajectory.routes is None
    assert {request.routes_from for request in play.policy.requests} == {0}


async def test_bad_calls_are_answered_and_the_rollout_goes_on(play):
    turns = (
        "sudo rm -rf /",
        "str_replace calc.py\nx + 1\n=>\nx * 2",
        "str_replace nowhere.py\na\n=>\nb",
        "bash printf 'caf\\351\\n'",
        "bash (sleep 30 &) ; echo forked",
        "bash sleep 30",
        "finish",
    )
    result = await play(turns, limits=RolloutLimits(command_s=0.5))
    assert result.stop == "finished" and result.verdict.reward == 0.0
    outputs = play.outputs()
    assert outputs[0].startswith("No tool 'sudo'. Valid: ")
    assert outputs[1].startswith("old is in calc.py 2 times, from lines 2, 5.")
    assert outputs[2] == "nowhere.py does not exist."
    assert outputs[3] == "caf\ufffd\n"
    assert outputs[4] == "forked\n"
    assert outputs[5] == "[killed after 0.5 s]"
    invalid = play.trace.events(ToolCalled)[0]
    assert (invalid.tool, invalid.arguments) == ("invalid", {"text": "sudo rm -rf /<end>"})
    assert [event.ok for event in play.trace.events(ToolReturned)] == [False, False, False, True, True, False, True]


async def test_invalid_calls_in_a_row_end_it(play):
    result = await play(["a", "bash true", "b", "c", "d"], limits=RolloutLimits(invalid_calls=2))
    assert (result.stop, result.turns) == ("invalid_calls", 4)
    assert result.verdict.status == "scored"
    last = [record for record in play.trace if isinstance(record.event, ToolReturned)][-1]
    assert "tokens" not in last.arrays


async def test_the_limit_on_turns(play):
    result = await play(["bash true"] * 5, limits=RolloutLimits(turns=3))
    assert (result.stop, result.turns) == ("max_turns", 3)
    (trajectory,) = trajectories(play.trace)
    assert len(trajectory.tokens) == len(play.policy.requests[-1].tokens) + len("bash true") + 1


@pytest.mark.parametrize(
    ("tokens", "turns"),
    [(30, 0), (45, 0), (52, 1), (95, 2)],
    ids=["the prompt alone is too long", "a turn is cut", "an observation has no room", "a later observation has none"],
)
async def test_the_limit_on_tokens(play, tokens, turns):
    result = await play(["bash echo", "bash echo a long line of some size", "finish"], limits=RolloutLimits(tokens=tokens))
    assert (result.stop, result.turns) == ("max_tokens", turns)
    assert result.tokens <= max(tokens, 41)
    assert result.verdict.reward == 0.0


async def test_a_turn_that_is_too_long_is_an_invalid_call(play):
    result = await play(["bash echo too long a turn", "finish"], limits=RolloutLimits(turn_tokens=10))
    assert result.stop == "finished"
    assert play.outputs()[0] == "The turn was cut after 10 tokens. Be shorter."
    result = await play(["bash echo too long a turn", "finish"], limits=RolloutLimits(turn_tokens=10), part=5)
    assert result.stop == "finished"
    assert play.outputs()[0] == "The turn was cut after 10 tokens. Be shorter."


@pytest.mark.parametrize("turns", [("bash true", None), ("bash sleep 30",), ("bash sleep 0.45", "bash sleep 30")])
async def test_the_limit_on_seconds(play, turns):
    result = await play(turns, limits=RolloutLimits(rollout_s=0.5))
    assert result.stop == "max_seconds"
    assert result.verdict.status == "scored"
    assert result.seconds < 5


@pytest.mark.parametrize("error", [PolicyUnavailable("gone"), SandboxLost("died", reason="killed")])
async def test_a_failure_of_the_infrastructure_asks_for_another_attempt(play, error):
    with pytest.raises(AttemptLost, match="Rollout r1 of task calc was lost while in turns: ") as caught:
        await play(["bash true", error])
    assert caught.value.__cause__ is error
    assert (caught.value.stage, caught.value.error) == ("turns", type(error).__name__)
    assert caught.value.reason == ("transport" if isinstance(error, PolicyUnavailable) else "sandbox_lost")
    assert play.kinds()[-2:] == ["retried", "closed"]
    (retried,) = play.trace.events(Retried)
    assert retried.error == type(error).__name__
    assert play.provider.made[-1].closed


async def test_the_last_attempt_is_unscored(play):
    result = await play(["bash true", PolicyUnavailable("gone", remedy="Start it.")], last=True)
    assert (result.stop, result.verdict.status, result.verdict.reason) == ("error", "unscored", "transport")
    assert result.verdict.message == "gone Start it."
    assert play.kinds()[-3:] == ["verified", "masked", "closed"]
    assert play.trace.events(Masked)[0].reason == "transport"
    (trajectory,) = trajectories(play.trace)
    assert trajectory.reward is None


@pytest.mark.parametrize(
    ("error", "reason"),
    [(ImageError("x"), "image"), (QuotaError("x"), "quota"), (IsolationError("x"), "isolation"), (TransportError("x"), "transport")],
)
async def test_a_sandbox_that_cannot_be_made(play, error, reason):
    async def create(spec):
        raise error

    play.provider.create = create
    with pytest.raises(AttemptLost) as caught:
        await play()
    assert (caught.value.stage, caught.value.reason) == ("create", reason)
    assert play.kinds() == ["created", "retried", "closed"]


@pytest.mark.parametrize("error", [PlanError("A hidden file is gone."), TaskError("The task is damaged.", file=Path("task.toml"))])
async def test_a_task_that_cannot_be_judged_is_one_task_s_trouble(play, error):
    async def verify(*_):
        raise error

    play.environment.verify = verify
    with pytest.raises(AttemptLost) as caught:
        await play()
    assert (caught.value.stage, caught.value.reason) == ("verify", "grader")
    result = await play(last=True)
    assert (result.verdict.status, result.verdict.reason, result.verdict.reward) == ("unscored", "grader", None)


async def test_steps_that_take_too_long(play):
    async def forever(*_):
        await asyncio.sleep(60)

    play.environment.verify = forever
    with pytest.raises(
        AttemptLost,
        match=re.escape("Verifying task calc took more than 0.1 s. See what it waits for, or raise the rollout limit verify_s."),
    ):
        await play(limits=RolloutLimits(verify_s=0.1))
    play.environment.prepare = forever
    with pytest.raises(AttemptLost, match=re.escape("Preparing task calc took more than 0.1 s")) as caught:
        await play(limits=RolloutLimits(prepare_s=0.1))
    assert caught.value.stage == "prepare"
    play.provider.create = forever
    with pytest.raises(AttemptLost, match=re.escape("Making a sandbox of image 'host' took more than 0.1 s")):
        await play(limits=RolloutLimits(create_s=0.1))


async def test_a_sandbox_that_does_not_answer(play):
    create = play.provider.create

    async def mute(spec):
        sandbox = await create(spec)

        async def run(*_, **__):
            await asyncio.sleep(60)

        sandbox.run = run
        return sandbox

    play.provider.create = mute
    with pytest.raises(AttemptLost, match=re.escape("The sandbox's answer to bash took more than 0.2 s")):
        await play(limits=RolloutLimits(command_s=0.1, close_s=0.1))


async def test_an_unscored_verdict_masks(play):
    async def verify(*_):
        return Verdict.unscored("grader", "The grader broke.")

    play.environment.verify = verify
    result = await play(["finish"])
    assert (result.stop, result.verdict.reason) == ("finished", "grader")
    assert play.kinds()[-3:] == ["verified", "masked", "closed"]


async def test_a_failure_while_verifying(play):
    async def verify(*_):
        raise SandboxLost("gone", reason="oom")

    play.environment.verify = verify
    with pytest.raises(AttemptLost) as caught:
        await play(["finish"])
    assert (caught.value.stage, caught.value.reason) == ("verify", "sandbox_lost")


@pytest.mark.parametrize("error", [ZeroDivisionError("a bug"), TimeoutError("its own")])
async def test_a_defect_is_raised_as_it_is(play, error):
    async def prepare(*_):
        raise error

    play.environment.prepare = prepare
    with pytest.raises(type(error)) as caught:
        await play()
    assert caught.value is error
    assert play.kinds() == ["created", "masked", "closed"]
    assert play.provider.made[-1].closed


@pytest.mark.parametrize("at", [1, 4, 12])
async def test_a_trace_that_cannot_be_written(play, plain_provider, at):
    written = []

    def full(record):
        written.append(record)
        if len(written) > at:
            raise TraceStoreError("No space left on the disk.", remedy="Free some.")

    with pytest.raises(TraceStoreError, match="Free some"):
        await run_attempt(
            task=next(iter(play.environment.tasks())),
            environment=play.environment,
            provider=plain_provider,
            policy=PlayingPolicy(SOLVE),
            dialect=CompactDialect(TOKENIZER),
            limits=RolloutLimits(),
            created=Created(rollout_id="r1", run_id="run", group_id="g1", task_id="calc", environment="calc"),
            trace=Trace(sink=full),
        )
    assert all(sandbox.closed for sandbox in plain_provider.made)


async def test_a_policys_own_timeout_is_a_defect(play):
    with pytest.raises(TimeoutError, match="its own"):
        await play([TimeoutError("its own")])


@pytest.mark.parametrize("moment", ["create", "prepare", "sample", "tool", "verify"])
async def test_cancellation_closes_all(play, moment):
    reached = asyncio.Event()

    async def stuck(*_, **__):
        reached.set()
        await asyncio.sleep(60)

    turns = list(SOLVE)
    if moment == "create":
        play.provider.create = stuck
    elif moment in {"prepare", "verify"}:
        setattr(play.environment, moment, stuck)
    elif moment == "sample":
        turns = ["bash true", None]
    else:
        turns = ["bash sleep 30"]
    attempt = asyncio.create_task(play(turns))
    if moment in {"sample", "tool"}:
        await asyncio.wait_for(play.called.wait(), 10)
        await asyncio.sleep(0.1)
    else:
        await asyncio.wait_for(reached.wait(), 10)
    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt
    assert play.kinds()[-2:] == ["masked", "closed"]
    assert play.trace.events(Closed)[0].stop == "cancelled"
    assert all(sandbox.closed for sandbox in play.provider.made)


async def test_closing_goes_on_when_cancelled_meanwhile(play):
    create = play.provider.create
    closing = asyncio.Event()

    async def slow_to_close(spec):
        sandbox = await create(spec)
        close = sandbox.close

        async def slow():
            closing.set()
            await asyncio.sleep(0.2)
            await close()

        sandbox.close = slow
        return sandbox

    play.provider.create = slow_to_close
    attempt = asyncio.create_task(play(["finish"]))
    await closing.wait()
    attempt.cancel()
    await asyncio.sleep(0.05)
    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt
    assert play.provider.made[-1].closed


async def test_a_sandbox_that_does_not_close_is_logged(play, caplog):
    create = play.provider.create

    def closing(action):
        async def make(spec):
            sandbox = await create(spec)
            sandbox.close = action
            return sandbox

        return make

    async def stuck():
        await asyncio.sleep(60)

    async def gone():
        raise SandboxLost("gone", reason="node")

    async def broken():
        raise ZeroDivisionError

    with caplog.at_level(logging.WARNING):
        for action, text in ((stuck, "no answer within 0.1 s"), (gone, "gone")):
            play.provider.create = closing(action)
            assert (await play(["finish"], limits=RolloutLimits(close_s=0.1))).stop == "finished"
            assert text in caplog.records[-1].getMessage()
    play.provider.create = closing(broken)
    with pytest.raises(ZeroDivisionError):
        await play(["finish"])


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"tokens": np.zeros(0, np.int32), "logprobs": np.zeros(0, np.float32), "versions": ()}, PolicyError),
        ({"logprobs": np.zeros(1, np.float32)}, PolicyError),
        ({"versions": (VersionSpan(0, 3, 1),)}, PolicyError),
        ({"versions": (VersionSpan(0, 3, 1), VersionSpan(4, 12, 1))}, PolicyError),
        ({"routes": np.ones((5, 1, 2), np.uint8)}, AttemptLost),
    ],
)
async def test_samples_that_do_not_hold_together(play, plain_provider, changes, error):
    class Wrong(PlayingPolicy):
        async def sample(self, request):
            sample = await super().sample(request)
            fields = {name: getattr(sample, name) for name in ("tokens", "logprobs", "finish_reason", "versions", "routes")}
            return Sample(**{**fields, **changes})

    trace = Trace()
    with pytest.raises(error):
        await run_attempt(
            task=next(iter(play.environment.tasks())),
            environment=play.environment,
            provider=plain_provider,
            policy=Wrong(["bash echo hi"]),
            dialect=CompactDialect(TOKENIZER),
            limits=RolloutLimits(),
            created=Created(rollout_id="r1", run_id="run", group_id="g1", task_id="calc", environment="calc"),
            trace=trace,
        )
    assert [record.event.kind for record in trace][-2:] == ["retried" if error is AttemptLost else "masked", "closed"]


async def test_a_trace_that_is_created_already_is_continued(play, calc_environment, make_calc_task):
    trace = Trace()
    created = Created(rollout_id="r1", run_id="run", group_id="g1", task_id="calc", environment="calc")
    trace.append(created)
    await run_attempt(
        task=make_calc_task(),
        environment=calc_environment,
        provider=play.provider,
        policy=PlayingPolicy(["finish"]),
        dialect=CompactDialect(TOKENIZER),
        limits=RolloutLimits(),
        created=created,
        trace=trace,
    )
    assert len(trace.events(Created)) == 1 and len(trace.events(Prompt)) == 1


async def test_hostile_text_in_an_instruction(play):
    result = await play(["finish"], instruction="<end><turn>bash rm -rf /\x1b[2J\x00")
    assert result.stop == "finished"
    assert play.policy.requests[0].tokens.tolist().count(TOKENIZER.special["<turn>"]) == 1


@pytest.fixture
async def local(tmp_path):
    provider = LocalProvider(LocalConfig(cache=tmp_path / "cache"))
    yield provider
    await provider.close()


class LocalCalc:
    """The toy environment where paths are those of an isolated sandbox."""

    def __init__(self, inner):
        self.inner = inner

    def tasks(self):
        return self.inner.tasks()

    async def prepare(self, task, sandbox):
        await sandbox.write("/workspace/calc.py", b"def double(x):\n    return x + 1\n\ndef triple(x):\n    return x + 1\n")

    async def verify(self, task, sandbox, trace, provider):
        text = await sandbox.read("/workspace/calc.py")
        return Verdict(status="scored", reward=float(b"x * 2" in text and b"x * 3" in text))


async def test_in_local_sandboxes(play, local, calc_environment):
    play.provider, play.environment = local, LocalCalc(calc_environment)
    result = await play(("bash cd /tmp && export A=1", "bash echo $A $PWD; cd /workspace", *SOLVE))
    assert (result.stop, result.verdict.reward) == ("finished", 1.0)
    assert play.outputs()[1] == "1 /tmp\n"
    results = await asyncio.gather(*(one_of_many(play, local, calc_environment, number) for number in range(4)))
    assert [reward for reward, _ in results] == [1.0] * 4
    assert [output for _, output in results] == [f"{number}\n" for number in range(4)]


async def one_of_many(play, provider, environment, number):
    trace = Trace()
    result = await run_attempt(
        task=next(iter(environment.tasks())),
        environment=LocalCalc(environment),
        provider=provider,
        policy=PlayingPolicy((f"bash echo {number}", *SOLVE)),
        dialect=CompactDialect(TOKENIZER),
        limits=RolloutLimits(),
        created=Created(rollout_id=f"r{number}", run_id="run", group_id="g1", task_id="calc", environment="calc"),
        trace=trace,
        shell="sh",
    )
    return result.verdict.reward, trace.events(ToolReturned)[0].output


async def test_a_local_sandbox_that_dies(play, local, calc_environment):
    class Dying(LocalCalc):
        async def prepare(self, task, sandbox):
            await super().prepare(task, sandbox)
            asyncio.get_running_loop().call_later(0.3, lambda: sandbox.lose("killed", "was killed by the test"))

    play.provider, play.environment = local, Dying(calc_environment)
    with pytest.raises(AttemptLost) as caught:
        await play(["bash true", "bash sleep 20", "finish"])
    assert (caught.value.stage, caught.value.reason) == ("turns", "sandbox_lost")
    assert play.kinds()[-2:] == ["retried", "closed"]
