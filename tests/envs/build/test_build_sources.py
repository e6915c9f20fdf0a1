"""Options about the repository reach it: how much history, which submodules, and whether URLs of the repository's own are asked."""

import tarfile
from pathlib import Path

import pytest
from pydantic import ValidationError

from podgym.console.cli.options import pairs
from podgym.envs.build import BuildOptions
from podgym.envs.build.prepare import prepare
from podgym.envs.repository import Certificate

TESTS = "import calc\n\ndef test_x():\n    assert calc.x == {}\n"


def made(project, tmp_path: Path, **options: object) -> Certificate:
    chosen = BuildOptions(cache_dir=tmp_path / "cache", **options)
    fix = project.commit("fix", {"calc.py": "x = 2\n", "tests/test_calc.py": TESTS.format(2)})
    prepared = prepare(project.path, fix, tmp_path / "environment", issue="Mend it", options=chosen, progress=lambda _: None)
    assert prepared.certificate is not None
    return prepared.certificate


def begin(history, count: int = 1) -> str:
    for number in range(count):
        base = history.commit(f"{number}", {"calc.py": "x = 1\n", "tests/test_calc.py": TESTS.format(1), "number": str(number)})
    return base


def with_submodule(history, tmp_path: Path) -> str:
    inner = type(history)(tmp_path / "inner")
    pinned = inner.commit("inner", {"inner.py": "y = 1\n"})
    begin(history)
    history.git("update-index", "--add", "--cacheinfo", f"160000,{pinned},lib")
    (history.path / ".gitmodules").write_text('[submodule "lib"]\n\tpath = lib\n\turl = ../inner\n')
    history.git("add", ".gitmodules")
    history.git("commit", "-q", "-m", "linked")
    return pinned


def test_generations(history, tmp_path: Path) -> None:
    begin(history, 5)
    certificate = made(history, tmp_path, history=2)
    assert certificate.gold_lines == 0 and len(certificate.shallow) == 1
    with tarfile.open(tmp_path / "environment/repo.tar") as tar:
        assert ".git/shallow" in tar.getnames()


def test_a_shallow_clone_will_do_for_that(history, tmp_path: Path) -> None:
    begin(history, 5)
    fix = history.commit("fix", {"calc.py": "x = 2\n", "tests/test_calc.py": TESTS.format(2)})
    history.git("clone", "-q", "--depth=3", f"file://{history.path}", str(tmp_path / "shallow"))
    options = BuildOptions(cache_dir=tmp_path / "cache", history=100)
    prepared = prepare(tmp_path / "shallow", fix, tmp_path / "environment", issue="Mend it", options=options, progress=lambda _: None)
    assert prepared.certificate is not None and len(prepared.certificate.shallow) == 1


@pytest.mark.parametrize(
    ("options", "built"),
    [({}, False), ({"follow_urls": True}, True), ({"submodules": {"lib": "../inner"}}, True), ({"submodules": {"other": "/x"}}, False)],
)
def test_submodules(history, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, object], built: bool) -> None:
    pinned = with_submodule(history, tmp_path)
    monkeypatch.chdir(history.path)
    fix_tree = {"calc.py": "x = 2\n", "tests/test_calc.py": TESTS.format(2)}
    for name, text in fix_tree.items():
        (history.path / name).write_text(text)
    history.git("add", "calc.py", "tests")
    history.git("commit", "-q", "-m", "fix")
    chosen = BuildOptions(cache_dir=tmp_path / "cache", **options)
    prepared = prepare(history.path, "HEAD", tmp_path / "environment", issue="Mend it", options=chosen, progress=lambda _: None)
    assert prepared.certificate is not None
    (module,) = prepared.certificate.submodules
    assert (module.path, module.commit, module.built) == ("lib", pinned, built)


def test_on_the_command_line() -> None:
    given = pairs(["history=100", "follow_urls=true", 'submodules={"third/lib"="../lib.git"}'], "--option")
    options = BuildOptions(**given)
    assert (options.history, options.follow_urls, options.submodules) == (100, True, {"third/lib": "../lib.git"})


@pytest.mark.parametrize("history", [0, -1, "all", 1.5])
def test_history_that_is_none(history: object) -> None:
    with pytest.raises(ValidationError, match="history"):
        BuildOptions(history=history)
