from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from podgym_test_kit.history import History

from podgym.envs.repository import SourceRepository, open_source
from podgym.sandbox import SandboxProvider, TransportError


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path / "project")


@pytest.fixture
def source(history: History, tmp_path: Path) -> Iterator[SourceRepository]:
    with open_source(history.path, tmp_path / "cache") as opened:
        yield opened


@pytest.fixture
async def docker_provider() -> AsyncIterator[SandboxProvider]:
    pytest.importorskip("docker", reason="the Docker SDK is not installed (extra [docker])")
    from podgym.sandbox.docker import DockerConfig, DockerProvider

    try:
        opened = DockerProvider(DockerConfig(build_network="host", connect_timeout_s=30.0))
    except TransportError as error:
        pytest.skip(f"no Docker engine: {error.message}")
    yield opened
    await opened.close()


@pytest.fixture
def built_images() -> Iterator[set[str]]:
    """Names of images to remove in the end."""
    import docker

    names: set[str] = set()
    yield names
    client = docker.APIClient()
    for name in names:
        client.remove_image(name, force=True)
    client.close()
