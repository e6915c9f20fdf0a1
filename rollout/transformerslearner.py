"""The policy kind `transformers`: one model, sampled in a thread of its own and trained in another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import torch

from podgym.policy.checkpoint import load_model
from podgym.policy.tokenizer import SavedTokenizer, load_tokenizer
from podgym.policy.trainer import Trainer, TrainerConfig
from podgym.policy.transformers import TransformersConfig, TransformersPolicy
from podgym.rollout.job import JobConfig, JobError
from podgym.rollout.learner import OpenPolicy
from podgym.traces import Trajectory

__all__ = ["TransformersLearner", "open_transformers"]

T = TypeVar("T")


class TransformersLearner:
    """Implements `Learner`: each update that changes the weights is handed to the sampler before `train` returns."""

    def __init__(self, trainer: Trainer, policy: TransformersPolicy, tokenizer: SavedTokenizer) -> None:
        self._trainer, self._policy, self._tokenizer = trainer, policy, tokenizer

    @property
    def version(self) -> int:
        """See `Learner`."""
        return self._trainer.version

    def train(self, groups: Sequence[Sequence[Trajectory]]) -> Mapping[str, float]:
        """See `Learner`."""
        metrics = self._trainer.train_step([trajectory for group in groups for trajectory in group])
        if metrics.get("updated"):
            weights = self._trainer.weights()
            self._policy.update_weights(weights.state, weights.version)
        return metrics

    def save(self, directory: Path) -> None:
        """See `Learner`."""
        self._trainer.save(directory, tokenizer=self._tokenizer)


def open_transformers(job: JobConfig, *, checkpoint: Path | None, version: int) -> OpenPolicy:
    """Load the model; a checkpoint that the run itself saved brings its optimizer and version with it.

    `policy.options` are `TransformersConfig`'s fields and `threads` (of torch; 1), `train.options` are `TrainerConfig`'s.
    """
    if checkpoint is None:
        raise JobError("policy.checkpoint is missing.", remedy="Name a directory with a model and its tokenizer.")
    options = dict(job.policy.options)
    torch.set_num_threads(int(options.pop("threads", 1)))
    options.setdefault("seed", job.run.seed)
    tokenizer = load_tokenizer(checkpoint)
    model = load_model(checkpoint)
    held = int(getattr(model.config, "max_position_embeddings", 0) or job.rollout.limits.tokens)
    context = int(options.setdefault("context", min(held, job.rollout.limits.tokens)))
    if job.rollout.limits.tokens > context:
        raise JobError(
            f"rollout.limits.tokens is {job.rollout.limits.tokens}, but the policy in {checkpoint} holds {context}.",
            remedy=f"Set rollout.limits.tokens to {context} or less.",
        )
    config = _configured(TransformersConfig, options, "policy.options")
    if job.train is None:
        return OpenPolicy(TransformersPolicy(model, config=config, version=version), None)
    trainer = Trainer(model, _configured(TrainerConfig, {"seed": job.run.seed, **job.train.options}, "train.options"))
    if checkpoint != job.policy.checkpoint:
        trainer.load(checkpoint, tokenizer=tokenizer)
    policy = TransformersPolicy(model, config=config, version=trainer.version)
    return OpenPolicy(policy, TransformersLearner(trainer, policy, tokenizer))


def _configured(kind: Any, options: Mapping[str, Any], key: str) -> Any:
    allowed = {field.name for field in fields(kind)}
    if unknown := sorted(set(options) - allowed):
        raise JobError(f"unknown key {key}.{unknown[0]}. Allowed: {', '.join(sorted(allowed))}.", remedy=f"Correct {key}.")
    return kind(**options)
