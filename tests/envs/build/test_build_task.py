from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from podgym.envs.audit import audit
from podgym.envs.build import BuildOptions, BuildReport, build_task, read_plan
from podgym.envs.code import CodeEnvironment
from podgym.envs.code.known import remember
from podgym.envs.contract import Environment
from podgym.envs.harbor import TaskError, TaskFiles, read_task, write_task
from podgym.envs.repository import certify
from podgym.sandbox import SandboxProvider, SandboxSpec, Step
from podgym.sandbox.local import LocalConfig, LocalProvider
from podgym.traces import Trace
from podgym.verifiers import EMPTY_DIGEST, BaseTree, Change, GradingPlan, VerdictCache, grade

CALC = "def add(a, b):\n    return a {} b\n\n\ndef double(a):\n    return a * 2\n"
TESTS = """import unittest
import calc

class CalcTest(unittest.TestCase):
    def test_double(self):
        self.assertEqual(calc.double(2), 4)
"""
FIXED_TESTS = TESTS + "\n    def test_add(self):\n        self.assertEqual(calc.add(1, 2), 3)\n"


@pytest.fixture(scope="module")
def image_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("images")


@pytest.fixture
async def provider(image_cache: Path, tmp_path: Path) -> AsyncIterator[SandboxProvider]:
    opened = LocalProvider(LocalConfig(cache=image_cache, scratch=tmp_path / "scratch"))
    yield opened
    await opened.close()


def broken_calc(history) -> None:
    history.commit("start", {"calc.py": CALC.format("-"), "tests/__init__.py": "", "tests/test_calc.py": TESTS})


def mend_calc(history, *, tests: str = FIXED_TESTS, message: str = "Adding subtracts (#7)\n\nCloses #7\n") -> str:
    return history.commit(message, {"calc.py": CALC.format("+"), "tests/test_calc.py": tests})


async def build(history, commit: str, out: Path, provider: SandboxProvider, **options) -> BuildReport:
    issue = options.pop("issue", None)
    name = options.pop("name", None)
    settings = BuildOptions(**{"repeats": 1, **options})
    report = await build_task(history.path, commit, out, provider=provider, issue=issue, name=name, options=settings)
    if report.status == "validated":
        checked = audit(Path(report.out), local=provider.config)
        assert checked.ok and checked.image is not None, checked.findings
    return report


async def test_a_task_of_plain_files(history, tmp_path: Path, provider) -> None:
    broken_calc(history)
    fix = mend_calc(history)
    said: list[str] = []
    report = await build_task(
        str(history.path), fix, tmp_path / "out", provider=provider, options=BuildOptions(tags=("demo",)), progress=said.append
    )
    assert report.status == "validated", report
    assert report.fail_to_pass == ("tests/test_calc.py::CalcTest::test_add",)
    assert report.pass_to_pass == ("tests/test_calc.py::CalcTest::test_double",)
    assert (report.tests.total, report.tests.passed, report.scope, report.flaky, report.model_calls) == (2, 2, "suite", (), 0)
    assert (report.language, report.build_system, report.framework) == ("python", "none", "unittest")
    assert report.task == f"project-{fix[:12]}" and said
    directory = Path(report.out)
    task = read_task(directory)
    assert task.instruction == "Adding subtracts\n"
    assert task.provenance["commit"] == fix and task.tags == ("python", "none", "unittest", "demo")
    assert task.sandbox.network == "none"
    assert TaskFiles(directory)("tests/files/tests/test_calc.py") == FIXED_TESTS.encode()
    gold = (directory / "solution/gold.patch").read_text()
    assert "calc.py" in gold and "test_calc" not in gold
    assert [path.name for path in (tmp_path / "out").iterdir()] == [report.task]
    json.dumps(report.model_dump(mode="json"))


