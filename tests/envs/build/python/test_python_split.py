from __future__ import annotations

import pytest

from podgym.envs.build.errors import BuildError
from podgym.envs.build.history import read_fix
from podgym.envs.build.languages.python import PYTHON
from podgym.envs.build.languages.python.paths import PythonTestPaths
from podgym.envs.build.split import Split, split_fix
from podgym.envs.build.tree import Tree
from podgym.envs.repository import RepositoryError, SourceRepository


def split(source: SourceRepository, commit: str, *, parent: int | None = None) -> Split:
    fix = read_fix(source, commit, parent=parent)
    paths = {entry.path for sha in (fix.base, fix.sha) for entry in source.list_tree(sha)}
    return split_fix(fix, PythonTestPaths(paths))


def names(changes) -> list[str]:
    return [change.path for change in changes]


def test_tests_and_their_data_are_separated_from_source(history, source) -> None:
    history.commit("start", {"calc.py": "1\n", "tests/__init__.py": "", "README.md": "x"})
    fix = history.commit(
        "fix",
        {
            "calc.py": "2\n",
            "README.md": "y",
            "tests/test_calc.py": "pass\n",
            "tests/data/in.bin": b"\0\xff",
            "tests/helpers.py": "",
            "calc_test.py": "",
            "conftest.py": "",
        },
    )
    halves = split(source, fix)
    assert names(halves.source) == ["README.md", "calc.py"]
    assert names(halves.tests) == ["calc_test.py", "conftest.py", "tests/data/in.bin", "tests/helpers.py", "tests/test_calc.py"]
    assert halves.runnable == ("calc_test.py", "tests/test_calc.py")


def test_renamed_and_deleted_test_files(history, source) -> None:
    history.commit("start", {"calc.py": "1\n", "tests/test_old.py": "import calc\n" * 20, "tests/test_gone.py": "pass\n"})
    fix = history.commit(
        "fix", {"calc.py": "2\n", "tests/test_old.py": None, "tests/test_gone.py": None, "tests/test_new.py": "import calc\n" * 20}
    )
    halves = split(source, fix)
    assert {change.path: change.status for change in halves.tests} == {
        "tests/test_gone.py": "deleted",
        "tests/test_new.py": "added",
        "tests/test_old.py": "deleted",
    }
    assert halves.runnable == ("tests/test_new.py",)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("tests/data/x.json", True),
        ("pkg/tests/test_x.py", True),
        ("Tests/images/x.ico", True),
        ("pkg/test-data/unit/x.test", True),
        ("pkg/test/client.py", False),
        ("pkg/testing/__init__.py", False),
        ("other/test/client.py", True),
        ("testing/benchmark.py", True),
        ("pkg/test_utils.py", True),
        ("pkg/contest.py", False),
        ("pkg/latest.py", False),
        ("attestation/x.py", False),
        ("lib/test/test_x.py", True),
        ("lib/test/data.txt", True),
    ],
)
def test_paths_of_tests(path: str, expected: bool) -> None:
    kinds = PythonTestPaths(["pkg/__init__.py", "pkg/test/__init__.py", "lib/__init__.py", "lib/test/test_x.py", path])
    assert kinds.is_test(path) is expected


@pytest.mark.parametrize(
    ("path", "is_test", "runnable"),
    [
        ("pkg/testParser.py", True, True),
        ("tests/ParserTest.py", True, True),
        ("pkg/SpeedTest.py", False, False),
        ("tests/tester.py", True, False),
        ("tests/conftest.py", True, False),
        ("pkg/check_parser.py", True, True),
        ("pkg/specs/parser.py", True, True),
        ("pkg/check_parser.c", False, False),
        ("pkg/core/__init__.py", False, False),
        ("pkg/parser.py", False, False),
    ],
)
def test_what_pytest_is_told_to_look_for_is_a_test(path: str, is_test: bool, runnable: bool) -> None:
    files = {
        "pytest.ini": "[pytest]\npython_files = check_*.py __init__.py\n    */specs/*_.py */specs/p*.py *.py\n",
        "pkg/__init__.py": "",
        path: "",
    }
    kinds = PYTHON.test_paths(Tree(files, lambda name: files[name].encode()))
    assert (kinds.is_test(path), kinds.is_runnable(path)) == (is_test, runnable)


