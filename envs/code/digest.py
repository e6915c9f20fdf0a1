"""The digest of everything that decides what a change to a task is worth."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Final

from podgym.sandbox import SandboxSpec
from podgym.verifiers import GradingPlan

__all__ = ["task_digest"]

_LATER: Final = ("doctests",)
"""Fields of plans that older tasks do not have: left out while they say nothing, so that those tasks keep their digests."""


def task_digest(plan: GradingPlan, spec: SandboxSpec) -> str:
    """SHA-256 over everything that decides what a change is worth: image, sandbox, tests, hidden files, required ids.

    The instruction, labels and the directory's place are not part of it. Raises `ImageError` where the context is gone.
    """
    context = Path(spec.context) if spec.context is not None else None
    sandbox = spec.model_dump(mode="json", exclude={"context", "labels", "lifetime_s", "recipe", "image"})
    parts = {
        "image": spec.recipe.digest(context) if spec.recipe is not None else spec.image,
        "sandbox": sandbox,
        "grading": {key: value for key, value in plan.model_dump(mode="json").items() if value or key not in _LATER},
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