async def test_the_agents_repository_is_certified_and_has_no_hidden_test(history, tmp_path: Path, provider) -> None:
    broken_calc(history)
    history.git("tag", "v1")
    fix = mend_calc(history)
    history.git("tag", "v2")
    report = await build(history, fix, tmp_path / "out", provider)
    task = read_task(Path(report.out))
    sandbox = await provider.create(task.sandbox)
    result = await sandbox.run("git log --oneline | wc -l; git tag; cat tests/test_calc.py; tar -C / -cf - testbed", timeout_s=20)
    await sandbox.close()
    assert result.stdout.text().startswith("1\nv1\n" + TESTS)
    (tmp_path / "copy").mkdir()
    import io
    import tarfile

    data = result.stdout.bytes[len(b"1\nv1\n" + TESTS.encode()) :]
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        archive.extractall(tmp_path / "copy", filter="tar")
    assert certify(tmp_path / "copy/testbed", report.base).base == report.base


async def test_the_environment_type_judges_what_the_agent_left(history, tmp_path: Path, provider) -> None:
    broken_calc(history)
    report = await build(history, mend_calc(history), tmp_path / "out", provider)
    environment = CodeEnvironment(tmp_path / "out")
    assert isinstance(environment, Environment)
    (task,) = environment.tasks()
    rewards = []
    for script in ("true", "sed -i 's/a - b/a + b/' calc.py", "printf 'def add(a, b): return 3\\n' > calc.py", "rm calc.py"):
        sandbox = await provider.create(task.sandbox)
        await environment.prepare(task, sandbox)
        assert (await sandbox.run(script, timeout_s=10)).exit_code == 0
        verdict = await environment.verify(task, sandbox, Trace(), provider)
        await sandbox.close()
        rewards.append((verdict.reward, verdict.cached))
    assert rewards == [(0.0, True), (1.0, True), (0.0, False), (0.0, False)]
    assert report.task == task.id


async def test_known_verdicts_are_those_that_grading_finds(history, tmp_path: Path, provider) -> None:
    broken_calc(history)
    report = await build(history, mend_calc(history), tmp_path / "out", provider)
    directory = Path(report.out)
    task = read_task(directory)
    plan = GradingPlan.model_validate(task.grading)
    base = BaseTree.from_tar(directory / plan.base)
    known = json.loads((directory / "tests/verdicts.json").read_text())
    assert known["task"] == task.digest
    gold = Change.of({"calc.py": CALC.format("+").encode()}, base=base)
    for change in (Change(base=base), gold):
        verdict = await grade(change, plan, spec=task.sandbox, provider=provider, files=TaskFiles(directory))
        expected = {**known["verdicts"][change.digest], "seconds": verdict.seconds}
        assert verdict.model_dump(mode="json") == expected


MAKEFILE = "CFLAGS = -O2\ntest:\n\tpython -m unittest\n"


async def test_a_fix_of_the_makefile_is_graded_by_the_tables_of_base_or_fix(history, tmp_path: Path, provider) -> None:
    history.commit("start", {"calc.py": CALC.format("-"), "tests/__init__.py": "", "tests/test_calc.py": TESTS, "Makefile": MAKEFILE})
    fixed = MAKEFILE.replace("unittest", "unittest discover")
    fix = history.commit("Mend", {"calc.py": CALC.format("+"), "tests/test_calc.py": FIXED_TESTS, "Makefile": fixed})
    report = await build(history, fix, tmp_path / "out", provider)
    assert report.status == "validated", report
    directory = Path(report.out)
    task = read_task(directory)
    plan = GradingPlan.model_validate(task.grading)
    assert set(plan.gold_parts) == {"Makefile"} and set(plan.editable) == {"Makefile", "calc.py"}
    base = BaseTree.from_tar(directory / plan.base)
    for makefile, left_out in ((None, False), (fixed, False), (f"{MAKEFILE}SRC = a.c\n", False), (f"{MAKEFILE}\t-exit 0\n", True)):
        files = {"calc.py": CALC.format("+").encode()} | ({"Makefile": makefile.encode()} if makefile else {})
        verdict = await grade(Change.of(files, base=base), plan, spec=task.sandbox, provider=provider, files=TaskFiles(directory))
        assert verdict.reward == 1.0, verdict
        assert [entry.path for entry in verdict.dropped] == (["Makefile"] if left_out else [])


