import subprocess
from datetime import date

import pytest
from podgym_test_kit.plans import plan_of, request

from podgym.envs.build.catalogue import Catalogue
from podgym.envs.build.ci import CiFacts, CiStep
from podgym.envs.build.errors import BuildError
from podgym.envs.build.languages.rust import RUST
from podgym.envs.build.languages.rust.configuration import host_target
from podgym.envs.build.languages.rust.toolchain import stable_on
from podgym.envs.build.plan import BuildPlan

MANIFEST = '[package]\nname = "app"\nversion = "0.1.0"\nedition = "2021"\n'
SINGLE = {"Cargo.toml": MANIFEST, "src/lib.rs": "", "tests/a.rs": "#[test] fn t() {}"}


def plan(
    files: dict[str, str],
    fixed: dict[str, str] | None = None,
    *,
    source: tuple[str, ...] = ("src/lib.rs",),
    tests: tuple[str, ...] = ("tests/a.rs",),
    ci: CiFacts | None = None,
    present: frozenset[str] | None = None,
    toolchain: str = "",
) -> BuildPlan:
    exports, catalogue = {"CARGO_HTTP_CAINFO": "/x y"}, Catalogue(present=present)
    return plan_of(
        RUST, request(files, fixed, source=source, tests=tests, ci=ci, catalogue=catalogue, toolchain=toolchain, exports=exports)
    )


@pytest.mark.parametrize(
    ("day", "version"),
    [
        (date(2015, 5, 14), "1.0"),
        (date(2023, 12, 27), "1.74"),
        (date(2023, 12, 28), "1.75"),
        (date(2026, 4, 16), "1.95"),
        (date(2000, 1, 1), "1.0"),
    ],
)
def test_the_stable_version_of_a_day_is_counted(day: date, version: str) -> None:
    assert stable_on(day) == version


def test_a_single_package_is_compiled_and_tested_offline() -> None:
    made = plan(SINGLE)
    assert (made.language, made.build_system, made.framework, made.name, made.toolchain) == ("rust", "cargo", "libtest", "app", "1.78")
    assert made.manifests == ("Cargo.toml",)
    (command,) = made.tests
    assert "cargo test -p 'file:///testbed#app' --offline --no-fail-fast" in command.script and "selection=--tests" in command.script
    assert command.report is not None and command.report.format == "libtest"
    assert command.env["CARGO_NET_OFFLINE"] == "true" and "CARGO_NET_OFFLINE" not in made.dependencies[0].run.partition("unset")[0]
    assert "--test=a" in made.changed[0].script
    assert "export CARGO_HTTP_CAINFO='/x y'" in made.install[0].run
    assert "2024-05-11 2024-05-24" in made.dependencies[1].run


@pytest.mark.parametrize(
    ("files", "version", "why"),
    [
        ({"rust-toolchain": "1.74.1\n"}, "1.74", "rust-toolchain"),
        ({"rust-toolchain.toml": '[toolchain]\nchannel = "1.72"\n'}, "1.72", "rust-toolchain"),
        ({"rust-toolchain.toml": '[toolchain]\nchannel = "stable"\n'}, "1.78", "date"),
        ({"rust-toolchain": "nightly-2024-01-01"}, "1.77", "nightly"),
        ({"Cargo.toml": f'{MANIFEST}rust-version = "1.80"\n'}, "1.80", "rust-version"),
        ({"Cargo.toml": MANIFEST.replace("2021", "2024")}, "1.85", "edition"),
        ({"rust-toolchain": "1.70", "Cargo.lock": "version = 4\n"}, "1.78", "lock file"),
    ],
)
def test_the_toolchain_is_what_the_files_ask_for(files: dict[str, str], version: str, why: str) -> None:
    made = plan({**SINGLE, **files})
    assert (made.toolchain, why in made.why_toolchain) == (version, True)
    assert made.base == f"rust:{version}-bookworm"


def test_a_present_image_that_is_new_enough_goes_before_an_absent_one() -> None:
    made = plan(SINGLE, present=frozenset({"rust:1.95-bookworm"}))
    assert made.toolchain == "1.95" and "--cap-lints=warn" in made.dependencies[0].run
    assert "--cap-lints" not in plan(SINGLE).dependencies[0].run


