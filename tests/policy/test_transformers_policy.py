import asyncio
import copy
import threading
import time

import numpy as np
import pytest

from podgym.policy import Policy, Sample, SampleRequest
from podgym.policy.errors import CheckpointError, PolicyError, PolicyUnavailable
from podgym.policy.routing import RouteLedger, validate_routes

pytestmark = pytest.mark.train

END = 5


@pytest.fixture(params=["lean", "hub"])
def runner(torch, request, monkeypatch):
    """Which of the two forward passes samples; they must be indistinguishable."""
    from podgym.policy.transformers.runners import LeanRunner

    if request.param == "hub":
        monkeypatch.setattr(LeanRunner, "applies", staticmethod(lambda _model: False))
    return request.param


@pytest.fixture
def sampler(torch, tiny):
    from podgym.policy.transformers import TransformersConfig, TransformersPolicy

    opened = []

    def build(**options):
        model = options.pop("model", tiny)
        version = options.pop("version", 0)
        policy = TransformersPolicy(model, config=TransformersConfig(**{"dtype": "float32", "context": 128, **options}), version=version)
        opened.append(policy)
        return policy

    yield build
    for policy in opened:
        policy.shutdown()


def ids(n, seed=0):
    return np.random.default_rng(seed).integers(6, 60, n).astype(np.int32)


def request(tokens, *, rollout="r", max_tokens=12, **options):
    return SampleRequest(rollout_id=rollout, tokens=np.asarray(tokens, dtype=np.int32), max_tokens=max_tokens, **options)


def reread(torch, model, tokens, temperature=1.0):
    """Log-probabilities of tokens[1:] and all routes, by one plain forward pass."""
    from podgym.policy.replay import recording

    with torch.no_grad(), recording(model) as recorder:
        logits = model(input_ids=torch.as_tensor(tokens.astype(np.int64))[None]).logits[0]
        routes = recorder.take()
    logprobs = (logits / temperature).log_softmax(-1)
    return logprobs[:-1].gather(1, torch.as_tensor(tokens[1:].astype(np.int64))[:, None]).squeeze(1).numpy(), routes


def perturbed(torch, model, seed):
    generator = torch.Generator().manual_seed(seed)
    return {name: value + 0.05 * torch.randn(value.shape, generator=generator) for name, value in model.state_dict().items()}


async def test_logprobs_and_routes_are_those_of_a_plain_forward_pass(torch, tiny, sampler, runner):
    policy = sampler()
    assert isinstance(policy, Policy)
    prompts = [ids(n, n) for n in (3, 17, 1, 9, 30)]
    samples = await asyncio.gather(*(policy.sample(request(p, rollout=str(i), temperature=0.7)) for i, p in enumerate(prompts)))
    for prompt, sample in zip(prompts, samples, strict=True):
        whole = np.concatenate([prompt, sample.tokens])
        logprobs, routes = reread(torch, tiny, whole, 0.7)
        assert sample.finish_reason == "length"
        assert len(sample.tokens) == 12
        assert np.allclose(sample.logprobs, logprobs[len(prompt) - 1 :], atol=2e-4)
        validate_routes(sample.routes, experts=8, rows=len(whole) - 1, layers=3, top_k=2)
        assert np.array_equal(np.sort(sample.routes), np.sort(routes[:-1]))
        assert [(s.start, s.end, s.version) for s in sample.versions] == [(0, 12, 0)]


async def test_turns_reuse_what_was_read_and_their_routes_join(torch, tiny, sampler, runner):
    policy = sampler()
    held = ids(20, 1)
    ledger = RouteLedger(experts=8)
    expected = []
    for turn in range(4):
        before = policy.statistics()["tokens_read"]
        sample = await policy.sample(request(held, routes_from=ledger.held, seed=turn, max_tokens=6))
        ledger.record(ledger.held, sample.routes, sample.versions[0].version)
        expected.append(policy.statistics()["tokens_read"] - before)
        held = np.concatenate([held, sample.tokens, ids(5, 50 + turn)])
    # a later turn reads the last sampled token, the observation and five of its own six tokens
    assert expected == [25, 11, 11, 11]
    assert ledger.held == len(held) - 6
    _, routes = reread(torch, tiny, held[: ledger.held])
    assert np.array_equal(np.sort(ledger.routes), np.sort(routes))


