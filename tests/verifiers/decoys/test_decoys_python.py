"""Tests that no solution passes: what is changed in them, that it is all that is changed, and what grading makes of them."""

from __future__ import annotations

import ast
import difflib
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podgym.sandbox import SandboxSpec
from podgym.verifiers import BaseTree, Change, Decoys, GradingPlan, HiddenFile, TestCommand, Verdict, grade
from podgym.verifiers.decoys import decoy_files
from podgym.verifiers.decoys.expectations import _other_exceptions

HEAD = "import unittest\nimport pytest\nimport calc\n\n\n"


def changed(body: str, name: str = "test_x", *, method: bool = False) -> tuple[str, str]:
    """The one line that differs, before and after."""
    source = HEAD + (f"class T(unittest.TestCase):\n{body}" if method else body)
    identity = f"tests/test_a.py::{'T::' if method else ''}{name}"
    made = decoy_files({"tests/test_a.py": source.encode()}, [identity])
    assert made["tests/test_a.py"].tests == (identity,)
    after = made["tests/test_a.py"].data.decode()
    ast.parse(after)
    lines = [line for line in difflib.ndiff(source.splitlines(), after.splitlines()) if line[0] in "+-"]
    return "".join(line[2:].strip() for line in lines if line[0] == "-"), "".join(line[2:].strip() for line in lines if line[0] == "+")


@pytest.mark.parametrize(
    ("statement", "pattern"),
    [
        ("self.assertEqual(calc.f(1), 3)", r"self.assertEqual(calc.f(1), @)"),
        ("self.assertEqual(42, calc.f(1))", r"self.assertEqual(@2, calc.f(1))"),
        ("self.assertEqual(calc.f(1), -7)", r"self.assertEqual(calc.f(1), -@)"),
        ("self.assertAlmostEqual(calc.f(1), 0.25, places=3)", r"self.assertAlmostEqual(calc.f(1), 0.@5, places=3)"),
        ("self.assertEqual(calc.f(1), True)", r"self.assertEqual(calc.f(1), False)"),
        ("self.assertEqual(calc.f(1), None)", r"self.assertEqual(calc.f(1), False)"),
        ("self.assertEqual(calc.f(1), [])", r"self.assertEqual(calc.f(1), [0])"),
        ("self.assertEqual(calc.f(1), '')", r"self.assertEqual(calc.f(1), 'x')"),
        ("self.assertListEqual(*calc.pair())", None),
        ("self.assertTrue(calc.f(1))", r"self.assertFalse(calc.f(1))"),
        ("self.assertNotIn(1, calc.f())", r"self.assertIn(1, calc.f())"),
        ("self.assertGreater(calc.f(), 1)", r"self.assertLessEqual(calc.f(), 1)"),
        ("calc.go()", None),
        ("mock.assert_called_once_with(1)", None),
    ],
)
def test_methods_of_unittest(statement: str, pattern: str | None) -> None:
    before, after = changed(f"    def test_x(self):\n        {statement}\n", method=True)
    if pattern is None:
        assert before == "" and after.startswith("assert ") and not eval(after.removeprefix("assert "))
        return
    head, _, tail = pattern.partition("@")
    assert before == statement and after != before
    assert after.startswith(head) and after.endswith(tail)
    if "@" in pattern:
        assert len(after) == len(before)


@pytest.mark.parametrize(
    ("statement", "after"),
    [
        ("assert calc.f(1) is None", "assert calc.f(1) is not None"),
        ("assert calc.f(1) not in (1, 2)", "assert calc.f(1) in (1, 2)"),
        ("assert calc.f(1) >= 2, 'said'", "assert calc.f(1) < 2, 'said'"),
        ("assert (calc.f(1) != calc.g(2))", "assert (calc.f(1) == calc.g(2))"),
        ("assert not calc.f(1)", "assert (calc.f(1))"),
        ("assert calc.f(1) and calc.g()", "assert not (calc.f(1) and calc.g())"),
        ("assert calc.ok", "assert not (calc.ok)"),
        ("assert 1 < calc.f() < 3", "assert not (1 < calc.f() < 3)"),
    ],
)
def test_assertions_that_turn(statement: str, after: str) -> None:
    assert changed(f"def test_x():\n    {statement}\n") == (statement, after)


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ("def test_x():\n    expected = {'a': 'word'}\n    assert calc.f(1) == expected\n", "expected = {'a': '"),
        ("def test_x():\n    for a, want in [(1, 'two')]:\n        assert calc.f(a) == want\n", "for a, want in [(1, '"),
        (
            "@pytest.mark.parametrize('a,want', [pytest.param(11, 'two', id='one')])\ndef test_x(a, want):\n    assert calc.f(a) == want\n",
            "pytest.param(11, '",
        ),
        ("@pytest.mark.parametrize(['want'], [['ab']])\ndef test_x(want):\n    assert want == calc.f()\n", "[['"),
        ("def test_x():\n    assert calc.f(3) == pytest.approx(0.5)\n", "pytest.approx(0."),
        ("async def test_x():\n    assert await calc.f(3) == 'é1'\n", "assert await calc.f(3) == 'é"),
    ],
)
def test_expectations_are_changed_where_they_are_written(body: str, place: str) -> None:
    before, after = changed(body)
    assert place in after and after != before and len(after) == len(before)
    assert "calc.f(1" not in before or "calc.f(1" in after
    for argument in ("(1, ", "(11, ", "f(3)"):
        assert (argument in before) == (argument in after), "what goes into the code under test was changed"


