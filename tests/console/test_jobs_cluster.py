"""Jobs handed to a Ray cluster: a head and a second node, each with folders and ports of its own, in processes of this machine.

The cluster's nodes import podgym from what was shipped, not from the checkout.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ray.job_submission import JobSubmissionClient

from podgym.console.jobs import run_facts
from podgym.console.jobs.cluster import ClusterJobs
from podgym.rollout.leftovers import processes_of
from podgym.traces.events import Created
from podgym.traces.file import read_trace
from podgym.traces.store import RunStore

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(400),
    pytest.mark.filterwarnings("ignore:.*:ResourceWarning"),  # Ray leaves files and sockets to the collector
]
RAY = [sys.executable, "-m", "ray.scripts.scripts"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(condition: Callable[[], Any], *, timeout_s: float = 120.0) -> Any:
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.5)
    return found


def end(folder: Path) -> None:
    """Every process that names `folder`, and the folder."""
    for number, patience_s in ((signal.SIGTERM, 8.0), (signal.SIGKILL, 8.0)):
        for pid in processes_of(folder):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue
        deadline = time.monotonic() + patience_s
        while processes_of(folder) and time.monotonic() < deadline:
            time.sleep(0.1)
    assert not processes_of(folder)
    shutil.rmtree(folder)


@dataclass(frozen=True)
class Cluster:
    address: str
    nodes: Path


def start_node(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """`ray start --block`: the node's processes end with it."""
    (folder / "home").mkdir(parents=True)
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
        "RAY_enable_metrics_collection": "0",
        "RAY_DISABLE_MEMORY_MONITOR": "1",
    }
    command = [*RAY, "start", "--block", "--disable-usage-stats", "--num-cpus=2", "--object-store-memory=80000000", *arguments]
    with (folder / "output").open("wb") as output:
        return subprocess.Popen(command, env=environment, cwd=folder / "home", stdout=output, stderr=output, start_new_session=True)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    folder = Path(tempfile.mkdtemp(prefix="pgc-", dir="/tmp"))  # short: Ray puts sockets below it, whose names have 107 bytes
    port, dashboard = free_port(), free_port()
    try:
        head = (
            "--head", f"--port={port}", "--node-ip-address=127.0.0.1", "--include-dashboard=true", "--dashboard-host=127.0.0.1",
            f"--dashboard-port={dashboard}", f"--dashboard-agent-listen-port={free_port()}", f"--temp-dir={folder}/a",
            f"--ray-client-server-port={free_port()}", "--resources={\"head\": 1}",
        )  # fmt: skip
        start_node(folder / "one", *head)
        address = f"http://127.0.0.1:{dashboard}"
        until(lambda: answers(f"{address}/api/version"))
        second = (
            f"--address=127.0.0.1:{port}", "--node-ip-address=127.0.0.1", f"--dashboard-agent-listen-port={free_port()}",
            "--resources={\"second\": 1}",
        )  # fmt: skip
        start_node(folder / "two", *second)
        until(lambda: alive(port) == 2)
        yield Cluster(address, folder)
    finally:
        for output in folder.glob("*/output"):
            sys.stdout.write(output.read_text(errors="replace")[-3000:])
        end(folder)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def alive(port: int) -> int:
    from ray._raylet import GcsClient

    try:
        nodes = GcsClient(address=f"127.0.0.1:{port}").get_all_node_info()
    except Exception:  # noqa: BLE001 - not up yet
        return 0
    return sum(node.state == 0 for node in nodes.values())


@pytest.fixture
def package(kit: Path, tmp_path: Path) -> Path:
    """The kit as a package, which is what a cluster takes."""
    folder = tmp_path / "podgym_console_kit"
    folder.mkdir()
    shutil.copyfile(kit / "podgym_console_kit.py", folder / "__init__.py")
    return folder


def submit(cli: Any, cluster: Cluster, job: Path, package: Path, *more: str) -> dict[str, Any]:
    said = cli("job", "submit", job, "--address", cluster.address, "--py-module", package, "--json", *more)
    assert said.code == 0, said.err
    return said.json


SPREAD = {"worker_cpus": 1.5}
"""Of two processors a node: each of two workers gets a node of its own."""


