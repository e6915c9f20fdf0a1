"""Jobs on this machine: submitted, followed, killed, resumed, stopped, and nothing left behind."""

from __future__ import annotations

import gc
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from podgym.console.jobs import Submission, SubmitError, launch, run_facts
from podgym.console.jobs import drive as driving
from podgym.console.jobs.log import log_parts
from podgym.console.jobs.steps import outcome_line, step_header, step_line
from podgym.rollout.job import load_job
from podgym.rollout.report import RunSummary, StepReport
from podgym.traces.file import read_trace
from podgym.traces.store import RunDir, RunState, RunStore

pytestmark = [pytest.mark.timeout(600), pytest.mark.filterwarnings("ignore:.*:ResourceWarning")]  # Ray leaves files to the collector


def until(condition: Callable[[], Any], *, timeout_s: float = 180.0) -> Any:
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.1)
    return found


def processes_naming(text: str) -> list[str]:
    """Command lines on this machine that hold `text`, this process and its parents left out."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) not in (os.getpid(), os.getppid()):
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            except OSError:
                continue
            if text in command:
                found.append(f"{entry.name} {command}")
    return found


@pytest.fixture(scope="module")
def ray_here() -> Iterator[None]:
    """One Ray in this process for the tests whose runs are in it, instead of one each."""
    from podgym.rollout.cluster import open_cluster
    from podgym.rollout.job import RaySection

    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(Path(__file__).parent / "kit")
    cluster = open_cluster(RaySection(), run_id="console-tests")
    try:
        yield
    finally:
        cluster.close()
        gc.collect()  # Ray's own processes, while warnings about them are ignored
        os.environ.pop("PYTHONPATH") if before is None else os.environ.update(PYTHONPATH=before)


@pytest.fixture
def sweeping(tmp_path: Path) -> Iterator[None]:
    """Whatever a test did, no driver of its runs outlives it."""
    yield
    from podgym.rollout.stop import stop_run

    for run in RunStore(tmp_path / "runs").runs():
        if run.state() is not None:
            stop_run(run, timeout_s=20)


@pytest.mark.slow
@pytest.mark.usefixtures("sweeping")
def test_a_job_from_submission_to_summary(cli: Any, job: Path):
    said = cli("job", "submit", job, "--set", "run.seed=3")
    assert said.code == 0
    run_id = said.out.strip()
    assert f"podgym job logs -f {run_id}" in said.err
    followed = cli("job", "logs", "-f", run_id)
    assert followed.code == 0
    assert step_header().split()[0] in followed.out
    assert "finished after" in followed.out
    shown = cli("job", "show", run_id[:-2])
    assert re.search(r"^status +finished$", shown.out, re.MULTILINE)
    assert "2/2" in shown.out
    facts = cli("job", "show", "latest", "--json").json
    assert (facts["status"], facts["step"], facts["steps"], facts["lost"]) == ("finished", 2, 2, 0)
    assert facts["summary"]["steps"] == 2
    assert run_id in cli("job", "list").out
    assert [one["run_id"] for one in cli("job", "list", "--json").json] == [run_id]
    assert "is finished" in cli("job", "resume", run_id).err
    stopped = cli("job", "stop", run_id)
    assert (stopped.code, stopped.out.split(":")[0]) == (0, run_id)
    assert "finished" in stopped.out
    assert load_job(RunStore("runs").find(run_id).job_path).run.seed == 3


@pytest.mark.slow
@pytest.mark.usefixtures("sweeping")
def test_a_killed_driver_is_lost_resumed_and_stopped_without_a_trace(cli: Any, write_job: Any, tmp_path: Path):
    """Nothing is left: no process, mount, directory of a sandbox, or folder of Ray."""
    job = write_job(
        tmp_path / "job.toml",
        policy={"kind": "podgym_console_kit:Learner", "options": {"delay_s": 0.2}},
        sandbox={"provider": "local", "concurrency": 4, "workers": 2, "options": {"scratch": str(tmp_path / "scratch")}},
        train={"steps": 500, "group_size": 2, "groups_per_step": 2},
    )
    run_id = cli("job", "submit", job, "--json").json["run_id"]
    run = RunStore("runs").open(run_id)
    until(lambda: run_facts(run).step >= 2)
    state = run.state()
    assert state is not None and state.pid is not None
    assert os.getsid(state.pid) == state.pid, "its own session survives the shell"
    os.kill(state.pid, signal.SIGKILL)
    until(lambda: run.status() == "crashed")
    shown = cli("job", "show", run_id)
    assert "lost: its driver" in shown.out
    assert f"podgym job resume {run_id}" in shown.out
    before = run_facts(run)
    assert before.in_flight
    assert "in flight" in shown.out

    assert cli("job", "resume", run_id).code == 0
    until(lambda: run_facts(run).step >= before.step + 2)
    resumed = run_facts(run)
    assert resumed.resumed == 1
    assert resumed.lost >= 1
    assert "is running" in cli("job", "resume", run_id).err

    folder = run.state().details["ray_folder"]
    assert folder
    assert processes_naming(folder)
    said = cli("job", "stop", run_id, "--timeout-s", "30", "--json")
    assert (said.code, said.json["status"], said.json["signalled"]) == (0, "stopped", True)
    until(lambda: not processes_naming(folder), timeout_s=30)
    assert not processes_naming(run_id)
    assert not Path(folder).exists()
    assert not list((tmp_path / "scratch").glob("*")), "no sandbox's directory is left"
    assert str(tmp_path / "scratch") not in Path("/proc/self/mounts").read_text()
    for path in run.trace_paths():
        read_trace(path)
    assert cli("job", "show", run_id, "--json").json["status"] == "stopped"


@pytest.mark.slow
@pytest.mark.usefixtures("sweeping")
def test_stop_sweeps_a_run_whose_driver_was_killed(cli: Any, write_job: Any, tmp_path: Path):
    job = write_job(
        tmp_path / "job.toml",
        policy={"kind": "podgym_console_kit:Learner", "options": {"delay_s": 0.2}},
        train={"steps": 500, "group_size": 2, "groups_per_step": 2},
    )
    run = launch(Submission.new(load_job(job)))
    until(lambda: run_facts(run).step >= 1)
    state = run.state()
    assert state is not None and state.pid is not None
    os.kill(state.pid, signal.SIGKILL)
    said = cli("job", "stop", run.id)
    assert said.code == 0
    assert "was not running" in said.out
    assert "podgym job resume" in said.err
    until(lambda: not processes_naming(state.details["ray_folder"]), timeout_s=30)
    assert cli("job", "show", run.id, "--json").json["status"] == "stopped"


@pytest.mark.usefixtures("ray_here")
def test_the_foreground(cli: Any, job: Path):
    said = cli("job", "submit", job, "--foreground", "--json")
    assert said.code == 0
    assert said.json["status"] == "finished"
    lines = said.err.splitlines()
    assert lines[0].startswith("Run ")
    assert lines[1:] == [line for line in lines if line.lstrip().startswith(("step", "1/2", "2/2"))]
    words = cli("job", "submit", job, "-f", "--set", "train.steps=1")
    assert words.out.startswith("finished after")


@pytest.mark.usefixtures("ray_here")
def test_an_interrupt_in_the_foreground_stops_in_order(cli: Any, job: Path):
    def interrupt() -> None:
        until(lambda: any(run_facts(run).step >= 1 for run in RunStore("runs").runs()))
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        said = cli("job", "submit", job, "--foreground", "--set", "train.steps=500", "--set", "policy.options.delay_s=0.05")
    finally:
        thread.join()
    assert said.code == 130
    assert said.out.startswith("stopped after")
    assert "podgym job resume" in said.err


def test_a_bar_on_a_terminal(job: Path, tmp_path: Path):
    """On a pseudo-terminal, as a user sees it."""
    import pty

    master, slave = pty.openpty()
    start = "import sys; from podgym.console.cli import run; sys.exit(run(sys.argv[1:]))"
    command = [sys.executable, "-c", start, "job", "submit", str(job), "--foreground"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=slave, stdin=slave, cwd=tmp_path)
    os.close(slave)
    seen = b""
    while True:
        try:
            part = os.read(master, 4096)
        except OSError:
            break
        if not part:
            break
        seen += part
    os.close(master)
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.read().startswith(b"finished after")
    assert process.wait(30) == 0
    assert "━".encode() in seen
    assert b"2/2" in seen


@pytest.mark.slow
@pytest.mark.usefixtures("sweeping")
def test_of_two_who_resume_a_run_at_once_one_does(cli: Any, write_job: Any, tmp_path: Path):
    job = write_job(
        tmp_path / "job.toml",
        policy={"kind": "podgym_console_kit:Learner", "options": {"delay_s": 0.2}},
        train={"steps": 500, "group_size": 2, "groups_per_step": 2},
    )
    run = launch(Submission.new(load_job(job)))
    until(lambda: run_facts(run).step >= 1)
    assert cli("job", "stop", run.id).code == 0
    start = "import sys; from podgym.console.cli import run; sys.exit(run(sys.argv[1:]))"
    command = [sys.executable, "-c", start, "job", "resume", run.id]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=120) for process in both]
    codes = [process.returncode for process in both]
    assert sorted(codes) == [0, 1], said
    refusal = said[codes.index(1)][1]
    assert f"Run {run.id} is driven by process" in refusal or f"Run {run.id} is running" in refusal
    assert "Stop it first" in refusal
    until(lambda: run_facts(run).step >= 2)
    assert run_facts(run).resumed == 1


def test_a_run_is_stopped_from_any_folder(cli: Any, kit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Relative names in its provider's options mean what they meant where it was driven."""
    run = RunStore(tmp_path / "runs").create("lost")
    sandbox = {"provider": "podgym_console_kit:Noting", "options": {"note": "note"}}
    run.job_path.write_text(tomli_w.dumps({"environment": {"type": "podgym_console_kit:Echo"}, "sandbox": sandbox}))
    gone = RunState.of_this_process(name="lost", details={"cwd": str(tmp_path)}).model_copy(update={"pid_started": 1})
    run.write_state(gone)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    said = cli("job", "stop", run.id, "--directory", "../runs", "--json")
    assert (said.code, said.json["status"], said.json["sandboxes"]) == (0, "stopped", 1)
    assert (tmp_path / "note").read_text() == run.id
    assert (Path.cwd(), list(elsewhere.iterdir())) == (elsewhere, [])
    run.write_state(gone.model_copy(update={"details": {"cwd": "/nothing/here"}}))
    assert cli("job", "stop", run.id, "--directory", "../runs").code == 0
    assert (elsewhere / "note").exists(), "a folder that is gone is not looked for"


