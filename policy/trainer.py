"""One process that turns trajectories into better weights.

A training step: refuse what must not be trained on, drop what carries no signal (unscored rollouts, groups whose rewards are
all equal), compute each sampled token's log-probability with the sampler's experts replayed, weight it by the truncated ratio of
the trainer's distribution to the sampler's, and descend the clipped objective. With more than one update a step the old
log-probabilities are those before the first update, so the clip bounds the step and the ratio corrects the sampler.

Numbers that are not finite never reach the weights: the update raises and leaves weights and optimizer as they were before it, which
is after the earlier updates of a step that has several.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from podgym.policy.batches import Demonstration, check_trajectory, micro_batches, pad
from podgym.policy.checkpoint import read_checkpoint, save_model
from podgym.policy.errors import CheckpointError, PolicyError, RoutesError
from podgym.policy.losses import (
    Mean,
    clipped_objective,
    group_advantages,
    kl_k3,
    staleness_cap,
    token_weights,
    truncated_importance,
)
from podgym.policy.scoring import Scorer
from podgym.policy.tokenizer import SavedTokenizer
from podgym.traces.trajectory import Trajectory

__all__ = ["Trainer", "TrainerConfig", "Weights"]

Metrics = dict[str, float]


@dataclass(frozen=True, slots=True)
class TrainerConfig:
    """The algorithm. Defaults are the recipe that teaches the tiny model."""

    learning_rate: float = 6e-4
    sft_learning_rate: float = 3e-3
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.0
    gradient_clip: float = 1.0
    clip_low: float = 0.2
    clip_high: float = 0.2
    importance_cap: float = 2.0
    """Bound of the trainer-to-sampler ratio for fresh tokens."""
    importance_cap_decay: float = 1.0
    """See `losses.staleness_cap`."""
    advantage_by_std: bool = False
    mean: Mean = "token"
    entropy_bonus: float = 0.0
    updates: int = 1
    """Parts that a step's trajectories are shuffled into, with one update each."""
    replay: bool = True
    """Go through the experts that the sampler went through."""
    micro_batch_tokens: int = 4096
    gap_every: int = 1
    """Measure the train-infer gap with and without replay every so many steps; 0 never."""
    gap_trajectories: int = 16
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Weights:
    """What a sampler's `update_weights` takes."""

    state: dict[str, Tensor]
    version: int


