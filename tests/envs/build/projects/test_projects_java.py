"""Java: reports that lie in the repository already, tests with parameters, and two build systems that disagree."""

from __future__ import annotations

import os
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

CALC = "package calc;\n\npublic class Calc {\n    public static int add(int a, int b) {\n        return a - b;\n    }\n}\n"
FIXED = CALC.replace("a - b", "a + b")
POM = (
    '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion><groupId>org.example</groupId>'
    "<artifactId>calc</artifactId><version>1.0</version><properties><maven.compiler.release>11</maven.compiler.release></properties>"
    "<dependencies><dependency><groupId>org.junit.jupiter</groupId><artifactId>junit-jupiter</artifactId><version>5.10.2</version>"
    "<scope>test</scope></dependency></dependencies><build><plugins><plugin><artifactId>maven-surefire-plugin</artifactId>"
    "<version>3.2.5</version></plugin></plugins></build></project>"
)
TEST = """package calc;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

public class CalcTest {
    @ParameterizedTest(name = "{0} and {1}")
    @CsvSource({%s})
    public void adds(int a, int b, int sum) {
        assertEquals(sum, Calc.add(a, b));
    }
}
"""
STALE = (
    '<testsuite name="calc.%s" tests="2" failures="0" errors="0" skipped="0">'
    '<testcase classname="calc.%s" name="adds(int, int, int)[2]"/><testcase classname="calc.%s" name="gone"/></testsuite>'
)
FILES = {
    "src/main/java/calc/Calc.java": CALC,
    "src/test/java/calc/CalcTest.java": TEST % '"0, 0, 0"',
}
FIX = {"src/main/java/calc/Calc.java": FIXED, "src/test/java/calc/CalcTest.java": TEST % '"0, 0, 0", "1, 2, 3"'}


async def test_reports_of_an_earlier_run_are_not_believed(build: Any, machine: Any, turned: Any) -> None:
    machine.needs("javac", "mvn")
    machine.reaches("Maven's repository")
    stale = {f"target/surefire-reports/TEST-calc.{name}.xml": STALE % (name, name, name) for name in ("CalcTest", "GoneTest")}
    base = {"pom.xml": POM, "build.gradle": "plugins { id 'java' }\n", **FILES, **stale}
    report = await build(base, FIX)
    # The stale report says that the second set of arguments passes, whose test is not even there before.
    turned(report, {"calc.CalcTest::adds(int, int, int)[2]"}, {"calc.CalcTest::adds(int, int, int)[1]"})
    assert report.build_system == "maven"
    assert any("both Maven and Gradle could build it" in note for note in report.notes)


GRADLE = """\
plugins { id 'java' }
repositories { mavenCentral() }
dependencies {
    testImplementation 'org.junit.jupiter:junit-jupiter:5.10.2'
    testRuntimeOnly 'org.junit.platform:junit-platform-launcher'
}
test { useJUnitPlatform() }
"""


async def test_gradle_or_the_reason_why_there_is_none(build: Any, machine: Any, turned: Any) -> None:
    machine.needs("javac")
    report = await build({"settings.gradle": "rootProject.name = 'calc'\n", "build.gradle": GRADLE, **FILES}, FIX)
    assert report.build_system == "gradle"
    if report.status == "failed":
        assert (report.stage, report.reason) == ("image", "install_failed")
        assert "Gradle of any version cannot be had: the image has none, and no wrapper does not answer." in report.details
        assert os.environ.get("GRADLE_HOME") is None
    else:
        turned(report, {"calc.CalcTest::1 and 2"}, {"calc.CalcTest::0 and 0"})
