"""What commands print: data on stdout, everything said to people on stderr.

Names of files may be no UTF-8; Python then holds their bytes as lone surrogates, which no output takes. They are written as escapes.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

__all__ = ["ago", "err", "out", "print_facts", "print_json", "print_table", "print_text", "say", "shown_path"]

_WIDE = 200


def out() -> Console:
    """For data. Off a terminal lines are not cut to a terminal's width."""
    return Console(file=sys.stdout, soft_wrap=not sys.stdout.isatty(), width=None if sys.stdout.isatty() else _WIDE, highlight=False)


def err() -> Console:
    """For progress and messages."""
    return Console(file=sys.stderr, highlight=False, soft_wrap=True)


def say(message: str) -> None:
    """A message for people, without markup."""
    err().print(escape(message))


def print_text(text: str) -> None:
    """Plain text on stdout, as it is."""
    sys.stdout.write(_writable(text if text.endswith("\n") or not text else f"{text}\n"))
    sys.stdout.flush()


def print_json(value: Any) -> None:
    """One JSON document on stdout."""
    text = json.dumps(value, default=_plain, ensure_ascii=False, indent=2)
    if _writable(text) != text:
        text = json.dumps(value, default=_plain, indent=2)
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str = "Nothing to show.") -> None:
    """A table on stdout, or `empty` on stderr where there are no rows."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*("" if cell is None else escape(_writable(str(cell))) for cell in row))
    if table.row_count:
        _print(table)
    else:
        say(empty)


def print_facts(facts: Mapping[str, object]) -> None:
    """Name and value, a line each; empty values are left out."""
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts.items():
        if value not in (None, "", (), {}, []):
            table.add_row(escape(_writable(name)), escape(_writable(str(value))))
    _print(table)


def _print(table: Table) -> None:
    """Off a terminal without the spaces that fill the last column."""
    console = out()
    if console.is_terminal:
        console.print(table)
        return
    with console.capture() as captured:
        console.print(table)
    print_text("\n".join(line.rstrip() for line in captured.get().splitlines()))


def ago(at_s: float | None) -> str:
    """How long ago a Unix time was, in one unit."""
    if not at_s:
        return ""
    seconds = max(0.0, time.time() - at_s)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"


def shown_path(path: Path) -> str:
    """Relative to the working directory where it is inside it."""
    here = Path.cwd()
    absolute = path.absolute()
    return str(absolute.relative_to(here)) if absolute.is_relative_to(here) else str(absolute)


def _writable(text: str) -> str:
    """What stdout can encode, with escapes in place of the rest."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _plain(value: object) -> object:
    dump = getattr(value, "model_dump", None)
    if dump is not None:
        return dump(mode="json")
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (set, frozenset, tuple)):
        return list(value)
    raise TypeError(f"{type(value).__name__} is not JSON")
