"""Recorded experts of one rollout, and the proof that an array of them can be true.

An engine may report a position more than once: a later turn re-reads the prefix, or reads it again under newer weights. The ledger
keeps the first row of each position, with the weight version that it was recorded under, and ignores every later one: that is
the row under which the token itself was sampled or first attended to.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from podgym.policy.contract import Routes
from podgym.policy.errors import RoutesError

__all__ = ["RouteLedger", "route_dtype", "validate_routes"]

_ALL_ZERO_BY_CHANCE = 16


class RouteLedger:
    """First row wins. Rows join without gaps from position 0 on."""

    def __init__(self, *, experts: int | None = None) -> None:
        """`experts` is the number that each layer chooses from; None where only the policy's own process knows it."""
        self._experts = experts
        self._rows: list[NDArray[Any]] = []
        self._versions: list[NDArray[np.int32]] = []
        self._held = 0

    @property
    def held(self) -> int:
        """Positions with a row; what the next request's `routes_from` should be."""
        return self._held

    def record(self, start: int, routes: Routes, versions: int | NDArray[np.int32]) -> int:
        """Keep the rows that are new and return how many were.

        `routes` [rows, layers, top_k] belongs to positions [start, start + rows); `versions` is one weight version or one a
        row. Raises `RoutesError` for a gap, for another shape than before, and for rows that `validate_routes` refuses.
        """
        rows = len(routes)
        shape = (self._rows[0] if self._rows else routes).shape
        if not 0 <= start <= self._held:
            raise RoutesError(
                f"Rows for positions {start} to {start + rows} leave a gap: {self._held} positions are held.",
                remedy=f"Ask the engine for rows from position {self._held} on.",
            )
        validate_routes(routes, experts=self._experts)
        validate_routes(routes, experts=self._experts, layers=shape[1], top_k=shape[2])
        per_row = np.broadcast_to(np.asarray(versions, dtype=np.int32), (rows,))
        known = self._held - start
        fresh = max(rows - known, 0)
        if fresh:
            self._rows.append(routes[known:] if self._experts is None else np.array(routes[known:], dtype=route_dtype(self._experts)))
            self._versions.append(np.array(per_row[known:]))
            self._held += fresh
        return fresh

    @property
    def routes(self) -> Routes | None:
        """[held, layers, top_k], None while nothing is held."""
        return np.concatenate(self._rows) if self._rows else None

    @property
    def versions(self) -> NDArray[np.int32]:
        """[held] weight version of each row."""
        return np.concatenate(self._versions) if self._versions else np.zeros(0, dtype=np.int32)


def route_dtype(experts: int) -> type[np.uint8] | type[np.uint16]:
    """The smallest type that holds an expert's index."""
    return np.uint8 if experts <= 256 else np.uint16


def validate_routes(
    routes: Routes, *, experts: int | None, rows: int | None = None, layers: int | None = None, top_k: int | None = None
) -> None:
    """Raise `RoutesError` for an array that cannot have come from a router, however right its shape.

    Refused are: another type or shape than [rows, layers, top_k] of uint8 or uint16, an index of `experts` (where known) or more, the same
    expert twice in a row, and all zeros, which engines return when a kernel does not record. Zero rows are valid.
    """
    if not isinstance(routes, np.ndarray) or routes.dtype not in (np.uint8, np.uint16) or routes.ndim != 3:
        kind = f"{routes.dtype} {list(routes.shape)}" if isinstance(routes, np.ndarray) else type(routes).__name__
        raise RoutesError(f"Routes are {kind}.", remedy="Pass uint8 or uint16 [rows, layers, top_k].")
    for name, wanted, axis in (("rows", rows, 0), ("layers", layers, 1), ("experts a token", top_k, 2)):
        if wanted is not None and routes.shape[axis] != wanted:
            raise RoutesError(
                f"Routes have {routes.shape[axis]} {name}, expected {wanted}.", remedy="Match the engine's answer to the tokens held."
            )
    if routes.size == 0:
        if len(routes):
            raise RoutesError(f"Routes {list(routes.shape)} hold rows without experts.", remedy="Drop the routes or record them.")
        return
    if not routes.any() and (routes.shape[2] > 1 or routes.size >= _ALL_ZERO_BY_CHANCE):
        raise RoutesError("Every recorded expert is 0.", remedy="The engine did not record; check its version and its MoE kernel.")
    if experts is not None and int(routes.max()) >= experts:
        row, layer, _ = (int(index) for index in np.unravel_index(int(routes.argmax()), routes.shape))
        raise RoutesError(
            f"Row {row}, layer {layer} names expert {int(routes.max())}; the model has {experts}.",
            remedy="Check that engine and model are the same.",
        )
    if routes.shape[2] > 1:
        ordered = np.sort(routes, axis=2)
        repeated = (ordered[:, :, 1:] == ordered[:, :, :-1]).any(axis=2)
        if repeated.any():
            row, layer = (int(index) for index in np.argwhere(repeated)[0])
            raise RoutesError(
                f"Row {row}, layer {layer} names an expert twice: {routes[row, layer].tolist()}.", remedy="The engine's record is corrupt."
            )
