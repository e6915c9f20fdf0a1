from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from podgym.envs.audit import audit
from podgym.envs.build import BuildOptions
from podgym.envs.build.mutation import MutationOptions, ScriptedWriter, Trial, synthesise
from podgym.envs.build.mutation.host import read_host
from podgym.envs.build.mutation.planting import plant
from podgym.envs.code import CodeEnvironment
from podgym.envs.harbor import TaskFiles, read_task
from podgym.envs.repository import open_source
from podgym.sandbox import SandboxProvider, Step
from podgym.sandbox.local import LocalConfig, LocalProvider
from podgym.traces import Trace
from podgym.verifiers import GradingPlan

CART = '''"""A cart."""


class Cart:
    """Things, and what they cost."""

    def __init__(self, limit=3):
        self.limit = limit
        self.items = []

    def add(self, name, price, number=1):
        """Refuses what costs nothing."""
        if price <= 0:
            raise ValueError("a price is positive")
        if len(self.items) >= self.limit:
            return False
        self.items.append((name, price * number))
        return True

    def total(self, discount=0):
        whole = sum(price for _, price in self.items)
        if discount and whole > 10:
            return whole - discount
        return whole

    def names(self):
        return sorted(name.strip().lower() for name, _ in self.items)
'''
TESTS = """import unittest
from shop.cart import Cart


class CartTest(unittest.TestCase):
    def setUp(self):
        self.cart = Cart()

    def test_a_price_is_positive(self):
        with self.assertRaises(ValueError):
            self.cart.add("x", 0)

    def test_adding(self):
        self.assertTrue(self.cart.add("Apple", 2, 3))
        self.assertEqual(self.cart.total(), 6)

    def test_the_cart_is_full(self):
        for number in range(3):
            self.assertTrue(self.cart.add("x", 1))
        self.assertFalse(self.cart.add("y", 1))

    def test_discount(self):
        self.cart.add("b", 10)
        self.assertEqual(self.cart.total(discount=2), 10)
        self.cart.add("c", 1)
        self.assertEqual(self.cart.total(discount=2), 9)

    def test_names(self):
        self.cart.add(" Pear", 1)
        self.cart.add("Apple ", 1)
        self.assertEqual(self.cart.names(), ["apple", "pear"])
"""


@pytest.fixture(scope="module")
def image_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("images")


@pytest.fixture
async def provider(image_cache: Path, tmp_path: Path) -> AsyncIterator[SandboxProvider]:
    opened = LocalProvider(LocalConfig(cache=image_cache, scratch=tmp_path / "scratch"))
    yield opened
    await opened.close()


@pytest.fixture
def shop(history) -> str:
    history.commit("start", {"shop/__init__.py": "", "README.md": "A shop.\n"})
    history.git("tag", "-a", "-m", "first", "v1.2")
    return history.commit(
        "cart",
        {
            "shop/cart.py": CART,
            "tests/__init__.py": "",
            "tests/test_cart.py": TESTS,
            "shop/vendor/x.py": "def g(a):\n    if a > 1:\n        return a + 1\n    return 2 * a\n" * 2,
        },
    )


async def rewards(task, out: Path, provider: SandboxProvider, script: str) -> float | None:
    environment = CodeEnvironment(out)
    sandbox = await provider.create(task.sandbox)
    try:
        await environment.prepare(task, sandbox)
        assert (await sandbox.run(script, timeout_s=10)).exit_code == 0
        return (await environment.verify(task, sandbox, Trace(), provider)).reward
    finally:
        await sandbox.close()


