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
        for preset in _list(file.get("configurePresets")):
            if len(declared) < _MAX_PRESETS and isinstance(preset, dict) and isinstance(preset.get("name"), str):
                declared.setdefault(preset["name"], preset)
        pending += [
            posixpath.normpath(posixpath.join(posixpath.dirname(path), name))
            for name in _list(file.get("include"))
            if isinstance(name, str) and "$" not in name and not name.startswith("/")
        ]
    known: dict[str, dict[str, str]] = {}
    return {name: _variables(name, declared, known) for name, preset in declared.items() if preset.get("hidden") is not True}


def _variables(name: str, declared: Mapping[str, Mapping[str, Any]], known: dict[str, dict[str, str]]) -> dict[str, str]:
    if name in known or name not in declared:
        return known.get(name, {})
    # One that inherits itself finds nothing of itself.
    known[name] = {}
    found: dict[str, str] = {}
    preset = declared[name]
    inherits = preset.get("inherits")
    parents = dict.fromkeys(parent for parent in ([inherits] if isinstance(inherits, str) else _list(inherits)) if isinstance(parent, str))
    # What is named first wins.
    for parent in reversed(parents):
        found |= _variables(parent, declared, known)
    own = preset.get("cacheVariables")
    for key, value in own.items() if isinstance(own, dict) else ():
        text = value.get("value") if isinstance(value, dict) else value
        if isinstance(text, bool):
            found[str(key)] = "ON" if text else "OFF"
        elif isinstance(text, str) and "$" not in text:
            found[str(key)] = text
        else:
            found.pop(str(key), None)
    known[name] = found
    return found


def _document(text: str | None) -> Mapping[str, Any]:
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
