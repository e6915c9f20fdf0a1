"""A model on disk: the layout of transformers (`config.json`, `model.safetensors`), the tokenizer, and what podgym adds.

A checkpoint directory appears whole or not at all: it is written beside its place, flushed, and renamed. Whatever loads it
says what it expects, and a checkpoint of another architecture or tokenizer is refused rather than bent to fit.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from podgym.policy.errors import CheckpointError
from podgym.policy.experts import register_experts
from podgym.policy.tokenizer import SavedTokenizer, load_tokenizer

__all__ = ["Checkpoint", "load_model", "read_checkpoint", "save_model", "write_directory"]

_META = "podgym_checkpoint.json"
_STATE = "trainer.pt"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What was read."""

    model: Any
    tokenizer: SavedTokenizer | None
    meta: dict[str, Any]
    state: dict[str, Any]
    """Tensors and plain values beside the model, as `save_model` was given them."""


@contextmanager
def write_directory(target: Path) -> Iterator[Path]:
    """Yield a fresh directory that becomes `target` when the block ends without an error, replacing what was there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.parent / f".{target.name}.{uuid.uuid4().hex}"
    fresh.mkdir()
    old = target.parent / f".{target.name}.{uuid.uuid4().hex}"
    try:
        yield fresh
        for path in [*fresh.rglob("*"), fresh]:
            _flush(path)
        if target.exists():
            target.rename(old)
        fresh.rename(target)
        _flush(target.parent)
    finally:
        for leftover in (fresh, old):
            shutil.rmtree(leftover, ignore_errors=True)


def save_model(
    directory: Path,
    model: Any,
    *,
    tokenizer: SavedTokenizer | None = None,
    meta: dict[str, Any] | None = None,
    state: dict[str, Any] | None = None,
) -> None:
    """Write a checkpoint. `meta` is small JSON; `state` may hold tensors (an optimizer's, say)."""
    with write_directory(directory) as fresh:
        with _without_bars():
            model.save_pretrained(fresh)
        if tokenizer is not None:
            tokenizer.save(fresh)
        if state is not None:
            torch.save(state, fresh / _STATE)
        described = {"model_type": model.config.model_type, "tokenizer": tokenizer.fingerprint if tokenizer else None, **(meta or {})}
        (fresh / _META).write_text(json.dumps(described, indent=1), encoding="utf-8")


def load_model(directory: Path) -> Any:
    """Any causal language model of transformers in float32. Raises `CheckpointError` for a directory that holds none."""
    from transformers import AutoModelForCausalLM

    try:
        with _without_bars():
            model = AutoModelForCausalLM.from_pretrained(directory, local_files_only=True, dtype=torch.float32)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise CheckpointError(f"{directory} holds no loadable model: {error}", remedy="Point at a model's directory.") from error
    if getattr(model.config, "num_local_experts", None) or getattr(model.config, "num_experts", None):
        model.set_experts_implementation(register_experts())
    return model


def read_checkpoint(directory: Path, *, like: Any = None, tokenizer: SavedTokenizer | None = None) -> Checkpoint:
    """Read what `save_model` wrote.

    Raises `CheckpointError` where it is damaged, where its model is not shaped `like` the given one, or where it was saved
    with another tokenizer than the given one.
    """
    try:
        meta = json.loads((directory / _META).read_text(encoding="utf-8"))
        held = str(meta["model_type"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{directory} is no checkpoint ({error}).", remedy="Point at one under runs/<id>/checkpoints.") from error
    if like is not None and like.config.model_type != held:
        raise CheckpointError(f"{directory} holds a {held}, expected a {like.config.model_type}.", remedy="Use the run's configuration.")
    if tokenizer is not None and meta.get("tokenizer") not in (None, tokenizer.fingerprint):
        raise CheckpointError(f"{directory} was saved with another tokenizer.", remedy="Load the tokenizer from the checkpoint.")
    model = load_model(directory)
    if like is not None:
        _same_shapes(directory, model, like)
    own = load_tokenizer(directory) if meta.get("tokenizer") else None
    return Checkpoint(model=model, tokenizer=own, meta=meta, state=_state(directory / _STATE))


def _state(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises a different class for each way in which a file can be damaged
        raise CheckpointError(f"{path} is damaged ({error}).", remedy="Use an earlier checkpoint.") from error
    return state


def _same_shapes(directory: Path, model: Any, like: Any) -> None:
    held = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    expected = {name: tuple(value.shape) for name, value in like.state_dict().items()}
    for name in sorted(held.keys() | expected.keys()):
        if held.get(name) != expected.get(name):
            raise CheckpointError(
                f"{directory} has {name} of shape {held.get(name)}, the model {expected.get(name)}.",
                remedy="Use the run's configuration.",
            )


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _without_bars() -> Iterator[None]:
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
