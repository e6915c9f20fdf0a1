"""What every provider must do. The scripts use nothing but a POSIX shell and coreutils."""

from __future__ import annotations

import asyncio
import os
import pickle
import time

import pytest

from podgym.sandbox import Limits, Sandbox, SandboxLost, SandboxProvider

pytestmark = pytest.mark.asyncio(loop_scope="session")

MIB = 1 << 20


async def out(sandbox: Sandbox, script: str, **options: object) -> str:
    result = await sandbox.run(script, **{"timeout_s": 20.0, **options})
    assert result.exit_code == 0, result.stderr.text()
    assert not result.timed_out
    return result.stdout.text()


async def test_is_a_provider(kit):
    assert isinstance(kit.provider, SandboxProvider)


class TestResults:
    async def test_streams_are_apart_and_the_exit_code_is_kept(self, sandbox):
        result = await sandbox.run("echo out; echo err >&2; exit 7", timeout_s=10)
        assert (result.exit_code, result.stdout.bytes, result.stderr.bytes) == (7, b"out\n", b"err\n")
        assert not result.timed_out
        assert 0 <= result.duration_s < 10

    async def test_a_signal_is_128_and_its_number(self, sandbox):
        assert (await sandbox.run("kill -TERM $$", timeout_s=10)).exit_code == 143

    async def test_bytes_pass_unchanged(self, sandbox):
        result = await sandbox.run(r"printf '\000\001\377\376x'; printf '\342\202' >&2", timeout_s=10)
        assert result.stdout.bytes == b"\x00\x01\xff\xfex"
        assert result.stderr.bytes == b"\xe2\x82"
        assert result.stderr.text() == "\N{REPLACEMENT CHARACTER}"

    async def test_a_character_split_between_writes_is_whole(self, sandbox):
        assert await out(sandbox, r"printf '\342\202'; sleep 0.1; printf '\254'") == "€"

    async def test_syntax_errors_are_results(self, sandbox):
        result = await sandbox.run("if then", timeout_s=10)
        assert result.exit_code == 2
        assert result.stderr.bytes

    async def test_unknown_commands_are_127(self, sandbox):
        assert (await sandbox.run("no-such-command", timeout_s=10)).exit_code == 127

    async def test_an_empty_script_succeeds(self, sandbox):
        assert await out(sandbox, "") == ""

    async def test_long_scripts(self, sandbox):
        assert len(await out(sandbox, "printf %s " + "x" * 300_000 + "; exit 0")) == 300_000


class TestFloods:
    async def test_ten_megabytes_on_both_streams_keep_head_and_tail(self, sandbox):
        script = "emit() { printf START; head -c 10485760 /dev/zero | tr '\\0' \"$1\"; printf END; }; emit a & emit b >&2 & wait"
        result = await sandbox.run(script, timeout_s=60, output_limit=4096)
        for stream, letter in ((result.stdout, b"a"), (result.stderr, b"b")):
            assert stream.total == 10 * MIB + 8
            assert stream.head == b"START" + letter * 2043
            assert stream.tail == letter * 2045 + b"END"
            assert stream.cut == stream.total - 4096
            assert f"[... {stream.cut} bytes cut ...]" in stream.text()

    async def test_output_of_exactly_the_limit_is_whole(self, sandbox):
        result = await sandbox.run("printf 0123456789", timeout_s=10, output_limit=10)
        assert (result.stdout.head, result.stdout.tail, result.stdout.cut) == (b"0123456789", b"", 0)

    async def test_one_byte_more_is_cut(self, sandbox):
        result = await sandbox.run("printf 0123456789A", timeout_s=10, output_limit=10)
        assert (result.stdout.head, result.stdout.tail, result.stdout.cut) == (b"01234", b"6789A", 1)

    async def test_a_limit_of_zero_only_counts(self, sandbox):
        result = await sandbox.run("printf abc", timeout_s=10, output_limit=0)
        assert (result.stdout.bytes, result.stdout.total) == (b"", 3)