async def test_a_changed_prefix_is_read_again(torch, tiny, sampler):
    policy = sampler()
    first = await policy.sample(request(ids(20, 1), temperature=0))
    other = ids(20, 2)
    assert (await policy.sample(request(other, temperature=0))).tokens.tolist() == (
        await policy.sample(request(other, rollout="fresh", temperature=0))
    ).tokens.tolist()
    again = await policy.sample(request(ids(20, 1), temperature=0))
    assert again.tokens.tolist() == first.tokens.tolist()


async def test_greedy_takes_the_likeliest_token(torch, tiny, sampler):
    prompt = ids(8)
    sample = await sampler().sample(request(prompt, temperature=0, max_tokens=5))
    whole = np.concatenate([prompt, sample.tokens])
    with torch.no_grad():
        logits = tiny(input_ids=torch.as_tensor(whole.astype(np.int64))[None]).logits[0]
    assert logits.argmax(-1)[7:-1].tolist() == sample.tokens.tolist()
    assert np.allclose(sample.logprobs, reread(torch, tiny, whole)[0][7:], atol=2e-4)


async def test_a_turn_that_was_cut_goes_on_as_it_would_have(sampler):
    whole = await sampler().sample(request(ids(9), seed=11, max_tokens=12))
    policy = sampler()
    first = await policy.sample(request(ids(9), seed=11, max_tokens=5))
    rest = await policy.sample(request(np.concatenate([ids(9), first.tokens]), seed=11, max_tokens=7))
    assert [*first.tokens, *rest.tokens] == whole.tokens.tolist()


async def test_turns_of_one_rollout_share_no_draw(torch, tiny, sampler):
    """Under a policy to which all tokens are equally likely, a token is its draw."""
    policy = sampler()
    state = {name: value.clone() for name, value in tiny.state_dict().items()}
    state["lm_head.weight"].zero_()
    policy.update_weights(state, 1)
    same = 0
    for seed in range(40):
        held, turns = ids(9), []
        for _ in range(3):
            turns.append(int((await policy.sample(request(held, rollout=str(seed), seed=seed, max_tokens=1))).tokens[0]))
            held = np.concatenate([held, [turns[-1]], ids(4)])
        same += len(set(turns)) == 1
    assert same <= 2


async def test_a_seed_decides_whatever_else_is_in_the_batch(sampler):
    alone = await sampler().sample(request(ids(9), seed=11))
    policy = sampler(batch=8)
    crowd = [policy.sample(request(ids(4 + i, i), rollout=f"o{i}")) for i in range(20)]
    among, again, differs, *_ = await asyncio.gather(
        policy.sample(request(ids(9), rollout="a", seed=11)),
        policy.sample(request(ids(9), rollout="b", seed=11)),
        policy.sample(request(ids(9), rollout="c", seed=12)),
        *crowd,
    )
    assert alone.tokens.tolist() == among.tokens.tolist() == again.tokens.tolist()
    assert differs.tokens.tolist() != alone.tokens.tolist()


async def test_the_frequencies_are_those_of_the_distribution(torch, tiny, sampler):
    prompt = ids(6)
    policy = sampler(batch=256, slots=256)
    samples = await asyncio.gather(*(policy.sample(request(prompt, rollout=str(i), max_tokens=1, temperature=1.5)) for i in range(3000)))
    with torch.no_grad():
        expected = (tiny(input_ids=torch.as_tensor(prompt.astype(np.int64))[None]).logits[0, -1] / 1.5).softmax(-1).numpy()
    counts = np.bincount([int(sample.tokens[0]) for sample in samples], minlength=60)
    likely = expected > 0.003
    chi_squared = (((counts - 3000 * expected) ** 2) / (3000 * expected))[likely].sum()
    assert chi_squared < likely.sum() + 6 * np.sqrt(2 * likely.sum())