async def test_the_same_fix_twice_is_one_task(history, tmp_path: Path, provider) -> None:
    broken_calc(history)
    fix = mend_calc(history)
    digests = []
    for out in ("one", "two"):
        report = await build(history, fix, tmp_path / out, provider)
        digests.append(read_task(Path(report.out)).digest)
    other = await build(history, fix, tmp_path / "three", provider, issue="Another text\n", name="other")
    assert digests[0] == digests[1] == read_task(Path(other.out)).digest
    slower = await build(history, fix, tmp_path / "four", provider, limits={"memory_bytes": 1 << 30})
    assert read_task(Path(slower.out)).digest != digests[0]


async def test_fixes_that_give_no_task(history, tmp_path: Path, provider) -> None:
    root = history.commit("start", {"calc.py": CALC.format("-"), "tests/__init__.py": "", "tests/test_calc.py": TESTS})
    no_test = history.commit("source only", {"other.py": "1\n"})
    only_test = history.commit("tests only", {"tests/test_other.py": TESTS})
    passing = history.commit("refactor", {"calc.py": CALC.format("-") + "\n", "tests/test_calc.py": TESTS + "\n"})
    failing = history.commit("half a fix", {"calc.py": CALC.format("*"), "tests/test_calc.py": FIXED_TESTS})
    printing = history.commit("prints", {"calc.py": CALC.format("+"), "tests/test_calc.py": "print('2 passed')\nimport os\nos._exit(0)\n"})
    empty = history.commit("no test inside", {"calc.py": CALC.format("+") + "#\n", "tests/test_calc.py": "x = 1\n"})
    history.git("checkout", "-q", "-b", "side")
    history.commit("side", {"side.py": "1\n"})
    history.git("checkout", "-q", "main")
    history.git("merge", "-q", "--no-ff", "-m", "merge", "side")
    expected = {
        root: ("resolve", "root_commit"),
        "f" * 40: ("resolve", "commit_missing"),
        "-x": ("resolve", "commit_missing"),
        "main": ("split", "no_test_change"),
        no_test: ("split", "no_test_change"),
        only_test: ("split", "only_test_change"),
        passing: ("validate", "already_passing"),
        failing: ("validate", "failing_after"),
        printing: ("validate", "no_report"),
        empty: ("validate", "nothing_collected"),
    }
    out = tmp_path / "out"
    for commit, (stage, reason) in expected.items():
        report = await build(history, commit, out, provider)
        assert (report.status, report.stage, report.reason) == ("failed", stage, reason), report
        assert report.message and report.seconds
    assert list(out.iterdir()) == []


async def test_sources_that_are_none(tmp_path: Path, provider) -> None:
    (tmp_path / "empty").mkdir()
    for source in (tmp_path / "missing", tmp_path / "empty", f"file://{tmp_path}/nowhere"):
        report = await build_task(source, "main", tmp_path / "out", provider=provider, options=BuildOptions(cache_dir=tmp_path / "cache"))
        assert (report.status, report.stage, report.reason) == ("failed", "resolve", "source"), report
    assert list((tmp_path / "out").iterdir()) == []


async def test_places_that_cannot_be_written(history, tmp_path: Path, provider) -> None:
    broken_calc(history)
    fix = mend_calc(history)
    (tmp_path / "file").write_text("")
    assert (await build(history, fix, tmp_path / "file", provider)).reason == "write"
    assert (await build(history, fix, tmp_path / "out", provider, name="../x")).reason == "write"
    assert (await build(history, fix, tmp_path / "out", provider, name="same")).status == "validated"
    again = await build(history, fix, tmp_path / "out", provider, name="same")
    assert (again.stage, again.reason) == ("write", "exists")
    assert (await build(history, fix, tmp_path / "out", provider, name="same", overwrite=True)).status == "validated"


