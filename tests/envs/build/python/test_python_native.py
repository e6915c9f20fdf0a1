"""Compiled parts: the stand-in that builds them before the tests, and what they are built with."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from podgym.envs.build.languages.python.facts import PythonFacts
from podgym.envs.build.languages.python.native import build_needs, stand_in
from podgym.envs.build.plan import TOOLS, WORKDIR, BuildPlan

RUNNER = "print(b'secret')\n\n\nmain('%s \\n')"
BUILDS = """\
#!/bin/sh
case "$*" in
  *setup.py*)
    echo noise
    echo "built as $SETUPTOOLS_SCM_PRETEND_VERSION, $(ls .podgym-1/run.py 2>/dev/null)" >> {log}
    mkdir -p .podgym-1 && echo forged > .podgym-1/run.py
    exit "$(cat {code})" ;;
  *metadata*) echo 1.2.3 ;;
  *) echo "$*"; [ ! -e "$2" ] || { ls -l "$2" | cut -c1-10; cat "$2"; } ;;
esac
"""


class _Stand:
    def __init__(self, folder: Path) -> None:
        self.log, self.code, self.work = folder / "log", folder / "code", folder / "work"
        self._python, self._tools = folder / "python", folder / "tools"
        self.work.mkdir()
        self.log.touch()
        self.code.write_text("0")
        self._python.write_text(BUILDS.replace("{log}", str(self.log)).replace("{code}", str(self.code)))
        self._python.chmod(0o755)

    def make(self) -> None:
        lines, _ = stand_in("setup.py", "", str(self._python), name="calc", version_from="setuptools_scm")
        script = lines.replace(TOOLS, str(self._tools)).replace(WORKDIR, str(self.work))
        subprocess.run(["sh", "-euc", f"log={self.log}\n{script}"], check=True, capture_output=True, timeout=20)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        runner = self.work / ".podgym-1" / "run.py"
        runner.parent.mkdir(exist_ok=True)
        runner.write_text(RUNNER)
        place = self._tools / "wrap" / "python-rebuilt"
        return subprocess.run([str(place), *words], cwd=self.work, capture_output=True, text=True, timeout=20, check=False)

    def builds(self) -> list[str]:
        return self.log.read_text().splitlines()


@pytest.fixture
def stand(tmp_path: Path) -> _Stand:
    return _Stand(tmp_path)


def test_a_build_has_the_version_and_neither_sees_nor_changes_the_runner(stand: _Stand) -> None:
    stand.make()
    for runner in (".podgym-1/run.py", f"{stand.work}/.podgym-1/run.py"):
        assert stand.run("-B", runner, "-x").stdout == f"-B {runner} -x\n-rw-------\n{RUNNER}\n"
    assert stand.builds() == ["built as 1.2.3, "] * 3


def test_a_build_that_fails_later_ends_the_run_and_one_that_never_worked_does_not(stand: _Stand, tmp_path: Path) -> None:
    stand.make()
    stand.code.write_text("1")
    assert (stand.run("-B", ".podgym-1/run.py").returncode, len(stand.builds())) == (1, 2)
    stand.make()
    assert "not built: the compiled parts" in stand.builds()
    before = len(stand.builds())
    assert stand.run("-B", ".podgym-1/run.py").stdout.startswith("-B .podgym-1/run.py\n")
    assert len(stand.builds()) == before


def test_packages_are_installed_and_questions_answered_without_a_build(stand: _Stand) -> None:
    stand.make()
    for words in (("-m", "pip", "install", "x"), ("-c", "")):
        assert stand.run(*words).stdout == f"{' '.join(words)}\n"
    assert len(stand.builds()) == 1


def test_what_it_is_built_with_leaves_what_it_runs_on_alone() -> None:
    built = ["Cython<3", "numpy==1.21; python_version<'3.10'", "oldest-supported-numpy", "scipy==1.5", "numpy>=1.2", "!"]
    assert build_needs(built, ["scipy>1"]) == ("Cython<3", "numpy", "numpy>=1.2")
    assert build_needs(built, ["numpy", "scipy"]) == ("Cython<3",)


def test_a_suite_that_is_built_first_has_the_time_for_it(
    facts: Callable[..., PythonFacts], plan: Callable[[PythonFacts], BuildPlan]
) -> None:
    setup = "from setuptools import setup\nsetup(name='calc', ext_modules=[])\n"
    assert plan(facts({"setup.py": setup, "calc.c": ""}, source="calc.c")).tests[0].timeout_s == 1800
    assert plan(facts({"setup.py": setup, "calc.c": ""})).tests[0].timeout_s == 300


def test_sources_that_cython_makes_are_made_before_the_project_is_built(
    facts: Callable[..., PythonFacts], plan: Callable[[PythonFacts], BuildPlan]
) -> None:
    setup = (
        "import os\nfrom setuptools import Extension, setup\nPURE = bool(os.environ.get('CALC_NO_EXTENSIONS'))\n"
        "setup(name='calc', ext_modules=[Extension('calc.a', ['calc/a.c']), Extension('calc.b', ['calc/b.cpp', 'calc/c.c'])])\n"
    )
    found = facts({"setup.py": setup, "calc/a.pyx": "", "calc/b.pyx": "", "calc/c.c": "", "calc/c.pyx": ""})
    assert (found.cythonized, found.without_extensions) == (("calc/a.c", "calc/b.cpp"), "CALC_NO_EXTENSIONS")
    before, after = plan(found).dependencies[0].run, plan(found).install[0].run.splitlines()
    assert before.endswith("install_any cython setuptools\n")
    assert after[-2].startswith("( cd ./ && /opt/venv/bin/python -m cython -3 -o calc/a.c calc/a.pyx && ") and "--cplus" in after[-2]
    assert after[-1] == "install_project . || ( export CALC_NO_EXTENSIONS=1; install_project . )"
    compiled = facts({"setup.py": setup, "calc/a.pyx": "", "calc/b.pyx": ""}, source="calc/a.pyx")
    assert "-m cython -3 -o calc/a.c calc/a.pyx && " in plan(compiled).install[0].run.rpartition("install_project .")[2]