def test_a_job_that_cannot_begin_says_so_at_once(cli: Any, job: Path, tmp_path: Path):
    said = cli("job", "submit", job, "--set", "environment.options.nonsense=1")
    assert said.code == 1
    assert "has no option 'nonsense'" in said.err
    (run,) = RunStore("runs").runs()
    assert run.status() == "failed"
    shown = cli("job", "show", run.id)
    assert shown.code == 0
    assert "has no option 'nonsense'" in shown.out
    (tmp_path / "blocked").write_text("")
    blocked = cli("job", "submit", job, "--set", f"run.directory={tmp_path}/blocked/runs")
    assert blocked.code == 1
    assert "cannot be made" in blocked.err


def test_a_driver_that_says_nothing(cli: Any, job: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    mute = tmp_path / "mute"
    mute.write_text("#!/bin/sh\necho 'no such interpreter'\nexit 3\n")
    mute.chmod(0o755)
    submission = Submission.new(load_job(job))
    monkeypatch.setattr(sys, "executable", str(mute))
    with pytest.raises(SubmitError, match=r"ended before the run began\. no such interpreter"):
        launch(submission)
    mute.write_text("#!/bin/sh\nexec sleep 60\n")
    with pytest.raises(SubmitError, match=r"did not register the run within 0\.5 s"):
        launch(submission, register_s=0.5)


def driver(submission: Submission, monkeypatch: pytest.MonkeyPatch) -> tuple[int, dict[str, str]]:
    """`drive.main` in this process, as `launch` would start it; returns what it told. Output and signals stay as they are."""
    receiving, telling = os.pipe()
    document = submission.model_dump_json(exclude_none=True).encode()
    monkeypatch.setattr(sys, "argv", ["drive", "--tell", str(telling)])
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(document)))
    saved = os.dup(1), os.dup(2)
    try:
        code = driving.main()
    finally:
        for number, descriptor in enumerate(saved, 1):
            os.dup2(descriptor, number)
            os.close(descriptor)
    with os.fdopen(receiving, "rb") as answers:
        return code, json.loads(answers.readline())


