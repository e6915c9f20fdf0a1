"""Places where shell commands run: the contract, the errors, images as recipes, and the providers of one machine."""

from podgym.sandbox.contract import (
    OUTPUT_LIMIT_BYTES,
    CommandResult,
    Freezable,
    KnowsBases,
    Limits,
    Network,
    Sandbox,
    SandboxProvider,
    SandboxSpec,
    Stream,
)
from podgym.sandbox.errors import ImageError, IsolationError, QuotaError, SandboxError, SandboxLost, TransportError
from podgym.sandbox.images import Copy, ImageRecipe, Step

__all__ = [
    "OUTPUT_LIMIT_BYTES",
    "CommandResult",
    "Copy",
    "Freezable",
    "ImageError",
    "ImageRecipe",
    "IsolationError",
    "KnowsBases",
    "Limits",
    "Network",
    "QuotaError",
    "Sandbox",
    "SandboxError",
    "SandboxLost",
    "SandboxProvider",
    "SandboxSpec",
    "Step",
    "Stream",
    "TransportError",
]
