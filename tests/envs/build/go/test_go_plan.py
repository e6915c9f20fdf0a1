import pytest
from hypothesis import given
from hypothesis import strategies as st
from podgym_test_kit.plans import plan_of, request, tree

from podgym.envs.build.catalogue import Catalogue
from podgym.envs.build.ci import CiFacts, CiStep
from podgym.envs.build.errors import BuildError
from podgym.envs.build.languages.go import GO
from podgym.envs.build.plan import BuildPlan

SINGLE = {
    "go.mod": "module example.org/a\n\ngo 1.20\n",
    "go.sum": "",
    "calc/calc.go": "package calc\n",
    "calc/calc_test.go": "package calc\n",
}


def plan(
    files: dict[str, str],
    fixed: dict[str, str] | None = None,
    *,
    source: tuple[str, ...] = ("calc/calc.go",),
    tests: tuple[str, ...] = ("calc/calc_test.go",),
    ci: CiFacts | None = None,
    present: frozenset[str] | None = None,
    toolchain: str = "",
    catalogue: Catalogue | None = None,
) -> BuildPlan:
    exports = {"GOPROXY": "https://proxy.example.org,direct"}
    catalogue = catalogue or Catalogue(present=present)
    return plan_of(GO, request(files, fixed, source=source, tests=tests, ci=ci, catalogue=catalogue, toolchain=toolchain, exports=exports))


def test_a_module_is_compiled_and_tested_offline() -> None:
    made = plan(SINGLE)
    assert (made.language, made.build_system, made.framework, made.name, made.toolchain) == ("go", "go", "go test", "example.org/a", "1.22")
    assert made.manifests == ("go.mod", "go.sum")
    (command,) = made.tests
    assert "exec go test -json -count=1 -vet=off -p 2 -timeout 990s  ./..." in command.script
    assert command.env["GOPROXY"] == "off" and command.env["GOTOOLCHAIN"] == "local"
    assert command.report is not None and command.report.format == "go-json"
    assert made.changed[0].script.rstrip().endswith(" ./calc")
    assert all("export GOPROXY=https://proxy.example.org,direct" in step.run for step in made.steps)


@pytest.mark.parametrize(
    ("gomod", "ci", "version"),
    [
        ("go 1.21\n", (), "1.22"),
        ("go 1.21\ntoolchain go1.21.4\n", (), "1.21"),
        ("go 1.21\n", ("1.19", "1.21.x", "stable"), "1.21"),
        ("go 1.24.1\n", ("1.21",), "1.24"),
    ],
)
def test_the_toolchain_is_what_the_files_ask_for(gomod: str, ci: tuple[str, ...], version: str) -> None:
    made = plan({**SINGLE, "go.mod": f"module example.org/a\n{gomod}"}, ci=CiFacts(versions={"go": ci}))
    assert made.toolchain == version and made.base == f"golang:{version}-bookworm"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (".go-version", "1.21.4\n"),
        (".go-version", ""),
        (".tool-versions", "nodejs 20.1\ngolang 1.21.4\n"),
        ("mise.toml", '[tools]\nnode = "20"\ngo = "1.21"\n'),
    ],
)
def test_a_version_manager_s_file_pins_the_toolchain(path: str, text: str) -> None:
    made = plan({**SINGLE, path: text}, ci=CiFacts(versions={"go": ("1.23",)}))
    expected = ("1.21", "a version manager's file") if text else ("1.23", "the newest version that CI names")
    assert (made.toolchain, made.why_toolchain) == expected


def test_a_present_image_that_is_new_enough_goes_before_an_absent_one() -> None:
    made = plan(SINGLE, present=frozenset({"golang:1.26-bookworm"}))
    assert made.toolchain == "1.26" and "nearest" in made.why_toolchain


def test_a_release_that_no_image_has_is_fetched_as_a_module() -> None:
    made = plan({**SINGLE, "go.mod": "module a\ngo 1.300\n"})
    assert made.toolchain == "1.26" and all("need=go1.300.0" in step.run for step in made.steps)
    assert "need=go1.24.3\n" in plan({**SINGLE, "go.mod": "module a\ngo 1.24.3\n"}).install[0].run
    assert "need=\n" in plan(SINGLE).install[0].run


def test_no_image_at_all() -> None:
    with pytest.raises(BuildError) as caught:
        plan(SINGLE, catalogue=Catalogue(images=()))
    assert caught.value.reason == "no_toolchain"


