"""The expressions of GitHub's workflows (`${{ matrix.os == 'x' && … }}`), evaluated as far as a file alone tells.

What is not known (secrets, outputs of steps, the event) is `UNKNOWN`, which spreads as in three-valued logic: a step is left out
only where its condition is false whatever the unknown may be.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

__all__ = ["UNKNOWN", "evaluate", "interpolate", "truth"]


class _Unknown:
    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = _Unknown()

_MAX_CHARACTERS: Final = 4000
_TOKEN: Final = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?(?:0x[0-9a-fA-F]+|\d+(?:\.\d+)?))"
    r"|(?P<name>[A-Za-z_][\w-]*)|(?P<sign>==|!=|<=|>=|&&|\|\||[()\[\].,!<>*]))"
)
_PLACE: Final = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)


def evaluate(expression: str, contexts: Mapping[str, Any]) -> Any:
    """The value of an expression without its `${{ }}`; `UNKNOWN` also for what is no expression."""
    if len(expression) > _MAX_CHARACTERS:
        return UNKNOWN
    tokens: list[tuple[str, str]] = []
    place, end = 0, len(expression.rstrip())
    while place < end:
        found = _TOKEN.match(expression, place)
        if found is None:
            return UNKNOWN
        place = found.end()
        tokens.append((found.lastgroup or "", found[found.lastgroup or 0]))
    reader = _Reader(tokens, contexts)
    try:
        value = reader.alternatives()
    except (IndexError, RecursionError):
        return UNKNOWN
    return value if reader.done else UNKNOWN


def truth(value: Any) -> bool | None:
    """Whether a condition holds; None where that is not known."""
    if value is UNKNOWN:
        return None
    return value not in (None, False, 0, "")


def interpolate(text: str, contexts: Mapping[str, Any]) -> str:
    """`text` with the expressions replaced whose values are known texts, numbers or truth values."""

    def known(found: re.Match[str]) -> str:
        value = evaluate(found[1], contexts)
        if isinstance(value, bool):
            return "true" if value else "false"
        if value is None:
            return ""
        return str(value) if isinstance(value, (str, int, float)) else found[0]

    return _PLACE.sub(known, text) if "${{" in text else text


class _Reader:
    """Recursive descent over the tokens."""

    def __init__(self, tokens: Sequence[tuple[str, str]], contexts: Mapping[str, Any]) -> None:
        self._tokens, self._contexts, self._next = tokens, contexts, 0

    @property
    def done(self) -> bool:
        return self._next == len(self._tokens)

    def _peek(self) -> str:
        kind, text = self._tokens[self._next] if not self.done else ("", "")
        return text if kind == "sign" else ""

    def _take(self, sign: str) -> bool:
        if self._peek() != sign:
            return False
        self._next += 1
        return True

    def alternatives(self) -> Any:
        value = self._conjunction()
        while self._take("||"):
            other = self._conjunction()
            holds = truth(value)
            # `unknown || true` is true as a condition; as a value it is not known.
            value = other if holds is False or (holds is None and truth(other) is True and isinstance(other, bool)) else value
        return value

    def _conjunction(self) -> Any:
        value = self._comparison()
        while self._take("&&"):
            other = self._comparison()
            holds = truth(value)
            value = other if holds is True or (holds is None and truth(other) is False) else value
        return value

    def _comparison(self) -> Any:
        value = self._negation()
        while (sign := self._peek()) in ("==", "!=", "<", ">", "<=", ">="):
            self._next += 1
            value = _compare(sign, value, self._negation())
        return value

    def _negation(self) -> Any:
        if self._take("!"):
            holds = truth(self._negation())
            return UNKNOWN if holds is None else not holds
        return self._member()

    def _member(self) -> Any:
        value = self._primary()
        while True:
            if self._take("."):
                star = self._take("*")
                key: Any = UNKNOWN if star else self._tokens[self._next][1]
                self._next += 0 if star else 1
            elif self._take("["):
                key = UNKNOWN if self._take("*") else self.alternatives()
                if not self._take("]"):
                    raise IndexError
            else:
                return value
            value = _member(value, key)

    def _primary(self) -> Any:
        if self._take("("):
            value = self.alternatives()
            if not self._take(")"):
                raise IndexError
            return value
        kind, text = self._tokens[self._next]
        self._next += 1
        if kind == "text":
            return text[1:-1].replace("''", "'")
        if kind == "number":
            return float(text) if "." in text else int(text, 0 if "x" in text.lower() else 10)
        if kind != "name":
            raise IndexError
        if self._take("("):
            return self._call(text.lower())
        literals = {"true": True, "false": False, "null": None}
        return literals[text] if text in literals else self._contexts.get(text, UNKNOWN)

    def _call(self, name: str) -> Any:
        arguments: list[Any] = []
        while not self._take(")"):
            arguments.append(self.alternatives())
            if not self._take(",") and self._peek() != ")":
                raise IndexError
        function = _FUNCTIONS.get(name)
        if function is None or any(argument is UNKNOWN for argument in arguments):
            return UNKNOWN
        try:
            return function(*arguments)
        except (TypeError, ValueError, RecursionError):
            return UNKNOWN


def _member(value: Any, key: Any) -> Any:
    if value is UNKNOWN or key is UNKNOWN:
        return UNKNOWN
    if isinstance(value, Mapping):
        return value.get(str(key), UNKNOWN if value.get("*") is UNKNOWN else None)
    if isinstance(value, list) and isinstance(key, int) and 0 <= key < len(value):
        return value[key]
    return None


def _compare(sign: str, left: Any, right: Any) -> Any:
    if left is UNKNOWN or right is UNKNOWN:
        return UNKNOWN
    left, right = _comparable(left), _comparable(right)
    if isinstance(left, str) != isinstance(right, str):
        left, right = _number(left), _number(right)
    if sign in ("==", "!="):
        return (left == right) == (sign == "==")
    try:
        return {"<": left < right, ">": left > right, "<=": left <= right, ">=": left >= right}[sign]
    except TypeError:
        return False


def _comparable(value: Any) -> Any:
    """Texts are compared in any case; scalars of a file are texts, also those that are truth values to GitHub."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.lower() if isinstance(value, str) else value


def _number(value: Any) -> Any:
    if value is None or value == "":
        return 0.0
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")


def _contains(where: Any, what: Any) -> bool:
    if isinstance(where, list):
        return any(_compare("==", item, what) is True for item in where)
    return str(what).lower() in str(where or "").lower()


_FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {
    "always": lambda: True,
    "success": lambda: True,
    "failure": lambda: False,
    "cancelled": lambda: False,
    "contains": _contains,
    "startswith": lambda text, start: str(text or "").lower().startswith(str(start).lower()),
    "endswith": lambda text, end: str(text or "").lower().endswith(str(end).lower()),
    "format": lambda text, *values: re.sub(r"\{(\d+)\}", lambda found: str(values[int(found[1])]), str(text)),
    "join": lambda values, between=",": str(between).join(str(value) for value in values),
    "fromjson": json.loads,
    "tojson": json.dumps,
}
