"""The plan's shell, run by the machine's own cargo in other places than an image has."""

import os
import shutil
from pathlib import Path

import pytest
from podgym_test_kit.machine import Machine
from podgym_test_kit.plans import plan_of, request

from podgym.envs.build.ci import CiFacts
from podgym.envs.build.languages.rust import RUST

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


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    asked = request(
        FILES,
        source=["calc/src/lib.rs", "base/src/lib.rs"],
        tests=["calc/tests/adds.rs"],
        ci=CiFacts(commands=("cargo test --all-features",)),
    )
    rustup = os.environ.get("RUSTUP_HOME", str(Path.home() / ".rustup"))
    return Machine(tmp_path, plan_of(RUST, asked), FILES, env={"RUSTUP_HOME": rustup})


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
