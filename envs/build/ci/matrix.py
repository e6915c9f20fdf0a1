"""Matrices of jobs, unfolded as GitHub does it: the product of the axes, less `exclude`, more or richer by `include`."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, Final

from podgym.envs.build.ci.document import mapping, sequence

__all__ = ["combinations"]

_MAX: Final = 256
"""GitHub's own bound."""


def combinations(matrix: Mapping[str, Any]) -> list[dict[str, Any]]:
    """At most 256, at least one (an empty one where nothing is told)."""
    axes = {name: values for name, values in matrix.items() if name not in ("include", "exclude") and isinstance(values, list) and values}
    product = itertools.islice(itertools.product(*axes.values()), _MAX) if axes else iter(())
    found = [dict(zip(axes, values, strict=True)) for values in product]
    excluded = [one for one in sequence(matrix.get("exclude")) if isinstance(one, dict) and one]
    found = [one for one in found if not any(_matches(one, pattern) for pattern in excluded)]
    added: list[dict[str, Any]] = []
    originals = [dict(one) for one in found]
    for extra in sequence(matrix.get("include"))[:_MAX]:
        if not isinstance(extra, dict) or not extra:
            continue
        own = {name: value for name, value in extra.items() if name in axes}
        fitting = [index for index, one in enumerate(originals) if all(one.get(name) == value for name, value in own.items())]
        for index in fitting:
            found[index] |= {name: value for name, value in extra.items() if name not in axes}
        if not fitting:
            added.append(dict(extra))
    return (found + added)[:_MAX] or [{}]


def _matches(one: Mapping[str, Any], pattern: Mapping[str, Any]) -> bool:
    return all(_covers(one.get(name), value) for name, value in pattern.items())


def _covers(value: Any, pattern: Any) -> bool:
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(_covers(value.get(name), inner) for name, inner in mapping(pattern).items())
    return bool(value == pattern)
