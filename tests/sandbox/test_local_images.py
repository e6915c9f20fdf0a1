"""Image recipes as the local provider makes them."""

from __future__ import annotations

import asyncio
import fcntl
import io
import json
import os
import pickle
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from podgym.sandbox import Copy, ImageError, ImageRecipe, SandboxSpec, Step
from podgym.sandbox.local import LocalConfig, reap
from podgym.sandbox.local.binds import Binds
from podgym.sandbox.local.drafts import remove_tree
from podgym.sandbox.local.packages import missing_packages
from podgym.sandbox.local.pythons import find_pythons


@pytest.fixture
def context(tmp_path: Path) -> Path:
    folder = tmp_path / "context"
    (folder / "files" / "sub").mkdir(parents=True)
    (folder / "files" / "sub" / "one.txt").write_text("one")
    (folder / "tool.sh").write_text("#!/bin/sh\necho tool\n")
    (folder / "tool.sh").chmod(0o755)
    repository = tmp_path / "repository"
    repository.mkdir()
    script = "git init -q . && echo 'print(1)' > a.py && git add . && git -c user.name=n -c user.email=e commit -qm first"
    subprocess.run(script, shell=True, cwd=repository, check=True)
    with tarfile.open(folder / "repo.tar", "w") as archive:
        archive.add(repository, arcname=".")
    return folder


def spec(context: Path | None, **recipe: Any) -> SandboxSpec:
    full = {"base": "host", "workdir": "/testbed", **recipe}
    return SandboxSpec(image="test", recipe=ImageRecipe(**full), context=context and str(context), workdir=full["workdir"])


async def output(sandbox: Any, script: str) -> str:
    result = await sandbox.run(script, timeout_s=30)
    assert result.exit_code == 0, result.stderr.text()
    return result.stdout.text()


REPO = Copy(source="repo.tar", target="/testbed")


@pytest.mark.parametrize("storage", ["memory", "disk"])
async def test_a_repository_is_there_and_each_sandbox_has_its_own(local, context, storage):
    provider = local(storage=storage)
    one, two = [await provider.create(spec(context, copies=(REPO,))) for _ in range(2)]
    assert await output(one, "ls -A; git log --format=%s; git status --porcelain") == ".git\na.py\nfirst\n"
    await output(one, "rm a.py; echo x > b.py; git checkout -qb other; echo more > /tmp/x")
    assert await output(one, "ls; git status --porcelain") == "b.py\n D a.py\n?? b.py\n"
    assert await output(two, "ls; git status --porcelain; git branch --show-current; ls /tmp") in ("a.py\nmaster\n", "a.py\nmain\n")


async def test_every_kind_of_copy(local, context):
    copies = (
        Copy(source="files", target="/testbed/data"),
        Copy(source="tool.sh", target="/testbed/bin/tool"),
        Copy(source="repo.tar", target="/testbed/it's here"),
    )
    sandbox = await local().create(spec(context, copies=copies))
    assert await output(sandbox, "cat data/sub/one.txt; bin/tool; ls 'it'\\''s here'") == "onetool\na.py\n"
    assert await output(sandbox, "stat -c %U:%a bin/tool data/sub") == "root:755\nroot:755\n"


async def test_steps_run_with_environment_and_network_and_what_they_keep_stays(local, context):
    recipe = {
        "env": {"FLAVOUR": "sweet"},
        "writable": ("/opt/kept", "/testbed/below"),
        "before": (Step(run="echo $FLAVOUR > /opt/kept/before; echo gone > /tmp/gone; readlink /proc/self/ns/net > net"),),
        "copies": (REPO,),
        "after": (Step(run="cat /opt/kept/before a.py > /opt/kept/after; rm /opt/kept/before; chmod 600 a.py"),),
    }
    sandbox = await local().create(spec(context, **recipe))
    assert await output(sandbox, "cat /opt/kept/*; ls /opt/kept /tmp; stat -c %a a.py; echo $FLAVOUR") == (
        "sweet\nprint(1)\n/opt/kept:\nafter\n\n/tmp:\n600\nsweet\n"
    )
    assert await output(sandbox, "cat net") == str(Path("/proc/self/ns/net").readlink()) + "\n"
    assert await output(sandbox, "echo changed > /opt/kept/after; cat /opt/kept/after") == "changed\n"