def test_computed_expectations_are_wrapped() -> None:
    before, after = changed("def test_x():\n    assert calc.f(1) == calc.g(2)\n")
    assert after in (before.replace("calc.g(2)", "[calc.g(2)]"), before.replace("calc.f(1)", "[calc.f(1)]"))


def test_exceptions() -> None:
    before, after = changed("def test_x():\n    with pytest.raises(ValueError, match='no'):\n        calc.f(1)\n")
    assert "pytest.raises(ValueError, match='no')" in before
    name = after.removeprefix("with pytest.raises(").partition(",")[0]
    assert issubclass(eval(name), Exception) and name != "ValueError" and after.endswith("match='no'):")


@pytest.mark.parametrize(
    "body",
    [
        "def test_x():\n    if calc.on:\n        assert calc.f(1) == 3\n",
        "def test_x():\n    try:\n        assert calc.f(1) == 3\n    except AssertionError:\n        pass\n",
        "def test_x():\n    with pytest.raises(AssertionError):\n        assert calc.f(1) == 3\n    calc.go()\n",
        "def test_x():\n    def inner():\n        assert calc.f(1) == 3\n    inner()\n",
        "def test_x():\n    for one in calc.all():\n        assert calc.f(one) == 3\n",
        "def test_x(): calc.go()\n",
    ],
)
def test_what_need_not_be_reached_is_left(body: str) -> None:
    _, after = changed(body)
    assert "== 3" in after or "calc.f(1) == 3" in body or "calc.f(one) == 3" in body
    assert "assert " in after or "raises" in after


@given(
    st.integers(0, 10**12)
    | st.floats(0, 1e6, allow_nan=False).map(lambda x: round(x, 4))
    | st.text("abcXYZ019 _", max_size=12)
    | st.booleans()
)
def test_no_value_equals_its_decoy(value: object) -> None:
    source = f"def test_x():\n    assert calc.f() == {value!r}\n"
    data = decoy_files({"test_a.py": source.encode()}, ["test_a.py::test_x"])["test_a.py"].data
    (function,) = ast.parse(data).body
    assert isinstance(function, ast.FunctionDef) and isinstance(function.body[0], ast.Assert)
    compared = function.body[0].test
    assert isinstance(compared, ast.Compare)
    assert ast.literal_eval(compared.comparators[0]) != value
    if isinstance(value, str) and any(letter.isalnum() for letter in value):
        assert len(data) == len(source)


def test_half_of_several_tests_is_left_as_it_is() -> None:
    source = "".join(f"def test_{n}():\n    assert calc.f({n}) == {n}00\n\n\n" for n in range(1, 9)).encode()
    ids = [f"a/test_a.py::test_{n}" for n in range(1, 9)]
    made = decoy_files({"a/test_a.py": source, "a/data.json": b"{}"}, ids)
    assert len(made["a/test_a.py"].tests) == 4
    assert made == decoy_files({"a/data.json": b"{}", "a/test_a.py": source}, ids)
    assert decoy_files({"a/test_a.py": source}, ["test_a.py::test_1"], cwd="a").keys() == {"a/test_a.py"}


@pytest.mark.parametrize("data", [b"def test_x(:\n", b"\xff\xfe", b"x" * 10 + b"\0", b"(" * 5000, b""])
def test_what_is_no_python_has_no_decoys(data: bytes) -> None:
    assert decoy_files({"test_a.py": data}, ["test_a.py::test_x"]) == {}


@given(st.text("def test_x():\n assert=='\"#123[](){}\\", max_size=80), st.integers(0, 99))
def test_any_text_gives_python_or_nothing(text: str, seed: int) -> None:
    source = f"def test_x():\n    {random.Random(seed).choice(['assert f() == 1', 'pass'])}\n{text}\n".encode()
    for decoy in decoy_files({"test_a.py": source}, ["test_a.py::test_x"]).values():
        ast.parse(decoy.data)


