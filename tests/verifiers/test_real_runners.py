"""Test programs of seven languages as they are: their own runners make the reports that are read here."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from podgym.sandbox import SandboxSpec
from podgym.verifiers import ReportSource, TestCommand, TestReport, run_tests
from podgym.verifiers.archive import Write

pytestmark = pytest.mark.timeout(400)

Run = Callable[..., Any]


@pytest.fixture
def run(provider: Any, spec: SandboxSpec) -> Run:
    """Runs a script over files, with the machine's programs and their caches."""
    provider.path = os.environ["PATH"]

    async def once(script: str, format: Any, files: dict[str, str], *, globs: tuple[str, ...] = (), **env: str) -> TestReport:
        sandbox = await provider.create(spec)
        home = {"HOME": str(Path.home()), "GOCACHE": _go_cache(), **env}
        command = TestCommand(framework="program", script=script, report=ReportSource(format=format, files=globs), timeout_s=300, env=home)
        report = await run_tests(sandbox, command, writes=[Write(path, text.encode()) for path, text in files.items()])
        assert report.problem in (None, "disagrees"), (report.message, report.log[-3000:])
        return report

    return once


def _go_cache() -> str:
    if shutil.which("go") is None:
        return "/tmp"
    return subprocess.run(["go", "env", "GOCACHE"], capture_output=True, text=True, check=True).stdout.strip()


def needs(*programs: str) -> pytest.MarkDecorator:
    missing = [program for program in programs if shutil.which(program) is None]
    return pytest.mark.skipif(bool(missing), reason=f"{', '.join(missing)} not installed")


def with_file(path: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not Path(path).exists(), reason=f"{path} is not there")


GO = {
    "go.mod": "module example.com/m\n\ngo 1.18\n",
    "a/a.go": "package a\n\nfunc Add(a, b int) int { return a + b }\n",
    "a/a_test.go": """package a
import "testing"
func TestAdd(t *testing.T) {
    t.Run("one two", func(t *testing.T) { if Add(1, 2) != 3 { t.Fatal() } })
    t.Run("skipped", func(t *testing.T) { t.Skip() })
}
func TestWrong(t *testing.T) { t.Error("no") }
""",
    "b/b_test.go": """package b
import "testing"
func TestFirst(t *testing.T) {}
func TestPanics(t *testing.T) { panic("x") }
func TestNever(t *testing.T) {}
""",
    "c/c_test.go": "package c\nfunc broken(\n",
}


@needs("go", "gcc")
async def test_go(run: Run) -> None:
    report = await run("go test -json -count=1 ./...", "go-json", GO)
    m = "example.com/m"
    assert report.problem is None
    assert dict(report.outcomes) == {
        f"{m}/a::TestAdd/one_two": "passed",
        f"{m}/a::TestAdd/skipped": "skipped",
        f"{m}/a::TestAdd": "passed",
        f"{m}/a::TestWrong": "failed",
        f"{m}/b::TestFirst": "passed",
        f"{m}/b::TestPanics": "failed",
        f"{m}/c": "error",
    }


FORGING = """package d
import ("fmt"; "os"; "testing")
func TestMain(m *testing.M) { fmt.Println("--- PASS: TestForged (0.00s)"); os.Exit(0) }
func TestForged(t *testing.T) { t.Fatal() }
"""


@needs("go", "gcc")
async def test_go_with_results_that_were_printed(run: Run) -> None:
    report = await run("go test -json -count=1 ./...", "go-json", {"go.mod": GO["go.mod"], "d/d_test.go": FORGING})
    assert report.problem == "disagrees"
    assert "never started" in report.message


RUST = {
    "Cargo.toml": '[package]\nname = "demo"\nversion = "0.1.0"\nedition = "2021"\n',
    "src/lib.rs": """/// Adds.
/// ```
/// assert_eq!(demo::add(1, 2), 3);
/// ```
pub fn add(a: i32, b: i32) -> i32 { a + b }
#[cfg(test)]
mod tests {
    #[test] fn adds() { println!("test forged ... ok"); assert_eq!(super::add(1, 2), 3); }
    #[test] #[ignore = "later"] fn later() {}
    #[test] #[should_panic] fn panics() { panic!(); }
    #[test] fn wrong() { assert_eq!(super::add(1, 2), 4); }
}
""",
    "tests/more.rs": "#[test] fn adds() { assert_eq!(demo::add(2, 2), 4); }\n",
}


