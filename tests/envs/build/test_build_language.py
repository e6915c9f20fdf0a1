"""Which language a fix is in."""

from __future__ import annotations

import time

import pytest

from podgym.envs.build.detect import detect_language, language_shares, other_languages
from podgym.envs.build.errors import BuildError
from podgym.envs.build.tree import Tree
from podgym.verifiers.protection import Language


def tree(*paths: str) -> Tree:
    return Tree(paths, lambda _: b"")


@pytest.mark.parametrize(
    ("paths", "changed", "language"),
    [
        (["a.py", "b.rs", "src/lib.rs"], ["src/lib.rs", "tests/a.rs"], "rust"),
        (["a.js", "b.ts", "c.ts"], ["a.js"], "javascript"),
        (["a.js", "b.ts", "c.ts"], ["a.js", "b.ts"], "typescript"),
        (["a.c", "b.c", "a.h"], ["a.h", "tests/x.txt"], "c"),
        (["a.cpp", "b.cpp", "a.h"], ["a.h", "tests/x.txt"], "cpp"),
        (["a.c", "b.cpp", "c.cpp"], ["a.c", "b.cpp"], "cpp"),
        (["a.c", "b.c", "c.c", "d.c", "e.c", "f.c", "tests/x.cpp"], ["a.c"], "c"),
        (["go.mod", "a.go", "README.md"], ["README.md"], "go"),
        (["pom.xml", "src/main/java/A.java"], ["src/main/resources/a.txt", "src/test/resources/b.txt"], "java"),
        (["lint/a.py"], ["lint/a.py", "tests/fixtures/a.js", "tests/fixtures/b.js"], "python"),
        (["a.rs"], ["a.rs", "testdata/a.java", "tests/test-data/b.java"], "rust"),
        (["a.js", "examples/b.js"], ["examples/b.js", "README.md"], "javascript"),
        (["setup.cfg", "a.py", "b.c", "c.c"], ["README.md"], "python"),
        (["main.go", "vendor/x/a.c", "vendor/x/b.c"], ["main.go", "vendor/x/a.c", "vendor/x/b.c"], "go"),
    ],
)
def test_language(paths: list[str], changed: list[str], language: str) -> None:
    assert detect_language(tree(*paths), changed) == language


@pytest.mark.parametrize(
    ("files", "changed", "language"),
    [
        ({"setup.py": ""}, ["a.c", "b.c", "tests/test_a.py"], "python"),
        ({"pyproject.toml": "[build-system]"}, ["a.rs", "b.rs", "tests/test_a.py"], "python"),
        ({"pyproject.toml": "[tool.ruff]"}, ["a.c", "b.c", "tests/test_a.py"], "c"),
        ({"package.json": "{}", "binding.gyp": ""}, ["a.cc", "b.cc", "test/a.js"], "javascript"),
        ({"go.mod": "", "web/package.json": ""}, ["a.go", "b.go", "web/src/a.test.ts"], "typescript"),
        ({"go.mod": "", "web/package.json": ""}, ["a.go", "b_test.go", "c.go", "web/src/a.test.ts"], "go"),
        ({"setup.py": ""}, ["a.c", "b.c", "tests/test_a.py", "tests/b.c"], "c"),
        ({"CMakeLists.txt": ""}, ["a.c", "b.c", "tests/test_a.py"], "c"),
    ],
)
def test_a_fix_belongs_to_the_project_that_its_tests_are_in(files: dict[str, str], changed: list[str], language: str) -> None:
    every = Tree([*files, *changed], lambda path: files.get(path, "").encode())
    assert detect_language(every, changed) == language


def test_blank_lines_of_a_build_file_cost_little() -> None:
    files = {"pyproject.toml": "\n" * 100_000}
    begun = time.monotonic()
    every = Tree([*files, "a.c", "b.c", "tests/test_a.py"], lambda path: files.get(path, "").encode())
    assert detect_language(every, ["a.c", "b.c", "tests/test_a.py"]) == "c"
    assert time.monotonic() - begun < 2


@pytest.mark.parametrize(
    ("paths", "changed", "said"), [(["a.rb"], ["a.rb"], "Ruby"), (["a.py", "b.kt"], ["b.kt"], "Kotlin"), (["x"], ["x"], "no file")]
)
def test_a_ninth_language(paths: list[str], changed: list[str], said: str) -> None:
    with pytest.raises(BuildError, match=said) as caught:
        detect_language(tree(*paths), changed)
    assert (caught.value.stage, caught.value.reason) == ("plan", "unsupported_language")


def test_shares() -> None:
    assert language_shares(["a.py", "b.py", "c.go", "node_modules/x.js", "README.md", ".py"]) == {"python": 2 / 3, "go": 1 / 3}


@pytest.mark.parametrize(
    ("changed", "first", "others"),
    [
        (["src/a.c", "src/b.c", "test/test_a.py"], "c", ["python"]),
        (["a.c", "a.h", "b.cpp", "tests/x.cpp"], "cpp", []),
        (["a.ts", "b.ts", "c.js", "test/a.test.ts", "lib.rs"], "typescript", ["rust"]),
        (["a.js", "b.js", "c.go", "d.go", "pkg/tests/test_x.py", "CTest.java", "e.go"], "javascript", ["python", "java", "go"]),
        (["a.py", "fixtures/a.js", "vendor/x.go"], "python", []),
    ],
)
def test_other_languages_of_a_fix(changed: list[str], first: Language, others: list[Language]) -> None:
    assert other_languages(changed, first) == others
