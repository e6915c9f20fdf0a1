"""What a local sandbox sees of the machine, and what happens where the machine does not let podgym isolate."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from podgym.sandbox import ImageError, IsolationError, Limits, QuotaError, SandboxLost, SandboxSpec, TransportError
from podgym.sandbox.local import LocalConfig, LocalProvider, isolation, spawning
from podgym.sandbox.local.sandbox import LocalSandbox

SPEC = SandboxSpec(image="host")

DRIVER = """
import asyncio, json, logging, sys
from podgym.errors import PodgymError
from podgym.sandbox import SandboxSpec
from podgym.sandbox.local import LocalConfig, LocalProvider

async def main(isolation, scratch, cache):
    messages = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())
    logging.getLogger("podgym.sandbox.local").addHandler(handler)
    told = {"messages": messages}
    for _ in range(2):
        provider = LocalProvider(LocalConfig(isolation=isolation, scratch=scratch, cache=cache))
        try:
            sandbox = await provider.create(SandboxSpec(image="host"))
            result = await sandbox.run("id -u; pwd; echo $$; echo hello > file", timeout_s=10)
            told |= {"isolated": provider.isolated, "out": result.stdout.text(), "err": result.stderr.text()}
            told["file"] = (await sandbox.read("file")).decode()
        except PodgymError as error:
            told["error"] = [type(error).__name__, str(error)]
        await provider.close()
    print(json.dumps(told))

asyncio.run(main(*sys.argv[1:]))
"""


def drive(isolation: str, folder: Path, *, prefix: str, driver: str = DRIVER) -> dict[str, object]:
    """Run a driver under `unshare`, after the shell commands `prefix`."""
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare of util-linux")
    script = f'{prefix} exec {sys.executable} -c "$0" {isolation} {folder}/scratch {folder}/cache'
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "sh", "-c", script, driver],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


NO_NAMESPACES = "echo 0 > /proc/sys/user/max_user_namespaces;"


def test_an_unprivileged_driver_isolates_too(tmp_path):
    told = drive("require", tmp_path, prefix="")
    assert told["isolated"] is True
    user, place, pid = str(told["out"]).split()
    assert (user, place) == ("0", "/workspace")
    assert int(pid) < 20
    assert told["file"] == "hello\n"
    assert [message for message in told["messages"] if "control groups" not in message] == []
    assert list((tmp_path / "scratch").iterdir()) == []


NEIGHBOURS = r"""
import asyncio, json, sys
from podgym.sandbox import SandboxSpec
from podgym.sandbox.local import LocalConfig, LocalProvider

PLANT = (
    "rm -rf /dev/fd /dev/null; mkdir /dev/fd; echo 'echo planted' > /dev/fd/9; echo x > /dev/planted; echo x > /dev/pts/planted;"
    "head -c 1M /dev/zero > /dev/filled; echo gone > /dev/null && echo writable"
)

async def main(scratch, cache):
    provider = LocalProvider(LocalConfig(isolation="require", scratch=scratch, cache=cache))
    first, second = [await provider.create(SandboxSpec(image="host")) for _ in range(2)]
    planted = await first.run(PLANT, timeout_s=20)
    third = await provider.create(SandboxSpec(image="host"))
    told = {"planted": planted.stdout.text()}
    for name, sandbox in {"second": second, "third": third}.items():
        long = await sandbox.run("echo own\n" + "# padding\n" * 20_000, timeout_s=20)
        seen = await sandbox.run("ls /dev | sort | tr '\n' ' '; readlink /dev/fd", timeout_s=20)
        told[name] = [long.stdout.text(), seen.stdout.text()]
    await provider.close()
    print(json.dumps(told))