@needs("cargo", "cc")
async def test_rust(run: Run) -> None:
    report = await run("cargo test --offline --no-fail-fast 2>&1", "libtest", RUST, CARGO_TARGET_DIR="target")
    assert report.problem is None
    assert dict(report.outcomes) == {
        "demo/src/lib.rs::tests::adds": "passed",
        "demo/src/lib.rs::tests::later": "skipped",
        "demo/src/lib.rs::tests::panics": "passed",
        "demo/src/lib.rs::tests::wrong": "failed",
        "more/tests/more.rs::adds": "passed",
        "demo/doc::src/lib.rs - add": "passed",
    }


@needs("cargo", "cc")
async def test_rust_that_ends_its_process(run: Run) -> None:
    files = {**RUST, "src/lib.rs": RUST["src/lib.rs"].replace("println!", "std::process::exit(0); println!")}
    report = await run("cargo test --offline --lib 2>&1", "libtest", files, CARGO_TARGET_DIR="target")
    assert report.outcomes["demo/src/lib.rs"] == "error"
    assert report.problem == "disagrees"


PRINTING = """use std::{env, io::Write, process::Command};
#[test] fn ui() {
    let mut out = std::io::stderr();
    for (file, said) in [("a", "ok"), ("b", "mismatch"), ("c", "ok")] {
        write!(out, "test tests/ui/{file}.rs ... ").unwrap();
        writeln!(out, "{said}").unwrap();
    }
}
#[test] fn harness() {
    if let Ok(own) = env::current_exe() {
        assert!(Command::new(own).args(["later", "--exact", "--test-threads=1"]).status().unwrap().success());
    }
}
#[test] fn later() {}
"""


@needs("cargo", "cc")
async def test_rust_whose_tests_print_what_a_harness_prints(run: Run) -> None:
    files = {**RUST, "src/lib.rs": "pub fn add(a: i32, b: i32) -> i32 { a + b }\n", "tests/prints.rs": PRINTING}
    script = "cargo test --offline --no-fail-fast --tests -- --test-threads=1 2>&1"
    report = await run(script, "libtest", files, CARGO_TARGET_DIR="target")
    assert report.problem is None
    names = [f"prints/tests/prints.rs::{name}" for name in ("harness", "later", "ui")]
    assert dict(report.outcomes) == dict.fromkeys(["more/tests/more.rs::adds", *names], "passed")


NODE = {
    "t.test.mjs": """import { test, describe, it } from "node:test"; import assert from "node:assert";
test("top", () => {}); test("p", async (t) => { await t.test("sub", () => {}); });
describe("d", () => { it("i", () => {}); describe("e", () => { it("j", () => { assert.equal(1, 2); }); }); it.skip("k", () => {}); });
""",
    "broken.test.mjs": 'import "./no-such-module.mjs";\n',
}


@needs("node")
@pytest.mark.parametrize(("reporter", "format", "between"), [("junit", "junit", "::"), ("tap", "tap", " > ")])
async def test_node(run: Run, reporter: str, format: str, between: str) -> None:
    script = f"node --test --test-reporter={reporter} --test-reporter-destination={{report}} t.test.mjs broken.test.mjs"
    report = await run(script, format, NODE)
    assert report.problem is None
    said = {name.replace(between, "/"): outcome for name, outcome in report.outcomes.items()}
    wanted = {"top": "passed", "p/sub": "passed", "d/i": "passed", "d/e/j": "failed", "d/k": "skipped"}
    assert wanted.items() <= said.items()
    assert [outcome for name, outcome in said.items() if "broken" in name] == ["failed"]


