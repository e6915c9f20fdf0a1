"""A fix whose tests change nothing but data: the tests that read it are run."""

from __future__ import annotations

from pathlib import Path

import pytest

from podgym.envs.build import BuildError, BuildOptions, Prepared, build_task, read_plan
from podgym.envs.build.testdata import data_readers, is_data
from podgym.envs.build.tree import Tree
from podgym.sandbox.local import LocalConfig, LocalProvider

CARGO = '[package]\nname = "calc"\nversion = "0.1.0"\nedition = "2021"\n'
INSTA = '---\nsource: src/parser.rs\nexpression: parse("1")\n---\n{}\n'
PYTHON = {
    "calc.py": "x = 1\n",
    "tests/test_calc.py": "import pathlib, calc\n\ndef test_x():\n    here = pathlib.Path(__file__).parent\n"
    '    assert str(calc.x) == (here / "data" / "x.txt").read_text()\n\n\ndef test_y():\n    assert calc.x\n',
    "tests/test_other.py": "def test_other():\n    pass\n",
    "tests/data/x.txt": "1",
}


def take_apart(history, files: dict[str, str], changed: dict[str, str]) -> Prepared:
    history.commit("start", files)
    return read_plan(history.path, history.commit("fix", changed), issue="Mend it", options=BuildOptions())


GO = {"go.mod": "module example.org/a\n\ngo 1.20\n", "fmt/fmt.go": "package fmt\n", "other/o_test.go": "package o\n\nvar _ = `testdata`\n"}
JAVA = "package a;\nclass {0}Test {{ @Test void reads() {{ read({1}); }} }}\n"
FIXES = {
    "python: by the data's name": (PYTHON, {"calc.py": "x = 2\n", "tests/data/x.txt": "2"}, ("tests/test_calc.py",)),
    "python: a folder that is named after its test": (
        PYTHON,
        {"calc.py": "x = 2\n", "tests/test_other/expected.yml": "2"},
        ("tests/test_other.py",),
    ),
    "go: golden files named for a test": (
        {**GO, "fmt/fmt_test.go": "package fmt\n\nfunc TestShort(t *testing.T) {}\n", "fmt/b_test.go": "package fmt\n"},
        {"fmt/fmt.go": "package fmt // 2\n", "fmt/testdata/TestShort.golden": "2"},
        ("fmt/fmt_test.go",),
    ),
    "go: sources that are data, by their folder": (
        {**GO, "fmt/fmt_test.go": 'package fmt\n\nvar dir = filepath.Join("testdata", "src")\n', "fmt/b_test.go": "package fmt\n"},
        {"fmt/fmt.go": "package fmt // 2\n", "fmt/testdata/src/a/a.go": "package a\n"},
        ("fmt/fmt_test.go",),
    ),
    "rust: what a compiler is to say": (
        {
            "Cargo.toml": CARGO,
            "src/lib.rs": "// 1\n",
            "tests/it.rs": "#[test] fn ui() { trybuild::TestCases::new().compile_fail(\"tests/ui/*.rs\"); }\n",
            "tests/ui/bad.rs": "fn main() {}\n",
            "tests/ui/bad.stderr": "1",
        },
        {"src/lib.rs": "// 2\n", "tests/ui/bad.stderr": "2"},
        ("tests/it.rs",),
    ),
    "rust: a snapshot of tests inside a source": (
        {
            "Cargo.toml": CARGO,
            "src/lib.rs": "mod parser;\n",
            "src/parser.rs": "// 1\n#[cfg(test)]\nmod tests {\n    #[test] fn one() { insta::assert_snapshot!(1); }\n}\n",
            "src/snapshots/calc__parser__tests__one.snap": INSTA.format(1),
        },
        {"src/lib.rs": "// 2\nmod parser;\n", "src/snapshots/calc__parser__tests__one.snap": INSTA.format(2)},
        ("src/parser.rs",),
    ),
    "java: resources, by a name without its ending": (
        {
            "pom.xml": "<project><groupId>a</groupId><artifactId>a</artifactId><version>1</version></project>",
            "src/main/java/a/A.java": "class A {}\n",
            "src/test/java/a/ATest.java": JAVA.format("A", '"prices"'),
            "src/test/java/a/BTest.java": JAVA.format("B", '"other"'),
            "src/test/resources/prices.json": "1",
        },
        {"src/main/java/a/A.java": "class A { }\n", "src/test/resources/prices.json": "2"},
        ("src/test/java/a/ATest.java",),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FIXES)
def test_the_tests_that_read_what_changed_are_run(history, case: str) -> None:
    files, changed, readers = FIXES[case]
    prepared = take_apart(history, files, changed)
    assert prepared.changed_tests == readers
    source, data = changed
    assert set(prepared.gold.files) == {source}
    assert [write.path for write in prepared.hidden] == [data] and not prepared.inline


@pytest.mark.parametrize(
    "changed",
    [
        {"calc.py": "x = 2\n", "tests/data/unknown/nobody.bin": "2"},
        {"calc.py": "x = 2\n", "tests/README.md": "data"},
        {"calc.py": "x = 2\n", "tests/helpers.py": "data = 1\n"},
        {"calc.py": "x = 2\n", "src/data.json": "2"},
        {"calc.py": "x = 2\n", "data/x.txt": "2"},
    ],
)
def test_data_that_no_test_reads_is_no_test(history, changed: dict[str, str]) -> None:
    files = {**PYTHON, "tests/test_calc.py": PYTHON["tests/test_calc.py"].replace('"data" / "x.txt"', '"x.txt"')}
    with pytest.raises(BuildError) as caught:
        take_apart(history, files, changed)
    assert (caught.value.stage, caught.value.reason) == ("split", "no_test_change")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("tests/data/x.json", True),
        ("tests/expected.txt", True),
        ("pkg/testdata/src/a/a.go", True),
        ("tests/helpers.py", False),
        ("tests/conftest.py", False),
        ("tests/README.md", False),
        ("tests/fixtures/page.md", True),
        ("tests/fixtures/README.md", False),
        ("tests/CMakeLists.txt", False),
        ("tests/requirements.txt", False),
        ("tests/.gitignore", False),
    ],
)
def test_what_is_data(path: str, expected: bool) -> None:
    assert is_data(path) is expected


