"""Tests that a script runs where the build files declare none."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from podgym_test_kit.plans import tree

from podgym.envs.build.ci import CiFacts, CiStep
from podgym.envs.build.languages.native.launcher import install_launchers
from podgym.envs.build.languages.native.testscript import TestScript, find_script, run_script, run_undeclared, try_script

FILES = {
    "CMakeLists.txt": "",
    "scripts/run-tests.sh": "#!/bin/sh\n",
    "tests/unittest.sh": "#!/usr/bin/env bash\n",
    "tests/SConstruct": "",
    "tests/test_a.c": "",
    "tools/check.py": "",
}
RUN = ("sh", "/testbed/scripts/run-tests.sh")


def found(lines: list[str], files: Mapping[str, str] = FILES, directory: str = "") -> TestScript | None:
    steps = tuple(CiStep(line=line, directory=directory, job="ci:a") for line in lines)
    return find_script(tree(files), "", CiFacts(steps=steps, commands=tuple(lines)))


@pytest.mark.parametrize(
    ("lines", "script"),
    [
        (["cmake -DX=1 -G 'Unix Makefiles' .", "./scripts/run-tests.sh"], TestScript(RUN, None)),
        (["mkdir build", "cd build", "cmake ..", "../scripts/run-tests.sh"], TestScript(RUN, None)),
        (["cmake -B build .", "scripts/run-tests.sh --all"], TestScript((*RUN, "--all"), "")),
        (["cd tests", "./unittest.sh", "git diff --exit-code"], TestScript(("bash", "/testbed/tests/unittest.sh"), "tests", True)),
        (["pushd tests && scons CC=$CC && popd"], TestScript(("scons",), "tests")),
        (["CC=gcc python3 tools/check.py -v"], TestScript(("python3", "/testbed/tools/check.py", "-v"), "")),
        # What is no test of the repository: then it is the script whose name says so.
        (["./other/run-tests.sh", "bash scripts/run-tests.sh --valgrind", "rm -rf / ; test $X"], TestScript(RUN, None, guessed=True)),
        ([], TestScript(RUN, None, guessed=True)),
    ],
)
def test_the_script_is_found(lines: list[str], script: TestScript) -> None:
    assert found(lines) == script


def test_a_step_has_a_directory_of_its_own() -> None:
    assert found(["./unittest.sh"], directory="tests") == TestScript(("bash", "/testbed/tests/unittest.sh"), "tests")
    assert found([], {"CMakeLists.txt": "", "tests/unittest.sh": ""}) == TestScript(
        ("sh", "/testbed/tests/unittest.sh"), "tests", guessed=True
    )
    assert found(["make"], {"CMakeLists.txt": "", "src/latest.sh": ""}) is None


@pytest.mark.timeout(20)
def test_odd_lines_cost_little() -> None:
    lines = ["cmake " * 50_000, "cd " * 50_000, "&&" * 50_000, "A=$" * 50_000, "git diff" * 20_000, "a-test-" * 30_000]
    assert found(lines, {"CMakeLists.txt": ""}) is None


@pytest.mark.skipif(shutil.which("python3") is None, reason="python3 is not installed")
@pytest.mark.parametrize("status", [0, 1])
def test_calls_of_a_script_count_one_by_one(tmp_path: Path, status: int) -> None:
    """This script ends well whatever its first call did."""
    (tmp_path / "testbed").mkdir()
    (tmp_path / "built").mkdir()
    (tmp_path / "testbed/test_it.py").write_text("import sys; sys.exit(int(sys.argv[1]))\n")
    (tmp_path / "testbed/run.sh").write_text(f"test -d ../testbed/build\npython3 ../testbed/test_it.py {status}\npython3 -c pass\n")
    script = f"{install_launchers()}out=/opt/report build={tmp_path}/built PATH=/opt/podgym/bin:$PATH\nmkdir -p $out/taken\n"
    script += run_script(TestScript(("sh", "/testbed/run.sh"), None)) + "exit $code\n"
    script = script.replace("/testbed", f"{tmp_path}/testbed").replace("/opt", str(tmp_path))
    done = subprocess.run(["sh", "-uc", script], check=False, cwd=tmp_path, timeout=60)
    assert done.returncode == status
    report = tmp_path / "report/exit-code"
    assert (report / "script.txt").read_text() == f"python3 ../testbed/test_it.py {status} \t{status}\nsh run.sh\t0\n"
    assert not (tmp_path / "testbed/build").exists()


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_files_that_a_script_changes_are_compared_where_ci_does(tmp_path: Path) -> None:
    bed = tmp_path / "testbed"
    bed.mkdir()
    (bed / "golden.txt").write_text("old\n")
    (bed / "run.sh").write_text("cat source >golden.txt\ncat source >hidden.txt\ndate >made.txt\n")
    subprocess.run(["sh", "-ec", "git init -q . && git add ."], check=True, cwd=bed, timeout=20)
    (bed / "hidden.txt").write_text("other\n")
    script = "out=/opt/report build=/nowhere\nrm -rf $out; mkdir -p $out/taken\n"
    script += run_script(TestScript(("sh", "/testbed/run.sh"), "", compared=True)) + "exit $code\n"
    script = script.replace("/testbed", str(bed)).replace("/opt", str(tmp_path))
    for said, code in (("new\n", 1), ("newer\n", 1), ("newer\n", 0)):
        (bed / "source").write_text(said)
        assert subprocess.run(["sh", "-c", script], check=False, cwd=tmp_path, timeout=20).returncode == code
        (bed / "made.txt").unlink()


@pytest.mark.skipif(shutil.which("cc") is None, reason="cc is not installed")
def test_programs_go_before_a_script_of_which_only_the_name_is_known(tmp_path: Path) -> None:
    (tmp_path / "built").mkdir()
    (tmp_path / "run.sh").write_text("exit 0\n")
    program = "int main(void) { return 1; }\n"
    for compiled, name in ((False, "sh run.sh\t0\n"), (True, "test_it\t1\n")):
        if compiled:
            subprocess.run(["cc", "-xc", "-", "-o", tmp_path / "built/test_it"], input=program, text=True, check=True, timeout=60)
        script = f"{install_launchers()}out=/opt/report build=/opt/built code=0\nrm -rf $out; mkdir -p $out/taken\n"
        script += run_undeclared(TestScript(("sh", "/testbed/run.sh"), None, guessed=True))
        script = script.replace("/testbed", str(tmp_path)).replace("/opt", str(tmp_path))
        subprocess.run(["sh", "-uc", script], check=True, cwd=tmp_path, timeout=60)
        assert "".join(path.read_text() for path in (tmp_path / "report/exit-code").glob("*.txt")) == name


def test_files_are_compared_where_the_job_looks_after_the_script() -> None:
    diff = "git diff --exit-code || exit 1"
    for jobs, compared in (
        ([("a", "tests/unittest.sh"), ("a", diff)], True),
        ([("a", f"tests/unittest.sh && {diff}")], True),
        ([("a", diff), ("a", "tests/unittest.sh"), ("a", "git diff")], False),
        ([("format", diff), ("a", "tests/unittest.sh"), ("format2", diff)], False),
    ):
        steps = tuple(CiStep(line=line, job=f"ci:{job}") for job, line in jobs)
        script = find_script(tree(FILES), "", CiFacts(steps=steps, commands=tuple(line for _, line in jobs)))
        assert script is not None and script.compared == compared


def test_what_a_script_leaves_running_holds_nothing_up(tmp_path: Path) -> None:
    (tmp_path / "testbed").mkdir()
    (tmp_path / "testbed/run.sh").write_text("sleep 15 &\nprintf unfinished >&7\nexit 5\n")
    script = (
        "out=/opt/report build=/nowhere\nmkdir -p $out/taken\n" + run_script(TestScript(("sh", "/testbed/run.sh"), "")) + "exit $code\n"
    )
    script = script.replace("/testbed", f"{tmp_path}/testbed").replace("/opt", str(tmp_path))
    assert subprocess.run(["sh", "-uc", script], check=False, cwd=tmp_path, timeout=10, stderr=subprocess.DEVNULL).returncode == 1
    assert (tmp_path / "report/exit-code/script.txt").read_text() == "unfinished\nsh run.sh\t5\n"


@pytest.mark.skipif(shutil.which("cc") is None, reason="cc is not installed")
@pytest.mark.parametrize(("status", "compiled", "ran"), [(0, True, "script"), (1, True, "programs"), (1, False, "script")])
def test_programs_take_the_place_of_a_script_that_fails_from_the_first(tmp_path: Path, status: int, compiled: bool, ran: str) -> None:
    for folder in ("testbed/kept", "podgym/build"):
        (tmp_path / folder).mkdir(parents=True)
    if compiled:
        program = "int main(void) { return 0; }\n"
        subprocess.run(["cc", "-xc", "-", "-o", tmp_path / "podgym/build/test_it"], input=program, text=True, check=True, timeout=60)
    (tmp_path / "testbed/kept/a b").write_text("as it was")
    (tmp_path / "testbed/gone").write_text("back")
    (tmp_path / "testbed/run.sh").write_text(f"cd ../testbed\necho >made\necho >>'kept/a b'\nrm gone\nexit {status}\n")
    script = TestScript(("sh", "/testbed/run.sh"), None)
    install = f"{install_launchers()}say() {{ :; }}\n{try_script(script)}"
    test = f"out=/opt/report build=/opt/podgym/build code=0\nmkdir -p $out/taken\n{run_undeclared(script)}"
    for options, text in (("-euc", install), ("-uc", test)):
        moved = text.replace("/testbed", f"{tmp_path}/testbed").replace("/opt", str(tmp_path))
        subprocess.run(["sh", options, moved], check=True, cwd=tmp_path, timeout=60, stderr=subprocess.DEVNULL)
        if options == "-euc":
            left = {path.name: path.read_text() for path in (tmp_path / "testbed").rglob("*") if path.is_file() and path.suffix != ".sh"}
            assert left == {"a b": "as it was", "gone": "back"}
    assert [path.stem for path in (tmp_path / "report/exit-code").iterdir()] == [ran]
