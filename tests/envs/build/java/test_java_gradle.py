from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from java_requests import TEST, pom, request, tree

from podgym.envs.build.errors import BuildError
from podgym.envs.build.languages.java import JAVA
from podgym.envs.build.languages.java.gradlebuild import GradleBuild, find_build, runs_on
from podgym.envs.build.languages.java.gradletools import gradle_properties, init_script

WRAPPER = "distributionUrl=https\\://services.example/distributions/gradle-{0}-bin.zip\n"
BUILD = {
    "settings.gradle.kts": 'rootProject.name = "shop"\n// include("old")\ninclude("api", ":core:db")\ninclude(\n    "web",\n)\n'
    'project(":web").projectDir = file("front/web")\n',
    "build.gradle.kts": "plugins { java }\n",
    "api/build.gradle.kts": "java { toolchain { languageVersion = JavaLanguageVersion.of(libs.versions.java.get()) } }\n",
    "core/db/build.gradle": "sourceCompatibility = 1.8\n",
    "front/web/build.gradle.kts": "kotlin { jvmToolchain(21) }\n",
    "tools/build.gradle": "",
    "buildSrc/build.gradle": "",
    "gradle/libs.versions.toml": '[versions]\njava = "17"\n',
    "gradle/wrapper/gradle-wrapper.properties": WRAPPER.format("8.5"),
    "api/src/main/java/a/B.java": "class B {}",
    "api/src/test/java/a/BTest.java": TEST.format("BTest"),
    "api/src/integrationTest/java/a/FlowTest.java": TEST.format("FlowTest"),
    "core/db/src/test/java/a/DbTest.java": TEST.format("DbTest"),
}


def test_projects_of_settings_and_of_directories() -> None:
    build = find_build(tree(BUILD), ["api/src/main/java/a/B.java"])
    assert build is not None and build.root == ""
    assert build.projects == {"": "", "api": ":api", "core/db": ":core:db", "front/web": ":web", "tools": ":tools"}
    assert build.wrapper == ("8.5", "https://services.example/distributions/gradle-8.5-bin.zip")
    assert build.toolchains(["api"]) == (17,)
    assert build.toolchains(["front/web"]) == (21,)
    assert build.levels(["core/db"]) == (8,)
    assert build.levels(["api"]) == ()


def test_groovy_settings() -> None:
    text = "include 'a', 'b'\ninclude ':c:d'\nproject(':b').projectDir = new File(settingsDir, 'x/b')\n"
    files = {"settings.gradle": text, "a/build.gradle": "", "x/b/build.gradle": "", "c/d/src/A.java": ""}
    assert GradleBuild(tree(files), "").projects == {"": "", "a": ":a", "x/b": ":b", "c/d": ":c:d"}


def test_a_project_that_the_settings_move_by_code_is_known_by_its_name() -> None:
    settings = 'include("inline", "proxy", "doc")\nrootProject.children.forEach { it.projectDir = File(settingsDir, "parts/${it.name}") }\n'
    files = {"settings.gradle.kts": settings, "build.gradle": "", "parts/inline/inline.gradle": "", "parts/proxy/build.gradle.kts": ""}
    build = GradleBuild(tree({**files, "a/doc/doc.gradle": "", "b/doc/doc.gradle": ""}), "")
    assert build.projects == {"": "", "parts/inline": ":inline", "parts/proxy": ":proxy"}
    assert build.owner("parts/inline/src/test/java/a/BTest.java") == "parts/inline"


def test_the_tasks_of_the_touched_projects() -> None:
    tests = ["api/src/test/java/a/BTest.java", "api/src/integrationTest/java/a/FlowTest.java"]
    plan = JAVA.plan(request(BUILD, source=["api/src/main/java/a/B.java"], tests=tests))
    assert (plan.build_system, plan.toolchain, plan.why_toolchain) == ("gradle", "17", "its toolchain")
    assert "exec /opt/podgym/bin/gradle --continue :api:test :api:integrationTest\n" in plan.tests[0].script
    assert "':api:test' --tests" in plan.changed[0].script or ":api:test --tests '*BTest' :api:integrationTest" in plan.changed[0].script
    report = plan.tests[0].report
    assert report is not None
    assert report.files == ("api/build/test-results/test/TEST-*.xml", "api/build/test-results/integrationTest/TEST-*.xml")
    for script in (*(step.run for step in plan.steps), plan.tests[0].script, plan.changed[0].script):
        assert subprocess.run(["sh", "-n"], input=script, text=True, check=False).returncode == 0