def test_a_job_runs_on_both_nodes_with_this_podgym(cli: Any, cluster: Cluster, write_job: Any, package: Path, tmp_path: Path):
    note = tmp_path / "note"
    job = write_job(
        tmp_path / "job.toml",
        policy={"kind": "podgym_console_kit:Learner", "options": {"note": str(note), "delay_s": 0.2}},
        sandbox={"provider": "local", "concurrency": 4, "workers": 2},
        train={"steps": 6, "group_size": 2, "groups_per_step": 2},
        ray=SPREAD,
    )
    submitted = submit(cli, cluster, job, package)
    run_id = submitted["run_id"]
    run = until(lambda: next(iter(RunStore(tmp_path / "runs").runs()), None))
    assert run.id == run_id
    until(lambda: {"worker-0", "worker-1"} <= processes_of_run(run).keys())
    processes = processes_of_run(run)
    homes = {environment(processes[name]["pid"])["HOME"] for name in ("worker-0", "worker-1")}
    assert homes == {str(cluster.nodes / node / "home") for node in ("one", "two")}
    followed = cli("job", "logs", "-f", run_id, "--address", cluster.address)
    assert followed.code == 0
    assert "6/6" in followed.out
    assert "finished after" in followed.out
    shown = cli("job", "show", run_id, "--address", cluster.address, "--json").json
    assert (shown["run_id"], shown["status"], shown["directory"]) == (run_id, "succeeded", str(tmp_path / "runs"))
    assert run_id in cli("job", "list", "--address", cluster.address).out
    assert [one["run_id"] for one in cli("job", "list", "--address", cluster.address, "--json").json] == [run_id]
    assert cli("job", "show", run_id, "--address", cluster.address).out.startswith(run_id)
    facts = run_facts(run)
    assert (facts.status, facts.step) == ("finished", 6)
    origin = note.read_text()
    assert "py_modules" in origin, "what was shipped, not the checkout"
    assert {read_trace(path).events(Created)[0].run_id for path in run.trace_paths()} == {run_id}


def test_a_job_is_stopped_resumed_and_stopped(cli: Any, cluster: Cluster, write_job: Any, package: Path, tmp_path: Path):
    job = write_job(
        tmp_path / "job.toml",
        policy={"kind": "podgym_console_kit:Learner", "options": {"delay_s": 0.2}},
        sandbox={"provider": "local", "concurrency": 4, "options": {"scratch": str(tmp_path / "scratch")}},
        train={"steps": 500, "group_size": 2, "groups_per_step": 2},
    )
    run_id = submit(cli, cluster, job, package)["run_id"]
    run = RunStore(tmp_path / "runs").open(until(lambda: next((one.id for one in RunStore(tmp_path / "runs").runs()), None)))
    until(lambda: run_facts(run).step >= 1)
    refused = cli("job", "resume", run_id, "--address", cluster.address, "--py-module", package)
    assert (refused.code, refused.out) == (1, "")
    assert f"Run {run_id} is running on {cluster.address}, as {run_id}." in refused.err
    assert f"podgym job stop {run_id} --address {cluster.address}" in refused.err
    said = cli("job", "stop", run_id[:-1], "--address", cluster.address, "--json")
    assert (said.code, said.json["status"]) == (0, "stopped")
    assert run_facts(run).status == "stopped"
    assert not list((tmp_path / "scratch").glob("*"))
    step = run_facts(run).step
    resumed = cli("job", "resume", run_id, "--address", cluster.address, "--py-module", package)
    assert (resumed.code, resumed.out) == (0, f"{run_id}\n")
    until(lambda: run_facts(run).step > step)
    assert run_facts(run).resumed == 1
    third = another_life(cluster, run_id, f"{run_id}.3")
    again = cli("job", "stop", run_id, "--address", cluster.address)
    assert again.code == 0
    lives = JobSubmissionClient(cluster.address)
    assert {str(lives.get_job_status(life)) for life in (f"{run_id}.2", third)} <= {"STOPPED", "FAILED"}, "every life is stopped"
    assert run_facts(run).status == "stopped"
    assert "stopped" in again.out
    assert third in again.out
    assert "An empty id names no job" in cli("job", "stop", "", "--address", cluster.address).err
    assert "fit 'nothing'" in cli("job", "show", "nothing", "--address", cluster.address).err
    assert cli("job", "submit", job, "--foreground", "--address", cluster.address).code == 2


def another_life(cluster: Cluster, run_id: str, name: str) -> str:
    """What two submissions at the same moment leave: a second driver of the run, which here does nothing but live."""
    client = JobSubmissionClient(cluster.address)
    (first,) = (job for job in client.list_jobs() if job.submission_id == run_id)
    client.submit_job(entrypoint="sleep 600", submission_id=name, metadata=first.metadata)
    until(lambda: str(client.get_job_status(name)) == "RUNNING")
    return name


def test_a_job_without_its_package_fails_and_says_so(cli: Any, cluster: Cluster, write_job: Any, tmp_path: Path):
    job = write_job(tmp_path / "job.toml")
    said = cli("job", "submit", job, "--address", cluster.address)
    assert said.code == 0
    run_id = said.out.strip()
    jobs = ClusterJobs(cluster.address)
    ended = jobs.wait(jobs.find(run_id), timeout_s=120)
    assert ended.status == "failed"
    assert "podgym_console_kit" in "".join(jobs.logs(ended))


def processes_of_run(run: Any) -> dict[str, Any]:
    state = run.state()
    return (state.details.get("processes") or {}) if state is not None else {}


def environment(pid: int) -> dict[str, str]:
    pairs = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return dict(pair.decode().split("=", 1) for pair in pairs if b"=" in pair)