class TestTimeouts:
    async def test_the_whole_process_group_is_killed(self, sandbox):
        script = "echo before; (sleep 3; echo late > /tmp/late) & sleep 30; echo after"
        started = time.monotonic()
        result = await sandbox.run(script, timeout_s=0.5)
        assert (result.exit_code, result.timed_out, result.stdout.bytes) == (137, True, b"before\n")
        assert time.monotonic() - started < 5
        await asyncio.sleep(max(0.0, started + 4 - time.monotonic()))
        assert await out(sandbox, "ls /tmp") == ""

    async def test_a_command_that_ignores_signals_is_killed(self, sandbox):
        result = await sandbox.run("trap '' TERM INT HUP; while :; do :; done", timeout_s=0.3)
        assert (result.exit_code, result.timed_out) == (137, True)

    async def test_the_sandbox_works_afterwards(self, sandbox):
        await sandbox.run("sleep 30", timeout_s=0.1)
        assert await out(sandbox, "echo fine") == "fine\n"

    async def test_a_flood_without_end_is_bounded(self, sandbox):
        result = await sandbox.run("while :; do echo yes; done", timeout_s=0.5, output_limit=1000)
        assert result.timed_out
        assert len(result.stdout.bytes) == 1000

    async def test_cancelling_the_wait_leaves_the_sandbox_usable(self, sandbox):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await sandbox.run("sleep 2", timeout_s=10)
        assert await out(sandbox, "echo fine") == "fine\n"


class TestChildren:
    async def test_the_result_does_not_wait_for_children_that_hold_the_streams(self, sandbox):
        started = time.monotonic()
        assert await out(sandbox, "sleep 20 & echo started") == "started\n"
        assert time.monotonic() - started < 5

    async def test_daemons_outlive_their_shell(self, sandbox):
        await out(
            sandbox, "date > /tmp/beat; (while :; do date +%s%N > /tmp/next; mv /tmp/next /tmp/beat; sleep 0.05; done) > /dev/null 2>&1 &"
        )
        first = await sandbox.read("/tmp/beat")
        await asyncio.sleep(2)
        assert await sandbox.read("/tmp/beat") != first

    async def test_daemons_may_go_on_writing_to_the_streams(self, sandbox):
        await out(sandbox, "(sleep 0.3; echo a; echo b; echo done > /tmp/done) & echo started")
        await asyncio.sleep(0.8)
        assert await sandbox.read("/tmp/done") == b"done\n"

    async def test_orphans_are_adopted_and_reaped(self, sandbox):
        await out(sandbox, "for i in 1 2 3 4 5; do (sleep 0.05 &) ; done")
        await asyncio.sleep(0.4)
        states = await out(sandbox, "cat /proc/[0-9]*/stat 2>/dev/null | cut -d ' ' -f 3 | sort -u")
        assert "Z" not in states.split()


class TestInput:
    async def test_stdin_is_empty_by_default(self, sandbox):
        assert await out(sandbox, "cat; echo end") == "end\n"

    async def test_stdin_passes_bytes(self, sandbox):
        result = await sandbox.run("cat", timeout_s=10, stdin=bytes(range(256)))
        assert result.stdout.bytes == bytes(range(256))

    async def test_large_stdin(self, sandbox):
        data = os.urandom(MIB) * 5
        result = await sandbox.run("cat > /tmp/data; wc -c < /tmp/data", timeout_s=60, stdin=data)
        assert int(result.stdout.text()) == len(data)
        assert await sandbox.read("/tmp/data") == data

    async def test_stdin_that_nobody_reads(self, sandbox):
        assert await out(sandbox, "exec 0<&-; sleep 0.1; echo done", stdin=b"x" * (2 * MIB)) == "done\n"

    async def test_stdin_while_a_flood_comes_back(self, sandbox):
        result = await sandbox.run("cat", timeout_s=60, stdin=b"x" * (8 * MIB), output_limit=100)
        assert result.stdout.total == 8 * MIB


