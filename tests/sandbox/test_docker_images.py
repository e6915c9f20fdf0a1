"""Images of the Docker provider: built for real, and every way in which there is none."""

from __future__ import annotations

import asyncio
import fcntl
import io
import os
import pickle
import tarfile
import tempfile
import time
import uuid
from pathlib import Path

import docker
import pytest
import pytest_asyncio

from podgym.sandbox import Copy, ImageError, ImageRecipe, KnowsBases, SandboxSpec, Step, TransportError

pytestmark = [pytest.mark.docker, pytest.mark.asyncio(loop_scope="session")]

BASE = "debian:bookworm"
MARK = f"t{uuid.uuid4().hex}"


def _is_ours(client, image):
    try:
        return f"MARK={MARK}" in (client.api.inspect_image(image)["Config"]["Env"] or ())
    except docker.errors.NotFound:
        return False


@pytest.fixture(scope="module")
def engine():
    """Every image of these tests, finished or not, carries a mark in its environment by which it is removed in the end."""
    client = docker.from_env()
    yield client
    while True:
        left = [image for image in client.api.images(all=True, quiet=True) if _is_ours(client, image)]
        if not left:
            break
        for image in left:
            try:
                client.api.remove_image(image, force=True)
            except docker.errors.APIError:
                time.sleep(0.2)  # a parent of one that another turn removes, or a build that is just ending
    client.close()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def kit(docker_kit, engine):
    opened = docker_kit()
    yield opened
    await opened.provider.close()


@pytest_asyncio.fixture(loop_scope="session")
async def opened(docker_kit, engine):
    """Makes providers of this test."""
    made = []

    def make(**changes):
        made.append(docker_kit(**changes))
        return made[-1].provider

    yield make
    for each in made:
        await each.provider.close()


def spec(recipe, context=None, **changes):
    return SandboxSpec(image="by recipe", recipe=recipe, context=str(context) if context else None, labels={"run": "images"}, **changes)


def recipe(**changes):
    changes["env"] = {"MARK": MARK} | changes.get("env", {})
    return ImageRecipe(base=BASE, **changes)


async def seen(provider, wanted, script):
    sandbox = await provider.create(wanted)
    try:
        result = await sandbox.run(script, timeout_s=30)
        assert result.exit_code == 0, result
        return result.stdout.text()
    finally:
        await sandbox.close()


def context_in(folder: Path) -> Path:
    with tarfile.open(folder / "repo.tar", "w") as tar:
        for name, data, mode in (("src/run.sh", b"echo ran\n", 0o755), ("naïve file", b"x", 0o644)):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), mode
            tar.addfile(entry, io.BytesIO(data))
    (folder / "data/sub").mkdir(parents=True)
    (folder / "data/sub/file").write_text("deep")
    (folder / "data/link").symlink_to("sub/file")
    (folder / "needs.txt").write_text("need\n")
    return folder


