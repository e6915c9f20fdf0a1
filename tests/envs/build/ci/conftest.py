from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping

import pytest

from podgym.envs.build.ci import CiFacts, read_ci
from podgym.envs.build.tree import Tree

Reader = Callable[[Mapping[str, str]], CiFacts]


@pytest.fixture(scope="session")
def read() -> Reader:
    """Facts of a tree that is given by its files."""

    def of(files: Mapping[str, str]) -> CiFacts:
        return read_ci(Tree(files, lambda path: textwrap.dedent(files[path]).encode()))

    return of