async def test_stop_tokens_end_the_turn_and_belong_to_it(sampler):
    policy = sampler()
    free = await policy.sample(request(ids(9), seed=3, max_tokens=12))
    stop = int(free.tokens[6])
    first = free.tokens.tolist().index(stop)
    sample = await policy.sample(request(ids(9), rollout="s", seed=3, max_tokens=12, stop=(1, 2, 3, 4, stop)))
    assert sample.tokens.tolist() == free.tokens.tolist()[: first + 1]
    assert sample.finish_reason == "stop"


async def test_the_context_bounds_a_turn(sampler):
    sample = await sampler(context=16).sample(request(ids(10), max_tokens=100))
    assert (len(sample.tokens), sample.finish_reason) == (6, "length")


async def test_long_prompts_are_read_in_several_steps(torch, tiny, sampler, runner):
    policy = sampler(tokens_per_step=16, batch=4, slots=4)
    prompts = [ids(n, n) for n in (60, 3, 50, 2, 40, 1)]
    samples = await asyncio.gather(*(policy.sample(request(p, rollout=str(i), seed=i)) for i, p in enumerate(prompts)))
    for prompt, sample in zip(prompts, samples, strict=True):
        whole = np.concatenate([prompt, sample.tokens])
        logprobs, routes = reread(torch, tiny, whole)
        assert np.allclose(sample.logprobs, logprobs[len(prompt) - 1 :], atol=2e-4)
        assert np.array_equal(np.sort(sample.routes), np.sort(routes[:-1]))


async def test_slots_go_to_whoever_waits(sampler):
    policy = sampler(batch=2, slots=3)
    for _ in range(2):
        samples = await asyncio.gather(*(policy.sample(request(ids(5, i), rollout=str(i), temperature=0)) for i in range(12)))
        assert [len(sample.tokens) for sample in samples] == [12] * 12
    statistics = policy.statistics()
    assert (statistics["active"], statistics["waiting"], statistics["tokens_sampled"]) == (0, 0, 288)


async def test_new_weights_hold_for_every_later_token_and_only_those(torch, tiny, sampler, runner):
    policy = sampler(version=7)
    prompt = ids(12)
    newer = copy.deepcopy(tiny)
    newer.load_state_dict(perturbed(torch, tiny, 1))
    running = asyncio.create_task(policy.sample(request(prompt, max_tokens=100)))
    await asyncio.to_thread(lambda: [time.sleep(0.001) for _ in iter(lambda: policy.statistics()["tokens_sampled"] < 20, False)])
    await asyncio.to_thread(policy.update_weights, newer.state_dict(), 8)
    assert policy.version == 8
    sample = await running
    first, second = sample.versions
    assert (first.start, first.end, first.version) == (0, second.start, 7)
    assert (second.end, second.version) == (100, 8)
    whole = np.concatenate([prompt, sample.tokens])
    old, old_routes = reread(torch, tiny, whole)
    new, new_routes = reread(torch, newer, whole)
    border = second.start
    assert np.allclose(sample.logprobs[:border], old[11:][:border], atol=5e-4)
    assert np.allclose(sample.logprobs[border:], new[11:][border:], atol=5e-4)
    # what the old weights read keeps the old weights' rows; the token sampled last under them is read by the new ones
    read_before = 12 + border - 1
    assert np.array_equal(np.sort(sample.routes[:read_before]), np.sort(old_routes[:read_before]))
    assert np.array_equal(np.sort(sample.routes[read_before:]), np.sort(new_routes[read_before:-1]))
    # a rollout at rest is read again, not continued from the old keys
    later = await policy.sample(request(whole, max_tokens=4))
    again = reread(torch, newer, np.concatenate([whole, later.tokens]))[0]
    assert np.allclose(later.logprobs, again[len(whole) - 1 :], atol=5e-4)