async def test_a_suite_that_takes_too_long_gives_way_to_the_changed_tests(history, tmp_path: Path, provider) -> None:
    slow = "import time, unittest\nclass T(unittest.TestCase):\n    def test_slow(self): time.sleep(60)\n"
    history.commit("start", {"calc.py": CALC.format("-"), "tests/__init__.py": "", "tests/test_slow.py": slow})
    report = await build(history, mend_calc(history), tmp_path / "out", provider, suite_timeout_s=2)
    assert (report.status, report.scope, report.tests.total) == ("validated", "changed", 2), report
    hang = "import time\ntime.sleep(60)\n"
    history.commit("hang", {"calc.py": CALC.format("-"), "tests/test_calc.py": TESTS})
    report = await build(history, mend_calc(history, tests=hang), tmp_path / "out", provider, suite_timeout_s=1)
    assert (report.stage, report.reason) == ("validate", "timeout")


async def test_a_bug_that_hangs_the_suite(history, tmp_path: Path, provider) -> None:
    hanging = CALC.format("+").replace("return a + b", "while True: pass")
    history.commit("start", {"calc.py": hanging, "tests/__init__.py": "", "tests/test_other.py": TESTS})
    report = await build(history, mend_calc(history), tmp_path / "out", provider, suite_timeout_s=2)
    assert report.status == "validated", report
    assert report.pass_to_pass == ("tests/test_other.py::CalcTest::test_double",)
    assert len(report.fail_to_pass) == 2 and "timed_out" in report.notes[0]


async def test_flaky_tests_are_set_aside(history, tmp_path: Path, provider) -> None:
    broken_calc(history)
    unsteady = "import os\nsetattr(CalcTest, f'test_{os.urandom(8).hex()}', lambda self: None)\n"
    report = await build(history, mend_calc(history, tests=f"{FIXED_TESTS}\n{unsteady}"), tmp_path / "out", provider, repeats=2)
    assert report.status == "validated", report
    assert len(report.flaky) == 4 and len(report.fail_to_pass) == len(report.pass_to_pass) == 1
    assert not read_task(Path(report.out)).grading["deterministic"]
    assert not (Path(report.out) / "tests/verdicts.json").exists()
    history.commit("back", {"calc.py": CALC.format("-"), "tests/test_calc.py": TESTS})
    report = await build(history, mend_calc(history, tests=f"{TESTS}\n{unsteady}"), tmp_path / "again", provider, repeats=2)
    assert (report.stage, report.reason) == ("validate", "flaky")


async def test_deleted_and_binary_test_files(history, tmp_path: Path, provider) -> None:
    history.commit("start", {"calc.py": CALC.format("-"), "tests/__init__.py": "", "tests/test_old.py": TESTS, "tests/data.bin": b"\0\1"})
    reading = FIXED_TESTS.replace("calc.double(2)", "open('tests/data.bin', 'rb').read()[0] // 64 + 1")
    fix = history.commit(
        "Mend", {"calc.py": CALC.format("+"), "tests/test_old.py": None, "tests/test_calc.py": reading, "tests/data.bin": b"\xff\0\xfe"}
    )
    report = await build(history, fix, tmp_path / "out", provider)
    assert report.status == "validated", report
    assert {id_.partition("::")[0] for id_ in (*report.fail_to_pass, *report.pass_to_pass)} == {"tests/test_calc.py"}
    plan = GradingPlan.model_validate(read_task(Path(report.out)).grading)
    assert plan.removed == ("tests/test_old.py",)


async def test_a_task_without_validation_is_not_graded(history, tmp_path: Path, provider) -> None:
    broken_calc(history)
    report = await build(history, mend_calc(history), tmp_path / "out", provider, run_tests=False)
    assert report.status == "built" and not report.fail_to_pass
    environment = CodeEnvironment(tmp_path / "out", split="train", limit=1)
    (task,) = environment.tasks()
    sandbox = await provider.create(task.sandbox)
    with pytest.raises(TaskError, match="without validation"):
        await environment.verify(task, sandbox, Trace(), provider)
    await sandbox.close()
    assert list(CodeEnvironment(tmp_path / "out", split="other").tasks()) == []


