"""Containers as sandboxes: what confines them, how they end, and what is special about commands in them."""

from __future__ import annotations

import asyncio
import time

import docker
import pytest
import pytest_asyncio

from podgym.sandbox import ImageError, Limits, QuotaError, SandboxLost
from podgym.sandbox.owners import own_owner

pytestmark = [pytest.mark.docker, pytest.mark.asyncio(loop_scope="session")]

MIB = 1 << 20
FILL = "while :; do sleep 60 & done"


@pytest.fixture(scope="module")
def engine():
    client = docker.from_env()
    yield client
    client.close()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def kit(docker_kit):
    opened = docker_kit()
    yield opened
    await opened.provider.close()


@pytest_asyncio.fixture(loop_scope="session")
async def make(kit):
    """Creates sandboxes that are closed after the test."""
    made = []

    async def create(**changes):
        made.append(await kit.create(**changes))
        return made[-1]

    yield create
    await asyncio.gather(*(sandbox.close() for sandbox in made))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shared(kit):
    sandbox = await kit.create()
    yield sandbox
    await sandbox.close()


async def out(sandbox, script, **options):
    result = await sandbox.run(script, **{"timeout_s": 30.0, **options})
    assert result.exit_code == 0, result
    return result.stdout.text()


class TestConfinement:
    async def test_what_the_engine_is_told(self, engine, make):
        limits = Limits(cpus=1.5, memory_bytes=96 * MIB, processes=77, disk_bytes=9 * MIB)
        sandbox = await make(limits=limits, labels={"run": "told", "task": "t1"})
        told = engine.api.inspect_container(sandbox.id)
        host = told["HostConfig"]
        assert (host["Memory"], host["MemorySwap"], host["PidsLimit"]) == (96 * MIB, 96 * MIB, 77)
        assert (host["CpuQuota"], host["CpuPeriod"]) == (150_000, 100_000)
        assert (host["NetworkMode"], host["Privileged"], host["SecurityOpt"]) == ("none", False, ["no-new-privileges"])
        assert told["Config"]["Labels"] == {"podgym.run": "told", "podgym.task": "t1", "podgym.owner": own_owner()}
        assert told["Mounts"] == []

    async def test_more_processors_than_there_are(self, make):
        assert await out(await make(limits=Limits(cpus=1000)), "echo fine") == "fine\n"

    async def test_capabilities_and_privileges(self, shared):
        status = await out(shared, "grep -E 'CapBnd|CapEff|NoNewPrivs|Seccomp:' /proc/self/status")
        found = dict(line.split(":\t") for line in status.splitlines())
        kept = sum(1 << bit for bit in range(8) if bit != 2)  # CHOWN to SETUID, without DAC_READ_SEARCH
        assert int(found["CapEff"], 16) == int(found["CapBnd"], 16) == kept
        assert (found["NoNewPrivs"], found["Seccomp"]) == ("1", "2")

    async def test_the_network_where_the_spec_wants_it(self, make):
        assert "eth0" in await out(await make(network="full"), "cat /proc/net/dev")


class TestUsers:
    async def test_a_user_owns_a_new_working_directory(self, make):
        sandbox = await make(user="nobody", workdir="/made/here")
        assert await out(sandbox, "id -un; pwd; echo x > file && cat file") == "nobody\n/made/here\nx\n"
        await sandbox.write("sub/file", b"y")
        assert await out(sandbox, "stat -c %U sub/file") == "nobody\n"
        with pytest.raises(PermissionError):
            await sandbox.write("/etc/new", b"")
        with pytest.raises(PermissionError):
            await sandbox.write("/etc/new/sub/file", b"")
        with pytest.raises(PermissionError):
            await sandbox.read("/etc/shadow")

    async def test_a_directory_of_the_image_stays_as_it_is(self, make):
        sandbox = await make(user="1234", workdir="/etc")
        assert await out(sandbox, "id -u; stat -c %U .") == "1234\nroot\n"

    async def test_a_command_of_a_user_is_killed_at_its_limit(self, make):
        sandbox = await make(user="nobody")
        assert (await sandbox.run("trap '' TERM; sleep 30; sleep 30", timeout_s=0.3)).timed_out

    async def test_an_unknown_user(self, kit):
        with pytest.raises(ImageError, match="has no user 'nosuch'"):
            await kit.create(user="nosuch")
        with pytest.raises(ImageError, match="has no user 'nosuch'"):
            await kit.create(user="nosuch", workdir="/etc")


