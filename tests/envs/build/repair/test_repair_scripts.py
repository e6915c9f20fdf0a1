"""What remedies put into scripts does what it says, in real sandboxes."""

from __future__ import annotations

from typing import Any

import pytest

from podgym.envs.build.catalogue import Catalogue
from podgym.envs.build.plan import TOOLS, BuildPlan
from podgym.envs.build.repair import BuildFailure, Remedy, remedies
from podgym.envs.build.repair.edits import with_exports, wrapped
from podgym.envs.build.repair.remedies.flags import with_compiler_flags
from podgym.envs.build.repair.remedies.surroundings import unprivileged
from podgym.sandbox import Step
from podgym.verifiers import TestCommand
from podgym.verifiers.reports import ReportSource

pytestmark = pytest.mark.timeout(300)


def _plan(script: str, *install: str) -> BuildPlan:
    return BuildPlan(
        language="c",
        build_system="make",
        toolchain="12",
        framework="tap",
        base="python:3.11-bookworm",
        install=tuple(Step(run=run, timeout_s=60) for run in install),
        writable=(TOOLS,),
        tests=(TestCommand(framework="program", script=script, report=ReportSource(format="tap"), timeout_s=60),),
    )


def _check(condition: str, to: str = "") -> str:
    return f"{{ if {condition}; then echo 'ok 1 - works'; else echo 'not ok 1 - works'; fi; echo 1..1; }}{to}\n{condition}\n"


def _named(plan: BuildPlan, failure: BuildFailure, name: str) -> Remedy:
    return next(remedy for remedy in remedies(plan, failure, tried=frozenset(), catalogue=Catalogue()) if remedy.name == name)


async def test_stand_ins_for_compilers_beat_a_makefile(workshop: Any) -> None:
    workshop.lay(
        {
            "Makefile": "CFLAGS = -Wall -Werror -Werror=unused-variable\n"
            "main: main.c\n\t$(CC) $(CFLAGS) -DTEXT='\"a  b\"' -o main main.c\n",
            "main.c": '#include <string.h>\nint main(void) { int unused; return strcmp(TEXT, "a  b"); }\n',
        }
    )
    plan = _plan(_check("./main"), "set -eu\nmake\n")
    failure = await workshop.fails(plan)
    assert failure is not None and "Werror" in failure.log
    offered = [remedy.name for remedy in remedies(plan, failure, tried=frozenset(), catalogue=Catalogue())]
    assert offered.index("wrap:Wno-error") < offered.index("env:Wno-error")
    assert await workshop.fails(_named(plan, failure, "env:Wno-error").plan) is not None
    assert await workshop.fails(_named(plan, failure, "wrap:Wno-error").plan) is None
    assert await workshop.fails(with_compiler_flags(plan, "-DMORE=1")) is None


AS_NOBODY = '[ "$(id -u)" != 0 ] && echo y > data/file && echo z > new && [ -w "$HOME" ] && [ "$USER" = nobody ] && git status'
REFUSES = f"if [ -w /proc/1/oom_score_adj ]; then echo 'must not run as root' >&2; exit 1; fi\n{_check(AS_NOBODY, ' > {report}')}"
INIT = "set -eu\ngit init -q .\n"


async def test_where_a_sandbox_knows_root_alone_the_wrapper_changes_nothing_else(workshop: Any) -> None:
    workshop.lay({"data/file": "x\n"})
    plan = _plan(_check('echo y > data/file && echo z > new && [ -w "$HOME" ] && git status', " > {report}"), INIT)
    assert await workshop.fails(unprivileged(plan)) is None
    files = plan.tests[0].model_copy(update={"script": _check("true", " > r.tap"), "report": ReportSource(format="tap", files=("*.tap",))})
    assert await workshop.fails(unprivileged(plan.model_copy(update={"tests": (files,)}))) is None
    printed = plan.tests[0].model_copy(update={"script": _check("true")})
    assert await workshop.fails(unprivileged(plan.model_copy(update={"tests": (printed,)}))) is None


@pytest.mark.docker
@pytest.mark.slow
async def test_in_a_container_tests_that_refuse_root_run_as_nobody(workshop: Any, docker_provider: Any) -> None:
    workshop.lay({"data/file": "x\n"})
    workshop.provider = docker_provider
    plan = _plan(REFUSES, INIT)
    failure = await workshop.fails(plan)
    assert failure is not None and "must not run as root" in failure.log
    remedy = next(remedies(plan, failure, tried=frozenset(), catalogue=Catalogue()))
    assert remedy.name == "script:unprivileged"
    assert await workshop.fails(remedy.plan) is None


