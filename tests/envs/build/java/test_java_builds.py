"""Generated projects, built by Maven itself in local sandboxes: what the traps of the ecosystem come to."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from java_requests import child, needs, pom

from podgym.envs.build.build import build_task
from podgym.envs.build.options import BuildOptions
from podgym.sandbox.local import LocalConfig, LocalProvider

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

JUNIT4 = "<dependency><groupId>junit</groupId><artifactId>junit</artifactId><version>4.13.2</version><scope>test</scope></dependency>"
JUNIT5 = (
    "<dependency><groupId>org.junit.jupiter</groupId><artifactId>junit-jupiter</artifactId><version>5.10.2</version><scope>test</scope>"
    "</dependency>"
)
TESTNG = "<dependency><groupId>org.testng</groupId><artifactId>testng</artifactId><version>7.5.1</version><scope>test</scope></dependency>"
LANG = "<dependency><groupId>org.apache.commons</groupId><artifactId>commons-lang3</artifactId><version>3.12.0</version></dependency>"
SUREFIRE = "<plugin><artifactId>maven-surefire-plugin</artifactId><version>3.2.5</version></plugin>"
RELEASE = "<properties><maven.compiler.release>11</maven.compiler.release></properties>"
OLD = (
    "<plugin><artifactId>maven-compiler-plugin</artifactId><version>3.11.0</version><configuration><source>1.5</source>"
    "<target>1.5</target></configuration></plugin>"
)
CALC = "package calc;\n\npublic class Calc {\n    public static int add(int a, int b) {\n        return a {0} b;\n    }\n}\n"
TEST = """package calc;

import {annotation};

