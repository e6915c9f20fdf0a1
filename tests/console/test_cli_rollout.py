"""`podgym rollout`: tasks played without a line of Python, and everything that is shown of them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from podgym.traces.events import Closed
from podgym.traces.file import read_trace
from podgym.traces.store import RunStore

RIGHT = "bash echo right\n---\nfinish\n"


def test_the_gold_solution_solves_a_task(cli: Any, built: Path):
    said = cli("rollout", "run", built, "--gold", "--json")
    assert said.code == 0
    (row,) = said.json["rollouts"]
    assert (row["task_id"], row["status"], row["reward"], row["turns"]) == ("shop-discount", "scored", 1.0, 2)
    shown = cli("rollout", "show", row["rollout_id"])
    assert "edit shop.py" in shown.out
    assert "+ " in shown.out
    assert "Reward 1" in shown.out
    assert "test_shop.py::Prices::test_discount" in shown.out
    run = RunStore("runs").find("latest")
    assert run.status() == "finished"
    assert run.summary()["solve_rate"] == 1.0


@pytest.mark.docker
def test_the_gold_solution_on_docker(cli: Any, built: Path):
    said = cli("rollout", "run", built, "--gold", "--provider", "docker", "--json")
    assert said.code == 0
    assert said.json["solve_rate"] == 1.0


GOLDEN = {
    "bytes": ({"data.bin": b"\0\xff", "src.py": "a = 1\n"}, {"data.bin": b"\xfe\0\r\n", "src.py": "a = 2\n"}),
    "new, gone, executable": (
        {"old.py": "1\n", "run.sh": "true\n", "src.py": "a = 1\n"},
        {"old.py": None, "in/new file.py": "x = '=>'\n=>\n", "src.py": "a = 2\n"},
    ),
    "repeated lines": ({"src.py": "a = 1\nb\n" * 30}, {"src.py": "a = 1\nb\n" * 15 + "c\n" + "a = 1\nb\n" * 15}),
    "carriage returns": ({"src.py": "a = 1\r\nb = 1\r\n"}, {"src.py": "a = 1\r\nb = 2\r\n"}),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_every_kind_of_solution_can_be_played(cli: Any, project: Any, tmp_path: Path, name: str):
    before, after = GOLDEN[name]
    plain = "import unittest\n\n\nclass Case(unittest.TestCase):\n    def test(self):\n        pass\n"
    project.commit("Begin", {**before, "test_it.py": plain})
    (project.path / "src.py").chmod(0o755 if "executable" in name else 0o644)
    hidden = plain + "\n    def test_more(self):\n" + "".join(_checks(after))
    sha = project.commit("Fix\n\nAs told.", {**after, "test_it.py": hidden})
    assert cli("env", "build", project.path, "--commit", sha, "--name", "kind", "-o", "repeats=1", "--json").json["status"] == "validated"
    said = cli("rollout", "run", "tasks", "--gold", "--json")
    assert (said.code, said.json["solve_rate"]) == (0, 1.0), said.out


def _checks(after: dict[str, Any]) -> list[str]:
    lines = []
    for path, data in after.items():
        if data is None:
            lines.append(f"        self.assertFalse(__import__('os').path.exists({path!r}))\n")
        else:
            raw = data.encode() if isinstance(data, str) else data
            lines.append(f"        with open({path!r}, 'rb') as file:\n            self.assertEqual(file.read(), {raw!r})\n")
    return lines


def test_gold_that_does_not_solve_is_a_failure(cli: Any, built: Path, tmp_path: Path):
    task = tmp_path / "task"
    shutil.copytree(built, task)
    patch = task / "solution" / "gold.patch"
    patch.write_text(patch.read_text().replace("/ 100", "/ 99"))
    said = cli("rollout", "run", "task", "--gold", "--json")
    assert (said.code, said.json["rollouts"][0]["reward"]) == (1, 0.0)
    patch.write_text(patch.read_text().replace("-    return", "-    retern"))
    assert "does not apply" in cli("rollout", "run", "task", "--gold").err
    patch.unlink()
    assert "has no gold solution to play" in cli("rollout", "run", "task", "--gold").err


def test_a_script_is_played_on_every_task(cli: Any, kit: Path, tmp_path: Path):
    (tmp_path / "turns.txt").write_text("bash echo right\n---\nbash printf 'two\\nlines' | cat\n")
    said = cli("rollout", "run", "podgym_console_kit:Echo", "-o", "tasks=3", "--script", "turns.txt", "-n", "2", "--provider", "local")
    assert said.code == 0
    assert said.out.count("reward 1") == 6
    assert "6 rollouts, solved 1.000" in said.err
    listed = cli("rollout", "list")
    assert listed.out.count("scored") == 0
    assert listed.out.count("reward 1") == 6
    page = cli("rollout", "list", "--limit", "4", "--json").json
    assert len(page["rollouts"]) == 4
    rest = cli("rollout", "list", "latest", "--cursor", page["cursor"], "--json").json
    assert len(rest["rollouts"]) == 2
    assert "--cursor" in cli("rollout", "list", "--limit", "4").err
    assert len(cli("rollout", "list", "--task", "echo-1", "--status", "scored", "--min-reward", "0.5", "--json").json["rollouts"]) == 2
    assert "No such rollout" in cli("rollout", "list", "--max-reward", "0.5").err
    huge = cli("rollout", "list", "--step", "9" * 20)
    assert (huge.code, huge.out, "No such rollout" in huge.err) == (0, "", True)


def test_a_rollout_is_shown_replayed_and_exported(cli: Any, kit: Path, tmp_path: Path):
    (tmp_path / "turns.txt").write_text(f"bash seq 100\n---\n{RIGHT}")
    assert cli("rollout", "run", "podgym_console_kit:Echo", "-o", "tasks=2", "--script", "turns.txt", "--seed", "3").code == 0
    whole = cli("rollout", "show", "t00001-0", "--full").out
    assert "  | 50\n" in whole
    short = cli("rollout", "show", "t00001", "--run", "latest").out
    assert "more lines" in short
    assert "  | 50\n" not in short
    described = cli("rollout", "show", "t00001-0", "--json").json
    assert described["rollout"]["reward"] == 1.0
    replayed = cli("rollout", "replay", "t00001-0")
    assert (replayed.code, replayed.out.count("same")) == (0, 3)
    assert cli("rollout", "replay", "t00001-0", "--no-verify", "--json").json["reward"] is None
    atif = cli("rollout", "export", "t00001-0", "--format", "atif").json
    assert atif["schema_version"].startswith("ATIF")
    assert cli("rollout", "export", "t00001-0", "-O", "trace.json").out == ""
    assert json.loads((tmp_path / "trace.json").read_text())["format"] == "podgym-trace-1"
    assert cli("rollout", "export", "t00001-0", "-O", "no/where.json").code == 1
    assert "Several" in cli("rollout", "show", "t0").err
    assert "'../x' is not the id" in cli("rollout", "show", "../x").err
    assert "There is no rollout 'x'" in cli("rollout", "show", "x", "--run", "latest").err


def test_a_replay_that_differs_says_so(cli: Any, kit: Path, tmp_path: Path):
    (tmp_path / "turns.txt").write_text("bash date +%N\n---\nfinish")
    assert cli("rollout", "run", "podgym_console_kit:Echo", "-o", "tasks=1", "--script", "turns.txt").code == 0
    said = cli("rollout", "replay", "t00000-0")
    assert said.code == 1
    assert "differs" in said.out
    job = RunStore("runs").find("latest").job_path
    job.write_text(job.read_text().replace("tasks = 1", "tasks = 0"))
    assert "yields no tasks" in cli("rollout", "replay", "t00000-0").err


def test_what_survives_without_an_index(cli: Any, kit: Path, tmp_path: Path):
    (tmp_path / "turns.txt").write_text(RIGHT)
    assert cli("rollout", "run", "podgym_console_kit:Echo", "-o", "tasks=2", "--script", "turns.txt").code == 0
    run = RunStore("runs").find("latest")
    for path in run.path.glob("index.sqlite*"):
        path.unlink()
    assert "Reward 1" in cli("rollout", "show", "t00000").out
    (run.traces_path / "00").mkdir(exist_ok=True)
    (run.traces_path / "00" / "junk.trace").write_bytes(b"junk")
    listed = cli("rollout", "list")
    assert "rebuilt from 2 traces" in listed.err
    assert "left out: junk.trace" in listed.err
    assert listed.out.count("reward 1") == 2
    trace = run.trace_path("t00000-0")
    trace.write_bytes(trace.read_bytes()[:-40])
    cut = cli("rollout", "show", "t00000-0")
    assert cut.code == 0
    assert "The trace is damaged" in cut.err or "Reward 1" in cut.out
    run.index_path.write_bytes(b"this is no database, and long enough to be read as one" * 100)
    for path in run.path.glob("index.sqlite-*"):
        path.unlink()
    assert "rebuild" in cli("rollout", "list").err
    assert cli("rollout", "show", "t00001").code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "say"),
    [
        ((), 2, "exactly one of --gold"),
        (("--gold", "--script", "turns.txt"), 2, "exactly one of --gold"),
        (("--script", "nothing.txt"), 1, "cannot be read"),
        (("--script", "empty.txt"), 1, "holds no turn"),
        (("--script", "latin.txt"), 1, "not UTF-8"),
        (("--policy", "nowhere"), 1, "holds no readable tokenizer"),
        (("--policy", "scripted:nothing:at_all"), 1, "cannot be loaded"),
        (("--script", "turns.txt", "--task", "other"), 1, "There is no task 'other'"),
        (("--script", "turns.txt", "--provider", "nonsense"), 1, "No sandbox provider"),
        (("--script", "turns.txt", "--dialect", "nonsense"), 1, "rollout.dialect"),
        (("--script", "turns.txt", "-o", "x=1"), 1, "has no option 'x'"),
        (("--script", "turns.txt", "-n", "0"), 2, "-n"),
    ],
)
def test_bad_input(cli: Any, kit: Path, tmp_path: Path, *, arguments: tuple[str, ...], code: int, say: str):
    (tmp_path / "turns.txt").write_text(RIGHT)
    (tmp_path / "empty.txt").write_text("---\n\n---\n")
    (tmp_path / "latin.txt").write_bytes(b"bash \xe9")
    said = cli("rollout", "run", "podgym_console_kit:Echo", *arguments)
    assert (said.code, said.out) == (code, "")
    assert say in " ".join(said.err.split())


def test_a_scripted_function_and_odd_turns(cli: Any, kit: Path, tmp_path: Path):
    assert (
        cli("rollout", "run", "podgym_console_kit:Echo", "--policy", "scripted:podgym_console_kit:right", "--json").json["solve_rate"]
        == 1.0
    )
    (tmp_path / "odd.txt").write_text(
        "fly away\n---\nbash printf '\\377\\n'; sleep 300 & true\n---\nbash printf 'a\\na\\n' > f\n---\nstr_replace f\na\n=>\nb\n"
    )
    assert cli("rollout", "run", "podgym_console_kit:Echo", "-o", "tasks=1", "--script", "odd.txt").code == 0
    shown = cli("rollout", "show", "t00000-0").out
    assert "no valid call" in shown
    assert "\ufffd" in shown
    assert "old is in f 2 times, from lines 1, 2. Add lines around it until it is there once." in shown


def test_a_defect_of_the_type_ends_the_run(cli: Any, kit: Path, tmp_path: Path):
    (tmp_path / "turns.txt").write_text(RIGHT)
    with pytest.raises(KeyError):
        cli("rollout", "run", "podgym_console_kit:Echo", "-o", "defect=true", "--script", "turns.txt")
    run = RunStore("runs").find("latest")
    assert run.status() == "failed"
    assert "a defect of the type" in run.state().error


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_rollouts_in_order(cli: Any, kit: Path, tmp_path: Path, number: int):
    (tmp_path / "turns.txt").write_text("bash sleep 60")

    def interrupt() -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and not list(Path("runs").glob("*/traces/*/*.trace")):
            time.sleep(0.05)
        time.sleep(0.5)
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        said = cli("rollout", "run", "podgym_console_kit:Echo", "-o", "tasks=2", "--script", "turns.txt")
    finally:
        thread.join()
    assert said.code == 130
    run = RunStore("runs").find("latest")
    assert run.status() == "stopped"
    assert {read_trace(path).events(Closed)[-1].stop for path in run.trace_paths()} == {"cancelled"}
