"""Task directories: written and read exactly, graded by plain Harbor's entry point, hostile ones refused."""

import json
import os
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podgym.envs import Task
from podgym.envs.harbor import TaskError, TaskFiles, iter_tasks, read_task, task_directories, task_directory, write_task
from podgym.envs.harbor import grade_main as grader
from podgym.sandbox import Copy, ImageRecipe, Limits, SandboxSpec, Step
from podgym.verifiers import GradingPlan, HiddenFile, TestCommand
from podgym.verifiers.reports import parse_junit

PLAN = GradingPlan(
    workdir="/testbed",
    tests=(TestCommand(framework="unittest", targets=("test_calc.py",), timeout_s=30),),
    fail_to_pass=("test_calc.py::TestCalc::test_double",),
    pass_to_pass=("test_calc.py::TestCalc::test_zero",),
    hidden=(HiddenFile(path="test_calc.py", source="tests/files/test_calc.py"),),
    removed=("old_test.py",),
)


def make_task(**changes: Any) -> Task:
    values: dict[str, Any] = {
        "id": "calc-1.0+fix",
        "environment": "code",
        "instruction": "# Doubling\r\nIt is wrong: `double(2)` gives 3 — \u00e9\u00e8.\n\n",
        "sandbox": SandboxSpec(
            image="podgym/calc",
            workdir="/testbed",
            env={"A": "b c"},
            limits=Limits(cpus=1.5, memory_bytes=1 << 30),
            recipe=ImageRecipe(
                base="python:3.11-bookworm",
                workdir="/testbed",
                env={"X": "1"},
                before=(Step(run="pip install \\\n  'pytest'"),),
                copies=(Copy(source="repo.tar", target="/testbed"),),
                after=(Step(run="pip install -e .", timeout_s=5),),
                writable=("/opt/venv",),
            ),
        ),
        "grading": PLAN.model_dump(mode="json"),
        "provenance": {"repository": "https://example.org/x", "certificate": "a" * 64},
        "tags": ("python", "unittest"),
        "split": "test",
        "digest": "d" * 64,
    }
    return Task.model_validate(values | changes)


FILES: dict[str, Any] = {
    "environment": {"repo.tar": b"\0" * 1024},
    "tests": {"files/test_calc.py": b"import unittest\n"},
    "gold_patch": b"--- a/x\n",
}


def normal(task: Task) -> dict[str, Any]:
    return task.model_dump(mode="json")


