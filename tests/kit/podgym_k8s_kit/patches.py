"""Patches: JSON, merge, and strategic merge as far as lists are replaced or joined by name."""

from __future__ import annotations

import copy
from typing import Any

from podgym_k8s_kit.store import Refused

__all__ = ["patched"]


def patched(item: dict[str, Any], patch: Any, content_type: str) -> dict[str, Any]:
    """A new object. Raises `Refused`."""
    made = copy.deepcopy(item)
    if content_type == "application/json-patch+json":
        for step in patch:
            _apply(made, step)
        return made
    if content_type in ("application/merge-patch+json", "application/strategic-merge-patch+json", "application/apply-patch+yaml"):
        return _merged(made, patch)
    raise Refused(415, "UnsupportedMediaType", f"the body of the request was in an unknown format: {content_type}")


def _merged(item: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    made = dict(item) if isinstance(item, dict) else {}
    for key, value in patch.items():
        if value is None:
            made.pop(key, None)
        else:
            made[key] = _merged(made.get(key), value)
    return made


def _apply(item: Any, step: dict[str, Any]) -> None:
    *path, last = [part.replace("~1", "/").replace("~0", "~") for part in step["path"].split("/")[1:]]
    for key in path:
        item = item[int(key)] if isinstance(item, list) else item.setdefault(key, {})
    if isinstance(item, list):
        if step["op"] == "remove":
            del item[int(last)]
        elif last == "-":
            item.append(step["value"])
        else:
            item.insert(int(last), step["value"])
    elif step["op"] == "remove":
        if item.pop(last, None) is None:
            raise Refused(422, "Invalid", f"the server rejected our request: nothing is at {step['path']}")
    elif step["op"] == "test":
        if item.get(last) != step["value"]:
            raise Refused(422, "Invalid", f"the server rejected our request: testing value {step['path']} failed")
    else:
        item[last] = step["value"]