def test_a_project_that_the_fix_makes_is_tested_where_it_is() -> None:
    base = {path: text for path, text in BUILD.items() if not path.startswith("core/db/")}
    base["settings.gradle.kts"] = BUILD["settings.gradle.kts"].replace(', ":core:db"', "")
    tests = ["api/src/test/java/a/BTest.java", "core/db/src/test/java/a/DbTest.java"]
    plan = JAVA.plan(request(BUILD, base=base, source=["api/src/main/java/a/B.java"], tests=tests))
    assert 'gradle --continue :api:test "$@"\n' in plan.tests[0].script and ":core:db" not in plan.install[0].run
    (guard,) = (line for line in plan.changed[0].script.splitlines() if line.startswith("if "))
    assert "core[:/]db" in guard and guard.endswith("set -- \"$@\" :core:db:test --tests '*DbTest'; fi")
    for script in (plan.tests[0].script, plan.changed[0].script):
        assert subprocess.run(["sh", "-n"], input=script, text=True, check=False).returncode == 0


@pytest.mark.parametrize(
    ("settings", "there"),
    [
        ("include 'api', 'core'", True),
        ('include(\n    ":core",\n)', True),
        ("include 'core-api', 'my-core', 'core:db', 'db:core'", False),
        ("// include 'core'\nrootProject.name = 'core'", False),
        (None, False),
    ],
)
def test_a_project_that_the_fix_makes_is_there_where_its_whole_name_is_included(tmp_path: Path, settings: str | None, there: bool) -> None:
    fixed = {**BUILD, "settings.gradle.kts": 'include("api", ":core")', "core/src/test/java/a/CoreTest.java": TEST.format("CoreTest")}
    del fixed["core/db/build.gradle"], fixed["core/db/src/test/java/a/DbTest.java"]
    base = {path: text for path, text in fixed.items() if not path.startswith("core/")}
    plan = JAVA.plan(request(fixed, base=base, tests=["core/src/test/java/a/CoreTest.java"]))
    if settings is not None:
        (tmp_path / "settings.gradle.kts").write_text(settings + "\n")
    script = plan.tests[0].script.replace("exec /opt/podgym/bin/gradle", "echo")
    done = subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert (done.stdout.split(), done.stderr) == (["--continue", *([":core:test"] if there else [])], "")


def test_what_only_the_fix_s_files_name_is_fetched_by_name() -> None:
    catalogue = '[versions]\njava = "17"\nx = "2"\n[libraries]\nold = "a:b:1"\nnew = { module = "org.x:new", version.ref = "x" }\n'
    fixed = {
        **BUILD,
        "gradle/libs.versions.toml": catalogue + '[plugins]\nk = { id = "org.k", version = "3" }\n',
        "api/build.gradle.kts": BUILD["api/build.gradle.kts"] + 'val v = "9"\ndependencies { implementation("org.y:z:$v") }\n// secret\n',
    }
    tests = ["api/src/test/java/a/BTest.java"]
    (step,) = JAVA.plan(request(fixed, base=BUILD, source=["api/build.gradle.kts"], tests=tests)).install
    assert "['a:b:1', 'org.k:org.k.gradle.plugin:3', 'org.x:new:2', 'org.y:z:9'].each" in step.run
    assert "secret" not in step.run and subprocess.run(["sh", "-n"], input=step.run, text=True, check=False).returncode == 0
    assert "/added" not in JAVA.plan(request(BUILD, source=["api/src/main/java/a/B.java"], tests=tests)).install[0].run


@pytest.mark.parametrize(
    "text", ["versions = 1", "[versions]\na = 1\n[libraries]\nb = 2\nc = { module = 3 }\n", "[plugins]\np = [1]\n", "x = " + 5000 * "1"]
)
def test_any_catalogue_can_be_read(text: str) -> None:
    plan = JAVA.plan(request({**BUILD, "gradle/libs.versions.toml": text}, base=BUILD, tests=["api/src/test/java/a/BTest.java"]))
    assert plan.build_system == "gradle"


@pytest.mark.parametrize(
    ("sources", "task"),
    [("test", "test"), ("test-jdk17", "test"), ("testFixtures", "test"), ("jvmTest", "jvmTest"), ("commonTest", "jvmTest")],
)
def test_a_source_set_is_run_by_its_task(sources: str, task: str) -> None:
    path = f"api/src/{sources}/java/a/OneTest.java"
    command = JAVA.plan(request({**BUILD, path: TEST.format("OneTest")}, tests=[path])).tests[0]
    assert f":api:{task} " in command.script or command.script.rstrip().endswith(f":api:{task}")


def test_changed_tests_that_platforms_share_are_run_by_themselves() -> None:
    path = "api/src/commonTest/java/a/OneTest.java"
    (command,) = JAVA.plan(request({**BUILD, path: TEST.format("OneTest")}, tests=[path])).changed
    assert ":api:jvmTest --tests '*OneTest'" in command.script


def test_the_jdk_is_one_that_gradle_runs_on() -> None:
    old = {**BUILD, "gradle/wrapper/gradle-wrapper.properties": WRAPPER.format("6.9.4")}
    plan = JAVA.plan(request(old, source=[], tests=["core/db/src/test/java/a/DbTest.java"], present=None))
    assert plan.toolchain == "8"
    assert runs_on("6.9.4") == (8, 15) and runs_on("8.5") == (8, 21) and runs_on("9.0") == (17, 24) and runs_on("") == (0, 99)


