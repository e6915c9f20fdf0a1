"""Broken plans, mended by recorded turns of a model in real sandboxes, and then built from scratch."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from podgym.envs.build.catalogue import Catalogue
from podgym.envs.build.plan import TOOLS, BuildPlan
from podgym.envs.build.repair import BuildFailure
from podgym.envs.build.repair.model import ModelBudget, Reply, ScriptedModel, ToolCall, last_good, mend, turn
from podgym.sandbox import Step
from podgym.verifiers import TestCommand
from podgym.verifiers.reports import ReportSource

pytestmark = pytest.mark.timeout(300)

TAP = ReportSource(format="tap")
OK = "echo 'ok 1 - works'; echo 1..1\n"


@dataclass(frozen=True)
class Broken:
    name: str
    files: Mapping[str, str]
    stage: str
    says: str
    """What the log of the failure must hold."""
    turns: Sequence[Reply]
    dependencies: tuple[str, ...] = ()
    install: tuple[str, ...] = ()
    script: str = OK
    shows: str = ""
    """What a tool must have answered the model."""
    env: Mapping[str, str] = field(default_factory=dict)


CASES = (
    Broken(
        "a directory that nothing makes",
        {"data.txt": "x\n"},
        "image",
        "out/data.txt",
        (
            turn("bash", command="ls -a; cat data.txt"),
            turn("bash", command="mkdir -p out && cp data.txt out/data.txt && ls out"),
            turn("finish", because="out/ is not made", steps=[{"at": 0, "place": "before", "run": "mkdir -p out"}]),
        ),
        install=("set -eu\ncp data.txt out/data.txt\n",),
        script="[ -f out/data.txt ] && echo 'ok 1 - works' || echo 'not ok 1 - works'; echo 1..1\n",
        shows="data.txt",
    ),
    Broken(
        "a script that cannot be run",
        {"configure": "echo 'int answer = 42;' > answer.h\n", "main.c": '#include "answer.h"\nint main(void) { return answer != 42; }\n'},
        "image",
        "ermission denied",
        (
            turn("bash", command="ls -l configure"),
            turn("finish", because="configure is not executable", steps=[{"at": 0, "place": "instead", "run": "sh ./configure"}]),
        ),
        install=("set -eu\n./configure\n", "set -eu\ngcc -o main main.c\n"),
        script="if ./main; then echo 'ok 1 - works'; else echo 'not ok 1 - works'; fi; echo 1..1\n",
        shows="-rw-r--r--",
    ),
    Broken(
        "a variable that the build wants",
        {"build.sh": ': "${RELEASE_NAME:?must be set}"\necho "$RELEASE_NAME" > built\n'},
        "image",
        "must be set",
        (
            turn("bash", command="cat build.sh"),
            turn("bash", command="RELEASE_NAME=dev sh build.sh && cat built"),
            turn("finish", because="RELEASE_NAME is not set", env={"RELEASE_NAME": "dev"}),
        ),
        install=("set -eu\nsh build.sh\n",),
        script='if [ "$(cat built)" = "$RELEASE_NAME" ]; then echo "ok 1 - works"; else echo "not ok 1 - works"; fi; echo 1..1\n',
        shows="dev",
    ),
    Broken(
        "a header that is generated",
        {
            "Makefile": "main: main.c version.h\n\tgcc -o main main.c\n",
            "gen.py": "open('version.h', 'w').write('#define V 3\\n')\n",
            "main.c": '#include "version.h"\nint main(void) { return V - 3; }\n',
        },
        "image",
        "version.h",
        (
            turn("bash", command="cat Makefile gen.py; make 2>&1 | tail -n 3"),
            turn("bash", command="python3 gen.py && make"),
            turn("finish", because="gen.py makes version.h", steps=[{"at": 1, "place": "before", "run": "python3 gen.py"}]),
        ),
        dependencies=(f"set -eu\nmkdir -p {TOOLS}\n",),
        install=("set -eu\nmake\n",),
        script="if ./main; then echo 'ok 1 - works'; else echo 'not ok 1 - works'; fi; echo 1..1\n",
        shows="No rule to make target",
    ),
    Broken(
        "tests that are run from the wrong place",
        {"suite/run.sh": ". ./helper.sh\nhelp_me\n", "suite/helper.sh": "help_me() { echo 'ok 1 - works'; echo 1..1; }\n"},
        "tests",
        "helper.sh",
        (
            turn("bash", command="sh suite/run.sh; cd suite && sh run.sh"),
            turn("bash", command="pwd"),
            turn("finish", because="the suite runs in its own directory", test_script="cd suite && sh run.sh > {report}"),
        ),
        script="sh suite/run.sh > {report}\n",
        shows="/testbed/suite",
    ),
    Broken(
        "a tool that an earlier step has to install",
        {"grammar.txt": "a b c\n"},
        "image",
        "lemonade",
        (
            turn("bash", command="command -v lemonade || echo nowhere"),
            turn(
                "finish",
                because="lemonade is a wrapper around tr",
                steps=[
                    {
                        "at": 0,
                        "place": "after",
                        "run": f"mkdir -p {TOOLS}/bin\nprintf '%s\\n' '#!/bin/sh' 'tr \" \" \"\\n\" < \"$1\"' > {TOOLS}/bin/lemonade\n"
                        f"chmod 755 {TOOLS}/bin/lemonade\n",
                    }
                ],
                env={"LEMONADE": f"{TOOLS}/bin/lemonade"},
            ),
        ),
        dependencies=(f"set -eu\nmkdir -p {TOOLS}\n",),
        install=('set -eu\n"${LEMONADE:-lemonade}" grammar.txt > parsed.txt\n',),
        script="if [ \"$(wc -l < parsed.txt)\" -ge 3 ]; then echo 'ok 1 - works'; else echo 'not ok 1 - works'; fi; echo 1..1\n",
        shows="nowhere",
    ),
    Broken(
        "a file that has to be edited in the sandbox to see what is wrong, and a model that errs",
        {"setup.sh": "set -u\necho $HOME_OF_TOOLS > tools\n"},
        "image",
        "HOME_OF_TOOLS",
        (
            Reply("Let me think about it.", prompt_tokens=5),
            turn("python", code="1"),
            Reply("", (ToolCall("a", "bash", "{not json"), ToolCall("b", "bash", '{"command": 3}'))),
            turn("str_replace", path="setup.sh", old="nowhere", new="x"),
            turn("str_replace", path="setup.sh", old="set -u\n", new="set -ux\n"),
            turn("bash", command="cat setup.sh; HOME_OF_TOOLS=/opt sh setup.sh"),
            turn("finish"),
            turn("finish", steps=[{"at": 9, "run": "x"}]),
            turn("finish", packages=["not a package"]),
            turn("finish", because="HOME_OF_TOOLS", env={"HOME_OF_TOOLS": "/opt"}),
        ),
        install=("set -eu\nsh setup.sh\n",),
        script="if [ \"$(cat tools)\" = /opt ]; then echo 'ok 1 - works'; else echo 'not ok 1 - works'; fi; echo 1..1\n",
        shows="set -ux",
    ),
)


def _plan(case: Broken) -> BuildPlan:
    return BuildPlan(
        language="c",
        build_system="make",
        toolchain="12",
        framework="tap",
        base="python:3.11-bookworm",
        dependencies=tuple(Step(run=run, timeout_s=60) for run in case.dependencies),
        install=tuple(Step(run=run, timeout_s=60) for run in case.install),
        writable=(TOOLS,),
        tests=(TestCommand(framework="program", script=case.script, report=TAP, timeout_s=60, env=case.env),),
    )


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
async def test_a_broken_plan_is_mended_and_holds_from_scratch(case: Broken, workshop: Any) -> None:
    workshop.lay(case.files)
    plan = _plan(case)
    failure = await workshop.fails(plan)
    assert failure is not None
    assert failure.stage == case.stage
    assert case.says in failure.log
    model = ScriptedModel(case.turns)
    mended = await mend(plan, failure, spec=workshop.spec(plan), provider=workshop.provider, model=model, catalogue=Catalogue())
    assert mended.plan is not None, mended.because
    assert mended.calls == len(case.turns)
    assert mended.tokens > 0
    answers = "\n".join(str(message["content"]) for message in mended.messages if message["role"] == "tool")
    assert case.shows in answers
    asked = str(model.seen[0][1]["content"])
    assert case.says in asked and plan.tests[0].script in asked
    assert await workshop.fails(mended.plan) is None
    assert mended.plan.notes[-1].startswith("A model changed the plan: ")


def test_the_sandbox_is_that_before_the_failing_step() -> None:
    case = Broken("x", {}, "image", "", (), dependencies=("a", "b"), install=("c", "d"))
    plan = _plan(case).model_copy(update={"packages": ("jq",)})

    def runs(failure: BuildFailure) -> tuple[list[str], list[str], tuple[str, ...]]:
        recipe = last_good(plan, failure)
        return [step.run for step in recipe.before], [step.run for step in recipe.after], recipe.packages

    assert runs(BuildFailure("image", "", step=1)) == (["a"], [], ("jq",))
    assert runs(BuildFailure("image", "", step=3)) == (["a", "b"], ["c"], ("jq",))
    assert runs(BuildFailure("image", "", step=None)) == ([], [], ())
    assert runs(BuildFailure("tests", "")) == (["a", "b"], ["c", "d"], ("jq",))


class _Slow:
    async def complete(self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]]) -> Reply:
        await asyncio.sleep(60)
        return Reply()


@pytest.mark.parametrize(
    ("budget", "turns", "says"),
    [
        (ModelBudget(calls=2), [turn("bash", command="true")] * 5, "The 2 calls are spent."),
        (ModelBudget(tokens=250), [turn("bash", command="true")] * 5, "The 250 tokens are spent."),
        (ModelBudget(seconds=1), None, "The 1 seconds are spent."),
        (ModelBudget(command_s=1), [turn("bash", command="sleep 30")], "The recording has no more turns."),
    ],
)
async def test_a_budget_holds(budget: ModelBudget, turns: list[Reply] | None, says: str, workshop: Any) -> None:
    workshop.lay({"a": "b"})
    plan = _plan(Broken("x", {}, "image", "", (), install=("false",)))
    model = _Slow() if turns is None else ScriptedModel(turns)
    mended = await mend(
        plan,
        BuildFailure("image", "it failed", step=0),
        spec=workshop.spec(plan),
        provider=workshop.provider,
        model=model,
        catalogue=Catalogue(),
        budget=budget,
    )
    assert mended.plan is None
    assert mended.because == says
    assert mended.seconds < 30
    assert mended.calls <= budget.calls


async def test_a_sandbox_that_cannot_be_had_is_no_traceback(workshop: Any) -> None:
    workshop.lay({"a": "b"})
    plan = _plan(Broken("x", {}, "image", "", (), install=("false", "true")))
    failure = BuildFailure("image", "", step=1)
    mended = await mend(plan, failure, spec=workshop.spec(plan), provider=workshop.provider, model=ScriptedModel([]), catalogue=Catalogue())
    assert mended.plan is None and mended.calls == 0
    assert mended.because.startswith("The sandbox failed: ")
