"""Generated repositories, built and validated in local sandboxes by the tools of this machine and of the registries that it reaches."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from podgym.envs.build import BuildOptions, BuildReport, build_task
from podgym.sandbox.local import LocalConfig, LocalProvider

PROBES: Mapping[str, tuple[str, ...]] = {
    "PyPI": ("python3", "-m", "pip", "download", "-q", "--no-deps", "-d", "{place}", "iniconfig"),
    "npm's registry": ("npm", "view", "ms@2.0.0", "dist.integrity", "--fetch-retries=0", "--cache={place}"),
    "crates.io": ("cargo", "fetch", "--manifest-path={place}/Cargo.toml"),
    "Maven's repository": ("mvn", "-B", "-q", "dependency:get", "-Dartifact=junit:junit:4.13.2", "-Dmaven.repo.local={place}"),
}
CRATE = '[package]\nname = "probe"\nversion = "0.1.0"\nedition = "2021"\n[lib]\npath = "lib.rs"\n[dependencies]\ncfg-if = "=1.0.0"\n'


class Machine:
    """What is installed here and what is in reach; each is asked once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._reached: dict[str, subprocess.CompletedProcess[str]] = {}

    def needs(self, *programs: str) -> None:
        """Skips the test where one of them is not installed."""
        if missing := [program for program in programs if shutil.which(program) is None]:
            pytest.skip(f"not installed: {', '.join(missing)}")

    def needs_file(self, path: str) -> None:
        """Skips the test where it is not there."""
        if not Path(path).exists():
            pytest.skip(f"{path} is not there")

    def reaches(self, registry: str) -> str:
        """What the probe printed; skips the test where it fails."""
        words = PROBES[registry]
        self.needs(words[0])
        if registry not in self._reached:
            place = self._folder / registry.replace("/", "-")
            place.mkdir()
            (place / "Cargo.toml").write_text(CRATE)
            (place / "lib.rs").touch()
            asked = [word.replace("{place}", str(place)) for word in words]
            env = {**os.environ, "CARGO_HOME": str(place)}
            self._reached[registry] = subprocess.run(
                asked, cwd=place, env=env, capture_output=True, text=True, check=False, timeout=300, stdin=subprocess.DEVNULL
            )
        if self._reached[registry].returncode:
            pytest.skip(f"{registry} is not in reach")
        return self._reached[registry].stdout.strip()


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    return Machine(tmp_path_factory.mktemp("probes"))


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Layers of all tests, so that equal ones are made once."""
    return tmp_path_factory.mktemp("images")


def certificates() -> Path | None:
    """What this machine's own tools are told to trust, where they are."""
    named = os.environ.get("NODE_EXTRA_CA_CERTS") or os.environ.get("SSL_CERT_FILE")
    return Path(named) if named and Path(named).is_file() else None


class Builder:
    """Builds the last commit of a history of its own."""

    def __init__(self, history: Any, folder: Path, images: Path) -> None:
        self.history, self._folder, self._images = history, folder, images

    async def __call__(
        self, base: Mapping[str, str | bytes], fix: Mapping[str, str | bytes | None], *, message: str = "Adding subtracts", **options: Any
    ) -> BuildReport:
        self.history.commit("start", base)
        commit = self.history.commit(message, fix)
        provider = LocalProvider(LocalConfig(cache=self._images, scratch=self._folder / "scratch"))
        settings = BuildOptions(**{"repeats": 1, "decoys": False, "repairs": 0, "ca_bundle": certificates(), **options})
        try:
            return await build_task(self.history.path, commit, self._folder / "tasks", provider=provider, options=settings, progress=print)
        finally:
            await provider.close()


@pytest.fixture
def build(history: Any, tmp_path: Path, images: Path) -> Builder:
    return Builder(history, tmp_path, images)


def _turned(report: BuildReport, fail_to_pass: set[str], pass_to_pass: set[str]) -> None:
    assert report.status == "validated", f"{report.stage}/{report.reason}: {report.message}\n{report.details}"
    assert (set(report.fail_to_pass), set(report.pass_to_pass)) == (fail_to_pass, pass_to_pass)


@pytest.fixture(scope="session")
def turned() -> Any:
    """Asserts that a build went well, with exactly these ids."""
    return _turned