class TestRoundTrip:
    def test_exactly(self, tmp_path: Path) -> None:
        task = make_task()
        written = write_task(tmp_path / "t", task, **FILES)
        again = read_task(tmp_path / "t")
        assert normal(again) == normal(written)
        assert again.sandbox.context == str(tmp_path / "t/environment")
        assert normal(again) == normal(task.model_copy(update={"sandbox": again.sandbox}))
        assert again.sandbox.model_copy(update={"context": None}) == task.sandbox
        assert task_directory(again) == tmp_path / "t"
        assert GradingPlan.model_validate(again.grading) == PLAN
        rewritten = write_task(tmp_path / "u", again, **FILES)
        for file in (path for path in (tmp_path / "t").rglob("*") if path.is_file()):
            assert (tmp_path / "u" / file.relative_to(tmp_path / "t")).read_bytes() == file.read_bytes()
        assert rewritten.sandbox.context == str(tmp_path / "u/environment")

    def test_layout(self, tmp_path: Path) -> None:
        source = tmp_path / "repo.tar"
        source.write_bytes(b"tar")
        write_task(tmp_path / "deep/t", make_task(), environment={"repo.tar": source}, tests=FILES["tests"], gold_patch=b"patch")
        found = sorted(str(path.relative_to(tmp_path / "deep/t")) for path in (tmp_path / "deep/t").rglob("*") if path.is_file())
        assert found == [
            "environment/Dockerfile",
            "environment/repo.tar",
            "instruction.md",
            "solution/gold.patch",
            "solution/solve.sh",
            "task.toml",
            "tests/files/test_calc.py",
            "tests/grade.py",
            "tests/grading.json",
            "tests/runners/unittest_main.py",
            "tests/test.sh",
        ]
        assert os.access(tmp_path / "deep/t/tests/test.sh", os.X_OK)
        settings = tomllib.loads((tmp_path / "deep/t/task.toml").read_text())
        assert settings["schema_version"] == "1.1"
        assert settings["task"] == {"name": "podgym/calc-1.0-fix", "description": "Doubling", "keywords": ["python", "unittest"]}
        assert settings["environment"]["cpus"] == 2 and settings["environment"]["memory_mb"] == 1024
        assert settings["environment"]["network_mode"] == "no-network" and settings["environment"]["allow_internet"] is False
        assert settings["verifier"]["timeout_sec"] == 90.0
        assert "context" not in settings["metadata"]["podgym"]["sandbox"]
        text = (tmp_path / "deep/t/environment/Dockerfile").read_text()
        assert 'ENV A="b c"' in text and 'ADD ["repo.tar", "/testbed/"]' in text

    def test_the_smallest_task(self, tmp_path: Path) -> None:
        task = Task(id="a", environment="x", instruction="", sandbox=SandboxSpec(image="debian:12"))
        write_task(tmp_path / "a", task)
        again = read_task(tmp_path / "a")
        assert again == task.model_copy(update={"sandbox": again.sandbox})
        assert again.sandbox.model_copy(update={"context": None}) == task.sandbox
        assert task_directory(again) == tmp_path / "a"
        assert (tmp_path / "a/environment/Dockerfile").read_text() == "FROM debian:12\nWORKDIR /workspace\n"
        assert not (tmp_path / "a/tests").exists()
        with pytest.raises(LookupError):
            task_directory(task)

    def test_grading_data_of_another_type(self, tmp_path: Path) -> None:
        task = make_task(grading={"answer": [1, None, {"deep": {"a": 1.5}}], "pair": ("x", "y")})
        write_task(tmp_path / "t", task)
        assert read_task(tmp_path / "t").grading == {"answer": [1, None, {"deep": {"a": 1.5}}], "pair": ["x", "y"]}
        assert not (tmp_path / "t/tests/test.sh").exists()

    @given(
        instruction=st.text(), tags=st.lists(st.text(max_size=20), max_size=3), provenance=st.dictionaries(st.text(), st.text(), max_size=3)
    )
    def test_any_text(
        self, tmp_path_factory: pytest.TempPathFactory, instruction: str, tags: list[str], provenance: dict[str, str]
    ) -> None:
        task = make_task(instruction=instruction, tags=tuple(tags), provenance=provenance, grading={"text": instruction})
        place = tmp_path_factory.mktemp("any") / "t"
        written = write_task(place, task, **FILES)
        assert read_task(place) == written


