"""Syntax trees of sources of any language, by tree-sitter's grammars, which are loaded when a source of theirs is met."""

from __future__ import annotations

import importlib
import time
from functools import cache
from typing import Final

from tree_sitter import Language, Node, Parser

__all__ = ["parse_source"]

_TIME_S: Final = 10.0


def parse_source(data: bytes, module: str, function: str = "language") -> Node | None:
    """The root, by the grammar that `function` of a module gives; None where it takes too long."""
    ends = time.monotonic() + _TIME_S

    def read(offset: int, _: object) -> bytes:
        return data[offset : offset + 65536]

    try:
        tree = _parser(module, function).parse(read, encoding="utf8", progress_callback=lambda *_: time.monotonic() > ends)
    except ValueError:
        return None
    return tree.root_node if tree is not None else None


@cache
def _parser(module: str, function: str) -> Parser:
    return Parser(Language(getattr(importlib.import_module(module), function)()))
