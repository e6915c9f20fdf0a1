"""Jobs whose sandboxes are containers: killed or stopped in mid-run, they leave none behind."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from podgym.console.jobs import run_facts
from podgym.traces.file import read_trace
from podgym.traces.store import RunStore

pytestmark = [
    pytest.mark.docker,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore:.*:ResourceWarning"),  # Ray leaves files to the collector
]
IMAGE = "debian:bookworm"


def until(condition: Callable[[], Any], *, timeout_s: float = 180.0) -> Any:
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.1)
    return found


@pytest.fixture
def containers() -> Iterator[Callable[..., list[str]]]:
    """Ids of the containers of a run, whatever state they are in; of those, with a second argument, whose owner's name has that in it."""
    docker = pytest.importorskip("docker", reason="the Docker SDK is not installed (extra [docker])")
    try:
        client = docker.from_env(timeout=60)
        client.images.get(IMAGE)
    except docker.errors.DockerException as error:
        pytest.skip(f"no Docker engine with {IMAGE}: {error}")
    # The high-level list inspects each, and fails where one goes away meanwhile.

    def found(run_id: str, owner: str = "") -> list[str]:
        listed = client.api.containers(all=True, filters={"label": f"podgym.run={run_id}"})
        return [one["Id"] for one in listed if owner in one["Labels"].get("podgym.owner", "")]

    yield found
    client.close()


@pytest.mark.parametrize(
    "killed", ["", "driver", "worker-0"], ids=["stopped", "driver killed, then stopped", "worker killed, then stopped"]
)
def test_no_container_outlives_a_stopped_job(cli: Any, write_job: Any, tmp_path: Any, containers: Any, killed: str):
    job = write_job(
        tmp_path / "job.toml",
        environment={"type": "podgym_console_kit:Echo", "options": {"image": IMAGE}},
        policy={"kind": "podgym_console_kit:Learner", "options": {"delay_s": 0.5}},
        sandbox={"provider": "docker", "concurrency": 4, "workers": 1},
        train={"steps": 500, "group_size": 2, "groups_per_step": 2},
    )
    submitted = cli("job", "submit", job, "--json")
    assert submitted.code == 0, submitted.err
    run = RunStore("runs").open(submitted.json["run_id"])
    try:
        until(lambda: run_facts(run).step >= 1)
        until(lambda: containers(run.id))
        state = run.state()
        assert state is not None and state.pid is not None
        if killed == "driver":
            os.kill(state.pid, signal.SIGKILL)
            until(lambda: run.status() == "crashed")
        elif killed:
            victim = state.details["processes"][killed]["pid"]
            until(lambda: containers(run.id, f"/{victim}/"))
            os.kill(victim, signal.SIGKILL)
            until(lambda: run_facts(run).lost)
            until(lambda: not containers(run.id, f"/{victim}/"))
            before = run_facts(run).step
            until(lambda: run_facts(run).step > before)
    finally:
        said = cli("job", "stop", run.id, "--timeout-s", "60")
    assert said.code == 0, said.err
    assert not containers(run.id)
    for path in run.trace_paths():
        read_trace(path)
    assert cli("job", "show", run.id, "--json").json["status"] == "stopped"
