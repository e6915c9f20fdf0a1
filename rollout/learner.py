"""Where a job's policy comes from, by `policy.kind`, and what training asks of it."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from podgym.policy import Policy, Tokenizer
from podgym.policy.pretrained import PretrainedTokenizer
from podgym.policy.scripted import ScriptedPolicy
from podgym.policy.tokenizer import ByteTokenizer, load_tokenizer
from podgym.rollout.dialects import CompactDialect, Dialect
from podgym.rollout.job import JobConfig, JobError
from podgym.traces import Trajectory

__all__ = ["Learner", "OpenPolicy", "load_object", "open_dialect", "open_policy", "open_tokenizer"]


@runtime_checkable
class Learner(Protocol):
    """What turns groups of trajectories into new weights."""

    @property
    def version(self) -> int:
        """Of the weights that requests are served with."""
        ...

    def train(self, groups: Sequence[Sequence[Trajectory]]) -> Mapping[str, float]:
        """One update; the policy serves the new version when it returns. Called in a thread while sampling goes on."""
        ...

    def save(self, directory: Path) -> None:
        """Write, whole or not at all, a checkpoint to go on from: weights, what the optimizer keeps, version, tokenizer."""
        ...


@dataclass(frozen=True, slots=True)
class OpenPolicy:
    """A policy and, in a training job, what trains it."""

    policy: Policy
    learner: Learner | None


def load_object(reference: str, *, key: str) -> Any:
    """What `package.module:name` means. Raises `JobError` naming the job's `key`."""
    module_name, sign, name = reference.partition(":")
    if not sign or not module_name or not name:
        raise JobError(f"{key} is {reference!r}, which is not of the form package.module:name.", remedy=f"Correct {key}.")
    try:
        return getattr(importlib.import_module(module_name), name)
    except Exception as error:  # a plug-in may raise anything when it is imported
        raise JobError(
            f"{key} is {reference!r}, which cannot be loaded: {type(error).__name__}: {error}.",
            remedy="Check the spelling, that its package is installed, and that it imports without error.",
        ) from error


def open_tokenizer(job: JobConfig) -> Tokenizer:
    """The policy's tokenizer: `policy.options.tokenizer`, else the checkpoint's, else bytes."""
    reference = job.policy.options.get("tokenizer")
    if isinstance(reference, str):
        tokenizer: Tokenizer = load_object(reference, key="policy.options.tokenizer")()
        if not isinstance(tokenizer.encode("a"), list):
            raise JobError(f"policy.options.tokenizer {reference!r} makes no tokenizer.", remedy="Its encode returns a list of ids.")
        return tokenizer
    if job.policy.checkpoint is not None:
        return load_tokenizer(job.policy.checkpoint)
    return ByteTokenizer()


def open_dialect(job: JobConfig, tokenizer: Tokenizer) -> Dialect:
    """`rollout.dialect`. Raises `JobError`, or what the dialect raises for a tokenizer that cannot carry it."""
    name = job.rollout.dialect
    if name == "compact":
        return CompactDialect(tokenizer)
    if name == "chat":
        from podgym.rollout.dialects.chat import ChatTemplateDialect

        return ChatTemplateDialect(tokenizer.chat if isinstance(tokenizer, PretrainedTokenizer) else tokenizer)
    dialect = load_object(name, key="rollout.dialect")(tokenizer)
    if not isinstance(dialect, Dialect):
        raise JobError(f"rollout.dialect {name!r} makes a {type(dialect).__name__}, which is no dialect.", remedy="Implement Dialect.")
    return dialect


def open_policy(job: JobConfig, *, checkpoint: Path | None, version: int) -> OpenPolicy:
    """The policy in the process that owns it. `checkpoint` and `version` are where a resumed run goes on."""
    if job.policy.kind == "scripted":
        return OpenPolicy(_scripted(job), None)
    if job.policy.kind == "transformers":
        try:
            from podgym.rollout.transformerslearner import open_transformers
        except ImportError as error:
            raise JobError(
                f'policy.kind "transformers" needs a library that is missing: {error}.', remedy="pip install 'podgym[train]'"
            ) from error
        return open_transformers(job, checkpoint=checkpoint, version=version)
    kind = load_object(job.policy.kind, key="policy.kind")
    options = dict(job.policy.options)
    accepted = inspect.signature(kind).parameters
    if "checkpoint" in accepted:
        options["checkpoint"] = checkpoint
    if "version" in accepted:
        options["version"] = version
    try:
        policy = kind(**options)
    except TypeError as error:
        raise JobError(f"policy.kind {job.policy.kind!r} refuses policy.options: {error}.", remedy="Correct policy.options.") from error
    learner = policy if isinstance(policy, Learner) else None
    if job.train is not None and learner is None:
        raise JobError(f"policy.kind {job.policy.kind!r} cannot be trained.", remedy="Leave the train section out, or implement Learner.")
    return OpenPolicy(policy, learner if job.train is not None else None)


def _scripted(job: JobConfig) -> ScriptedPolicy:
    tokenizer = open_tokenizer(job)
    options = job.policy.options
    script = options.get("script")
    if not isinstance(script, str):
        raise JobError("policy.options.script is missing.", remedy="Name a function of the text so far, as package.module:name.")
    end = options.get("end")
    stop = open_dialect(job, tokenizer).stop
    return ScriptedPolicy(load_object(script, key="policy.options.script"), tokenizer=tokenizer, end=int(stop[0] if end is None else end))
