from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podgym.envs.build.ci.expressions import UNKNOWN, evaluate, interpolate, truth
from podgym.envs.build.ci.matrix import combinations

CONTEXTS: dict[str, Any] = {
    "matrix": {"os": "ubuntu-latest", "python": "3.10", "list": ["a", "b"], "nested": {"x": "1"}},
    "runner": {"os": "Linux", "*": UNKNOWN},
    "github": {"*": UNKNOWN},
}


@pytest.mark.parametrize(
    ("expression", "holds"),
    [
        ("matrix.os == 'ubuntu-latest'", True),
        ("matrix.os != 'UBUNTU-latest'", False),
        ("runner.os == 'Windows' || runner.os == 'macOS'", False),
        ("startsWith(matrix.os, 'ubuntu') && !contains(matrix.python, 'pypy')", True),
        ("matrix.python == 3.1", True),
        ("matrix.absent", False),
        ("matrix['nested'].x == 1 && matrix.list[1] == 'b'", True),
        ('contains(fromJSON(\'["3.9", "3.10"]\'), matrix.python)', True),
        ("github.event_name == 'push'", None),
        ("github.event_name == 'push' && runner.os == 'Windows'", False),
        ("github.event_name == 'push' || runner.os == 'Linux'", True),
        ("!github.x || failure()", None),
        ("steps.a.outputs.b == 'c'", None),
        ("always() && success() && !cancelled()", True),
        ("((((", None),
        ("hashFiles('**/x') != ''", None),
        ("format('{0}-{1}', 'a', matrix.list[0]) == 'a-a'", True),
        ("'it''s' == 'it''s'", True),
    ],
)
def test_conditions(expression: str, holds: bool | None) -> None:
    assert truth(evaluate(expression, CONTEXTS)) is holds


def test_interpolation_leaves_what_is_not_known() -> None:
    assert (
        interpolate("a ${{ matrix.python }} ${{ secrets.X }} ${{ matrix.list }} ${{", CONTEXTS)
        == "a 3.10 ${{ secrets.X }} ${{ matrix.list }} ${{"
    )


@given(st.text(alphabet="abm.x'()[]!=&|<>*,0159- \n${}", max_size=80))
def test_no_text_is_too_odd_for_an_expression(text: str) -> None:
    evaluate(text, CONTEXTS)
    interpolate("${{" + text + "}}", CONTEXTS)


def test_depth_is_no_danger() -> None:
    assert evaluate("(" * 3900, CONTEXTS) is UNKNOWN
    assert evaluate("!" * 3900 + "true", CONTEXTS) is UNKNOWN


def test_combinations_follow_the_documented_example() -> None:
    matrix = {
        "fruit": ["apple", "pear"],
        "animal": ["cat", "dog"],
        "include": [
            {"color": "green"},
            {"color": "pink", "animal": "cat"},
            {"fruit": "apple", "shape": "circle"},
            {"fruit": "banana"},
            {"fruit": "banana", "animal": "cat"},
        ],
    }
    assert combinations(matrix) == [
        {"fruit": "apple", "animal": "cat", "color": "pink", "shape": "circle"},
        {"fruit": "apple", "animal": "dog", "color": "green", "shape": "circle"},
        {"fruit": "pear", "animal": "cat", "color": "pink"},
        {"fruit": "pear", "animal": "dog", "color": "green"},
        {"fruit": "banana"},
        {"fruit": "banana", "animal": "cat"},
    ]


@given(
    st.dictionaries(
        st.sampled_from(["a", "b", "include", "exclude"]),
        st.one_of(
            st.none(),
            st.text(max_size=3),
            st.lists(st.one_of(st.text(max_size=3), st.dictionaries(st.text(max_size=2), st.text(max_size=2)))),
        ),
    )
)
def test_any_matrix_has_some_combination(matrix: dict[str, Any]) -> None:
    assert 1 <= len(combinations(matrix)) <= 256
