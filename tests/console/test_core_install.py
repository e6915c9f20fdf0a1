"""The core installation, which has no torch: what needs it says so in one sentence, and everything else works."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from podgym.policy.tokenizer import ByteTokenizer, PieceTokenizer
from podgym.traces import Trace
from podgym.traces.events import Created
from podgym.traces.file import TraceWriter
from podgym.traces.store import RunDir, RunStore

WITHOUT = """
import sys

class Without:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "transformers", "tokenizers", "safetensors"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Without())
"""
COMMAND = WITHOUT + "from podgym.console.cli import run\nsys.exit(run(sys.argv[1:]))"


def python(code: str, *arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False, cwd=cwd)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that looks like one; without torch nothing reads further."""
    path = tmp_path_factory.mktemp("checkpoint")
    ByteTokenizer().save(path)
    (path / "config.json").write_text('{"max_position_embeddings": 192}')
    return path


@pytest.mark.parametrize(
    "arguments", [("demo", "--quick"), ("rollout", "run", "TASK", "--policy", "CHECKPOINT")], ids=lambda given: given[0]
)
def test_what_needs_torch_says_so(arguments: tuple[str, ...], built: Path, checkpoint: Path, tmp_path: Path):
    places = {"TASK": built, "CHECKPOINT": checkpoint}
    done = python(COMMAND, *(places.get(each, each) for each in arguments), cwd=tmp_path)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "pip install 'podgym[train]'" in done.stderr
    assert "torch" in done.stderr


def test_what_needs_no_torch_works(built: Path, tmp_path: Path):
    done = python(COMMAND, "rollout", "run", built, "--gold", cwd=tmp_path)
    assert (done.returncode, "reward 1" in done.stdout) == (0, True), done.stderr


def test_another_missing_module_is_a_defect(tmp_path: Path):
    code = """
import sys
from podgym.console import cli
def broken(): import no_such_module_of_anyone
cli.app.command(name="broken")(broken)
cli.run(["broken"])
"""
    done = python(code, cwd=tmp_path)
    assert "ModuleNotFoundError: No module named 'no_such_module_of_anyone'" in done.stderr


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    """As the demonstration leaves it: its tokenizer needs a library that only training installs."""
    pytest.importorskip("tokenizers", reason="writes a tokenizer of that library")
    made = RunStore(tmp_path / "runs").create("demo")
    PieceTokenizer.train(["bash cat x", "finish"] * 20, vocab_size=300).save(made.path / "tokenizer")
    with TraceWriter(made.trace_path("r")) as sink:
        Trace(sink=sink).append(Created(rollout_id="r", run_id=made.id, group_id="g", task_id="t", environment="code"))
    return made


def test_pages_show_a_run_whose_tokenizer_cannot_be_read(run: RunDir, tmp_path: Path):
    code = """
from fastapi.testclient import TestClient
from podgym.console.api import create_app
with TestClient(create_app(sys.argv[1]), base_url="http://127.0.0.1") as client:
    answer = client.get(f"/api/runs/{sys.argv[2]}/rollouts/r")
    print(answer.status_code, answer.json()["tokenizer"])
"""
    done = python(WITHOUT + code, tmp_path / "runs", run.id, cwd=tmp_path)
    assert done.stdout == "200 False\n", done.stderr
