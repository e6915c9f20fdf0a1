from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from podgym.envs.build.catalogue import Catalogue
from podgym.envs.build.plan import BuildPlan
from podgym.envs.build.repair import BuildFailure, classify, further, remedies
from podgym.envs.build.repair.failure import log_lines
from podgym.envs.build.repair.versions import wanted
from podgym.verifiers.protection import Language

Planner = Callable[..., BuildPlan]


@pytest.mark.parametrize(
    ("subject", "accepted", "refused"),
    [
        ("python >=3.8,<3.12", ["3.8", "3.11"], ["3.7", "3.12"]),
        ("python <3.12", ["3.11"], ["3.12", "3.14"]),
        ("python >=3.10.2", ["3.10", "3.13"], ["3.9"]),
        ("python !=3.9.*,>=3.8", ["3.8", "3.10"], ["3.9"]),
        ("python ~=3.9", ["3.9", "3.13"], ["3.8"]),
        ("python ^3.9", ["3.9", "3.13"], ["3.8"]),
        ("node >=22", ["22", "24"], ["20"]),
        ("node ^16.13.0 || ^18", ["16", "18"], ["17", "20"]),
        ("node >= 14.0.0 <17", ["14", "16"], ["12", "17", "18"]),
        ("node 18.x", ["18"], ["16", "20"]),
        ("node 16 - 20", ["16", "18", "20"], ["14", "22"]),
        ("node >20", ["22"], ["18", "20"]),
        ("node <=18", ["18"], ["20"]),
        ("node ~20.1", ["20"], ["22"]),
        ("node *", ["10"], []),
        ("node <12", ["10"], ["12"]),
        ("java [11,12)", ["11"], ["8", "17"]),
        ("java [1.8,)", ["8", "21"], []),
        ("java (,17]", ["8", "17"], ["21"]),
        ("java ==21", ["21"], ["17", "25"]),
        ("class >=65", ["21", "25"], ["17"]),
        ("class <65", ["17"], ["21"]),
        ("source 5", ["8"], ["11"]),
        ("go >=1.25", ["1.25", "1.26"], ["1.24"]),
        ("go <1.18", ["1.16", "1.17"], ["1.18"]),
        ("rust >=1.80", ["1.80"], ["1.79"]),
        ("native >=14", ["14"], ["13"]),
    ],
)
def test_ranges(subject: str, accepted: list[str], refused: list[str]) -> None:
    found = wanted(subject)
    assert found is not None
    assert [version for version in accepted if not found[1](version)] == []
    assert [version for version in refused if found[1](version)] == []


@pytest.mark.parametrize("subject", ["", "python", "python nonsense", "java", "java <", "perl >=5", "java [a,b)", "node latest"])
def test_what_is_no_range_is_none(subject: str) -> None:
    assert wanted(subject) is None


@given(st.sampled_from(["python", "node", "java", "class", "source", "go"]), st.text(alphabet="0123456789.<>=^~|x*-, []()!", max_size=20))
def test_no_range_is_too_odd(tool: str, text: str) -> None:
    found = wanted(f"{tool} {text}")
    if found is not None:
        assert found[1]("17") in (True, False)
        assert found[1]("3.11") in (True, False)


def test_colours_progress_and_quotes_are_taken_off() -> None:
    log = "\x1b[31merror\x1b[0m: \u2018x\u2019\r\n10%\r100%\n\x1b]8;;http://x\x07link\x00\n"
    assert log_lines(log) == ["error: 'x'", "100%", "link", ""]


def test_another_program_s_complaint_comes_last(plan_of: Planner) -> None:
    log = "gyp: ModuleNotFoundError: No module named 'distutils'\nfatal error: zlib.h: No such file or directory\n"
    causes = classify(BuildFailure("image", log, step=0), plan_of("javascript"))
    assert causes[0].kind == "missing_header"
    assert causes[0].evidence == "fatal error: zlib.h: No such file or directory"
    kinds = {cause.subject for cause in causes if cause.kind == "missing_module"}
    assert "gyp distutils" in kinds


def test_a_name_of_the_project_s_own_says_nothing_of_python(plan_of: Planner) -> None:
    log = "ImportError: cannot import name 'Self' from 'shop.models' (/testbed/shop/models.py)\n"
    assert classify(BuildFailure("tests", log), plan_of("python")) == ()


def test_no_test_is_skipped_with_the_checks_beside_the_code(plan_of: Planner) -> None:
    log = "[ERROR] Failed to execute goal com.diffplug.spotless:spotless-maven-plugin:2.40:check (default) on project a\n"
    offered = next(remedies(plan_of("java"), BuildFailure("image", log, step=0), tried=frozenset(), catalogue=Catalogue()))
    assert offered.name == "maven:no-checks"
    flags = set(offered.plan.tests[0].env["MAVEN_OPTS"].split())
    assert "-Dspotless.check.skip=true" in flags
    assert not {f"-D{name}=true" for name in ("skipTests", "skipITs", "maven.test.skip")} & flags