async def test_weights_before_the_first_token_leave_one_span(torch, tiny, sampler):
    policy = sampler()
    policy.update_weights({name: value.numpy() for name, value in tiny.state_dict().items()}, 1)
    frozen = {name: value.numpy().copy() for name, value in tiny.state_dict().items()}
    for array in frozen.values():
        array.flags.writeable = False
    policy.update_weights(frozen, 2)
    sample = await policy.sample(request(ids(5)))
    assert [(s.start, s.end, s.version) for s in sample.versions] == [(0, 12, 2)]


def test_weights_that_do_not_belong_are_refused_and_change_nothing(torch, tiny, sampler):
    policy = sampler()
    state = tiny.state_dict()
    name = "model.norm.weight"
    for bad, message in [
        ({key: value for key, value in state.items() if key != name}, "1 names differ, the first is model.norm.weight"),
        ({**state, name: torch.zeros(3)}, r"is \[3\], the sampler has \[32\]"),
        ({**state, name: torch.full((32,), torch.nan)}, "holds NaN"),
    ]:
        with pytest.raises(CheckpointError, match=message):
            policy.update_weights(bad, 1)
    assert policy.version == 0


async def test_bfloat16_stays_close(torch, tiny, sampler, runner):
    prompt = ids(14)
    sample = await sampler(dtype="bfloat16").sample(request(prompt, max_tokens=20))
    logprobs, _ = reread(torch, tiny, np.concatenate([prompt, sample.tokens]))
    gap = np.abs(sample.logprobs - logprobs[13:])
    assert 0 < np.median(gap) < 0.2


async def test_cancelled_requests_leave(sampler):
    policy = sampler(batch=1, slots=1)
    long = asyncio.create_task(policy.sample(request(ids(3), rollout="long", max_tokens=120)))
    waiting = asyncio.create_task(policy.sample(request(ids(3), rollout="waiting", max_tokens=120)))
    await asyncio.sleep(0.01)
    long.cancel()
    waiting.cancel()
    after = await asyncio.wait_for(policy.sample(request(ids(3), rollout="after", max_tokens=2)), 20)
    assert len(after.tokens) == 2
    assert long.cancelled() or long.done()
    assert policy.statistics()["waiting"] == 0
    assert policy.statistics()["tokens_sampled"] < 200


def test_batches(sampler):
    policy = sampler(batch=4, slots=8, linger_s=0.02, linger_rows=6)
    policy.submit([request(ids(3 + i, i), rollout=str(i), max_tokens=3) for i in range(5)] + [request([], rollout="empty")])
    got = {}
    while len(got) < 6:
        got.update(policy.collect(10.0))
    assert isinstance(got.pop("empty"), PolicyError)
    assert all(isinstance(sample, Sample) and len(sample.tokens) == 3 for sample in got.values())
    assert policy.collect(0.01) == []
    assert policy.exchange([request(ids(3), rollout="x", max_tokens=1)], 10.0)[0][0] == "x"


def test_a_cancelled_rollout_yields_nothing(sampler):
    policy = sampler(batch=1, slots=2)
    policy.submit([request(ids(3), rollout="gone", max_tokens=120), request(ids(3), rollout="stays", max_tokens=2)])
    policy.cancel(["gone", "unknown"])
    assert [name for name, _ in policy.collect(20.0)] == ["stays"]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"tokens": []}, "holds 0 tokens"),
        ({"tokens": [1] * 128}, "context is 128"),
        ({"tokens": [1], "max_tokens": 0}, "wants 0 more"),
        ({"tokens": [60]}, "outside the model's 60"),
        ({"tokens": [-1]}, "outside the model's 60"),
        ({"tokens": [1], "temperature": -1.0}, "temperature -1"),
        ({"tokens": [1], "temperature": float("nan")}, "temperature nan"),
        ({"tokens": [1], "routes_from": 2}, "routes from position 2 of 1"),
    ],
)
async def test_requests_that_cannot_be_sampled(sampler, bad, message):
    with pytest.raises(PolicyError, match=message):
        await sampler().sample(request(**bad))