def test_helpers_of_tests_in_a_library_are_none() -> None:
    files = dict.fromkeys(("pkg/__init__.py", "pkg/testing.py", "pkg/testutils.py", "pkg/testparser.py", "tests/testutils.py"), "")
    files["pytest.ini"] = "[pytest]\npython_files = test*.py\n"
    kinds = PYTHON.test_paths(Tree(files, lambda name: files[name].encode()))
    assert [path for path in files if kinds.is_test(path)] == ["pkg/testparser.py", "tests/testutils.py"]


@pytest.mark.parametrize(("beside", "is_test"), [("tests/test_x.py", False), ("pkg/other.py", True)])
def test_a_library_s_own_test_module_is_none_where_its_tests_are_elsewhere(beside: str, is_test: bool) -> None:
    kinds = PythonTestPaths(["pkg/__init__.py", "pkg/test.py", "pkg/testutils/__init__.py", beside])
    assert kinds.is_test("pkg/test.py") is is_test and kinds.is_test("tests/test.py") and kinds.is_test("test.py")
    assert kinds.is_test("pkg/testutils/find_tests.py") is is_test and kinds.is_test("tests/testutils/find_tests.py")


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"calc.py": "2\n"}, "no_test_change"),
        ({"tests/test_calc.py": "x = 2\n"}, "only_test_change"),
        ({"calc.py": "2\n", "tests/data.txt": "new"}, "no_test_change"),
        ({"calc.py": "2\n", "tests/test_calc.py": None}, "no_test_change"),
        ({}, "empty_commit"),
    ],
)
def test_a_fix_needs_both_halves(history, source, files, reason) -> None:
    history.commit("start", {"calc.py": "1\n", "tests/test_calc.py": "x = 1\n"})
    with pytest.raises(BuildError) as caught:
        split(source, history.commit("fix", files))
    assert (caught.value.stage, caught.value.reason) == ("split", reason)
    assert caught.value.remedy


def test_a_link_among_the_tests_is_refused(history, source) -> None:
    history.commit("start", {"calc.py": "1\n", "tests/test_calc.py": "x = 1\n"})
    (history.path / "tests" / "link").symlink_to("test_calc.py")
    with pytest.raises(BuildError, match="symbolic link") as caught:
        split(source, history.commit("fix", {"calc.py": "2\n", "tests/test_calc.py": "x = 2\n"}))
    assert caught.value.reason == "unsupported_file"


def test_a_submodule_is_refused(history, source) -> None:
    history.commit("start", {"calc.py": "1\n", "tests/test_calc.py": "x = 1\n"})
    history.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},vendored")
    (history.path / "vendored").mkdir()
    history.commit("with a submodule", {})
    with pytest.raises(BuildError, match="submodule"):
        history.git("update-index", "--cacheinfo", f"160000,{'2' * 40},vendored")
        (history.path / "calc.py").write_text("3\n")
        (history.path / "tests/test_calc.py").write_text("3\n")
        history.git("add", "calc.py", "tests")
        history.git("commit", "-q", "-m", "fix")
        split(source, "main")


def test_commits_that_cannot_be_a_fix(history, source) -> None:
    root = history.commit("start", {"calc.py": "1\n"})
    with pytest.raises(BuildError) as caught:
        read_fix(source, root)
    assert caught.value.reason == "root_commit"
    with pytest.raises(RepositoryError) as missing:
        read_fix(source, "0" * 40)
    assert missing.value.problem == "commit"


def test_a_merge_is_what_it_brought_in(history, source) -> None:
    base = history.commit("start", {"calc.py": "1\n"})
    history.git("checkout", "-q", "-b", "side")
    history.commit("on the side", {"calc.py": "2\n", "tests/test_calc.py": "x = 1\n"})
    history.git("checkout", "-q", "main")
    on_main = history.commit("on main", {"other.py": "1\n"})
    history.git("merge", "-q", "--no-ff", "-m", "merge", "side")
    for parent in (None, 1):
        fix = read_fix(source, "main", parent=parent)
        assert fix.base == on_main and [change.path for change in fix.changes] == ["calc.py", "tests/test_calc.py"]
    assert [change.path for change in read_fix(source, "main", parent=2).changes] == ["other.py"]
    with pytest.raises(BuildError, match="2 parent"):
        read_fix(source, "main", parent=3)
    with pytest.raises(BuildError, match="1 parent"):
        read_fix(source, on_main, parent=2)
    assert base