def test_a_snapshot_that_names_a_source_elsewhere_reads_nothing_outside(history) -> None:
    data = {"a.snap": INSTA.format(1).replace("src/parser.rs", "../../../etc/passwd").encode()}

    class Nothing:
        def is_test(self, path: str) -> bool:
            return True

        def is_runnable(self, path: str) -> bool:
            return False

    assert data_readers(Tree(data, data.get), Nothing(), ["a.snap"]) == ()


async def test_a_task_whose_only_hidden_file_is_data(history, tmp_path: Path) -> None:
    history.commit("start", PYTHON)
    fix = history.commit("Two", {"calc.py": "x = 2\n", "tests/data/x.txt": "2"})
    provider = LocalProvider(LocalConfig(cache=tmp_path / "images", scratch=tmp_path / "scratch"))
    try:
        report = await build_task(history.path, fix, tmp_path / "out", provider=provider, options=BuildOptions(repeats=1))
    finally:
        await provider.close()
    assert report.status == "validated", report
    assert report.fail_to_pass == ("tests/test_calc.py::test_x",)
    assert set(report.pass_to_pass) == {"tests/test_calc.py::test_y", "tests/test_other.py::test_other"}


def test_many_files_of_data_are_looked_for_once() -> None:
    files = {f"tests/test_{number}.py": "" for number in range(300)} | {f"tests/data/{number}.txt": "" for number in range(500)}
    asked = 0

    class Kinds:
        def is_test(self, path: str) -> bool:
            return path.startswith("tests/")

        def is_runnable(self, path: str) -> bool:
            nonlocal asked
            asked += 1
            return path.endswith(".py")

    assert data_readers(Tree(files, lambda path: files[path].encode()), Kinds(), [path for path in files if path.endswith(".txt")]) == ()
    assert asked == len(files)


def test_data_that_counts_as_tests_itself_does_not_hide_who_reads_it() -> None:
    class Kinds:
        def is_test(self, path: str) -> bool:
            return True

        def is_runnable(self, path: str) -> bool:
            return True

    data = [f"test/fixtures/line/{number}.png" for number in range(1000)]
    files = {**dict.fromkeys(data, b""), "test/specs/line.tests.js": b"fixtures('line')", "test/specs/bar.tests.js": b""}
    assert data_readers(Tree(files, files.__getitem__), Kinds(), ["test/fixtures/line/a/b.js"]) == ("test/specs/line.tests.js",)