async def test_a_task_of_an_image_without_a_recipe_is_judged(history, tmp_path: Path, provider) -> None:
    broken_calc(history)
    report = await build(history, mend_calc(history), tmp_path / "out", provider)
    built = read_task(Path(report.out))
    task = built.model_copy(update={"sandbox": SandboxSpec(image="host", workdir="/testbed"), "digest": ""})
    write_task(
        tmp_path / "other" / task.id,
        task,
        environment={"repo.tar": Path(report.out) / "environment/repo.tar"},
        tests={f"files/{path}": TaskFiles(Path(report.out))(f"tests/files/{path}") for path in ("tests/test_calc.py",)},
    )
    environment = CodeEnvironment(tmp_path / "other")
    (task,) = environment.tasks()
    sandbox = await provider.create(task.sandbox)
    verdict = await environment.verify(task, sandbox, Trace(), provider)
    assert (verdict.status, verdict.reward) == ("scored", 0.0)
    with pytest.raises(TaskError, match=r"as `tasks\(\)` yields them"):
        await environment.verify(built.model_copy(update={"sandbox": SandboxSpec(image="host")}), sandbox, Trace(), provider)
    await sandbox.close()


async def test_a_plan_can_be_looked_at_and_edited(history, tmp_path: Path, provider) -> None:
    broken_calc(history)
    fix = mend_calc(history)
    prepared = read_plan(history.path, fix, issue="It subtracts", options=BuildOptions())
    assert prepared.instruction == "It subtracts\n"
    (command,) = prepared.plan.tests
    narrower = command.model_copy(update={"targets": ("tests/test_calc.py",)})
    plan = prepared.plan.model_copy(update={"tests": (narrower,), "env": {**prepared.plan.env, "MARK": "1"}})
    report = await build(history, fix, tmp_path / "out", provider, plan=plan)
    task = read_task(Path(report.out))
    assert task.sandbox.env["MARK"] == "1"
    assert json.loads((Path(report.out) / "tests/plan.json").read_text())["tests"][0]["targets"] == ["tests/test_calc.py"]


async def test_what_the_first_steps_bring_is_inspected_too(history, tmp_path: Path, provider) -> None:
    broken_calc(history)
    mended = CALC.format("+").replace("a + b", "a + b  # as it should be")
    fix = history.commit("Mend", {"calc.py": mended, "tests/test_calc.py": FIXED_TESTS})
    plan = read_plan(history.path, fix, issue=None, options=BuildOptions()).plan
    assert not plan.recipe.after
    step = Step(run="mkdir -p /opt/venv && echo 'return a + b  # as it should be' >/opt/venv/notes")
    options = BuildOptions(repeats=1, plan=plan.model_copy(update={"dependencies": (step,), "writable": ("/opt/venv",)}))
    report = await build_task(history.path, fix, tmp_path / "out", provider=provider, options=options)
    assert (report.stage, report.reason) == ("certify", "leak"), report