@pytest.mark.parametrize(
    ("commands", "system"),
    [((), "maven"), (("./gradlew build",), "gradle"), (("./gradlew build", "mvn -B verify"), "maven"), (("./mvnw verify",), "maven")],
)
def test_where_both_are_there_ci_decides(commands: tuple[str, ...], system: str) -> None:
    files = {**BUILD, "pom.xml": pom("<modules><module>api</module></modules>"), "api/pom.xml": pom("", artifact="api")}
    plan = JAVA.plan(request(files, source=["api/src/main/java/a/B.java"], tests=["api/src/test/java/a/BTest.java"], commands=commands))
    assert plan.build_system == system
    assert "both Maven and Gradle" in plan.notes[0]


def test_a_project_without_a_pom_is_none_of_maven_s() -> None:
    files = {**BUILD, "pom.xml": pom("<modules><module>other</module></modules>"), "other/pom.xml": pom("", artifact="other")}
    asked = request(files, tests=["api/src/test/java/a/BTest.java"], commands=("mvn -B verify",))
    assert JAVA.plan(asked).build_system == "gradle"
    with pytest.raises(BuildError, match="built by gradle, which cannot be had"):
        JAVA.plan(replace(asked, without=frozenset({"gradle"})))


def test_android_is_refused() -> None:
    files = {"app/build.gradle": "plugins { id 'com.android.application' }\n", "app/src/test/java/ATest.java": TEST.format("ATest")}
    with pytest.raises(BuildError) as caught:
        JAVA.plan(request(files, tests=["app/src/test/java/ATest.java"]))
    assert caught.value.reason == "unsupported_build"


@pytest.mark.parametrize("line", ['id("com.android.library")', "alias(libs.plugins.android.library)", "id 'shop.android-app'"])
def test_a_project_beside_android_s_is_built_for_the_jvm(line: str) -> None:
    root = f"plugins {{\n    {line} apply false\n}}\n"
    files = {**BUILD, "build.gradle.kts": root, "app/build.gradle.kts": f"plugins {{ {line} }}\n", "app/src/test/java/ATest.java": ""}
    plan = JAVA.plan(request(files, tests=["api/src/test/java/a/BTest.java"]))
    assert ":api:test" in plan.tests[0].script and "--configure-on-demand" in plan.install[0].run
    with pytest.raises(BuildError, match="Android SDK"):
        JAVA.plan(request(files, tests=["app/src/test/java/ATest.java"]))


ANDROID = {"build.gradle": "plugins { id 'com.android.library' }\n", "src/test/java/a/BTest.java": TEST.format("BTest")}


def test_one_that_cannot_be_had_or_would_not_do_leaves_the_project_to_the_other() -> None:
    asked = request({**ANDROID, "pom.xml": pom("")}, tests=["src/test/java/a/BTest.java"], commands=["gradle test"])
    plan = JAVA.plan(asked)
    assert plan.build_system == "maven" and "gradle would not do: The project is built with the Android SDK" in plan.notes[1]
    asked = request({**BUILD, "api/pom.xml": pom("")}, tests=["api/src/test/java/a/BTest.java"], commands=["./gradlew check"])
    assert JAVA.plan(asked).build_system == "gradle"
    assert JAVA.plan(replace(asked, without=frozenset({"gradle"}))).build_system == "maven"
    with pytest.raises(BuildError, match="cannot be had here") as caught:
        JAVA.plan(replace(asked, without=frozenset({"gradle", "maven"})))
    assert caught.value.reason == "no_toolchain"


def test_settings_of_the_image() -> None:
    text = gradle_properties({"HTTPS_PROXY": "proxy.example:3128"}, "org.gradle.jvmargs=-Xmx8g --add-exports=a/b=ALL\n", trust=True)
    assert "org.gradle.jvmargs=-Xmx1536m -Xss4m --add-exports=a/b=ALL" in text and "systemProp.https.proxyHost=proxy.example" in text
    assert "JavaLanguageVersion.of(17)" in init_script(toolchain=17, mirror="")
    assert "it.url = 'https://m.example/x'" in init_script(toolchain=0, mirror="https://m.example/x")
    assert "it.url" not in init_script(toolchain=0, mirror="https://m.example/'; evil")


@given(st.text(max_size=300))
def test_any_script_can_be_read(text: str) -> None:
    files = {"settings.gradle": text, "build.gradle.kts": text, "gradle.properties": text, "gradle/libs.versions.toml": text}
    build = GradleBuild(tree({**files, "gradle/wrapper/gradle-wrapper.properties": text}), "")
    assert build.projects[""] == ""
    build.toolchains([""]), build.levels([""]), build.wrapper
