"""What `Sandbox.run` is given, checked by every provider before anything is started."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["check_arguments"]


def check_arguments(script: str, place: str, *, timeout_s: float, env: Mapping[str, str], output_limit: int) -> None:
    """Raises `ValueError` for what no shell can be given."""
    if "\0" in script or "\0" in place:
        raise ValueError("A script or directory with a NUL byte cannot be run; write such data to a file or to stdin.")
    if not timeout_s > 0:
        raise ValueError(f"timeout_s must be positive, not {timeout_s}.")
    if output_limit < 0:
        raise ValueError(f"output_limit must not be negative, not {output_limit}.")
    for name, value in env.items():
        if not name or "=" in name or "\0" in name + value:
            raise ValueError(f"Not an environment variable: {name!r}={value!r}. Names are not empty and have no '='; neither part has NUL.")
