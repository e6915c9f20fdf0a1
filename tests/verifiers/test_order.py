"""Test files from the last to the first: what needs an order shows."""

from __future__ import annotations

import pytest

from podgym.verifiers import ReportSource, TestCommand, run_tests
from podgym.verifiers.archive import Write

FIRST = "import os, unittest\n\nclass A(unittest.TestCase):\n    def test_leaves(self):\n        os.environ['LEFT'] = '1'\n"
SECOND = "import os, unittest\n\nclass B(unittest.TestCase):\n    def test_finds(self):\n        assert os.environ.get('LEFT')\n"


@pytest.mark.parametrize("framework", ["unittest", "pytest"])
async def test_backwards(provider, spec, framework: str) -> None:
    writes = (Write("test_a.py", FIRST.encode()), Write("test_b.py", SECOND.encode()))
    targets = ("test_a.py", "test_b.py")
    command = TestCommand(framework=framework, targets=targets, timeout_s=60)
    for reverse in (False, True):
        sandbox = await provider.create(spec)
        report = await run_tests(sandbox, command.model_copy(update={"reverse": reverse}), writes=writes)
        await sandbox.close()
        assert (report.outcomes["test_b.py::B::test_finds"] == "passed") is not reverse, report
        assert next(iter(report.outcomes)).startswith("test_b.py" if reverse else "test_a.py")


def test_a_program_takes_no_order() -> None:
    with pytest.raises(ValueError, match="order"):
        TestCommand(framework="program", script="x", report=ReportSource(format="tap"), reverse=True)