def test_tests_run_in_the_module_that_they_are_in() -> None:
    files = {**SINGLE, "sub/go.mod": "module example.org/a/sub\n\nreplace example.org/a => ../\n", "sub/s.go": "package sub\n"}
    made = plan(files, source=("calc/calc.go",), tests=("sub/s_test.go", "calc/calc_test.go"))
    assert [command.script.split("\n")[1] for command in made.tests] == ["cd /testbed/sub || exit 96", "cd /testbed || exit 96"]
    assert made.root == "sub" and "sub/go.mod" in made.manifests


def test_a_module_that_its_workspace_does_not_use_is_compiled_alone() -> None:
    files = {**SINGLE, "go.work": "go 1.20\nuse ./other\n", "other/go.mod": "module example.org/other\n"}
    assert plan(files).tests[0].env["GOWORK"] == "off"
    files["go.work"] = "go 1.23\nuse (\n\t.\n\t./other\n)\n"
    made = plan(files)
    assert "GOWORK" not in made.tests[0].env and made.toolchain == "1.23"


@pytest.mark.parametrize(
    ("text", "only"),
    [
        (
            "func TestA(t *testing.T) {}\nfunc Testing() {}\nfunc ExampleB_c() {}\nfunc FuzzD(f *testing.F) {}\n",
            " -run '^(TestA|ExampleB_c|FuzzD)$'",
        ),
        ("func TestSuite(t *testing.T) {}\nfunc (s *Suite) TestA() {}\n", ""),
        ("func helper() {}\n", ""),
    ],
)
def test_of_a_suite_that_takes_too_long_the_functions_of_the_changed_files_are_left(text: str, only: str) -> None:
    made = plan({**SINGLE, "calc/calc_test.go": f"package calc\n\n{text}"})
    assert made.changed[0].script.rstrip().endswith(f" -timeout 540s{only}  ./calc")


def test_large_modules_are_tested_where_the_fix_touches_them() -> None:
    files = {**SINGLE, **{f"p{number}/x_test.go": "package p\n" for number in range(100)}}
    made = plan(files)
    assert made.tests[0].script.rstrip().endswith(" ./calc") and made.notes


def test_tags_come_from_ci_only_where_every_run_has_them() -> None:
    both = CiFacts(commands=("go test ./...", "go test -tags=e2e ./..."))
    assert "-tags" not in plan(SINGLE, ci=both).tests[0].script
    always = CiFacts(commands=("go vet ./...", "go test -race -tags 'netgo osusergo' ./..."))
    assert "-tags=netgo,osusergo ./..." in plan(SINGLE, ci=always).tests[0].script
    changed = {**SINGLE, "calc/calc_test.go": "//go:build integration\n\npackage calc\n"}
    assert "-tags=integration" in plan(changed).tests[0].script and "-tags=integration" in plan(changed).install[0].run
    contrary = {**changed, "calc/unit_test.go": "//go:build !integration\n\npackage calc\n"}
    assert "-tags" not in plan(contrary, tests=("calc/calc_test.go", "calc/unit_test.go")).tests[0].script


def test_vendored_modules_are_not_fetched() -> None:
    made = plan({**SINGLE, "vendor/modules.txt": "", "vendor/example.org/x/x.go": "package x\n"})
    assert not made.dependencies and "-mod=vendor" in made.install[0].run


def test_a_repository_from_before_modules_gets_one() -> None:
    files = {"calc/calc.go": "package calc\n", "calc/calc_test.go": 'package calc_test\nimport "example.org/me/it/calc"\n'}
    made = plan(files)
    assert "module %s" in made.install[0].run and "example.org/me/it" in made.install[0].run
    assert any("made one for example.org/me/it" in note for note in made.notes)


def test_a_repository_from_before_modules_with_its_dependencies_is_compiled_as_it_was() -> None:
    files = {
        "calc/calc.go": "package calc\n",
        "calc/calc_test.go": 'package calc_test\nimport "example.org/me/it/calc"\n',
        "vendor/example.org/x/x.go": "package x\n",
    }
    made = plan(files)
    assert made.tests[0].env["GO111MODULE"] == "off"
    # Neither another release nor a list of them is to be had where the go command knows no modules.
    assert "GO111MODULE=on GOFLAGS= GOTOOLCHAIN=$1 go version" in made.install[0].run
    assert "GO111MODULE=on GOFLAGS= go list -m -versions" in made.install[0].run
    assert "cd /opt/podgym/go/src/example.org/me/it" in made.tests[0].script