class TestPlace:
    async def test_commands_start_in_the_workdir(self, kit):
        sandbox = await kit.create(workdir="/some/where")
        assert await out(sandbox, "pwd") == "/some/where\n"
        await sandbox.close()

    async def test_the_workdir_is_writable(self, sandbox):
        assert await out(sandbox, "echo x > made && mkdir sub && cat made") == "x\n"

    async def test_cwd(self, sandbox):
        assert await out(sandbox, "pwd", cwd="/tmp") == "/tmp\n"

    @pytest.mark.parametrize("cwd", ["/no/such/directory", "/etc/passwd"])
    async def test_a_cwd_that_is_no_directory_is_126(self, sandbox, cwd):
        result = await sandbox.run("echo ran", timeout_s=10, cwd=cwd)
        assert result.exit_code == 126
        assert result.stdout.bytes == b""
        assert cwd in result.stderr.text()

    async def test_nothing_is_kept_between_commands_but_files(self, sandbox):
        await out(sandbox, "cd /tmp; X=1; export X")
        assert await out(sandbox, 'pwd; echo "[$X]"') == "/workspace\n[]\n"

    async def test_sandboxes_do_not_share_files(self, kit):
        one, two = await kit.create(), await kit.create()
        await out(one, "echo secret > /tmp/note; echo secret > note")
        assert await out(two, "ls /tmp; ls") == ""
        await asyncio.gather(one.close(), two.close())


class TestEnvironment:
    async def test_nothing_of_the_driver_is_seen(self, own_kit, monkeypatch):
        monkeypatch.setenv("PODGYM_TEST_SECRET", "s3cret")
        sandbox = await own_kit.create()
        assert "PODGYM_TEST_SECRET" not in await out(sandbox, "env; cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'")
        await sandbox.close()

    async def test_home_and_path_are_usable(self, sandbox):
        assert await out(sandbox, 'test -w "$HOME" && command -v ls > /dev/null && echo good') == "good\n"

    async def test_the_spec_gives_variables_and_a_command_overrides_them(self, kit):
        sandbox = await kit.create(env={"A": "spec", "B": "with space\nand line"})
        assert await out(sandbox, 'echo "$A|$B"') == "spec|with space\nand line\n"
        assert await out(sandbox, 'echo "$A|$C"', env={"A": "run", "C": "=x=ü"}) == "run|=x=ü\n"
        assert await out(sandbox, 'echo "$A|$C"') == "spec|\n"
        await sandbox.close()


class TestFiles:
    async def test_what_is_written_is_read(self, sandbox):
        data = bytes(range(256)) * 100
        await sandbox.write("/tmp/a/b/c.bin", data)
        assert await sandbox.read("/tmp/a/b/c.bin") == data
        assert await out(sandbox, "wc -c < /tmp/a/b/c.bin") == "25600\n"

    async def test_an_empty_file(self, sandbox):
        await sandbox.write("/tmp/empty", b"")
        assert await sandbox.read("/tmp/empty") == b""

    async def test_large_files(self, sandbox):
        data = os.urandom(MIB) * 9 + b"end"
        await sandbox.write("/tmp/large", data)
        assert await sandbox.read("/tmp/large") == data

    async def test_modes(self, sandbox):
        await sandbox.write("/tmp/tool", b"#!/bin/sh\necho ran\n", mode=0o755)
        await sandbox.write("/tmp/plain", b"")
        assert await out(sandbox, "/tmp/tool; stat -c %a /tmp/tool /tmp/plain") == "ran\n755\n644\n"

    async def test_replacing_is_atomic_and_leaves_nothing_else(self, sandbox):
        await sandbox.write("/tmp/d/file", b"old")
        await out(sandbox, "exec 3< /tmp/d/file; sleep 0.3; cat <&3 > /tmp/seen &")
        await sandbox.write("/tmp/d/file", b"new")
        await asyncio.sleep(0.6)
        assert (await sandbox.read("/tmp/seen"), await sandbox.read("/tmp/d/file")) == (b"old", b"new")
        assert await out(sandbox, "ls -A /tmp/d") == "file\n"

    async def test_names_with_every_kind_of_character(self, sandbox):
        name = "/tmp/a 'b\" $c\n-\\ü*"
        await sandbox.write(name, b"x")
        assert await sandbox.read(name) == b"x"

    async def test_relative_paths_start_at_the_workdir(self, sandbox):
        await sandbox.write("sub/file", b"x")
        assert await out(sandbox, "cat /workspace/sub/file") == "x"

    async def test_a_missing_file(self, sandbox):
        with pytest.raises(FileNotFoundError) as caught:
            await sandbox.read("/tmp/none")
        assert caught.value.filename == "/tmp/none"

    async def test_a_directory(self, sandbox):
        with pytest.raises(IsADirectoryError):
            await sandbox.read("/tmp")
        with pytest.raises(IsADirectoryError):
            await sandbox.write("/tmp", b"")

    async def test_below_a_file(self, sandbox):
        await sandbox.write("/tmp/file", b"")
        with pytest.raises(NotADirectoryError):
            await sandbox.read("/tmp/file/below")
        with pytest.raises(OSError, match="file"):
            await sandbox.write("/tmp/file/below", b"")

    async def test_links_are_followed_inside(self, sandbox):
        await out(sandbox, "echo data > /tmp/real; ln -s real /tmp/link; ln -s loop /tmp/loop")
        assert await sandbox.read("/tmp/link") == b"data\n"
        with pytest.raises(OSError, match="loop"):
            await sandbox.read("/tmp/loop")

    async def test_a_pipe_is_not_waited_for(self, sandbox):
        await out(sandbox, "mkfifo /tmp/pipe")
        async with asyncio.timeout(10):
            with pytest.raises(OSError, match="pipe"):
                await sandbox.read("/tmp/pipe")