asyncio.run(main(*sys.argv[2:]))
"""


def test_sandboxes_of_an_unprivileged_driver_cannot_change_each_others_devices(tmp_path):
    told = drive("require", tmp_path, prefix="", driver=NEIGHBOURS)
    assert told["planted"] == "writable\n"
    for name in ("second", "third"):
        ran, seen = told[name]
        assert ran == "own\n"
        assert seen.split()[-1] == "/proc/self/fd"
        assert {"planted", "filled"}.isdisjoint(seen.split()) and {"null", "zero", "urandom"} <= set(seen.split())


def test_required_isolation_that_cannot_be_had_is_refused(tmp_path):
    told = drive("require", tmp_path, prefix=NO_NAMESPACES)
    kind, text = told["error"]
    assert kind == "IsolationError"
    assert "sysctl -w user.max_user_namespaces" in text


def test_preferred_isolation_that_cannot_be_had_warns_once(tmp_path):
    told = drive("prefer", tmp_path, prefix=NO_NAMESPACES)
    assert told["isolated"] is False
    assert len(told["messages"]) == 1
    assert "NOT isolated" in told["messages"][0]
    assert str(told["out"]).split()[1].startswith(str(tmp_path))
    assert told["file"] == "hello\n"


REFUSE = "def refuse(*_):\n    raise PermissionError(1, 'clone: Operation not permitted')"


async def test_a_machine_without_namespaces_is_refused_or_warned_about(local, refusing, caplog):
    refusing("clone", REFUSE)
    with pytest.raises(IsolationError, match="clone: Operation not permitted") as caught:
        await local().create(SPEC)
    assert caught.value.remedy
    for _ in range(2):
        provider = local(isolation="prefer")
        sandbox = await provider.create(SPEC)
        assert not provider.isolated
        assert await output(sandbox, "echo fine") == "fine\n"
    assert [message for message in caplog.messages if "NOT isolated" in message] == caplog.messages[:1]


async def test_a_template_that_cannot_be_made_is_refused(local, refusing):
    refusing("mount", "def refuse(source, target, kind, *_):\n    if target.endswith('/etc'):\n        raise OSError(1, 'refused')")
    with pytest.raises(IsolationError, match="bind /etc"):
        await local().create(SPEC)


async def test_a_sandbox_that_cannot_be_isolated_is_refused(local, refusing):
    refusing("mount", "def refuse(source, target, kind, *_):\n    if kind == 'proc':\n        raise PermissionError(1, 'mount proc')")
    with pytest.raises(IsolationError, match="mount proc"):
        await local().create(SPEC)


async def test_a_machine_out_of_processes_is_a_quota_error(local, refusing):
    refusing("clone", "def refuse(flags):\n    if flags & 0x20000 and flags & 0x20000000:\n        raise BlockingIOError(11, 'clone')")
    if not isolation.is_privileged(60639):
        pytest.skip("the helper of an unprivileged driver makes these namespaces for itself")
    provider = local(storage="disk")
    with pytest.raises(QuotaError):
        await provider.create(SPEC)
    assert list(provider._spawner.scratch.iterdir()) == []


async def test_a_helper_that_dies_at_once_is_said(local, monkeypatch, tmp_path):
    monkeypatch.setattr(spawning, "INSIDE", tmp_path / "none")
    with pytest.raises(TransportError, match="did not start"):
        await local(isolation="prefer").create(SPEC)


@pytest.mark.parametrize(
    ("settings", "code", "expected"),
    [
        ({}, 38, "Linux 5.12"),
        ({"kernel/unprivileged_userns_clone": "0"}, 1, "unprivileged_userns_clone=1"),
        ({"kernel/apparmor_restrict_unprivileged_userns": "1"}, 13, "apparmor_restrict_unprivileged_userns=0"),
        ({}, 1, "--privileged"),
    ],
)
def test_the_remedy_names_the_setting(monkeypatch, settings, code, expected):
    monkeypatch.setattr(isolation, "_setting", lambda name: settings.get(name, ""))
    assert expected in isolation.remedy_for(code)


def test_only_root_is_privileged(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert not isolation.is_privileged(60639)


async def output(sandbox: LocalSandbox, script: str) -> str:
    return (await sandbox.run(script, timeout_s=20)).stdout.text()


async def test_the_drivers_files_are_hidden(local, tmp_path, image_cache, monkeypatch):
    (tmp_path / "hidden-test.py").write_text("secret")
    monkeypatch.chdir(tmp_path)
    sandbox = await local().create(SPEC)
    for path in (tmp_path, image_cache, Path(__file__).parent, Path.home() / ".ssh", Path.home() / ".cache"):
        assert await output(sandbox, f"ls -A {path}") == "", path
    assert await output(sandbox, "ls -A /root /home | grep -v :") in ("", "\n")
    assert (await sandbox.run("cat /etc/shadow", timeout_s=5)).exit_code != 0
    with pytest.raises(FileNotFoundError):
        await sandbox.read(f"/proc/1/root{tmp_path}/hidden-test.py")
    with pytest.raises((PermissionError, FileNotFoundError)):
        await sandbox.read("/etc/shadow")


async def test_what_is_below_exposed_directories_can_be_hidden(local):
    sandbox = await local(hide=("/usr/share/doc", "/usr/share/not-there")).create(SPEC)
    assert await output(sandbox, "ls -A /usr/share/doc; test -d /usr/share && echo there") == "there\n"


async def test_the_working_directory_is_hidden_where_it_is_exposed(local, tmp_path, monkeypatch):
    project = tmp_path / "shown" / "project"
    project.mkdir(parents=True)
    (project / "tests.py").write_text("secret")
    (tmp_path / "shown" / "tool").write_text("tool")
    monkeypatch.chdir(project)
    sandbox = await local(expose=(*LocalConfig().expose, str(tmp_path / "shown"))).create(SPEC)
    assert await output(sandbox, f"ls -A {project}; cat {tmp_path}/shown/tool") == "tool"


async def test_the_machines_programs_cannot_be_changed(local):
    sandbox = await local().create(SPEC)
    for path in ("/usr/bin/planted", "/etc/planted", "/bin/planted", "/usr/lib/planted"):
        assert (await sandbox.run(f"echo x > {path}", timeout_s=5)).exit_code != 0
        with pytest.raises(OSError, match="Read-only"):
            await sandbox.write(path, b"x")
    assert (await sandbox.run("chmod u+s /bin/sh; mount -o remount,rw /usr", timeout_s=5)).exit_code != 0
    assert await output(sandbox, "mkdir /data && echo x > /data/x && cat /data/x") == "x\n"


async def test_inside_root_has_no_power(local):
    sandbox = await local().create(SPEC)
    status = await output(sandbox, "cat /proc/self/status")
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert fields["NoNewPrivs"] == "1"
    assert int(fields["CapEff"], 16) & (1 << 21 | 1 << 12 | 1 << 19 | 1 << 16) == 0
    assert (await sandbox.run("unshare --user true", timeout_s=5)).exit_code != 0
    assert (await sandbox.run("ls /proc/1/fd && cat /proc/1/mem", timeout_s=5)).exit_code != 0
    assert (await sandbox.run("echo x > /proc/sys/kernel/hostname", timeout_s=5)).exit_code != 0
    assert await output(sandbox, "hostname") == "sandbox\n"


async def test_a_driver_that_is_root_is_an_unprivileged_user_in_its_sandboxes(local, processes_with, soon):
    if not isolation.is_privileged(60639):
        pytest.skip("the driver is not root")
    sandbox = await local().create(SPEC)
    mark = "98765432125"
    await sandbox.run(f"sleep {mark} > /dev/null 2>&1 &", timeout_s=5)
    assert await soon(lambda: processes_with(mark) != [])
    assert {Path(f"/proc/{pid}").stat().st_uid for pid in processes_with(mark)} == {60639}


async def test_other_users(local):
    sandbox = await local().create(SandboxSpec(image="host", user="1234"))
    assert await output(sandbox, "id -u; id -g; echo x > file && cat file; touch /tmp/x && echo ok; echo $HOME") == (
        "1234\n1234\nx\nok\n/home/user\n"
    )
    assert int(dict(line.split(":\t") for line in (await output(sandbox, "grep CapEff /proc/self/status")).splitlines())["CapEff"], 16) == 0
    named = await local().create(SandboxSpec(image="host", user="nobody"))
    assert await output(named, "whoami") == "nobody\n"
    with pytest.raises(ImageError, match="no-such-user"):
        await local().create(SandboxSpec(image="host", user="no-such-user"))


async def test_networks_are_used_again_but_not_their_connections(local):
    if shutil.which("python3", path="/usr/bin") is None:
        pytest.skip("needs /usr/bin/python3")
    connect = (
        "import socket; s = socket.create_server(('127.0.0.1', 0)); c = socket.create_connection(s.getsockname());"
        "a, _ = s.accept(); c.close(); a.close(); print(open('/proc/net/sockstat').read())"
    )
    provider = local()
    names = []
    for _ in range(3):
        sandbox = await provider.create(SPEC)
        names.append(await output(sandbox, "readlink /proc/self/ns/net"))
        await sandbox.close()
    assert len(set(names)) == 1
    sandbox = await provider.create(SPEC)
    result = await sandbox.run(f'/usr/bin/python3 -c "{connect}"', timeout_s=20)
    assert " tw 1" in result.stdout.text(), result.stderr.text()
    await sandbox.close()
    sandbox = await provider.create(SPEC)
    assert await output(sandbox, "readlink /proc/self/ns/net") != names[0]
    assert " tw 0" in await output(sandbox, "cat /proc/net/sockstat")


async def test_a_full_network_is_the_machines(local):
    sandbox = await local().create(SandboxSpec(image="host", network="full"))
    assert await output(sandbox, "readlink /proc/self/ns/net") == str(Path("/proc/self/ns/net").readlink()) + "\n"


async def test_the_resolver_is_given_where_it_lies_elsewhere(local, tmp_path, monkeypatch):
    from podgym.sandbox.local import provider as provider_module

    monkeypatch.setattr(provider_module, "_name_service", lambda: [("/run/resolver/stub.conf", "nameserver 192.0.2.1\n", 0o644)])
    sandbox = await local().create(SandboxSpec(image="host", network="full"))
    assert await output(sandbox, "cat /run/resolver/stub.conf") == "nameserver 192.0.2.1\n"


async def test_memory_that_runs_out_is_said(local, bounded):
    provider = local()
    sandbox = await provider.create(SandboxSpec(image="host", limits=Limits(memory_bytes=48 << 20)))
    result = await sandbox.run("head -c 300M /dev/zero | tail", timeout_s=60)
    assert result.exit_code == 137
    assert "memory limit" in result.stderr.text()
    plain = await sandbox.run("exit 3", timeout_s=5)
    assert (plain.exit_code, plain.stderr.bytes) == (3, b"")


async def test_memory_is_bounded_without_control_groups(local):
    sandbox = await local(cgroups=False).create(SandboxSpec(image="host", limits=Limits(memory_bytes=48 << 20)))
    result = await sandbox.run("head -c 300M /dev/zero | tail | wc -c", timeout_s=60)
    assert int(result.stdout.text()) == 0
    assert b"memory" in result.stderr.bytes


async def test_files_in_memory_are_bounded_together(local):
    sandbox = await local().create(SandboxSpec(image="host", limits=Limits(memory_bytes=64 << 20)))
    result = await sandbox.run("for i in 1 2 3 4 5; do head -c 10M /dev/zero > f$i || echo full; done", timeout_s=30)
    assert "full" in result.stdout.text()
    with pytest.raises(OSError, match="No space"):
        await sandbox.write("more", b"x" * (8 << 20))
    assert await output(sandbox, "rm f*; echo fine") == "fine\n"


async def test_a_sandbox_full_of_processes_still_answers(local):
    sandbox = await local().create(SandboxSpec(image="host", limits=Limits(processes=8)))
    await sandbox.run("for i in $(seq 40); do sleep 60 > /dev/null 2>&1 & done", timeout_s=10)
    assert await sandbox.processes() <= 8
    await sandbox.write("/tmp/x", b"x")
    assert await output(sandbox, "echo fine") == "fine\n"
    running = [asyncio.create_task(sandbox.run("exec sleep 60", timeout_s=60)) for _ in range(20)]
    done, _ = await asyncio.wait(running, timeout=2, return_when=asyncio.FIRST_EXCEPTION)
    assert {type(task.exception()) for task in done} == {QuotaError}
    await sandbox.close()
    await asyncio.gather(*running, return_exceptions=True)


async def test_more_than_can_be_read_is_refused(local):
    sandbox = await local(read_limit_bytes=1000).create(SPEC)
    await sandbox.write("small", b"x" * 1000)
    assert len(await sandbox.read("small")) == 1000
    await sandbox.write("large", b"x" * 1001)
    with pytest.raises(OSError, match="at most 1000"):
        await sandbox.read("large")
    with pytest.raises(OSError, match="more than 1000"):
        await sandbox.read("/proc/self/smaps")


async def test_nonsense_is_refused(local):
    sandbox = await local().create(SPEC)
    for bad in (
        sandbox.run("a\0b", timeout_s=1),
        sandbox.run("true", timeout_s=0),
        sandbox.run("true", timeout_s=1, cwd="/a\0b"),
        sandbox.run("true", timeout_s=1, output_limit=-1),
        sandbox.run("true", timeout_s=1, env={"A=B": "x"}),
        sandbox.run("true", timeout_s=1, env={"A": "x\0"}),
        sandbox.run("true", timeout_s=1, env={"A": "x" * 300_000}),
        sandbox.read(""),
        sandbox.write("a\0b", b""),
    ):
        with pytest.raises(ValueError):
            await bad


async def test_writing_below_a_file_in_parts_fails_once(local):
    sandbox = await local().create(SPEC)
    await sandbox.write("file", b"")
    with pytest.raises(NotADirectoryError):
        await sandbox.write("file/below", b"x" * (5 << 20))
    assert await output(sandbox, "ls -A") == "file\n"


async def test_a_scratch_directory_of_another_user_is_refused(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("needs root to give a directory away")
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    os.chown(theirs, 12345, 12345)
    with pytest.raises(TransportError, match="another user"):
        await LocalProvider(LocalConfig(scratch=theirs, cache=tmp_path / "cache")).create(SPEC)


class TestWithoutIsolation:
    @pytest.fixture
    async def plain(self, local):
        return await local(isolation="off").create(SPEC)

    async def test_commands_and_files(self, plain, caplog):
        caplog.set_level(logging.WARNING)
        result = await plain.run("pwd; echo $HOME; echo x > file; echo oops >&2; exit 4", timeout_s=10)
        assert (result.exit_code, result.stderr.bytes) == (4, b"oops\n")
        assert result.stdout.text().splitlines()[0].endswith("/root/workspace")
        assert await plain.read("/workspace/file") == b"x\n"
        await plain.write("/tmp/a/b", b"y")
        assert (await plain.run("cat b", timeout_s=5, cwd="/tmp/a")).stdout.bytes == b"y"
        assert (await plain.run("true", timeout_s=5, cwd="/none")).exit_code == 126
        assert caplog.messages == []

    async def test_every_descendant_is_killed_at_close(self, plain, processes_with, soon):
        mark = "98765432123"
        await plain.run(f"setsid sleep {mark} > /dev/null 2>&1 & (setsid sh -c 'sleep {mark} & wait' &)", timeout_s=5)
        assert await soon(lambda: len(processes_with(mark)) >= 2)
        await plain.close()
        assert processes_with(mark) == []

    async def test_a_time_limit(self, plain):
        result = await plain.run("sleep 60", timeout_s=0.2)
        assert result.timed_out and result.duration_s < 30

    async def test_the_lifetime_ends_everything(self, local, processes_with, soon):
        sandbox = await local(isolation="off").create(SandboxSpec(image="host", lifetime_s=2.0))
        mark = "98765432124"
        await sandbox.run(f"setsid sleep {mark} > /dev/null 2>&1 &", timeout_s=5)
        assert await soon(lambda: processes_with(mark) != [])
        with pytest.raises(SandboxLost) as caught:
            await sandbox.run("sleep 60", timeout_s=60)
        assert caught.value.reason == "evicted"
        assert await soon(lambda: processes_with(mark) == [])

    async def test_closing_the_provider_kills_every_descendant(self, local, processes_with, soon):
        provider = local(isolation="off")
        sandbox = await provider.create(SPEC)
        mark = "98765432126"
        await sandbox.run(f"setsid sleep {mark} > /dev/null 2>&1 &", timeout_s=5)
        assert await soon(lambda: processes_with(mark) != [])
        await provider.close()
        assert processes_with(mark) == []
