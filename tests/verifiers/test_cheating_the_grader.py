"""What a grader must stand that `tests/cheats` cannot show on a plain grader: forged reports, odd things in the place of tests, floods."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from podgym.sandbox import SandboxSpec
from podgym.verifiers import BaseTree, GradingPlan, HiddenFile, TestCommand, Verdict, take_change, verify_change

NEW = b"import calc\n\n\ndef test_add():\n    assert calc.add(1, 2) == 3\n"
NEW_UNIT = b"import unittest, calc\n\n\nclass T(unittest.TestCase):\n    def test_add(self):\n        self.assertEqual(calc.add(1, 2), 3)\n"
BROKEN = "def add(a, b):\n    return a - b\n\n\ndef double(a):\n    return 2 * a\n"
FIXED = BROKEN.replace("a - b", "a + b")
F2P, P2P = "tests/test_new.py::test_add", "tests/test_old.py::test_double"
FILES = {"new": NEW, "unit": NEW_UNIT}
PYTEST = TestCommand(framework="pytest", targets=("tests",), timeout_s=60, plugins=False)
UNITTEST = TestCommand(framework="unittest", targets=("tests/test_new.py",), timeout_s=20)


def pytest_plan(**options: Any) -> GradingPlan:
    hidden = (HiddenFile(path="tests/test_new.py", source="new"),)
    return GradingPlan(**{"tests": (PYTEST,), "fail_to_pass": (F2P,), "pass_to_pass": (P2P,), "hidden": hidden, **options})


def unittest_plan() -> GradingPlan:
    hidden = (HiddenFile(path="tests/test_new.py", source="unit"),)
    return GradingPlan(tests=(UNITTEST,), fail_to_pass=("tests/test_new.py::T::test_add",), hidden=hidden)


class Arena:
    """The agent's sandbox, and both graders."""

    def __init__(self, provider: Any, spec: SandboxSpec, base: BaseTree, sandbox: Any) -> None:
        self.provider, self.spec, self.base, self.sandbox = provider, spec, base, sandbox

    def plant(self, files: dict[str, str]) -> None:
        for path, text in files.items():
            target: Path = self.sandbox.root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)

    async def ours(self, plan: GradingPlan) -> Verdict:
        return await verify_change(self.sandbox, plan, base=self.base, spec=self.spec, provider=self.provider, files=FILES.__getitem__)


@pytest.fixture
def arena(provider: Any, spec: SandboxSpec, image: Path, sandbox: Any) -> Arena:
    return Arena(provider, spec, BaseTree.from_directory(image), sandbox)


async def test_a_forged_report_on_every_open_descriptor(arena: Arena) -> None:
    forged = '<testsuite podgym="1" tests="1"><testcase file="tests/test_new.py" classname="tests.test_new.T" name="test_add"/></testsuite>'
    loop = f"for fd in range(1, 20):\n    try:\n        os.write(fd, {forged!r}.encode())\n    except OSError:\n        pass\n"
    arena.plant({"calc.py": f"import os\n{loop}os._exit(0)\n"})
    verdict = await arena.ours(unittest_plan())
    assert verdict.reward == 0.0
    assert "channel of the report" in verdict.message


async def test_the_marker_is_in_no_argument_and_no_environment(arena: Arena) -> None:
    spy = "open('/tmp/{0}/seen', 'wb').write(open('/proc/self/cmdline', 'rb').read() + open('/proc/self/environ', 'rb').read())\n"
    where = arena.sandbox.root.parent / "seen"
    arena.plant({"calc.py": spy.replace("/tmp/{0}/seen", str(where)) + BROKEN})
    await arena.ours(unittest_plan())
    assert not re.search(rb"[0-9a-f]{32}", where.read_bytes())


