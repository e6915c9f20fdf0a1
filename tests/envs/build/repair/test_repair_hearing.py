"""Reports whose messages are nowhere else are heard, by whatever way a test program writes them."""

from __future__ import annotations

from typing import Any

import pytest

from podgym.envs.build.plan import BuildPlan
from podgym.envs.build.repair import BuildFailure, classify
from podgym.envs.build.repair.hearing import _condensed, failing_tests_say
from podgym.envs.build.states import Overlay
from podgym.sandbox import Step
from podgym.verifiers import TestCommand
from podgym.verifiers.archive import Write
from podgym.verifiers.reports import ReportFormat, ReportSource

pytestmark = pytest.mark.timeout(120)

CASE = "<testcase classname='a.B' name='{}'>{}</testcase>"
FAILURE = "<failure message='x'>java.io.IOException: Cannot run program &quot;dot&quot;: error=2, No such file or directory</failure>"
PROPERTY = '<property name="a" value="b"/>'
PROPERTIES = f"<properties>{PROPERTY * 10_000}</properties><system-out>{'x' * 200_000}</system-out>"
JEST = (
    '{"numTotalTests":1,"numFailedTests":1,"numPassedTests":0,"success":false,"testResults":[{"name":"/testbed/a.test.js","status":"failed",'
    '"message":"","assertionResults":[{"fullName":"x","title":"x","ancestorTitles":[],"status":"failed",'
    '"failureMessages":["Error: it failed\\n    at spawn dot ENOENT"]}]}]}'
)


def junit(passing: int) -> str:
    cases = CASE.format("works", FAILURE) + "".join(CASE.format(f"other{number}", "") for number in range(passing))
    return f"<testsuite tests='{1 + passing}' failures='1'>{cases}</testsuite>"


@pytest.mark.parametrize(
    ("text", "format", "files", "write", "heard"),
    [
        (junit(0), "junit", ("out/**/TEST-*.xml",), "mkdir -p out/sub/dir && cp said out/sub/dir/TEST-a.xml", True),
        (junit(0), "junit", ("out/TEST-*.xml",), "mkdir -p out && cp said out/TEST-a.xml", True),
        (junit(0), "junit", (), "cp said {report}", True),
        (junit(0), "junit", (), "mkdir {report} && cp said {report}/a.xml", True),
        (junit(0), "junit", (), "cat said", True),
        (JEST, "jest-json", (), "cp said {report}", True),
        (junit(0).replace("</testsuite>", f"{PROPERTIES}</testsuite>"), "junit", (), "cp said {report}", True),
        (junit(1), "junit", (), "cp said {report}", False),
        ("<no", "junit", (), "cp said {report}", False),
    ],
)
async def test_reports_are_heard(
    workshop: Any, *, text: str, format: ReportFormat, files: tuple[str, ...], write: str, heard: bool
) -> None:
    workshop.lay({"a": "b\n"})
    command = TestCommand(framework="program", script=f"{write}\nexit 1\n", report=ReportSource(format=format, files=files), timeout_s=60)
    plan = BuildPlan(
        language="java",
        build_system="make",
        toolchain="17",
        framework="x",
        base="python:3.11-bookworm",
        install=(Step(run="true"),),
        tests=(command,),
    )
    overlay = Overlay((Write("said", text.encode(), 0o644),))
    said = await failing_tests_say(workshop.provider, workshop.spec(plan), plan.tests, overlay)
    causes = {(cause.kind, cause.subject) for cause in classify(BuildFailure("tests", said), plan)}
    assert ("missing_program", "dot") in causes if heard else not said


@pytest.mark.timeout(60)
def test_what_tests_print_is_left_out_in_one_pass() -> None:
    log = "<property name='a'>\n<failure>one</failure><system-out>x<system-err>y</system-out>\n<system-err>z</system-err>two\n"
    assert _condensed(log).split() == ["<failure>one</failure>", "two"]
    assert _condensed("said\n" + "<system-out>" * 300_000 + "<property " * 100_000).startswith("said") is False  # only its end is kept