@pytest.mark.parametrize("bad", [{"batch": 9, "slots": 8}, {"batch": 0}, {"context": 1}, {"dtype": "float16"}])
def test_configurations_that_cannot_run(torch, bad):
    from podgym.policy.transformers import TransformersConfig

    with pytest.raises(PolicyError, match="cannot run"):
        TransformersConfig(**bad)


async def test_logits_that_are_not_finite_are_an_error_of_the_request(torch, tiny, sampler):
    broken = copy.deepcopy(tiny)
    with torch.no_grad():
        broken.lm_head.weight[3] = torch.nan
    with pytest.raises(PolicyError, match="not finite"):
        await sampler(model=broken).sample(request(ids(4)))


async def test_a_failing_step_fails_everyone_and_all_who_come_later(sampler):
    policy = sampler()

    def explode():
        raise MemoryError("no memory left")

    policy._engine.step = explode
    with pytest.raises(PolicyUnavailable, match="no memory left"):
        await policy.sample(request(ids(4)))
    policy._thread.join(5)
    with pytest.raises(PolicyUnavailable, match="no memory left"):
        policy.submit([request(ids(4))])


async def test_closing_fails_what_is_unfinished(sampler):
    policy = sampler()
    running = asyncio.create_task(policy.sample(request(ids(4), max_tokens=120)))
    policy.submit([request(ids(4), rollout="b", max_tokens=120)])
    await asyncio.sleep(0)
    await policy.close()
    await policy.close()
    with pytest.raises(PolicyUnavailable):
        await running
    assert [(name, type(outcome)) for name, outcome in policy.collect(1.0)] == [("b", PolicyUnavailable)]
    with pytest.raises(PolicyUnavailable, match="closed"):
        await policy.sample(request(ids(4)))
    with pytest.raises(PolicyUnavailable, match="closed"):
        policy.update_weights({}, 1)


async def test_waiting_is_bounded(sampler):
    policy = sampler(timeout_s=0.05)
    hold = threading.Event()
    step = policy._engine.step
    policy._engine.step = lambda: (hold.wait(5), step())[1]
    try:
        with pytest.raises(PolicyUnavailable, match=r"within 0\.05 s"):
            await policy.sample(request(ids(4)))
        with pytest.raises(PolicyUnavailable, match="did not take weights"):
            await asyncio.to_thread(policy.update_weights, {}, 1, timeout_s=0.05)
    finally:
        hold.set()


async def test_a_dense_model_with_a_sliding_window(torch, sampler):
    from transformers import Qwen2Config, Qwen2ForCausalLM

    config = Qwen2Config(
        vocab_size=60, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        max_position_embeddings=128, use_sliding_window=True, sliding_window=6, max_window_layers=1, initializer_range=0.3,
    )  # fmt: skip
    model = Qwen2ForCausalLM(config).eval()
    prompt = ids(20)
    sample = await sampler(model=model).sample(request(prompt))
    assert sample.routes is None
    whole = np.concatenate([prompt, sample.tokens])
    with torch.no_grad():
        logprobs = model(input_ids=torch.as_tensor(whole.astype(np.int64))[None]).logits[0].log_softmax(-1).numpy()
    expected = logprobs[np.arange(19, len(whole) - 1), whole[20:]]
    assert np.allclose(sample.logprobs, expected, atol=1e-4)