class TestCommands:
    async def test_a_command_may_signal_its_own_group(self, shared):
        assert (await shared.run("kill 0; sleep 30", timeout_s=20)).exit_code == 143
        assert (await shared.run("echo before; kill -9 0; sleep 30", timeout_s=20)).exit_code == 137

    async def test_how_the_shell_died_is_not_on_stderr(self, shared):
        result = await shared.run("echo mine >&2; kill -SEGV $$", timeout_s=20)
        assert (result.exit_code, result.stderr.bytes) == (139, b"mine\n")

    async def test_what_the_killed_had_written_is_kept(self, shared):
        result = await shared.run("head -c 3000000 /dev/zero; sleep 30", timeout_s=2, output_limit=4 * MIB)
        assert (result.timed_out, result.stdout.total) == (True, 3_000_000)

    async def test_a_child_in_a_session_of_its_own_does_not_hold_up_the_end(self, shared):
        started = time.monotonic()
        result = await shared.run("echo one; setsid sleep 60 & sleep 60", timeout_s=0.5)
        assert (result.timed_out, result.stdout.bytes) == (True, b"one\n")
        assert time.monotonic() - started < 20

    async def test_a_deleted_working_directory(self, make):
        sandbox = await make()
        await out(sandbox, "rmdir /workspace")
        result = await sandbox.run("echo ran", timeout_s=20)
        assert (result.exit_code, result.stdout.bytes) == (126, b"")
        assert await out(sandbox, "pwd", cwd="/tmp") == "/tmp\n"

    async def test_a_deleted_shell(self, make):
        sandbox = await make()
        await out(sandbox, "rm /bin/sh")
        with pytest.raises(ImageError, match="/bin/sh"):
            await sandbox.run("true", timeout_s=20)

    async def test_long_scripts_keep_their_lines_and_leave_nothing(self, shared):
        script = f": {'x' * 200_000}\nnosuch\nexit 3"
        result = await shared.run(script, timeout_s=20)
        assert result.exit_code == 3
        assert b": 2: " in result.stderr.bytes
        assert ".podgym" not in await out(shared, "ls -A /tmp /")

    async def test_scripts_and_names_that_are_not_utf_8(self, shared):
        name = b"/tmp/caf\xe9".decode("utf-8", "surrogateescape")
        await shared.write(name, b"x")
        assert await shared.read(name) == b"x"
        assert await out(shared, "ls /tmp | od -An -tx1 | grep -c 'e9'") == "1\n"

    async def test_a_cwd_may_be_relative(self, shared):
        await out(shared, "mkdir -p -- -")
        assert await out(shared, "pwd", cwd="-") == "/workspace/-\n"

    @pytest.mark.parametrize(
        "options",
        [
            {"script": "a\0b"},
            {"cwd": "a\0b"},
            {"timeout_s": 0.0},
            {"output_limit": -1},
            {"env": {"A=B": ""}},
            {"env": {"": ""}},
            {"env": {"A": "\0"}},
            {"env": {"A": "\udcff"}},
            {"cwd": "\udcff"},
        ],
    )
    async def test_arguments_that_are_refused(self, shared, options):
        with pytest.raises(ValueError, match=r".\."):
            await shared.run(**{"script": "true", "timeout_s": 5.0, **options})

    async def test_paths_that_are_none(self, shared):
        for path in ("", "a\0b"):
            with pytest.raises(ValueError, match="Not a path"):
                await shared.read(path)

    async def test_variables_of_the_waiting_shell_are_not_passed_on(self, shared):
        assert "_podgym" not in await out(shared, "set; env")

    async def test_thirty_commands_at_once_in_as_many_groups(self, shared):
        results = await asyncio.gather(*(shared.run(f"echo {n}; exit {n}", timeout_s=60) for n in range(30)))
        assert [(result.exit_code, result.stdout.text()) for result in results] == [(n, f"{n}\n") for n in range(30)]

    async def test_cancelled_commands_are_killed(self, shared):
        tasks = [asyncio.create_task(shared.run("exec sleep 4711", timeout_s=60)) for _ in range(3)]
        for task, after_s in zip(tasks, (0.0, 0.02, 0.5), strict=True):
            await asyncio.sleep(after_s)
            task.cancel()
        for end in await asyncio.gather(*tasks, return_exceptions=True):
            assert isinstance(end, asyncio.CancelledError)
        assert "4711" not in await out(shared, "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")


