"""The plan's shell, run by the machine's own cargo in other places than an image has."""

import os
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from podgym.envs.build.catalogue import Catalogue
from podgym.envs.build.ci import CiFacts
from podgym.envs.build.languages.contract import PlanRequest
from podgym.envs.build.languages.rust import RUST
from podgym.envs.build.plan import TOOLS, WORKDIR, BuildPlan
from podgym.envs.build.tree import Tree
from podgym.verifiers.reports import ReportFile, parse_report
from podgym.verifiers.verdict import TestOutcome

pytestmark = [pytest.mark.skipif(shutil.which("cargo") is None, reason="cargo is not installed"), pytest.mark.timeout(300)]

PACKAGE = '[package]\nname = "{}"\nversion = "0.1.0"\nedition = "2021"\n'
FILES = {
    "Cargo.toml": '[workspace]\nmembers = ["calc", "base"]\nresolver = "2"\n',
    "calc/Cargo.toml": PACKAGE.format("calc") + '[features]\nbroken = []\nextra = []\n[dependencies]\nbase = { path = "../base" }\n',
    "calc/src/lib.rs": '#[cfg(feature = "broken")]\ncompile_error!("broken");\n'
    "pub fn add(a: i32, b: i32) -> i32 {\n    base::first(a) - b\n}\n",
    "calc/tests/adds.rs": "#[test]\nfn adds() {\n    assert_eq!(calc::add(1, 2), 3);\n}\n#[test]\nfn keeps() {}\n",
    "calc/tests/odd.rs": "#[test]\nfn odd() {\n    calc::gone();\n}\n",
    "base/Cargo.toml": PACKAGE.format("base"),
    "base/src/lib.rs": "pub fn first(a: i32) -> i32 {\n    a\n}\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn first() {}\n}\n",
}


class Machine:
    def __init__(self, folder: Path, plan: BuildPlan) -> None:
        self.top, self.tools, self.plan = folder / "testbed", folder / "tools", plan
        self.tools.mkdir()
        self.top.mkdir()
        self._env = {
            "HOME": str(folder),
            "PATH": os.environ["PATH"],
            "RUSTUP_HOME": os.environ.get("RUSTUP_HOME", str(Path.home() / ".rustup")),
        }

    def lay(self, files: dict[str, str]) -> None:
        for path, text in files.items():
            (self.top / path).parent.mkdir(parents=True, exist_ok=True)
            (self.top / path).write_text(text)

    def shell(self, script: str, env: dict[str, str]) -> subprocess.CompletedProcess[bytes]:
        moved = {name: self._moved(value) for name, value in env.items() if name not in ("PATH", "HOME")}
        return subprocess.run(["sh", "-c", self._moved(script)], cwd=self.top, env={**self._env, **moved}, capture_output=True, check=False)

    def _moved(self, text: str) -> str:
        return text.replace(TOOLS, str(self.tools)).replace(WORKDIR, str(self.top))

    def build(self) -> str:
        self.lay({path: text for path, text in FILES.items() if path in self.plan.manifests})
        for step in self.plan.dependencies:
            assert (done := self.shell(step.run, {})).returncode == 0, done.stderr
        self.lay(FILES)
        for path in FILES:
            os.utime(self.top / path, (315_619_200, 315_619_200))
        for step in self.plan.install:
            assert (done := self.shell(step.run, {})).returncode == 0, done.stderr
        log = self.tools / "install.log"
        return log.read_text() if log.exists() else ""

    def test(self) -> tuple[int, dict[str, TestOutcome]]:
        (command,) = self.plan.tests
        done = self.shell(command.script, dict(command.env))
        report = parse_report("libtest", [ReportFile(done.stdout, "")])
        assert not report.disagreement
        return done.returncode, dict(report.outcomes)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    tree = Tree(FILES, lambda path: FILES[path].encode())
    request = PlanRequest(
        base=tree,
        fixed=tree,
        changed_source=("calc/src/lib.rs", "base/src/lib.rs"),
        changed_tests=("calc/tests/adds.rs",),
        committed=datetime(2024, 5, 10, tzinfo=UTC),
        ci=CiFacts(commands=("cargo test --all-features",)),
        catalogue=Catalogue(),
    )
    return Machine(tmp_path, RUST.plan(request))


def test_what_does_not_compile_is_left_out_and_what_changes_is_compiled_again(machine: Machine) -> None:
    log = machine.build()
    assert "does not compile: cargo test --all-features" in log
    assert "left out, because they do not compile: odd" in log
    code, outcomes = machine.test()
    failing = {"adds/tests/adds.rs::adds": "failed", "adds/tests/adds.rs::keeps": "passed", "base/src/lib.rs::tests::first": "passed"}
    assert (code, outcomes) == (101, failing)
    machine.lay({"calc/src/lib.rs": FILES["calc/src/lib.rs"].replace(" - ", " + ")})
    assert machine.test() == (0, {**failing, "adds/tests/adds.rs::adds": "passed"})
    machine.lay({"calc/tests/new.rs": "#[test]\nfn new() {\n    calc::gone();\n}\n"})
    code, outcomes = machine.test()
    assert code == 0 and len(outcomes) == 3  # a test program that was not there when the plan was made is not run
