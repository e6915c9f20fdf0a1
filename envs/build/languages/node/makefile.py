"""What a target of a Makefile runs, as far as plain rules and variables tell."""

from __future__ import annotations

import re

__all__ = ["recipe"]


def recipe(makefile: str, target: str, depth: int = 0, made: set[str] | None = None) -> list[str]:
    """Shell lines of a Makefile's target and of those that it needs, each once, simple variables replaced."""
    made = set() if made is None else made
    if depth > 4 or target in made:
        return []
    made.add(target)
    text = makefile[:100_000].replace("\\\n", " ")
    values = dict(re.findall(r"^([A-Za-z_]\w*)\s*[:?]?=[ \t]*(.*)$", text, re.MULTILINE))
    match = re.search(rf"^{re.escape(target)}\s*:(?!=)([^\n]*)\n((?:\t[^\n]*\n?|\s*\n)*)", text, re.MULTILINE)
    if match is None:
        return []
    lines = [line for needed in match[1].split("#")[0].split()[:10] for line in recipe(makefile, needed, depth + 1, made)]
    for line in match[2].splitlines():
        shown = line.strip().lstrip("@-")
        for _ in range(3):
            shown = re.sub(r"\$[({](\w+)[)}]", lambda found: values.get(found[1], ""), shown)
        if shown:
            lines.append(shown.replace("$$", "$"))
    return lines