TESTS = (
    b"import unittest, calc\n\n\nclass T(unittest.TestCase):\n"
    b"    def test_a(self):\n        self.assertEqual(calc.add(1, 2), 3)\n\n"
    b"    def test_b(self):\n        self.assertEqual(calc.add(20, 2), 22)\n"
)
IDS = ("tests/test_new.py::T::test_a", "tests/test_new.py::T::test_b")
FIXED = b"def add(a, b):\n    return a + b\n"
YES = b"class Yes(int):\n    def __eq__(self, other):\n        return True\n\n\ndef add(a, b):\n    return Yes()\n"


async def judged(provider: Any, spec: SandboxSpec, base: BaseTree, source: bytes, *, decoys: bool = True) -> Verdict:
    made = decoy_files({"tests/test_new.py": TESTS}, IDS)["tests/test_new.py"]
    plan = GradingPlan(
        tests=(TestCommand(framework="unittest", targets=("tests/test_new.py",), timeout_s=20),),
        fail_to_pass=IDS,
        hidden=(HiddenFile(path="tests/test_new.py", source="tests"),),
        decoys=Decoys(
            files=(HiddenFile(path="tests/test_new.py", source="decoys"),),
            fails=made.tests,
            holds=tuple(identity for identity in IDS if identity not in made.tests),
        )
        if decoys
        else None,
    )
    files = {"tests": TESTS, "decoys": made.data}
    return await grade(Change.of({"calc.py": source}, base=base), plan, spec=spec, provider=provider, files=files.__getitem__)


@pytest.fixture
def base(image: Any) -> BaseTree:
    return BaseTree.from_directory(image)


async def test_a_solution_passes(provider: Any, spec: SandboxSpec, base: BaseTree) -> None:
    verdict = await judged(provider, spec, base, FIXED)
    assert (verdict.reward, verdict.failure, len(provider.made)) == (1.0, None, 2)


async def test_code_that_bends_its_tests_is_worth_nothing(provider: Any, spec: SandboxSpec, base: BaseTree) -> None:
    assert (await judged(provider, spec, base, YES, decoys=False)).reward == 1.0, "the attack does not work at all"
    verdict = await judged(provider, spec, base, YES)
    assert (verdict.status, verdict.reward, verdict.failure) == ("scored", 0.0, "bent")
    assert "no solution passes" in verdict.message and set(verdict.tests.values()) == {"passed"}


async def test_code_that_passes_by_chance_is_worth_nothing(provider: Any, spec: SandboxSpec, base: BaseTree, tmp_path: Any) -> None:
    """Right in the first process, wrong in every later one: as a coin would have it."""
    mark = str(tmp_path / "mark")
    left = f"open({mark!r}, 'w').close()"
    source = f"import os\nRAN = os.path.exists({mark!r})\n{left}\n\n\ndef add(a, b):\n    return -1 if RAN else a + b\n"
    verdict = await judged(provider, spec, base, source.encode())
    assert (verdict.reward, verdict.failure) == (0.0, "bent")
    assert "by chance" in verdict.message


async def test_a_second_run_that_ends_otherwise(provider: Any, spec: SandboxSpec, base: BaseTree, tmp_path: Any) -> None:
    mark = str(tmp_path / "mark")
    source = f"import os\nos.path.exists({mark!r}) and os._exit(0)\nopen({mark!r}, 'w').close()\n\n\ndef add(a, b):\n    return a + b\n"
    verdict = await judged(provider, spec, base, source.encode())
    assert (verdict.reward, verdict.failure) == (0.0, "no_report")
    assert verdict.message.startswith("In a second run")


async def test_what_fails_is_not_run_twice(provider: Any, spec: SandboxSpec, base: BaseTree) -> None:
    assert (await judged(provider, spec, base, b"def add(a, b):\n    return 3\n")).reward == 0.0
    assert len(provider.made) == 1


@pytest.mark.parametrize("expected", ["ValueError", "(KeyError, OSError)", "errors.NoSuchThing", "Exception", "LookupError"])
def test_another_exception_looks_like_one_that_a_test_may_expect(expected: str) -> None:
    found = {name.decode() for name in _other_exceptions(expected.encode())}
    assert found
    known = {"ValueError": {"UnicodeDecodeError"}, "(KeyError, OSError)": {"KeyError", "FileNotFoundError", "PermissionError"}}
    assert not found & {
        "Exception",
        *known.get(expected, set()),
        *({"KeyError", "IndexError"} if expected in ("LookupError", "errors.NoSuchThing") else ()),
    }