class TestConcurrency:
    async def test_thirty_two_commands_at_once(self, sandbox):
        started = time.monotonic()
        results = await asyncio.gather(*(sandbox.run(f"sleep 0.5; echo {n}", timeout_s=30) for n in range(32)))
        assert [int(result.stdout.text()) for result in results] == list(range(32))
        assert time.monotonic() - started < 15  # one after another they would sleep 16 s alone

    async def test_files_and_commands_at_once(self, sandbox):
        async def turn(number: int) -> None:
            await sandbox.write(f"/tmp/{number}", str(number).encode() * 1000)
            assert await out(sandbox, f"cat /tmp/{number}") == str(number) * 1000

        await asyncio.gather(*(turn(number) for number in range(16)))

    async def test_eight_sandboxes_at_once(self, kit):
        sandboxes = await asyncio.gather(*(kit.create() for _ in range(8)))
        outputs = await asyncio.gather(*(out(sandbox, f"echo {n} > n; cat n") for n, sandbox in enumerate(sandboxes)))
        assert outputs == [f"{n}\n" for n in range(8)]
        await asyncio.gather(*(sandbox.close() for sandbox in sandboxes))


class TestEnds:
    async def test_closing_twice_is_closing(self, kit):
        sandbox = await kit.create()
        await asyncio.gather(sandbox.close(), sandbox.close())
        await sandbox.close()

    async def test_use_after_close(self, kit):
        sandbox = await kit.create()
        await sandbox.close()
        for use in (sandbox.run("true", timeout_s=5), sandbox.read("/etc/passwd"), sandbox.write("/tmp/x", b"")):
            with pytest.raises(SandboxLost) as caught:
                await use
            assert caught.value.reason == "closed"
            assert pickle.loads(pickle.dumps(caught.value)).reason == "closed"

    async def test_closing_ends_what_runs(self, kit):
        sandbox = await kit.create()
        running = asyncio.create_task(sandbox.run("sleep 30", timeout_s=60))
        await asyncio.sleep(0.2)
        await sandbox.close()
        with pytest.raises(SandboxLost) as caught:
            await running
        assert caught.value.reason == "closed"

    async def test_closing_the_provider_closes_its_sandboxes(self, own_kit):
        sandbox = await own_kit.create()
        await own_kit.provider.close()
        with pytest.raises(SandboxLost):
            await sandbox.run("true", timeout_s=5)
        await sandbox.close()
        await own_kit.provider.close()

    async def test_the_lifetime_ends_it(self, kit):
        sandbox = await kit.create(lifetime_s=1.0)
        with pytest.raises(SandboxLost):
            await sandbox.run("sleep 30", timeout_s=60)
        with pytest.raises(SandboxLost):
            await sandbox.run("true", timeout_s=5)
        await sandbox.close()