@pytest.mark.usefixtures("ray_here")
def test_the_driver_tells_of_its_run(job: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    submission = Submission.new(load_job(job))
    code, told = driver(submission, monkeypatch)
    assert (code, told) == (0, {"run": submission.run_id})
    run = RunStore(submission.directory).open(submission.run_id)
    assert Submission.again(run).cwd == str(tmp_path)
    state = run.state()
    assert state is not None
    assert state.details["cwd"] == str(tmp_path)
    code, told = driver(Submission.again(run), monkeypatch)
    assert code == 1
    assert "is finished" in told["error"]


@pytest.mark.usefixtures("ray_here")
def test_the_driver_on_a_cluster_reads_its_environment(
    job: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    import logging

    submission = Submission.new(load_job(job, ["train.steps=1"]))
    monkeypatch.setattr(sys, "argv", ["drive"])
    monkeypatch.setenv(driving.VARIABLE, submission.model_dump_json(exclude_none=True))
    before = list(logging.getLogger("podgym").handlers)
    try:
        assert driving.main() == 0
    finally:
        logging.getLogger("podgym").handlers[:] = before
    said = capsys.readouterr().out
    assert "podgym.console.jobs: " in said
    assert "finished after" in said
    assert driving.VARIABLE not in os.environ


def test_the_caller_is_told_once(tmp_path: Path):
    """Its descriptor's number may be another file's by the time that a second message comes."""
    receiving, telling = os.pipe()
    caller = driving._Caller(telling)
    caller.tell({"run": "r"})
    other = os.open(tmp_path / "other", os.O_WRONLY | os.O_CREAT)
    if other != telling:
        os.dup2(other, telling)
        os.close(other)
    caller.tell({"error": "later"})
    os.close(telling)
    assert (tmp_path / "other").read_bytes() == b""
    with os.fdopen(receiving, "rb") as answers:
        assert answers.read() == b'{"run": "r"}\n'


def test_submissions_are_absolute_and_survive_json(job: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    submission = Submission.new(load_job(job, ["policy.checkpoint=weights"]), address="http://head:8265")
    assert submission.job is not None
    assert submission.job.policy.checkpoint == tmp_path / "weights"
    assert submission.job.run.directory == submission.directory == tmp_path / "runs"
    assert submission.job.ray.address == "auto"
    assert Submission.model_validate_json(submission.model_dump_json(exclude_none=True)) == submission
    run = RunStore(submission.directory).create("quick", run_id=submission.run_id)
    assert Submission.again(run).cwd == str(tmp_path), "a run without a submission is resumed from here"
    assert Submission.again(run).resumes
    (tmp_path / "elsewhere").mkdir()
    submission.model_copy(update={"cwd": str(tmp_path / "elsewhere")}).enter()
    assert Path.cwd() == tmp_path / "elsewhere"
    submission.model_copy(update={"cwd": "/nothing/here"}).enter()
    assert Path.cwd() == tmp_path / "elsewhere"


def test_facts_of_a_broken_folder(tmp_path: Path, cli: Any):
    run = RunStore(tmp_path / "runs").create("broken")
    facts = run_facts(run)
    assert (facts.status, len(facts.problems)) == ("unknown", 1)
    (run.path / "state.json").write_text("{")
    run.job_path.write_text("nonsense = 1")
    (run.path / "progress.json").write_text("[]")
    facts = run_facts(run)
    assert len(facts.problems) == 3
    said = cli("job", "show", run.id)
    assert said.code == 0
    assert "not JSON" in said.err
    assert cli("job", "stop", run.id).code == 1
    other = RunStore(tmp_path / "runs").create("other")
    other.write_state(RunState.of_this_process(name="other").model_copy(update={"host": "elsewhere"}))
    assert "Stop it on elsewhere" in cli("job", "stop", other.id).err


def test_a_log_is_followed_until_the_run_ends(tmp_path: Path):
    run = RunStore(tmp_path / "runs").create("followed")
    assert list(log_parts(run, follow=True)) == []
    state = RunState.of_this_process(name="followed")
    run.write_state(state)
    parts = log_parts(run, follow=True, every_s=0.01)
    run.log_path.write_bytes(b"one\n")
    assert next(parts) == b"one\n"
    with run.log_path.open("ab") as log:
        log.write(b"two\n")
    assert next(parts) == b"two\n"
    run.write_state(state.model_copy(update={"status": "finished"}))
    assert list(parts) == []
    assert b"".join(log_parts(run)) == b"one\ntwo\n"


def report(**fields: Any) -> StepReport:
    values: dict[str, Any] = {
        "step": 7, "steps": 100, "version": 7, "seconds": 1.5, "rollouts": 64, "solve_rate": 0.5, "reward": 0.5, "turns": 2.5,
        "tokens_per_s": 1234.5, "sandboxes_per_s": 33.3, "unscored": {}, "cached": 3, "groups": 8, "skipped": {}, "staleness": 0.0,
    }  # fmt: skip
    return StepReport(**{**values, **fields})


def test_lines_of_steps_line_up():
    header = step_header()
    line = step_line(report(trainer={"gap_with_replay": 0.00012, "gap_without_replay": 0.0345}))
    assert header.split()[:4] == ["step", "solved", "reward", "turns"]
    assert line.split() == ["7/100", "0.500", "0.500", "2.5", "64", "1234", "33.3", "0.00012", "0.03450", "1.5", "0"]
    assert line.index("7/100") + 5 == header.index("step") + 4
    assert step_line(report(unscored={"image": 1, "transport": 3})).endswith("3 transport, 1 image")


def test_lines_of_outcomes():
    values: dict[str, Any] = dict.fromkeys(("steps", "masked", "sampled_tokens", "cached_verdicts", "resumed"), 0)
    summary = RunSummary(
        run_id="r", status="finished", rollouts=10, unscored=2, unscored_by_reason={"image": 2}, lost=1, seconds=2.0, solve_rate=None,
        solve_rate_before=0.25, solve_rate_after=0.75, evaluations={}, gap_with_replay=None, gap_without_replay=None, **values,
    )  # fmt: skip
    line = outcome_line(summary)
    assert "0.250 before, 0.750 after" in line
    assert "unscored: 2 image" in line
    assert "1 lost" in line


def test_a_run_dir_is_found_from_anywhere(tmp_path: Path):
    run = RunStore(tmp_path / "runs").create("here")
    assert isinstance(run, RunDir)
    assert Submission.again(RunDir(run.path)).directory == tmp_path / "runs"
