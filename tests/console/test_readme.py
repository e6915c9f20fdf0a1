"""What README.md says can be typed in."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)


def test_the_puzzle_is_solved_by_the_script_that_stands_there(cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (block,) = (block for block in BLOCKS if "env init" in block)
    lines = block.splitlines()
    (init,) = (line.split() for line in lines if line.startswith("podgym env init"))
    assert cli(*init[1:]).code == 0
    monkeypatch.syspath_prepend(str(tmp_path / "play" / "my-puzzles" / "src"))
    (script,) = (line for line in lines if line.startswith("printf"))
    subprocess.run(["sh", "-c", script], cwd=tmp_path, check=True)
    (play,) = (line.split() for line in lines if line.startswith("podgym rollout run"))
    said = cli(*(each if each != "my-puzzles" else "my_puzzles:MyPuzzlesEnvironment" for each in play[1:]), "--json")
    assert (said.code, said.json["solve_rate"]) == (0, 1.0), said.err


def test_what_is_typed_in_writes_where_git_does_not_look():
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("this is no clone")
    written = re.findall(r"(?:--out|--directory| >) (\S+)", "\n".join(BLOCKS))
    assert len(written) == 3
    for path in written:
        ignored = subprocess.run(["git", "check-ignore", "-q", f"{path}/x"], cwd=ROOT, check=False)
        assert ignored.returncode == 0, path


def test_what_is_linked_to_is_there():
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")):
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