def test_modules_that_only_the_fix_requires_are_fetched() -> None:
    assert len(plan(SINGLE).install) == 1
    made = plan(SINGLE, {"go.mod": f"{SINGLE['go.mod']}\nrequire example.org/x v1.0.0\n"})
    assert "require example.org/x v1.0.0" in made.install[1].run


def test_c_in_a_package_names_its_debian_packages() -> None:
    files = {**SINGLE, "calc/c.go": 'package calc\n/*\n#cgo pkg-config: libpcap\n*/\nimport "C"\n'}
    assert plan(files, ci=CiFacts(packages=("make", "zsh"))).packages == ("zsh", "libpcap-dev")


def test_ci_s_generators_are_kept_for_tests_that_do_not_compile_without() -> None:
    tool = "go install golang.org/x/tools/cmd/stringer@v0.1.0"
    lines = [
        "git config x y",
        tool,
        "make generate && go vet ./...",
        "go test ./...",
        "make assets",
    ]
    other = CiStep(line="make proto", job="ci:other")
    steps = (other, *(CiStep(line=line, directory="sub", job="ci:test") for line in lines))
    (step,) = plan(SINGLE, ci=CiFacts(steps=steps)).install
    made = step.run.replace("'\\''", "'")
    assert f'cd "/testbed"/sub && {tool}\ncd "/testbed"/sub && make generate' in made
    assert "make assets" not in step.run and "make proto" not in step.run
    assert "timeout 600 sh -c ''" in plan(SINGLE).install[0].run


def test_what_go_generate_lines_make_and_the_repository_lacks_is_made_where_tests_do_not_compile() -> None:
    files = {
        **SINGLE,
        "tools.go": '//go:build tools\n\npackage a\n\nimport _ "go.uber.org/mock/mockgen"\nimport _ "example.org/unused"\n',
        "calc/calc.go": "package calc\n\n//go:generate mockgen -destination mocks/calc.go . Calc\n//go:generate go run a.go -o there.go\n",
        "calc/there.go": "package calc\n",
        "kind/kind.go": "package kind\n\n//go:generate stringer -type=Kind\n",
        "kind/kind_string.go": "package kind\n",
        "web/auto.go": "package web\n\n//go:generate go run ../script.go -o=files.go ../gui\n",
    }
    made = plan(files).install[0].run.replace("'\\''", "'")
    lines = ("&& go install go.uber.org/mock/mockgen\n", 'cd "/testbed"/calc && go generate .\n', 'cd "/testbed"/web && go generate .')
    assert all(line in made for line in lines) and "unused" not in made and "/kind && " not in made


def test_a_repository_without_go_is_refused() -> None:
    with pytest.raises(BuildError) as caught:
        plan({"a.c": ""}, source=(), tests=())
    assert caught.value.reason == "no_build_file"


@pytest.mark.parametrize(
    ("path", "test", "runnable"),
    [
        ("a_test.go", True, True),
        ("pkg/a.go", False, False),
        ("pkg/testdata/a_test.go", True, False),
        ("pkg/testdata/x.json", True, False),
        ("pkg/x.golden", True, False),
        ("pkg/data.json", False, False),
        ("vendor/x/a_test.go", True, False),
        ("test/e2e/run.go", True, False),
        ("testing/x.go", False, False),
    ],
)
def test_tests_are_told_from_sources(path: str, test: bool, runnable: bool) -> None:
    kinds = GO.test_paths(tree({}))
    assert (kinds.is_test(path), kinds.is_runnable(path)) == (test, runnable)


@pytest.mark.parametrize(
    ("path", "identity", "expected"),
    [
        ("calc/calc_test.go", "example.org/a/calc::TestAdd", True),
        ("calc/calc_test.go", "example.org/a/other::TestAdd", False),
        ("calc/calc_test.go", "example.org/a/calc", True),
        ("a_test.go", "example.org/a::TestX/sub test", True),
        ("cli/a_test.go", "example.org/cli/v2::TestX", True),
        ("v2/a_test.go", "example.org/cli/v2::TestX", True),
    ],
)
def test_ids_are_owned_by_the_files_of_their_package(path: str, identity: str, expected: bool) -> None:
    assert GO.owns(path, identity) is expected


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_id_has_an_answer(path: str, identity: str) -> None:
    assert GO.owns(path, identity) in (True, False)
