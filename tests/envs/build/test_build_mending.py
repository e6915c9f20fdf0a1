"""Which plan is tried after a failure, and when none is."""

from __future__ import annotations

import tarfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from podgym.envs.build import BuildError, BuildOptions, Prepared, read_plan
from podgym.envs.build.manifests import write_manifests
from podgym.envs.build.mending import Mender
from podgym.envs.build.plan import MANIFESTS, TOOLS
from podgym.envs.build.states import Overlay
from podgym.envs.build.tree import Tree
from podgym.sandbox import ImageError, SandboxSpec, Step
from podgym.sandbox.local import LocalConfig, LocalProvider
from podgym.verifiers.archive import Write

HEADER = "src/parse.c:1:10: fatal error: libxml/parser.h: No such file or directory\ncompilation terminated.\n"
ASKED_FOR_ANOTHER = "error: release version 21 not supported\n"
SPEC = SandboxSpec(image="x")
PROVIDER: Any = None


@pytest.fixture
def prepared(history) -> Prepared:
    setup = "from setuptools import setup\nsetup(name='calc', py_modules=['calc'])\n"
    history.commit("start", {"calc.py": "x = 1\n", "setup.py": setup, "tests/test_calc.py": "def test_x(): pass\n"})
    fix = history.commit("Mend it", {"calc.py": "x = 2\n", "tests/test_calc.py": "import calc\ndef test_x(): assert calc.x == 2\n"})
    return read_plan(history.path, fix, issue=None, options=BuildOptions())


def failed(log: str, step: int | None = 1) -> ImageError:
    return ImageError("A step failed.", step=step, log=log)


async def test_a_missing_header_brings_its_package(prepared: Prepared) -> None:
    mender = Mender(BuildOptions(), PROVIDER)
    changed = await mender.next(prepared, SPEC, failed(HEADER))
    assert "libxml2-dev" in changed.plan.packages and mender.tried


async def test_what_did_not_help_is_taken_back(prepared: Prepared) -> None:
    mender = Mender(BuildOptions(), PROVIDER)
    first = failed(HEADER)
    changed = await mender.next(prepared, SPEC, first)
    seen = [changed.plan]
    with pytest.raises(ImageError) as caught:
        while True:
            changed = await mender.next(changed, SPEC, failed(HEADER))
            seen.append(changed.plan)
    assert caught.value is first, "the first plan's failure is what is told"
    assert all("libxml2-dev" not in plan.packages for plan in seen[1:])
    assert len(mender.tried) <= BuildOptions().repairs


async def test_what_helped_stays(prepared: Prepared) -> None:
    mender = Mender(BuildOptions(), PROVIDER)
    changed = await mender.next(prepared, SPEC, failed(HEADER))
    again = await mender.next(changed, SPEC, failed(HEADER.replace("libxml/parser.h", "curl/curl.h")))
    assert "libxml2-dev" in again.plan.packages and any("curl" in name for name in again.plan.packages)


@pytest.mark.parametrize("options", [{"repairs": 0}, {"repair_timeout_s": 0}], ids=str)
async def test_none_are_tried(prepared: Prepared, options: dict[str, Any]) -> None:
    first = failed(HEADER)
    with pytest.raises(ImageError) as caught:
        await Mender(BuildOptions(**options), PROVIDER).next(prepared, SPEC, first)
    assert caught.value is first


async def test_where_none_are_tried_no_test_is_run_again(prepared: Prepared) -> None:
    failing = BuildError("They fail.", stage="validate", reason="failing_after", details=HEADER)
    with pytest.raises(BuildError) as caught:
        await Mender(BuildOptions(repairs=0), PROVIDER).next(prepared, SPEC, failing)
    assert caught.value is failing


