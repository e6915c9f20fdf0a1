"""The plan's shell, run by the machine's own go in other places than an image has."""

import os
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from podgym.envs.build.catalogue import Catalogue
from podgym.envs.build.ci import CiFacts
from podgym.envs.build.languages.contract import PlanRequest
from podgym.envs.build.languages.go import GO
from podgym.envs.build.plan import TOOLS, WORKDIR, BuildPlan
from podgym.envs.build.tree import Tree
from podgym.verifiers.reports import ReportFile, parse_report
from podgym.verifiers.verdict import TestOutcome

pytestmark = [pytest.mark.skipif(shutil.which("go") is None, reason="go is not installed"), pytest.mark.timeout(300)]

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "podgym" / "tests" / "go-build"
"""Kept, because the standard library takes a minute to compile."""
TEST = (
    'package {0}_test\n\nimport (\n\t"testing"\n\n\t"{1}/{0}"\n)\n\n'
    "func Test{2}(t *testing.T) {{\n\tif {0}.Add(1, 2) != 3 {{\n\t\tt.Fatal()\n\t}}\n}}\n"
)
SOURCES = {
    "calc/calc.go": "package calc\n\nfunc Add(a, b int) int { return a - b }\n",
    "calc/calc_test.go": TEST.format("calc", "example.org/me/it", "Add"),
    "odd/odd.go": "package odd\n\nfunc F() { gone() }\n",
    "odd/odd_test.go": 'package odd\n\nimport "testing"\n\nfunc TestF(t *testing.T) { F() }\n',
}
MODULE = {"go.mod": "module example.org/me/it\n\ngo 1.20\n"}
INCOMPLETE = {
    "go.mod": "module example.org/me/it\n\ngo 1.20\n\nreplace example.org/more => ./more\n",
    "more/go.mod": "module example.org/more\n\ngo 1.20\n",
    "more/more.go": "package more\n",
    "calc/more.go": 'package calc\n\nimport _ "example.org/more"\n',
}
VENDORED = {
    "vendor/example.org/more/more.go": "package more\n",
    "calc/more.go": 'package calc\n\nimport _ "example.org/more"\n',
}


class Machine:
    def __init__(self, folder: Path, files: dict[str, str]) -> None:
        self.top, self.tools, self._files = folder / "testbed", folder / "tools", files
        self.tools.mkdir()
        self.top.mkdir()
        tree = Tree(files, lambda path: files[path].encode())
        request = PlanRequest(
            base=tree,
            fixed=tree,
            changed_source=("calc/calc.go",),
            changed_tests=("calc/calc_test.go",),
            committed=datetime(2024, 5, 10, tzinfo=UTC),
            ci=CiFacts(),
            catalogue=Catalogue(),
            exports={"GOPROXY": "off", "GOSUMDB": "off"},
        )
        self.plan: BuildPlan = GO.plan(request)

    def lay(self, files: dict[str, str]) -> None:
        for path, text in files.items():
            (self.top / path).parent.mkdir(parents=True, exist_ok=True)
            (self.top / path).write_text(text)

    def shell(self, script: str, env: dict[str, str]) -> subprocess.CompletedProcess[bytes]:
        moved = {name: self._moved(value) for name, value in env.items() if name not in ("PATH", "HOME")}
        own = {"HOME": str(self.tools), "PATH": os.environ["PATH"], **moved}
        return subprocess.run(["sh", "-c", self._moved(script)], cwd=self.top, env=own, capture_output=True, check=False)

    def _moved(self, text: str) -> str:
        return text.replace(f"{TOOLS}/go-build", str(CACHE)).replace(TOOLS, str(self.tools)).replace(WORKDIR, str(self.top))

    def build(self) -> str:
        self.lay({path: text for path, text in self._files.items() if path in self.plan.manifests})
        for step in self.plan.dependencies:
            assert (done := self.shell(step.run, {})).returncode == 0, done.stderr
        self.lay(self._files)
        for step in self.plan.install:
            assert (done := self.shell(step.run, {})).returncode == 0, done.stderr
        log = self.tools / "install.log"
        return log.read_text() if log.exists() else ""

    def test(self) -> tuple[int, dict[str, TestOutcome]]:
        (command,) = self.plan.tests
        done = self.shell(command.script, dict(command.env))
        report = parse_report("go-json", [ReportFile(done.stdout, "")])
        assert not report.disagreement
        return done.returncode, dict(report.outcomes)


@pytest.mark.parametrize("files", [MODULE, INCOMPLETE, VENDORED, {}], ids=["module", "incomplete", "vendored", "bare"])
def test_tests_run_offline_after_the_build_and_git_sees_no_change(tmp_path: Path, files: dict[str, str]) -> None:
    machine = Machine(tmp_path, {**SOURCES, **files})
    log = machine.build()
    assert "not all test packages compile" in log
    assert ("not whole" in log) == (files is INCOMPLETE)
    assert all((machine.top / path).read_text() == text for path, text in files.items())
    code, outcomes = machine.test()
    assert (code, outcomes) == (1, {"example.org/me/it/calc::TestAdd": "failed", "example.org/me/it/odd": "error"})
    machine.lay({"calc/calc.go": SOURCES["calc/calc.go"].replace(" - ", " + "), "odd/odd.go": "package odd\n\nfunc F() {}\n"})
    assert machine.test() == (0, {"example.org/me/it/calc::TestAdd": "passed", "example.org/me/it/odd::TestF": "passed"})