class TestIsolation:
    async def test_commands_inherit_nothing_but_their_streams(self, sandbox):
        seen = await out(sandbox, "ls /proc/self/fd; ls /proc/$$/fd", stdin=b"x")
        # The third of `ls` is the directory that it lists.
        assert set(seen.split()) <= {"0", "1", "2", "3"}
        assert seen.split()[-3:] == ["0", "1", "2"]

    async def test_no_network_means_only_loopback(self, kit, sandbox):
        if kit.has_interfaces:
            pytest.skip("what its interfaces reach is decided outside of the sandbox")
        names = [line.split(":")[0].strip() for line in (await out(sandbox, "cat /proc/net/dev")).splitlines()[2:]]
        assert [name for name in names if name != "lo"] == []
        assert await out(sandbox, "cat /proc/net/route | tail -n +2") == ""

    async def test_only_its_own_processes_are_seen(self, sandbox):
        assert len((await out(sandbox, "echo /proc/[0-9]*")).split()) < 8

    async def test_the_machine_cannot_be_administered(self, sandbox):
        for script in (
            "mount -t tmpfs none /tmp",
            "echo 1 > /proc/sys/kernel/sysrq",
            "mknod /tmp/disk b 8 0 && head -c1 /tmp/disk",
            "echo c > /proc/sysrq-trigger",
        ):
            assert (await sandbox.run(script, timeout_s=10)).exit_code != 0, script

    async def test_init_cannot_be_killed_from_inside(self, sandbox):
        await sandbox.run("kill -9 1; kill -INT 1; kill -TERM 1; kill -CHLD 1", timeout_s=10)
        assert await out(sandbox, "echo fine") == "fine\n"


class TestLimits:
    async def test_memory(self, kit):
        sandbox = await kit.create(limits=Limits(memory_bytes=64 * MIB))
        # `tail` keeps what has no line end.
        result = await sandbox.run("head -c 300M /dev/zero | tail > /dev/null; exit $?", timeout_s=60)
        assert result.exit_code != 0
        assert not result.timed_out
        assert result.stderr.bytes
        assert await out(sandbox, "echo fine") == "fine\n"
        await sandbox.close()

    async def test_memory_that_ran_out_before_a_command_began_is_not_its_fault(self, kit):
        sandbox = await kit.create(limits=Limits(memory_bytes=64 * MIB))
        left_behind = "(sleep 0.2; head -c 300M /dev/zero | tail > /dev/null; echo > /tmp/died) > /dev/null 2>&1 &"
        assert (await sandbox.run(left_behind, timeout_s=60)).exit_code == 0
        waited = await sandbox.run("until [ -e /tmp/died ]; do sleep 0.1; done", timeout_s=60)
        assert (waited.exit_code, waited.out_of_memory) == (0, False)
        for _ in range(2):
            failed = await sandbox.run("exit 3", timeout_s=60)
            assert (failed.exit_code, failed.out_of_memory, failed.stderr.bytes) == (3, False, b"")
        await sandbox.close()

    async def test_processes(self, kit):
        if not kit.bounds_processes:
            pytest.skip("how many there may be is a setting of the node's")
        sandbox = await kit.create(limits=Limits(processes=16))
        result = await sandbox.run("for i in $(seq 64); do sleep 5 & done; echo all", timeout_s=20)
        assert result.stdout.bytes == b"" or b"ork" in result.stderr.bytes
        await sandbox.close()

    async def test_the_size_of_a_file(self, kit):
        sandbox = await kit.create(limits=Limits(disk_bytes=2 * MIB))
        result = await sandbox.run("head -c 8M /dev/zero > big; wc -c < big", timeout_s=20)
        assert int(result.stdout.text()) <= 2 * MIB
        with pytest.raises(OSError, match="big"):
            await sandbox.write("big", b"x" * (4 * MIB))
        await sandbox.close()