def test_the_newest_image_is_taken_where_none_is_new_enough() -> None:
    made = plan({**SINGLE, "Cargo.toml": f'{MANIFEST}rust-version = "1.300"\n'})
    assert made.toolchain == "1.95" and "--ignore-rust-version" in made.tests[0].script and made.notes
    assert "--ignore-rust-version" not in plan(SINGLE).tests[0].script
    with pytest.raises(BuildError) as caught:
        plan(SINGLE, toolchain="1.300")
    assert caught.value.reason == "no_toolchain"


def test_features_of_nightly_compilers_are_allowed_where_they_are_used() -> None:
    assert "RUSTC_BOOTSTRAP" not in plan(SINGLE).env
    assert "RUSTC_BOOTSTRAP" not in plan({**SINGLE, "benches/b.rs": "#![feature(test)]\n"}).env
    made = plan({**SINGLE, "src/lib.rs": "#![feature(test)]\n"})
    assert made.env["RUSTC_BOOTSTRAP"] == "1" and "export RUSTC_BOOTSTRAP=1" in made.install[0].run


WORKSPACE = {
    "Cargo.toml": '[workspace]\nmembers = ["a", "b", "c"]\n',
    "Cargo.lock": "version = 3\n",
    **{f"{name}/Cargo.toml": MANIFEST.replace("app", name) for name in "abc"},
    **{f"{name}/src/lib.rs": "" for name in "abc"},
    "a/tests/t.rs": "#[test] fn t() {}",
}


def test_only_touched_members_are_tested_and_all_manifests_are_laid() -> None:
    made = plan(WORKSPACE, source=("b/src/lib.rs",), tests=("a/tests/t.rs",))
    assert "-p 'file:///testbed/a#a' -p 'file:///testbed/b#b' --offline" in made.tests[0].script
    assert made.manifests == ("Cargo.lock", "Cargo.toml", "a/Cargo.toml", "b/Cargo.toml", "c/Cargo.toml")
    assert "a/src/lib.rs b/src/lib.rs c/src/lib.rs" in made.dependencies[1].run


def test_programs_of_one_name_in_two_packages_are_run_apart() -> None:
    files = {**WORKSPACE, "b/tests/t.rs": "#[test] fn t() {}"}
    made = plan(files, source=("c/src/lib.rs",), tests=("a/tests/t.rs", "b/tests/t.rs"))
    assert len(made.tests) == len(made.install) == 2
    assert "a#a' -p 'file:///testbed/c#c'" in made.tests[0].script and "b#b' --offline" in made.tests[1].script


def test_every_file_that_a_manifest_names_is_there_while_dependencies_are_compiled() -> None:
    table = 'build = "make.rs"\n[[test]]\nname = "a"\n[[bench]]\nname = "b"\npath = "tests/b.rs"\n[[example]]\nname = "gone"\n'
    made = plan({**SINGLE, "Cargo.toml": MANIFEST + table, "make.rs": "", "tests/b.rs": "", "tests/c.rs": ""})
    assert "for file in src/lib.rs tests/a.rs tests/b.rs make.rs; do" in made.dependencies[1].run


def test_a_change_outside_of_all_packages_tests_the_workspace() -> None:
    made = plan(WORKSPACE, source=("doc.md",), tests=())
    assert all(f"testbed/{name}#{name}" in made.tests[0].script for name in "abc") and made.notes


def test_features_come_from_ci_and_from_the_changed_tests() -> None:
    manifest = f"{MANIFEST}[features]\none = []\ntwo = []\nthree = []\n"
    files = {**SINGLE, "Cargo.toml": manifest, "tests/a.rs": '#![cfg(feature = "two")]\n#[test] fn t() {}\n'}
    made = plan(files, ci=CiFacts(commands=("cargo build", "cargo +nightly test --features one,gone -- --test-threads=1")))
    assert "words='--features one,two'" in made.tests[0].script and "-- --test-threads=1" in made.tests[0].script
    made = plan(files, ci=CiFacts(commands=("cargo test", "cargo test --all-features --workspace")))
    assert "words=--all-features" in made.tests[0].script
    assert "for words in --all-features '--features two' ''" in made.install[0].run
    made = plan(files, ci=CiFacts(commands=("cargo test --features ${{ matrix.features }}",)))
    assert "words='--features two'" in made.tests[0].script
    gated = {**SINGLE, "Cargo.toml": manifest, "src/lib.rs": '#[cfg(feature = "three")]\npub mod x;\n', "src/x.rs": ""}
    assert "words='--features three'" in plan(gated, source=("src/x.rs",)).tests[0].script


