"""From a real sampler through a rollout, a trace file and a trajectory to the trainer's forward pass: the same tokens, the same experts.

What the sampler was asked and what it answered is written down beside it, so that nothing here is compared with itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from podgym.policy import Sample, SampleRequest
from podgym.policy.tokenizer import ByteTokenizer, load_tokenizer
from podgym.rollout.attempt import run_attempt
from podgym.rollout.dialects import DialectError
from podgym.rollout.job import JobConfig, parse_job
from podgym.rollout.learner import open_dialect, open_policy, open_tokenizer
from podgym.rollout.limits import RolloutLimits
from podgym.traces import Trace, Trajectory
from podgym.traces.events import Created
from podgym.traces.file import TraceWriter, read_trace
from podgym.traces.trajectory import trajectories

pytestmark = pytest.mark.train
pytest.importorskip("torch", reason="needs podgym[train]")
pytest.importorskip("transformers", reason="needs podgym[train]")

CHAT = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TURNS = 5


class Noting:
    """A policy that writes down what passes through it."""

    def __init__(self, policy: Any) -> None:
        self.policy = policy
        self.seen: list[tuple[SampleRequest, Sample]] = []

    async def sample(self, request: SampleRequest) -> Sample:
        sample: Sample = await self.policy.sample(request)
        self.seen.append((request, sample))
        return sample

    async def close(self) -> None:
        await self.policy.close()


def save(folder: Path, tokenizer: Any, vocabulary: int) -> Path:
    from podgym.policy.checkpoint import save_model
    from podgym.policy.models import TinyMoeConfig, build_model

    model = build_model(TinyMoeConfig(vocab_size=vocabulary, hidden=32, layers=2, expert_width=16, context=2048), seed=1)
    save_model(folder, model, tokenizer=tokenizer if hasattr(tokenizer, "fingerprint") else None)
    if not hasattr(tokenizer, "fingerprint"):
        tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def compact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tokenizer = ByteTokenizer()
    return save(tmp_path_factory.mktemp("compact") / "model", tokenizer, tokenizer.vocab_size)


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As a model from a hub is laid out: nothing in it is podgym's."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    fast = Tokenizer(models.BPE(vocab={character: index for index, character in enumerate(alphabet)}, merges=[]))
    fast.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    fast.decoder = decoders.ByteLevel()
    fast.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in ("<|endoftext|>", "<|im_start|>", "<|im_end|>")])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=fast, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    tokenizer.chat_template = CHAT
    return save(tmp_path_factory.mktemp("chat") / "model", tokenizer, len(tokenizer))


def job(checkpoint: Path, dialect: str, *, dtype: str = "float32") -> JobConfig:
    return parse_job(
        {
            "environment": {"type": "none"},
            "policy": {"kind": "transformers", "checkpoint": checkpoint, "options": {"dtype": dtype, "batch": 4, "slots": 8}},
            "rollout": {"dialect": dialect, "limits": {"tokens": 2048}},
            "train": {"steps": 1},
        },
        origin="test",
    )


async def play(config: JobConfig, environment: Any, provider: Any, path: Path) -> tuple[Noting, Trajectory]:
    """A rollout of an untrained policy: it babbles, and hears each turn that it made no valid call."""
    assert config.policy.checkpoint is not None
    policy = Noting(open_policy(config, checkpoint=config.policy.checkpoint, version=0).policy)
    task = next(iter(environment.tasks()))
    with TraceWriter(path) as writer:
        await run_attempt(
            task=task,
            environment=environment,
            provider=provider,
            policy=policy,
            dialect=open_dialect(config, open_tokenizer(config)),
            limits=RolloutLimits(turns=TURNS, tokens=2048, turn_tokens=24, invalid_calls=TURNS + 1),
            created=Created(rollout_id="r1", run_id="run", group_id="g1", task_id=task.id, environment="calc"),
            trace=Trace(sink=writer),
            seed=7,
        )
    await policy.close()
    (trajectory,) = trajectories(read_trace(path))
    return policy, trajectory


@pytest.mark.parametrize("kind", [("compact", "float32"), ("chat", "float32"), ("compact", "bfloat16")], ids="-".join)
async def test_what_is_trained_on_is_what_was_sampled(
    request: pytest.FixtureRequest, calc_environment: Any, plain_provider: Any, tmp_path: Path, kind: tuple[str, str]
):
    import torch

    from podgym.policy.checkpoint import load_model
    from podgym.policy.replay import recording, replaying

    dialect, dtype = kind
    checkpoint = request.getfixturevalue(dialect)
    policy, trajectory = await play(job(checkpoint, dialect, dtype=dtype), calc_environment, plain_provider, tmp_path / "r1.trace")
    assert len(policy.seen) == TURNS
    last, answer = policy.seen[-1]
    seen = np.concatenate([last.tokens, answer.tokens])
    assert trajectory.tokens.tolist() == seen.tolist()
    mask, logprobs = np.zeros(len(seen), dtype=bool), np.zeros(len(seen), dtype=np.float32)
    for asked, sample in policy.seen:
        assert asked.tokens.tolist() == seen[: len(asked.tokens)].tolist()
        span = slice(len(asked.tokens), len(asked.tokens) + len(sample.tokens))
        assert seen[span].tolist() == sample.tokens.tolist()
        mask[span], logprobs[span] = True, sample.logprobs
    assert (trajectory.loss_mask == mask).all()
    assert (trajectory.logprobs == logprobs).all()
    assert trajectory.route_mask.tolist() == [True] * (len(seen) - 1) + [False], "only the very last token was never read"
    assert trajectory.routes is not None

    model = load_model(checkpoint)
    tokens = torch.as_tensor(trajectory.tokens.astype(np.int64))[None]
    with (
        torch.no_grad(),
        replaying(model, trajectory.routes[None], trajectory.route_mask[None]),
        recording(model) as recorder,
    ):
        logits = model(input_ids=tokens).logits[0]
        used = recorder.take()
    held = trajectory.route_mask
    assert np.array_equal(np.sort(used[held]), np.sort(trajectory.routes[held])), "the trainer goes through the sampler's experts"
    said = logits.log_softmax(-1)[:-1].gather(1, tokens[0, 1:, None]).squeeze(1).numpy()
    assert np.abs(said - trajectory.logprobs[1:])[mask[1:]].max() < (1e-3 if dtype == "float32" else 0.2)


def test_a_model_from_a_hub_brings_its_tokenizer_and_keeps_it_in_checkpoints(chat: Path, compact: Path, tmp_path: Path):
    from podgym.policy.pretrained import PretrainedTokenizer

    tokenizer = load_tokenizer(chat)
    assert isinstance(tokenizer, PretrainedTokenizer)
    text = "def f():\n\treturn '<|im_end|> naïve'\n"
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.chat.convert_tokens_to_ids("<|im_end|>") not in tokenizer.encode(text), "text cannot end a turn"
    opened = open_policy(job(chat, "chat"), checkpoint=chat, version=0)
    assert opened.learner is not None
    opened.learner.save(tmp_path / "saved")
    assert load_tokenizer(tmp_path / "saved").fingerprint == tokenizer.fingerprint != load_tokenizer(compact).fingerprint
    resumed = open_policy(job(chat, "chat"), checkpoint=tmp_path / "saved", version=0)
    assert resumed.learner is not None


@pytest.mark.parametrize(
    ("dialect", "other", "remedy"), [("chat", "compact", "has no chat template"), ("compact", "chat", 'dialect = "chat"')]
)
def test_a_dialect_that_the_tokenizer_cannot_carry_is_refused(request: pytest.FixtureRequest, dialect: str, other: str, remedy: str):
    config = job(request.getfixturevalue(other), dialect)
    with pytest.raises(DialectError, match=remedy):
        open_dialect(config, open_tokenizer(config))