async def test_at_last_the_changed_tests_run_alone(prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podgym.envs.build.mending.failing_tests_say", _nothing)
    first = BuildError("They fail.", stage="validate", reason="failing_after", details="nothing that is known")
    mender = Mender(BuildOptions(), PROVIDER)
    alone = await mender.next(prepared, SPEC, first)
    assert alone.plan.tests == prepared.plan.changed != prepared.plan.tests and len(mender.tried) == 1
    with pytest.raises(BuildError) as caught:
        await mender.next(alone, SPEC, first)
    assert caught.value is first


async def _nothing(*_: object) -> str:
    return ""


async def test_an_edited_plan_is_run_as_it_is(prepared: Prepared) -> None:
    with pytest.raises(ImageError):
        await Mender(BuildOptions(plan=prepared.plan), PROVIDER).next(prepared, SPEC, failed(HEADER))


async def test_no_environment_makes_a_passing_test_fail(prepared: Prepared) -> None:
    hopeless = BuildError("They pass already.", stage="validate", reason="already_passing", details=HEADER)
    with pytest.raises(BuildError) as caught:
        await Mender(BuildOptions(), PROVIDER).next(prepared, SPEC, hopeless)
    assert caught.value is hopeless


POM = (
    "<project><modelVersion>4.0.0</modelVersion><groupId>g</groupId><artifactId>calc</artifactId><version>1</version>"
    "<properties><maven.compiler.release>{}</maven.compiler.release></properties></project>"
)
WRAPPER = "distributionUrl=https\\://gradle.example.org/gradle-8.5-bin.zip\n"
GRADLE = {"build.gradle": "plugins { id 'java' }\n", "gradlew": "x\n", "gradle/wrapper/gradle-wrapper.properties": WRAPPER}
JAVA_TEST = "import org.junit.Test;\npublic class CalcTest {{ @Test public void adds() {{ assert Calc.add() == {}; }} }}\n"


def of_java(history: Any, files: Mapping[str, str], **options: Any) -> Prepared:
    source = "public class Calc {{ static int add() {{ return {}; }} }}\n"
    place, test = "src/main/java/Calc.java", "src/test/java/CalcTest.java"
    history.commit("start", {**files, place: source.format(1), test: JAVA_TEST.format(1)})
    fix = history.commit("Mend it", {place: source.format(2), test: JAVA_TEST.format(2)})
    return read_plan(history.path, fix, issue=None, options=BuildOptions(**options))


async def test_another_toolchain_is_planned_anew_with_what_had_helped(history: Any) -> None:
    prepared = of_java(history, {"pom.xml": POM.format(17)}, mirror="mirror.example.org/")
    mender = Mender(BuildOptions(), PROVIDER)
    with_header = await mender.next(prepared, SPEC, failed(HEADER))
    changed = await mender.next(with_header, SPEC, failed(ASKED_FOR_ANOTHER))
    assert (changed.plan.toolchain, changed.plan.mirror) == ("21", "mirror.example.org/")
    assert changed.request.toolchain == "21"
    own = changed.module.plan(replace(prepared.request, toolchain="21"))
    assert changed.plan.steps == own.steps != prepared.plan.steps
    assert changed.plan.packages == with_header.plan.packages
    assert changed.plan.why_toolchain == "The log asks for java >=21."


@pytest.mark.parametrize(
    "error",
    [
        failed(ASKED_FOR_ANOTHER),
        failed("Something went wrong.\n"),
        ImageError("Building x from maven:3-eclipse-temurin-17 failed: manifest unknown (at FROM maven:3-eclipse-temurin-17)"),
    ],
    ids=["the log asks for another", "nothing says why", "no image"],
)
async def test_a_toolchain_that_was_asked_for_is_kept(history: Any, error: ImageError) -> None:
    changed = of_java(history, {"pom.xml": POM.format(17)}, toolchain="17")
    mender = Mender(BuildOptions(toolchain="17"), PROVIDER)
    with pytest.raises(ImageError):
        while True:
            changed = await mender.next(changed, SPEC, error)
            assert (changed.plan.toolchain, changed.plan.base) == ("17", "maven:3-eclipse-temurin-17"), mender.tried
    assert not any("temurin" in because for because in mender.tried)


async def test_where_the_files_are_gone_the_steps_stay(history: Any) -> None:
    prepared = of_java(history, {"pom.xml": POM.format(17)})
    nothing = Tree((), lambda _: None)
    bare = replace(prepared, request=replace(prepared.request, base=nothing, fixed=nothing))
    changed = await Mender(BuildOptions(), PROVIDER).next(bare, SPEC, failed(ASKED_FOR_ANOTHER))
    assert changed.plan.toolchain == "21" and changed.plan.steps == prepared.plan.steps


async def test_images_that_cannot_be_had_are_done_without_one_after_another(history: Any) -> None:
    prepared = of_java(history, {"pom.xml": POM.format(11)})
    mender = Mender(BuildOptions(), PROVIDER)
    changed, seen = prepared, [prepared.plan.base]
    for _ in range(2):
        base = changed.plan.base
        changed = await mender.next(changed, SPEC, ImageError(f"Building x from {base} failed: manifest unknown (at FROM {base})"))
        assert set(seen) <= changed.request.catalogue.absent
        assert changed.plan.steps == changed.module.plan(changed.request).steps
        seen.append(changed.plan.base)
    assert seen == [f"maven:3-eclipse-temurin-{number}" for number in (11, 17, 21)]


NO_GRADLE = "Gradle 8.5 cannot be had: the image has none, and https://gradle.example.org/gradle-8.5-bin.zip does not answer.\n"


async def test_a_build_system_that_cannot_be_had_leaves_the_project_to_the_other(history: Any, tmp_path: Path) -> None:
    prepared = of_java(history, {"pom.xml": POM.format(17), **GRADLE, ".travis.yml": "script: ./gradlew test\n"})
    assert prepared.plan.build_system == "gradle"
    write_manifests(tmp_path / MANIFESTS, prepared.request.base, prepared.plan.manifests)
    mender = Mender(BuildOptions(), PROVIDER)
    changed = await mender.next(prepared, SandboxSpec(image="x", context=str(tmp_path)), failed(NO_GRADLE, step=0))
    assert changed.plan.build_system == "maven" and mender.tried == ("Gradle cannot be had. So maven.",)
    with tarfile.open(tmp_path / MANIFESTS) as archive:
        assert tuple(archive.getnames()) == changed.plan.manifests == ("pom.xml",)


async def test_without_another_build_system_the_next_remedy_is_tried(history: Any) -> None:
    prepared = of_java(history, GRADLE)
    mender = Mender(BuildOptions(), PROVIDER)
    changed = await mender.next(prepared, SPEC, failed(NO_GRADLE, step=0))
    assert changed.plan.build_system == "gradle" and mender.tried == ("What failed may not fail again.",)


TESTS = {
    "test_one.py": "import unittest\nimport lovely_lib\nclass T(unittest.TestCase):\n    def test_it(self): pass\n",
    "test_two.py": "import unittest\nclass T(unittest.TestCase):\n    def test_it(self): import lovely_lib\n",
}
PASSES = "import unittest\nclass T(unittest.TestCase):\n    def test_a(self): pass\n    def test_b(self): pass\n"


@pytest.mark.timeout(120)
@pytest.mark.parametrize("others", [{}, {"test_three.py": PASSES}], ids=["all fail", "as many pass"])
async def test_what_failing_tests_say_counts_where_most_fail(
    prepared: Prepared, others: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes = tuple(Write(name, text.encode(), 0o644) for name, text in {**TESTS, **others}.items())
    monkeypatch.setattr(Prepared, "overlays", {"base+tests+fix": Overlay(writes)})
    update = {"framework": "unittest", "python": "python3", "args": (), "targets": (), "timeout_s": 60, "env": {}}
    command = prepared.plan.tests[0].model_copy(update=update)
    plan = prepared.plan.model_copy(update={"tests": (command,), "dependencies": (), "install": (), "writable": (TOOLS,)})
    recipe = plan.recipe.model_copy(update={"copies": ()})
    spec = SandboxSpec(image="podgym/none", recipe=recipe, workdir="/testbed")
    error = BuildError("1 test(s) of the fix fail although the fix is applied.", stage="validate", reason="failing_after", details="x\n")
    provider = LocalProvider(LocalConfig(cache=tmp_path / "images", scratch=tmp_path / "scratch"))
    mender = Mender(BuildOptions(), provider)
    try:
        changed = await mender.next(replace(prepared, plan=plan), spec, error)
    finally:
        await provider.close()
    if others:
        assert changed.plan.install == () and changed.plan.tests == plan.changed != plan.tests
        assert mender.tried == ("The suite as a whole is of no use. So the changed test files alone.",)
    else:
        assert "lovely-lib" in changed.plan.install[-1].run
        assert mender.tried == ("Tests import lovely-lib, which nothing lists.",)


async def test_what_a_script_would_say_is_not_what_it_said(history: Any) -> None:
    prepared = of_java(history, {"pom.xml": POM.format(17), **GRADLE, ".travis.yml": "script: ./gradlew test\n"})
    step = prepared.plan.dependencies[0].run.replace("${wanted:-of any version}", "8.5")
    prepared = replace(prepared, plan=prepared.plan.model_copy(update={"dependencies": (Step(run=step + NO_GRADLE),)}))
    error = ImageError(f"Step 1 of the recipe failed with exit code 1: {prepared.plan.dependencies[0].run}\n", step=0)
    changed = await Mender(BuildOptions(), PROVIDER).next(prepared, SPEC, error)
    assert changed.plan.build_system == "gradle"
