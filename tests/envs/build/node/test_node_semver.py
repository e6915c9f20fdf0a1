import pytest
from hypothesis import given
from hypothesis import strategies as st

from podgym.envs.build.languages.node.semver import accepts, accepts_major, parse_version


@pytest.mark.parametrize(
    ("expression", "inside", "outside"),
    [
        (">=14", ["14.0.0", "22.1.0"], ["13.9.9"]),
        ("^18.12.0 || >=20", ["18.12.0", "18.20.1", "21.0.0"], ["18.11.9", "19.0.0"]),
        ("~16.4", ["16.4.9"], ["16.5.0", "16.3.9"]),
        (">= 10 < 13", ["10.0.0", "12.22.1"], ["13.0.0", "9.9.9"]),
        ("10 - 14", ["10.0.0", "14.21.3"], ["15.0.0", "9.0.0"]),
        ("14.x", ["14.1.2"], ["15.0.0"]),
        ("v16", ["16.1.0"], ["17.0.0"]),
        ("*", ["0.1.0", "99.0.0"], []),
        ("^0.2.3", ["0.2.9"], ["0.3.0", "0.2.2"]),
        (">12 <=14.2", ["13.0.0", "14.2.5"], ["12.9.0", "14.3.0"]),
        ("nonsense", [], ["18.0.0"]),
    ],
)
def test_ranges_are_read_as_npm_reads_them(expression: str, inside: list[str], outside: list[str]) -> None:
    for text, expected in [*((one, True) for one in inside), *((one, False) for one in outside)]:
        version = parse_version(text)
        assert version is not None
        assert accepts(expression, version) is expected, (expression, text)


def test_a_major_version_counts_where_any_of_its_versions_does() -> None:
    assert accepts_major("20.11.1", 20)
    assert accepts_major("^20.19.0 || >=22.12.0", 22)
    assert not accepts_major("^20.19.0 || >=22.12.0", 21)
    assert not accepts_major(">=18 <18", 18)


@given(st.text(max_size=60))
def test_no_text_is_too_odd(text: str) -> None:
    accepts(text, (1, 2, 3))
    parse_version(text)


@given(st.tuples(*[st.integers(0, 50)] * 3))
def test_an_exact_version_accepts_itself_alone(version: tuple[int, int, int]) -> None:
    text = ".".join(map(str, version))
    assert accepts(text, version)
    assert not accepts(text, (version[0], version[1], version[2] + 1))
