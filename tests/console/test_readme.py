"""What README.md and the manual say can be typed in, and is there."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any, get_args

import pytest

from podgym.console.api import create_app
from podgym.rollout import job as jobs
from podgym.rollout.limits import RolloutLimits
from podgym.traces.events import Event

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


def manual(name: str) -> str:
    return (ROOT / "docs" / f"{name}.md").read_text()


SECTIONS = (
    jobs.RunSection,
    jobs.EvaluationSection,
    jobs.SandboxSection,
    jobs.PolicySection,
    jobs.RolloutSection,
    RolloutLimits,
    jobs.TrainSection,
    jobs.RaySection,
)


def test_the_manual_names_every_key_of_a_job():
    text = manual("jobs")
    (example,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    assert jobs.parse_job(tomllib.loads(example), origin="jobs.md").train is not None
    assert set(re.findall(r"`\[(\w+)\]`", text)) == jobs.JobConfig.model_fields.keys()
    assert {key for section in SECTIONS for key in section.model_fields} - {"limits"} <= set(re.findall(r"`([a-z_]+)`", text))


@pytest.mark.parametrize(
    ("section", "begin"), [(jobs.RunSection, "`[run]`"), (RolloutLimits, "`[rollout.limits]`"), (jobs.TrainSection, "`[train]`")]
)
def test_the_manual_tells_the_defaults(section: Any, begin: str):
    table = manual("jobs").partition(f"\n{begin}")[2].partition("\n\n`[")[0]
    told = 0
    for row, defaults in re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| ([^|]+) \|", table, re.MULTILINE):
        for name, value in zip(re.findall(r"`(\w+)`", row), defaults.split(","), strict=True):
            default = section.model_fields[name].default
            plain = "none" if default is None else str(default).lower() if isinstance(default, bool) else f"{default}".removesuffix(".0")
            assert value.strip(' `"').removesuffix(".0") == plain, name
            told += 1
    assert told >= 5


def test_the_manual_names_every_address_of_the_api():
    paths = create_app(ROOT).openapi()["paths"]
    assert set(re.findall(r"^\| `(/api/[^`]*)` \|", manual("traces"), re.MULTILINE)) == paths.keys()
    for path, methods in paths.items():
        (row,) = re.findall(rf"^\| `{re.escape(path)}` \| (.*)$", manual("traces"), re.MULTILINE)
        known = {parameter["name"] for parameter in methods["get"].get("parameters", ()) if parameter["in"] == "query"}
        known |= {"format", "json", "atif", "step", "value"} | {"task_id", "version", "rule", "family"}
        assert set(re.findall(r"`([a-z_]+)`", row)) <= known, path


def test_the_manual_names_every_event():
    kinds = {kind.model_fields["kind"].default for kind in get_args(get_args(Event)[0])}
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", manual("traces").partition("## The file")[0], re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == kinds


def test_commands_of_the_manual_are_there(cli: Any):
    """Every command with its options; what they act on is not."""
    for name in ("jobs", "environments", "traces"):
        for line in re.findall(r"^podgym .*", "".join(re.findall(r"```sh\n(.*?)```", manual(name), re.DOTALL)), re.MULTILINE):
            words = line.partition("#")[0].split()[1:]
            command = words[: 1 if words[0] in ("view", "doctor", "demo") else 2]
            said = cli(*command, "--help")
            assert said.code == 0, line
            for option in (word for word in words if word.startswith("--")):
                assert option in said.out, line


def test_what_is_linked_to_is_there():
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")):
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
