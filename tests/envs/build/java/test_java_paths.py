from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from java_requests import TEST, tree

from podgym.envs.build.languages.java import JAVA

FILES = {
    "src/main/java/a/B.java": "class B {}",
    "src/main/java/a/test/Runner.java": "class Runner {}",
    "src/main/java/a/SpeedTest.java": "class SpeedTest { public static void main(String[] a) {} }",
    "src/test/java/a/BTest.java": TEST.format("BTest"),
    "src/test/java/a/Helper.java": "class Helper {}",
    "src/test/java/a/TestUtils.java": "class TestUtils { static int x; }",
    "src/test/java/a/CheckSomething.java": TEST.format("CheckSomething"),
    "src/test/java/a/Issue1.java": "class Issue1 {\n  @ProcessorTest\n  void a() {}\n}",
    "src/test/java/a/Shown.java": "class Shown {\n  @VisibleForTesting\n  void a() {}\n}",
    "src/test/java/a/AbstractStore.java": "abstract class AbstractStore {\n  @Test void a() {}\n}",
    "src/test/java/a/StoreTest.java": "class StoreTest extends AbstractStoreTest {}",
    "src/test/java/a/Old.java": "public class Old extends junit.framework.TestCase { public void testA() {} }",
    "src/test/groovy/a/BSpec.groovy": "class BSpec extends Specification {}",
    "src/test/kotlin/a/KTest.kt": "class KTest {\n    @Test fun a() {}\n}",
    "src/test/resources/x.json": "{}",
    "src/test/resources/project/src/test/java/XTest.java": TEST.format("XTest"),
    "src/it/simple/src/test/java/ATest.java": TEST.format("ATest"),
    "src/it/java/a/RunIT.java": TEST.format("RunIT"),
    "src/test-jdk17/java/a/RecordTest.java": TEST.format("RecordTest"),
    "core/src/integrationTest/java/a/FlowTest.java": TEST.format("FlowTest"),
    "core/src/testFixtures/java/a/Fixture.java": "class Fixture {}",
    "mp/src/jvmTest/kotlin/a/PTest.kt": "class PTest { @Test fun a() {} }",
    "test/a/FlatTest.java": TEST.format("FlatTest"),
    "src/java/com/example/Tool.java": "class Tool {}",
    "src/com/example/latest/Manifest.java": "class Manifest {}",
    "source/uk/shop/testing/Kit.java": "// a kit\npackage uk.shop.testing;\nclass Kit {}",
    "tests/uk/shop/Kit.java": "package uk.shop;\nclass Kit {}",
    "README.md": "",
    "pom.xml": "",
}
RUNNABLE = {
    "src/test/java/a/BTest.java", "src/test/java/a/CheckSomething.java", "src/test/java/a/AbstractStore.java",
    "src/test/java/a/StoreTest.java", "src/test/java/a/Issue1.java",
    "src/test/java/a/Old.java", "src/test/groovy/a/BSpec.groovy", "src/test/kotlin/a/KTest.kt", "src/it/java/a/RunIT.java",
    "src/test-jdk17/java/a/RecordTest.java", "core/src/integrationTest/java/a/FlowTest.java", "mp/src/jvmTest/kotlin/a/PTest.kt",
    "test/a/FlatTest.java",
}  # fmt: skip
SOURCE = {
    "src/main/java/a/B.java", "src/main/java/a/test/Runner.java", "src/main/java/a/SpeedTest.java", "src/java/com/example/Tool.java",
    "src/com/example/latest/Manifest.java", "source/uk/shop/testing/Kit.java", "README.md", "pom.xml",
}  # fmt: skip


@pytest.mark.parametrize("path", sorted(FILES))
def test_directories_tell_tests_and_what_a_file_says_tells_runnable_ones(path: str) -> None:
    kinds = JAVA.test_paths(tree(FILES))
    assert kinds.is_test(path) == (path not in SOURCE)
    assert kinds.is_runnable(path) == (path in RUNNABLE)


@pytest.mark.parametrize(
    ("path", "identity", "owned"),
    [
        ("core/src/test/java/a/b/FooTest.java", "a.b.FooTest::works", True),
        ("core/src/test/java/a/b/FooTest.java", "a.b.FooTest$Inner::works(int)[1]", True),
        ("core/src/test/java/a/b/FooTest.java", "a.b.FooTest::a.b.FooTest", True),
        ("core/src/test/java/a/b/FooTest.java", "a.b.FooTest", True),
        ("core/src/test/java/a/b/FooTest.java", "a.b.BarTest::works", False),
        ("core/src/test/java/a/b/FooTest.java", "a.c.FooTest::works", False),
        ("core/src/test/java/a/b/FooTest.java", "b.FooTest::works", True),
        ("core/src/test/java/a/b/FooTest.java", "My shop::sells things", True),
        ("src/test/java/FooTest.java", "FooTest::works", True),
        ("src/test/java/FooTest.java", "BarTest::works", False),
        ("src/test/kotlin/b/FooTest.kt", "org.example.b.FooTest::works", True),
        ("src/test/kotlin/b/FooTest.kt", "org.example.c.FooTest::works", False),
    ],
)
def test_an_id_belongs_to_the_file_of_its_class(path: str, identity: str, owned: bool) -> None:
    assert JAVA.owns(path, identity) is owned


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_id_has_an_answer(path: str, identity: str) -> None:
    assert JAVA.owns(path, identity) in (True, False)
