"""The smallest project of each compiled or scripted language, in containers of the official images that the engine has already."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from podgym.envs.build import BuildOptions, build_task
from podgym.sandbox import KnowsBases, SandboxProvider

pytest.importorskip("docker", reason="the Docker SDK is not installed (extra [docker])")

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(900)]

C_SOURCE, C_TEST = "int add(int a, int b) { return a - b; }\n", "int add(int, int);\nint main(void) { return add(1, 2) != 3; }\n"
MAKE = "all: calc.o\ncalc.o: calc.c\n\t$(CC) -c -o $@ $<\ntest: calc.o\n\t$(CC) -o test_add test_add.c calc.o && ./test_add\n"
CMAKE = (
    "cmake_minimum_required(VERSION 3.10)\nproject(calc CXX)\nenable_testing()\nadd_executable(unit calc.cpp test/unit.cpp)\n"
    "add_test(NAME adds COMMAND unit)\n"
)
GO_TEST = 'package calc\n\nimport "testing"\n\nfunc TestAdd(t *testing.T) {\n\tif Add(1, 2) != 3 {\n\t\tt.Fatal()\n\t}\n}\n'
NODE = json.dumps({"name": "calc", "scripts": {"test": "node --test test/"}})
KINDS: dict[str, tuple[str, dict[str, str], dict[str, str], str]] = {
    "go": (
        "golang:",
        {"go.mod": "module example.org/calc\n\ngo 1.20\n", "calc.go": "package calc\n\nfunc Add(a, b int) int { return a - b }\n"},
        {"calc_test.go": GO_TEST},
        "example.org/calc::TestAdd",
    ),
    "rust": (
        "rust:",
        {
            "Cargo.toml": '[package]\nname = "calc"\nversion = "0.1.0"\nedition = "2021"\n',
            "src/lib.rs": "pub fn add(a: i32, b: i32) -> i32 {\n    a - b\n}\n",
        },
        {"tests/adds.rs": "#[test]\nfn adds() {\n    assert_eq!(calc::add(1, 2), 3);\n}\n"},
        "adds/tests/adds.rs::adds",
    ),
    "javascript": (
        "node:",
        {".gitignore": "node_modules\n", "package.json": NODE, "calc.js": "exports.add = (a, b) => a - b;\n"},
        {
            "test/adds.test.js": "const test = require('node:test'), assert = require('node:assert');\n"
            "test('adds', () => assert.equal(require('../calc.js').add(1, 2), 3));\n"
        },
        "test/adds.test.js::adds",
    ),
    "c": ("gcc:", {"Makefile": MAKE, "calc.c": C_SOURCE}, {"test_add.c": C_TEST}, "make test [exit status]"),
    "cpp": (
        "gcc:",
        {"CMakeLists.txt": CMAKE, "calc.cpp": C_SOURCE, "test/unit.cpp": "int main() { return 0; }\n"},
        {"test/unit.cpp": C_TEST},
        "adds",
    ),
}


@pytest.mark.parametrize("language", KINDS)
async def test_a_small_project(
    history: Any, turned: Any, tmp_path: Path, *, docker_provider: SandboxProvider, built_images: set[str], language: str
) -> None:
    image, base, tests, identity = KINDS[language]
    assert isinstance(docker_provider, KnowsBases)
    if not any(name.startswith(image) for name in await docker_provider.bases()):
        pytest.skip(f"the engine has no image {image}*")
    history.commit("start", base)
    fixed = {path: text.replace("a - b", "a + b") for path, text in base.items() if "a - b" in text}
    fix = history.commit("Adding subtracts", {**fixed, **tests})
    options = BuildOptions(repeats=1, decoys=False, repairs=0)
    report = await build_task(history.path, fix, tmp_path / "out", provider=docker_provider, options=options)
    if report.image_bytes is not None:
        built_images.add(report.image)
    turned(report, {identity}, set())
