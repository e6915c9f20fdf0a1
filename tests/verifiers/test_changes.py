from __future__ import annotations

import asyncio
import os
import pickle
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from podgym.sandbox import CommandResult, Stream
from podgym.verifiers import EMPTY_DIGEST, BaseTree, BaseTrees, Change, ChangedFile, ChangeLimits, PlanError, take_change, worktree
from podgym.verifiers.archive import Write, write_archive
from podgym.verifiers.basetree import blob_id
from podgym.verifiers.ignore import ignored
from podgym.verifiers.testrun import write_files
from podgym.verifiers.worktree import Excluded


@pytest.fixture
def base(image: Path) -> BaseTree:
    return BaseTree.from_directory(image)


@pytest.fixture(params=["small", "large"])
def size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to read a tree have to give the same change."""
    if request.param == "large":
        monkeypatch.setattr(worktree, "_SMALL_BYTES", -1)
    return str(request.param)


@pytest.fixture(params=["gnu", "busybox"])
def tools(request: pytest.FixtureRequest, tmp_path: Path, provider: Any) -> str:
    """`tar`, `find`, `sha1sum`, `chmod` of either kind."""
    if request.param == "busybox":
        busybox = shutil.which("busybox")
        if busybox is None:
            pytest.skip("busybox is not installed")
        folder = tmp_path / "busybox"
        folder.mkdir()
        for name in ("tar", "find", "sha1sum", "chmod", "rm", "xargs", "mktemp", "cat"):
            (folder / name).symlink_to(busybox)
        provider.path = f"{folder}:{provider.path}"
    return str(request.param)


async def test_an_untouched_tree_is_an_empty_change(size: str, tools: str, sandbox: Any, base: BaseTree) -> None:
    change = await take_change(sandbox, base)
    assert change.empty
    assert change.digest == EMPTY_DIGEST
    assert change.diff_text == ""
    assert sandbox.commands <= 2
    if tools == "gnu":
        assert sandbox.commands == 1


async def test_whole_files_and_nothing_else(size: str, tools: str, provider: Any, spec: Any, base: BaseTree) -> None:
    sandbox = await provider.create(spec)
    root = sandbox.root
    (root / "calc.py").write_text("def add(a, b):\n    return a + b\n")
    (root / "tests/test_old.py").unlink()
    (root / "new dir/sub").mkdir(parents=True)
    (root / "new dir/sub/ünï.bin").write_bytes(b"\0\xff")
    (root / "run.sh").write_text("#!/bin/sh\n")
    (root / "run.sh").chmod(0o755)
    (root / "inner").symlink_to("new dir/sub")
    (root / "empty").touch()
    for junk in (
        ".git/config",
        "__pycache__/calc.pyc",
        "a/b.pyc",
        ".pytest_cache/x",
        "evil.dist-info/entry_points.txt",
        "x.egg-info/PKG-INFO",
        ".venv/x",
    ):
        (root / junk).parent.mkdir(parents=True, exist_ok=True)
        (root / junk).write_text("junk")
    (root / "build").mkdir()
    (root / "build/out").write_text("ignored by the base's rules")
    (root / "trace.log").write_text("ignored too")
    (root / "sub").mkdir()
    (root / "sub/.gitignore").write_text("*\n")
    (root / "sub/kept").write_text("the agent's own rules do not count")
    change = await take_change(sandbox, base)
    assert sorted(change.files) == ["calc.py", "empty", "inner", "new dir/sub/ünï.bin", "run.sh", "sub/.gitignore", "sub/kept"]
    assert change.files["run.sh"].mode == 0o100755
    assert change.files["inner"] == ChangedFile(0o120000, b"new dir/sub")
    assert change.deleted == ("tests/test_old.py",)
    assert {entry.path: entry.reason for entry in change.dropped} == dict.fromkeys(
        ["build/out", "trace.log"], "git ignores it, by the base's rules"
    )
    assert sandbox.commands == (1 if (size, tools) == ("small", "gnu") else 2)
    fresh = await provider.create(spec)
    await write_files(fresh, writes=change.writes(), removals=change.deleted)
    again = await take_change(fresh, base)
    assert (again.files, again.deleted) == (change.files, change.deleted)
    assert again.digest == change.digest


def git_apply(where: Path, diff: str) -> None:
    subprocess.run(["git", "apply", "-"], cwd=where, input=diff.encode(), check=True)


async def test_the_diff_is_one_that_git_applies(provider: Any, spec: Any, base: BaseTree, image: Path) -> None:
    sandbox = await provider.create(spec)
    (sandbox.root / "calc.py").write_text("import os\ndef add(a, b):\n    return a + b\n\n\ndef double(a):\n    return 2 * a")
    (sandbox.root / "new.py").write_text("x = 1\n")
    (sandbox.root / "tests/test_old.py").unlink()
    (sandbox.root / ".gitignore").chmod(0o755)
    change = await take_change(sandbox, base)
    copy = image.parent / "copy"
    shutil.copytree(image, copy)
    git_apply(copy, change.diff_text)
    assert (copy / "calc.py").read_text() == (sandbox.root / "calc.py").read_text()
    assert (copy / "new.py").read_text() == "x = 1\n"
    assert not (copy / "tests/test_old.py").exists()
    assert os.access(copy / ".gitignore", os.X_OK)


async def test_what_may_not_leave_is_dropped_with_a_reason(size: str, tools: str, sandbox: Any, base: BaseTree) -> None:
    root = sandbox.root
    for name, target in {"out": "../../etc", "abs": "/etc/passwd", "via": "tests/../../x", "ok": "tests"}.items():
        (root / name).symlink_to(target)
    os.mkfifo(root / "pipe")
    (root / "calc.py").unlink()
    os.mkfifo(root / "calc.py")
    (root / "line\nbreak").write_text("x")
    (root / "back\\slash").write_text("x")
    (root / os.fsdecode(b"\xff")).write_text("x")
    (root / "big").write_bytes(bytes(3000))
    (root / "one").write_text("linked")
    os.link(root / "one", root / "two")
    change = await take_change(sandbox, base, limits=ChangeLimits(file_bytes=2000))
    assert sorted(change.files) == ["ok", "one", "two"]
    assert change.files["two"].data == b"linked"
    assert change.deleted == ()
    dropped = {entry.path: entry.reason for entry in change.dropped}
    assert {"out", "abs", "via", "pipe", "calc.py", "big"} <= set(dropped)
    assert "leads out" in dropped["out"]
    assert len(dropped) in (8, 9)
    assert "big" in dropped and "2000" in dropped["big"]


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (ChangeLimits(files=2), "too large"),
        (ChangeLimits(total_bytes=1000), "too large"),
        (ChangeLimits(tree_files=4), "too large|more than 4"),
    ],
)
async def test_a_change_beyond_its_bounds_is_refused(size: str, sandbox: Any, base: BaseTree, limits: ChangeLimits, said: str) -> None:
    for number in range(5):
        (sandbox.root / f"file{number}").write_bytes(bytes(500))
    change = await take_change(sandbox, base, limits=limits)
    assert re.search(said, change.refused)
    assert not change.empty
    assert change.digest != EMPTY_DIGEST


async def test_a_flood_of_untracked_files_falls_back_to_hashes(sandbox: Any, base: BaseTree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worktree, "_STREAM_BYTES", 4096)
    (sandbox.root / "build").mkdir()
    (sandbox.root / "build/huge").write_bytes(bytes(100_000))
    (sandbox.root / "calc.py").write_text("x = 1\n")
    change = await take_change(sandbox, base)
    assert list(change.files) == ["calc.py"]
    assert sandbox.commands == 3


async def test_what_the_build_left_over_is_no_change(size: str, sandbox: Any, base: BaseTree) -> None:
    (sandbox.root / "_version.py").write_text("1.0\n")
    tree = base.with_left_over({"_version.py": f"100644 {blob_id(b'1.0' + bytes([10]))}", "gone.txt": f"100644 {blob_id(b'')}"})
    change = await take_change(sandbox, tree)
    assert change.deleted == ("gone.txt",)
    assert not change.files
    assert "gone.txt" in change.diff_text
    (sandbox.root / "_version.py").write_text("2.0\n")
    assert list((await take_change(sandbox, tree)).files) == ["_version.py"]


async def test_unreadable_files_are_made_readable(size: str, tools: str, sandbox: Any, base: BaseTree) -> None:
    """Root may read anything, so a tar that refuses at first stands for one that runs as another user."""
    fussy = sandbox.root.parent / "fussy"
    fussy.mkdir()
    (fussy / "tar").write_text(
        f'#!/bin/sh\n[ -r {fussy}/done ] || {{ touch {fussy}/done; exit 2; }}\nPATH={sandbox._path}\nexec tar "$@"\n'
    )
    (fussy / "tar").chmod(0o755)
    sandbox._path = f"{fussy}:{sandbox._path}"
    (sandbox.root / "calc.py").write_text("x = 1\n")
    (sandbox.root / "calc.py").chmod(0)
    (sandbox.root / "closed").mkdir()
    (sandbox.root / "closed/in").write_text("y")
    (sandbox.root / "closed").chmod(0)
    if size == "large":
        (fussy / "done").touch()
    change = await take_change(sandbox, base)
    assert list(change.files) == ["calc.py", "closed/in"]
    assert (sandbox.root / "calc.py").stat().st_mode & 0o777 == 0o600


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0]


async def test_processes_at_work_in_the_tree_are_stopped(sandbox: Any, base: BaseTree) -> None:
    process = await asyncio.create_subprocess_exec(
        "sh", "-c", "while :; do date >>noise; sleep 0.01; done", cwd=sandbox.root, start_new_session=True
    )
    other = await asyncio.create_subprocess_exec("sleep", "60", cwd="/")
    try:
        await asyncio.sleep(0.1)
        assert (await take_change(sandbox, base)).files["noise"].data
        assert state(process.pid) in "TD"  # D: a shell that waits for a stopped child
        assert state(other.pid) == "S"
        size = (sandbox.root / "noise").stat().st_size
        await asyncio.sleep(0.1)
        assert (sandbox.root / "noise").stat().st_size == size
    finally:
        os.killpg(process.pid, 9)
        other.kill()
        await process.wait()
        await other.wait()


async def test_a_tree_that_is_gone_or_cannot_be_read_is_refused(size: str, sandbox: Any, base: BaseTree) -> None:
    sandbox._path = "/nowhere"
    change = await take_change(_Answering(sandbox, exit_code=127, stderr=b"sh: tar: not found"), base)
    assert "lacks a program" in change.refused
    assert "tar: not found" in change.refused
    change = await take_change(_Answering(sandbox, timed_out=True, exit_code=137), base, timeout_s=3)
    assert "within 3 s" in change.refused
    shutil.rmtree(sandbox.root)
    assert "not there any more" in (await take_change(sandbox, base)).refused


class _Answering:
    """A sandbox whose programs the agent replaced: each command says the next of `outputs`."""

    def __init__(self, sandbox: Any, *outputs: bytes, exit_code: int = 0, stderr: bytes = b"", timed_out: bool = False) -> None:
        self._outputs, self._sandbox = list(outputs), sandbox
        self._exit_code, self._stderr, self._timed_out = exit_code, stderr, timed_out
        self.scripts: list[str] = []

    async def run(self, script: str, **_: Any) -> CommandResult:
        self.scripts.append(script)
        data = self._outputs.pop(0) if self._outputs else b""
        return CommandResult(
            self._exit_code, Stream(data, b"", len(data)), Stream(self._stderr, b"", len(self._stderr)), self._timed_out, 0.0
        )


async def test_forged_archives(base: BaseTree) -> None:
    def archive(*writes: Write) -> bytes:
        return write_archive(writes)

    whole = [Write(f"./{path}", base.read(path), file.mode) for path, file in base.files.items()]
    forged = archive(
        *whole,
        Write("../../etc/cron.d/x", b"x"),
        Write("/etc/passwd", b"x"),
        Write("./a/../../b", b"x"),
        Write("./.git/hooks/pre-commit", b"x"),
        Write("./.GIT/hooks/pre-commit", b"x"),
        Write("./link", b"tests", 0o120000),
        Write("./link/test_old.py", b"forged"),
        Write("./good", b"1"),
        Write("./good", b"2"),
    )
    change = await take_change(_Answering(None, forged), base)
    assert {path: file.data for path, file in change.files.items()} == {"good": b"1", "link": b"tests"}
    reasons = {entry.path: entry.reason for entry in change.dropped}
    assert set(reasons) == {"../../etc/cron.d/x", "/etc/passwd", "a/../../b", ".GIT/hooks/pre-commit", "link/test_old.py", "good"}
    for garbage in (b"", b"no tar at all" * 100, forged[:-2000]):
        change = await take_change(_Answering(None, garbage, garbage), base)
        assert "could not be read" in change.refused


async def test_a_forged_listing_of_a_large_tree(base: BaseTree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worktree, "_SMALL_BYTES", -1)
    change = await take_change(_Answering(None, b"0000  ./x\n"), base)
    assert "too large" in change.refused


@pytest.mark.parametrize("program", ["find", "sha1sum", "tar"])
async def test_large_trees_say_which_program_is_missing(
    sandbox: Any, base: BaseTree, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, program: str
) -> None:
    monkeypatch.setattr(worktree, "_SMALL_BYTES", -1)
    folder = tmp_path / "few"
    folder.mkdir()
    for name in {"sh", "find", "sha1sum", "tar", "chmod", "xargs"} - {program}:
        (folder / name).symlink_to(str(shutil.which(name)))
    sandbox._path = str(folder)
    change = await take_change(sandbox, base)
    assert f"{program}: not found" in change.refused


async def test_fifty_thousand_files_take_seconds(tmp_path: Path, spec: Any, provider: Any) -> None:
    image = tmp_path / "many"
    for folder in range(100):
        (image / f"d{folder}").mkdir(parents=True)
        for number in range(30):
            (image / f"d{folder}/f{number}").write_text(f"{folder} {number}\n" * 3)
    base = BaseTree.from_directory(image)
    provider.image = image
    sandbox = await provider.create(spec)
    (sandbox.root / "d7/f7").write_text("changed\n")
    (sandbox.root / "d8/f8").unlink()
    change = await take_change(sandbox, base)
    assert (list(change.files), change.deleted) == (["d7/f7"], ("d8/f8",))
    assert sandbox.commands == 2


def test_base_trees_from_tar_directory_and_listing_agree(image: Path, tmp_path: Path) -> None:
    (image / "tool").write_text("#!/bin/sh\n")
    (image / "tool").chmod(0o755)
    (image / "link").symlink_to("calc.py")
    (image / "dirlink").symlink_to("tests")
    environment = {"PATH": os.defpath, "HOME": str(tmp_path), "GIT_CONFIG_GLOBAL": "/dev/null"}
    for command in (["init", "-q"], ["add", "-A"], ["-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-qm", "1"]):
        subprocess.run(["git", *command], cwd=image, check=True, env=environment)
    archive = tmp_path / "repo.tar"
    subprocess.run(["tar", "-c", "-f", str(archive), "."], cwd=image, check=True)
    listing = subprocess.run(
        ["git", "ls-tree", "-r", "-l", "-z", "HEAD"], cwd=image, check=True, stdout=subprocess.PIPE, env=environment
    ).stdout
    by_tar, by_directory = BaseTree.from_tar(archive), BaseTree.from_directory(image)
    by_listing = BaseTree.from_listing(listing, lambda path: (image / path).read_bytes())
    assert dict(by_tar.files) == dict(by_directory.files) == dict(by_listing.files)
    assert by_tar.sha1_by_path == by_directory.sha1_by_path
    for tree in (by_tar, by_directory):
        assert tree.read("calc.py") == (image / "calc.py").read_bytes()
        assert tree.read("dirlink") == b"tests"
        assert pickle.loads(pickle.dumps(tree)).read("tool") == b"#!/bin/sh\n"
        with pytest.raises(KeyError):
            tree.read("nothing")
    assert by_tar.folders == {"tests"}
    with pytest.raises(PlanError, match="does not write"):
        BaseTree.from_listing(b"what is this\0", lambda _: b"")


def test_base_archives_that_cannot_be_read(tmp_path: Path) -> None:
    for content in (b"", b"\x1f\x8b compressed" * 100):
        (tmp_path / "repo.tar").write_bytes(content)
        with pytest.raises(PlanError, match="uncompressed tar"):
            BaseTree.from_tar(tmp_path / "repo.tar")
    with pytest.raises(PlanError, match="cannot be read"):
        BaseTrees().open(tmp_path / "missing.tar")


def test_trees_are_loaded_once_and_forgotten_by_size(tmp_path: Path) -> None:
    trees = BaseTrees(max_files=2)
    archives = []
    for name in "abc":
        archives.append(tmp_path / f"{name}.tar")
        archives[-1].write_bytes(write_archive([Write(name, name.encode())]))
    first = trees.open(archives[0])
    assert trees.open(archives[0]) is first
    trees.open(archives[1])
    trees.open(archives[2])
    assert trees.open(archives[0]) is not first
    archives[2].write_bytes(b"")
    tree = BaseTree.from_tar(archives[0])
    archives[0].write_bytes(b"")
    with pytest.raises(ValueError, match="shorter than it was"):
        tree.read("a")


def test_digests_know_content_mode_path_and_deletion() -> None:
    base = BaseTree({"tool": next(iter(BaseTree.from_listing(b"100755 blob 1234\ttool\0", lambda _: b"").files.values()))}, lambda _: b"")
    changes = [
        Change.of({"a": b"1"}),
        Change.of({"a": b"2"}),
        Change.of({"b": b"1"}),
        Change.of({"a": ChangedFile(0o100755, b"1")}),
        Change.of({}, deleted=["a"]),
        Change(refused="too large"),
        Change(),
    ]
    assert len({change.digest for change in changes}) == len(changes)
    assert Change.of({"a": b"1", "b": b"2"}).digest == Change.of({"b": b"2", "a": b"1"}).digest
    assert Change.of({"tool": b"x"}, base=base).files["tool"].mode == 0o100755


def test_diffs_are_bounded_and_safe() -> None:
    lines = [f"{number}\n".encode() for number in range(20_000)]
    tree = BaseTree.from_listing(b"100644 blob 1\tlong\0" + b"100644 blob 2\tbin\0", {"long": b"".join(lines), "bin": b"\0\1"}.__getitem__)
    middle = Change.of({"long": b"".join([*lines[:10_000], b"new\n", *lines[10_001:]])}, base=tree).diff_text
    assert "@@ -9998,7 +9998,7 @@" in middle
    assert len(middle.splitlines()) == 12
    assert "Binary files a/bin and b/bin differ" in Change.of({"bin": b"\0\2"}, base=tree).diff_text
    everything = Change.of({"long": b"".join(reversed(lines)), "zz": b"x" * 10}, base=tree).diff_text
    assert "[... diff cut ...]" in everything or len(everything) < 300_000
    assert "�" in Change.of({"n": b"\xff\n"}).diff_text
    assert Change.of({"e": b""}).diff_text == "diff --git a/e b/e\nnew file mode 100644\n"


def test_directories_of_tools_that_the_base_tracks_are_not_excluded() -> None:
    tree = BaseTree.from_listing(b"100644 blob 1\tnode_modules/x.js\0", lambda _: b"")
    assert "node_modules/x.js" not in Excluded(tree)
    assert ".venv/bin/python" in Excluded(tree)
    assert "a/__pycache__/b" in Excluded(tree)
    assert "src/x.egg-info/entry_points.txt" in Excluded(tree)
    assert "a.py" not in Excluded(tree)
    assert 3 not in Excluded(tree)


async def test_nested_ignore_rules(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / ".gitignore").write_text("*.o\n")
    (tmp_path / "sub/.gitignore").write_text("!keep.o\n/local\n")
    tree = BaseTree.from_directory(tmp_path)
    assert await ignored(tree, ["a.o", "sub/keep.o", "sub/local/x", "local", "sub/a.o"]) == {"a.o", "sub/local/x", "sub/a.o"}
    assert await ignored(tree, []) == set()


async def test_a_driver_without_git_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".gitignore").write_text("*.o\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Exception, match="Install git"):
        await ignored(BaseTree.from_directory(tmp_path), ["a.o"])