async def test_tasks_share_the_layer_of_their_dependencies(local, context, tmp_path):
    cache = tmp_path / "cache"
    provider = local(cache=cache)
    before = (Step(run="date +%s%N > /opt/env/built"),)
    built = []
    for name in ("one", "two"):
        recipe = {"writable": ("/opt/env",), "before": before, "after": (Step(run=f"echo {name} > name"),)}
        sandbox = await provider.create(spec(context, **recipe))
        assert await output(sandbox, "cat name") == f"{name}\n"
        built.append(await output(sandbox, "cat /opt/env/built"))
    assert built[0] == built[1]
    assert len(list(cache.glob("*/*/done"))) == 3


async def test_an_image_is_made_once(local, context, tmp_path):
    recipe = {"after": (Step(run="date +%s%N > built; sleep 0.3"),)}
    providers = [local(cache=tmp_path / "cache") for _ in range(2)]
    sandboxes = await asyncio.gather(*(provider.create(spec(context, **recipe)) for provider in providers * 3))
    assert len({await output(sandbox, "cat built") for sandbox in sandboxes}) == 1
    assert not list((tmp_path / "cache").glob("*/draft*"))


async def test_what_a_killed_build_left_is_removed(local, context, tmp_path):
    """By the next build of the same layer, and by the next provider where nobody builds it."""
    cache = tmp_path / "cache"
    recipe = {"after": (Step(run="true"),)}
    await local(cache=cache).create(spec(context, **recipe))
    (done,) = cache.glob("*/*/done")
    root, name = done.parent.parent, done.parent.name
    drafts = [root / f"draft-{name}-1", root / "draft-0123456789abcdef-2", root / "draft-aaaaaaaaaaaaaaaa-3"]
    for draft in drafts:
        (draft / "0" / "closed").mkdir(parents=True)
        (draft / "0" / "closed").chmod(0)
    (root / "draft-of-something-else").mkdir()
    with (root / "aaaaaaaaaaaaaaaa.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        removed = reap(config=LocalConfig(cache=cache, scratch=tmp_path / "scratch"))
        assert {str(draft) for draft in drafts[:2]} <= set(removed)
        assert [draft.exists() for draft in drafts] == [False, False, True]
    later = local(cache=cache)
    await later.create(SandboxSpec(image="host"))
    drafts[0].mkdir()
    done.unlink()
    await later.create(spec(context, **recipe))
    assert sorted(path.name for path in root.glob("draft-*")) == ["draft-of-something-else"]


async def test_a_changed_context_is_another_image(local, context):
    provider = local()
    copies = (Copy(source="files", target="/testbed"),)
    assert await output(await provider.create(spec(context, copies=copies)), "cat sub/one.txt") == "one"
    (context / "files" / "sub" / "one.txt").write_text("changed")
    assert await output(await provider.create(spec(context, copies=copies)), "cat sub/one.txt") == "changed"


async def test_a_kept_directory_of_the_machine_is_written_over_a_view_of_it(local, context):
    recipe = {"writable": ("/usr/share/doc",), "after": (Step(run="echo x > /usr/share/doc/planted"),)}
    sandbox = await local().create(spec(context, **recipe))
    assert await output(sandbox, "cat /usr/share/doc/planted; ls /usr/share/doc | wc -l | tr -d 0-9") == "x\n\n"
    assert int(await output(sandbox, "ls /usr/share/doc | wc -l")) > 1
    assert not Path("/usr/share/doc/planted").exists()


async def test_without_overlays_layers_are_copied(local, context, tmp_path, refusing):
    refusing("mount", "def refuse(source, target, kind, *_):\n    if kind == 'overlay':\n        raise OSError(22, 'no overlays')")
    provider = local(cache=tmp_path / "cache")
    recipe = {"writable": ("/opt/kept",), "before": (Step(run="echo b > /opt/kept/b"),), "copies": (REPO,)}
    one = await provider.create(spec(context, **recipe))
    assert await output(one, "ls /opt/kept .; rm a.py; mount | grep -c overlay || true") == ".:\na.py\n\n/opt/kept:\nb\n0\n"
    two = await provider.create(spec(context, **recipe))
    assert await output(two, "ls") == "a.py\n"


async def test_without_isolation_images_work_too(local, context, tmp_path):
    provider = local(isolation="off", cache=tmp_path / "cache")
    for _ in range(2):
        sandbox = await provider.create(spec(context, copies=(REPO,)))
        assert await output(sandbox, "ls; git status --porcelain; echo b > b") == "a.py\n"
    assert not Path("/testbed").exists()


@pytest.mark.parametrize("where", ["before", "after", "writable"])
async def test_without_isolation_no_step_runs_on_the_machine(local, context, tmp_path, where):
    planted = tmp_path / "machine" / "planted"
    planted.parent.mkdir()
    recipe = {where: (str(planted.parent),) if where == "writable" else (Step(run=f"touch {planted}"),)}
    with pytest.raises(ImageError, match="would change this machine") as caught:
        await local(isolation="off", cache=tmp_path / "cache").create(spec(context, **recipe))
    assert "docker" in caught.value.remedy
    assert not planted.exists()


async def test_what_is_made_without_isolation_is_never_in_an_isolated_sandbox(local, context, tmp_path):
    for isolation in ("off", "require"):
        await local(isolation=isolation, cache=tmp_path / "cache").create(spec(context, copies=(REPO,)))
    made = sorted((tmp_path / "cache").glob("*/*/done"))
    assert len(made) == 2 and made[0].parent.name == made[1].parent.name
    (made[-1] if made[-1].parts[-3] == "plain" else made[0]).parent.joinpath("0", "planted").write_text("x")
    sandbox = await local(cache=tmp_path / "cache").create(spec(context, copies=(REPO,)))
    assert await output(sandbox, "ls") == "a.py\n"


@pytest.mark.parametrize("isolation", ["require", "off"])
async def test_the_interpreter_is_of_the_wanted_version(local, context, isolation):
    pythons = find_pythons({})
    for version in sorted(pythons)[-2:]:
        sandbox = await local(isolation=isolation).create(spec(context, base=f"python:{version}-bookworm"))
        command = "import sys; print('%d.%d' % sys.version_info[:2])"
        for name in ("python", "python3", f"python{version}"):
            assert await output(sandbox, f'{name} -c "{command}"') == f"{version}\n"


async def test_a_virtual_environment_of_an_image_works(local, context):
    version = max(find_pythons({}), key=lambda version: int(version.split(".")[1]))
    recipe = {
        "base": f"python:{version}",
        "writable": ("/opt/venv",),
        "before": (Step(run="python -m venv --without-pip /opt/venv"),),
        "env": {"VIRTUAL_ENV": "/opt/venv"},
    }
    sandbox = await local().create(spec(context, **recipe))
    assert await output(sandbox, "/opt/venv/bin/python -c 'import sys; print(sys.prefix)'") == "/opt/venv\n"


async def test_what_a_failing_step_said_is_in_the_error(local, context):
    recipe = {
        "before": (Step(run="echo first"),),
        "copies": (REPO,),
        "after": (
            Step(run="true"),
            Step(run="i=0; while [ $i -lt 9000 ]; do echo line $i; i=$((i + 1)); done; echo to the other >&2; echo last; exit 7"),
        ),
    }
    with pytest.raises(ImageError, match=r"Step 3 of the recipe failed with exit code 7") as caught:
        await local().create(spec(context, **recipe))
    error = pickle.loads(pickle.dumps(caught.value))
    assert (error.step, error.timed_out) == (2, False)
    assert error.log.endswith("line 8999\nto the other\nlast\n")
    assert len(error.log) == 65_536
    assert len(error.message) < 5000
    with pytest.raises(ImageError) as caught:
        await local().create(spec(context, before=(Step(run="echo begun; sleep 9", timeout_s=0.3),)))
    assert (caught.value.step, caught.value.timed_out, caught.value.log) == (0, True, "begun\n")
    with pytest.raises(ImageError) as caught:
        await local().create(spec(context, base="swift:6"))
    assert (caught.value.step, caught.value.timed_out, caught.value.log) == (None, False, "")


class TestPackages:
    """None are installed; the image says so."""

    async def test_what_the_machine_lacks_is_written_down(self, local, context, tmp_path):
        cache = tmp_path / "cache"
        recipe = {
            "packages": ("no-such-package", "bash", "none-either"),
            "writable": ("/opt/podgym",),
            "before": (Step(run="cp /opt/podgym/install.log /opt/podgym/seen; echo installed: x >> /opt/podgym/install.log"),),
            "copies": (REPO,),
        }
        sandbox = await local(cache=cache).create(spec(context, **recipe))
        expected = "not installed: no-such-package\nnot installed: none-either\n"
        if not missing_packages(["bash"]):
            assert await output(sandbox, "cat /opt/podgym/seen") == expected
            assert await output(sandbox, "cat /opt/podgym/install.log") == f"{expected}installed: x\n"
        for record in cache.glob("*/*/done"):
            assert {"no-such-package", "none-either"} <= set(json.loads(record.read_text())["not_installed"])

    async def test_without_its_directory_nothing_is_written(self, local, context, tmp_path):
        recipe = {"packages": ("no-such-package",), "before": (Step(run="test ! -e /opt/podgym"),)}
        await local(cache=tmp_path / "cache").create(spec(context, **recipe))

    async def test_the_directory_is_there_before_the_first_step(self, local, context):
        recipe = {"writable": ("/opt/podgym", "/srv/a/b"), "before": (Step(run="test -d /opt/podgym && test -w /srv/a/b"),)}
        await local().create(spec(context, **recipe))

    def test_by_the_package_database(self, tmp_path, monkeypatch):
        program = tmp_path / "dpkg-query"
        lines = (
            "installed\\tlibreal-dev\\tlibold-dev, libvirtual-dev (= 2)\\n",
            "not-installed\\tgone\\t\\n",
            "config-files\\tleft\\tlibleft\\n",
        )
        program.write_text(f"#!/bin/sh\nprintf '{''.join(lines)}'\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
        wanted = ("libreal-dev", "libold-dev", "libvirtual-dev", "gone", "left", "libleft", "gone")
        assert missing_packages(wanted) == ("gone", "left", "libleft")
        assert missing_packages(()) == ()
        monkeypatch.setenv("PATH", str(tmp_path / "none"))
        assert missing_packages(["bash"]) == ("bash",)


class TestBadRecipes:
    @pytest.mark.parametrize(
        ("recipe", "message"),
        [
            ({"base": "swift:6"}, "swift:6"),
            ({"base": "node:99"}, r"wants Node 99, which this machine lacks \(found: "),
            ({"base": "python:3.99-slim"}, "uv python install 3.99"),
            ({"copies": (Copy(source="none.tar", target="/testbed"),)}, "none.tar"),
            ({"copies": (Copy(source="../repository", target="/testbed"),)}, "not inside"),
            ({"copies": (Copy(source="repo.tar", target="/elsewhere"),)}, "would not keep"),
            ({"copies": (Copy(source="tool.sh", target="/testbed/../etc/tool"),)}, "would not keep"),
            ({"writable": ("/",)}, "kept directory"),
            ({"writable": ("/a:b",)}, "kept directory"),
            ({"writable": ("/usr/not/there",)}, "Read-only"),
            ({"after": (Step(run="echo said; echo why >&2; exit 3"),)}, r"Step 1 .*exit code 3(.|\n)*said\nwhy"),
            ({"before": (Step(run="true"), Step(run="sleep 9", timeout_s=0.2))}, r"Step 2 .*within 0.2 s"),
        ],
    )
    async def test_it_is_named(self, local, context, tmp_path, recipe, message):
        provider = local(cache=tmp_path / "cache")
        with pytest.raises(ImageError, match=message) as caught:
            await provider.create(spec(context, **recipe))
        assert caught.value.remedy
        assert not [path for path in (tmp_path / "cache").glob("*/*") if path.is_dir()]

    async def test_archives_cannot_write_elsewhere(self, local, context, tmp_path):
        with tarfile.open(context / "bad.tar", "w") as archive:
            link = tarfile.TarInfo("out")
            link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path)
            archive.addfile(link)
            for name in ("out/planted", "../../../planted", f"{tmp_path}/planted"):
                member = tarfile.TarInfo(name)
                member.size = 1
                archive.addfile(member, io.BytesIO(b"x"))
        with pytest.raises(ImageError, match=r"bad\.tar"):
            await local().create(spec(context, copies=(Copy(source="bad.tar", target="/testbed"),)))
        assert not list(tmp_path.rglob("planted"))
        assert not Path("/planted").exists()

    async def test_what_is_no_archive(self, local, context):
        (context / "text.tar").write_text("not a tar")
        with pytest.raises(ImageError, match="unpacked"):
            await local().create(spec(context, copies=(Copy(source="text.tar", target="/testbed"),)))

    async def test_no_recipe(self, local):
        with pytest.raises(ImageError, match=r"ghcr\.io/x/y"):
            await local().create(SandboxSpec(image="ghcr.io/x/y"))

    async def test_no_context(self, local):
        with pytest.raises(ImageError, match="no context"):
            await local().create(spec(None, copies=(REPO,)))

    async def test_a_lock_that_is_never_given(self, local, context, tmp_path, monkeypatch):
        provider = local(cache=tmp_path / "cache", image_lock_timeout_s=0.2)
        slow = spec(context, after=(Step(run="sleep 3"),))
        first = asyncio.create_task(provider.create(slow))
        await asyncio.sleep(0.5)
        with pytest.raises(ImageError, match="Another process"):
            await local(cache=tmp_path / "cache", image_lock_timeout_s=0.2).create(slow)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        assert not list((tmp_path / "cache").glob("*/draft*"))

    async def test_a_failed_build_can_be_repeated(self, local, context):
        provider = local()
        with pytest.raises(ImageError):
            await provider.create(spec(context, after=(Step(run="test -e tool.sh"),)))
        copies = (Copy(source="tool.sh", target="/testbed/tool.sh"),)
        await provider.create(spec(context, copies=copies, after=(Step(run="test -e tool.sh"),)))


class TestPythons:
    def test_configured_ones_come_first(self, tmp_path):
        fake = tmp_path / "bin" / "python3.11"
        fake.parent.mkdir()
        fake.write_bytes(b"\x7fELF")
        assert find_pythons({"3.11": str(fake)})["3.11"].prefix == tmp_path.resolve()
        with pytest.raises(ImageError, match="not a file"):
            find_pythons({"3.11": str(tmp_path / "none")})

    def test_shims_are_not_interpreters(self, tmp_path, monkeypatch):
        for name, content in (("python3.77", b"#!/bin/sh"), ("python3.78", b"\x7fELF"), ("python3.79", b"\x7fELF")):
            (tmp_path / name).write_bytes(content)
            (tmp_path / name).chmod(0o755 if name != "python3.79" else 0)
        (tmp_path / "python3.80").symlink_to(tmp_path / "gone")
        monkeypatch.setenv("PATH", f"{tmp_path}:{tmp_path}/none:")
        monkeypatch.setattr(os, "access", lambda path, mode: "3.79" not in str(path))
        found = find_pythons({})
        assert "3.78" in found
        assert {"3.77", "3.79", "3.80"} & set(found) == set()


def test_leftovers_without_permissions_are_removed(tmp_path):
    folder = tmp_path / "w0"
    (folder / "work").mkdir(parents=True)
    (folder / "link").symlink_to(tmp_path)
    (folder / "work").chmod(0)
    remove_tree(folder)
    remove_tree(folder)
    assert list(tmp_path.iterdir()) == []


def test_interpreters_are_bound_once_for_one_version_manager():
    folders = {python.prefix for python in find_pythons({}).values()}
    assert len(Binds(folders, LocalConfig().expose).mounts) <= 3
