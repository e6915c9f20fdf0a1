"""What crosses processes, packed: one bytes object for a whole batch of requests, samples or results.

Ray moves one bytes object far more cheaply than many small arrays. Arrays travel as their raw bytes and come back read-only.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence

import numpy as np

from podgym.policy import Sample, SampleRequest, VersionSpan

__all__ = ["Answer", "pack_answers", "pack_requests", "unpack_answers", "unpack_requests"]

Answer = Sample | BaseException
"""What one request led to."""


def pack_requests(requests: Sequence[tuple[int, SampleRequest]], given_up: Sequence[int] = ()) -> bytes:
    """Requests under keys of the sender's choice, and the keys of earlier ones whose answer nobody waits for any more."""
    rows = [
        (
            key,
            item.rollout_id,
            item.tokens.tobytes(),
            item.max_tokens,
            item.temperature,
            item.stop,
            item.routes_from,
            item.seed,
            item.task_id,
        )
        for key, item in requests
    ]
    return pickle.dumps((rows, list(given_up)), protocol=5)


def unpack_requests(payload: bytes) -> tuple[list[tuple[int, SampleRequest]], list[int]]:
    """Inverse of `pack_requests`."""
    rows, given_up = pickle.loads(payload)
    requests = [
        (
            key,
            SampleRequest(
                rollout_id=rollout_id,
                tokens=np.frombuffer(tokens, dtype=np.int32),
                max_tokens=max_tokens,
                temperature=temperature,
                stop=stop,
                routes_from=routes_from,
                seed=seed,
                task_id=task_id,
            ),
        )
        for key, rollout_id, tokens, max_tokens, temperature, stop, routes_from, seed, task_id in rows
    ]
    return requests, given_up


def pack_answers(answers: Sequence[tuple[int, Answer]]) -> bytes:
    """Samples and errors under the keys of their requests."""
    rows: list[tuple[int, object]] = []
    for key, answer in answers:
        if isinstance(answer, BaseException):
            rows.append((key, answer))
            continue
        routes = answer.routes
        rows.append(
            (
                key,
                (
                    answer.tokens.astype(np.int32, copy=False).tobytes(),
                    answer.logprobs.astype(np.float32, copy=False).tobytes(),
                    answer.finish_reason,
                    [(span.start, span.end, span.version) for span in answer.versions],
                    None if routes is None else (routes.dtype.str, routes.shape, routes.tobytes()),
                ),
            )
        )
    return pickle.dumps(rows, protocol=5)


def unpack_answers(payload: bytes) -> list[tuple[int, Answer]]:
    """Inverse of `pack_answers`."""
    answers: list[tuple[int, Answer]] = []
    for key, row in pickle.loads(payload):
        if isinstance(row, BaseException):
            answers.append((key, row))
            continue
        tokens, logprobs, finish_reason, spans, routes = row
        sample = Sample(
            tokens=np.frombuffer(tokens, dtype=np.int32),
            logprobs=np.frombuffer(logprobs, dtype=np.float32),
            finish_reason=finish_reason,
            versions=tuple(VersionSpan(*span) for span in spans),
            routes=None if routes is None else np.frombuffer(routes[2], dtype=routes[0]).reshape(routes[1]),
        )
        answers.append((key, sample))
    return answers
