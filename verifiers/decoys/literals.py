"""Another literal of the same kind and, where that can be, of the same length.

Typed languages bound what a literal may be, so a number becomes a smaller one where it can, and no number gets a leading zero. The
digit that is changed is the highest that allows it, so that no tolerance hides the change.
"""

from __future__ import annotations

import random
import re
from typing import Final

__all__ = ["another_character", "another_number", "another_python_literal", "another_text"]

_ALPHABETS: Final = (b"0123456789", b"abcdefghijklmnopqrstuvwxyz", b"ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_EMPTY: Final = {b"[]": b"[0]", b"{}": b"{0: 0}", b"()": b"(0,)", b"True": b"False", b"False": b"True", b"None": b"False"}
_STRING: Final = re.compile(rb"([bBuU]?)(\"|')((?:(?!\2)[^\\\n])*)\2")
_NUMBER: Final = re.compile(
    rb"(?P<hex>0[xX])(?P<x>[0-9a-fA-F_']+)|(?P<bin>0[bB])(?P<b>[01_']+)|(?P<oct>0[oO]?(?=[0-7_]))(?P<o>[0-7_']+(?![0-9.eE]))|"
    rb"(?P<d>(?:[0-9][0-9_']*)?(?:\.[0-9][0-9_']*|\.)?)"
)


def another_number(text: bytes, rng: random.Random) -> bytes | None:
    """Another number in the notation of any language here, with its prefix and suffix; None for what is none."""
    match = _NUMBER.match(text)
    if match is None or not match[0]:
        return None
    kind = next(name for name in "xbod" if match[name] is not None)
    digits = {"x": b"0123456789abcdef", "b": b"01", "o": b"01234567", "d": b"0123456789"}[kind]
    start, end = match.span(kind)
    places = [at for at in range(start, end) if text[at : at + 1].lower() in digits and text[at : at + 1].isalnum()]
    if not places:
        return None
    whole = [at for at in places if kind != "d" or b"." not in text[start:at]]
    for at in places:
        value = digits.index(text[at : at + 1].lower())
        lowest = 1 if kind == "d" and len(whole) > 1 and at == whole[0] else 0
        if value > lowest:
            return text[:at] + bytes([digits[rng.randrange(lowest, value)]]) + text[at + 1 :]
    at = whole[-1] if whole else places[-1]
    return text[:at] + bytes([digits[rng.randrange(1, len(digits))]]) + text[at + 1 :]


def another_text(text: bytes, rng: random.Random, *, first: int = 0) -> bytes | None:
    """What stands between quotes with one letter or digit changed, at `first` or later; None where there is none."""
    places = [at for at in range(first, len(text)) if text[at] < 128 and chr(text[at]).isalnum() and text[at - 1 : at] not in (b"%", b"\\")]
    if not places:
        return None
    at = rng.choice(places)
    return text[:at] + _other(text[at], rng) + text[at + 1 :]


def another_character(text: bytes, rng: random.Random) -> bytes | None:
    """A character literal with its quotes and prefix; one that is escaped, or no letter or digit, becomes an `x`."""
    head, quote, rest = text.partition(b"'")
    body, end, tail = rest.rpartition(b"'")
    if not quote or not end or not body:
        return None
    if len(body) == 1 and body.isalnum():
        return head + quote + _other(body[0], rng) + end + tail
    return head + quote + b"x" + end + tail


def another_python_literal(text: bytes, rng: random.Random) -> bytes | None:
    """Of a Python literal; None for one that is left alone."""
    if text in _EMPTY:
        return _EMPTY[text]
    if re.fullmatch(rb"(0|[1-9][0-9]*)(\.[0-9]*)?(e-?[0-9]+)?|\.[0-9]+", text):
        # Its first digit that says something, so that no tolerance hides the change.
        mantissa = text.partition(b"e")[0]
        at = next((index for index, digit in enumerate(mantissa) if digit in b"123456789"), mantissa.rfind(b"0"))
        lowest = 1 if len(text) > 1 and text[at : at + 1] != b"0" else 0
        choices = [b"%d" % digit for digit in range(lowest, 10) if b"%d" % digit != text[at : at + 1]]
        return text[:at] + rng.choice(choices) + text[at + 1 :]
    match = _STRING.fullmatch(text)
    if match is None:
        return None
    body = match[3]
    places = [index for index, byte in enumerate(body) if chr(byte).isalnum() and byte < 128]
    if not places:
        return text[:-1] + b"x" + text[-1:]
    at = rng.choice(places)
    start = match.start(3) + at
    return text[:start] + _other(body[at], rng) + text[start + 1 :]


def _other(byte: int, rng: random.Random) -> bytes:
    """A letter or digit of the same kind."""
    kind = next(kind for kind in _ALPHABETS if byte in kind)
    return bytes([rng.choice([other for other in kind if other != byte])])
