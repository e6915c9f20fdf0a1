import pytest
from hypothesis import given
from hypothesis import strategies as st

from podgym.envs.build.languages.rust.conditions import Needs, conditions, needs


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('feature = "a"', Needs(("a",))),
        ('not(feature = "a")', Needs((), ("a",))),
        ('all(unix, feature = "a", not(feature = "b"))', Needs(("a",), ("b",))),
        ('any(feature = "a", feature = "b")', Needs(("a",))),
        ('any(test, feature = "a")', Needs()),
        ('any(docsrs, feature = "a")', Needs(("a",))),
        ('any(own_cfg, feature = "a")', Needs(("a",))),
        ('not(any(feature = "a", windows))', Needs((), ("a",))),
        ('not(all(feature = "a", windows))', Needs()),
        ('all(windows, feature = "a")', Needs()),
        ('target_os = "linux"', Needs()),
        ("all(", Needs()),
    ],
)
def test_features_follow_from_a_predicate(text: str, found: Needs) -> None:
    assert needs([text]) == found


def test_attributes_of_files_and_of_items_are_told_apart() -> None:
    text = '#![cfg(all(a, feature = "x"))]\n#[cfg(feature = "y")]\n#[cfg_attr(z, path = "b")]\nmod m;\n'
    assert list(conditions(text, inner=True)) == ['all(a, feature = "x")']
    assert list(conditions(text)) == ['feature = "y"']


@given(st.text(alphabet='()=,"abnotlyfeatures# []!\n', max_size=200))
def test_no_attribute_is_too_odd(text: str) -> None:
    needs(conditions(f"#[cfg({text}"))
    needs([text])
