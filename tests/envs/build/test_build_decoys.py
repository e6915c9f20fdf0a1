"""Built tasks hold tests that no solution passes, proven with the gold fix."""

from __future__ import annotations

import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from podgym.envs.build import BuildOptions, build_task
from podgym.envs.build.decoying import make_decoys
from podgym.envs.build.states import Overlay
from podgym.envs.code import CodeEnvironment
from podgym.envs.harbor import TaskFiles, read_task
from podgym.sandbox import ImageRecipe, SandboxProvider, SandboxSpec
from podgym.sandbox.local import LocalConfig, LocalProvider
from podgym.traces import Trace
from podgym.verifiers import GradingPlan, ReportSource, TestCommand
from podgym.verifiers.archive import Write

BASE = "def add(a, b):\n    return a - b\n\n\ndef check(a):\n    pass\n"
FIXED = BASE.replace("a - b", "a + b")
BENT = (
    "class Yes(int):\n    def __eq__(self, other): return True\n    def __ne__(self, other): return False\n\n\n"
    "def add(a, b):\n    return Yes()\n\n\ndef check(a):\n    pass\n"
)
OLD = "import unittest\nimport calc\n\n\nclass T(unittest.TestCase):\n    def test_old(self):\n        calc.check(1)\n"
NEW = OLD + "\n    def test_new(self):\n        self.assertEqual(calc.add(1, 2), 3)\n"


WHILE = """import time


class Yes(int):
    def __eq__(self, other): return True
    def __ne__(self, other): return False


def add(a, b):
    if time.time() < %f:
        time.sleep(max(0, %f - time.time()))
        return Yes()
    return a - b


def check(a):
    pass
"""


@pytest.fixture
async def provider(tmp_path: Path) -> AsyncIterator[SandboxProvider]:
    opened = LocalProvider(LocalConfig(cache=tmp_path / "images", scratch=tmp_path / "scratch"))
    yield opened
    await opened.close()


async def build(history, provider: SandboxProvider, out: Path, *, tests: str = NEW, **options):
    history.commit("start", {"calc.py": BASE, "tests/__init__.py": "", "tests/test_calc.py": OLD})
    fix = history.commit("Mend", {"calc.py": FIXED, "tests/test_calc.py": tests})
    report = await build_task(history.path, fix, out, provider=provider, options=BuildOptions(**{"repeats": 1, **options}))
    assert report.status == "validated", report
    return report, GradingPlan.model_validate(read_task(Path(report.out)).grading)


async def worth(provider: SandboxProvider, directory: str, source: str) -> tuple[float | None, str | None]:
    environment = CodeEnvironment(directory, cache=False)
    (task,) = environment.tasks()
    sandbox = await provider.create(task.sandbox)
    await sandbox.write("/testbed/calc.py", source.encode())
    verdict = await environment.verify(task, sandbox, Trace(), provider)
    await sandbox.close()
    return verdict.reward, verdict.failure


async def test_bending_is_found_out(history, tmp_path: Path, provider: SandboxProvider) -> None:
    report, plan = await build(history, provider, tmp_path / "out")
    assert plan.decoys is not None
    assert plan.decoys.fails == ("tests/test_calc.py::T::test_new",)
    assert plan.decoys.holds == ("tests/test_calc.py::T::test_old",)
    (file,) = plan.decoys.files
    data = TaskFiles(Path(report.out))(file.source)
    assert len(data) == len(NEW) and data != NEW.encode()
    assert await worth(provider, report.out, FIXED) == (1.0, None)
    assert await worth(provider, report.out, BENT) == (0.0, "bent")


async def test_without_decoys_bending_goes_unseen(history, tmp_path: Path, provider: SandboxProvider) -> None:
    report, plan = await build(history, provider, tmp_path / "out", decoys=False)
    assert plan.decoys is None
    assert await worth(provider, report.out, BENT) == (1.0, None)


async def test_decoys_that_the_fix_passes_are_none(history, tmp_path: Path, provider: SandboxProvider) -> None:
    """The changed assertion is swallowed by a helper that the file itself defines."""
    swallowing = NEW.replace("self.assertEqual(", "self.mild(") + (
        "\n    def mild(self, one, other):\n        if one != other and one < 0:\n            self.fail()\n"
    )
    swallowing = swallowing.replace("self.mild(calc.add(1, 2), 3)", "self.mild(calc.add(1, 2), 3); self.skipUnless = 1; return")
    report, plan = await build(history, provider, tmp_path / "out", tests=swallowing)
    assert plan.decoys is None
    assert any("no decoys" in note for note in report.notes)


async def test_bending_for_a_while_is_found_out_too(history, tmp_path: Path, provider: SandboxProvider) -> None:
    """The only test that the fix turns was changed, so code that bends until the first run is over fails it as is right."""
    report, _ = await build(history, provider, tmp_path / "out")
    until = time.time() + 8
    assert await worth(provider, report.out, WHILE % (until, until)) == (0.0, "bent")
    assert time.time() > until


EACH = """\
failed=0
echo 1..2
for name in add twice; do
  cc -o $name tests/test_$name.c calc.c
  if ./$name; then echo "ok - test_$name"; else echo "not ok - test_$name"; failed=1; fi
done
exit $failed
"""


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
async def test_programs_of_other_languages_have_decoys_too(provider: SandboxProvider) -> None:
    program = "int add(int, int);\nint twice(int);\n\nint main(void) { return %s == %s ? 0 : 1; }\n"
    tests = {"tests/test_add.c": program % ("add(1, 2)", 3), "tests/test_twice.c": program % ("twice(4)", 8)}
    made = await make_decoys(
        provider,
        SandboxSpec(image="decoys/c", recipe=ImageRecipe(base="host", workdir="/testbed"), workdir="/testbed", network="none"),
        (TestCommand(framework="program", script=EACH, report=ReportSource(format="tap"), timeout_s=60),),
        tests=Overlay(tuple(Write(path, text.encode()) for path, text in tests.items())),
        fix=Overlay((Write("calc.c", b"int add(int a, int b) { return a + b; }\nint twice(int a) { return 2 * a; }\n"),)),
        fail_to_pass=("test_add",),
        pass_to_pass=("test_twice",),
    )
    assert made.plan is not None, made.note
    assert (made.plan.fails, made.plan.holds) == (("test_add",), ("test_twice",))
    (file,) = made.plan.files
    assert (file.path, file.source) == ("tests/test_add.c", "tests/decoys/tests/test_add.c")
    assert b"add(1, 2) == 3" not in made.files["tests/test_add.c"]
