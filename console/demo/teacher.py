"""The warm start: a tokenizer from the demonstrations' text, a fresh tiny mixture-of-experts model, some minutes of imitation."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from podgym.console.demo.demonstrations import draw_edit
from podgym.console.demo.projects import Fix, draw_project
from podgym.policy.batches import Demonstration
from podgym.policy.models import TinyMoeConfig, build_model
from podgym.policy.tokenizer import PieceTokenizer
from podgym.policy.trainer import Trainer, TrainerConfig
from podgym.policy.warmstart import WarmStartConfig, warm_start
from podgym.rollout.dialects import CompactDialect
from podgym.rollout.tools import ToolCall, ToolResult

__all__ = ["make_checkpoint", "render"]

_RIGHT_SHARE = 0.33
"""Share of demonstrations whose edit is right; taught for long enough, the model is right about as often."""
VOCABULARY = 1024
CONTEXT = 192
PIECES = r" ?[A-Za-z_]+(?:\.py)?|[0-9]|\):\n +return|\n+| ?[^\sA-Za-z_0-9]+|\s+"
"""A word, a digit, a run of other signs: names are then the same piece wherever they follow a space."""
_DRAWS_PER_FIX = 4


def make_checkpoint(
    directory: Path, seed: int, projects: Sequence[int], *, config: WarmStartConfig, progress: Callable[[int, float], None]
) -> None:
    """Train on demonstrations of the numbered projects and save model and tokenizer to `directory`.

    `progress` is called with the step and the loss.
    """
    rng = random.Random(seed)
    fixes = [fix for index in projects for fix in draw_project(seed, index).fixes]
    drawn = [(fix, *draw_edit(rng, fix, right=_RIGHT_SHARE)) for fix in fixes for _ in range(_DRAWS_PER_FIX)]
    tokenizer = PieceTokenizer.train(
        (text for fix, old, new in drawn for text in _texts(fix, old, new)), vocab_size=VOCABULARY, pattern=PIECES
    )
    dialect = CompactDialect(tokenizer)
    model = build_model(TinyMoeConfig(vocab_size=tokenizer.vocab_size, context=CONTEXT), seed=seed)
    trainer = Trainer(model, TrainerConfig(seed=seed))
    demonstrations = [render(dialect, fix, old, new) for fix, old, new in drawn]
    warm_start(trainer, demonstrations, config, progress=lambda step, metrics: progress(step, metrics["loss"]))
    trainer.save(directory, tokenizer=tokenizer)


def render(dialect: CompactDialect, fix: Fix, old: str, new: str) -> Demonstration:
    """The tokens of a rollout in which the policy reads the file, makes one edit, and ends."""
    path = fix.module.path
    conversation = dialect.open(fix.issue)
    tokens, mask = list(conversation.opening.tokens), [False] * len(conversation.opening.tokens)
    turns = (
        (ToolCall("bash", {"command": f"cat {path}"}), ToolResult(ok=True, output=fix.source_before)),
        (ToolCall("str_replace", {"path": path, "old": old, "new": new}), ToolResult(ok=True, output="ok")),
        (ToolCall("finish", {}), None),
    )
    for call, result in turns:
        said = [*dialect.tokenizer.encode(dialect.spell([call])), *dialect.stop]
        tokens += said
        mask += [True] * len(said)
        if result is not None:
            heard = conversation.observation([result])
            tokens += [int(token) for token in heard]
            mask += [False] * len(heard)
    return Demonstration(np.asarray(tokens, dtype=np.int32), np.asarray(mask, dtype=np.bool_))


def _texts(fix: Fix, old: str, new: str) -> tuple[str, ...]:
    path = fix.module.path
    return fix.issue, f"bash cat {path}", fix.source_before, f"str_replace {path}\n{old}\n=>\n{new}", "ok", "finish"
