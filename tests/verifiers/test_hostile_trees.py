"""Work trees that an agent with root made to hurt whoever reads them; on the providers, with their own tar and find."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import pytest

from podgym.sandbox import Limits, SandboxSpec
from podgym.verifiers import BaseTree, Change, Verdict, take_change, worktree
from podgym.verifiers.archive import Write, write_archive
from podgym.verifiers.basetree import BaseFile, blob_id
from podgym.verifiers.protection import accept

BASE = {"a.txt": b"a\n", "tests/t.txt": b"t\n", "keep/me.txt": b"k\n"}


def tree(more: Mapping[str, bytes] | None = None) -> BaseTree:
    content = {**BASE, **(more or {})}
    return BaseTree({path: BaseFile(0o100644, blob_id(data), len(data)) for path, data in content.items()}, content.__getitem__)


@pytest.fixture(params=["small", "large"])
def size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "large":
        monkeypatch.setattr(worktree, "_SMALL_BYTES", -1)
    return str(request.param)


async def made(
    real_provider: tuple[Any, str], script: str, *, seconds: float = 60, more: Mapping[str, bytes] | None = None
) -> tuple[Change, float]:
    """The change that `script` makes to a base with `more` files, and how long it took to take it."""
    provider, image = real_provider
    sandbox = await provider.create(SandboxSpec(image=image, workdir="/work", limits=Limits(memory_bytes=512 << 20)))
    try:
        archive = write_archive(Write(path, data) for path, data in {**BASE, **(more or {})}.items())
        await sandbox.run("tar -xf -", timeout_s=60, stdin=archive)
        result = await sandbox.run(script, timeout_s=120)
        assert result.exit_code == 0, result.stderr.text()
        started = time.monotonic()
        change = await take_change(sandbox, tree(more), workdir="/work", timeout_s=seconds)
        return change, time.monotonic() - started
    finally:
        await sandbox.close()


def reasons(change: Change) -> dict[str, str]:
    return {entry.path: entry.reason for entry in change.dropped}


async def test_a_sparse_file_of_a_terabyte(real_provider: tuple[Any, str], size: str) -> None:
    change, took_s = await made(real_provider, "truncate -s 1T big 2>/dev/null || truncate -s 200M big; echo b >b.txt")
    assert list(change.files) == ["b.txt"], change.refused
    assert "larger than" in reasons(change)["big"]
    assert took_s < 30


async def test_many_sparse_files(real_provider: tuple[Any, str]) -> None:
    change, took_s = await made(real_provider, "i=0; while [ $i -lt 40 ]; do truncate -s 8388600 f$i; i=$((i+1)); done")
    assert "too large" in change.refused
    assert took_s < 30


async def test_a_storm_of_hard_links(real_provider: tuple[Any, str]) -> None:
    script = "mkdir d; head -c 100000 /dev/zero >d/0; i=1; while [ $i -lt 3000 ]; do ln d/0 d/$i; i=$((i+1)); done"
    change, _ = await made(real_provider, script)
    assert "too large" in change.refused


async def test_ten_thousand_directories_deep(real_provider: tuple[Any, str], size: str) -> None:
    script = "echo b >b.txt; perl -e 'for (1..10000) { mkdir q(dd) and chdir q(dd) or die $_ } open F, q(>bottom); print F 1;'"
    change, took_s = await made(real_provider, script, seconds=5)
    assert took_s < 20
    if size == "large":
        assert list(change.files) == ["b.txt"], change.refused
        assert list(reasons(change).values()) == ["it is deeper than 512 directories"]
    else:  # tar takes the square of the depth
        assert "within 5 s" in change.refused or list(change.files) == ["b.txt"]


NAMES = r"""
echo 1 >"$(printf 'new\nline')"; echo 1 >"$(printf 'esc\033[31mred\033]0;title\007')"; echo 1 >"$(printf 'bell\007\177')"
echo 1 >"$(printf 'not\377utf8')"; echo 1 >"$(printf 'right\342\200\256left')"; echo 1 >'back\slash'; echo 1 >' -rf '; echo 1 >'--help'
echo 1 >"quote'\"; exit 0"; echo 1 >'$(touch pwned)'; mkdir 'dir with space'; echo 1 >'dir with space/f'
"""


async def test_names_that_break_terminals_and_listings(real_provider: tuple[Any, str], size: str) -> None:
    change, _ = await made(real_provider, NAMES)
    assert not change.refused
    assert sorted(change.files) == [" -rf ", "$(touch pwned)", "--help", "dir with space/f", "quote'\"; exit 0"]
    assert all(entry.path.isprintable() and entry.reason.isprintable() for entry in change.dropped)
    assert len(change.dropped) >= 5
    assert change.diff_text.isprintable() or "\x1b" not in change.diff_text
    assert change.deleted == ()


ODD = {"back\\slash": b"1", "new\nline": b"2", "return\r": b"3", "dir\\x/f": b"4", "\udcff.txt": b"5"}


async def test_odd_names_of_the_base_are_no_change(real_provider: tuple[Any, str], size: str) -> None:
    change, _ = await made(real_provider, "echo b >b.txt", more=ODD)
    assert (list(change.files), change.deleted, change.dropped, change.refused) == (["b.txt"], (), (), "")
    change, _ = await made(real_provider, "rm *.txt; echo 9 >'back\\slash'", more=ODD)
    assert (change.files, change.deleted) == ({}, ("a.txt", "\udcff.txt"))
    assert [entry.path for entry in change.dropped] == ["back\\slash"]


async def test_what_is_told_of_odd_names_can_be_written_down(real_provider: tuple[Any, str], size: str) -> None:
    more = {"\udcff.txt": b"1\n", "tests/\udcfe": b"2\n", ".gitignore": b"*.o\n"}
    change, _ = await made(real_provider, "rm *.txt tests/*; touch \"$(printf 'x\\375.o')\"", more=more)
    accepted = accept(change, hidden=())
    assert sorted(accepted.deleted) == ["a.txt", "\udcff.txt"]
    verdict = Verdict(status="scored", reward=0.0, diff=change.diff_text, dropped=accepted.dropped)
    assert Verdict.model_validate_json(verdict.model_dump_json()) == verdict
    assert {entry.path for entry in accepted.dropped} >= {"tests/\\udcfe", "tests/t.txt"}


async def test_fifty_thousand_sparse_files(real_provider: tuple[Any, str], size: str) -> None:
    script = "mkdir big; cd big; i=0; seq 50000 | xargs truncate -s 9000000"
    change, took_s = await made(real_provider, script)
    assert change.files == {}
    assert took_s < 60
    assert change.dropped[-1].reason.endswith("more were left out") and len(change.dropped) == 201


@pytest.mark.parametrize("kind", ["files", "bytes", "one large file"])
async def test_what_git_ignores_does_not_count(real_provider: tuple[Any, str], size: str, kind: str) -> None:
    script = {
        "files": "mkdir target; cd target; seq 3000 | xargs touch; cd ..",
        "bytes": "mkdir target; for i in 1 2 3 4 5 6 7 8; do head -c 7000000 /dev/zero >target/$i; done",
        "one large file": "mkdir target; head -c 12000000 /dev/zero >target/big",
    }[kind]
    change, _ = await made(real_provider, f"{script}; echo b >b.txt", more={".gitignore": b"target/\n"})
    assert (list(change.files), change.refused) == (["b.txt"], "")
    assert [entry.path.partition("/")[0] for entry in change.dropped] == ["target"]
    assert "git ignores" in change.dropped[0].reason


async def test_more_paths_than_git_is_asked_about(real_provider: tuple[Any, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podgym.verifiers.ignore._MAX_PARTS", 100)
    change, _ = await made(real_provider, "mkdir d; cd d; seq 101 | xargs touch", more={".gitignore": b"target/\n"})
    assert "too large" in change.refused and "at most 100" in change.refused


async def test_special_files_neither_hang_nor_travel(real_provider: tuple[Any, str], size: str) -> None:
    script = (
        "mkfifo pipe; mknod null c 1 3 2>/dev/null || mkfifo null; ln -s /etc/passwd out; ln -s ../../etc up; ln -s a.txt fine; "
        "ln -s loop loop; mkdir sub; mkfifo sub/pipe; rm a.txt; mkfifo a.txt; echo b >b.txt"
    )
    change, took_s = await made(real_provider, script)
    assert sorted(change.files) == ["b.txt", "fine", "loop"], change.refused
    assert {"pipe", "null", "sub/pipe", "a.txt", "out", "up"} <= reasons(change).keys()
    assert change.deleted == ()
    assert took_s < 30


async def test_gits_own_and_what_looks_like_it(real_provider: tuple[Any, str], size: str) -> None:
    script = """
    for d in .git .GIT sub/.git sub/.Git git~1 sub/GIT~2 .git. '.git '; do
        mkdir -p "$d/hooks"; echo 'touch /tmp/pwned' >"$d/hooks/post-checkout"
    done
    echo '* filter=evil diff=evil' >.gitattributes; echo '[filter "evil"] clean = touch /tmp/pwned' >.gitconfig
    echo 'gitdir: /etc' >keep/.git; echo '[submodule "x"] path = x' >.gitmodules; echo b >b.txt
    """
    change, _ = await made(real_provider, script)
    assert sorted(change.files) == [".gitattributes", ".gitconfig", ".gitmodules", "b.txt"], change.refused
    assert not [path for path in (*change.files, *change.deleted) if "hooks" in path]
    assert len([path for path in reasons(change) if "hooks" in path]) == 6


async def test_files_without_permission_and_a_tree_of_another(real_provider: tuple[Any, str], size: str) -> None:
    script = "echo b >b.txt; chmod 0 b.txt a.txt; mkdir -m 0 shut; chown 12345:12345 keep 2>/dev/null; chmod -R a-w .; exit 0"
    change, _ = await made(real_provider, script)
    assert list(change.files) == ["b.txt"], change.refused


async def test_a_daemon_that_writes_while_the_tree_is_read(real_provider: tuple[Any, str], size: str) -> None:
    script = (
        "mkdir d; i=0; while [ $i -lt 200 ]; do head -c 5000 /dev/zero >d/$i; i=$((i+1)); done; "
        "setsid sh -c 'while :; do for f in d/*; do date >$f; mv $f $f.new; mv $f.new $f; done; done' >/dev/null 2>&1 </dev/null &"
    )
    change, _ = await made(real_provider, script)
    assert not change.refused
    assert len(change.files) in (200, 201)
    assert not change.dropped


async def test_a_tree_that_is_replaced(real_provider: tuple[Any, str]) -> None:
    change, _ = await made(real_provider, "cd /; rm -rf /work; ln -s /etc /work || { mkdir -p /work; umount /work; }; exit 0")
    assert change.refused or change.deleted or change.files


async def test_a_shell_and_a_tar_of_the_agents_own(real_provider: tuple[Any, str]) -> None:
    if real_provider[1] == "host":
        pytest.skip("the local provider's programs are read-only")
    script = "rm /usr/bin/tar; (echo '#!/bin/sh'; echo 'yes | head -c 300000000') >/usr/bin/tar; chmod 755 /usr/bin/tar"
    change, took_s = await made(real_provider, script)
    assert change.empty or change.refused  # 300 MB of no archive: the listing of hashes decides
    assert took_s < 60


async def test_reading_two_trees_at_once(real_provider: tuple[Any, str]) -> None:
    found = await asyncio.gather(*(made(real_provider, f"echo {number} >b.txt") for number in range(3)))
    assert [change.files["b.txt"].data for change, _ in found] == [b"0\n", b"1\n", b"2\n"]
