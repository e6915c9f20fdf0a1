"""Another literal: of another value, mostly as long, and where it can be no larger."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podgym.verifiers.decoys.literals import another_character, another_number, another_text


@given(st.integers(0, 2**70), st.integers(0, 9))
def test_integers_stay_as_long_and_mostly_get_smaller(value: int, seed: int) -> None:
    for text in (b"%d" % value, b"0x%x" % value, b"0b" + bin(value)[2:].encode()):
        other = another_number(text, random.Random(seed))
        assert other is not None and len(other) == len(text)
        new = int(other, 0)
        assert new != value
        assert new < value or not any(digit in other[1:] for digit in b"23456789abcdef") or value < 10 or set(text[1:]) <= set(b"0xb")


@given(st.floats(0, 1e9, allow_nan=False).map(lambda value: f"{value:.3f}"), st.integers(0, 9))
def test_floats_change_where_it_counts(text: str, seed: int) -> None:
    other = another_number(text.encode(), random.Random(seed))
    assert other is not None and len(other) == len(text) and float(other) != float(text)


@pytest.mark.parametrize(
    ("text", "pattern"),
    [(b"255u8", rb"1\d\du8|1\d5u8"), (b"3L", rb"[0-2]L"), (b"1_000", rb"1_00[1-9]"), (b"0644", rb"0[0-5]44"), (b"1.5f", rb"0\.5f"),
     (b"1e-9", rb"0e-9"), (b".5", rb"\.[0-4]"), (b"0.0", rb"[1-9]\.0"), (b"128i8", rb"1[01]8i8"), (b"3n", rb"[0-2]n"), (b"0", rb"[1-9]"),
     (b"10'000ull", rb"10'00[1-9]ull"), (b"0xFFu", rb"0x[0-9a-f]Fu")],
)  # fmt: skip
def test_notations(text: bytes, pattern: bytes) -> None:
    import re

    for seed in range(20):
        other = another_number(text, random.Random(seed))
        assert other is not None and re.fullmatch(pattern, other), other


@pytest.mark.parametrize("text", [b"", b"x", b"-", b"NaN"])
def test_what_is_no_number(text: bytes) -> None:
    assert another_number(text, random.Random(0)) is None


@given(st.text(max_size=30), st.integers(0, 9))
def test_texts_keep_their_length(text: str, seed: int) -> None:
    data = text.encode()
    other = another_text(data, random.Random(seed))
    if other is None:
        assert not any(chr(byte).isalnum() and byte < 128 and data[at - 1 : at] not in (b"%", b"\\") for at, byte in enumerate(data))
    else:
        assert len(other) == len(data) and other != data and sum(map(int.__ne__, other, data)) == 1


@pytest.mark.parametrize(
    ("text", "pattern"), [(b"'a'", rb"'[b-z]'"), (b"b'7'", rb"b'[0-68-9]'"), (b"'\\n'", rb"'x'"), (b"L'Q'", rb"L'[A-PR-Z]'")]
)
def test_characters(text: bytes, pattern: bytes) -> None:
    import re

    other = another_character(text, random.Random(1))
    assert other is not None and re.fullmatch(pattern, other)
    assert another_character(b"''", random.Random(1)) is None