async def test_certificates_where_nothing_is_installed(history, tmp_path: Path, provider) -> None:
    broken_calc(history)
    (bundle := tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    report = await build(history, mend_calc(history), tmp_path / "out", provider, ca_bundle=bundle, decoys=False)
    assert report.status == "validated", report


async def test_an_image_that_cannot_be_made(history, tmp_path: Path, provider) -> None:
    broken_calc(history)
    fix = mend_calc(history)
    plan = read_plan(history.path, fix, issue=None, options=BuildOptions()).plan
    broken = plan.model_copy(update={"install": (Step(run="echo no such package >&2; exit 3"),)})
    report = await build(history, fix, tmp_path / "out", provider, plan=broken)
    assert (report.stage, report.reason) == ("image", "install_failed") and "no such package" in report.details
    report = await build(history, fix, tmp_path / "out", provider, toolchain="3.99")
    assert (report.stage, report.reason) == ("image", "image") and "3.99" in report.message


async def test_an_audit_believes_no_verdict_but_of_nothing_and_of_the_solution(history, tmp_path: Path, provider) -> None:
    broken_calc(history)
    report = await build(history, mend_calc(history), tmp_path / "out", provider)
    directory = Path(report.out)
    file, patch = directory / "tests/verdicts.json", directory / "solution/gold.patch"
    true, gold = json.loads(file.read_text()), patch.read_bytes()
    solved = next(digest for digest, verdict in true["verdicts"].items() if verdict["reward"] == 1.0)
    paid, free = true["verdicts"][solved], true["verdicts"][EMPTY_DIGEST]

    def rules() -> set[str]:
        return {finding.rule for finding in audit(directory, local=provider.config).findings}

    for verdicts in (
        {**true["verdicts"], EMPTY_DIGEST: paid},
        {**true["verdicts"], solved: free},
        {**true["verdicts"], Change.of({"calc.py": b"x"}).digest: paid},
        {EMPTY_DIGEST: free, "0" * 64: paid},
    ):
        file.write_text(json.dumps({"task": true["task"], "verdicts": verdicts}))
        assert rules() == {"verdicts"}
    file.write_text("{")
    assert rules() == {"verdicts"}
    file.unlink()
    assert rules() == set()
    file.write_text(json.dumps(true))
    patch.write_bytes(gold.replace(b"a - b", b"a / b"))
    assert rules() == {"gold"}
    patch.write_bytes(gold.replace(b"a + b", b"b + a"))
    assert rules() == {"verdicts"}


async def test_an_audit_misses_files_that_no_solution_passes(history, tmp_path: Path, provider) -> None:
    broken_calc(history)
    report = await build(history, mend_calc(history), tmp_path / "out", provider)
    plan = GradingPlan.model_validate(read_task(Path(report.out)).grading)
    assert plan.decoys is not None
    file = Path(report.out) / plan.decoys.files[0].source
    file.write_text("import unittest\n")
    assert [finding.rule for finding in audit(Path(report.out), local=provider.config).findings] == ["hidden-file"]
    file.unlink()
    assert [finding.rule for finding in audit(Path(report.out), local=provider.config).findings] == ["hidden-file"]


@pytest.mark.parametrize("paid", ["nothing", "two changes", "half"])
async def test_verdicts_that_pay_for_more_than_one_change_are_not_believed(history, tmp_path: Path, provider, paid: str) -> None:
    broken_calc(history)
    report = await build(history, mend_calc(history), tmp_path / "out", provider)
    file = Path(report.out) / "tests/verdicts.json"
    known = json.loads(file.read_text())
    solved = next(digest for digest, verdict in known["verdicts"].items() if verdict["reward"] == 1.0)
    if paid == "half":
        known["verdicts"][solved] |= {"reward": 0.5, "failure": "failed"}
    else:
        known["verdicts"][EMPTY_DIGEST if paid == "nothing" else "0" * 64] = known["verdicts"][solved]
    cache = VerdictCache()
    assert remember(json.dumps(known).encode(), cache, digest=known["task"]) == 0
    assert len(cache) == 0


async def test_damaged_verdicts_are_not_believed(history, tmp_path: Path, provider) -> None:
    broken_calc(history)
    report = await build(history, mend_calc(history), tmp_path / "out", provider)
    file = Path(report.out) / "tests/verdicts.json"
    for content in ("{", "[]", file.read_text().replace(read_task(Path(report.out)).digest, "0" * 64)):
        file.write_text(content)
        environment = CodeEnvironment(report.out)
        (task,) = environment.tasks()
        sandbox = await provider.create(task.sandbox)
        verdict = await environment.verify(task, sandbox, Trace(), provider)
        await sandbox.close()
        assert (verdict.reward, verdict.cached) == (0.0, False)
