"""One event as one line of JSON, and back.

A line must survive whatever a policy or a program put into a free-form field: lone surrogates, values that JSON does not
know, nesting without end. The quick path leaves all of that to pydantic; the slow path makes the value plain first.
"""

from __future__ import annotations

import functools
import json
import math
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError, from_json

from podgym.traces.errors import TraceCorrupt
from podgym.traces.events import BaseEvent, Event, Unknown

__all__ = ["dump_event", "load_event", "load_line", "plain"]

MAX_DEPTH = 64
MAX_DIGITS = 100
"""Of a whole number that is written as text."""
MAX_BITS = 14_000
"""Python writes and reads no whole number of more than 4300 decimal digits."""


def dump_event(event: BaseEvent) -> bytes:
    """The event as UTF-8 JSON without a line break."""
    try:
        return event.__pydantic_serializer__.to_json(event)
    except (PydanticSerializationError, ValueError, RecursionError):
        fields = {name: _plain(value, MAX_DEPTH) for name, value in event}
        return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()


def plain(value: object) -> Any:
    """The value as every JSON library takes it: as a line has it, and whole numbers of more than 64 bits as hexadecimal text."""
    return _narrow(_plain(value, MAX_DEPTH))


def _narrow(value: Any) -> Any:
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 64:
        return _hexadecimal(value)
    if isinstance(value, dict):
        return {key: _narrow(item) for key, item in value.items()}
    return [_narrow(item) for item in value] if isinstance(value, list) else value


def _hexadecimal(value: int) -> str:
    return f"{value:#x}" if value.bit_length() <= 4 * MAX_DIGITS else f"a number of {value.bit_length()} bits"


def _plain(value: object, depth: int) -> Any:
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        return _hexadecimal(value)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if depth == 0:
        return "... nested too deeply to keep"
    if isinstance(value, dict):
        return {_plain(str(key), depth): _plain(item, depth - 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item, depth - 1) for item in value]
    return _plain(str(value), depth)


@functools.cache
def _kinds() -> dict[str, type[BaseEvent]]:
    classes: tuple[type[BaseEvent], ...] = get_args(get_args(Event)[0])
    return {cls.model_fields["kind"].default: cls for cls in classes}


def load_event(data: dict[str, Any]) -> BaseEvent:
    """The event of a parsed line; what this version does not know, or knows differently, becomes `Unknown`."""
    kind = data.get("kind")
    known = _kinds().get(kind) if isinstance(kind, str) else None
    try:
        return (known or Unknown).model_validate(data)
    except ValidationError as error:
        if known is None:
            raise TraceCorrupt(f"An event that is none: {error.errors()[0]['msg']}.") from error
    try:
        return Unknown.model_validate(data)
    except ValidationError as error:
        raise TraceCorrupt(f"An event that is none: {error.errors()[0]['msg']}.") from error


def load_line(line: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """A line `[event, arrays]`. Raises `TraceCorrupt`."""
    try:
        try:
            pair = from_json(line)
        except ValueError:  # pydantic's parser gives up at a depth that its own serialiser still writes
            pair = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise TraceCorrupt(f"A line of a trace is not JSON: {error}.") from error
    if not (isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], dict) and isinstance(pair[1], dict)):
        raise TraceCorrupt("A line of a trace is not an event with its arrays.")
    return pair[0], pair[1]