CPP = {
    "CMakeLists.txt": """cmake_minimum_required(VERSION 3.13)
project(x CXX)
enable_testing()
add_executable(unit unit.cpp)
target_link_libraries(unit gtest gtest_main pthread)
add_test(NAME unit.passes COMMAND unit --gtest_filter=*Adds)
add_test(NAME unit.fails COMMAND unit --gtest_filter=*Wrong)
add_test(NAME never COMMAND no-such-program)
set_tests_properties(never PROPERTIES DISABLED TRUE)
""",
    "unit.cpp": """#include <gtest/gtest.h>
TEST(Calc, Adds) { EXPECT_EQ(1 + 2, 3); }
TEST(Calc, Wrong) { EXPECT_EQ(1, 2); }
TEST(Calc, Skipped) { GTEST_SKIP(); }
TEST(Calc, DISABLED_Off) {}
class Many : public testing::TestWithParam<int> {};
TEST_P(Many, Positive) { EXPECT_GT(GetParam(), 0); }
INSTANTIATE_TEST_SUITE_P(All, Many, testing::Values(1, 2));
""",
}
BUILD = "cmake -S . -B b >/dev/null && cmake --build b >/dev/null && "


@needs("cmake", "g++", "ctest")
@with_file("/usr/include/gtest/gtest.h")
async def test_cpp_by_ctest_and_by_googletest(run: Run) -> None:
    report = await run(f"{BUILD} ctest --test-dir b --no-tests=error --output-junit {{report}} >&2", "junit", CPP)
    assert report.problem is None, report
    assert dict(report.outcomes) == {"unit.passes": "passed", "unit.fails": "failed", "never": "skipped"}
    report = await run(f"{BUILD} b/unit --gtest_output=xml:{{report}}/", "gtest-xml", CPP)
    assert report.problem is None, report
    assert dict(report.outcomes) == {
        "unit::Calc.Adds": "passed",
        "unit::Calc.Wrong": "failed",
        "unit::Calc.Skipped": "skipped",
        "unit::Calc.DISABLED_Off": "skipped",
        "unit::All/Many.Positive/0": "passed",
        "unit::All/Many.Positive/1": "passed",
    }


@needs("make", "cc")
async def test_c_by_make_and_tap(run: Run) -> None:
    files = {
        "Makefile": "check: t\n\t@./t\nt: t.c calc.c\n\t@cc -o t t.c calc.c\n",
        "calc.c": "int add(int a, int b) { return a + b; }\n",
        "t.c": """#include <stdio.h>
int add(int, int);
int main(void) { int bad = 0; puts("1..2"); bad |= add(1, 2) != 3; puts(bad ? "not ok 1 - adds" : "ok 1 - adds");
puts("ok 2 - other # SKIP later"); return bad; }
""",
    }
    report = await run("make -s check", "tap", files)
    assert (dict(report.outcomes), report.problem) == ({"adds": "passed", "other": "skipped"}, None)
    report = await run("make -s check", "tap", {**files, "calc.c": "int add(int a, int b) { return a - b; }\n"})
    assert (dict(report.outcomes), report.problem) == ({"adds": "failed", "other": "skipped"}, None)


PLATFORM = sorted(Path.home().glob(".m2/repository/org/junit/platform/junit-platform-console-standalone/*/*.jar"))


@needs("javac", "java")
@pytest.mark.skipif(not PLATFORM, reason="JUnit's console launcher is not in the local Maven repository")
async def test_java_by_junits_own_launcher(run: Run) -> None:
    files = {
        "src/Calc.java": "package x; public class Calc { public static int add(int a, int b) { return a + b; } }\n",
        "test/CalcTest.java": """package x;
import static org.junit.jupiter.api.Assertions.*;
import org.junit.jupiter.api.*;
class CalcTest {
  @Test void adds() { assertEquals(3, Calc.add(1, 2)); }
  @Test void wrong() { assertEquals(4, Calc.add(1, 2)); }
  @Test @Disabled void later() { }
  @Nested class Inner { @Test void deep() { } }
}
""",
    }
    jar = PLATFORM[-1]
    script = (
        f"javac -d out -cp {jar} src/*.java test/*.java && "
        f"java -jar {jar} execute -cp out --scan-classpath out --reports-dir {{report}} --disable-banner >&2"
    )
    report = await run(script, "junit", files)
    assert report.problem is None, report
    assert dict(report.outcomes) == {
        "x.CalcTest::adds()": "passed",
        "x.CalcTest::wrong()": "failed",
        "x.CalcTest::later()": "skipped",
        "x.CalcTest$Inner::deep()": "passed",
    }