def test_where_nothing_is_known_it_is_built_again_and_then_with_the_neighbours(plan_of: Planner) -> None:
    plan = plan_of("go")
    offered = list(remedies(plan, BuildFailure("image", "exit 1", step=1), tried=frozenset(), catalogue=Catalogue()))
    assert [remedy.name for remedy in offered] == ["again", "toolchain:go 1.21", "toolchain:go 1.23"]
    assert [remedy.toolchain for remedy in offered] == ["", "1.21", "1.23"]
    assert list(remedies(plan, BuildFailure("tests", "exit 1"), tried=frozenset(), catalogue=Catalogue())) == []
    of_java = list(remedies(plan_of("java"), BuildFailure("image", "exit 1", step=1), tried=frozenset(), catalogue=Catalogue()))
    assert [remedy.name for remedy in of_java] == ["again", "without:maven", "toolchain:java 11", "toolchain:java 21"]
    tried = frozenset(remedy.name for remedy in offered)
    assert list(remedies(plan, BuildFailure("image", "exit 1", step=1), tried=tried, catalogue=Catalogue())) == []


def test_only_what_can_be_had_is_chosen(plan_of: Planner) -> None:
    log = "error: invalid source release: 21\n"
    catalogue = Catalogue(present=frozenset({"maven:3-eclipse-temurin-17", "maven:3-eclipse-temurin-25"}))
    offered = list(remedies(plan_of("java"), BuildFailure("image", log, step=0), tried=frozenset(), catalogue=catalogue))
    assert offered[0].name == "toolchain:java 25"


_TEXT = """
fatal error:|zlib.h|No such file or directory|cannot find -l|ld:|No module named|'x'|npm error|code ERESOLVE|requires|python|>=3.9|node
java|version|65|refused|127.0.0.1:5432|CMake Error|Could NOT find|  |error[E0658]|sh: 1:|not found|as root|must not|run|locale|"|(|[|\\
E: Unable to locate package|java.lang.OutOfMemoryError|Killed|ld: cannot find|go.mod|go >=|class file version|[ERROR]|ECONNRESET|~|*
"""
_WORDS = st.sampled_from([word for line in _TEXT.strip("\n").splitlines() for word in line.split("|")] + ["\n"])


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.lists(st.one_of(_WORDS, st.text(max_size=6)), max_size=60), tests=st.booleans())
def test_no_log_is_too_odd(words: list[str], tests: bool, plan_of: Planner) -> None:
    failure = BuildFailure("tests" if tests else "image", " ".join(words), step=None if tests else 1)
    for language in ("python", "java", "typescript", "cpp"):
        plan = plan_of(language)
        for remedy in remedies(plan, failure, tried=frozenset(), catalogue=Catalogue()):
            BuildPlan.model_validate(remedy.plan.model_dump())
            remedy.plan.recipe.model_validate(remedy.plan.recipe.model_dump())


@pytest.mark.parametrize("language", ["python", "java", "go", "rust", "javascript", "cpp"])
@pytest.mark.parametrize("piece", ["a", "error: ", "npm ERR! ", " as ", "http://x/ ", "\u2018", "(", "\n  x", "requires ", "cannot run "])
def test_a_large_log_takes_no_longer_than_a_build(piece: str, language: Language, plan_of: Planner) -> None:
    started = time.process_time()
    classify(BuildFailure("image", piece * (200_000 // len(piece)), step=0), plan_of(language))
    assert time.process_time() - started < 20


def test_further_is_later_or_for_another_reason(plan_of: Planner) -> None:
    plan = plan_of("c")
    missing = "fatal error: zlib.h: No such file or directory\n"
    more = next(remedies(plan, BuildFailure("image", missing, step=1), tried=frozenset(), catalogue=Catalogue())).plan
    longer = plan.model_copy(update={"dependencies": (*plan.dependencies, *plan.dependencies)})
    cases = [
        (BuildFailure("image", missing, step=1), more, BuildFailure("image", missing, step=1), False),
        (BuildFailure("image", missing, step=1), more, BuildFailure("image", missing.replace("zlib", "expat"), step=1), True),
        (BuildFailure("image", missing, step=0), more, BuildFailure("image", missing, step=1), True),
        (BuildFailure("image", missing, step=1), more, BuildFailure("image", missing, step=0), False),
        (BuildFailure("image", missing, step=1), more, BuildFailure("tests", missing), True),
        (BuildFailure("tests", missing), more, BuildFailure("image", "", step=1), False),
        (BuildFailure("image", missing, step=None), more, BuildFailure("image", missing, step=0), True),
        (BuildFailure("image", missing, step=1), longer, BuildFailure("image", missing, step=2), False),
        (BuildFailure("image", missing, step=1), longer, BuildFailure("image", missing, step=1), False),
        (BuildFailure("image", "exit 1", step=1), more, BuildFailure("image", "exit 2", step=1), False),
    ]
    assert [further(plan, before, changed, after) for before, changed, after, _ in cases] == [expected for *_, expected in cases]
