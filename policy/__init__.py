"""The policy: sampling, routing replay, losses, the trainer. Importing it loads no torch."""

from podgym.policy.contract import Interruptible, Policy, Routes, Sample, SampleRequest, TokenIds, Tokenizer, VersionSpan
from podgym.policy.errors import CheckpointError, PolicyError, PolicyUnavailable, RoutesError

__all__ = [
    "CheckpointError",
    "Interruptible",
    "Policy",
    "PolicyError",
    "PolicyUnavailable",
    "Routes",
    "RoutesError",
    "Sample",
    "SampleRequest",
    "TokenIds",
    "Tokenizer",
    "VersionSpan",
]
