"""Examples of one source in another: whatever doctest finds in what both define is what the reference says."""

from __future__ import annotations

import ast
import doctest
import types
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podgym.verifiers.protection.docstrings import with_examples_of

REFERENCE = b'''#!/usr/bin/env python
"""Module.

>>> 1 + 1
2
"""
def f(a):
    """F.

    >>> f(1)
    2
    """

class A:
    def g(self):
        r"""G

        >>> A().g()
        1
        """

    @staticmethod
    async def h(): "no example"
'''


def examples(source: bytes) -> dict[str, str]:
    """What doctest finds, by name."""
    module = types.ModuleType("m")
    exec(compile(source, "m", "exec"), module.__dict__)
    found = doctest.DocTestFinder(exclude_empty=True).find(module, "m")
    return {test.name: "".join(example.source + example.want for example in test.examples) for test in found if test.examples}


def test_examples_are_taken_over_and_code_is_not() -> None:
    data = b"import os; x = 1\n"
    data += b"def f(a): \n    # first\n    return a\nclass A:\n  def g(self):\n    '''Mine'''\n    return 2\n  async def h(): return 3\n"
    found = with_examples_of(data, REFERENCE)
    assert examples(found) == examples(REFERENCE)
    assert b"return a" in found and b"return 2" in found and b"return 3" in found and b"Mine" not in found
    assert with_examples_of(found, REFERENCE) == found


@pytest.mark.parametrize(
    "again",
    [
        b'def f(a):\n    """>>> 3\n    3\n    """\n',
        b'if True:\n    def f(a):\n        """>>> 3\n        3\n        """\n',
        b"try:\n    def f(a):\n        pass\nfinally:\n    pass\n",
    ],
)
def test_what_is_defined_again_has_the_same_examples(again: bytes) -> None:
    assert examples(with_examples_of(REFERENCE + again, REFERENCE)) == examples(REFERENCE)


@pytest.mark.parametrize("data", [b"", b"\xff\xfe", b"def h(a): return a\n", b"(" * 5000, b"if x:\n" * 500])
def test_a_source_without_a_place_for_them_stays_whole(data: bytes) -> None:
    found = with_examples_of(data, REFERENCE.replace(b'"""Module.\n\n>>> 1 + 1\n2\n"""\n', b""))
    assert found == data


def test_a_body_on_the_line_of_its_head_gets_one_of_its_own() -> None:
    found = with_examples_of(b"class A:\n    def g(self): x = 1; return x\ndef f(a): return a + 1  # so\n", REFERENCE)
    assert examples(found) == examples(REFERENCE)
    names: dict[str, Any] = {}
    exec(found, names)
    assert (names["A"]().g(), names["f"](1)) == (1, 2)


def test_a_reference_without_examples_changes_nothing() -> None:
    assert with_examples_of(REFERENCE, b'"""None."""\ndef f(a):\n    """Nor here."""\n') == REFERENCE


NAMES = st.sampled_from(["f", "g", "h"])
DOCS = st.sampled_from([None, "Text.", ">>> 1\n1", "Text.\n\n>>> 2\n2\n", "\\\\ >>> 3\n3"])


@st.composite
def sources(draw: st.DrawFn) -> str:
    """Functions and classes with methods, each once."""
    lines: list[str] = []
    for name in draw(st.lists(NAMES, unique=True, max_size=3)):
        if draw(st.booleans()):
            lines += [f"class {name}:", *_body(draw(DOCS), 4), "    x = 1"]
            for method in draw(st.lists(NAMES, unique=True, max_size=2)):
                lines += [f"    def {method}(self):", *_body(draw(DOCS), 8), f"        return {draw(st.integers(0, 9))}"]
        else:
            lines += ["@staticmethod"] * draw(st.integers(0, 1)) + [f"def {name}():", *_body(draw(DOCS), 4), "    return 0"]
    return "\n".join(lines) + "\n"


def _body(doc: str | None, indent: int) -> list[str]:
    return [] if doc is None else [" " * indent + line for line in f'"""{doc}\n"""'.splitlines()]


@given(sources(), sources())
def test_any_source_takes_over_the_examples_of_what_both_define(data: str, reference: str) -> None:
    found = with_examples_of(data.encode(), reference.encode())
    wanted, own, got = examples(reference.encode()), examples(data.encode()), examples(found)
    assert wanted.keys() & _defined(ast.parse(data)) <= got.keys()
    for name in got:
        assert got[name] == wanted.get(name, own.get(name))
    kept = _without_docstrings(ast.parse(found))
    assert ast.dump(kept) == ast.dump(_without_docstrings(ast.parse(data)))


def _defined(tree: ast.Module) -> set[str]:
    top = [node for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)]
    within = {f"m.{one.name}.{node.name}" for one in top for node in one.body if isinstance(node, ast.FunctionDef)}
    return {"m"} | {f"m.{node.name}" for node in top} | within


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            del node.body[0]
    return tree


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_any_bytes_have_an_answer(data: bytes, reference: bytes) -> None:
    assert with_examples_of(data, data) == data
    assert isinstance(with_examples_of(data, reference), bytes)
