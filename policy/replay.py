"""Routing replay: the trainer's forward pass goes through the experts that the sampler went through.

Forward hooks on the gates of transformers >= 5 swap the chosen experts for the recorded ones. The weights are gathered from
the gate's full scores and renormalised the model's own way, so gradients reach the router exactly as without replay. A row
without a record, and so every padding row, keeps the model's own choice, whose experts are distinct by construction.

Rows are looked up by module for one micro-batch at a time, never consumed from a queue: a layer that activation checkpointing
runs again reads the same rows again. The context must therefore stay open until the micro-batch's backward pass is done.

A gate's rule is known by its class and then proven on the spot: applied to the gate's own logits and choice it must give the
gate's own weights. A model with a gate that has no rule here is refused by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from podgym.policy.contract import Routes
from podgym.policy.errors import RoutesError
from podgym.policy.routing import route_dtype

__all__ = ["Gate", "Recorder", "find_gates", "recording", "replaying"]

Rule = Callable[[Any, Tensor, Tensor], Tensor]
"""(gate, logits_NE, experts_NK) to weights_NK."""


@dataclass(frozen=True, slots=True)
class Gate:
    """One MoE layer's router."""

    name: str
    module: nn.Module
    rule: Rule
    experts: int
    top_k: int


def _softmax(gate: Any, logits_NE: Tensor, experts_NK: Tensor) -> Tensor:
    weights = torch.softmax(logits_NE, dim=-1, dtype=torch.float).gather(1, experts_NK)
    if gate.norm_topk_prob:
        weights = weights / weights.sum(dim=-1, keepdim=True)
    return weights.to(logits_NE.dtype)


def _softmax_renormalised(_gate: Any, logits_NE: Tensor, experts_NK: Tensor) -> Tensor:
    weights = torch.softmax(logits_NE.float(), dim=-1).gather(1, experts_NK)
    return weights / weights.sum(dim=-1, keepdim=True)


def _sigmoid_biased(gate: Any, logits_NE: Tensor, experts_NK: Tensor) -> Tensor:
    weights = logits_NE.sigmoid().gather(1, experts_NK)  # the bias takes part in the choice only
    if gate.norm_topk_prob:
        weights = weights / (weights.sum(dim=-1, keepdim=True) + 1e-20)
    return weights * float(gate.routed_scaling_factor)


_RULES: dict[str, Rule] = {
    "Qwen2MoeTopKRouter": _softmax,
    "Qwen3MoeTopKRouter": _softmax,
    "Qwen3NextTopKRouter": _softmax,
    "OlmoeTopKRouter": _softmax,
    "MixtralTopKRouter": _softmax_renormalised,
    "DeepseekV3TopkRouter": _sigmoid_biased,
    "Glm4MoeTopkRouter": _sigmoid_biased,
    "MiMoV2FlashTopkRouter": _sigmoid_biased,
}


def find_gates(model: nn.Module) -> list[Gate]:
    """The model's gates, first layer first; none for a dense model.

    Raises `RoutesError` for a mixture-of-experts model whose gate has no known rule, or whose rule does not hold.
    """
    gates = []
    for name, module in model.named_modules():
        kind = type(module).__name__
        if kind in _RULES:
            gate = Gate(name, module, _RULES[kind], int(module.num_experts), int(module.top_k))
            _prove(gate)
            gates.append(gate)
        elif kind.lower().endswith(("router", "gate")):
            raise RoutesError(
                f"The gate {name} of class {kind} has no known scoring rule.",
                remedy=f"Known classes: {', '.join(sorted(_RULES))}. Turn routing replay off or add the rule to podgym.policy.replay.",
            )
    config = getattr(model, "config", None)
    experts = getattr(config, "num_local_experts", None) or getattr(config, "num_experts", None)
    if experts and not gates:
        raise RoutesError(
            f"The {getattr(config, 'model_type', type(model).__name__)} model has {experts} experts and no gate that replay can hook.",
            remedy="Use a model class of transformers >= 5 whose gate is a module, or turn routing replay off.",
        )
    return gates