class TestBuilding:
    async def test_a_recipe_with_everything(self, kit, tmp_path):
        whole = recipe(
            workdir="/testbed",
            env={"GREETING": "a \"b\" $PATH \\ 'c'"},
            before_copies=(Copy(source="needs.txt", target="/tmp/needs.txt"),),
            before=(Step(run="cp /tmp/needs.txt /opt/needs\npwd > /opt/where"),),
            copies=(Copy(source="repo.tar", target="/testbed"), Copy(source="data", target="/srv/data")),
            after=(Step(run="sh src/run.sh > ran && printf '%s' \"$GREETING\" > greeting"),),
        )
        script = (
            "cat /opt/needs /opt/where ran greeting; echo; echo \"$GREETING\"; ls; cat 'naïve file' /srv/data/sub/file; cat /srv/data/link"
        )
        lines = (await seen(kit.provider, spec(whole, context_in(tmp_path), workdir="/testbed"), script)).splitlines()
        greeting = "a \"b\" $PATH \\ 'c'"
        assert lines == ["need", "/testbed", "ran", greeting, greeting, "greeting", "naïve file", "ran", "src", "xdeepdeep"]

    async def test_an_image_is_built_once_for_all(self, kit, opened):
        once = spec(recipe(after=(Step(run="cat /proc/sys/kernel/random/uuid > /id"),)))
        ids = await asyncio.gather(*(seen(provider, once, "cat /id") for provider in (kit.provider, kit.provider, opened())))
        assert len(set(ids)) == 1

    async def test_a_changed_context_is_another_image(self, kit, tmp_path):
        copying = recipe(copies=(Copy(source="file", target="/file"),))
        for text in ("one", "another"):
            (tmp_path / "file").write_text(text)
            assert await seen(kit.provider, spec(copying, tmp_path), "cat /file") == text

    async def test_what_only_the_build_needs(self, opened, tmp_path):
        (tmp_path / "ca.pem").write_text("certificates")
        provider = opened(
            build_args={"PIP_INDEX_URL": "https://example.org/simple", "no_proxy": "example.org"}, build_ca_bundle=tmp_path / "ca.pem"
        )
        tell = recipe(after=(Step(run='echo "$PIP_INDEX_URL $no_proxy" > /told; cat /usr/local/share/podgym-ca.pem >> /told'),))
        said = await seen(provider, spec(tell), 'cat /told; echo; echo "[$PIP_INDEX_URL$no_proxy]"')
        assert said.splitlines() == ["https://example.org/simple example.org", "certificates", "[]"]
        kept = await seen(provider, spec(tell), "ls -A /usr/local/share; env")
        assert "podgym-ca" not in kept

    async def test_certificates_do_not_change_the_name(self, engine, kit, opened, tmp_path):
        (tmp_path / "ca.pem").write_text("certificates")
        once = spec(recipe(after=(Step(run="cat /proc/sys/kernel/random/uuid > /id"),)))
        first = await seen(kit.provider, once, "cat /id")
        assert await seen(opened(build_ca_bundle=tmp_path / "ca.pem"), once, "cat /id") == first

    async def test_directories_to_write_to_are_there_before_the_first_step(self, kit):
        whole = recipe(
            workdir="/testbed", writable=("/opt/podgym", "/srv/a/b"), before=(Step(run="pwd; test -d /opt/podgym -a -d /srv/a/b"),)
        )
        assert await seen(kit.provider, spec(whole, workdir="/testbed"), "pwd; ls -d /opt/podgym") == "/testbed\n/opt/podgym\n"

    @pytest.mark.slow
    async def test_packages_are_there_before_the_first_step(self, kit):
        whole = recipe(
            packages=("bison", "no-such-package-of-anyone", "libfoo.bar"),
            writable=("/opt/podgym",),
            before=(Step(run="bison --version > /opt/podgym/version"),),
        )
        try:
            said = await seen(
                kit.provider, spec(whole), "head -n 1 /opt/podgym/version; cat /opt/podgym/install.log; ls /var/lib/apt/lists"
            )
        except ImageError as error:
            if error.step is None and "apt-get" in error.message:
                pytest.skip("no package sources are reached from here")
            raise
        first, *rest = said.splitlines()
        assert first.startswith("bison")
        assert rest == ["not installed: no-such-package-of-anyone", "not installed: libfoo.bar"]

    async def test_recipes_that_are_equal_up_to_before_share_those_layers(self, engine, kit, tmp_path):
        """From contexts of their own, whose files differ in owner, mode and time but not in content."""
        ids, layers = set(), []
        for number in (1, 2):
            context = tmp_path / str(number)
            context.mkdir()
            with tarfile.open(context / "manifests.tar", "w") as tar:
                entry = tarfile.TarInfo("go.mod")
                entry.size = 5
                tar.addfile(entry, io.BytesIO(b"x\ny\nz"))
            (context / "manifests.tar").chmod(0o600 if number == 1 else 0o664)
            os.utime(context / "manifests.tar", (number, number))
            (context / "repo.tar").write_bytes(_tar_of(f"file-{number}"))
            shared = recipe(
                writable=("/opt/podgym",),
                before_copies=(Copy(source="manifests.tar", target="/testbed"),),
                before=(Step(run="cat /testbed/go.mod /proc/sys/kernel/random/uuid > /opt/podgym/id"),),
                copies=(Copy(source="repo.tar", target="/testbed"),),
                after=(Step(run=f"echo {number} > /number"),),
            )
            ids.add(await seen(kit.provider, spec(shared, context), "cat /opt/podgym/id"))
            assert await seen(kit.provider, spec(shared, context), "cat /number; ls /testbed") == f"{number}\nfile-{number}\ngo.mod\n"
            found = await asyncio.to_thread(engine.api.inspect_image, f"podgym/{shared.digest(context)}")
            layers.append(found["RootFS"]["Layers"])
        assert len(ids) == 1, "the step has run once"
        same = [one == other for one, other in zip(*layers, strict=True)]
        own = 2 + bool(kit.provider._config.build_ca_bundle)
        assert same.index(False) == len(same) - own, "the repository's layer is the first that differs"

    async def test_tags_are_bases(self, engine, kit):
        assert isinstance(kit.provider, KnowsBases)
        bases = await kit.provider.bases()
        assert BASE in bases
        assert "<none>:<none>" not in bases

    async def test_an_image_that_was_removed_is_built_again(self, engine, kit):
        wanted = spec(recipe(after=(Step(run="echo again > /again"),)))
        assert await seen(kit.provider, wanted, "cat /again") == "again\n"
        engine.images.remove(f"podgym/{wanted.recipe.digest(None)}", force=True)
        assert await seen(kit.provider, wanted, "cat /again") == "again\n"


