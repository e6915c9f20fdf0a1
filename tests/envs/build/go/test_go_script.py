"""The plan's shell, run by the machine's own go in other places than an image has."""

import os
import shutil
from pathlib import Path

import pytest
from podgym_test_kit.machine import Machine
from podgym_test_kit.plans import plan_of, request

from podgym.envs.build.ci import CiFacts, CiStep
from podgym.envs.build.languages.go import GO
from podgym.envs.build.plan import TOOLS

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


def made(folder: Path, files: dict[str, str], ci: CiFacts | None = None) -> Machine:
    exports = {"GOPROXY": "off", "GOSUMDB": "off"}
    asked = request(files, source=["calc/calc.go"], tests=["calc/calc_test.go"], ci=ci, exports=exports)
    return Machine(folder, plan_of(GO, asked), files, env={}, kept={f"{TOOLS}/go-build": CACHE})


@pytest.mark.parametrize("files", [MODULE, INCOMPLETE, VENDORED, {}], ids=["module", "incomplete", "vendored", "bare"])
def test_tests_run_offline_after_the_build_and_git_sees_no_change(tmp_path: Path, files: dict[str, str]) -> None:
    machine = made(tmp_path, {**SOURCES, **files})
    log = machine.build()
    assert "not all test packages compile" in log
    assert ("not whole" in log) == (files is INCOMPLETE)
    assert all((machine.top / path).read_text() == text for path, text in files.items())
    code, outcomes = machine.test()
    assert (code, outcomes) == (1, {"example.org/me/it/calc::TestAdd": "failed", "example.org/me/it/odd": "error"})
    machine.lay({"calc/calc.go": SOURCES["calc/calc.go"].replace(" - ", " + "), "odd/odd.go": "package odd\n\nfunc F() {}\n"})
    assert machine.test() == (0, {"example.org/me/it/calc::TestAdd": "passed", "example.org/me/it/odd::TestF": "passed"})


def test_what_ci_s_generators_make_is_there_and_nothing_else_is_changed(tmp_path: Path) -> None:
    files = {path: text for path, text in SOURCES.items() if not path.startswith("odd/")} | MODULE
    files["calc/more.go"] = "package calc\n\n//go:generate sh make.sh\n\nvar _ = made\n"
    files["calc/make.sh"] = "printf 'package calc\\n\\nvar made = 1\\n' > made.go\necho >> more.go\n"
    steps = tuple(CiStep(line=line, job="ci") for line in ("go generate ./...", "go test ./..."))
    machine = made(tmp_path, files, CiFacts(steps=steps))
    machine.lay(files)
    assert machine.shell("git init -q && git add -A", {}).returncode == 0
    assert "made by CI's generators" in machine.build()
    assert (machine.top / "calc/more.go").read_text() == files["calc/more.go"]
    assert machine.test() == (1, {"example.org/me/it/calc::TestAdd": "failed"})