class TestLimits:
    async def test_a_command_without_memory_is_told(self, make):
        sandbox = await make(limits=Limits(memory_bytes=48 * MIB))
        hungry = "head -c 200M /dev/zero | tail > /dev/null; exit $?"
        result = await sandbox.run(hungry, timeout_s=60)
        assert result.exit_code == 137
        assert b"memory limit was reached" in result.stderr.bytes
        cut = await sandbox.run(f"head -c 9000 /dev/zero >&2; {hungry}", timeout_s=60, output_limit=100)
        assert cut.stderr.tail.endswith(b"memory limit was reached\n")
        assert b"memory" not in (await sandbox.run("exit 3", timeout_s=60)).stderr.bytes

    async def test_a_container_without_memory_is_lost(self, make):
        """The kernel picks whom it kills: the container's first process, or the next command's before it begins."""
        sandbox = await make(limits=Limits(memory_bytes=32 * MIB))
        with pytest.raises((SandboxLost, QuotaError)) as caught:
            for _ in range(20):
                await sandbox.run("cat /dev/zero > /dev/shm/a; cat /dev/zero > /dev/shm/b", timeout_s=60)
        assert isinstance(caught.value, QuotaError) or caught.value.reason == "oom"

    async def test_a_command_that_takes_all_processes_is_killed(self, make):
        sandbox = await make(limits=Limits(processes=24))
        result = await sandbox.run(f"exec bash -c '{FILL}' 2> /dev/null", timeout_s=1)
        assert (result.exit_code, result.timed_out) == (137, True)
        assert await out(sandbox, "ls / > /dev/null; echo fine") == "fine\n"

    async def test_a_sandbox_without_a_free_process_says_so(self, make):
        sandbox = await make(limits=Limits(processes=24))
        ends = await asyncio.gather(*(sandbox.run("sleep 60; exit 3", timeout_s=3) for _ in range(16)), return_exceptions=True)
        refused = [end for end in ends if isinstance(end, Exception)]
        assert refused
        for end in refused:
            assert isinstance(end, QuotaError), end
            assert "could not start a command" in end.message

    async def test_a_full_disk_is_an_error_of_the_file(self, make):
        sandbox = await make(limits=Limits(disk_bytes=MIB))
        with pytest.raises(OSError, match="larger than the sandbox allows"):
            await sandbox.write("/tmp/big", b"x" * (2 * MIB))
        assert await out(sandbox, "ls -A /tmp") == ""


class TestEnds:
    @pytest.mark.parametrize("how", ["kill", "remove"])
    async def test_killed_from_outside(self, engine, make, how):
        sandbox = await make()
        running = asyncio.create_task(sandbox.run("sleep 60", timeout_s=90))
        await asyncio.sleep(0.5)
        if how == "kill":
            await asyncio.to_thread(engine.api.kill, sandbox.id)
        else:
            await asyncio.to_thread(engine.api.remove_container, sandbox.id, force=True)
        with pytest.raises(SandboxLost) as caught:
            await running
        assert caught.value.reason == "killed"
        with pytest.raises(SandboxLost) as caught:
            await sandbox.run("true", timeout_s=20)
        assert caught.value.reason == "killed"

    async def test_the_end_of_the_lifetime_is_told_from_others(self, make):
        sandbox = await make(lifetime_s=0.5)
        with pytest.raises(SandboxLost, match=r"lifetime of 0\.5 s") as caught:
            await sandbox.run("sleep 60", timeout_s=90)
        assert caught.value.reason == "evicted"

    async def test_killing_everything_inside_leaves_the_sandbox(self, make):
        sandbox = await make()
        assert (await sandbox.run("kill -9 -1; sleep 30", timeout_s=20)).exit_code == 137
        assert await out(sandbox, "echo fine") == "fine\n"
