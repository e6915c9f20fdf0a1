from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from podgym_test_kit.history import History

from podgym.envs.repository import SourceRepository, open_source


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path / "project")


@pytest.fixture
def source(history: History, tmp_path: Path) -> Iterator[SourceRepository]:
    with open_source(history.path, tmp_path / "cache") as opened:
        yield opened
