from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podgym.verifiers import BaseTree, Change, ChangedFile
from podgym.verifiers.basetree import BaseFile
from podgym.verifiers.paths import PathGlobs, import_shadows, link_escapes, unsafe_path
from podgym.verifiers.protection import accept

CONTENT = {
    "calc.py": b"",
    "src/pkg/__init__.py": b"",
    "src/pkg/core.py": b"",
    "src/pkg/test_core.py": b"",
    "tests/__init__.py": b"",
    "tests/test_old.py": b"",
    "tests/data/golden.json": b"{}",
    "queue/__init__.py": b"",
    "calendar.py": b"",
    "json/data.txt": b"",
    "checks/tests/test_deep.py": b"",
    "pyproject.toml": b'[project]\nversion = "1"\n[tool.pytest.ini_options]\naddopts = "-q"\n',
    "setup.cfg": b"[metadata]\nname = x\n[tool:pytest]\naddopts = -q\n",
    "tox.ini": b"[tox]\nenvlist = py\n",
}
HIDDEN = {"tests/test_new.py", "src/pkg/test_more.py"}


@pytest.fixture
def base() -> BaseTree:
    listing = b"".join(b"100644 blob %040d\t%s\0" % (0, path.encode()) for path in CONTENT)
    return BaseTree.from_listing(listing, CONTENT.__getitem__)


KEPT = [
    "calc.py",
    "src/pkg/core.py",
    "src/pkg/new.py",
    "src/pkg/json.py",
    "src/pkg/sub/__init__.py",
    "queue/more.py",
    "queue/__init__.py",
    "calendar/__init__.py",
    "docs/index.md",
    "site/index.html",
    "new_module.py",
    "contest.py",
    "latest/x.py",
]
LEFT_OUT = [
    "tests/test_new.py",
    "tests/test_old.py",
    "tests/helper.py",
    "tests/data/golden.json",
    "Tests/x.py",
    "tests",
    "src/pkg/test_core.py",
    "src/pkg/test_core/__init__.py",
    "src/pkg/test_core.cpython-311-x86_64-linux-gnu.so",
    "src/pkg/test_more.py",
    "src/pkg/test_more.pyd",
    "src/pkg/test_more.py/x",
    "src/pkg/x_test.py",
    "src/pkg.py",
    "src.so",
    "tests.abi3.so",
    "conftest.py",
    "src/pkg/conftest.py",
    "conftest.cpython-311.so",
    "conftest/__init__.py",
    "pytest.ini",
    ".pytest.ini",
    "pytest.toml",
    "setup.cfg",
    "pyproject.toml",
    "src/pyproject.toml",
    "sitecustomize.py",
    "src/usercustomize/__init__.py",
    "evil.pth",
    "pytest.py",
    "_pytest/__init__.py",
    "src/pluggy/__init__.py",
    "json.py",
    "json/__init__.py",
    "checks",
    "checks/tests",
    "unittest/__init__.py",
    "src/unittest.py",
    "xml.so",
    "Makefile",
    "src/pkg/__snapshots__/x",
]


@pytest.mark.parametrize("path", KEPT)
def test_source_is_graded(base: BaseTree, path: str) -> None:
    found = accept(Change.of({path: b"x"}, base=base), hidden=HIDDEN)
    assert (list(found.files), found.dropped) == ([path], ())


@pytest.mark.parametrize("path", LEFT_OUT)
def test_what_grades_is_left_alone(base: BaseTree, path: str) -> None:
    found = accept(Change.of({path: b"x"}, base=base), hidden=HIDDEN)
    assert not found.files
    assert [entry.path for entry in found.dropped] == [path]


def test_deletions_of_what_grades_are_undone(base: BaseTree) -> None:
    found = accept(Change.of({}, deleted=["calc.py", "tests/test_old.py", "tests/test_new.py", "pyproject.toml"], base=base), hidden=HIDDEN)
    assert found.deleted == ("calc.py",)
    assert len(found.dropped) == 3


