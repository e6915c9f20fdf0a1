"""Examples in docstrings that a project runs as tests: they are split from the fix by syntax, and an agent's own ones decide nothing."""

from __future__ import annotations

from pathlib import Path

from podgym.envs.build import BuildOptions, build_task, read_plan
from podgym.envs.build.languages.python.detect import runs_examples
from podgym.envs.harbor import TaskFiles, read_task
from podgym.sandbox.local import LocalConfig, LocalProvider
from podgym.verifiers import BaseTree, Change, GradingPlan, grade

PYTEST = {"pytest.ini": "[pytest]\naddopts = --doctest-modules\n", "setup.py": "from setuptools import setup\nsetup(name='calc')\n"}
SOURCE = '''\
def add(a, b):
    """Sum.

    >>> add({example}
    """
    return a {sign} b


def double(a):
    """Twice.

    >>> double(2)
    4
    """
    return a * 2
'''
BROKEN = SOURCE.format(sign="-", example="1, 0)\n    1")
FIXED = SOURCE.format(sign="+", example="1, 2)\n    3")


async def test_a_fix_whose_only_tests_are_examples(history, tmp_path: Path) -> None:
    history.commit("start", {**PYTEST, "calc.py": BROKEN})
    fix = history.commit(
        "Adding subtracts", {"calc.py": FIXED, "more.py": "def one():\n    '''\n    >>> one()\n    1\n    '''\n    return 1\n"}
    )
    provider = LocalProvider(LocalConfig(cache=tmp_path / "images", scratch=tmp_path / "scratch"))
    try:
        report = await build_task(history.path, fix, tmp_path / "out", provider=provider, options=BuildOptions(repeats=1))
        assert report.status == "validated", report
        assert report.fail_to_pass == ("calc.py::calc.add",) and report.pass_to_pass == ("calc.py::calc.double",)
        assert any("1 test(s) inside of sources that the fix adds" in note for note in report.notes)
        task = read_task(Path(report.out))
        plan = GradingPlan.model_validate(task.grading)
        base = BaseTree.from_tar(Path(report.out) / plan.base)

        async def worth(text: str | None) -> float | None:
            change = Change.of({} if text is None else {"calc.py": text.encode()}, base=base)
            verdict = await grade(change, plan, spec=task.sandbox, provider=provider, files=TaskFiles(Path(report.out)))
            return verdict.reward

        assert await worth(FIXED) == 1.0
        assert await worth(None) == 0.0
        assert await worth("def add(a, b): return sum((a, b))\n" + FIXED.replace("add", "plus")) == 1.0
        assert await worth(FIXED.replace("add", "plus")) == 0.0, "nothing to write the example to"
        assert await worth(FIXED.replace('    """Sum.\n\n    >>> add(1, 2)\n    3\n    """\n', "")) == 1.0, (
            "its own docstring is its business"
        )
        assert await worth(BROKEN.replace("1, 0)\n    1", "1, 2)\n    -1")) == 0.0, "an example that suits the bug"
        assert await worth(FIXED.replace("a * 2", "a * 3").replace("    4\n", "    6\n")) == 0.0, (
            "an example of the base that suits a new bug"
        )
    finally:
        await provider.close()


def test_examples_are_nobodys_tests_where_they_are_not_run(history) -> None:
    history.commit("start", {"setup.py": PYTEST["setup.py"], "calc.py": BROKEN, "test_calc.py": "import calc\n"})
    fix = history.commit("Adding subtracts", {"calc.py": FIXED, "test_calc.py": "import calc\ndef test(): assert calc.add(1, 2) == 3\n"})
    prepared = read_plan(history.path, fix, issue=None, options=BuildOptions())
    assert not prepared.inline and not prepared.runs_examples


def test_where_examples_are_run() -> None:
    def told(name: str, text: str) -> bool:
        return runs_examples([name], lambda path: text if path == name else None)

    assert told("pytest.ini", "[pytest]\naddopts = -ra --doctest-modules\n")
    assert told("pyproject.toml", '[tool.pytest.ini_options]\naddopts = ["--doctest-modules"]\n')
    assert told("pkg/pyproject.toml", '[tool.pytest.ini_options]\naddopts = "--xdoctest"\n')
    assert told("setup.cfg", "[tool:pytest]\ndoctest_plus = enabled\n")
    assert not told("pytest.ini", "[pytest]\naddopts = --ignore=--doctest-modules.py\n")
    assert not told("tox.ini", "[testenv]\ncommands = pytest --doctest-modules\n")
