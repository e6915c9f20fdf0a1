from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from podgym.envs.repository import SourceRepository, open_source


class History:
    """A real git repository, grown commit by commit."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._clock = 1_700_000_000
        self.git("init", "-q", "-b", "main", str(path), at=path.parent)

    def git(self, *arguments: str, at: Path | None = None) -> str:
        env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"}
        env |= {
            "GIT_AUTHOR_NAME": "A",
            "GIT_AUTHOR_EMAIL": "a@example.org",
            "GIT_COMMITTER_NAME": "A",
            "GIT_COMMITTER_EMAIL": "a@example.org",
        }
        env |= {"GIT_AUTHOR_DATE": f"{self._clock} +0000", "GIT_COMMITTER_DATE": f"{self._clock} +0000"}
        done = subprocess.run(["git", *arguments], cwd=at or self.path, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def commit(self, message: str, files: Mapping[str, str | bytes | None]) -> str:
        """Write files (None removes one), commit everything, return the id."""
        self._clock += 60
        for name, content in files.items():
            path = self.path / name
            if content is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path / "project")


@pytest.fixture
def source(history: History, tmp_path: Path) -> Iterator[SourceRepository]:
    with open_source(history.path, tmp_path / "cache") as opened:
        yield opened
