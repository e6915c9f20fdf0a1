"""A fake API server, and clients for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml
from podgym_k8s_kit import FakeApi

from podgym.k8s.api import ApiClient, Credentials


@pytest.fixture
async def api() -> AsyncIterator[FakeApi]:
    async with FakeApi() as opened:
        yield opened


@pytest.fixture
def kubeconfig(api: FakeApi, tmp_path: Path) -> Path:
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump(api.kubeconfig()))
    return file


@pytest.fixture
async def client(kubeconfig: Path) -> AsyncIterator[ApiClient]:
    pytest.importorskip("kubernetes", reason="the Kubernetes client is not installed (extra [k8s])")
    opened = ApiClient(Credentials.load(kubeconfig))
    yield opened
    await opened.close()