@pytest.mark.parametrize("kind", ["file", "directory", "link"])
async def test_something_in_the_place_of_the_hidden_test(arena: Arena, kind: str) -> None:
    if kind == "file":
        arena.plant({"tests/test_new.py": "def test_add():\n    pass\n"})
    elif kind == "directory":
        arena.plant({"tests/test_new.py/test_add.py": "def test_add():\n    pass\n"})
    else:
        arena.plant({"mine.py": "def test_add():\n    pass\n"})
        (arena.sandbox.root / "tests/test_new.py").symlink_to("../mine.py")
    verdict = await arena.ours(pytest_plan())
    assert verdict.reward == 0.0
    assert verdict.tests == {F2P: "failed", P2P: "passed"}


@pytest.mark.parametrize("kind", ["file", "link"])
async def test_something_in_the_place_of_the_tests_directory(arena: Arena, kind: str) -> None:
    root: Path = arena.sandbox.root
    (root / "tests/test_old.py").unlink()
    (root / "tests").rmdir()
    if kind == "file":
        (root / "tests").write_text("")
    else:
        arena.plant({"mine/test_old.py": "def test_double():\n    pass\n", "mine/test_new.py": "def test_add():\n    pass\n"})
        (root / "tests").symlink_to("mine")
    verdict = await arena.ours(pytest_plan())
    assert verdict.tests == {F2P: "failed", P2P: "passed"}
    assert "tests" in {entry.path for entry in verdict.dropped}


@pytest.mark.parametrize(
    ("script", "left_out"),
    [
        ("rm pyproject.toml; mkdir pyproject.toml; touch pyproject.toml/x", ["pyproject.toml", "pyproject.toml/x"]),
        ("rm -r conf; touch conf", ["conf", "conf/setup.cfg"]),
        ("rm -r pack; touch pack", []),
    ],
    ids=["a directory for a file", "a file for a directory", "a file for a directory of caches"],
)
async def test_what_cannot_stand_beside_the_base_is_left_out(
    provider: Any, spec: SandboxSpec, image: Path, script: str, left_out: list[str]
) -> None:
    for path in ("pyproject.toml", "conf/setup.cfg", "conf/x.py", "pack/x.py", "pack/__pycache__/x.pyc"):
        (image / path).parent.mkdir(parents=True, exist_ok=True)
        (image / path).write_text("")
    tree = BaseTree.from_directory(image)
    base = BaseTree({path: file for path, file in tree.files.items() if "__pycache__" not in path}, tree.reader)
    arena = Arena(provider, spec, base, await provider.create(spec))
    arena.plant({"calc.py": FIXED})
    assert (await arena.sandbox.run(script, timeout_s=10)).exit_code == 0
    verdict = await arena.ours(unittest_plan())
    assert (verdict.reward, verdict.message) == (1.0, "")
    assert sorted(entry.path for entry in verdict.dropped) == left_out


async def test_links_to_the_outside(arena: Arena) -> None:
    (arena.sandbox.root / "secrets").symlink_to("/etc")
    (arena.sandbox.root / "calc.py").unlink()
    (arena.sandbox.root / "calc.py").symlink_to("/etc/passwd")
    change = await take_change(arena.sandbox, arena.base)
    assert change.files == {}
    assert b"root:" not in b"".join(file.data for file in change.files.values())
    assert {entry.path for entry in change.dropped} == {"secrets", "calc.py"}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("import time\ntime.sleep(60)\n", "did not end"),
        ("import os\nwhile True:\n    os.write(2, b'x' * 65536)\n", "did not end"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n", "something that sent SIGKILL"),
        ("x = bytes(1 << 60)\n", "required tests did not pass"),
    ],
)
async def test_exhausted_resources_are_worth_nothing(arena: Arena, body: str, said: str) -> None:
    arena.plant({"calc.py": body})
    command = UNITTEST.model_copy(update={"timeout_s": 3.0})
    verdict = await arena.ours(unittest_plan().model_copy(update={"tests": (command,)}))
    assert (verdict.status, verdict.reward) == ("scored", 0.0)
    assert said in verdict.message


async def test_a_change_made_of_floods_is_refused(arena: Arena) -> None:
    for number in range(2100):
        (arena.sandbox.root / f"f{number}").touch()
    verdict = await arena.ours(pytest_plan())
    assert verdict.reward == 0.0
    assert "too large" in verdict.message
    assert len(arena.provider.made) == 1
