"""What decides about tests in eight languages is left alone, and honest fixes are not."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podgym.verifiers import BaseTree, Change, ChangedFile, GradingPlan, HiddenFile, PlanError, grading, protected, runner_parts
from podgym.verifiers.basetree import BaseFile
from podgym.verifiers.protection import PROTECTED, accept, runner_part
from podgym.verifiers.protection.testmodules import can_be_told, with_modules_of

EDITED = {
    "java": """src/test/java/x/CalcTest.java core/src/test/resources/data.json src/integrationTest/java/x/ItTest.java pom.xml
        core/pom.xml build.gradle build.gradle.kts settings.gradle gradle.properties gradle/libs.versions.toml
        gradle/wrapper/gradle-wrapper.properties .mvn/jvm.config .mvn/extensions.xml mvnw gradlew buildSrc/src/main/java/P.java
        src/main/resources/junit-platform.properties
        src/main/resources/META-INF/services/org.junit.platform.launcher.TestExecutionListener
        src/main/java/org/junit/jupiter/api/Assertions.java
        src/main/java/org/hamcrest/Matchers.java src/main/java/junit/framework/Assert.java src/testFixtures/java/F.java""",
    "go": """calc_test.go pkg/calc_test.go pkg/testdata/golden.txt go.mod go.sum go.work tools/go.mod
        vendor/github.com/stretchr/testify/assert/a.go vendor/modules.txt internal/testutil/assert.go export_test.go""",
    "rust": """tests/it.rs tests/common/mod.rs benches/b.rs Cargo.toml crates/a/Cargo.toml Cargo.lock build.rs .cargo/config.toml
        rust-toolchain.toml src/tests.rs src/calc/test_more.rs .config/nextest.toml""",
    "javascript": """test/a.js src/__tests__/a.js src/__mocks__/fs.js a.test.js src/b.spec.mjs test-c.cjs package.json
        packages/x/package.json jest.config.js jest.setup.js .mocharc.yml .babelrc babel.config.cjs .npmrc .swcrc karma.conf.js
        vitest.config.ts spec/helpers/x.js node_modules/jest/index.js package-lock.json .nycrc e2e/x.js""",
    "typescript": """src/a.test.ts src/b.spec.tsx a.test-d.ts tsconfig.json tsconfig.build.json vite.config.ts vitest.workspace.ts test/x.ts
        src/setupTests.ts cypress/e2e/x.cy.ts pnpm-lock.yaml""",
    "c": """tests/a.c test_a.c src/a_test.c CMakeLists.txt src/CMakeLists.txt cmake/X.cmake CTestTestfile.cmake Makefile
        src/Makefile.am Makefile.in configure configure.ac meson.build meson_options.txt acinclude.m4 include/assert.h
        src/stdio.h sub.mk t/basic.t subprojects/x.wrap""",
    "cpp": """tests/a.cpp a_test.cc src/a_unittest.cc unittests/A.cpp googletest/src/gtest.cc include/gtest/gtest.h
        third_party/catch.hpp lib/doctest.h BUILD.bazel WORKSPACE foo/BUILD .bazelrc conanfile.py vcpkg.json CMakePresets.json""",
}
HONEST = {
    "java": """src/main/java/x/Calc.java src/main/java/x/test_helper/None.java core/src/main/java/x/LoadTest.java
        src/main/resources/app.properties src/main/java/x/gradle/Plugin.java src/main/java/com/acme/junitreport/Writer.java
        src/main/resources/META-INF/services/x.Spi README.md""",
    "go": "calc.go pkg/new.go internal/store/store.go cmd/tool/main.go testing/fake.go latest.go contest/run.go",
    "rust": "src/lib.rs src/calc/mod.rs src/new.rs crates/a/src/lib.rs examples/e.rs src/testing.rs src/latest.rs",
    "javascript": "index.js src/a.js lib/testing.js src/latest.js src/inspect.mjs src/specification.js docs/x.md bin/cli.js src/attest.cjs",
    "typescript": "src/a.ts src/components/B.tsx src/contest.ts types/index.d.ts src/protest/x.ts",
    "c": "src/a.c include/a.h src/latest.c src/attest.h lib/contest.c src/net/time.h doc/assert.h",
    "cpp": "src/a.cpp include/proj/a.hpp src/latest.cc src/greatest.cpp src/Contest.cpp include/proj/string.h src/Latest.cpp",
    "python": "calc.py src/pkg/new.py pkg/testing.py doctest_helpers.py scripts/build.py spec/reader.py pkg/spec/__init__.py",
}


def tree(files: Mapping[str, bytes]) -> BaseTree:
    return BaseTree({path: BaseFile(0o100644, f"{n:040d}", len(data)) for n, (path, data) in enumerate(files.items())}, files.__getitem__)


BASE = tree({"keep.txt": b"", "calc.go": b"", "src/lib.rs": b"fn a() {}\n", "src/main/java/x/Old.java": b"", "doc/assert.h": b""})


@pytest.mark.parametrize("path", [path for paths in EDITED.values() for path in paths.split()])
@pytest.mark.parametrize("known", [False, True])
def test_what_decides_about_tests_stays(path: str, known: bool) -> None:
    base = tree({"keep.txt": b"", path: b"as it was"}) if known else BASE
    # A project that has such a file in its base may change it.
    its_own = known and ("/org/" in path or "/junit/" in path or path in ("include/assert.h", "src/stdio.h"))
    for spelling in (path,) if known else (path, path.swapcase()):
        found = accept(Change.of({spelling: b"x"}, base=base), hidden=())
        assert [entry.path for entry in found.dropped] == ([] if its_own else [spelling])
        assert bool(found.files) is its_own


@pytest.mark.parametrize("path", [path for path in EDITED["java"].split() if "/org/" not in path and "/junit/" not in path])
def test_what_is_deleted_comes_back(path: str) -> None:
    found = accept(Change.of({}, deleted=[path], base=tree({path: b""})), hidden=())
    assert (found.deleted, [entry.path for entry in found.dropped]) == ((), [path])


@pytest.mark.parametrize("path", [path for paths in HONEST.values() for path in paths.split()])
def test_honest_sources_are_graded(path: str) -> None:
    found = accept(Change.of({path: b"x"}, base=BASE), hidden=())
    assert (list(found.files), found.dropped) == ([path], ())


def test_a_language_can_be_chosen() -> None:
    only_go = protected(["go"])
    assert "*_test.go" in only_go
    assert "pom.xml" not in only_go
    assert set(only_go) < set(PROTECTED)
    assert accept(Change.of({"pom.xml": b""}, base=BASE), hidden=(), protected=only_go).files


def test_a_hidden_test_in_another_case_is_still_the_hidden_one() -> None:
    found = accept(Change.of({"DATA/Expected.JSON": b""}, base=BASE), hidden={"data/expected.json"})
    assert not found.files


PACKAGE = {"name": "x", "version": "1", "scripts": {"test": "jest"}, "jest": {"ci": True}, "dependencies": {"a": "1"}}
CARGO = '[package]\nname = "x"\nversion = "1"\n[dependencies]\na = "1"\n[dev-dependencies]\nb = "1"\n'
POM = """<project xmlns="http://maven.apache.org/POM/4.0.0"><version>1</version><properties><a.version>1</a.version></properties>
<dependencies><dependency><groupId>g</groupId><artifactId>a</artifactId></dependency></dependencies>
<build><plugins><plugin><artifactId>maven-surefire-plugin</artifactId></plugin></plugins></build></project>"""
DEPENDENCY = "<dependency><groupId>{}</groupId><artifactId>b</artifactId></dependency></dependencies>"
CMAKE = """cmake_minimum_required(VERSION 3.10)
project(x VERSION 1.0 LANGUAGES C)
set(SOURCES a.c b.c)  # sources
add_library(x ${SOURCES})
add_executable(runner tests/runner.c)
target_link_libraries(runner x)
enable_testing()
add_test(NAME all COMMAND runner)
"""
GRADLE = """plugins { id 'java' }
version = '1'
dependencies {
    implementation 'a:b:1'
    testImplementation 'org.junit:j:1'
}
test { useJUnitPlatform() }
"""
MAKE = "SRCS = a.c b.c\nCFLAGS = -O2\nx: $(SRCS)\n\tcc -o x $(SRCS)\ncheck: x\n\t./run-tests\n"
MESON = (
    "project('x', 'c')\nsources = files('a.c')\nx = library('x', sources)\nt = executable('t', 'tests/t.c', link_with: x)\ntest('t', t)\n"
)
MOD = "module x\n\ngo 1.21\n\nrequire a.b/c v1.0.0\n"


def js(**changes: object) -> bytes:
    return json.dumps({**PACKAGE, **changes}).encode()


@pytest.mark.parametrize(
    ("path", "before", "after", "kept"),
    [
        ("package.json", js(), js(dependencies={"a": "2", "b": "1"}), True),
        ("package.json", js(), js(version="2", main="x.js", exports={}), True),
        ("package.json", js(), js(scripts={"test": "true"}), False),
        ("package.json", js(), js(jest={"testMatch": []}), False),
        ("package.json", js(), js(mocha={"require": "./evil"}), False),
        ("package.json", js(), b"{", False),
        ("package.json", js(), b"[]", False),
        ("package.json", js(), b'["scripts"]', False),
        ("Cargo.toml", CARGO, CARGO.replace('a = "1"', 'a = "1"\nc = { version = "1", features = ["x"] }'), True),
        ("Cargo.toml", CARGO, CARGO + '[features]\nx = []\n', True),
        ("Cargo.toml", CARGO, CARGO + '[[test]]\nname = "t"\nharness = false\n', False),
        ("Cargo.toml", CARGO, CARGO + "[lib]\ntest = false\n", False),
        ("Cargo.toml", CARGO, CARGO + '[patch.crates-io]\nb = { path = "evil" }\n', False),
        ("Cargo.toml", CARGO, CARGO.replace('b = "1"', 'b = { path = "evil" }'), False),
        ("Cargo.toml", CARGO, CARGO + "[profile.test]\ndebug-assertions = false\n", False),
        ("Cargo.toml", CARGO, CARGO.replace('version = "1"\n[', 'version = "1"\nautotests = false\n['), False),
        ("Cargo.toml", CARGO, CARGO + "[workspace]\nmembers = []\n", False),
        ("pom.xml", POM, POM.replace("<version>1</version>", "<version>2</version>"), True),
        ("pom.xml", POM, POM.replace("</dependencies>", DEPENDENCY.format("h")), True),
        ("pom.xml", POM, POM.replace("<a.version>1<", "<a.version>2<"), True),
        ("pom.xml", POM, POM.replace("<a.version>", "<skipTests>true</skipTests><a.version>"), False),
        ("pom.xml", POM, POM.replace("surefire-plugin</artifactId>", "surefire-plugin</artifactId><skip>true</skip>"), False),
        ("pom.xml", POM, POM.replace("</dependencies>", DEPENDENCY.format("org.junit.jupiter")), False),
        ("pom.xml", POM, POM.replace("</dependency>", "<scope>system</scope><systemPath>evil.jar</systemPath></dependency>"), False),
        ("pom.xml", POM, '<!DOCTYPE p [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + POM, False),
        ("go.mod", MOD, MOD + "require (\n\td.e/f v1.2.3 // indirect\n)\n", True),
        ("go.mod", MOD, MOD.replace("1.21", "1.22"), True),
        ("go.mod", MOD, MOD + "replace a.b/c => ./evil\n", False),
        ("go.mod", MOD, MOD + "replace (\n\ta.b/c => ./evil\n)\n", False),
        ("go.mod", MOD, MOD + "toolchain evil\n", False),
        ("CMakeLists.txt", CMAKE, CMAKE.replace("a.c b.c", "a.c b.c c.c"), True),
        ("CMakeLists.txt", CMAKE, CMAKE.replace("1.0", "1.1"), True),
        ("CMakeLists.txt", CMAKE, CMAKE + "target_link_libraries(x m)\nadd_library(y y.c)\ninstall(TARGETS y)\n", True),
        ("CMakeLists.txt", CMAKE, CMAKE.replace("add_test(NAME all COMMAND runner)", "add_test(NAME all COMMAND true)"), False),
        ("CMakeLists.txt", CMAKE, CMAKE.replace("tests/runner.c", "src/fake.c"), False),
        ("CMakeLists.txt", CMAKE, CMAKE + "target_link_libraries(runner evil)\n", False),
        ("CMakeLists.txt", CMAKE, CMAKE + "set(CMAKE_C_FLAGS -DNDEBUG)\n", False),
        ("CMakeLists.txt", CMAKE, CMAKE + "add_compile_definitions(NDEBUG)\n", False),
        ("CMakeLists.txt", CMAKE, "macro(add_test)\nendmacro()\n" + CMAKE, False),
        ("CMakeLists.txt", CMAKE, CMAKE + "execute_process(COMMAND sh evil)\n", False),
        ("CMakeLists.txt", CMAKE, CMAKE + "#[[ only a comment ]] # and another\n", True),
        ("CMakeLists.txt", CMAKE, CMAKE + "#[==[ never closed\n", False),
        ("CMakeLists.txt", CMAKE, CMAKE + "set(X (\n", False),
        ("build.gradle", GRADLE, GRADLE.replace("a:b:1", "a:b:2"), True),
        ("build.gradle", GRADLE, GRADLE.replace("version = '1'", "version = '2'"), True),
        ("build.gradle", GRADLE, GRADLE.replace("useJUnitPlatform()", "ignoreFailures = true"), False),
        ("build.gradle", GRADLE, GRADLE + "tasks.withType(Test) { enabled = false }\n", False),
        ("build.gradle", GRADLE, GRADLE.replace("'org.junit:j:1'", "files('evil.jar')"), False),
        ("build.gradle", GRADLE, GRADLE + "dependencies {\n", False),
        ("gradle.properties", "version=1\nx=1\n", "version=2\nx=1\n", True),
        ("gradle.properties", "version=1\n", "version=1\nsystemProp.skip=true\n", False),
        ("Makefile", MAKE, MAKE.replace("a.c b.c", "a.c b.c c.c"), True),
        ("Makefile", MAKE, MAKE.replace("./run-tests", "true"), False),
        ("Makefile", MAKE, MAKE.replace("-O2", "-DNDEBUG"), False),
        ("Makefile", MAKE, MAKE.replace("a.c b.c", "$(shell sh evil)"), False),
        ("Makefile", MAKE, MAKE + "SHELL = ./evil\n", False),
        ("meson.build", MESON, MESON.replace("'a.c'", "'a.c', 'b.c'"), True),
        ("meson.build", MESON, MESON.replace("test('t', t)", "test('t', find_program('true'))"), False),
        ("meson.build", MESON, MESON.replace("tests/t.c", "fake.c"), False),
        ("meson.build", MESON, MESON + "if false\nendif\n", False),
        ("jest.config.js", "a", "b", False),
        (".cargo/config.toml", "a", "b", False),
        ("tsconfig.json", "{}", '{"x": 1}', True),
        ("build.rs", "a", "b", True),
    ],
)  # fmt: skip
def test_build_files_that_the_fix_touches(path: str, before: str | bytes, after: str | bytes, kept: bool) -> None:
    base, data = (text.encode() if isinstance(text, str) else text for text in (before, after))
    found = accept(Change.of({path: data}, base=tree({path: base})), hidden=(), editable=[path])
    assert bool(found.files) is kept
    if not kept and runner_parts({path: data}):
        # The gold fix's own tables are as good as the base's.
        gold = accept(Change.of({path: data}, base=tree({path: base})), hidden=(), editable=[path], gold_parts=runner_parts({path: data}))
        assert gold.files


@pytest.mark.parametrize(
    "name",
    [
        "package.json",
        "Cargo.toml",
        "pom.xml",
        "go.mod",
        "CMakeLists.txt",
        "build.gradle",
        "Makefile",
        "meson.build",
        "setup.cfg",
        "x.cmake",
        "gradle.properties",
    ],
)
@given(text=st.text("abc(){}[]<>=\"'#$\\/:.\n \t&;SRC", max_size=200))
def test_any_text_is_a_build_file_or_has_no_part(name: str, text: str) -> None:
    try:
        part = runner_part(name, text.encode())
    except ValueError:
        assert not runner_parts({name: text.encode()})
        return
    assert part == runner_part(name, text.encode())


@pytest.mark.parametrize("unit", ["a", "(", "#[", "a(", "SRC", "<a>", "{", '"', "[", "=", "$(shell ", "a " * 50])
@pytest.mark.parametrize(
    "name", ["CMakeLists.txt", "Makefile", "build.gradle", "meson.build", "pom.xml", "package.json", "Cargo.toml", "go.mod"]
)
@pytest.mark.timeout(20)
def test_long_lines_take_no_square_of_time(name: str, unit: str) -> None:
    try:
        runner_part(name, (unit * (200_000 // len(unit))).encode())
    except ValueError:
        return


RUST = b"""//! docs with a { brace
fn lifetime<'a, 'b>(x: &'a str) -> char { let _ = "a } string \\" {"; let _ = r##"raw "# } "##; '{' }
/* a /* nested { */ comment } */

#[cfg(test)]
#[allow(unused)]
mod tests {
    use super::*;
    #[test]
    fn adds() { assert_eq!(1, 1); }
}

mod inner { #[cfg(test)] mod deep { } }
"""


@pytest.mark.parametrize(
    ("condition", "is_test"),
    [
        ('all(test, feature = "std")', True),
        ('all(test, any(feature = "a", feature = "b"))', True),
        ("all(\n    test,\n    not(miri),\n)", True),
        ('all(feature = "std", test)', True),
        ("all( test )", True),
        ("not(test)", False),
        ("any(test, doc)", False),
        ("all(unix, not(test))", False),
        ("all(unix, any(doc, test))", False),
        ("all(tested, unix)", False),
    ],
)
def test_modules_for_tests_of_some_features_are_tests(condition: str, is_test: bool) -> None:
    source = f"fn f() {{}}\n#[cfg({condition})]\nmod more {{ fn t() {{}} }}\n".encode()
    assert (b"mod more" not in with_modules_of(source, b"")) is is_test


def test_modules_of_one_name_are_each_restored() -> None:
    source = b'#[cfg(all(test, feature = "a"))]\nmod tests { fn a() {} }\n#[cfg(all(test, not(feature = "a")))]\nmod tests { fn b() {} }\n'
    assert with_modules_of(source, source) == source
    assert with_modules_of(source.replace(b"fn b() {}", b""), source) == source


def test_tests_inside_rust_sources_are_restored() -> None:
    weakened = RUST.replace(b"assert_eq!(1, 1)", b"").replace(b"'{' }", b"'x' }")
    restored = with_modules_of(weakened, RUST)
    assert restored == RUST.replace(b"'{' }", b"'x' }")
    assert with_modules_of(RUST.partition(b"#[cfg(test)]")[0], RUST).endswith(b"fn adds() { assert_eq!(1, 1); }\n}\n")
    assert b"adds" not in with_modules_of(RUST, b"fn x() {}")
    assert b"mod more" not in with_modules_of(RUST + b"#[cfg(test)] mod more { }", RUST)
    assert with_modules_of(RUST, RUST) == RUST
    assert can_be_told(RUST)
    for broken in (b"fn x() {", b"}", b'"', b"/*", b'r#"'):
        assert not can_be_told(RUST + broken)
        with pytest.raises(ValueError, match=r"not closed|closes nothing"):
            with_modules_of(RUST + broken, RUST)


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_any_bytes_are_a_source_or_not(data: bytes, other: bytes) -> None:
    if can_be_told(data) and can_be_told(other):
        again = with_modules_of(data, other)
        assert with_modules_of(data, data) == data
        assert isinstance(again, bytes)


def written(plan: GradingPlan, change: Change, files: Mapping[str, bytes]) -> dict[str, bytes]:
    accepted = accept(change, hidden={file.path for file in plan.hidden if not file.inline})
    return {write.path: write.data for write in grading._assemble(plan, files.__getitem__, accepted, hidden=True)[1]}


def test_rust_sources_are_graded_with_the_tests_of_base_or_fix() -> None:
    base = tree({"src/lib.rs": RUST, "src/other.rs": RUST, "src/odd.rs": b"} {"})
    gold = RUST.replace(b"adds", b"adds_more")
    hidden = (HiddenFile(path="src/lib.rs", source="gold", inline=True),)
    plan = GradingPlan(tests=({"framework": "unittest"},), fail_to_pass=("x",), hidden=hidden)
    fixed = RUST.replace(b"'{' }", b"'y' }").replace(b"adds", b"mine")
    found = written(plan, Change.of({"src/lib.rs": fixed, "src/other.rs": fixed, "src/odd.rs": b"} }"}, base=base), {"gold": gold})
    assert found["src/lib.rs"] == gold.replace(b"'{' }", b"'y' }")
    assert found["src/other.rs"] == RUST.replace(b"'{' }", b"'y' }")
    assert found["src/odd.rs"] == b"} }"
    assert written(plan, Change.of({}, base=base), {"gold": gold})["src/lib.rs"] == gold
    with pytest.raises(PlanError, match="cannot be read"):
        written(plan, Change.of({}, base=base), {"gold": b"}"})
    unreadable = accept(Change.of({"src/lib.rs": b"fn x() {"}, base=base), hidden=())
    assert "braces do not match" in unreadable.dropped[0].reason


@pytest.mark.parametrize("path", ["src/lib.rs/mine.rs", "src"])
def test_nothing_stands_in_the_way_of_a_file_that_is_written_in_part(path: str) -> None:
    base = BaseTree({"src/lib.rs": BaseFile(0o100644, "0" * 40, 0)}, lambda _: b"")
    change = Change(files={path: ChangedFile(0o100644, b"")}, deleted=("src/lib.rs",), base=base)
    accepted = accept(change, hidden=(), spliced=("src/lib.rs",))
    assert (accepted.files, accepted.deleted) == ({}, ("src/lib.rs",))
    assert [entry.path for entry in accepted.dropped] == [path]
    assert path in accept(change, hidden=()).files


def test_a_pom_of_many_pieces_of_text_takes_linear_time() -> None:
    text = "<project><description>" + "a&amp;" * 300_000 + "</description><build>b&lt;c</build></project>"
    started = time.process_time()
    assert "b<c" in str(runner_part("pom.xml", text.encode()))
    assert time.process_time() - started < 1.5


def test_a_comment_that_ends_in_a_quote_begins_no_string() -> None:
    source = b'// the "name"\nfn f() {} // "\n#[cfg(test)]\nmod tests { /* " */ fn t() {} }\n'
    assert can_be_told(source)
    assert with_modules_of(b"fn f() { 1 }\n", source).count(b"mod tests") == 1


def test_python_sources_are_graded_with_the_examples_of_base_or_fix_where_those_are_tests() -> None:
    source = b'def f(x):\n    """One.\n\n    >>> f(1)\n    2\n    """\n    return x + 1\n'
    fix = source.replace(b"    2\n", b"    3\n").replace(b"x + 1", b"x + 2")
    base = tree({"calc.py": source, "other.py": source})
    hidden = (HiddenFile(path="calc.py", source="gold", inline=True),)
    plan = GradingPlan(tests=({"framework": "pytest"},), fail_to_pass=("x",), hidden=hidden, doctests=True)
    mine = source.replace(b">>> f(1)\n    2\n", b"").replace(b"x + 1", b"2 + x")
    change = Change.of({"calc.py": mine, "other.py": mine}, base=base)
    found = written(plan, change, {"gold": fix})
    assert found["calc.py"] == fix.replace(b"x + 2", b"2 + x")
    assert found["other.py"] == source.replace(b"x + 1", b"2 + x")
    assert written(plan, Change.of({}, base=base), {"gold": fix})["calc.py"] == fix.replace(b"x + 2", b"x + 1")
    assert written(plan.model_copy(update={"doctests": False}), change, {"gold": fix})["other.py"] == mine