async def test_displays_buses_and_databases_are_started_by_what_is_installed_for_them(workshop: Any) -> None:
    stand_in = '#!/bin/sh\nwhile [ "$1" != sh ]; do shift; done\n{}=:99 exec "$@"\n'
    workshop.lay(
        {
            "bin/xvfb-run": stand_in.format("DISPLAY"),
            "bin/dbus-run-session": stand_in.format("DBUS_SESSION_BUS_ADDRESS"),
            "bin/redis-cli": "#!/bin/sh\n[ -f /tmp/redis ] && echo PONG\n",
            "bin/redis-server": "#!/bin/sh\ntouch /tmp/redis\n",
        }
    )
    for wants, log, name in (
        ('[ "$DISPLAY" = :99 ]', "cannot connect to X server", "script:xvfb"),
        ('[ "$DBUS_SESSION_BUS_ADDRESS" = :99 ]', "Failed to connect to the D-Bus daemon", "script:dbus"),
        ('[ "$(redis-cli ping)" = PONG ]', "connect ECONNREFUSED 127.0.0.1:6379", "script:redis"),
    ):
        plan = _plan(f"export PATH=/testbed/bin:$PATH\n{wants} || {{ echo {log!r} >&2; exit 1; }}\n{_check(wants)}")
        failure = await workshop.fails(plan)
        assert failure is not None
        remedy = _named(plan, failure, name)
        assert remedy.plan.packages
        path = remedy.plan.tests[0].model_copy(update={"env": {"PATH": "/testbed/bin:/usr/local/bin:/usr/bin:/bin"}})
        assert await workshop.fails(remedy.plan.model_copy(update={"tests": (path,)})) is None


async def test_a_wrapped_script_keeps_its_targets_its_exit_code_and_its_quotes(workshop: Any) -> None:
    workshop.lay({"a b": "it's\n"})
    inner = 'set -- {targets}\n[ "$(cat "$1")" = "it\'s" ] && echo \'ok 1 - $x `y`\' || echo \'not ok 1\'\necho 1..1\n'
    plan = _plan(wrapped(wrapped(inner, run='sh -eu "$podgym_script"')))
    plan = plan.model_copy(update={"tests": (plan.tests[0].model_copy(update={"targets": ("a b",)}),)})
    assert await workshop.fails(plan) is None
    failing = _plan(wrapped("echo 'not ok 1 - x'; echo 1..1; exit 3\n"))
    failure = await workshop.fails(failing)
    assert failure is not None and "'failed'" in failure.log and "neither is believed" not in failure.log


async def test_git_describe_answers_without_tags_and_git_takes_any_owner(workshop: Any) -> None:
    workshop.lay({"a": "b\n"})
    install = "set -eu\ngit init -q .\ngit describe --tags --long > version\n"
    plan = _plan(_check("grep -q '^v0.0.0' version && git status >/dev/null"), install)
    failure = await workshop.fails(plan)
    assert failure is not None and failure.stage == "image"
    assert await workshop.fails(_named(plan, failure, "wrap:git-describe").plan) is None


async def test_git_takes_a_tree_whoever_owns_it(workshop: Any) -> None:
    workshop.lay({"a": "b\n"})
    # As where the tree is another's: git believes it of a tree that it is told is.
    told = "export GIT_TEST_ASSUME_DIFFERENT_OWNER=1\n"
    plan = _plan(f"{told}{_check('git status >/dev/null')}", f"set -eu\n{told}git init -q .\n", f"set -eu\n{told}git status\n")
    failure = await workshop.fails(plan)
    assert failure is not None and "dubious ownership" in failure.log
    assert await workshop.fails(_named(plan, failure, "env:safe.directory").plan) is None


async def test_submodules_are_fetched_from_where_they_say(workshop: Any) -> None:
    workshop.lay({".gitmodules": '[submodule "x"]\n\tpath = third/x\n\turl = file:///testbed/origin\n', "a": "b\n"})
    make = (
        "set -eu\ngit init -q origin && cd origin && echo 1 > lib.c && git add lib.c && "
        "git -c user.name=a -c user.email=a@b commit -qm x && cd .. && mkdir -p third/x\n"
    )
    plan = _plan(_check("[ -f third/x/lib.c ] && [ ! -e third/x/.git ]"), "set -eu\n[ -f third/x/lib.c ]\n")
    failure = BuildFailure("image", "fatal: submodule third/x is not initialized\n", step=0)
    changed = _named(plan, failure, "submodules").plan
    changed = changed.model_copy(update={"install": (Step(run=make), *changed.install)})
    assert await workshop.fails(changed) is None


async def test_more_files_and_generated_files_that_are_new(workshop: Any) -> None:
    workshop.lay({"configure": "#!/bin/sh\n", "aclocal.m4": "x\n", "configure.ac": "y\n"})
    plan = _plan(_check("[ configure -nt configure.ac ] && [ configure -nt aclocal.m4 ]"), "set -eu\ntouch configure.ac\n")
    failure = BuildFailure("image", "WARNING: 'aclocal-1.15' is missing on your system.\n", step=0)
    touched = _named(plan, failure, "step:touch-generated").plan
    touched = touched.model_copy(update={"install": (plan.install[0], touched.install[0])})
    assert await workshop.fails(touched) is None
    more = _named(_plan(_check('[ "$(ulimit -n)" -ge 1024 ]')), BuildFailure("tests", "EMFILE: too many open files\n"), "script:ulimit")
    assert await workshop.fails(more.plan) is None