def test_programs_without_the_harness_are_left_out_but_for_those_that_speak_like_it() -> None:
    table = '[[test]]\nname = "own"\nharness = false\n'
    files = {**SINGLE, "Cargo.toml": MANIFEST + table, "tests/own.rs": "fn main() {}"}
    (command,) = plan(files).tests
    assert "selection=\n" in command.script and 'selection="--lib"' in command.script and "for one in a=tests/a.rs; do" in command.script
    for speaking in ("use libtest_mimic::Trial;\nfn main() {}", "use own::harness::main;\n#[test]\nfn t() {}\n"):
        assert "selection=--tests" in plan({**files, "tests/own.rs": speaking}).tests[0].script


def test_crates_that_only_the_fix_names_are_fetched() -> None:
    assert not any("more0" in step.run for step in plan(SINGLE).install)
    made = plan(SINGLE, {"Cargo.toml": f'{MANIFEST}[dev-dependencies]\nrand = {{ version = "0.8", features = ["small_rng"] }}\n'})
    assert 'more0 = { package = "rand", version = "0.8", features = ["small_rng"] }' in made.install[-1].run
    entry = '[[package]]\nname = "rand"\nversion = "0.8.5"\nsource = "registry+https://x"\n'
    made = plan({**SINGLE, "Cargo.lock": "version = 3\n"}, {"Cargo.lock": f"version = 3\n\n{entry}"})
    assert 'more0 = { package = "rand", version = "=0.8.5" }' in made.install[-1].run


def test_system_packages_follow_from_crates_linkers_and_ci() -> None:
    lock = '[[package]]\nname = "alsa-sys"\nversion = "0.3.1"\n'
    config = '[target.x86_64-unknown-linux-gnu]\nlinker = "clang"\nrustflags = ["-C", "link-arg=-fuse-ld=lld"]\n'
    config += '[build]\nrustc-wrapper = "sccache"\n'
    made = plan({**SINGLE, "Cargo.lock": lock, ".cargo/config.toml": config}, ci=CiFacts(packages=("zsh", "git", "gcc-aarch64-linux-gnu")))
    assert set(made.packages) == {"zsh", "libasound2-dev", "clang", "lld"}
    assert made.env["RUSTC_WRAPPER"] == "" and ".cargo/config.toml" in made.manifests


@pytest.mark.parametrize("stated", ["wasm32-unknown-unknown", "thumbv7em-none-eabihf"])
def test_tests_are_compiled_for_this_machine_whatever_the_default_is(stated: str) -> None:
    files = {**SINGLE, ".cargo/config.toml": f'[build]\ntarget = "{stated}"\n'}
    made = plan(files)
    assert made.tests[0].env["CARGO_BUILD_TARGET"] == host_target() and f"CARGO_BUILD_TARGET={host_target()}" in made.install[0].run
    assert any(stated in note for note in made.notes)
    files[".cargo/config.toml"] = f'[build]\ntarget = ["{host_target()}"]\n'
    assert "CARGO_BUILD_TARGET" not in plan(files).tests[0].env


@pytest.mark.parametrize("text", ["build = 1\n", "[build]\ntarget = 1\n", "[build\n", "n = " + "1" * 5000])
def test_odd_settings_of_cargo_are_passed_over(text: str) -> None:
    made = plan({**SINGLE, ".cargo/config.toml": text, "rust-toolchain.toml": text, "other/Cargo.toml": text})
    assert "CARGO_BUILD_TARGET" not in made.env


def test_a_repository_without_a_package_is_refused() -> None:
    with pytest.raises(BuildError) as caught:
        plan({"src/lib.rs": "", "Cargo.toml": "[workspace]\n"})
    assert caught.value.reason == "no_build_file"


def test_names_from_the_repository_are_quoted() -> None:
    files = {"x'; rm -rf $HOME/Cargo.toml": MANIFEST, "x'; rm -rf $HOME/src/lib.rs": "", "x'; rm -rf $HOME/tests/a.rs": "#[test] fn t() {}"}
    made = plan(files, source=("x'; rm -rf $HOME/src/lib.rs",), tests=("x'; rm -rf $HOME/tests/a.rs",))
    script = made.tests[0].script.replace("exec cargo", "printf '%s|'")
    out = subprocess.run(["sh", "-c", script], env={"HOME": "/h", "PATH": "/usr/bin:/bin"}, capture_output=True, check=True).stdout.decode()
    assert "file:///testbed/x'; rm -rf $HOME#app" in out.split("|")


