"""Names of the local provider's image layers, and where they lie: what an audit reads without starting a provider."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from podgym.sandbox.images import ImageRecipe
from podgym.sandbox.local.config import LocalConfig
from podgym.sandbox.local.toolchains import Toolchain, Toolchains

__all__ = ["KeptLayer", "find_layers", "kept_directories", "layer_name"]


@dataclass(frozen=True, slots=True)
class KeptLayer:
    """One layer on disk."""

    name: str
    trees: tuple[tuple[Path, str], ...]
    """Each kept directory's files, and where sandboxes see them."""
    commands: tuple[str, ...]
    """The steps that made it."""


def layer_name(recipe: ImageRecipe, context: Path | None, toolchain: str) -> str:
    """16 hex digits over the recipe, the files that it copies, and the toolchain's identity. Raises `ImageError`."""
    return hashlib.sha256(f"{recipe.digest(context)}\0{toolchain}".encode()).hexdigest()[:16]


def kept_directories(recipe: ImageRecipe, toolchain: Toolchain | None) -> tuple[str, ...]:
    """What layers of the recipe keep, without directories below others, normalised: the recipe's, sorted, then the toolchain's."""
    wanted = sorted(os.path.normpath(path) for path in (recipe.workdir, *recipe.writable))
    paths = tuple(dict.fromkeys([*wanted, *(toolchain.kept if toolchain is not None else ())]))
    return tuple(path for path in paths if not any(path != other and Path(path).is_relative_to(other) for other in paths))


def find_layers(recipe: ImageRecipe, context: Path | None, config: LocalConfig) -> list[KeptLayer]:
    """The layers of the recipe's image from the lowest up; none where the image was not made on this machine.

    Raises `ImageError` for a recipe that no image can be made of.
    """
    toolchains = Toolchains(config.pythons, config.toolchains.items())
    if not toolchains.has(recipe.base):
        return []
    toolchain = toolchains.find(recipe.base, image=recipe.base)
    identity = toolchain.identity if toolchain is not None else ""
    parts: list[tuple[ImageRecipe, tuple[str, ...]]] = []
    if recipe.before or recipe.before_copies:
        parts.append((recipe.model_copy(update={"copies": (), "after": ()}), tuple(step.run for step in recipe.before)))
    if recipe.copies or recipe.after:
        parts.append((recipe, tuple(step.run for step in recipe.after)))
    kept = kept_directories(recipe, toolchain)
    found = []
    for part, commands in parts:
        name = layer_name(part, context, identity)
        folder = next((one / name for one in _roots(config) if (one / name / "done").is_file()), None)
        if folder is None:
            return []
        # Without isolation nothing of the toolchain's is kept.
        trees = ((folder / str(index), path) for index, path in enumerate(kept))
        found.append(KeptLayer(name, tuple((tree, path) for tree, path in trees if tree.is_dir()), commands))
    return found


def _roots(config: LocalConfig) -> list[Path]:
    """Where this user's provider keeps layers: apart for root, whose sandboxes are another user, and where nothing is isolated."""
    return [config.cache / name for name in (str(config.host_uid), "own", "plain")]
