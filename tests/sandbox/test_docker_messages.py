"""What a build's messages mean, without an engine."""

from __future__ import annotations

import asyncio
import io
import tarfile
from typing import Any

import pytest

from podgym.sandbox import Copy, ImageError, ImageRecipe, Step

pytest.importorskip("docker", reason="the Docker SDK is not installed (extra [docker])")

from podgym.sandbox.docker.config import DockerConfig
from podgym.sandbox.docker.images import _Build, _pack
from podgym.sandbox.dockerfile import BuildSettings, dockerfile

RECIPE = ImageRecipe(
    base="debian:12",
    packages=("git",),
    before=(Step(run="first", timeout_s=7), Step(run="second", timeout_s=8)),
    copies=(Copy(source="repo.tar", target="/testbed"),),
    after=(Step(run="third", timeout_s=9),),
)


class Following:
    """A build up to some line, with a log."""

    def __init__(self, recipe: ImageRecipe = RECIPE, *, bundle: bool = True) -> None:
        self.lines = dockerfile(recipe, BuildSettings(ca_bundle="ca.pem" if bundle else None)).splitlines()
        self.build = _Build(recipe, self.lines, "podgym/x", total_s=1000.0)
        self.bound = asyncio.timeout(None)

    async def until(self, text: str) -> Following:
        await self.bound.__aenter__()
        for number, line in enumerate(self.lines, 1):
            self.say(f"Step {number}/{len(self.lines)} : {line}")
            self.say("\n ---> Running in 0123456789ab\n")
            if text in line:
                return self
        raise AssertionError(text)

    def say(self, text: str, **rest: Any) -> None:
        self.build.take({"stream": text, **rest}, self.bound)

    def left_s(self) -> float:
        when = self.bound.when()
        assert when is not None
        return when - asyncio.get_running_loop().time()

    def fail(self, said: str) -> ImageError:
        with pytest.raises(ImageError) as caught:
            self.build.take({"error": said}, self.bound)
        return caught.value


@pytest.mark.parametrize(
    ("text", "step", "message", "bound_s"),
    [
        ("FROM", None, "Building podgym/x from debian:12 failed: the /bin/sh returned a non-zero code: 5 (at FROM debian:12)", 1000),
        ("apt-get", None, "Installing the recipe's packages failed with exit code 5: git", 1000),
        ('"first"', 0, "Step 1 of the recipe failed with exit code 5: first", 7),
        ('"second"', 1, "Step 2 of the recipe failed with exit code 5: second", 8),
        ("ADD", None, "Building podgym/x from debian:12 failed: the", 1000),
        ('"third"', 2, "Step 3 of the recipe failed with exit code 5: third", 9),
        ("rm -f /usr/local/share", None, "Building podgym/x from debian:12 failed with exit code 5 (at RUN", 1000),
    ],
)
@pytest.mark.parametrize("bundle", [True, False])
async def test_a_failure_is_of_its_line(text, step, message, bound_s, bundle):
    if not bundle and "rm -f" in text:
        return
    following = await Following(bundle=bundle).until(text)
    assert following.left_s() == pytest.approx(bound_s, abs=0.5)
    following.say("\x1b[91mwhy\n\x1b[0m")
    following.say("Removing intermediate container 0123456789ab\n")
    error = following.fail("the /bin/sh returned a non-zero code: 5")
    assert error.message.startswith(message)
    assert error.message.endswith("why")
    assert (error.step, error.log, error.timed_out) == (step, "why\n", False)


async def test_without_packages_the_first_command_is_the_first_step():
    following = await Following(RECIPE.model_copy(update={"packages": ()})).until('"first"')
    assert following.build.failed("did not end in time", remedy="x", timed_out=True).step == 0


async def test_a_step_cannot_lead_out_of_the_file():
    following = await Following().until('"third"')
    count = len(following.lines)
    for said in (f"Step 999/{count} : x", "Step 1/1 : x", f"Step {count}/{count + 1} : x", f"Step 1/{count} : x"):
        following.say(said)
    assert following.fail("returned a non-zero code: 3").step == 2
    for number in range(count + 5):
        following.say(f"Step {number}/{count} : x")
    assert following.fail("returned a non-zero code: 3").message


async def test_a_log_is_kept_to_its_end():
    following = await Following().until('"first"')
    for number in range(20_000):
        following.say(f"line {number}\n")
    error = following.fail("returned a non-zero code: 1")
    assert len(error.log) == 65_536
    assert error.log.endswith("line 19999\n")
    assert len(error.message) < 5000


def test_contexts_are_equal_whoever_packs_them(tmp_path):
    packed = []
    for number, mode in ((1, 0o600), (2, 0o664)):
        folder = tmp_path / str(number)
        (folder / "data").mkdir(parents=True, mode=0o700 if number == 1 else 0o775)
        (folder / "data/file").write_text("x")
        (folder / "data/file").chmod(mode)
        (folder / "data/run").write_text("x")
        (folder / "data/run").chmod(mode | 0o100)
        (folder / "data/link").symlink_to("file")
        archive = io.BytesIO()
        recipe = ImageRecipe(base="debian:12", copies=(Copy(source="data", target="/data"),))
        _pack(archive, {"Dockerfile": b"FROM x\n"}, recipe, folder, None)
        archive.seek(0)
        with tarfile.open(fileobj=archive) as tar:
            packed.append([(e.name, e.mode, e.uid, e.gid, e.uname, e.gname, e.size, e.linkname) for e in sorted(tar, key=lambda e: e.name)])
    assert packed[0] == packed[1]
    assert {entry[0]: oct(entry[1]) for entry in packed[0] if "link" not in entry[0]} == {
        "Dockerfile": "0o644",
        "data": "0o755",
        "data/file": "0o644",
        "data/run": "0o755",
    }


def test_certificates_are_those_of_the_machine(tmp_path, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    assert DockerConfig().build_ca_bundle is None
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    assert DockerConfig().build_ca_bundle is None
    (tmp_path / "ca.pem").write_text("x")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    assert DockerConfig().build_ca_bundle == tmp_path / "ca.pem"
    assert DockerConfig.model_validate({"build_ca_bundle": ""}).build_ca_bundle is None
