"""What job files and command lines can get wrong, and what is said to it; the small commands."""

from __future__ import annotations

import errno
import gc
import os
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest

from podgym.console.cli import main, run
from podgym.console.cli.output import ago, print_facts, print_json, print_table, print_text
from podgym.traces.store import RunStore

START = "import sys; from podgym.console.cli import run; sys.exit(run(sys.argv[1:]))"


def test_a_dry_run_resolves_and_does_nothing(cli: Any, job: Path, tmp_path: Path):
    said = cli("job", "submit", job, "--dry-run", "--set", "train.steps=7", "--set", "run.name=other")
    assert said.code == 0
    resolved = tomllib.loads(said.out)
    assert (resolved["train"]["steps"], resolved["run"]["name"]) == (7, "other")
    assert resolved["run"]["directory"] == str(tmp_path / "runs")
    assert cli("job", "submit", job, "--dry-run", "--json").json["train"]["steps"] == 2
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("text", "sets", "say"),
    [
        ("[run]\nnam = 'x'\n[environment]\ntype = 'code'\n", (), ("run.nam", "name")),
        ("[environment]\ntype = 'code'\n[nonsense]\n", (), ("nonsense",)),
        ("[run]\n", (), ("environment",)),
        ("[environment\n", (), ("not TOML", "line 1")),
        ("[environment]\ntype = 'code'\n[run]\nname = '../x'\n", (), ("run.name", "../x")),
        ("[environment]\ntype = 'code'\n", ("train",), ("section.key=value",)),
        ("[environment]\ntype = 'code'\n", ("environment.type.x=1",), ("not a section",)),
        ("[environment]\ntype = 'code'\n", ("train.steps=0",), ("train.steps", "0")),
        ("[environment]\ntype = 'code'\n", ("sandbox.concurrency=many",), ("sandbox.concurrency", "many")),
    ],
)
def test_mistakes_in_a_job(cli: Any, tmp_path: Path, text: str, sets: tuple[str, ...], say: tuple[str, ...]):
    (tmp_path / "job.toml").write_text(text)
    given = [part for one in sets for part in ("--set", one)]
    for command in (("job", "submit", "job.toml", "--dry-run"), ("config", "show", "job.toml")):
        said = cli(*command, *given)
        assert (said.code, said.out) == (1, "")
        assert said.err.startswith("error: ")
        assert all(part in " ".join(said.err.split()) for part in say), said.err


def test_a_job_file_that_is_not_there(cli: Any, tmp_path: Path):
    (tmp_path / "latin.toml").write_bytes(b"\xe9")
    assert "cannot be read" in cli("job", "submit", "nothing.toml").err
    assert "not UTF-8" in cli("job", "submit", "latin.toml").err


def test_a_resolved_job_with_its_documentation(cli: Any, job: Path, tmp_path: Path):
    plain = cli("config", "show", job).out
    documented = cli("config", "show", job, "--docs", "--set", "environment.options={tasks = 3, deep = {er = 1}}").out
    assert "# Rollouts at once, over all workers.\nconcurrency = 4\n" in documented
    assert "# checkpoint =" in documented
    again = tomllib.loads(documented)
    assert again["environment"]["options"] == {"tasks": 3, "deep": {"er": 1}}
    assert {**again, "environment": {}} == {**tomllib.loads(plain), "environment": {}}
    assert cli("config", "show", job, "--json").json["train"]["group_size"] == 2


@pytest.mark.parametrize(
    "arguments", [("job", "show", "x"), ("job", "logs", "x"), ("job", "stop", "x"), ("job", "resume", "x"), ("rollout", "list", "x")]
)
def test_a_run_that_is_not_there(cli: Any, arguments: tuple[str, ...]):
    said = cli(*arguments)
    assert (said.code, said.out) == (1, "")
    assert "0 runs under runs fit 'x'" in said.err


@pytest.mark.parametrize("command", [("job", "stop"), ("job", "show"), ("job", "resume"), ("job", "logs"), ("rollout", "list")])
def test_an_empty_id_names_no_run(cli: Any, command: tuple[str, ...]):
    """What `"$RUN"` is where the variable is not set; the only run there is is not meant."""
    RunStore("runs").create("only")
    for empty in ("", " "):
        said = cli(*command, empty)
        assert (said.code, said.out) == (1, "")
        assert "An empty id names no run" in said.err


