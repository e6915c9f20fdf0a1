from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.fixture(scope="session")
def index(tmp_path_factory: pytest.TempPathFactory) -> None:
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(tmp_path_factory.mktemp("d")), "iniconfig"]
    if subprocess.run(command, capture_output=True, timeout=120, check=False).returncode:
        pytest.skip("needs a package index that pip can reach")