class TestWriting:
    def test_a_directory_in_use(self, tmp_path: Path) -> None:
        (tmp_path / "t").mkdir()
        write_task(tmp_path / "t", make_task(), **FILES)
        with pytest.raises(TaskError, match="in use"):
            write_task(tmp_path / "t", make_task(), **FILES)
        write_task(tmp_path / "t", make_task(instruction="new"), overwrite=True)
        assert read_task(tmp_path / "t").instruction == "new"
        assert not (tmp_path / "t/solution").exists()
        (tmp_path / "link").symlink_to(tmp_path / "t")
        with pytest.raises(TaskError, match="in use"):
            write_task(tmp_path / "link", make_task(), overwrite=True)

    @pytest.mark.parametrize("name", ["../out", "/etc/passwd", "a/../../b", "nul\0"])
    def test_names_that_leave(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(TaskError, match="leaves its folder"):
            write_task(tmp_path / "t", make_task(), tests={name: b""})
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"instruction": "\ud800"}, "instruction.md: It is not text"),
            ({"tags": ("\ud800",)}, "task.toml: It is not text"),
            ({"grading": {"x": float("nan")}}, "grading: It is not JSON"),
            ({"grading": {"x": object()}}, "grading: It is not JSON"),
            (
                {"grading": PLAN.model_copy(update={"hidden": (HiddenFile(path="a", source="solution/a"),)}).model_dump()},
                "outside of tests/",
            ),
        ],
    )
    def test_what_cannot_be_written(self, tmp_path: Path, changes: dict[str, Any], said: str) -> None:
        with pytest.raises(TaskError, match=said):
            write_task(tmp_path / "t", make_task().model_copy(update=changes))
        assert list(tmp_path.iterdir()) == []

    def test_where_nothing_can_be_written(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(TaskError, match="Cannot write"):
            write_task(tmp_path / "file/t", make_task())
        with pytest.raises(TaskError, match="Cannot write"):
            write_task(tmp_path / "t", make_task(), environment={"repo.tar": tmp_path / "absent"})


class TestReading:
    @pytest.fixture
    def place(self, tmp_path: Path) -> Path:
        write_task(tmp_path / "t", make_task(), **FILES)
        return tmp_path / "t"

    def edit(self, place: Path, old: str, new: str) -> None:
        text = (place / "task.toml").read_text()
        assert old in text
        (place / "task.toml").write_text(text.replace(old, new, 1))

    @pytest.mark.parametrize(
        ("old", "new", "key", "said"),
        [
            ("[metadata.podgym]\n", "[metadata.podgym]\nsplitt = 1\n", "metadata.podgym.splitt", "not known"),
            ('split = "test"', "split = 3", "metadata.podgym.split", "3"),
            ('environment = "code"\n', "", "metadata.podgym.environment", "required"),
            ('id = "calc-1.0+fix"', 'id = "../x"', "metadata.podgym.id", "../x"),
            ("cpus = 1.5", "cpus = -1", "metadata.podgym.sandbox.limits.cpus", "-1"),
            ('source = "repo.tar"', 'source = "../../etc/passwd"', "metadata.podgym.sandbox.recipe.copies", "leads out"),
            ('source = "repo.tar"', 'source = "/etc/passwd"', "metadata.podgym.sandbox.recipe.copies", "leads out"),
            ('image = "podgym/calc"', 'image = "podgym/calc"\ncontext = "/"', "metadata.podgym.sandbox.context", "'/'"),
            ("version = 1\n", "version = 2\n", "metadata.podgym.version", "2"),
            ('grading = "tests/grading.json"', 'grading = "../../x.json"', "metadata.podgym.grading", "../../x.json"),
            ('split = "test"', f"split = {'[' * 50}1{']' * 50}", "metadata.podgym.split", "…"),
            ("[metadata.podgym.provenance]", "[metadata.podgym.provenance]\nx = 1", "metadata.podgym.provenance.x", "1"),
        ],
    )
    def test_a_table_that_is_wrong(self, place: Path, old: str, new: str, key: str, said: str) -> None:
        self.edit(place, old, new)
        with pytest.raises(TaskError) as error:
            read_task(place)
        assert error.value.key == key
        assert error.value.file == place / "task.toml"
        assert said in str(error.value) and error.value.remedy
        assert len(str(error.value)) < 1000

    @pytest.mark.parametrize(
        ("name", "data", "said"),
        [
            ("task.toml", b"a = [", "not TOML"),
            ("task.toml", b"\xff\xfe", "not TOML"),
            ("task.toml", b"a = " + b"[" * 100_000, "not TOML"),
            ("task.toml", b"#" * (5 << 20), "larger than"),
            ("instruction.md", b"\xff", "not UTF-8"),
            ("tests/grading.json", b"{", "not JSON"),
            ("tests/grading.json", b"[" * 200_000, "not JSON"),
            ("tests/grading.json", b"[1]", "list, not an object"),
        ],
    )
    def test_files_that_are_wrong(self, place: Path, name: str, data: bytes, said: str) -> None:
        (place / name).write_bytes(data)
        with pytest.raises(TaskError, match=said) as error:
            read_task(place)
        assert error.value.file == place / name

    @pytest.mark.parametrize("name", ["task.toml", "instruction.md", "tests/grading.json"])
    def test_files_that_are_missing_or_elsewhere(self, place: Path, name: str, tmp_path: Path) -> None:
        content = (place / name).read_bytes()
        (place / name).unlink()
        with pytest.raises(TaskError, match="Cannot read it") as error:
            read_task(place)
        assert str(error.value).count(str(place / name)) == 1
        (tmp_path / "outside").write_bytes(content)
        (place / name).symlink_to(tmp_path / "outside")
        with pytest.raises(TaskError, match="Cannot read it"):
            read_task(place)

    def test_harbor_tasks_of_other_origin(self, place: Path) -> None:
        for text in ('version = "1.0"\n[metadata]\nauthor = "a"\n', 'schema_version = "1.1"\n', 'version = "1.0"\nmetadata = 3\n'):
            (place / "task.toml").write_text(text)
            with pytest.raises(TaskError, match="Harbor task of other origin") as error:
                read_task(place)
            assert error.value.key == "metadata.podgym" and "podgym env build" in error.value.remedy
        (place / "task.toml").write_text("x = 1\n")
        with pytest.raises(TaskError, match="no Harbor task"):
            read_task(place)

    def test_files_by_name(self, place: Path, tmp_path: Path) -> None:
        files = TaskFiles(place)
        assert files("tests/files/test_calc.py") == b"import unittest\n"
        (place / "tests/out").symlink_to("/etc")
        for name in ("", "../t/task.toml", "/etc/passwd", "tests", "tests/out/passwd", "a\0b", "absent"):
            with pytest.raises(FileNotFoundError):
                files(name)
        with pytest.raises(OSError, match="larger than 3"):
            TaskFiles(place, limit_bytes=3)("task.toml")


class TestListing:
    def test_many_lazily_and_fast(self, tmp_path: Path) -> None:
        grading = PLAN.model_copy(update={"pass_to_pass": tuple(f"tests/test_a.py::test_{n}" for n in range(200))}).model_dump(mode="json")
        for number in range(100):
            write_task(tmp_path / f"t{number:03}", make_task(id=f"t{number}", grading=grading))
        (tmp_path / "notes").mkdir()
        (tmp_path / ".hidden").mkdir()
        started = time.perf_counter()
        ids = [task.id for task in iter_tasks(tmp_path)]
        assert time.perf_counter() - started < 2.0
        assert ids == [f"t{number}" for number in range(100)]
        (tmp_path / "t001/task.toml").write_text("broken =")
        tasks = iter_tasks(tmp_path)
        assert next(tasks).id == "t0"
        with pytest.raises(TaskError, match="t001"):
            next(tasks)

    def test_one_directory_is_one_task(self, tmp_path: Path) -> None:
        write_task(tmp_path / "t", make_task())
        assert task_directories(tmp_path / "t") == [tmp_path / "t"]
        assert [task.id for task in iter_tasks(tmp_path / "t")] == ["calc-1.0+fix"]

    def test_no_tasks_and_one_id_twice(self, tmp_path: Path) -> None:
        with pytest.raises(TaskError, match=r"no task\.toml"):
            task_directories(tmp_path)
        with pytest.raises(TaskError, match="Cannot list"):
            task_directories(tmp_path / "absent")
        write_task(tmp_path / "a", make_task())
        write_task(tmp_path / "b", make_task())
        with pytest.raises(TaskError, match=r"is that of .*/a too"):
            list(iter_tasks(tmp_path))


HIDDEN_TESTS = """import unittest
from calc import double

class TestCalc(unittest.TestCase):
    def test_double(self):
        self.assertEqual(double(3), 6)

    def test_zero(self):
        self.assertEqual(double(0), 0)
"""


class TestPlainHarbor:
    """The scripts, run as Harbor runs them but for where the work tree and the logs are."""

    @pytest.fixture
    def place(self, tmp_path: Path) -> Path:
        work = tmp_path / "testbed"
        work.mkdir()
        (work / "calc.py").write_text("def double(x):\n    return x + x - x\n")
        (work / "old_test.py").write_text("raise SystemExit\n")
        (work / "test_calc.py").symlink_to("/nonexistent/elsewhere")
        subprocess.run(["git", "init", "-q"], cwd=work, check=True)
        plan = PLAN.model_copy(update={"workdir": str(work)})
        task = make_task(grading=plan.model_dump(mode="json"))
        task = task.model_copy(update={"sandbox": task.sandbox.model_copy(update={"workdir": str(work)})})
        patch = b"--- a/calc.py\n+++ b/calc.py\n@@ -1,2 +1,2 @@\n def double(x):\n-    return x + x - x\n+    return x + x\n"
        write_task(tmp_path / "t", task, tests={"files/test_calc.py": HIDDEN_TESTS.encode()}, gold_patch=patch)
        return tmp_path

    def grade(self, place: Path) -> str:
        env = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HARBOR_VERIFIER_LOGS": str(place / "logs")}
        subprocess.run(["sh", place / "t/tests/test.sh"], env=env, capture_output=True, check=False, timeout=60)
        return (place / "logs/reward.txt").read_text()

    def test_rewards(self, place: Path) -> None:
        assert self.grade(place) == "0\n"
        subprocess.run(["sh", place / "t/solution/solve.sh"], check=True)
        assert self.grade(place) == "1\n"
        assert not (place / "testbed/old_test.py").exists()
        assert (place / "testbed/test_calc.py").read_text() == HIDDEN_TESTS
        assert [path.name for path in (place / "testbed").iterdir() if path.name.startswith(".podgym")] == []
        (place / "testbed/calc.py").write_text("import os\nos._exit(0)\n")
        assert self.grade(place) == "0\n"

    def test_pytest_too(self, place: Path) -> None:
        file = place / "t/tests/grading.json"
        plan = json.loads(file.read_text())
        plan["tests"] = [TestCommand(framework="pytest", plugins=False).model_dump(mode="json")]
        file.write_text(json.dumps(plan))
        (place / "t/tests/runners/pytest_main.py").write_bytes(_runner("pytest"))
        subprocess.run(["sh", place / "t/solution/solve.sh"], check=True)
        assert self.grade(place) == "1\n"

    def test_no_python(self, place: Path) -> None:
        (place / "bin").mkdir()
        for name in ("sh", "dirname", "mkdir"):
            (place / "bin" / name).symlink_to(f"/bin/{name}" if Path(f"/bin/{name}").exists() else f"/usr/bin/{name}")
        done = subprocess.run(
            ["sh", place / "t/tests/test.sh"],
            env={"PATH": str(place / "bin"), "HARBOR_VERIFIER_LOGS": str(place / "logs")},
            capture_output=True,
            check=False,
        )
        assert done.returncode == 1 and b"no Python found" in done.stderr
        assert (place / "logs/reward.txt").read_text() == "0\n"

    def test_in_process(self, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        (place / "logs").mkdir()
        monkeypatch.setattr(sys, "argv", ["grade.py", str(place / "t/tests"), str(place / "logs")])
        grader.main()
        assert (place / "logs/reward.txt").read_text() == "0\n"
        assert "not passed: test_calc.py::TestCalc::test_double" in capsys.readouterr().err
        (place / "testbed/calc.py").write_text("def double(x):\n    return 2 * x\n")
        (place / "testbed/test_calc.py").unlink()
        (place / "testbed/test_calc.py").mkdir()
        grader.main()
        assert (place / "logs/reward.txt").read_text() == "1\n"
        (place / "testbed/calc.py").write_text("import os\nos._exit(0)\n")
        grader.main()
        assert "wrote no report" in capsys.readouterr().err

    def test_hidden_files_below_links(self, tmp_path: Path) -> None:
        (tmp_path / "outside").mkdir()
        (tmp_path / "work").mkdir()
        (tmp_path / "work/pkg").symlink_to(tmp_path / "outside")
        (tmp_path / "tests/files").mkdir(parents=True)
        (tmp_path / "tests/files/x").write_text("x")
        (tmp_path / "work/gone").mkdir()
        plan = {"hidden": [{"path": "pkg/sub/x", "source": "tests/files/x", "executable": True}], "removed": ["gone", "absent"]}
        grader.place(tmp_path / "work", tmp_path / "tests", plan)
        assert (tmp_path / "work/pkg/sub/x").stat().st_mode & 0o111
        assert list((tmp_path / "outside").iterdir()) == []
        assert not (tmp_path / "work/gone").exists()


@pytest.mark.parametrize(
    ("file", "classname", "name"),
    [
        ("tests/test_a.py", "tests.test_a", "test_x[1]"),
        ("tests/test_a.py", "tests.test_a.TestX", "test_y"),
        ("tests/test_a.py", "tests.test_a.TestX.TestIn", "test_y"),
        ("tests/base.py", "tests.test_b.TestX", "test_y"),
        ("tests/base.py", "tests.test_known.TestX", "test_y"),
        ("", "pkg.mod.Kind", "test"),
        ("", "", "tests.test_known"),
        ("", "", "nowhere"),
        ("tests/test_a.py", "", "tests.test_a"),
        ("tests/test_a.py", "", "setup"),
    ],
)
@pytest.mark.parametrize("kind", ["", "<failure/>", "<error/>", "<skipped/>"])
def test_ids_agree_with_the_graders(file: str, classname: str, name: str, kind: str) -> None:
    case = f'<testcase file="{file}" classname="{classname}" name="{name}">{kind}</testcase>'
    known = '<testcase file="tests/test_known.py" classname="tests.test_known" name="test_k"/>'
    report = f"<testsuites><testsuite>{case}{known}</testsuite></testsuites>".encode()
    assert grader.passed(report) == {identity for identity, outcome in parse_junit(report).items() if outcome == "passed"}


def _runner(framework: str) -> bytes:
    from podgym.verifiers.runners import runner_source

    return runner_source(framework)