def test_a_prefix_that_fits_several_runs(cli: Any):
    for _ in range(2):
        RunStore("runs").create("twin")
    said = cli("job", "show", "20")
    assert said.code == 1
    assert "2 runs under runs fit '20'" in said.err


def test_usage_errors(cli: Any, job: Path):
    for arguments in (
        ("nonsense",),
        ("job", "submit"),
        ("job", "list", "--limit", "0"),
        ("job", "show", "x", "--nonsense"),
        ("view", "--port", "x"),
    ):
        said = cli(*arguments)
        assert (said.code, said.out) == (2, "")
        assert "Usage: podgym" in said.err
    assert "for --address" in cli("job", "submit", job, "--py-module", ".").err
    for help_of in ((), ("job",), ("env", "build"), ("rollout", "run")):
        assert cli(*help_of, "--help").code == 0


def test_lists_that_are_empty(cli: Any):
    said = cli("job", "list")
    assert (said.code, said.out) == (0, "")
    assert "No runs in runs" in said.err
    assert cli("job", "list", "--json").json == []


def test_plugins_are_listed_with_what_is_wrong_with_them(cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    good = cli("plugin", "list", "--json")
    assert (good.code, [one["status"] for one in good.json if one["name"] == "code"]) == (0, ["ok"])
    for name, reference in (("one", "code"), ("two", "broken_on_import")):
        metadata = tmp_path / "site" / f"{name}-1.0.dist-info"
        metadata.mkdir(parents=True)
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        key = "code" if name == "one" else "two"
        (metadata / "entry_points.txt").write_text(f"[podgym.environments]\n{key} = {reference}:Kind\n")
    (tmp_path / "site" / "broken_on_import.py").write_text("raise RuntimeError('no licence')\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    said = cli("plugin", "list")
    assert said.code == 1
    assert "duplicate" in said.out
    assert "no licence" in said.err
    assert "code" in said.err


def test_doctor_looks_at_everything(cli: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    found = {one["name"]: one for one in cli("doctor", "--json").json}
    assert {"Python", "git", "local sandboxes", "Docker", "Ray", "training", "memory", "disk", "/dev/shm"} <= found.keys()
    assert found["git"]["status"] == "ok"
    monkeypatch.setenv("PATH", str(tmp_path))
    without = cli("doctor")
    assert without.code == 1
    assert "Wrong here: git." in without.err
    assert "Install git" in without.out


@pytest.mark.filterwarnings("ignore:.*:ResourceWarning")  # the Docker SDK leaves a socket that did not connect to the collector
def test_doctor_names_what_is_missing(cli: Any, monkeypatch: pytest.MonkeyPatch):
    from importlib.metadata import PackageNotFoundError

    from podgym.console.cli import health
    from podgym.sandbox import IsolationError

    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    def refused(script: str) -> tuple[float, str]:
        raise IsolationError("no namespaces", remedy="allow them")

    monkeypatch.setattr(health, "version", missing)
    monkeypatch.setattr(health, "_try_sandbox", refused)
    monkeypatch.setattr(health.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("DOCKER_HOST", "unix:///nothing.sock")
    found = {one.name: one for one in health.examine()}
    assert found["local sandboxes"].status == "missing"
    assert found["local sandboxes"].remedy == "allow them"
    assert found["Ray"].status == "failed"
    assert found["training"].found == "no torch and no transformers"
    assert found["Docker"].status == "missing"
    monkeypatch.undo()
    monkeypatch.setenv("DOCKER_HOST", "unix:///nothing.sock")
    assert health._docker().status == "missing"
    gc.collect()


def test_view_serves_until_it_is_interrupted(cli: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    from podgym.console import api

    calls: list[dict[str, Any]] = []

    def serve(root: Path, host: str, port: int, *, token: str | None, ready: Any) -> None:
        calls.append({"root": root, "host": host, "port": port, "token": token})
        ready(f"http://{host}:{port}/")
        raise KeyboardInterrupt

    monkeypatch.setattr(api, "serve", serve)
    said = cli("view", "--port", "0")
    assert (said.code, said.out) == (0, "http://127.0.0.1:0/\n")
    cli("view", "--host", "0.0.0.0")
    assert [call["token"] is None for call in calls] == [True, False]
    assert len(calls[1]["token"]) >= 24


def test_view_takes_no_empty_token(cli: Any, monkeypatch: pytest.MonkeyPatch):
    """What `--token "$TOKEN"` is where the variable is not set."""
    from podgym.console import api

    def serve(*_: Any, **__: Any) -> None:
        raise AssertionError("nothing may be served")

    monkeypatch.setattr(api, "serve", serve)
    for host in ("127.0.0.1", "0.0.0.0"):
        said = cli("view", "--host", host, "--token", "")
        assert (said.code, said.out) == (2, "")
        assert "It is empty" in said.err


def test_view_on_an_address_that_is_taken(cli: Any):
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        said = cli("view", "--port", taken.getsockname()[1])
    assert said.code == 1
    assert "cannot be served" in said.err


def test_demo_hands_over(cli: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    import types

    calls: list[dict[str, Any]] = []
    stand_in = types.ModuleType("podgym.console.demo.run")
    stand_in.run_demo = lambda **given: calls.append(given) or 3
    monkeypatch.setitem(sys.modules, "podgym.console.demo.run", stand_in)
    assert cli("demo", "--seed", "4", "--quick", "--json").code == 3
    assert calls == [{"seed": 4, "directory": Path("runs"), "quick": True, "as_json": True}]


def test_start_up_is_quick_and_loads_nothing_heavy():
    """Processor time, so that a busy machine does not count."""
    code = (
        "import sys, time; import podgym.console.cli; "
        "heavy = {'torch', 'transformers', 'ray', 'docker', 'fastapi', 'sqlalchemy', 'pydantic', 'numpy'} & set(sys.modules); "
        "print(time.process_time(), sorted(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    seconds, _, heavy = done.stdout.strip().partition(" ")
    assert heavy == "[]"
    assert float(seconds) < 1.0


def test_output_in_a_pipe_that_closes(job: Path):
    """`podgym ... | head -1` is no failure."""
    script = f"{sys.executable} -c '{START}' config show {job} --docs | head -1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    assert done.stdout.count("\n") == 1


@pytest.mark.parametrize("command", ["config show JOB", "config show JOB --json", "job list --json"])
def test_a_full_disk(cli: Any, job: Path, command: str):
    """/dev/full refuses every write, as a full disk does. One message, the remedy in it, and nothing of the interpreter's own."""
    script = f"{sys.executable} -c '{START}' {command.replace('JOB', str(job))} > /dev/full"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr == ("error: No space left on device.\nFree space on that file system, or name a folder on another one.\n")


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "Free space on that file system"),
        (errno.EDQUOT, "Free space in your quota"),
        (errno.EACCES, "Make it accessible for this user"),
        (errno.EROFS, "Name a folder on a file system that can be written"),
        (errno.ENXIO, ""),
    ],
)
def test_refusals_of_the_system_have_a_remedy(cli: Any, monkeypatch: pytest.MonkeyPatch, number: int, remedy: str):
    def refused(self: RunStore) -> Any:
        raise OSError(number, os.strerror(number), "/some/where")

    monkeypatch.setattr(RunStore, "runs", refused)
    said = cli("job", "list")
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith(f"error: {os.strerror(number)}: /some/where.\n")
    assert remedy in said.err


def test_the_entry_point(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(sys, "argv", ["podgym", "job", "list", "--directory", "/nothing"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert run(["--help"]) == 0
    capsys.readouterr()


def test_pieces_of_output(capsys: pytest.CaptureFixture[str]):
    print_table(("a", "[b]"), [(1, "[red]x[/]"), (None, "longer")])
    print_facts({"one": 1, "none": None, "[two]": "[/]"})
    print_json({"path": Path("x"), "set": {1}})
    print_table(("name",), [("x\udcff",)])
    print_facts({"y\udcff": "z\udcff"})
    print_text("w\udcff")
    said = capsys.readouterr().out
    assert "[red]x[/]" in said
    assert "none" not in said
    assert all(f"{letter}\\udcff" in said for letter in "xyzw")
    assert all(line == line.rstrip() for line in said.splitlines())
    with pytest.raises(TypeError, match="object is not JSON"):
        print_json(object())
    now = time.time()
    assert [ago(now - seconds) for seconds in (0, 120, 7200, 200_000)] == ["0 s ago", "2 min ago", "2 h ago", "2 d ago"]
    assert ago(None) == ""
    assert os.environ.get("PODGYM_ADDRESS") is None
