"""Switches by which a project's test scripts prefer to run under a checker (valgrind) that no image of a task has.

Where the machine has one all the same, as under sandboxes of this machine's own programs, tests would be slower, would need its
debugging symbols, and would mean something else than in an image. What the scripts do without it is what the switch says off.
"""

from __future__ import annotations

import posixpath
import re
from typing import Final

from podgym.envs.build.languages.native.paths import vendored
from podgym.envs.build.tree import Tree

__all__ = ["checkers_off"]

_NAME: Final = r"(?P<name>(?:[A-Za-z]\w{0,60}_)?(?:VALGRIND|MEMCHECK)(?:_\w{1,60})?)"
_ON: Final = r"(?P<value>1|yes|y|on|true)"
_SWITCHES: Final = (
    re.compile(rf"\$\{{{_NAME}:?[-=]\s*[\"']?{_ON}[\"']?\}}", re.IGNORECASE),
    re.compile(rf"^[ \t]*(?:export[ \t]+)?{_NAME}[ \t]*\?=[ \t]*{_ON}[ \t]*$", re.IGNORECASE | re.MULTILINE),
)
"""Of shell, and of make."""
_OFF: Final = {"1": "0", "yes": "no", "y": "n", "on": "off", "true": "false"}
_SCRIPT: Final = re.compile(r".*\.(?:sh|bash|test|mk|am|in)|(?:GNU)?[Mm]akefile|(?:run|test|check)[\w-]*")
_MAX_FILES: Final = 300


def checkers_off(tree: Tree, root: str) -> dict[str, str]:
    """Variables that switch them off, as each says it."""
    found: dict[str, str] = {}
    scripts = (path for path in tree.below(root) if _SCRIPT.fullmatch(posixpath.basename(path)) and not vendored(path))
    for path, _ in zip(scripts, range(_MAX_FILES), strict=False):
        text = (tree.read(posixpath.join(root, path)) or "")[: 1 << 18]
        for match in (match for pattern in _SWITCHES for match in pattern.finditer(text)):
            off = _OFF[match["value"].lower()]
            found.setdefault(match["name"], off.upper() if match["value"].isupper() else off)
    return dict(sorted(found.items()))