class TestFailing:
    async def test_a_failing_step(self, kit):
        failing = recipe(
            before=(Step(run="echo first; true"),), after=(Step(run="for i in 1 2 3; do echo line $i; done\necho bad >&2\nexit 7"),)
        )
        with pytest.raises(ImageError, match="Step 2 of the recipe failed with exit code 7: for i in") as caught:
            await kit.provider.create(spec(failing))
        assert failing.after[0].run in caught.value.message
        assert "line 3" in caught.value.message
        assert "bad" in caught.value.message
        assert "first" not in caught.value.message
        assert (caught.value.step, caught.value.timed_out) == (1, False)
        # The engine reads the two streams apart.
        assert sorted(caught.value.log.splitlines()) == ["bad", "line 1", "line 2", "line 3"]
        assert caught.value.remedy

    async def test_a_step_that_does_not_end(self, kit):
        endless = recipe(after=(Step(run="echo begun; sleep 600", timeout_s=1.5),))
        with pytest.raises(ImageError, match=r"Step 1 of the recipe did not end in time: echo begun(.|\n)*begun") as caught:
            await kit.provider.create(spec(endless))
        assert (caught.value.step, caught.value.timed_out, caught.value.log) == (0, True, "begun\n")

    async def test_a_long_log_is_kept_to_its_end(self, kit):
        loud = recipe(after=(Step(run="i=0; while [ $i -lt 9000 ]; do echo line $i; i=$((i + 1)); done; exit 1"),))
        with pytest.raises(ImageError) as caught:
            await kit.provider.create(spec(loud))
        error = pickle.loads(pickle.dumps(caught.value))
        assert len(error.log) == 65_536
        assert error.log.endswith("line 8999\n")
        assert len(error.message) < 5000

    async def test_a_step_that_talks_like_the_engine(self, kit):
        liar = recipe(
            after=(Step(run='for i in 1 2 3 90 999; do echo; echo "Step $i/4 : RUN x"; sleep 0.1; done; exit 3'), Step(run="true"))
        )
        with pytest.raises(ImageError, match="exit code 3") as caught:
            await kit.provider.create(spec(liar))
        assert caught.value.step in (0, 1)

    async def test_packages_that_cannot_be_installed(self, kit):
        broken = recipe(packages=("git",), before=(Step(run="true"),), env={"PATH": "/nowhere"})
        with pytest.raises(ImageError, match="Installing the recipe's packages failed with exit code 1: git") as caught:
            await kit.provider.create(spec(broken))
        assert caught.value.step is None
        assert "apt-get" in caught.value.log

    async def test_a_base_that_is_not_there(self, kit):
        nowhere = ImageRecipe(base="127.0.0.1:9/no/such:image", after=(Step(run="true"),))
        with pytest.raises(ImageError, match=r"from 127\.0\.0\.1:9/no/such:image failed") as caught:
            await kit.provider.create(spec(nowhere))
        assert caught.value.step is None

    async def test_a_context_that_cannot_be_packed(self, opened, tmp_path):
        provider = opened(build_ca_bundle=tmp_path / "missing.pem")
        with pytest.raises(ImageError, match="cannot be packed"):
            await provider.create(spec(recipe(after=(Step(run="echo packed"),))))

    async def test_a_recipe_that_copies_from_nowhere(self, kit):
        with pytest.raises(ImageError, match="no context directory"):
            await kit.provider.create(spec(recipe(copies=(Copy(source="x", target="/x"),))))

    async def test_cancelling_a_build_ends_it(self, engine, kit):
        slow = recipe(after=(Step(run=f"sleep 600; : {MARK}"),))
        building = asyncio.create_task(kit.provider.create(spec(slow)))

        def containers():
            return [each for each in engine.api.containers(all=True) if MARK in each["Command"]]

        for _ in range(200):
            if await asyncio.to_thread(containers):
                break
            await asyncio.sleep(0.1)
        building.cancel()
        with pytest.raises(asyncio.CancelledError):
            await building
        for _ in range(200):
            if not await asyncio.to_thread(containers):
                break
            await asyncio.sleep(0.1)
        assert not await asyncio.to_thread(containers)

    async def test_another_process_builds_it(self, opened):
        provider = opened(build_timeout_s=0.3)
        locked = recipe(after=(Step(run="echo locked"),))
        lock = Path(tempfile.gettempdir(), f"podgym-{os.geteuid()}-podgym-{locked.digest(None)}.lock")
        with await asyncio.to_thread(lock.open, "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            with pytest.raises(ImageError, match="Another process has been building"):
                await provider.create(spec(locked))
        lock.unlink()


class TestGiven:
    async def test_pulling_is_off(self, opened):
        with pytest.raises(ImageError, match="pulling is off") as caught:
            await opened(pull="never").create(SandboxSpec(image="no/such:image"))
        assert 'pull = "missing"' in caught.value.remedy

    async def test_an_image_that_cannot_be_pulled(self, kit):
        with pytest.raises(ImageError, match="cannot be pulled"):
            await kit.create(image="127.0.0.1:9/no/such")

    async def test_pulling_that_takes_too_long(self, opened, monkeypatch):
        provider = opened(build_timeout_s=0.2)
        monkeypatch.setattr(provider._engine, "pull", lambda _: time.sleep(1))
        with pytest.raises(ImageError, match=r"not pulled within 0\.2 s"):
            await provider.create(SandboxSpec(image="no/such:image"))

    async def test_a_name_that_is_none(self, kit):
        with pytest.raises(ImageError, match="not the name of an image"):
            await kit.create(image="Not A Name")

    async def test_an_image_without_a_shell(self, engine, kit):
        name = f"podgym/without-shell-{MARK}"
        await asyncio.to_thread(engine.api.import_image_from_data, _tar_of("file"), repository=name)
        try:
            with pytest.raises(ImageError, match="no POSIX shell"):
                await kit.create(image=name)
            assert not engine.containers.list(all=True, filters={"ancestor": name})
        finally:
            engine.images.remove(name)

    async def test_an_image_without_sleep(self, kit):
        sandbox = await kit.provider.create(spec(recipe(after=(Step(run="rm /bin/sleep"),))))
        with pytest.raises(ImageError, match="no `sleep`"):
            for _ in range(100):
                await sandbox.run("true", timeout_s=10)
        await sandbox.close()

    async def test_an_image_that_disappears_again_and_again(self, kit, opened, monkeypatch):
        from podgym.sandbox.docker.engine import Missing

        provider = opened()

        def missing(*_):
            raise Missing("No such image")

        monkeypatch.setattr(provider._engine, "create", missing)
        with pytest.raises(ImageError, match="is not here"):
            await provider.create(SandboxSpec(image=BASE))
        await provider.close()
        with pytest.raises(TransportError, match="closed"):
            await provider.create(SandboxSpec(image=BASE))


def _tar_of(name: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.addfile(tarfile.TarInfo(name))
    return buffer.getvalue()
