"""The Makefile on a machine that is missing something."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BROKEN = """#!/bin/sh
case "$*" in
  "-m venv "*) mkdir -p "$3/bin"; ln -s {python} "$3/bin/python"; echo "ensurepip is not available" >&2; exit 1 ;;
  *) exec {python} "$@" ;;
esac
"""


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A folder with the Makefile, and a PATH that has make and no uv."""
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    shutil.copyfile(ROOT / "Makefile", tmp_path / "Makefile")
    for name in ("pyproject.toml", "setup.py"):
        (tmp_path / name).touch()
    (tmp_path / "bin").mkdir()
    for tool in ("make", "sh", "mkdir", "ln", "rm", "touch"):
        (tmp_path / "bin" / tool).symlink_to(str(shutil.which(tool)))
    return tmp_path


def make(folder: Path, python: Path, target: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "--no-print-directory", f"PYTHON={python}", target]
    env = {**os.environ, "PATH": str(folder / "bin")}
    env.pop("MAKEFLAGS", None)
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=60, check=False)


def test_a_python_without_venv_leaves_nothing_that_looks_like_one(bare: Path):
    """As Debian's is without python3-venv: it makes `bin/python`, and then fails."""
    broken = bare / "bin" / "python-without-venv"
    broken.write_text(BROKEN.format(python=sys.executable))
    broken.chmod(0o755)
    for _ in range(2):
        done = make(bare, broken, ".venv/bin/python")
        assert done.returncode == 2
        assert "apt-get install python3-venv" in done.stdout
        assert not (bare / ".venv").exists()
    done = make(bare, Path(sys.executable), ".venv/bin/python")
    assert (done.returncode, (bare / ".venv" / "bin" / "pip").exists()) == (0, True), done.stderr


def test_a_python_that_is_too_old_is_named(bare: Path):
    old = bare / "bin" / "python-old"
    old.write_text('#!/bin/sh\ncase "$1" in --version) echo Python 3.9.2 ;; *) exit 1 ;; esac\n')
    old.chmod(0o755)
    done = make(bare, old, ".venv/bin/python")
    assert done.returncode == 2
    assert "needs Python 3.11 or newer" in done.stdout
    assert "Python 3.9.2" in done.stdout