async def test_what_a_remedy_sets_is_not_unset_by_the_scripts(workshop: Any) -> None:
    workshop.lay({"a": "b\n"})
    unset = "unset CFLAGS RUSTFLAGS || true\nunset MAVEN_ARGS\n  unset RUSTFLAGS; "
    plan = _plan(f"{unset}{_check(INHERITED)}", f"set -eu\n{unset}{INHERITED}\n")
    assert await workshop.fails(plan) is not None
    changed = with_exports(plan, {"RUSTFLAGS": "--cap-lints=warn", "MAVEN_ARGS": "-q"})
    assert "unset CFLAGS || true\n: \n  : ; " in changed.tests[0].script
    assert await workshop.fails(changed) is None


async def test_podgym_s_own_runners_get_them_by_their_interpreter(workshop: Any) -> None:
    test = "import os, unittest\n\nclass T(unittest.TestCase):\n    def test_it(self):\n        print({!r})\n        assert {}\n"
    workshop.lay(
        {
            "bin/xvfb-run": '#!/bin/sh\nwhile [ ! -x "$1" ]; do shift; done\nDISPLAY=:99 exec "$@"\n',
            "bin/redis-cli": "#!/bin/sh\n[ -f /tmp/redis ]\n",
            "bin/redis-server": "#!/bin/sh\necho started\ntouch /tmp/redis\n",
            "shown/test_shown.py": test.format("cannot connect to X server", "os.environ.get('DISPLAY') == ':99'"),
            "kept/test_kept.py": test.format("connect ECONNREFUSED 127.0.0.1:6379", "os.path.exists('/tmp/redis')"),
        }
    )
    env = {"PATH": "/testbed/bin:/opt/python/bin:/usr/local/bin:/usr/bin:/bin"}
    for target, name in (("shown", "script:xvfb"), ("kept", "script:redis")):
        tests = TestCommand(framework="unittest", targets=(target,), env=env, timeout_s=60)
        plan = _plan("true").model_copy(update={"language": "python", "tests": (tests,)})
        failure = await workshop.fails(plan)
        assert failure is not None and "connect" in failure.log
        assert await workshop.fails(_named(plan, failure, name).plan) is None


async def test_what_is_the_repository_s_own_is_not_taken_from_a_registry(workshop: Any) -> None:
    workshop.lay({"lib/mine/__init__.py": "", "packages/a/package.json": '{"name": "@own/a"}', "bin/npm": '#!/bin/sh\necho "$*" > asked\n'})
    said = _plan(
        _check("grep -q 'has its own: mine' /opt/podgym/install.log && grep -q 'not installed: other-one' /opt/podgym/install.log")
    )
    python = said.model_copy(update={"language": "python"})
    python = python.model_copy(update={"tests": (python.tests[0].model_copy(update={"python": "false"}),)})
    log = "ModuleNotFoundError: No module named 'mine'\nModuleNotFoundError: No module named 'other_one'\n"
    assert await workshop.fails(_named(python, BuildFailure("tests", log), "pip:mine,other-one").plan) is None
    node = _plan(_check("grep -q 'ignore-scripts left-pad$' asked")).model_copy(update={"language": "javascript"})
    log = "Error: Cannot find module '@own/a'\nError: Cannot find module 'left-pad'\n"
    plan = with_exports(_named(node, BuildFailure("tests", log), "npm:@own/a,left-pad").plan, {"PATH": "/testbed/bin:/usr/bin:/bin"})
    assert await workshop.fails(plan) is None


INHERITED = '[ "$RUSTFLAGS" = --cap-lints=warn ] && [ "$MAVEN_ARGS" = -q ] && [ -z "${CFLAGS:-}" ]'


NOT_AS_ROOT = """\
import os, pathlib, unittest

class T(unittest.TestCase):
    def test_user(self):
        if os.access("/proc/1/oom_score_adj", os.W_OK):
            print("must not run as root")
            self.fail()
        pathlib.Path("data/file").write_text("y")
        self.assertEqual(os.environ["USER"], "nobody")
"""


@pytest.mark.docker
@pytest.mark.slow
async def test_in_a_container_an_interpreter_s_tests_that_refuse_root_run_as_nobody(workshop: Any, docker_provider: Any) -> None:
    workshop.lay({"data/file": "x\n", "sub/test_user.py": NOT_AS_ROOT, "sub/data/file": "x\n"})
    workshop.provider = docker_provider
    plan = _plan("true", INIT).model_copy(update={"language": "python", "base": "gcc:12-bookworm"})
    plan = plan.model_copy(update={"tests": (TestCommand(framework="unittest", cwd="sub"),)})
    failure = await workshop.fails(plan)
    assert failure is not None and "must not run as root" in failure.log
    assert await workshop.fails(_named(plan, failure, "script:unprivileged").plan) is None