class Trainer:
    """Owns `model`, trains it in place. `version` counts the steps that changed the weights through `train_step`."""

    def __init__(self, model: Any, config: TrainerConfig | None = None, *, version: int = 0) -> None:
        self.model = model
        self.config = config or TrainerConfig()
        self.version = version
        self.step = 0
        self._scorer = Scorer(model, micro_batch_tokens=self.config.micro_batch_tokens)
        self._gates = self._scorer.gates
        self._optimizer = self._adamw(self.config.learning_rate)
        self._sft_optimizer: torch.optim.Optimizer | None = None
        self._random = np.random.default_rng(self.config.seed)
        self.model.train()

    def train_step(self, trajectories: Sequence[Trajectory]) -> Metrics:
        """One step on whole groups; returns its metrics, of which `updated` is 0 where nothing carried a signal.

        Raises `PolicyError` for a trajectory that must not be trained on and for numbers that are not finite, `RoutesError` for
        routes that cannot be true or that are missing everywhere while replay is on.
        """
        for trajectory in trajectories:
            self._check(trajectory)
        scored = [trajectory for trajectory in trajectories if trajectory.reward is not None and trajectory.loss_mask.any()]
        advantages = self._advantages(scored)
        chosen = (
            [index for index, advantage in enumerate(advantages) if abs(advantage) > 0]
            if self.config.entropy_bonus == 0
            else range(len(scored))
        )
        training = [scored[index] for index in chosen]
        metrics = _describe(trajectories, scored, training, self.version)
        self.step += 1
        if self.config.gap_every and training and (self.step - 1) % self.config.gap_every == 0:
            metrics |= self._gaps(training)
        if not training:
            return metrics | {"updated": 0.0}
        if self.config.replay and self._gates and not any(trajectory.routes is not None for trajectory in training):
            raise RoutesError(
                "Routing replay is on and no trajectory has routes.",
                remedy="Sample with a policy that records them, or set replay = false.",
            )
        metrics |= self._update(training, torch.tensor([advantages[index] for index in chosen], dtype=torch.float32))
        self.version += 1
        return metrics | {"updated": 1.0, "version": float(self.version)}

    def sft_step(self, demonstrations: Sequence[Demonstration], *, learning_rate: float | None = None) -> Metrics:
        """One step of imitation with an optimizer of its own. It does not count as a version: sample only afterwards."""
        batches = micro_batches(demonstrations, tokens=self.config.micro_batch_tokens)
        total = sum(len(batch.target_M) for batch in batches)
        if not total:
            raise PolicyError("No token of the demonstrations counts.", remedy="Set loss_mask on the tokens to imitate.")
        if self._sft_optimizer is None:
            self._sft_optimizer = self._adamw(self.config.sft_learning_rate)
        for group in self._sft_optimizer.param_groups:
            group["lr"] = self.config.sft_learning_rate if learning_rate is None else learning_rate
        loss, right = 0.0, 0
        with self._guarded(self._sft_optimizer):
            for batch in batches:
                logits_MV = self._scorer.logits(batch)
                part = functional.cross_entropy(logits_MV, batch.target_M, reduction="sum") / total
                torch.autograd.backward(part)
                loss += float(part.detach())
                right += int((logits_MV.detach().argmax(-1) == batch.target_M).sum())
            norm = self._descend(self._sft_optimizer, loss)
        return {"loss": loss, "accuracy": right / total, "tokens": float(total), "gradient_norm": norm}

    def logprobs(self, trajectories: Sequence[Trajectory], *, replay: bool) -> list[Tensor]:
        """For each trajectory, the [sampled] log-probabilities of its sampled tokens under the present weights."""
        values = self._scorer.values(trajectories, replay=replay)
        counts = [int(trajectory.loss_mask[1:].sum()) for trajectory in trajectories]
        return list(torch.split(values, counts))

    def weights(self, *, dtype: torch.dtype | None = None) -> Weights:
        """A copy of the present weights and their version, for a sampler."""
        state = {
            name: value.detach().to(device="cpu", dtype=dtype or value.dtype, copy=True) for name, value in self.model.state_dict().items()
        }
        return Weights(state, self.version)

    def save(self, directory: Path, *, tokenizer: SavedTokenizer | None = None) -> None:
        """Write everything that resuming exactly needs; the directory appears whole or not at all."""
        state = {
            "optimizer": self._optimizer.state_dict(),
            "sft_optimizer": None if self._sft_optimizer is None else self._sft_optimizer.state_dict(),
            "torch_random": torch.random.get_rng_state(),
        }
        meta = {"step": self.step, "version": self.version, "random": self._random.bit_generator.state}
        save_model(directory, self.model, tokenizer=tokenizer, meta=meta, state=state)

    def load(self, directory: Path, *, tokenizer: SavedTokenizer | None = None) -> None:
        """Go on from what `save` wrote. Raises `CheckpointError` for another model or tokenizer, and then changes nothing."""
        checkpoint = read_checkpoint(directory, like=self.model, tokenizer=tokenizer)
        try:
            step, version, random = int(checkpoint.meta["step"]), int(checkpoint.meta["version"]), checkpoint.meta["random"]
            optimizer, sft, torch_random = (checkpoint.state[name] for name in ("optimizer", "sft_optimizer", "torch_random"))
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"{directory} holds a model but no trainer ({error}).", remedy="Start from its model instead.") from error
        self.model.load_state_dict(checkpoint.model.state_dict())
        self._optimizer.load_state_dict(optimizer)
        self._sft_optimizer = None
        if sft is not None:
            self._sft_optimizer = self._adamw(self.config.sft_learning_rate)
            self._sft_optimizer.load_state_dict(sft)
        torch.random.set_rng_state(torch_random)
        self._random.bit_generator.state = random
        self.step, self.version = step, version

    def _check(self, trajectory: Trajectory) -> None:
        gate = self._gates[0] if self._gates else None
        check_trajectory(
            trajectory,
            vocab_size=int(self.model.config.vocab_size),
            experts=gate.experts if gate else 0,
            layers=len(self._gates),
            top_k=gate.top_k if gate else 0,
        )

    def _advantages(self, scored: Sequence[Trajectory]) -> list[float]:
        if not scored:
            return []
        names: dict[str, int] = {}
        groups = torch.tensor([names.setdefault(trajectory.group_id, len(names)) for trajectory in scored])
        rewards = torch.tensor([float(trajectory.reward or 0.0) for trajectory in scored])
        equal = torch.stack([rewards[groups == group].min() == rewards[groups == group].max() for group in range(len(names))])
        advantages = group_advantages(rewards, groups, by_std=self.config.advantage_by_std)
        # a mean of equal rewards is not always exactly that reward
        return [float(value) for value in advantages.masked_fill(equal[groups], 0.0)]

    def _update(self, training: Sequence[Trajectory], advantages_B: Tensor) -> Metrics:
        parts = np.array_split(self._random.permutation(len(training)), min(self.config.updates, len(training)))
        old = self._scorer.values(training, replay=self.config.replay) if len(parts) > 1 else None
        starts = np.cumsum([0, *(int(trajectory.loss_mask[1:].sum()) for trajectory in training)])
        totals: Metrics = {}
        for part in parts:
            members = [training[index] for index in part]
            known = None if old is None else torch.cat([old[starts[index] : starts[index + 1]] for index in part])
            for name, value in self._update_once(members, advantages_B[torch.from_numpy(part)], known).items():
                totals[name] = totals.get(name, 0.0) + value / len(parts)
        return totals

    def _update_once(self, training: Sequence[Trajectory], advantages_B: Tensor, old_N: Tensor | None) -> Metrics:
        config = self.config
        longest = max(len(trajectory.tokens) for trajectory in training)
        mask_BT = torch.from_numpy(pad([trajectory.loss_mask for trajectory in training], longest))
        weights_BT = token_weights(mask_BT, mean=config.mean)
        sampler_BT, versions_BT = (
            torch.from_numpy(pad([getattr(trajectory, name) for trajectory in training], longest)) for name in ("logprobs", "versions")
        )
        old_BT = None if old_N is None else torch.zeros_like(sampler_BT).masked_scatter(mask_BT, old_N)
        sums: dict[str, float] = {}
        with self._guarded(self._optimizer):
            for batch in micro_batches(training, tokens=config.micro_batch_tokens):
                at = (batch.sequence_M, batch.position_M)
                with self._scorer.replaying(training, batch, replay=config.replay):
                    logprobs_M, entropy_M = self._scorer.forward(training, batch, entropies=config.entropy_bonus != 0)
                    sampler_M, weight_M = sampler_BT[at], weights_BT[at]
                    old_M = logprobs_M.detach() if old_BT is None else old_BT[at]
                    cap_M = staleness_cap(self.version - versions_BT[at], cap=config.importance_cap, decay=config.importance_cap_decay)
                    ratio_M = truncated_importance(old_M, sampler_M, cap=cap_M)
                    loss_M, clipped_M = clipped_objective(
                        logprobs_M, old_M, advantages_B[batch.sequence_M], clip_low=config.clip_low, clip_high=config.clip_high
                    )
                    loss = (weight_M * (ratio_M * loss_M - config.entropy_bonus * entropy_M)).sum()
                    torch.autograd.backward(loss)
                logprobs_M = logprobs_M.detach()
                values = {
                    "loss": loss.detach(),
                    "entropy": (weight_M * entropy_M.detach()).sum(),
                    "clip_fraction": (weight_M * clipped_M).sum(),
                    "importance": (weight_M * ratio_M).sum(),
                    "capped_fraction": (weight_M * (ratio_M >= cap_M)).sum(),
                    "kl_k3": (weight_M * kl_k3(sampler_M, logprobs_M)).sum(),
                    "gap": (weight_M * (logprobs_M - sampler_M).abs()).sum(),
                }
                for name, value in values.items():
                    sums[name] = sums.get(name, 0.0) + float(value)
            zeros = sum(int((p.grad == 0).sum()) for p in self.model.parameters() if p.grad is not None)
            norm = self._descend(self._optimizer, sums["loss"])
        return sums | {"gradient_norm": norm, "gradient_zeros": float(zeros)}

    def _gaps(self, training: Sequence[Trajectory]) -> Metrics:
        """Mean |train - infer| log-probability with and without replay on the same, freshest trajectories."""
        freshest = sorted(training, key=lambda trajectory: -int(trajectory.versions[trajectory.loss_mask].min()))
        chosen = freshest[: self.config.gap_trajectories]
        sampler = torch.from_numpy(np.concatenate([t.logprobs[1:][t.loss_mask[1:]] for t in chosen]))
        with_replay, without = (self._scorer.values(chosen, replay=replay) for replay in (True, False))
        return {
            "gap_with_replay": float((with_replay - sampler).abs().mean()),
            "gap_without_replay": float((without - sampler).abs().mean()),
            "kl_k3_with_replay": float(kl_k3(sampler, with_replay).mean()),
            "kl_k3_without_replay": float(kl_k3(sampler, without).mean()),
            "gap_staleness": float(np.mean([self.version - t.versions[t.loss_mask].mean() for t in chosen])),
        }

    def _adamw(self, learning_rate: float) -> torch.optim.Optimizer:
        config = self.config
        return torch.optim.AdamW(self.model.parameters(), lr=learning_rate, betas=config.betas, weight_decay=config.weight_decay)

    @contextmanager
    def _guarded(self, optimizer: torch.optim.Optimizer) -> Iterator[None]:
        """Gradients are empty before and after, whatever happens between."""
        optimizer.zero_grad(set_to_none=True)
        try:
            yield
        finally:
            optimizer.zero_grad(set_to_none=True)

    def _descend(self, optimizer: torch.optim.Optimizer, loss: float) -> float:
        """Clip, refuse what is not finite, update; returns the norm before clipping."""
        norm = float(torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.gradient_clip))
        if not (np.isfinite(loss) and np.isfinite(norm)):
            raise PolicyError(
                f"Step {self.step} has loss {loss} and gradient norm {norm}; the weights were left as they were.",
                remedy="Lower the learning rate, or go back to an earlier checkpoint.",
            )
        optimizer.step()
        return norm


def _describe(all_: Sequence[Trajectory], scored: Sequence[Trajectory], training: Sequence[Trajectory], version: int) -> Metrics:
    """Counts of a step's trajectories and how stale their tokens are."""
    ages = [version - trajectory.versions[trajectory.loss_mask] for trajectory in scored]
    replayed = [trajectory.route_mask.mean() if trajectory.routes is not None else 0.0 for trajectory in training]
    return {
        "trajectories": float(len(all_)),
        "unscored": float(sum(trajectory.reward is None for trajectory in all_)),
        "trained": float(len(training)),
        "groups": float(len({trajectory.group_id for trajectory in scored})),
        "groups_trained": float(len({trajectory.group_id for trajectory in training})),
        "reward": float(np.mean([trajectory.reward for trajectory in scored])) if scored else 0.0,
        "tokens": float(sum(len(trajectory.tokens) for trajectory in all_)),
        "sampled_tokens": float(sum(int(trajectory.loss_mask.sum()) for trajectory in all_)),
        "staleness": float(np.concatenate(ages).mean()) if ages else 0.0,
        "staleness_max": float(np.concatenate(ages).max()) if ages else 0.0,
        "replayed_share": float(np.mean(replayed)) if replayed else 0.0,
    }