@contextmanager
def replaying(model: nn.Module, routes_BTLK: Routes | Tensor, mask_BT: Any, *, gates: Sequence[Gate] | None = None) -> Iterator[None]:
    """Within the context, forward passes on [B, T] tokens use `routes_BTLK` where `mask_BT` is true.

    `gates` saves finding them anew. Raises `RoutesError` where layers, experts or rows do not fit the model.
    """
    found = list(gates) if gates is not None else find_gates(model)
    routes = torch.as_tensor(routes_BTLK)
    mask = torch.as_tensor(mask_BT, dtype=torch.bool)
    _fits(found, routes, mask)
    device = next(model.parameters()).device
    rows, top_k = mask.numel(), routes.shape[3]
    chosen_LNK = routes.to(device=device, dtype=torch.long).permute(2, 0, 1, 3).reshape(len(found), rows, top_k)
    mask_N1 = mask.to(device).reshape(-1, 1)
    handles = [gate.module.register_forward_hook(_replace(gate, chosen_LNK[layer], mask_N1)) for layer, gate in enumerate(found)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


class Recorder:
    """Collects what every gate chose since the last `take`."""

    def __init__(self, gates: Sequence[Gate]) -> None:
        self._gates = list(gates)
        self._chosen: list[Tensor | None] = [None] * len(self._gates)
        self._handles = [gate.module.register_forward_hook(self._keeper(layer)) for layer, gate in enumerate(self._gates)]
        self._dtype = route_dtype(max((gate.experts for gate in self._gates), default=1))

    def take(self) -> Routes:
        """[N, layers, top_k] of the last forward pass, N in the order of its tokens. Raises `RoutesError` before one."""
        if any(chosen is None for chosen in self._chosen):
            raise RoutesError("A gate has not run since the last record was taken.", remedy="Run a forward pass of the whole model first.")
        stacked: Tensor = torch.stack([chosen for chosen in self._chosen if chosen is not None], dim=1)
        self._chosen = [None] * len(self._gates)
        routes: NDArray[Any] = stacked.cpu().numpy().astype(self._dtype)
        return routes

    def close(self) -> None:
        """Take the hooks off; idempotent."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def _keeper(self, layer: int) -> Callable[[nn.Module, Any, Any], None]:
        def keep(_module: nn.Module, _inputs: Any, output: Any) -> None:
            self._chosen[layer] = output[2].detach()

        return keep


@contextmanager
def recording(model: nn.Module) -> Iterator[Recorder]:
    """Record routes of the forward passes within. Opened inside `replaying` it records what was replayed."""
    recorder = Recorder(find_gates(model))
    try:
        yield recorder
    finally:
        recorder.close()


def _replace(gate: Gate, chosen_NK: Tensor, mask_N1: Tensor) -> Callable[[nn.Module, Any, Any], tuple[Tensor, Tensor, Tensor]]:
    whole = bool(mask_N1.all())

    def swap(_module: nn.Module, _inputs: Any, output: Any) -> tuple[Tensor, Tensor, Tensor]:
        logits_NE, _, own_NK = output
        if len(own_NK) != len(chosen_NK):
            raise RoutesError(
                f"{gate.name} read {len(own_NK)} tokens; {len(chosen_NK)} rows are replayed.", remedy="Replay one micro-batch at a time."
            )
        experts_NK = chosen_NK if whole else torch.where(mask_N1, chosen_NK, own_NK)
        return logits_NE, gate.rule(gate.module, logits_NE, experts_NK), experts_NK

    return swap


def _fits(gates: Sequence[Gate], routes: Tensor, mask: Tensor) -> None:
    if routes.ndim != 4 or mask.shape != routes.shape[:2]:
        raise RoutesError(f"Routes {list(routes.shape)} and mask {list(mask.shape)} do not fit [B, T, layers, top_k] and [B, T].")
    if routes.shape[2] != len(gates):
        raise RoutesError(
            f"Routes have {routes.shape[2]} layers; the model has {len(gates)} gates.", remedy="Sampler and trainer share a model."
        )
    for gate in gates:
        if routes.shape[3] != gate.top_k:
            raise RoutesError(f"Routes have {routes.shape[3]} experts a token; {gate.name} picks {gate.top_k}.")
        if routes.numel() and int(routes.max()) >= gate.experts:
            raise RoutesError(f"Routes name expert {int(routes.max())}; {gate.name} has {gate.experts}.")


@torch.no_grad()
def _prove(gate: Gate) -> None:
    weight = gate.module.get_parameter("weight")
    probe = torch.from_numpy(np.random.default_rng(0).standard_normal((8, weight.shape[1])).astype(np.float32))
    output = gate.module.forward(probe.to(device=weight.device, dtype=weight.dtype))
    if not (isinstance(output, tuple) and len(output) == 3):
        raise RoutesError(f"The gate {gate.name} of class {type(gate.module).__name__} does not return (logits, weights, experts).")
    logits, weights, experts = output
    if not torch.allclose(gate.rule(gate.module, logits, experts).float(), weights.float(), rtol=1e-3, atol=1e-5):
        raise RoutesError(
            f"The rule known for {type(gate.module).__name__} does not give the weights of {gate.name}.",
            remedy="This transformers release scores experts differently; pin the release that podgym was tested with.",
        )
