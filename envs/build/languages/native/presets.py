"""CMake's presets: the cache variables of each, with what it inherits; conditions and macros are left out.

Files may include others of the repository. Whatever is not of the documented form counts as absent.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Mapping
from typing import Any, Final

from podgym.envs.build.tree import Tree

__all__ = ["read_presets"]

_MAX_FILES: Final = 20
_MAX_PRESETS: Final = 200
_DEEP: Final = 12


def read_presets(tree: Tree, root: str) -> dict[str, dict[str, str]]:
    """Variables by the name of each preset for configuring that can be asked for by its name."""
    declared: dict[str, Mapping[str, Any]] = {}
    pending, seen = [posixpath.join(root, "CMakePresets.json")], set[str]()
    while pending and len(seen) < _MAX_FILES:
        path = pending.pop(0)
        if path in seen:
            continue
        seen.add(path)
        file = _document(tree.read(path))
        for preset in _list(file.get("configurePresets"))[:_MAX_PRESETS]:
            if isinstance(preset, dict) and isinstance(preset.get("name"), str):
                declared.setdefault(preset["name"], preset)
        pending += [
            posixpath.normpath(posixpath.join(posixpath.dirname(path), name))
            for name in _list(file.get("include"))
            if isinstance(name, str) and "$" not in name and not name.startswith("/")
        ]
    return {name: _variables(name, declared, _DEEP) for name, preset in declared.items() if preset.get("hidden") is not True}


def _variables(name: str, declared: Mapping[str, Mapping[str, Any]], deep: int) -> dict[str, str]:
    found: dict[str, str] = {}
    preset = declared.get(name)
    if preset is None or deep <= 0:
        return found
    inherits = preset.get("inherits")
    # What is named first wins.
    for parent in reversed([inherits] if isinstance(inherits, str) else _list(inherits)[:_DEEP]):
        if isinstance(parent, str) and parent != name:
            found |= _variables(parent, declared, deep // 2 if deep > 4 else deep - 1)
    own = preset.get("cacheVariables")
    for key, value in own.items() if isinstance(own, dict) else ():
        text = value.get("value") if isinstance(value, dict) else value
        if isinstance(text, bool):
            found[str(key)] = "ON" if text else "OFF"
        elif isinstance(text, str) and "$" not in text:
            found[str(key)] = text
        else:
            found.pop(str(key), None)
    return found


def _document(text: str | None) -> Mapping[str, Any]:
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