@pytest.mark.parametrize(
    ("path", "data", "kept"),
    [
        ("pyproject.toml", b'[project]\nversion = "2"\n[tool.pytest.ini_options]\naddopts = "-q"\n', True),
        ("pyproject.toml", b'[project]\nversion = "2"\n[tool.pytest.ini_options]\naddopts = "-p evil"\n', False),
        ("pyproject.toml", b'[project]\nversion = "2"\n', False),
        ("pyproject.toml", b"not toml at all [", False),
        ("pyproject.toml", b"tool = 1\n", False),
        ("pyproject.toml", b"\xff", False),
        ("setup.cfg", b"[metadata]\nname = y\n[tool:pytest]\naddopts = -q\n", True),
        ("setup.cfg", b"[tool:pytest]\naddopts = -q --deselect x\n", False),
        ("setup.cfg", b"no section\n", False),
        ("tox.ini", b"[tox]\nenvlist = py3\n", True),
        ("tox.ini", b"[pytest]\naddopts = --collect-only\n", False),
        ("src/pkg/conftest.py", b"", True),
        ("json.py", b"", True),
    ],
)
def test_what_the_fix_touches_is_graded_but_for_the_runners_tables(base: BaseTree, path: str, data: bytes, kept: bool) -> None:
    found = accept(Change.of({path: data}, base=base), hidden=HIDDEN, editable=[path])
    assert bool(found.files) is kept
    assert bool(found.dropped) is not kept


@pytest.mark.parametrize(("path", "target"), [("pyproject.toml", "a=1"), ("Makefile", "SRC=x"), ("pyproject.toml", "other.toml")])
def test_a_link_is_no_file_of_settings(path: str, target: str) -> None:
    """Its target, read as if it were the file, may look as harmless as the base's file."""
    base = BaseTree({path: BaseFile(0o100644, "0" * 40, 0)}, lambda _: b"")
    link = ChangedFile(0o120000, target.encode())
    found = accept(Change.of({path: link, "setup.py": link}, base=base), hidden=HIDDEN, editable=[path, "setup.py"])
    assert [(entry.path, entry.reason) for entry in found.dropped] == [(path, "it changes how tests are run")]
    assert list(found.files) == ["setup.py"]


def test_hidden_tests_win_over_editable(base: BaseTree) -> None:
    assert not accept(Change.of({"tests/test_new.py": b""}, base=base), hidden=HIDDEN, editable=["tests/test_new.py"]).files


def test_a_change_without_a_base() -> None:
    assert accept(Change.of({"a.py": b"", "tests/a.py": b""}), hidden=()).files.keys() == {"a.py"}


@pytest.mark.parametrize(
    "path",
    ["", "/etc/passwd", "..", "../x", "a/../b", "./a", "a//b", "a/", ".", "a\nb", "a\\b", ".git/config", "a/.Git/x", "x" * 2000, "\udcff"],
)
def test_unsafe_paths(path: str) -> None:
    assert unsafe_path(path)


@pytest.mark.parametrize("path", ["a", "a/b", ".github/x", "...", "..a/b", "a b", "ünï", ".gitignore"])
def test_safe_paths(path: str) -> None:
    assert not unsafe_path(path)


@pytest.mark.parametrize(
    ("path", "target", "escapes"),
    [
        ("a", "b", False),
        ("a", "b/c", False),
        ("a/b", "../c", False),
        ("a/b", "./../c", False),
        ("a", "../c", True),
        ("a/b", "../../c", True),
        ("a", "/etc", True),
        ("a", "b/../c", True),
        ("a", "", True),
        ("a", "x\0y", True),
        ("a", ".git/hooks", True),
    ],
)
def test_links(path: str, target: str, escapes: bool) -> None:
    assert link_escapes(path, target) is escapes


def test_globs() -> None:
    globs = PathGlobs(["tests/", "*.snap", "/top.txt", "a/**/z?", "docs/**"])
    for path in ("tests/x", "a/tests/b/c", "x.snap", "d/X.SNAP", "top.txt", "a/z1", "a/b/c/z1", "docs/a/b"):
        assert path in globs, path
    for path in ("tests", "mytests/x", "snap", "d/top.txt", "a/z", "b/a/z1", "docs"):
        assert path not in globs, path
    assert 1 not in globs
    assert "x" not in PathGlobs([])


@given(st.text("ab/.*?[]{}()+|^$\\-", max_size=12), st.text("ab/.", max_size=12))
def test_any_text_is_a_glob(pattern: str, path: str) -> None:
    assert (path in PathGlobs([pattern])) in (True, False)


def test_shadows_say_what_they_would_replace() -> None:
    said = import_shadows("tests/test_a/__init__.py", modules={"tests/test_a"}, folders={"tests"}, roots={""})
    assert "in place of tests/test_a" in said
    assert "'json'" in import_shadows("json/__init__.py", modules=(), folders=(), roots={""})
    assert not import_shadows("json/data.txt", modules=(), folders=(), roots={""})