async def test_mutations_become_tasks_that_are_graded(history, shop: str, tmp_path: Path, provider) -> None:
    out, trials = tmp_path / "out", list[Trial]()
    reports = await synthesise(history.path, shop, out, provider=provider, options=BuildOptions(), count=3, seed=7, observe=trials.append)
    assert [report.status for report in reports] == ["validated"] * 3, reports
    assert sorted(path.name for path in out.iterdir()) == sorted(report.task for report in reports)
    assert len({(report.notes[0], report.fail_to_pass) for report in reports}) == 3
    assert {trial.mutant.path for trial in trials} == {"shop/cart.py"}
    for report in reports:
        directory = Path(report.out)
        task = read_task(directory)
        assert 1 <= len(report.fail_to_pass) <= 2 and len(report.fail_to_pass) + len(report.pass_to_pass) == 5
        assert task.provenance["commit"] == shop and task.provenance["base"] == report.base != shop
        mutated, text = (directory / "solution/gold.patch").read_text(), task.instruction
        assert "shop/cart.py" in mutated and "cart.py" not in text and "```" in text
        changed = [line[1:].strip() for line in mutated.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")]
        assert not [line for line in changed if len(line) > 4 and line in text]
        assert await rewards(task, out, provider, "true") == 0.0
        files = TaskFiles(directory)
        plan = GradingPlan.model_validate(task.grading)
        assert [file.path for file in plan.hidden] == ["tests/test_cart.py"] and files(plan.hidden[0].source) == TESTS.encode()
        script = f"cat > shop/cart.py <<'EOF'\n{CART}\nEOF\n"
        assert await rewards(task, out, provider, script) == 1.0
        checked = audit(directory, local=provider.config)
        assert checked.ok and checked.image is not None, checked.findings


async def test_the_agent_finds_neither_the_original_nor_its_past(history, shop: str, tmp_path: Path, provider) -> None:
    (report,) = await synthesise(history.path, shop, tmp_path / "out", provider=provider, count=1, seed=1)
    task = read_task(Path(report.out))
    sandbox = await provider.create(task.sandbox)
    blob = history.git("rev-parse", f"{shop}:shop/cart.py")
    script = (
        f"git rev-list --count --all; git describe; git cat-file -e {blob} 2>/dev/null || echo gone; git cat-file -e {shop} || echo gone"
    )
    result = await sandbox.run(script, timeout_s=20)
    await sandbox.close()
    assert result.stdout.text().split() == ["1", "v1.2", "gone", "gone"]


async def test_equal_seeds_give_equal_tasks_and_others_do_not(history, shop: str, tmp_path: Path, provider) -> None:
    found = {}
    for name, seed in (("one", 3), ("two", 3), ("three", 4)):
        reports = await synthesise(history.path, shop, tmp_path / name, provider=provider, count=2, seed=seed)
        found[name] = [(report.task, read_task(Path(report.out)).digest, read_task(Path(report.out)).instruction) for report in reports]
    assert found["one"] == found["two"] != found["three"]
    # What is there already counts, and is not made again.
    more = await synthesise(history.path, shop, tmp_path / "one", provider=provider, count=3, seed=3)
    assert len(more) == 1 and more[0].task not in {task for task, _, _ in found["one"]}
    assert await synthesise(history.path, shop, tmp_path / "one", provider=provider, count=3, seed=3) == []


async def test_tests_are_taken_away_where_that_is_asked(history, shop: str, tmp_path: Path, provider) -> None:
    out = tmp_path / "out"
    (report,) = await synthesise(history.path, shop, out, provider=provider, mutation=MutationOptions(count=1, hide_tests=True))
    assert report.status == "validated", report
    task = read_task(Path(report.out))
    assert "test_cart" not in task.instruction and set(report.fail_to_pass)
    sandbox = await provider.create(task.sandbox)
    seen = await sandbox.run("ls tests", timeout_s=10)
    await sandbox.close()
    assert seen.stdout.text().split() == ["__init__.py"]
    assert await rewards(task, out, provider, "true") == 0.0
    assert await rewards(task, out, provider, f"cat > shop/cart.py <<'EOF'\n{CART}\nEOF\n") == 1.0


async def test_a_model_writes_the_issue_where_what_it_writes_is_fit(history, shop: str, tmp_path: Path, provider) -> None:
    good = "# The cart misbehaves\n\nI added things to the cart and it did not do what I expected of it.\n"
    writer = ScriptedWriter([good, f"# It is\n\n{CART}", good])
    one, two = await synthesise(
        history.path, shop, tmp_path / "out", provider=provider, count=2, writer=writer, mutation=MutationOptions(concurrency=1)
    )
    assert [read_task(Path(report.out)).instruction for report in (one, two)] == [good, good]
    assert (one.model_calls, two.model_calls) == (1, 2)
    assert all(evidence.tests.keys() == {"tests/test_cart.py"} and evidence.failing for evidence in writer.asked)


async def test_projects_that_give_no_task(history, tmp_path: Path, provider) -> None:
    nothing = history.commit("no source", {"README.md": "x\n"})
    untested = history.commit("no test", {"shop/__init__.py": "", "shop/cart.py": CART})
    failing = TESTS.replace("from shop", "from nowhere")
    broken = history.commit("broken", {"tests/__init__.py": "", "tests/test_cart.py": failing})
    idle = "import unittest\nclass T(unittest.TestCase):\n    def test_nothing(self): pass\n"
    unreached = history.commit("unreached", {"tests/test_cart.py": idle})
    reasons = []
    for commit in (nothing, untested, broken, unreached, "f" * 40):
        mutation = MutationOptions(count=1, attempts=2)
        (report,) = await synthesise(history.path, commit, tmp_path / "out", provider=provider, mutation=mutation)
        assert report.status == "failed" and report.message, report
        reasons.append((report.stage, report.reason))
    assert reasons[0] == ("plan", "unsupported_language") and reasons[-1] == ("resolve", "commit_missing")
    assert reasons[3] == ("validate", "already_passing")
    assert list((tmp_path / "out").iterdir()) == []


async def test_a_project_whose_image_holds_a_copy_of_it_is_given_up_soon(history, shop: str, tmp_path: Path, provider) -> None:
    copy = f"import os\nos.makedirs('cache', exist_ok=True)\nopen('cache/old.py', 'w').write({CART!r})\n"
    plan = read_host_plan(history, shop, tmp_path)
    spoilt = plan.model_copy(update={"install": (*plan.install, Step(run=f"python3 - <<'EOF'\n{copy}\nEOF\n"))})
    trials = list[Trial]()
    (report,) = await synthesise(
        history.path, shop, tmp_path / "out", provider=provider, count=9, options=BuildOptions(plan=spoilt), observe=trials.append
    )
    assert (report.status, report.stage, report.reason) == ("failed", "certify", "leak"), report
    assert 3 <= sum(trial.outcome == "unfit" for trial in trials) <= 4 and list((tmp_path / "out").iterdir()) == []


def read_host_plan(history, commit: str, tmp_path: Path):
    with open_source(history.path, tmp_path / "cache") as source:
        planted = plant(source, commit, tmp_path / "planned.git", changes={})
        return read_host(source, commit, BuildOptions(), planted).prepared.plan