GATED = f"{MANIFEST}[features]\ndefault = []\none = []\ntwo = []\nthree = []\n"


@pytest.mark.parametrize(
    ("files", "changed", "words"),
    [
        ({"tests/it/main.rs": '#![cfg(all(unix, feature = "one"))]\nmod b;\n', "tests/it/b.rs": ""}, "tests/it/b.rs", "--features one"),
        ({"tests/it.rs": '#[cfg(feature = "two")]\n#[path = "by/b.rs"]\nmod b;\n', "tests/by/b.rs": ""}, "tests/by/b.rs", "--features two"),
        ({"tests/it.rs": '#![cfg(feature = "two")]\nautomod::dir!("tests/by");\n', "tests/by/b.rs": ""}, "tests/by/b.rs", "--features two"),
        ({"tests/b.rs": '#[test] fn t() {}\n#[cfg(feature = "three")]\n#[test]\nfn u() {}\n'}, "tests/b.rs", "--features three"),
        ({"tests/b.rs": '#![cfg(any(windows, all(feature = "one", not(miri))))]\n'}, "tests/b.rs", "--features one"),
        ({"tests/b.rs": '#![cfg(not(feature = "two"))]\n'}, "tests/b.rs", "--features one"),
    ],
)
def test_a_changed_test_is_compiled_whatever_it_depends_on(files: dict[str, str], changed: str, words: str) -> None:
    commands = ("cargo test --features one", "cargo test --features one,two") if "one" in words else ("cargo test",)
    made = plan({**SINGLE, "Cargo.toml": GATED}, files, tests=(changed,), ci=CiFacts(commands=commands))
    assert f"words='{words}" in made.tests[0].script
    assert f"--test={changed.split('/')[1].removesuffix('.rs').replace('by', 'it')}" in made.changed[0].script


def test_features_are_those_of_the_files_that_the_fix_changes_alone() -> None:
    before = '#[cfg(feature = "three")]\n#[test]\nfn u() {}\n'
    made = plan({**SINGLE, "Cargo.toml": GATED, "tests/a.rs": before}, {"tests/a.rs": f"{before}#[test]\nfn v() {{}}\n"})
    assert "words=''" in made.tests[0].script


def test_features_that_take_something_away_are_nothing_to_test_with() -> None:
    manifest = f"{MANIFEST}[features]\none = []\nno_std = []\nno_float = []\n"
    commands = ("cargo test --features one", "cargo test --features one,no_std,no_float")
    made = plan({**SINGLE, "Cargo.toml": manifest}, ci=CiFacts(commands=commands))
    assert "for words in '--features one' ''; do" in made.install[0].run


def test_variables_of_ci_and_of_recipes_are_known() -> None:
    step = CiStep(line="cargo test --features $WITH", env={"WITH": "one,two", "RUSTFLAGS": "-Dwarnings --cfg app_unstable"})
    made = plan({**SINGLE, "Cargo.toml": GATED}, ci=CiFacts(steps=(step,)))
    assert "words='--features one,two'" in made.tests[0].script and "--cfg=app_unstable" in made.dependencies[0].run
    recipes = "WITH := one,three\ntest:\n\tcargo test --features $(WITH)\n"
    assert "words='--features one,three'" in plan({**SINGLE, "Cargo.toml": GATED, "Makefile": recipes}).tests[0].script


def test_commands_of_ci_that_cargos_configuration_names_are_known() -> None:
    config = '[alias]\nlint = "clippy --features three"\nci-test = "hack test --features=one,two"\nother = "test --features three"\n'
    step = CiStep(line="cargo ci-test", env={"RUSTFLAGS": ""})
    made = plan({**SINGLE, "Cargo.toml": GATED, ".cargo/config.toml": config}, ci=CiFacts(steps=(step,)))
    assert "words='--features one,two'" in made.tests[0].script


def test_threads_are_those_of_tests_that_are_run_here() -> None:
    commands = ("cargo test --target x86_64-unknown-linux-gnu -- --test-threads=1", "cargo test")
    assert "--test-threads" not in plan(SINGLE, ci=CiFacts(commands=commands)).tests[0].script