public class {name} {{
    @Test
    public void {method}() {{
        if ({condition}) throw new AssertionError();
    }}
}}
"""


def a_test(name: str, method: str, condition: str, annotation: str = "org.junit.jupiter.api.Test") -> str:
    return TEST.format(name=name, method=method, condition=condition, annotation=annotation)


def calc(sign: str) -> str:
    return CALC.replace("{0}", sign)


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for tool in ("javac", "mvn"):
        if shutil.which(tool) is None:
            pytest.skip(f"no {tool} is installed")
    place = tmp_path_factory.mktemp("maven")
    asked = ["mvn", "-B", "-q", "dependency:get", "-Dartifact=junit:junit:4.13.2", f"-Dmaven.repo.local={place}"]
    if subprocess.run(asked, capture_output=True, check=False, timeout=300).returncode:
        pytest.skip("Maven reaches no repository")
    return tmp_path_factory.mktemp("images")


async def build(history: Any, tmp_path: Path, images: Path, files: Mapping[str, str], fix: Mapping[str, str | None]) -> Any:
    history.commit("start", {".gitignore": "target/\n", **files})
    commit = history.commit("Adding subtracts", fix)
    provider = LocalProvider(LocalConfig(cache=images))
    options = BuildOptions(repeats=1, decoys=False, repairs=1)
    try:
        return await build_task(history.path, commit, tmp_path / "tasks", provider=provider, options=options, progress=print)
    finally:
        await provider.close()


async def test_an_old_level_and_junit_4(history: Any, tmp_path: Path, images: Path) -> None:
    old = "org.junit.Test"
    files = {
        "pom.xml": pom(f"<dependencies>{JUNIT4}</dependencies><build><plugins>{OLD}</plugins></build>"),
        "src/main/java/calc/Calc.java": calc("-"),
        "src/test/java/calc/CalcTest.java": a_test("CalcTest", "nothing", "Calc.add(0, 0) != 0", old),
    }
    fix = {
        "src/main/java/calc/Calc.java": calc("+"),
        "src/test/java/calc/CalcTest.java": a_test("CalcTest", "nothing", "Calc.add(0, 0) != 0", old),
        "src/test/java/calc/MoreTest.java": a_test("MoreTest", "adds", "Calc.add(1, 2) != 3", old),
    }
    report = await build(history, tmp_path, images, files, fix)
    assert report.status == "validated", report.message + report.details
    assert report.fail_to_pass == ("calc.MoreTest::adds",)
    assert report.pass_to_pass == ("calc.CalcTest::nothing",)


async def test_modules_a_dependency_of_the_fix_alone_and_failures_elsewhere(history: Any, tmp_path: Path, images: Path) -> None:
    modules = "<packaging>pom</packaging><modules><module>base</module><module>calc</module><module>use</module></modules>"
    build_of = f"<build><plugins>{SUREFIRE}</plugins></build><dependencies>{JUNIT5}</dependencies>"
    files = {
        "pom.xml": pom(modules + RELEASE + build_of),
        "base/pom.xml": child("base"),
        "base/src/main/java/base/Base.java": "package base;\n\npublic class Base {\n    public static final int ZERO = 0;\n}\n",
        "base/src/test/java/calc/SlowTest.java": a_test("SlowTest", "fails", "true"),
        "calc/pom.xml": child("calc", needs("base")),
        "calc/src/main/java/calc/Calc.java": calc("-"),
        "calc/src/test/java/calc/CalcTest.java": a_test("CalcTest", "nothing", "Calc.add(0, base.Base.ZERO) != 0"),
        "calc/src/test/java/calc/BrokenTest.java": a_test("BrokenTest", "neverWorks", "true"),
        "calc/src/test/java/calc/GoneTest.java": a_test("GoneTest", "goes", "false"),
        "use/pom.xml": child("use", needs("calc")),
        "use/src/test/java/calc/UseTest.java": a_test("UseTest", "nothing", "Calc.add(0, 0) != 0"),
    }
    fix = {
        "calc/pom.xml": child("calc", needs("base").replace("</dependencies>", f"{LANG}</dependencies>")),
        "calc/src/main/java/calc/Calc.java": calc("+").replace("return a", "return org.apache.commons.lang3.math.NumberUtils.max(a)"),
        "calc/src/test/java/calc/CalcTest.java": a_test("CalcTest", "adds", "Calc.add(1, 2) != 3"),
        "calc/src/test/java/calc/GoneTest.java": None,
        "use/src/test/java/calc/UseTest.java": a_test("UseTest", "uses", "Calc.add(2, 2) != 4"),
    }
    report = await build(history, tmp_path, images, files, fix)
    assert report.status == "validated", report.message + report.details
    assert set(report.fail_to_pass) == {"calc.CalcTest::adds", "calc.UseTest::uses"}
    assert report.tests.total == 3  # neither the tests of `base` nor those of a class whose source is gone


async def test_testng_and_integration_tests(history: Any, tmp_path: Path, images: Path) -> None:
    goals = "<executions><execution><goals><goal>integration-test</goal><goal>verify</goal></goals></execution></executions>"
    failsafe = f"<plugin><artifactId>maven-failsafe-plugin</artifactId><version>3.2.5</version>{goals}</plugin>"
    of_testng = "org.testng.annotations.Test"
    files = {
        "app/pom.xml": pom(f"{RELEASE}<dependencies>{TESTNG}</dependencies><build><plugins>{SUREFIRE}{failsafe}</plugins></build>"),
        "app/src/main/java/calc/Calc.java": calc("-"),
        "app/src/test/java/calc/CalcTest.java": a_test("CalcTest", "nothing", "Calc.add(0, 0) != 0", of_testng),
    }
    fix = {
        "app/src/main/java/calc/Calc.java": calc("+"),
        "app/src/test/java/calc/CalcTest.java": a_test("CalcTest", "nothing", "Calc.add(0, 0) != 0", of_testng),
        "app/src/test/java/calc/AddIT.java": a_test("AddIT", "adds", "Calc.add(1, 2) != 3", of_testng),
    }
    report = await build(history, tmp_path, images, files, fix)
    assert report.status == "validated", report.message + report.details
    assert report.fail_to_pass == ("calc.AddIT::adds",)
    assert report.pass_to_pass == ("calc.CalcTest::nothing",)


async def test_where_gradle_cannot_be_had_maven_builds_what_it_can(history: Any, tmp_path: Path, images: Path) -> None:
    nowhere = "distributionUrl=file\\:///nowhere/gradle-8.5-bin.zip\n"
    files = {
        "pom.xml": pom(f"{RELEASE}<dependencies>{JUNIT5}</dependencies><build><plugins>{SUREFIRE}</plugins></build>"),
        "build.gradle": "plugins { id 'java' }\n",
        "gradle/wrapper/gradle-wrapper.properties": nowhere,
        ".travis.yml": "language: java\nscript: gradle test\n",
        "src/main/java/calc/Calc.java": calc("-"),
        "src/test/java/calc/CalcTest.java": a_test("CalcTest", "nothing", "Calc.add(0, 0) != 0"),
    }
    fix = {
        "src/main/java/calc/Calc.java": calc("+"),
        "src/test/java/calc/CalcTest.java": a_test("CalcTest", "adds", "Calc.add(1, 2) != 3"),
    }
    report = await build(history, tmp_path, images, files, fix)
    assert report.status == "validated", report.message + report.details
    assert report.build_system == "maven" and report.repairs == ("Gradle cannot be had. So maven.",)
    assert report.fail_to_pass == ("calc.CalcTest::adds",)