def test_attention_with_extras_is_refused(torch):
    from types import SimpleNamespace

    from podgym.policy.transformers.slots import attend

    with pytest.raises(PolicyError, match="s_aux"):
        attend(SimpleNamespace(layer_idx=0), *[torch.zeros(1, 1, 1, 4)] * 3, None, slot_plan=None, s_aux=torch.zeros(1))


def test_sparse_slots_are_gathered(torch, tiny):
    from podgym.policy.transformers.slots import SlotCache, plan_step

    plan = plan_step(SlotCache(slots=64, length=32), np.array([3, 0]), np.array([1, 1]), np.array([0, 60]))
    assert plan.groups[0].rows == 2
    plan = plan_step(SlotCache(slots=64, length=32), np.array([3, 0]), np.array([1, 1]), np.array([8, 9]))
    assert plan.groups[0].slots == slice(8, 10)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_lean_forward_pass_is_the_hub_s(torch, tiny, dtype):
    from podgym.policy.transformers.runners import HubRunner, LeanRunner, open_runner
    from podgym.policy.transformers.slots import SlotCache, plan_step

    bound = 1e-4 if dtype == "float32" else 0.15
    models = [copy.deepcopy(tiny).to(getattr(torch, dtype)).requires_grad_(False) for _ in range(2)]
    assert isinstance(open_runner(models[0], context=64), LeanRunner)
    lean, hub = LeanRunner(models[0], context=64), HubRunner(models[1])
    outputs = []
    for runner in (lean, hub):
        cache = SlotCache(slots=8, length=64)
        with torch.inference_mode():
            for starts, counts, slots in [([0, 0, 0], [9, 1, 4], [5, 2, 0]), ([9, 1, 4], [1, 1, 1], [5, 2, 0]), ([2, 5], [1, 3], [2, 0])]:
                plan = plan_step(cache, np.array(starts), np.array(counts), np.array(slots))
                tokens = torch.from_numpy(ids(sum(counts), seed=len(outputs) % 3).astype(np.int64))
                outputs.append(runner.run(tokens, plan, torch.arange(sum(counts))))
    for (logits, routes), (hub_logits, hub_routes) in zip(outputs[:3], outputs[3:], strict=True):
        assert torch.allclose(logits, hub_logits, atol=bound * hub_logits.abs().max().item())
        if dtype == "float32":
            assert np.array_equal(routes, hub_routes)


def test_the_lean_forward_pass_follows_new_weights_and_knows_its_limits(torch, tiny):
    from podgym.policy.transformers.runners import HubRunner, LeanRunner, open_runner
    from podgym.policy.transformers.slots import SlotCache, plan_step

    model = copy.deepcopy(tiny).requires_grad_(False)
    lean = LeanRunner(model, context=64)
    newer = perturbed(torch, tiny, 4)
    model.load_state_dict(newer)
    lean.refresh()
    other = copy.deepcopy(tiny).requires_grad_(False)
    other.load_state_dict(newer)
    tokens = torch.from_numpy(ids(6).astype(np.int64))
    with torch.inference_mode():
        logits, _ = lean.run(tokens, plan_step(SlotCache(slots=1, length=64), np.array([0]), np.array([6]), np.array([0])), torch.arange(6))
        assert torch.allclose(logits, other(input_ids=tokens[None]).logits[0], atol=1e-3)
    windowed = copy.deepcopy(tiny)
    windowed.config.sliding_window = 8
    assert isinstance(open_runner(windowed, context=64), HubRunner)


async def test_few_rows_wait_for_company(sampler):
    policy = sampler(linger_s=0.02, linger_rows=4)
    started = time.perf_counter()
    await policy.sample(request(ids(4), max_tokens=5))
    assert time.perf_counter() - started > 0.08
    steps = policy.statistics()["steps"]
    await asyncio.gather(*(policy.sample(request(ids(4), rollout=str(i), max_tokens=5)) for i in range(4)))
    assert policy.statistics()["steps"] - steps <= 9
